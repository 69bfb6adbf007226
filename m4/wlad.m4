# WLAD_APPEND_CFLAGS(FLAGS): appends each flag that the compiler takes to WLAD_CFLAGS.
AC_DEFUN([WLAD_APPEND_CFLAGS], [
    for flag in $1; do
        saved_CFLAGS=$CFLAGS
        CFLAGS="$CFLAGS -Werror $flag"
        AC_MSG_CHECKING([whether $CC takes $flag])
        AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])],
            [AC_MSG_RESULT([yes]); WLAD_CFLAGS="$WLAD_CFLAGS $flag"],
            [AC_MSG_RESULT([no])])
        CFLAGS=$saved_CFLAGS
    done
])

# WLAD_APPEND_LDFLAGS(FLAGS): appends each flag that the linker takes to WLAD_LDFLAGS.
AC_DEFUN([WLAD_APPEND_LDFLAGS], [
    for flag in $1; do
        saved_LDFLAGS=$LDFLAGS saved_CFLAGS=$CFLAGS
        LDFLAGS="$LDFLAGS $flag" CFLAGS="$CFLAGS $WLAD_CFLAGS"
        AC_MSG_CHECKING([whether the linker takes $flag])
        AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
            [AC_MSG_RESULT([yes]); WLAD_LDFLAGS="$WLAD_LDFLAGS $flag"],
            [AC_MSG_RESULT([no])])
        LDFLAGS=$saved_LDFLAGS CFLAGS=$saved_CFLAGS
    done
])
