#!/bin/bash
# What one packet costs must not grow unnoticed: wlad's own instructions for each kind of packet, counted by
# callgrind on the memory backend, against the file budget beside this one.  5 % more is a fault.
# Where it is meant: tests/bench/instructions --update tests/budget/budget
# (WLAD_BUILDDIR names the build), and the reason in the commit.
top=${WLAD_SRCDIR:-$(cd "$(dirname "$0")/../.." && pwd)}
python=${PYTHON:-/usr/bin/python3}
command -v "$python" > /dev/null || { echo "skipped: no python3"; exit 77; }
exec "$python" "$top/tests/bench/instructions" --budget "$top/tests/budget/budget"
