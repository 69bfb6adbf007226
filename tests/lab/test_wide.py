"""Rule 2 and rule 3 across a wide area that is one: every connection to tokyo, which has no
servers, is served by osaka, whose link goes through the relay.

WLAD_WIDE_MIB says how much is transferred where the area is rough (128; 1024 is a good night's
run)."""

import collections
import contextlib
import os
import resource
import socket

import pytest

import capture
import conftest
import servers
import wide
from lab import CLIENT4, CLIENT6, EXCHANGE_PORT, TRANSFER_PORT, WEB_PORT
from netns import wait_for

FAMILIES = pytest.mark.parametrize("v6", [False, True], ids=["ipv4", "ipv6"])
YSERVERS = {"y1", "y2", "y3"}
MIB = int(os.environ.get("WLAD_WIDE_MIB", "128"))
ROUGH = ("delay=0.2", "loss=0.01", "reorder=0.01", "distance=3")
MANY = 1000


@pytest.fixture(scope="module")
def net(wlad, directory, content):
    if not wide.built():
        pytest.skip("no tests/lab/wan in WLAD_BUILDDIR")
    sites = wide.WideSites(directory, content)
    try:
        sites.add_inner()
        sites.start_spilling("direct")
        sites.reply = "direct"
        yield sites
    except Exception:
        print(sites.report())
        raise
    finally:
        sites.close()


@pytest.fixture(scope="module", params=["direct", "transferor"])
def rule(net, request):
    """Tokyo's daemon with that reply."""
    if net.reply != request.param:
        net.restart(net.x, request.param)
        net.reply = request.param
    return request.param


@pytest.fixture(scope="module")
def piece(content):
    """(name, path, SHA-256) of what is transferred, both ways."""
    if MIB >= 1024:
        return "big", content.big, content.big_sum
    path, digest = conftest.cut(content, "piece", MIB)
    return "piece", path, digest


@pytest.fixture
def rough(net):
    """Osaka's link is bad in both directions, and that was noticed."""
    net.relays["y"].set(*ROUGH)
    yield net
    counters = net.relays["y"].set()
    for way in ("in", "out"):
        assert counters[way]["lost"] > 20 and counters[way]["reordered"] > 20


def grown(net, name):
    """How much a counter of tokyo's has grown when the returned function is called."""
    before = net.x.wlad.counter(name)
    return lambda: net.x.wlad.counter(name) - before


@FAMILIES
def test_served_by_the_other_site(net, rule, v6):
    transferred, relayed = grown(net, "connections_transferred"), grown(net, "connections_relayed")
    names = collections.Counter(net.who_many(net.x, 60, v6))
    assert set(names) == YSERVERS and sum(names.values()) == 60
    assert transferred() == 60
    assert relayed() == (60 if rule == "transferor" else 0)


def test_download_through_a_rough_area(net, rule, piece, rough):
    name, _, digest = piece
    assert net.download_sum(net.x, name, timeout=30 + MIB) == digest


def test_upload_through_a_rough_area(net, rule, piece, rough):
    _, path, digest = piece
    net.upload(net.x, path, "rough", timeout=30 + MIB)
    server, got = net.upload_found("rough")
    assert got == digest and server.name in YSERVERS


@FAMILIES
def test_many_connections_through_a_rough_area(net, rule, rough, v6):
    files = net.parallel(net.x, 100, v6=v6)
    assert len(files) == 100
    assert all(servers.sha256(f) == net.content.part_sum for f in files)


class Web:
    """A connection of the client's to tokyo's web service."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.settimeout(10)
        self.socket.connect((address, WEB_PORT))

    def ask(self):
        self.socket.sendall(b"GET /who HTTP/1.1\r\nHost: lab\r\n\r\n")

    def answer(self):
        """The server's name."""
        data = b""
        while not data.endswith(b"\n") or b"\r\n\r\n" not in data:
            piece = self.socket.recv(4096)
            assert piece, "closed after %r" % data
            data += piece
        return data.rpartition(b"\r\n\r\n")[2].decode().strip()


def test_a_thousand_connections_at_once(net, rule):
    """All open at the same time, each with a server that stays its own."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    with contextlib.ExitStack() as held:
        held.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        with net.client.entered():
            webs = [Web(net.x.v4) for _ in range(MANY)]
        for web in webs:
            held.callback(web.socket.close)
        answers = []
        for _ in range(2):
            for web in webs:
                web.ask()
            answers.append([web.answer() for web in webs])
        shown = net.x.wlad.connections("kind", "transferred", "state", "established",
                                       "limit", "10000") if rule == "transferor" else \
            net.y.wlad.connections("kind", "received", "state", "established", "limit", "10000")
    assert answers[0] == answers[1]
    counts = collections.Counter(answers[0])
    assert set(counts) == YSERVERS and min(counts.values()) > MANY // 6
    assert len(shown) >= MANY


@FAMILIES
def test_dns(net, rule, v6):
    assert {net.dig(net.x, v6=v6) for _ in range(30)} == YSERVERS
    assert len(net.dig(net.x, "large.lab", v6, ["+bufsize=1200", "+ignore"])) > 1000


@FAMILIES
def test_udp(net, rule, v6):
    """Several clients' ports at the same time; each gets back what it sent."""
    family, address = (socket.AF_INET6, net.x.v6) if v6 else (socket.AF_INET, net.x.v4)
    with contextlib.ExitStack() as held:
        clients = []
        for _ in range(20):
            s = held.enter_context(net.client.socket(family, socket.SOCK_DGRAM))
            s.settimeout(3)
            s.connect((address, wide.ECHO_PORT))
            clients.append(s)
        for size in (0, 1, 100, 1200):
            data = [bytes([i]) * size for i in range(len(clients))]
            for s, d in zip(clients, data):
                s.send(d)
            assert [s.recv(2000) for s in clients] == data


def between(p, a, b):
    return {p.source, p.destination} == {a, b}


class Watch:
    """What went over a link while clients were served, sorted by what it is."""

    def __init__(self, net, v6, client=None):
        self.net, self.v6 = net, v6
        self.client = client or (CLIENT6 if v6 else CLIENT4)
        self.service = net.x.v6 if v6 else net.x.v4
        self.servers = {s.v6 if v6 else s.v4 for s in net.y.servers}

    def kind(self, p):
        x, y = self.net.x.wan4, self.net.y.wan4
        if between(p, x, y) and p.protocol == "tcp" and EXCHANGE_PORT in (p.sport, p.dport):
            return "exchange"
        if between(p, x, y) and (p.protocol, p.sport, p.dport) == ("udp", TRANSFER_PORT,
                                                                   TRANSFER_PORT):
            return "transfer" if p.source == x else "answer to a probe"
        if p.protocol == "udp" and p.dport == TRANSFER_PORT and (p.source, p.destination) in (
                (self.net.x.v4, x), (self.net.y.v4, y)):
            return "direct-reply probe"
        return self._kind_of_connection(p)

    def _kind_of_connection(self, p):
        if (p.source, p.destination, p.dport) == (self.client, self.service, WEB_PORT):
            return "client > service"
        if (p.source, p.destination, p.sport) == (self.service, self.client, WEB_PORT):
            return "service > client"
        if p.source in self.servers and p.destination == self.service and p.dport != WEB_PORT:
            return "server > relay port"
        return repr(p)

    def count(self, packets):
        """(kinds without what the sites say among themselves, data octets by kind)."""
        kinds, octets = collections.Counter(), collections.Counter()
        for p in packets:
            kinds[self.kind(p)] += 1
            octets[self.kind(p)] += p.length
        for talk in ("exchange", "answer to a probe", "direct-reply probe"):
            kinds.pop(talk, None)
        return kinds, octets


def served_while_watched(net, v6):
    """Downloads while every link is looked at: [at X, at Y, at the client, at Y's servers]."""
    captures = [capture.Capture(ns, device) for ns, device in (
        (net.x.gw, "wan"), (net.y.gw, "wan"), (net.client, "eth0"))]
    captures.append(capture.Capture(net.y.gw, "lan", "tcp port 8080"))
    net.who_many(net.x, 5, v6)
    for f in net.parallel(net.x, 20, v6=v6):
        assert servers.sha256(f) == net.content.part_sum
    return [c.stop() for c in captures]


@FAMILIES
def test_where_replies_go(net, rule, v6):
    """Rule 2: from osaka to the client under tokyo's address, and tokyo never sees them.  Rule 3:
    from the server under its own address to a port of tokyo's address, and from tokyo to the
    client.  Nothing else is on the links."""
    watch = Watch(net, v6)
    at_x, at_y, at_client, at_servers = served_while_watched(net, v6)
    data = 20 * servers.PART
    x, x_octets = watch.count(at_x)
    y, y_octets = watch.count(at_y)
    client, client_octets = watch.count(at_client)
    assert set(client) == {"client > service", "service > client"}
    assert client_octets["service > client"] > data
    if rule == "direct":
        assert set(x) == {"client > service", "transfer"}
        assert set(y) == {"transfer", "service > client"}
        assert y_octets["service > client"] > data
        senders = {net.y.self6 if v6 else net.y.self4}
    else:
        assert set(x) == {"client > service", "transfer", "server > relay port",
                          "service > client"}
        assert set(y) == {"transfer", "server > relay port"}
        assert y_octets["server > relay port"] > data
        assert x_octets["service > client"] > data
        senders = {watch.service}
    # whom its servers see as the client; osaka's checks are of no interest
    asked = [p for p in at_servers if p.dport == 8080 and
             p.source not in (net.y.lan4, net.y.lan6)]
    assert asked and {p.source for p in asked} == senders
    assert {p.destination for p in asked} == watch.servers


def test_each_relayed_connection_has_its_port(net, rule):
    """Rule 3: what a server sees as the client's port is where its packets arrive at tokyo."""
    seen = capture.Capture(net.x.gw, "wan", "tcp")
    net.who_many(net.x, 20)
    ports = {p.dport for p in seen.stop() if p.source.startswith("10.2.0.")}
    if rule == "direct":
        assert ports == set()
    else:
        assert len(ports) == 20 and WEB_PORT not in ports and EXCHANGE_PORT not in ports


@FAMILIES
def test_client_in_the_transferors_network(net, rule, v6):
    """The seed's Fig. 15: nothing is different for it."""
    url = net.url(net.x, "who", v6)
    watch = Watch(net, v6, wide.INNER6 if v6 else wide.INNER4)
    at_x, at_y = capture.Capture(net.x.gw, "wan"), capture.Capture(net.y.gw, "wan")
    out = net.inner.run("curl", "-sS", "-g", "-m", "10", "-H", "Connection: close", *[url] * 20)
    names = out.split()
    assert len(names) == 20 and set(names) == YSERVERS
    x, y = watch.count(at_x.stop())[0], watch.count(at_y.stop())[0]
    if rule == "direct":
        # back by tokyo's link, as packets for anybody in its network; wlad has no part in it
        assert set(x) == set(y) == {"transfer", "service > client"}
    else:
        assert set(x) == set(y) == {"transfer", "server > relay port"}


def test_connections_are_shown_with_their_rule(net, rule):
    with net.client.entered():
        web = Web(net.x.v4)
    with web.socket:
        web.ask()
        name = web.answer()
        server = next(s for s in net.y.servers if s.name == name)
        client = "%s:%d" % web.socket.getsockname()
        at_x, at_y = [[c for c in site.wlad.connections("limit", "10000")
                       if c["client"] == client] for site in net.sites]
    assert [c["kind"] for c in at_x] == ["transferred"] and at_x[0]["transferee"] == "osaka"
    assert [c["kind"] for c in at_y] == ["received"] and at_y[0]["transferor"] == "tokyo"
    assert at_y[0]["server"] == "%s:8080" % server.v4
    assert at_x[0]["rule"] == at_y[0]["rule"] == (3 if rule == "transferor" else 2)
    if rule == "transferor":
        assert at_x[0]["relay_port"] == at_y[0]["relay_port"] != 0
        assert at_y[0]["self"] == "%s:%d" % (net.x.v4, at_x[0]["relay_port"])
        assert at_x[0]["server"] == "%s:8080" % server.v4
    else:
        assert at_y[0]["self"].startswith(net.y.self4 + ":")


def test_ends_are_known_at_both_sites(net, rule):
    """Whoever sees both directions tells the other: no record waits for hours."""
    net.who_many(net.x, 50)
    for site in net.sites:
        wait_for(lambda: [c for c in site.wlad.connections("state", "established", "limit", "10000")
                          if c["protocol"] == "tcp"] == [], what="none left at " + site.name)
