"""What clients notice when something dies: as little as can be."""

import contextlib
import signal
import socket
import time

import pytest

from lab import WEB_PORT
from netns import wait_for

XSERVERS, YSERVERS = {"x1", "x2", "x3"}, {"y1", "y2", "y3"}
CHECK_TIME = 2 * 0.2 + 0.5 + 0.3  # fall times interval, the last check's timeout, slack


@pytest.fixture(autouse=True)
def healthy(lab):
    """Each test finds both sites whole."""
    lab.ready()


def all_served(lab, count=20, v6=False):
    """Every one of count requests is answered; returns who answered."""
    names = lab.who_many(lab.x, count, v6)
    assert len(names) == count
    return set(names)


def test_server_killed_and_back(lab):
    victim = lab.x.servers[0]
    victim.kill()
    time.sleep(CHECK_TIME)
    assert lab.x.wlad.servers("web")["x1"]["state"] == "down"
    for v6 in (False, True):
        assert all_served(lab, v6=v6) == XSERVERS - {"x1"}
    victim.revive()
    lab.x.wait_up()
    assert all_served(lab, 40) == XSERVERS


def test_server_vanished(lab):
    """The host is gone: nothing answers, not even with a reset."""
    victim = lab.x.servers[1]
    victim.vanish()
    try:
        lab.x.wait_up(2)
        assert all_served(lab) == XSERVERS - {"x2"}
    finally:
        victim.reappear(lab.x.lan4, lab.x.lan6)
    lab.x.wait_up()


def test_connections_of_a_dead_server_are_reset(lab):
    """The client learns at once and can try again, instead of waiting for a host that is gone."""
    victims = {}
    with contextlib.ExitStack() as held:
        for _ in range(12):
            s = held.enter_context(lab.client.socket(socket.AF_INET, socket.SOCK_STREAM))
            s.settimeout(5)
            s.connect((lab.x.v4, WEB_PORT))
            s.sendall(b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n")
            name = s.recv(4096).split()[-1].decode()
            victims.setdefault(name, []).append(s)
        assert set(victims) <= XSERVERS
        victim = max(victims, key=lambda name: len(victims[name]))
        server = next(s for s in lab.x.servers if s.name == victim)
        server.vanish()
        try:
            for s in victims.pop(victim):
                with pytest.raises(ConnectionResetError):
                    s.recv(1)
            for s in [s for other in victims.values() for s in other]:
                s.sendall(b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n")
                assert b"200 OK" in s.recv(4096)
        finally:
            server.reappear(lab.x.lan4, lab.x.lan6)


@pytest.mark.parametrize("v6", [False, True], ids=["ipv4", "ipv6"])
def test_all_servers_of_a_site_dead_and_back(lab, v6):
    lab.x.kill_servers()
    lab.x.wait_up(0)
    assert all_served(lab, v6=v6) == YSERVERS
    lab.x.revive_servers()
    lab.x.wait_up()
    assert all_served(lab, 40, v6) == XSERVERS


def test_no_server_anywhere_is_refused_not_silent(lab):
    lab.x.kill_servers()
    lab.y.kill_servers()
    lab.x.wait_up(0)
    lab.x.sees_up(0)
    before = lab.x.wlad.counter("no_server")
    out = lab.curl("-m", "3", "-w", "%{http_code} %{time_total}", lab.url(lab.x, "who"),
                   check=False)
    assert out.startswith("000 ")
    assert lab.x.wlad.counter("no_server") > before
    lab.x.revive_servers()
    lab.y.revive_servers()


def test_peer_killed(lab):
    """The other daemon dies without a word: local service does not notice."""
    lab.y.wlad.process.kill(signal.SIGKILL)
    try:
        end = time.monotonic() + 3
        while time.monotonic() < end:
            start = time.monotonic()
            assert lab.who(lab.x, timeout=2) in XSERVERS
            assert time.monotonic() - start < 1.0
        wait_for(lambda: lab.x.wlad.sites()["osaka"]["state"] != "up",
                 what="osaka no longer up at tokyo")
        assert all_served(lab) == XSERVERS
    finally:
        lab.y.wlad.start()


def test_peer_killed_while_it_serves(lab):
    """Its connections cannot be saved; the next ones are refused or served, but never hang."""
    lab.x.kill_servers()
    lab.x.wait_up(0)
    assert all_served(lab) == YSERVERS
    lab.y.wlad.process.kill(signal.SIGKILL)
    wait_for(lambda: lab.x.wlad.sites()["osaka"]["state"] != "up",
             what="osaka no longer up at tokyo")
    start = time.monotonic()
    out = lab.curl("-m", "5", lab.url(lab.x, "who"), check=False)
    assert out == ""
    assert lab.x.wlad.running()
    lab.y.wlad.start()
    lab.x.sees_up(3)
    assert all_served(lab) == YSERVERS  # osaka is back and serves for tokyo again
    assert time.monotonic() - start < 20
    lab.x.revive_servers()


def test_exchange_interrupted(lab):
    """The wide area between the sites is cut and comes back; both go on by themselves."""
    lab.y.gw.ip("link set wan down")
    try:
        wait_for(lambda: lab.x.wlad.sites()["osaka"]["services"] == [] or
                 lab.x.wlad.sites()["osaka"]["state"] != "up" or
                 lab.x.wlad.site_service("osaka", "web")["age_ms"] > 1500,
                 timeout=10, what="tokyo noticing")
        assert all_served(lab) == XSERVERS
    finally:
        lab.y.gw.ip("link set wan up",
                    "addr replace %s/64 dev wan nodad" % lab.y.wan6,
                    "route replace default via " + lab.y.hop4,
                    "route replace default via " + lab.y.hop6)
    lab.x.sees_up(3, timeout=40)
    lab.y.sees_up(3, timeout=40)


def test_stop_says_goodbye(lab):
    """SIGTERM: the other site knows at once, and the exit status is 0."""
    assert lab.y.wlad.stop() == 0
    wait_for(lambda: lab.x.wlad.sites()["osaka"]["state"] != "up", timeout=1.5,
             what="osaka gone at tokyo")
    assert all_served(lab) == XSERVERS
    lab.y.wlad.start()
