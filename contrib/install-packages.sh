#!/bin/sh
# Installs the Debian packages that building, testing and demonstrating wlad needs: only those
# that are missing.  Needs root if there is something to install.
#   contrib/install-packages.sh [-n] [build] [tests] [demo] [vm]
# -n only says what is missing (exit 1 if anything is).  Without a group: all of them.
set -eu

build="gcc make autoconf automake pkg-config libc6-dev libevent-dev libconfig-dev libssl-dev
    libjansson-dev libmnl-dev"
demo="python3 iproute2 util-linux nginx openssl coreutils curl"
tests="$demo clang libclang-rt-14-dev clang-format libcmocka-dev mandoc python3-pytest python3-scapy
    python3-cryptography dnsmasq-base
    bind9-dnsutils dnsperf iperf3 wrk haproxy libnginx-mod-stream nftables tcpdump
    wireguard-go wireguard-tools
    traceroute iputils-ping shellcheck tshark valgrind strace gnuplot-nox"
# tests/vm and tests/bench/vm: an emulator, and a kernel for it where there is none
# yet; 100 MB to get, 500 MB on disk
vm="systemd kmod cpio busybox-static ipvsadm"
if [ "$(uname -m)" = x86_64 ]; then
	vm="$vm qemu-system-x86"
	ls /boot/vmlinuz-* > /dev/null 2>&1 || vm="$vm linux-image-amd64"
fi

usage() {
	echo "usage: install-packages.sh [-n] [build] [tests] [demo] [vm]" >&2
	exit 2
}

only_say=no
wanted=
for argument; do
	case $argument in
	-n) only_say=yes ;;
	build) wanted="$wanted $build" ;;
	tests) wanted="$wanted $tests" ;;
	demo) wanted="$wanted $demo" ;;
	vm) wanted="$wanted $vm" ;;
	*) usage ;;
	esac
done
[ -n "$wanted" ] || wanted="$build $tests $vm"
if ! command -v dpkg-query > /dev/null || ! command -v apt-get > /dev/null; then
	echo "install-packages.sh: this is not a Debian system; please install what is called there:" >&2
	# shellcheck disable=SC2086  # a list of words
	echo $wanted >&2
	exit 1
fi
# shellcheck disable=SC2086  # a list of words
wanted=$(printf '%s\n' $wanted | sort -u)

missing=
for package in $wanted; do
	state=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2> /dev/null) || state=
	[ "$state" = installed ] || missing="$missing $package"
done
if [ -z "$missing" ]; then
	echo "install-packages.sh: everything is there"
	exit 0
fi
if [ $only_say = yes ]; then
	echo "install-packages.sh: missing:$missing"
	exit 1
fi
if [ "$(id -u)" != 0 ]; then
	echo "install-packages.sh: needs root for: apt-get install$missing" >&2
	exit 1
fi

# Packages like nginx start a service when they are installed.  Nothing here wants that, so
# where nobody has a policy of his own, it is "no" meanwhile.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	trap 'rm -f $policy' EXIT
	trap 'exit 1' HUP INT TERM
	printf '#!/bin/sh\nexit 101\n' > $policy
	chmod 755 $policy
fi

echo "install-packages.sh: installing$missing"
export DEBIAN_FRONTEND=noninteractive
install() {
	# shellcheck disable=SC2086  # a list of words
	apt-get install -q -y --no-install-recommends $missing
}
if ! install > /dev/null 2>&1; then
	apt-get update -q
	install
fi
case " $missing " in
*" nginx "* | *" haproxy "*)
	echo "install-packages.sh: nginx and haproxy came with services that were not started now" \
	    "but will be at the next boot; systemctl disable nginx haproxy prevents that" ;;
esac
