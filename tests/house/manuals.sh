#!/bin/bash
# The manual pages are clean.
[ -n "$MANDOC" ] || { echo "skipped: no mandoc"; exit 77; }
cd "${srcdir:-.}" || exit 1
status=0
for page in man/*.[1-9]; do
	"$MANDOC" -Tlint -W warning "$page" || status=1
done
[ $status = 0 ] && echo "manual pages are clean"
exit $status
