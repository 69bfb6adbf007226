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
exec "$PYTHON" -m pytest -p no:cacheprovider -q "$@" "$dir"
