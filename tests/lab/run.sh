#!/bin/sh
# Runs the lab: sites, servers, clients in network namespaces.  Needs root; exit 77 with the reason
# where it cannot run.  Arguments go to pytest (-k transfer, -x ...).
dir=${WLAD_SRCDIR:-$(cd "$(dirname "$0")/../.." && pwd)}/tests/lab
PYTHON=${PYTHON:-/usr/bin/python3}
PYTHONDONTWRITEBYTECODE=1
export PYTHONDONTWRITEBYTECODE
reason=$(cd "$dir" && "$PYTHON" -c 'import conftest; print(conftest.why_not() or "")') ||
	reason="no python3 with pytest"
[ -z "$reason" ] || { echo "skipped: $reason"; exit 77; }
[ $# = 0 ] || exec "$PYTHON" -m pytest -p no:cacheprovider -q "$@" "$dir"

# Most of it is waiting: two halves at a time, each with namespaces of its own.  What failed is tried
# once more when the machine has nothing else to do: a fault fails again, and a test that only a busy
# machine can upset is named, with what it said.
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
half() {
	WLAD_LAB_FAILED=$work/failed.$1 "$PYTHON" -m pytest -p no:cacheprovider -q \
	    $(ls "$dir"/test_*.py | awk "NR % 2 == $1")
}
half 1 > "$work/other" 2>&1 &
half 0
status=$?
wait $! || status=1
cat "$work/other"
[ $status != 0 ] || exit 0
cat "$work"/failed.* > "$work/again" 2> /dev/null
# more than a few, or none that has a name: it is not the machine
count=$(wc -l < "$work/again")
[ "$count" -ge 1 ] && [ "$count" -le 12 ] || exit $status
echo "==== once more, alone:"
cat "$work/again"
(cd "$dir" && xargs -d '\n' "$PYTHON" -m pytest -p no:cacheprovider -q < "$work/again") || exit 1
echo "==== passed at the second try only: $count"
