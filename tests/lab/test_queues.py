"""With device.queues: the local tests and those of both rules once more, where several threads handle
packets; and all that an administrator may do meanwhile."""

import contextlib
import json
import os
import subprocess
import tempfile
import threading
import time

import pytest

import daemon
import servers
from test_local import (  # noqa: F401
    test_all_servers_serve, test_client_sees_the_service_address_only, test_dns,
    test_download, test_parallel, test_service_address_answers_echo, test_upload)

QUEUES = 3


def settings(site):
    return dict(site.settings(), device={"queues": QUEUES})


@pytest.fixture(scope="module")
def lab(wlad, net):
    """Two sites with device.queues."""
    try:
        return net.start(device={"queues": QUEUES})
    except Exception:
        print(net.report())
        raise


def threads(site):
    """Its threads, the loop's first, and how often each has gone to wait."""
    directory = "/proc/%d/task" % site.wlad.process.pid
    waited = {}
    for task in sorted(os.listdir(directory), key=int):
        with open(os.path.join(directory, task, "status")) as f:
            status = dict(line.split(":", 1) for line in f if ":" in line)
        waited.setdefault(status["Name"].strip(), int(status["voluntary_ctxt_switches"]))
    return waited


NAMES = ["wlad"] + ["wlad/%d" % n for n in range(1, QUEUES)]


def test_each_queue_has_its_thread_and_packets(lab):
    before = threads(lab.x)
    assert list(before) == NAMES
    assert "device has several queues queues=%d" % QUEUES in lab.x.wlad.text()
    lab.who_many(lab.x, 60)
    after = threads(lab.x)
    for name in NAMES:
        assert after[name] > before[name] + 10, name


def test_they_have_no_rights(lab):
    """As the process: threads are started when the rights are gone."""
    directory = "/proc/%d/task" % lab.x.wlad.process.pid
    for task in os.listdir(directory):
        with open(os.path.join(directory, task, "status")) as f:
            status = dict(line.split(":", 1) for line in f if ":" in line)
        assert int(status["CapEff"], 16) == 0
        assert int(status["CapPrm"], 16) == 0
        assert status["NoNewPrivs"].strip() == "1"
        assert status["Uid"].split()[0] != "0"


@contextlib.contextmanager
def busy(lab, v6):
    """Requests without end; afterwards none of them has failed."""
    stop, failed, done = threading.Event(), [], []

    def ask():
        while not stop.is_set():
            for f in lab.parallel(lab.x, 50, v6=v6):
                done.append(f)
                if servers.sha256(f) != lab.content.part_sum:
                    failed.append(f)
    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert len(done) >= 50
    assert failed == []


@contextlib.contextmanager
def monitored(wlad, level):
    """The lines that `wladmctl monitor` prints, complete at the end."""
    seen = []
    with tempfile.TemporaryFile() as out:
        monitor = subprocess.Popen([daemon.WLADMCTL, "-j", "-s", wlad.socket, "monitor", level],
                                   stdout=out)
        try:
            yield seen
            time.sleep(0.5)
        finally:
            monitor.terminate()
            monitor.wait()
        out.seek(0)
        seen += out.read().splitlines()


@pytest.mark.parametrize("v6", [False, True], ids=["ipv4", "ipv6"])
def test_administration_under_load(lab, v6):
    wlad = lab.x.wlad
    with busy(lab, v6), monitored(wlad, "debug") as seen:
        for turn in range(15):
            wlad.write(dict(settings(lab.x), timeouts={"udp": 30 + turn}))
            wlad.command("reload")
            wlad.command("server", "web/x1", "weight", str(50 + turn))
            wlad.command("server", "web/x2", "drain")
            for what in ("summary", "servers", "sites", "connections", "counters", "config"):
                wlad.show(what)
            wlad.command("server", "web/x2", "enable")
    wlad.command("server", "web/x1", "weight", "reset")
    assert wlad.counter("write_failed") == 0
    assert len(seen) >= 10
    assert all(json.loads(line)["text"] for line in seen)


def test_queues_need_a_restart(lab):
    wlad = lab.x.wlad
    wlad.write(dict(lab.x.settings(), device={"queues": 1}))
    status, out, errors = wlad.control("reload")
    wlad.write(settings(lab.x))
    assert status != 0
    assert "device.queues" in out + errors


# Rule 2.

from test_transfer import (  # noqa: E402, F401
    before, spilled, test_replies_never_touch_the_transferor, test_served_by_the_other_site)
from test_transfer import test_dns as test_dns_transferred  # noqa: E402, F401
from test_transfer import test_download as test_download_transferred  # noqa: E402, F401
from test_transfer import test_parallel as test_parallel_transferred  # noqa: E402, F401
from test_transfer import test_upload as test_upload_transferred  # noqa: E402, F401


def test_transferred_ones_are_shared_out(spilled):
    """They all come by one socket; what the servers send comes by each queue."""
    before = threads(spilled.y)
    spilled.who_many(spilled.x, 60)
    after = threads(spilled.y)
    for name in NAMES:
        assert after[name] > before[name] + 10, name


def test_ends_of_connections_are_told(spilled):
    """Whichever thread of the transferee saw the end."""
    spilled.who_many(spilled.x, 30)

    def told():
        left = [c for c in spilled.x.wlad.connections() if c["state"] == "established"]
        assert time.monotonic() < end, left
        return not left
    end = time.monotonic() + 20
    servers.wait_for(told, timeout=30, what="the transferor hearing of all ends")


def test_device_is_gone(lab):
    """Whoever notices first: the daemon ends, and says why."""
    process = lab.y.wlad.process
    lab.y.gw.run("ip", "link", "delete", "wlad0")
    servers.wait_for(lambda: not process.running(), timeout=5, what="osaka's end")
    assert process.popen.returncode == 1
    assert "device is gone device=wlad0" in lab.y.wlad.text()


def test_the_threads_end(lab):
    assert lab.x.wlad.stop() == 0
    assert " stopped" in lab.x.wlad.text()
