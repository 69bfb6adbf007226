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

# Most of it is waiting: two halves at a time, each with namespaces of its own.
half() {
	"$PYTHON" -m pytest -p no:cacheprovider -q $(ls "$dir"/test_*.py | awk "NR % 2 == $1")
}
other=$(mktemp) || exit 1
trap 'rm -f "$other"' EXIT
half 1 > "$other" 2>&1 &
half 0
status=$?
wait $! || status=1
cat "$other"
exit $status
