"""Tens of thousands of connections, listed: all of them, as text and as JSON, into a pipe that closes."""

import re
import socket
import subprocess

import pytest

from daemon import WLADMCTL
from lab import CLIENT4
from netns import wait_for

MANY = 20000
FIRST = 20000  # source port


def open_many(lab):
    """Datagrams of as many ports; the servers answer nothing to what is no question."""
    for port in range(FIRST, FIRST + MANY):
        with lab.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind((CLIENT4, port))
            s.sendto(b"?", (lab.x.v4, 53))


def live(lab):
    return lab.x.wlad.show("summary")["connections"]


@pytest.fixture
def many(lab):
    open_many(lab)
    wait_for(lambda: live(lab) >= MANY * 0.98, what="the connections")
    return lab


def test_listing(many):
    wlad = many.x.wlad
    status, text, errors = wlad.control("show", "connections")
    assert (status, errors) == (0, "")
    ports = set(re.findall(r" %s:(\d+) " % re.escape(CLIENT4), text))
    listed = wlad.show("connections")["connections"]
    assert len(listed) >= MANY * 0.98 and len(ports) >= MANY * 0.98
    assert {c["client"].rpartition(":")[2] for c in listed} >= ports
    # whoever has seen enough
    for options in ([], ["-j"]):
        command = " ".join([WLADMCTL, "-s", wlad.socket, *options, "show connections"])
        done = subprocess.run(["bash", "-c", command + " | head -n 5"], capture_output=True,
                              text=True, timeout=20, check=True)
        assert len(done.stdout.splitlines()) == 5 and done.stderr == ""
    assert "\n7 shown of " in wlad.command("show", "connections", "limit", "7")
    assert many.who(many.x)
