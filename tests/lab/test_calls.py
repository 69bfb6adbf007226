"""System calls that a packet costs, counted by strace: upper bounds, of the file tests/budget/budget.

A packet of bulk is 1448 octets of payload, what a wire would carry; of small ones, what wlad has counted
in.  Everything that wlad does meanwhile is counted with it: waiting, checks, messages to the other site.
"""

import contextlib
import os
import re
import shutil
import signal

import pytest

import daemon
from netns import wait_for

BUDGET = os.path.join(daemon.TOP, "tests", "budget", "budget")
OCTETS = 64 << 20
SEGMENT = 1448

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")


def bound(name):
    """So many calls a packet are allowed."""
    with open(BUDGET) as f:
        found = re.search(r"^calls %s ([\d.]+)$" % name, f.read(), re.M)
    return float(found.group(1))


class Calls:
    """What strace has counted: {call: how often}."""

    def __init__(self, text):
        rows = [line.split() for line in text.splitlines()]
        # % time, seconds, usecs/call, calls, [errors], name
        self.counts = {r[-1]: int(r[3]) for r in rows
                       if len(r) >= 5 and r[3].isdigit() and r[-1] != "total"}

    def all(self):
        return sum(self.counts.values())


@contextlib.contextmanager
def counted(site):
    """The calls of a site's daemon meanwhile."""
    path = site.lab.net.path("strace-%s" % site.name)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    pid = site.wlad.process.pid
    tracer = site.gw.start("strace", "-c", "-f", "-o", path, "-p", str(pid))

    def traced():
        with open("/proc/%d/status" % pid) as f:
            return re.search(r"^TracerPid:\s*[1-9]", f.read(), re.M)
    wait_for(traced, what="strace")
    result = []
    try:
        yield result
    finally:
        tracer.kill(signal.SIGINT)
        tracer.popen.wait(10)
        tracer.stop()
    with open(path) as f:
        result.append(Calls(f.read()))


def check(name, calls, packets):
    """Holds the figure to its bound, and says what it is."""
    each = calls.all() / packets
    most = sorted(calls.counts.items(), key=lambda item: -item[1])[:5]
    print("calls %s %.3f: %d packets, %s" % (
        name, each, packets, ", ".join("%s %d" % pair for pair in most)))
    assert each <= bound(name)


@pytest.fixture(scope="module")
def file(lab):
    path = lab.net.path("bulk")
    with open(path, "wb") as f:
        f.truncate(OCTETS)
    return path


def download(lab):
    out = lab.client.run("curl", "-sS", "-f", "-m", "60", "-r", "0-%d" % (OCTETS - 1),
                         "-o", "/dev/null", "-w", "%{size_download}", lab.url(lab.x, "big"),
                         timeout=70)
    assert int(out) == OCTETS


def small(lab, count=4000):
    """Requests on kept connections, many at a time."""
    lab.client.run("curl", "-sS", "-f", "-Z", "--parallel-max", "32", "-o", "/dev/null",
                   "http://%s/who?[1-%d]" % (lab.x.v4, count), timeout=60)


def packets_in(site):
    counters = site.wlad.show("counters")["counters"]
    return counters["packets_in"] + counters["transfer_packets_in"]


def of_small(lab, site, name):
    before = packets_in(site)
    with counted(site) as result:
        small(lab)
    packets = packets_in(site) - before
    assert packets > 4000
    check(name, result[0], packets)


def test_local_bulk(lab, file):
    with counted(lab.x) as result:
        download(lab)
    check("local-download", result[0], OCTETS / SEGMENT)
    with counted(lab.x) as result:
        lab.upload(lab.x, file, "calls")
    check("local-upload", result[0], OCTETS / SEGMENT)


def test_local_small(lab):
    of_small(lab, lab.x, "local-small")


@pytest.fixture(scope="module")
def spilled(lab):
    lab.x.kill_servers()
    lab.x.wait_up(0)
    return lab


def test_direct_reply_bulk(spilled):
    with counted(spilled.y) as result:
        download(spilled)
    check("direct-download", result[0], OCTETS / SEGMENT)


def test_transfer_bulk(spilled, file):
    with counted(spilled.x) as result:
        spilled.upload(spilled.x, file, "calls-out")
    check("transfer-out", result[0], OCTETS / SEGMENT)
    with counted(spilled.y) as result:
        spilled.upload(spilled.x, file, "calls-in")
    check("transfer-in", result[0], OCTETS / SEGMENT)


def test_transfer_small(spilled):
    of_small(spilled, spilled.x, "transfer-out-small")
    of_small(spilled, spilled.y, "transfer-in-small")
