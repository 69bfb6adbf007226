#!/bin/bash
# Every source is in Makefile.am, every function below 60 lines, no file without an end.
cd "${srcdir:-.}" || exit 1
status=0
for file in $(find src tests -name '*.[ch]' -o -path 'tests/house/*.sh' | sort); do
	name=${file%.c}
	grep -qE "(^|[[:space:]])($file|$name)([[:space:]]|\$)" Makefile.am ||
	    { echo "$file is not in Makefile.am"; status=1; }
done
for file in $(find src -name '*.c'); do
	awk -v f="$file" '/^\{/ {s = NR} /^\}/ && s {
		if (NR - s - 1 > 60) { printf "%s:%d: a function of %d lines\n", f, s, NR - s - 1; bad = 1 }
		s = 0 } END { exit bad }' "$file" || status=1
done
[ $status = 0 ] && echo "lists are complete, functions fit a screen"
exit $status
