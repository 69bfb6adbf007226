#!/bin/sh
# The simulator's short table, whose figures are held; with "all" the standard one, about two minutes,
# drawn as table.svg in the build folder where gnuplot is there.
build=${WLAD_BUILDDIR:-$(pwd)}/tests/sim
source=${WLAD_SRCDIR:-$(cd "$(dirname "$0")/../.." && pwd)}/tests/sim
if [ "$1" = all ]; then
	nice "$build/sim" -d "$build/table.dat"
	status=$?
	if command -v gnuplot >/dev/null && [ -s "$build/table.dat" ]; then
		gnuplot -e "data='$build/table.dat'; out='$build/table.svg'" "$source/table.gnuplot" &&
		    echo "drawn: $build/table.svg"
	fi
	exit $status
fi
"$build/sim" -s || exit 1
# everything follows from the seed
once=$("$build/sim" -s -c "flash crowd")
[ "$once" = "$("$build/sim" -s -c "flash crowd")" ] || { echo "two runs differ"; exit 1; }
[ "$once" != "$("$build/sim" -s -c "flash crowd" -r 2)" ] || { echo "the seed means nothing"; exit 1; }
