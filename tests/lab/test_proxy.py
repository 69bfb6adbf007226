"""PROXY headers into real receivers: nginx logs the true client, HAProxy passes it on, a server
that speaks first greets it.  By rule 1 (osaka's clients), and by rules 2 and 3 (tokyo's, which has
no servers), where osaka's link is a wide area.

WLAD_WIDE_MIB says how much is transferred where the area is rough (16; 1024 is a good night's
run)."""

import os
import shutil
import socket
import sys

import pytest

import conftest
import servers
import wide
from lab import CLIENT4, CLIENT6, FAST_CHECK
from netns import wait_for

FAMILIES = pytest.mark.parametrize("v6", [False, True], ids=["ipv4", "ipv6"])
MIB = int(os.environ.get("WLAD_WIDE_MIB", "16"))
ROUGH = ("delay=0.2", "loss=0.01", "reorder=0.01", "distance=3")
PROXIED, GREETED, HAPROXY = 81, 25, 83
GREETER_PORT, HAPROXY_PORT = 2525, 8091
YSERVERS = {"y1", "y2", "y3"}
SPEAKS_FIRST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "speaks_first.py")

HAPROXY_CONF = """
global
    maxconn 1000
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend in
    bind :::%d v4v6 accept-proxy
    http-response set-header X-Client "%%[src] %%[src_port]"
    default_backend nginx
backend nginx
    server local 127.0.0.1:8080
"""


class Sites(wide.WideSites):
    """With three services more, whose servers want the header."""

    def settings(self, site, reply="auto"):
        settings = super().settings(site, reply)
        web = {"type": "http", "path": "/who"}  # asked behind a header that names nobody
        for name, port, target, check in (("proxied", PROXIED, servers.PROXY_PORT, web),
                                          ("greeted", GREETED, GREETER_PORT, {}),
                                          ("haproxy", HAPROXY, HAPROXY_PORT, web)):
            own = [] if site is self.x else \
                [{"name": s.name, "address": [s.v4, s.v6], "port": target} for s in site.servers]
            settings["services"].append({
                "name": name, "address": [site.v4, site.v6], "ports": [port],
                "prefer": "remote" if site is self.x else "local",
                "client_address": "hide" if site is self.x else "proxy-v2",
                "check": dict(FAST_CHECK, **check), "servers": own})
        return settings

    def start_spilling(self, reply="auto", timeout=10.0):
        for s in self.y.servers:
            s.ns.start(sys.executable, SPEAKS_FIRST, str(GREETER_PORT))
            if shutil.which("haproxy"):
                conf = self.net.path("haproxy-%s.cfg" % s.name)
                with open(conf, "w") as f:
                    f.write(HAPROXY_CONF % HAPROXY_PORT)
                s.ns.start("haproxy", "-db", "-f", conf)
        return super().start_spilling(reply, timeout)

    def ready_spilling(self, timeout=10.0):
        super().ready_spilling(timeout)
        for name in ["proxied", "greeted"] + (["haproxy"] if shutil.which("haproxy") else []):
            self.y.wait_up(service=name, timeout=timeout)
            wait_for(lambda: self.x.wlad.site_service("osaka", name)["candidate"], timeout,
                     "osaka a candidate for " + name)


@pytest.fixture(scope="module")
def net(wlad, directory, content):
    if not wide.built():
        pytest.skip("no tests/lab/wan in WLAD_BUILDDIR")
    sites = Sites(directory, content, dns=False)
    try:
        sites.start_spilling("direct")
        sites.reply = "direct"
        yield sites
    except Exception:
        print(sites.report())
        raise
    finally:
        sites.close()


@pytest.fixture(scope="module", params=["local", "direct", "transferor"])
def site(net, request):
    """Whose clients they are: osaka's (rule 1), tokyo's (rules 2 and 3)."""
    if request.param == "local":
        return net.y
    if net.reply != request.param:
        net.restart(net.x, request.param)
        net.reply = request.param
    return net.x


def sees_both(net, site):
    """The site that puts the headers there."""
    return net.x if site is net.x and net.reply == "transferor" else net.y


def url(site, path, v6, port=PROXIED):
    return "http://%s:%d/%s" % ("[%s]" % site.v6 if v6 else site.v4, port, path)


def logged(net, count):
    """The lines of all nginxes' logs of what came with a header, once there are so many."""
    def lines():
        found = []
        for s in net.y.servers:
            with open(s.proxied) as f:
                found += [line for line in f.read().splitlines() if " /proxied " in line]
        return found
    wait_for(lambda: len(lines()) >= count, what="%d lines of logs" % count)
    return lines()


@pytest.fixture
def rough(net):
    """Osaka's link is bad in both directions, and that was noticed."""
    net.relays["y"].set(*ROUGH)
    yield net
    counters = net.relays["y"].set()
    for way in ("in", "out"):
        assert counters[way]["lost"] > 2 and counters[way]["reordered"] > 2


@pytest.fixture(scope="module")
def piece(content):
    """(name, path, SHA-256) of what is transferred, both ways."""
    if MIB >= 1024:
        return "big", content.big, content.big_sum
    path, digest = conftest.cut(content, "piece", MIB)
    return "piece", path, digest


@FAMILIES
def test_nginx_logs_the_true_client(net, site, v6):
    for s in net.y.servers:
        open(s.proxied, "w").close()
    ports = set()
    for _ in range(10):
        out = net.curl("-m", "5", "-w", "%{local_port}", url(site, "proxied", v6)).split()
        assert out[0] == (CLIENT6 if v6 else CLIENT4) and out[1] == out[2]
        ports.add(out[1])
    lines = [line.split() for line in logged(net, 10)]
    assert len(lines) == 10 and len(ports) == 10 and {line[1] for line in lines} == ports
    assert {line[0] for line in lines} == {CLIENT6 if v6 else CLIENT4}
    assert {(line[2], line[3]) for line in lines} == {(site.v6 if v6 else site.v4, str(PROXIED))}
    assert {line[4] for line in lines}.isdisjoint({CLIENT4, CLIENT6})


@FAMILIES
def test_download(net, site, v6, piece, rough):
    name, _, digest = piece
    path = net.net.path("downloaded")
    net.curl("-f", "-m", str(60 + MIB), "-o", path, url(site, name, v6), timeout=70 + MIB)
    assert servers.sha256(path) == digest
    os.unlink(path)


@FAMILIES
def test_upload(net, site, v6, piece, rough):
    _, path, digest = piece
    net.curl("-f", "-m", str(60 + MIB), "-T", path, url(site, "upload/proxied", v6),
             timeout=70 + MIB)
    server, got = net.upload_found("proxied")
    assert got == digest and server.name in YSERVERS


@FAMILIES
def test_headers_are_lost(net, site, v6):
    """A tenth of what goes to the servers is lost, as many headers among it: each connection gets
    its own, or it would be refused."""
    by = sees_both(net, site)
    before = by.wlad.counter("proxy_headers"), by.wlad.counter("proxy_headers_repeated")
    end = wide.lose(net.y.gw, "lan", 0.1)
    urls = [url(site, "proxied", v6)] * 100
    try:
        out = net.curl("-m", "60", "-Z", "--parallel-max", "50", "-H", "Connection: close",
                       *urls, timeout=90).split("\n")
    finally:
        lost = end()
    answers = [line.split() for line in out if line]
    # the client may take a port again
    assert len(answers) == 100 and len({a[1] for a in answers}) >= 80
    assert {a[0] for a in answers} == {CLIENT6 if v6 else CLIENT4}
    assert lost > 10
    assert by.wlad.counter("proxy_headers") - before[0] == 100
    assert by.wlad.counter("proxy_headers_repeated") - before[1] > 2


@FAMILIES
def test_many_connections_through_a_rough_area(net, site, rough, v6):
    out = net.curl("-m", "60", "-Z", "--parallel-max", "50", "-H", "Connection: close",
                   *[url(site, "proxied", v6)] * 300, timeout=90).split("\n")
    answers = [line.split() for line in out if line]
    assert len(answers) == 300 and {a[0] for a in answers} == {CLIENT6 if v6 else CLIENT4}


@FAMILIES
def test_server_that_speaks_first(net, site, v6):
    """The greeting is there although the client has not said a word."""
    family, address = (socket.AF_INET6, site.v6) if v6 else (socket.AF_INET, site.v4)
    for size in (1, 1000, 300000):
        with net.client.socket(family, socket.SOCK_STREAM) as s:
            s.settimeout(10)
            s.connect((address, GREETED))
            name, port = s.getsockname()[:2]
            assert s.recv(100) == b"220 %s %d\r\n" % (name.encode(), port)
            data, got = os.urandom(size), b""
            s.sendall(data)
            while len(got) < size:
                got += s.recv(65536)
            assert got == data


@FAMILIES
def test_haproxy_passes_the_client_on(net, site, v6):
    if not shutil.which("haproxy"):
        pytest.skip("needs haproxy")
    for _ in range(5):
        out = net.curl("-m", "5", "-D", "-", "-w", "\n%{local_port}",
                       url(site, "who", v6, HAPROXY))
        port = out.split()[-1]
        line = next(li for li in out.lower().splitlines() if li.startswith("x-client:"))
        assert line.split()[1:] == [CLIENT6 if v6 else CLIENT4, port]


def test_shown(net):
    assert net.y.wlad.service("proxied")["client_address"] == "proxy-v2"
    assert net.y.wlad.service("web")["client_address"] == "hide"


def test_nothing_refused(net):
    """None of all these packets was taken for one that would forge a header."""
    for site in net.sites:
        assert site.wlad.counter("proxy_header") == 0
