#!/bin/bash
# Inside the virtual machine: two sites with netem between them, see netem.py.
#   test_netem.sh BUILDDIR
for module in tun veth bridge sch_netem; do
	modprobe "$module" || { echo "the kernel has no $module"; exit 1; }
done
chmod 666 /dev/net/tun
ip link set lo up
WLAD_BUILDDIR=$1 exec /usr/bin/python3 "$(dirname "$0")/netem.py"
