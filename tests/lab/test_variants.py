"""Other configurations than the one that the other files use."""

import contextlib
import socket

import pytest

import capture
import daemon
from lab import EXCHANGE_PORT, TRANSFER_PORT, WEB_PORT

XSERVERS, YSERVERS = {"x1", "x2", "x3"}, {"y1", "y2", "y3"}


@pytest.fixture(scope="module")
def sites(wlad, net):
    """Servers and certificates; each test starts the daemons as it needs them."""
    net.start_servers()
    net.certify()
    return net


@pytest.fixture
def start(sites):
    def start(x=None, y=None, x_up=3):
        sites.x.wlad.start(x or sites.x.settings())
        sites.y.wlad.start(y or sites.y.settings())
        sites.x.wait_up(x_up)
        sites.y.wait_up()
        sites.x.sees_up(3)
        return sites
    yield start
    for site in sites.sites:
        site.wlad.stop()


def test_without_peers(sites, start):
    """One site alone: no certificates, no transfer, no load exchange."""
    settings = sites.x.settings()
    for key in ("peers", "load", "transfer"):
        del settings[key]
    sites.x.wlad.start(settings)
    sites.x.wait_up()
    assert set(sites.who_many(sites.x, 30)) == XSERVERS
    assert sites.x.wlad.show("sites")["sites"] == []


@pytest.mark.parametrize("v6", [False, True], ids=["ipv4", "ipv6"])
def test_site_without_servers(sites, start, v6):
    """prefer = "remote": an address that other sites serve."""
    settings = sites.x.settings()
    for service in settings["services"]:
        service["servers"] = []
        service["prefer"] = "remote"
    lab = start(settings, x_up=0)
    assert set(lab.who_many(lab.x, 30, v6)) == YSERVERS
    assert lab.dig(lab.x, v6=v6) in YSERVERS


@pytest.mark.parametrize("v6", [False, True], ids=["ipv4", "ipv6"])
def test_transfer_over_ipv6(sites, start, v6):
    """The sites talk over IPv6; clients of both families do not care."""
    def settings(site):
        other = sites.other(site)
        settings = site.settings()
        settings["transfer"]["listen"] = "[%s]:%d" % (site.wan6, TRANSFER_PORT)
        settings["load"]["listen"] = "[%s]:%d" % (site.wan6, EXCHANGE_PORT)
        settings["peers"][0]["transfer"] = "[%s]:%d" % (other.wan6, TRANSFER_PORT)
        settings["peers"][0]["load"] = "[%s]:%d" % (other.wan6, EXCHANGE_PORT)
        return settings
    lab = start(settings(sites.x), settings(sites.y))
    lab.x.kill_servers()
    try:
        lab.x.wait_up(0)
        seen = capture.Capture(lab.x.gw, "wan", "udp or tcp")
        assert set(lab.who_many(lab.x, 30, v6)) == YSERVERS
        sealed = [p for p in seen.stop() if p.protocol == "udp" and p.dport == TRANSFER_PORT]
        ends = {lab.x.wan6, lab.y.wan6}
        assert sealed and all({p.source, p.destination} == ends for p in sealed)
        assert lab.download_sum(lab.x, "part", v6) == lab.content.part_sum
    finally:
        lab.x.revive_servers()


def test_prohibited(sites, start):
    """transfer = "prohibit": osaka takes no connections from others, though it could."""
    settings = sites.y.settings()
    for service in settings["services"]:
        service["transfer"] = "prohibit"
    lab = start(y=settings)
    assert lab.x.wlad.site_service("osaka", "web")["permitted"] is False
    lab.x.kill_servers()
    try:
        lab.x.wait_up(0)
        assert lab.curl("-m", "3", lab.url(lab.x, "who"), check=False) == ""
        assert lab.x.wlad.counter("transfer_packets_out") == 0
        assert lab.who(lab.y) in YSERVERS
    finally:
        lab.x.revive_servers()


@pytest.mark.parametrize("scheduler", ["twos", "rr", "wrr"])
def test_schedulers(sites, start, scheduler):
    """A server of weight 3 gets three times as many as one of weight 1."""
    settings = sites.x.settings()
    web = settings["services"][0]
    web["scheduler"] = scheduler
    for server, weight in zip(web["servers"], (1, 1, 3)):
        server["weight"] = weight
    lab = start(settings)
    names = lab.who_many(lab.x, 100)
    counts = {n: names.count(n) for n in XSERVERS}
    assert sum(counts.values()) == 100
    if scheduler == "rr":  # takes turns, whatever the weight
        assert max(counts.values()) - min(counts.values()) <= 1
    elif scheduler == "wrr":
        assert counts == {"x1": 20, "x2": 20, "x3": 60}
    else:
        assert counts["x3"] > max(counts["x1"], counts["x2"])


def test_weight_zero(sites, start):
    settings = sites.x.settings()
    settings["services"][0]["servers"][0]["weight"] = 0
    lab = start(settings)
    assert set(lab.who_many(lab.x, 40)) == XSERVERS - {"x1"}


def test_several_ports(sites, start):
    """A server without a port gets the one that the client asked for."""
    settings = sites.x.settings()
    web = settings["services"][0]
    web["ports"] = [80, 8080]
    lab = start(settings)
    for port in (80, 8080):
        assert lab.curl("-m", "5", "http://%s:%d/who" % (lab.x.v4, port)).strip() in XSERVERS
    for server in web["servers"]:
        del server["port"]
    web["ports"] = [8080]
    lab.x.wlad.stop()
    lab.x.wlad.start(settings)
    lab.x.wait_up()
    assert lab.curl("-m", "5", "http://%s:8080/who" % lab.x.v4).strip() in XSERVERS


def test_servers_of_one_family(sites, start):
    """Tokyo's servers know IPv4 only: its IPv6 clients are served by osaka."""
    settings = sites.x.settings()
    for service in settings["services"]:
        for server in service["servers"]:
            server["address"] = server["address"][0]
    lab = start(settings)
    assert set(lab.who_many(lab.x, 30)) == XSERVERS
    assert set(lab.who_many(lab.x, 30, v6=True)) == YSERVERS


@pytest.mark.parametrize("rule,error", [("reset", ConnectionResetError), ("drop", TimeoutError)])
def test_packets_of_unknown_connections(sites, start, rule, error):
    """After a restart connections are unknown: on_unknown says what their clients see."""
    settings = sites.x.settings()
    settings["services"][0]["on_unknown"] = rule
    lab = start(settings)
    with lab.client.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
        s.settimeout(2)
        s.connect((lab.x.v4, WEB_PORT))
        s.sendall(b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in s.recv(4096)
        lab.x.wlad.stop()
        lab.x.wlad.start()
        lab.x.wait_up()
        s.sendall(b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(error):
            s.recv(4096)
    assert lab.who(lab.x) in XSERVERS


def test_full_table(sites, start):
    """More connections than the smallest table holds: refused and counted; the others live."""
    settings = sites.x.settings()
    settings["limits"] = {"connections": 1024}
    lab = start(settings)
    with contextlib.ExitStack() as held:
        def connect():
            s = held.enter_context(lab.client.socket(socket.AF_INET, socket.SOCK_STREAM))
            s.settimeout(0.5)
            s.connect((lab.x.v4, WEB_PORT))
            return s
        connections = [connect() for _ in range(1000)]
        with pytest.raises(OSError):
            for _ in range(100):
                connect()
        assert lab.x.wlad.counter("table_full") > 0
        assert lab.x.wlad.show("summary")["connections"] <= 1024
        for s in connections:
            s.settimeout(3)
            s.sendall(b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"200 OK" in s.recv(4096)


def test_mtu_of_the_path(sites, start):
    """transfer.mtu below the links': transfer packets keep to it."""
    x, y = sites.x.settings(), sites.y.settings()
    x["transfer"]["mtu"] = y["transfer"]["mtu"] = 1400
    lab = start(x, y)
    lab.x.kill_servers()
    try:
        lab.x.wait_up(0)
        seen = capture.Capture(lab.client, "eth0", "tcp")
        assert set(lab.who_many(lab.x, 5)) <= YSERVERS
        mss = {p.mss for p in seen.stop() if p.flags == "SA"}
        assert mss and max(mss) <= 1400 - 68 - 40
    finally:
        lab.x.revive_servers()


def test_check_of_the_configuration_in_use(sites):
    """`wlad -n` agrees with what the daemon accepts."""
    for site in sites.sites:
        site.wlad.write(site.settings(max_connections=100))
        assert daemon.check(site.wlad.conf)[0] == 0
