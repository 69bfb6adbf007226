"""PROXY headers as the protocol's description (proxy-protocol.txt, 2.2) has them, built here with
struct, and sequence numbers and checksums as scapy has them; by each rule."""

import random
import socket
import struct

import pytest
from scapy.layers.inet import TCP
from scapy.packet import Raw

import test_datapath_oracle as oracle
from test_datapath_oracle import CLIENT, SELF_Y, SERVER_X, SERVER_Y, SERVICE_X, SERVICE_Y, ip, one, parse, recomputed

DRIVER = oracle.DRIVER
pytestmark = oracle.pytestmark
SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")


def header(client, port, service, service_port):
    family = socket.AF_INET6 if ":" in client else socket.AF_INET
    addresses = socket.inet_pton(family, client) + socket.inet_pton(family, service)
    addresses += struct.pack(">HH", port, service_port)
    return SIGNATURE + struct.pack(">BBH", 0x21, 0x21 if ":" in client else 0x11,
                                   len(addresses)) + addresses


class Story:
    """Two sites under one of the rules; what the client and the server send, and get."""

    def __init__(self, driver, rule, family):
        self.driver, self.rule, self.family = driver, rule, family
        proxy = 'client_address = "proxy-v2";'
        extra = {"x": proxy if rule == 1 else "", "y": proxy}
        reply = {1: "auto", 2: "direct", 3: "transferor"}[rule]
        x = oracle.config("x", "y", SERVICE_X, SERVER_X, "192.0.2.1:7210", "192.0.2.2:7210",
                          extra=extra["x"])
        y = oracle.config("y", "x", SERVICE_Y, SERVER_Y, "192.0.2.2:7210", "192.0.2.1:7210",
                          f'self_addresses = [ "{SELF_Y[4]}", "{SELF_Y[6]}" ];', extra["y"])
        # the header is for TCP alone
        x, y = (c.replace(f'ports = [ 53 ]; {proxy}', "ports = [ 53 ];") for c in (x, y))
        x = x.replace('transfer = "192.0.2.2:7210";', f'transfer = "192.0.2.2:7210"; reply = "{reply}";')
        driver("site " + x)
        driver("site " + y)
        assert driver("link 0 1") == ["ok"]
        if rule != 1:
            oracle.make_remote(driver, "down")
        self.server = SERVER_X[family] if rule == 1 else SERVER_Y[family]
        self.site = 1 if rule == 2 else 0
        self.sport = random.randint(1024, 65535)

    def client(self, payload=b"", **tcp):
        packet = ip(self.family, CLIENT[self.family], SERVICE_X[self.family])
        packet /= TCP(sport=self.sport, dport=80, **tcp)
        packet /= Raw(payload)
        out = self.driver.device(0, packet)
        if self.rule != 1:
            assert out == []
            self.driver("carry 0 1")
            out = self.driver.packets(1)
        out = [parse(o[3]) for o in out]
        for o in out:
            assert bytes(o) == recomputed(o) and (o.dst, o[TCP].dport) == (self.server, 8080)
            self.self, self.port = o.src, o[TCP].sport
        return out

    def from_server(self, payload=b"", **tcp):
        packet = ip(self.family, self.server, self.self)
        packet /= TCP(sport=8080, dport=self.port, **tcp)
        out = parse(one(self.driver.device(self.site, packet / Raw(payload))))
        assert bytes(out) == recomputed(out)
        assert (out.src, out.dst, out[TCP].dport) == (SERVICE_X[self.family], CLIENT[self.family], self.sport)
        return out


@pytest.fixture(params=[1, 2, 3], ids=["own", "direct", "transferor"])
def rule(request):
    return request.param


@pytest.fixture
def driver():
    d = oracle.Driver()
    yield d
    d.close()


def options(value, echo):
    return [("NOP", None), ("NOP", None), ("Timestamp", (value, echo))]


@oracle.FAMILIES
@pytest.mark.parametrize("turn", range(10))
def test_life(driver, rule, family, turn):
    story = Story(driver, rule, family)
    wanted = header(CLIENT[family], story.sport, SERVICE_X[family], 80)
    h, x, s = len(wanted), random.getrandbits(32), random.getrandbits(32)
    ahead = 1 << 32

    def c(n):
        return (x + n) % ahead

    def sv(n):
        return (s + n) % ahead

    syn, = story.client(flags="S", seq=x, window=64240, options=[("MSS", 1460), ("SAckOK", b""), ("Timestamp", (100, 0))])
    assert syn[TCP].seq == c(-h) and syn[TCP].flags == "S" and dict(syn[TCP].options)["Timestamp"] == (100, 0)
    answer = story.from_server(flags="SA", seq=s, ack=c(1 - h), window=65160, options=[("MSS", 1400)])
    assert answer[TCP].ack == c(1) and answer[TCP].seq == s and answer[TCP].window == 65160 - h
    first, = story.client(flags="A", seq=c(1), ack=sv(1), window=502, options=options(101, 200))
    assert bytes(first[TCP].payload) == wanted
    assert (first[TCP].seq, first[TCP].ack, first[TCP].window) == (c(1 - h), sv(1), 502)
    assert dict(o for o in first[TCP].options if o[0] == "Timestamp")["Timestamp"] == (101, 200)
    # lost: the client's data reach the server first, which says by SACK what it has
    data = random.randbytes(random.randrange(1, 1300))
    out, = story.client(data, flags="PA", seq=c(1), ack=sv(1), options=options(102, 200))
    assert out[TCP].seq == c(1) and bytes(out[TCP].payload) == data
    packet = ip(family, story.server, story.self) / TCP(
        sport=8080, dport=story.port, flags="A", seq=sv(1), ack=c(1 - h), window=509,
        options=options(300, 101) + [("NOP", None), ("NOP", None), ("SAck", (c(1), c(1 + len(data))))])
    out = [parse(o[3]) for o in driver.device(story.site, packet)]
    if rule == 3:
        driver("carry 0 1")
        out = [parse(o[3]) for o in driver.packets(1)] + out
    again, raised = out
    assert bytes(again) == recomputed(again) and bytes(again[TCP].payload) == wanted
    assert (again.dst, again[TCP].seq, again[TCP].ack) == (story.server, c(1 - h), sv(1))
    assert dict(o for o in again[TCP].options if o[0] == "Timestamp")["Timestamp"] == (101, 300)
    assert raised[TCP].ack == c(1) and raised[TCP].options[-1] == ("SAck", (c(1), c(1 + len(data))))
    # from here on nothing is changed but addresses
    reply = story.from_server(b"hello", flags="PA", seq=sv(1), ack=c(1 + len(data)), window=509)
    assert (reply[TCP].ack, reply[TCP].window) == (c(1 + len(data)), 509)
    more = random.randbytes(500)
    out, = story.client(more, flags="PA", seq=c(1 + len(data)), ack=sv(6))
    assert (out[TCP].seq, out[TCP].ack) == (c(1 + len(data)), sv(6)) and bytes(out[TCP].payload) == more


@oracle.FAMILIES
def test_icmp_about_the_syn_and_the_header(driver, rule, family):
    """A router's word on what the client has never sent so: the quote has the client's numbers."""
    from scapy.layers.inet import ICMP, IP, TCPerror
    from scapy.layers.inet6 import ICMPv6DestUnreach, IPv6

    story = Story(driver, rule, family)
    h = 28 if family == 4 else 52
    syn, = story.client(flags="S", seq=1000)
    story.from_server(flags="SA", seq=9, ack=1001 - h)
    first, = story.client(flags="A", seq=1001, ack=10)
    data, = story.client(b"x" * 100, flags="A", seq=1001, ack=10)
    for about, seq in ((syn, 1000), (first, 1001), (data, 1001)):
        for length in (28 if family == 4 else 48, len(bytes(about))):
            quote = Raw(bytes(about)[:length])
            if family == 4:
                error = IP(src="10.2.0.1", dst=story.self) / ICMP(type=3, code=1) / quote
            else:
                error = IPv6(src="2001:db8:b1::1", dst=story.self) / ICMPv6DestUnreach(code=3) / quote
            out = parse(one(driver.device(story.site, error)))
            assert bytes(out) == recomputed(out)
            assert out.dst == CLIENT[family]
            assert out[TCPerror].seq == seq and out[TCPerror].sport == story.sport
            if length == len(bytes(about)):
                inner = out[ICMP].payload if family == 4 else out[ICMPv6DestUnreach].payload
                inner = parse(bytes(inner))
                assert inner[TCP].seq == seq
                if about is not syn:
                    fresh = inner.copy()
                    del fresh[TCP].chksum
                    assert parse(bytes(fresh))[TCP].chksum == inner[TCP].chksum
