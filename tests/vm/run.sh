#!/bin/bash
# Runs wlad in a virtual machine: under a real systemd; with netem between two sites.  Needs root,
# a kernel and an emulator (contrib/install-packages.sh vm); exit 77 with the reason where it cannot
# run.
set -eu
source=${WLAD_SRCDIR:-$(cd "$(dirname "$0")/../.." && pwd)}
build=${WLAD_BUILDDIR:-$source}

[ "${WLAD_LAB:-yes}" != no ] || { echo "skipped: WLAD_LAB=no"; exit 77; }
"$source/tests/vm/run" -n

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
trap 'exit 1' HUP INT TERM
# what a package would hold; the make that runs this has nothing to do with that one
env -u MAKEFLAGS -u MAKELEVEL -u DESTDIR make -s -C "$build" install DESTDIR="$stage" > "$stage.log" 2>&1 ||
	{ cat "$stage.log"; rm -f "$stage.log"; exit 1; }
rm -f "$stage.log"
"$source/tests/vm/run" "$source/tests/vm/test_systemd.sh" "$stage" "$source/contrib/systemd"
VM_SECONDS=${VM_SECONDS:-900} "$source/tests/vm/run" "$source/tests/vm/test_netem.sh" "$build"
