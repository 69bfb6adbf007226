#!/bin/bash
# The service files are as closed as they say, by systemd's own count.
cd "${srcdir:-.}" || exit 1
command -v systemd-analyze > /dev/null || { echo "skipped: no systemd-analyze"; exit 77; }
systemd-analyze --help | grep -q -e --offline= || { echo "skipped: systemd-analyze is too old"; exit 77; }
result=0
for unit in contrib/systemd/*.service; do
	output=$(systemd-analyze security --offline=true --threshold=20 --no-pager "$unit" 2>&1)
	status=$?
	[ $status = 0 ] || { printf '%s\n' "$output" | grep -v '^✓'; result=$status; }
	printf '%s\n' "$output" | tail -n 1
done
exit $result
