#!/bin/bash
# Installs what is needed, builds and runs every test: unit tests, corpus replay, oracles, lab.
#   tests/run.sh            gcc, everything, then make distcheck
#   tests/run.sh quick      without distcheck, clang and sanitizers
# Exit 0 only if everything passed.  Tests that cannot run here skip and say why.
set -euo pipefail
cd "$(dirname "$0")/.."
top=$PWD
jobs=$(nproc)
mode=${1:-full}

[ "$(id -u)" != 0 ] || contrib/install-packages.sh
[ -x configure ] && [ configure -nt configure.ac ] && [ configure -nt Makefile.am ] || autoreconf -fi

# Prints the closing lines of the runners behind make check, then the plain sum.
closing_lines() {
	local dir=$1 name=$2 passed=0 failed=0 skipped=0 trs
	for trs in $(find "$dir/tests" -name '*.trs' | sort); do
		case $(sed -n 's/^:test-result: *//p' "$trs" | head -n 1) in
		PASS*) passed=$((passed + 1)) ;;
		SKIP*) skipped=$((skipped + 1))
			echo "SKIP ${trs#"$dir"/}: $(grep -m 1 -i skip "${trs%.trs}.log" || true)" ;;
		*) failed=$((failed + 1))
			echo "---- ${trs%.trs}.log"; tail -n 60 "${trs%.trs}.log"
			echo "---- of which:"; grep -E '^(FAILED|ERROR|E  ) ?' "${trs%.trs}.log" | cut -c 1-300 | head -n 20 || true ;;
		esac
	done
	grep -h -E '^\[  PASSED  \]|^[0-9]+ (passed|failed|skipped).* in [0-9.]+s' \
	    $(find "$dir/tests" -name '*.log') | sort | uniq -c | sort -rn || true
	echo "$name: $passed passed, $failed failed, $skipped skipped"
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" = 0 ] && [ "$passed" != 0 ]
}

# A few that failed are tried again, one at a time and alone: a fault fails again, and what only a busy
# machine can upset is named.
once_more() {
	local dir=$1 failed
	failed=$(find "$dir/tests" -name '*.trs' -exec grep -l '^:test-result: *FAIL' {} +) || return 0
	[ "$(echo "$failed" | wc -l)" -le 5 ] || return 0
	echo "once more, alone: $(echo "$failed" | sed "s,^$dir/,,; s,[.]trs$,," | tr '\n' ' ')"
	for trs in $failed; do
		echo "---- ${trs%.trs}.log"; tail -n 40 "${trs%.trs}.log"
	done
	make -C "$dir" -s -j 1 recheck >> "$dir/check.out" 2>&1 || true
}

# build NAME CONFIGURE-ARGUMENTS...: configure, make and check in a build directory of its own
build() {
	local name=$1 dir=$top/build/$1
	shift
	echo "==== $name: configure $*"
	mkdir -p "$dir"
	(cd "$dir" && "$top/configure" --enable-werror "$@" > configure.out) || {
		tail -n 30 "$dir/configure.out" "$dir/config.log"; return 1; }
	make -C "$dir" -s -j "$jobs" || return 1
	make -C "$dir" -s -j "$jobs" check > "$dir/check.out" 2>&1 || once_more "$dir"
	[ -s "$dir/test-suite.log" ] || { tail -n 60 "$dir/check.out"; return 1; }
	closing_lines "$dir" "$name"
}

lab_of_threads() {
	WLAD_BUILDDIR=$1 tests/lab/run.sh -k test_queues > "$1/lab.log" 2>&1
}

# What has several threads, under ThreadSanitizer, which no other sanitizer goes with; a daemon that it finds
# fault with does not end with 0.
threads() {
	local dir=$top/build/threads result=0 test
	local tests="tests/unit/test_guard tests/unit/test_loop_shared tests/unit/test_datapath_queues"
	echo "==== threads: configure CC=clang --enable-sanitizers=thread"
	mkdir -p "$dir"
	(cd "$dir" && "$top/configure" --enable-werror CC=clang CFLAGS='-O1 -g' \
	    --enable-sanitizers=thread > configure.out) || return 1
	make -C "$dir" -s -j "$jobs" wlad wladmctl $tests > "$dir/make.out" 2>&1 || {
		tail -n 30 "$dir/make.out"; return 1; }
	for test in $tests; do
		"$dir/$test" > "$dir/$test.log" 2>&1 || { tail -n 60 "$dir/$test.log"; result=1; }
		tail -n 1 "$dir/$test.log"
	done
	lab_of_threads "$dir" || [ $? = 77 ] || {
		tail -n 200 "$dir/lab.log"
		# what only a busy machine can upset is tried again; what the sanitizer said is not
		! grep -qE 'ThreadSanitizer|assert 66' "$dir/lab.log" && echo "once more, alone: test_queues" &&
		    lab_of_threads "$dir" || result=1; }
	tail -n 1 "$dir/lab.log"
	return $result
}

status=0
build gcc CC=gcc || status=1
if [ "$mode" = full ]; then
	threads || status=1
	# the lab ran once; the other builds repeat what can differ with compiler and instrumentation
	export WLAD_LAB=no
	build sanitizers CC=clang CFLAGS='-O1 -g' --enable-sanitizers || status=1
	export WLAD_ORACLE=no
	build clang CC=clang || status=1
	echo "==== make distcheck"
	if make -C build/gcc -s distcheck > build/distcheck.out 2>&1; then
		tail -n 3 build/distcheck.out
	else
		tail -n 60 build/distcheck.out
		status=1
	fi
fi
[ $status = 0 ] && echo "all tests passed" || echo "some tests failed"
exit $status
