#!/bin/sh
# Runs the tests that compare wlad with implementations that share no code with it.
[ "$WLAD_ORACLE" != no ] || { echo "skipped: WLAD_ORACLE=no"; exit 77; }
[ -n "$PYTHON" ] || { echo "skipped: no python3 with pytest, scapy and cryptography"; exit 77; }
WLAD_PACKET_DRIVER=$WLAD_BUILDDIR/tests/oracle/packet_driver
WLAD_TRANSFER_DRIVER=$WLAD_BUILDDIR/tests/oracle/transfer_driver
WLAD_DATAPATH_DRIVER=$WLAD_BUILDDIR/tests/oracle/datapath_driver
export WLAD_PACKET_DRIVER WLAD_TRANSFER_DRIVER WLAD_DATAPATH_DRIVER
PYTHONDONTWRITEBYTECODE=1 exec "$PYTHON" -m pytest -p no:cacheprovider -q "$WLAD_SRCDIR/tests/oracle"
