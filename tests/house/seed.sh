#!/bin/bash
# doc/SEED.md tells the truth: the functions and tests that it names exist, and the unit tests
# among them pass.
cd "${srcdir:-.}" || exit 1
build=${WLAD_BUILDDIR:-.}
status=0

fault() {
	echo "doc/SEED.md: $*"
	status=1
}

# what stands between back quotes, one a line
names=$(grep '^|' doc/SEED.md | grep -o '`[^`]*: [^`]*`' | tr -d '`' | sort -u)
[ -n "$names" ] || fault "names nothing"

# a unit test's program is run once, and its report kept
reports=$(mktemp -d) || exit 1
trap 'rm -rf "$reports"' EXIT
passed() {
	local program=$build/tests/unit/$1
	[ -x "$program" ] || return 1
	[ -f "$reports/$1" ] || "$program" > "$reports/$1" 2>&1
	grep -q "^\[       OK \] $2\$" "$reports/$1"
}

while IFS= read -r line; do
	file=${line%%: *}
	name=${line#*: }
	case $file in
	src/* | contrib/*)
		[ -f "$file" ] || { fault "$file does not exist"; continue; }
		grep -qw -- "$name" "$file" || fault "$file has no $name"
		;;
	*.py)
		path=$(ls tests/lab/"$file" tests/oracle/"$file" 2> /dev/null)
		[ -n "$path" ] || { fault "$file is in neither tests/lab nor tests/oracle"; continue; }
		[ "$name" = '*' ] || grep -q "^def $name(" "$path" || fault "$path has no $name"
		;;
	*)
		[ -f "tests/unit/$file.c" ] || { fault "tests/unit/$file.c does not exist"; continue; }
		passed "$file" "$name" || fault "$file: $name did not run, or failed"
		;;
	esac
done <<< "$names"
[ $status = 0 ] && echo "$(wc -l <<< "$names") functions and tests are what doc/SEED.md says"
exit $status
