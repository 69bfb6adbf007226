#!/bin/sh
# Shows wlad at work: two sites with three web servers each, a wide area between them and a client,
# all in network namespaces of this machine; overload, failures, recovery.  Takes two minutes
# after the build.  Needs root; cleans up after itself, also after Ctrl-C.
#   contrib/demo.sh            WLAD_BUILDDIR=DIR: take wlad and wladmctl from there
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"

if [ "$(id -u)" != 0 ]; then
	echo "demo.sh: needs root: it makes network namespaces" >&2
	exit 1
fi

if [ -n "${WLAD_BUILDDIR:-}" ]; then
	contrib/install-packages.sh demo
else
	contrib/install-packages.sh build demo
	[ -x configure ] || autoreconf -fi
	if [ -f config.status ]; then
		WLAD_BUILDDIR=$top # configured in place
	else
		WLAD_BUILDDIR=$top/build/demo
		mkdir -p "$WLAD_BUILDDIR"
		[ -f "$WLAD_BUILDDIR/config.status" ] ||
			(cd "$WLAD_BUILDDIR" && "$top/configure" > configure.out) || {
			tail -n 20 "$WLAD_BUILDDIR/configure.out"
			exit 1
		}
	fi
	echo "demo.sh: building in $WLAD_BUILDDIR"
	make -C "$WLAD_BUILDDIR" -s -j "$(nproc)" wlad wladmctl
fi
export WLAD_BUILDDIR
PYTHONDONTWRITEBYTECODE=1 exec /usr/bin/python3 contrib/demo/demo.py
