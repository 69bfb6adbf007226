"""Fragments through whole datapaths: any order, both ways, both families, transferred ones too.

What must come out is made here: the whole datagram with the other addresses, ports and scapy's
checksum, cut at the same places.
"""

import random

import pytest
from scapy.layers.inet import IP, TCP, UDP, IPOption_NOP, IPOption_Router_Alert, IPOption_RR
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop
from scapy.packet import Raw

from hostile import Hostile, flags_of
from test_datapath_oracle import (CLIENT, DRIVER, FAMILIES, SELF_Y, SERVER_X, SERVER_Y, SERVICE_X, SERVICE_Y,
                                  driver, ip, make_remote, one, parse, partial,
                                  sites)  # noqa: F401 (fixtures)
from wladproto import DEMAND, FRAGMENT, ICMP, PARTIAL

pytestmark = pytest.mark.skipif(not DRIVER, reason="no datapath driver")

CLIENT_PORT = 5353
MTU = 1500 - 68
TIMEOUT_MS = 2000


def udp(family, source, sport, destination, dport, payload):
    """The octets of a UDP datagram with its checksum, without an IP header."""
    head = IP if family == 4 else IPv6
    whole = bytes(head(src=source, dst=destination) / UDP(sport=sport, dport=dport) / Raw(payload))
    return whole[20 if family == 4 else 40:]


def fragment(family, source, destination, data, start, end, more, number, ttl=64, protocol=17, df=False):
    """One fragment: octets start to end of the data."""
    assert start % 8 == 0
    if family == 4:
        flags = ("MF" if more else "") + ("+DF" if df and more else "DF" if df else "")
        return bytes(IP(src=source, dst=destination, ttl=ttl, id=number & 0xffff, frag=start // 8, flags=flags, proto=protocol) /
                     Raw(data[start:end]))
    return bytes(IPv6(src=source, dst=destination, hlim=ttl) /
                 IPv6ExtHdrFragment(offset=start // 8, m=int(more), id=number, nh=protocol) / Raw(data[start:end]))


def cut(family, source, destination, data, size, number, ttl=64, protocol=17):
    """All fragments of a datagram in order."""
    assert size % 8 == 0
    return [fragment(family, source, destination, data, at, min(at + size, len(data)), at + size < len(data), number, ttl, protocol)
            for at in range(0, len(data), size)]


def outputs(packets):
    for gso, size, is_partial, _ in packets:
        assert (gso, size, is_partial) == (0, 0, 0)
    return [octets for _, _, _, octets in packets]


def drops(driver, site):  # noqa: F811
    return {name[5:]: n for name, n in driver.counters(site).items() if name.startswith("drop.")}


def reassemble(packets):
    """(source, destination, data) of fragments that must all belong to one datagram."""
    pieces, names, last = {}, set(), None
    for octets in packets:
        p = parse(octets)
        if isinstance(p, IP):
            assert sum(int.from_bytes(octets[i:i + 2], "big") for i in range(0, p.ihl * 4, 2)) % 0xffff == 0
            names.add((p.src, p.dst, p.id, p.proto))
            start, more, data = p.frag * 8, "MF" in str(p.flags), octets[p.ihl * 4:p.len]
        else:
            f = p[IPv6ExtHdrFragment]
            names.add((p.src, p.dst, f.id, f.nh))
            start, more, data = f.offset * 8, bool(f.m), bytes(f.payload)
        assert start not in pieces
        pieces[start] = data
        if not more:
            assert last is None
            last = start
    assert len(names) == 1
    whole = b""
    for start in sorted(pieces):
        assert start == len(whole)
        whole += pieces[start]
    assert last == max(pieces)
    source, destination, _, _ = names.pop()
    return source, destination, whole


class Flow:
    """A UDP connection to the service of X."""

    def __init__(self, driver, family, remote=False, client_port=CLIENT_PORT):  # noqa: F811
        self.driver, self.family, self.remote, self.client_port = driver, family, remote, client_port
        self.client, self.service = CLIENT[family], SERVICE_X[family]
        self.server = (SERVER_Y if remote else SERVER_X)[family]
        self.self = SELF_Y[family] if remote else self.service
        self.at = 1 if remote else 0
        if remote:
            make_remote(driver, "down")
        driver.device(0, ip(family, self.client, self.service) / UDP(sport=client_port, dport=53) / Raw(b"question"))
        if remote:
            driver("carry 0 1")
        client = f"{self.client}:{client_port}" if family == 4 else f"[{self.client}]:{client_port}"
        (port,) = (c[5].rsplit(":", 1)[1] for c in driver.connections(self.at) if c[3] == client)
        self.port = int(port)
        driver.packets(self.at)

    def datagrams(self, payload):
        """UDP as C > L, A > S, S > A and L > C."""
        client, service = (self.client, self.client_port), (self.service, 53)
        own, server = (self.self, self.port), (self.server, 53)
        return [udp(self.family, *a, *b, payload) for a, b in ((client, service), (own, server), (server, own), (service, client))]

    def sent(self, payload, size, number):
        """What the client sends, and what the server must get."""
        came, wanted, _, _ = self.datagrams(payload)
        return (cut(self.family, self.client, self.service, came, size, number),
                cut(self.family, self.self, self.server, wanted, size, number, 62 if self.remote else 63))

    def answered(self, payload, size, number):
        """What the server sends, and what the client must get."""
        _, _, came, wanted = self.datagrams(payload)
        return (cut(self.family, self.server, self.self, came, size, number),
                cut(self.family, self.service, self.client, wanted, size, number, 63))


def payload_of(rng, length):
    return rng.randbytes(length)


@FAMILIES
@pytest.mark.parametrize("length", [10, 1472, 1480, 1473, 8192, 60000])
def test_in_order_both_ways(sites, family, length):
    rng = random.Random(length)
    flow = Flow(sites, family)
    size = 8 if length == 10 else 1448
    for way in (flow.sent, flow.answered):
        came, wanted = way(payload_of(rng, length), size, 77)
        assert len(came) > 1
        for octets, expected in zip(came, wanted):
            assert outputs(sites.device(0, octets)) == [expected]
    assert drops(sites, 0) == {} and "fragments_held" not in sites.counters(0)


@FAMILIES
@pytest.mark.parametrize("seed", range(8))
def test_any_order(sites, family, seed):
    """Early ones wait for the first and come right behind it, in the order in which they came."""
    rng = random.Random(seed)
    flow = Flow(sites, family)
    for number in range(10):
        way = rng.choice((flow.sent, flow.answered))
        came, wanted = way(payload_of(rng, rng.randrange(100, 9000)), 8 * rng.randrange(20, 180), rng.getrandbits(32))
        order = list(range(len(came)))
        rng.shuffle(order)
        if seed == 0:
            order.reverse()
        out, waiting = [], []
        for i in order:
            got = outputs(sites.device(0, came[i]))
            if 0 not in order[:order.index(i) + 1]:
                assert got == []
                waiting.append(i)
            elif i == 0:
                assert got == [wanted[0]] + [wanted[w] for w in waiting]
            else:
                assert got == [wanted[i]]
            out += got
        assert sorted(out) == sorted(wanted)
    assert drops(sites, 0) == {}


@FAMILIES
def test_many_datagrams_mixed(sites, family):
    """Interleaved datagrams of many clients and both directions do not mix."""
    rng = random.Random(family)
    flows = [Flow(sites, family, client_port=6000 + i) for i in range(4)]
    packets, wanted = [], []
    for number in range(60):
        flow = rng.choice(flows)
        came, expected = rng.choice((flow.sent, flow.answered))(payload_of(rng, rng.randrange(100, 3000)), 512, number)
        packets += came
        wanted += expected
    rng.shuffle(packets)
    out = []
    for octets in packets:
        out += outputs(sites.device(0, octets))
    assert sorted(out) == sorted(wanted)
    assert drops(sites, 0) == {}


@FAMILIES
def test_first_fragment_opens(sites, family):
    """A fragmented datagram opens a connection with its first fragment, whatever came before it."""
    client, service = CLIENT[family], SERVICE_X[family]
    data = udp(family, client, 6000, service, 53, b"z" * 3000)
    came = cut(family, client, service, data, 1448, 5)
    assert sites.device(0, came[2]) == [] and sites.connections(0) == []
    assert len(sites.device(0, came[0])) == 2
    assert len(sites.device(0, came[1])) == 1
    assert len(sites.connections(0)) == 1
    assert sites.counters(0)["connections_local"] == 1 and sites.counters(0)["fragments_held"] == 1


@FAMILIES
def test_tcp_segments(sites, family):
    """TCP is seldom fragmented, but it may be: a data segment each way."""
    client, service, server = CLIENT[family], SERVICE_X[family], SERVER_X[family]
    segment = lambda flags, seq, ack=0: ip(family, client, service) / TCP(sport=7000, dport=80, flags=flags, seq=seq, ack=ack)
    port = parse(one(sites.device(0, segment("S", 10)))).payload.sport
    sites.device(0, ip(family, server, service) / TCP(sport=8080, dport=port, flags="SA", seq=50, ack=11))
    sites.device(0, segment("A", 11, 51))
    at = 20 if family == 4 else 40
    for ends, other in (((client, 7000, service, 80), (service, port, server, 8080)),
                        ((server, 8080, service, port), (service, 80, client, 7000))):
        def data(e):
            return bytes(ip(family, e[0], e[2]) / TCP(sport=e[1], dport=e[3], flags="PA", seq=11, ack=51) / Raw(b"t" * 2000))[at:]
        came = cut(family, ends[0], ends[2], data(ends), 800, 2, 64, 6)
        wanted = cut(family, other[0], other[2], data(other), 800, 2, 63, 6)
        assert outputs(sites.device(0, came[1])) == []
        assert outputs(sites.device(0, came[0])) == [wanted[0], wanted[1]]
        assert outputs(sites.device(0, came[2])) == [wanted[2]]
    assert sites.connections(0)[0][1] == "established"


@FAMILIES
def test_tcp_header_must_be_in_the_first(sites, family):
    """RFC 3128, 7112: a header in two parts is none."""
    data = bytes(ip(4, CLIENT[4], SERVICE_X[4]) / TCP(sport=7000, dport=80, flags="S"))[20:] + bytes(100)
    for start, end, more in ((0, 16, True), (8, 120, False), (16, 120, False)):
        assert sites.device(0, fragment(family, CLIENT[family], SERVICE_X[family], data, start, end, more, 1, protocol=6)) == []
    assert drops(sites, 0) == {"too_short": 1, "bad_header": 2} and sites.connections(0) == []


@FAMILIES
def test_transferred(sites, family):
    """Each fragment travels by itself; the transferee puts them in order for itself."""
    rng = random.Random(3)
    flow = Flow(sites, family, remote=True)
    for number in range(12):
        came, wanted = flow.sent(payload_of(rng, 8000), 1024, number)
        order = list(range(len(came)))
        rng.shuffle(order)
        for i in order:
            assert sites.device(0, came[i]) == []
        datagrams = sites.datagrams(0)
        assert len(datagrams) == len(came)
        rng.shuffle(datagrams)  # the way between the sites does so too
        out = []
        for datagram in datagrams:
            sites(f"inject 1 192.0.2.1:7210 {datagram.hex()}")
            out += outputs(sites.packets(1))
        assert sorted(out) == sorted(wanted)
        came, wanted = flow.answered(payload_of(rng, 8000), 1448, number)
        for octets, expected in zip(came, wanted):
            assert outputs(sites.device(1, octets)) == [expected]
    assert drops(sites, 0) == {} and drops(sites, 1) == {}
    assert sites.datagrams(1) == []


@FAMILIES
def test_transferred_first_is_the_demand(sites, family):
    make_remote(sites, "down")
    client, service = CLIENT[family], SERVICE_X[family]
    came = cut(family, client, service, udp(family, client, 6000, service, 53, b"z" * 3000), 1024, 5)
    for octets in came[1:]:
        assert sites.device(0, octets) == []
    assert sites.datagrams(0) == [] and sites.connections(0) == []
    sites.device(0, came[0])
    datagrams = sites.datagrams(0)
    assert [flags_of(datagram) for datagram in datagrams] == [DEMAND | FRAGMENT, FRAGMENT, FRAGMENT]
    for datagram in datagrams[1:] + datagrams[:1]:
        sites(f"inject 1 192.0.2.1:7210 {datagram.hex()}")
    assert len(sites.packets(1)) == 3
    assert sites.counters(1)["connections_received"] == 1


def test_too_large_fragments_of_ipv6(sites):
    """Nobody fragments IPv6 on the way: the sender is told, once, about the first."""
    flow = Flow(sites, 6, remote=True)
    came, _ = flow.sent(b"q" * 4000, 1448, 9)
    told = parse(one(sites.device(0, came[0])))
    assert (told.dst, told.payload.type, told.payload.mtu) == (CLIENT[6], 2, MTU)
    for octets in came[1:]:
        assert sites.device(0, octets) == []
    assert sites.datagrams(0) == []
    assert drops(sites, 0) == {"too_big": 1, "fragment": 2}


def test_too_large_fragments_that_may_not_be_cut(sites):
    flow = Flow(sites, 4, remote=True)
    data = udp(4, flow.client, CLIENT_PORT, flow.service, 53, b"q" * 3000)
    first = fragment(4, flow.client, flow.service, data, 0, 1480, True, 9, df=True)
    told = parse(one(sites.device(0, first)))
    assert (told.payload.type, told.payload.code, told.payload.nexthopmtu) == (3, 4, MTU)
    assert drops(sites, 0) == {"too_big": 1}


@pytest.mark.parametrize("length, is_partial", [(1405, 0), (1405, 1), (1472, 0), (1472, 1), (4000, 0), (8192, 0), (40000, 0), (65507, 0)])
def test_ipv4_is_cut_for_the_transfer_path(sites, length, is_partial):
    """Don't fragment clear: a packet, and a fragment, that is too large is cut, and arrives in full."""
    rng = random.Random(length)
    flow = Flow(sites, 4, remote=True)
    payload = payload_of(rng, length)
    data = udp(4, flow.client, CLIENT_PORT, flow.service, 53, payload)
    if length <= 1472:  # one packet
        whole = IP(src=flow.client, dst=flow.service, id=500) / UDP(sport=CLIENT_PORT, dport=53) / Raw(payload)
        came = [partial(whole) if is_partial else bytes(whole)]
    else:
        came = cut(4, flow.client, flow.service, data, 1480, 500)
    for octets in came:
        assert sites.device(0, octets, partial=is_partial) == []
    pieces = sites.datagrams(0)
    assert all(len(d) + 28 <= 1500 for d in pieces)
    assert sites.counters(0)["fragments_out"] >= len(pieces) - 1
    for datagram in pieces:
        sites(f"inject 1 192.0.2.1:7210 {datagram.hex()}")
    out = outputs(sites.packets(1))
    assert len(out) == len(pieces)
    assert reassemble(out) == (flow.self, flow.server, udp(4, flow.self, flow.port, flow.server, 53, payload))
    assert drops(sites, 0) == {} and drops(sites, 1) == {}


def test_cut_packets_open_connections(sites):
    """The first of a client's datagrams is too large: its first fragment is the demand."""
    make_remote(sites, "down")
    query = IP(src=CLIENT[4], dst=SERVICE_X[4], id=3) / UDP(sport=6000, dport=53) / Raw(b"q" * 1472)
    assert sites.device(0, bytes(query)) == []
    first, second = sites.datagrams(0)
    assert (flags_of(first), flags_of(second)) == (DEMAND | FRAGMENT, FRAGMENT)
    for datagram in (second, first):
        sites(f"inject 1 192.0.2.1:7210 {datagram.hex()}")
    port = int(sites.connections(1)[0][5].rsplit(":", 1)[1])
    out = outputs(sites.packets(1))
    assert reassemble(out) == (SELF_Y[4], SERVER_Y[4], udp(4, SELF_Y[4], port, SERVER_Y[4], 53, b"q" * 1472))


def test_options_of_cut_packets(sites):
    """Those that are not for all fragments are no-operations in the later ones (RFC 791, 3.1)."""
    flow = Flow(sites, 4, remote=True)
    routers = ["0.0.0.0"] * 3
    packet = IP(src=flow.client, dst=flow.service, id=8, options=[IPOption_RR(length=15, pointer=4, routers=routers), IPOption_NOP(),
                IPOption_Router_Alert()]) / UDP(sport=CLIENT_PORT, dport=53) / Raw(b"q" * 2500)
    sites.device(0, bytes(packet))
    sites("carry 0 1")
    out = outputs(sites.packets(1))
    _, _, data = reassemble(out)
    assert data == udp(4, flow.self, flow.port, flow.server, 53, b"q" * 2500)
    assert len({octets[0] for octets in out}) == 1
    options = [octets[20:(octets[0] & 15) * 4] for octets in out]
    assert options[0] == bytes(packet)[20:40] and options[0][16:] == b"\x94\x04\0\0"
    assert len(options) == 2
    assert options[1] == b"\1" * 16 + b"\x94\x04\0\0"


@FAMILIES
def test_overlap_ends_the_datagram(sites, family):
    """RFC 5722: what is held and what comes is dropped; other datagrams are not concerned."""
    flow = Flow(sites, family)
    data = udp(family, flow.client, CLIENT_PORT, flow.service, 53, b"x" * 4000)
    make = lambda start, end, more=True, number=1: fragment(family, flow.client, flow.service, data, start, end, more, number)
    overlaps = [((0, 800), (792, 1600)), ((800, 1600), (0, 808)), ((0, 1600), (800, 1200)), ((800, 1600), (0, 2400)),
                ((0, 800), (0, 808)), ((0, 808), (0, 800))]
    for number, (a, b) in enumerate(overlaps, 100):
        before = sum(drops(sites, 0).values())
        sent = [make(*a, number=number), make(*b, number=number), make(2400, 3200, number=number), make(0, 800, number=number)]
        out = [o for octets in sent for o in sites.device(0, octets)]
        assert len(out) == (1 if a[0] == 0 else 0), (a, b)
        assert sum(drops(sites, 0).values()) - before == 4 - len(out)
    came, wanted = flow.sent(b"y" * 4000, 800, 999)
    assert [o for octets in came for o in outputs(sites.device(0, octets))] == wanted
    assert set(drops(sites, 0)) == {"fragment", "fragment_overlap"}


@FAMILIES
def test_two_ends_are_an_overlap(sites, family):
    """A second last fragment, data behind the last one, a last one before data that came."""
    flow = Flow(sites, family)
    data = b"e" * 4000
    make = lambda start, end, more, number: fragment(family, flow.client, flow.service, data, start, end, more, number)
    for number, (a, b) in enumerate((((800, 1600, False), (1600, 2400, False)), ((800, 1600, False), (1600, 2400, True)),
                                     ((1600, 2400, True), (800, 1600, False)))):
        assert sites.device(0, make(*a, number)) == []
        assert sites.device(0, make(*b, number)) == []
        assert sites.device(0, make(0, 800, True, number)) == []
    assert drops(sites, 0) == {"fragment_overlap": 6, "fragment": 3}


@FAMILIES
def test_doubled_fragments_are_dropped_alone(sites, family):
    """RFC 8200, 4.5: the same fragment again does no harm, held or not."""
    flow = Flow(sites, family)
    came, wanted = flow.sent(b"d" * 4000, 800, 7)
    out = []
    for i in (1, 1, 2, 0, 0, 1, 2, 3, 3, 4, 5):
        if i < len(came):
            out += outputs(sites.device(0, came[i]))
    assert sorted(out) == sorted(wanted)
    assert drops(sites, 0) == {"fragment_overlap": 5}


@FAMILIES
def test_identification_is_free_again_when_complete(sites, family):
    flow = Flow(sites, family)
    for i in range(20):
        came, wanted = flow.sent(bytes([i]) * 3000, 1024, 7)
        for octets, expected in zip(came, wanted):
            assert outputs(sites.device(0, octets)) == [expected]
    assert drops(sites, 0) == {}


@FAMILIES
def test_the_first_does_not_come(sites, family):
    """2 seconds from the first that came, not from the last."""
    flow = Flow(sites, family)
    came, wanted = flow.sent(b"t" * 4000, 800, 7)
    sites("now 10000")
    assert sites.device(0, came[1]) == []
    sites("now 11900")
    assert sites.device(0, came[2]) == []
    sites("expire 0")
    assert drops(sites, 0) == {}
    sites(f"now {10000 + TIMEOUT_MS}")
    sites("expire 0")
    assert drops(sites, 0) == {"fragment_timeout": 2}
    # the first alone now, as a new datagram
    assert outputs(sites.device(0, came[0])) == [wanted[0]]
    assert outputs(sites.device(0, came[3])) == [wanted[3]]


@FAMILIES
def test_just_in_time(sites, family):
    flow = Flow(sites, family)
    came, wanted = flow.sent(b"t" * 1200, 800, 7)
    sites("now 10000")
    assert sites.device(0, came[1]) == []
    sites(f"now {10000 + TIMEOUT_MS - 1}")
    assert outputs(sites.device(0, came[0])) == wanted
    assert drops(sites, 0) == {}


@FAMILIES
def test_late_fragments_wait_in_vain(sites, family):
    """The first went on 2 seconds ago: what comes now belongs to no datagram."""
    flow = Flow(sites, family)
    came, wanted = flow.sent(b"t" * 2400, 800, 7)
    sites("now 10000")
    assert outputs(sites.device(0, came[0])) == wanted[:1]
    sites("now 12000")
    assert sites.device(0, came[1]) == []
    sites("now 14000")
    sites("expire 0")
    assert drops(sites, 0) == {"fragment_timeout": 1}


@FAMILIES
def test_the_first_is_dropped(sites, family):
    """The rest of its datagram is not answered, opens nothing and goes nowhere."""
    service = SERVICE_X[family]
    client = CLIENT[family]
    data = udp(family, client, 9, service, 54, b"n" * 2000)  # no such service
    came = cut(family, client, service, data, 800, 1)
    assert sites.device(0, came[2]) == []
    answer = parse(one(sites.device(0, came[0])))
    assert (answer.dst, answer.payload.type) == (client, 3 if family == 4 else 1)
    assert sites.device(0, came[1]) == []
    ttl = [bytearray(octets) for octets in cut(family, client, service, udp(family, client, 9, service, 53, b"n" * 2000), 800, 2, ttl=1)]
    assert parse(one(sites.device(0, bytes(ttl[0])))).payload.type == (11 if family == 4 else 3)
    assert sites.device(0, bytes(ttl[1])) == []
    assert sites.connections(0) == [] or sites.connections(0)[0][0] == "local"
    assert drops(sites, 0) == {"not_ours": 1, "fragment": 3, "ttl": 1}


@FAMILIES
def test_martian_senders_of_fragments(sites, family):
    source = "127.0.0.1" if family == 4 else "::1"
    came = cut(family, source, SERVICE_X[family], udp(family, source, 9, SERVICE_X[family], 53, b"n" * 2000), 800, 1)
    for octets in came[1:] + came[:1]:
        assert sites.device(0, octets) == []
    assert drops(sites, 0) == {"martian": 1, "fragment": 2} and sites.connections(0) == []


@FAMILIES
def test_sixty_four_wait(sites, family):
    flow = Flow(sites, family)
    came, wanted = flow.sent(b"w" * (8 * 100 - 8), 8, 1)
    assert len(came) == 100
    for octets in came[1:65]:
        assert sites.device(0, octets) == []
    assert drops(sites, 0) == {}
    out = outputs(sites.device(0, came[0]))
    assert out == wanted[:65]
    for octets, expected in zip(came[65:], wanted[65:]):
        assert outputs(sites.device(0, octets)) == [expected]
    came, _ = flow.sent(b"w" * (8 * 100 - 8), 8, 2)
    for octets in came[1:66]:
        assert sites.device(0, octets) == []
    assert sites.device(0, came[0]) == []
    assert drops(sites, 0) == {"fragment_limit": 65, "fragment": 1}


@FAMILIES
def test_one_hundred_and_twenty_eight_of_a_datagram(sites, family):
    flow = Flow(sites, family)
    came, wanted = flow.sent(b"w" * (8 * 130 - 8), 8, 1)
    out = [o for octets in came for o in outputs(sites.device(0, octets))]
    assert out == wanted[:128]
    assert drops(sites, 0) == {"fragment_limit": 1, "fragment": 1}


@FAMILIES
def test_a_mebibyte_waits(sites, family):
    """The oldest datagrams make room, and the newest are whole."""
    flow = Flow(sites, family)
    rng = random.Random(1)
    datagrams = [flow.sent(payload_of(rng, 8 * 1024 - 8), 1024, number) for number in range(200)]
    for came, _ in datagrams:
        for octets in came[1:]:
            assert sites.device(0, octets) == []
    held = sites.counters(0)["fragments_held"]
    assert held == 200 * 7
    evicted = drops(sites, 0)["fragment_limit"]
    # a fragment of 1024 octets and its header takes three blocks of 512
    assert (held - evicted) * 3 * 512 <= 1 << 20
    assert (held - evicted + 7) * 3 * 512 > (1 << 20) - 3 * 512
    whole = 0
    for came, wanted in datagrams:
        out = outputs(sites.device(0, came[0]))
        if out:
            assert sorted(out) == sorted(wanted)
            whole += 1
    assert whole * 7 == held - evicted
    assert evicted % 7 == 0


def test_a_thousand_datagrams(sites):
    """Records of datagrams are as many; the oldest go."""
    flow = Flow(sites, 4)
    datagrams = [flow.sent(b"%4d" % number * 10, 24, number) for number in range(1100)]
    for came, _ in datagrams:
        assert sites.device(0, came[1]) == []
    assert drops(sites, 0) == {"fragment_limit": 1100 - 1024}
    for number, (came, wanted) in enumerate(datagrams[::-1]):
        if number < 1024:
            assert outputs(sites.device(0, came[0])) == wanted
    for came, wanted in datagrams[:76]:
        assert outputs(sites.device(0, came[0])) == wanted[:1]


@FAMILIES
def test_sites_and_devices_do_not_mix(sites, family):
    """The same datagram, by its name, in transfer packets and on the device."""
    flow = Flow(sites, family, remote=True)
    client, service = CLIENT[family], SERVICE_X[family]
    data = udp(family, client, CLIENT_PORT, service, 53, b"m" * 1800)
    came = cut(family, client, service, data, 1024, 77)
    sites.device(0, came[0])
    first = sites.datagrams(0)
    # later ones on Y's own device follow no first one out of a transfer packet
    for datagram in first:
        sites(f"inject 1 192.0.2.1:7210 {datagram.hex()}")
    assert len(sites.packets(1)) == 1
    assert sites.device(1, came[1]) == []
    sites.device(0, came[1])
    sites("carry 0 1")
    assert len(sites.packets(1)) == 1
    assert sites.counters(1)["fragments_held"] == 1


@FAMILIES
def test_from_a_hostile_site(sites, family):
    """Good keys, bad fragments: for a service that is not its own, flags that are not true, demands."""
    flow = Flow(sites, family, remote=True)
    came, wanted = flow.sent(b"s" * 2000, 800, 5)
    sites.device(0, came[0])
    enemy = Hostile(sites, sites.datagrams(0)[0])
    number = 1  # "dns" is the second service of the configuration
    # the real one, to see that it works
    assert outputs(enemy.send(FRAGMENT, came[1], number)) == []
    out = outputs(enemy.send(FRAGMENT, came[0], number))
    assert [parse(octets).src for octets in out] == [flow.self] * 2
    assert len(enemy.send(FRAGMENT | DEMAND, came[2], number)) == 1
    assert drops(sites, 1) == {}
    # Y's own service, fragments under the name of another service, a service that is not there
    alien = cut(family, CLIENT[family], SERVICE_Y[family], udp(family, CLIENT[family], 6, SERVICE_Y[family], 53, b"s" * 2000), 800, 6)
    for octets in alien[1:] + alien[:1]:
        assert enemy.send(FRAGMENT, octets, number) == []
    assert drops(sites, 1) == {"transfer_service": 1, "fragment": 2}
    for service in (0, 7):
        other, _ = flow.sent(b"s" * 2000, 800, 100 + service)
        for octets in other:
            assert enemy.send(FRAGMENT, octets, service) == []
    assert drops(sites, 1) == {"transfer_service": 3, "fragment": 6}
    # flags
    other, _ = flow.sent(b"s" * 2000, 800, 200)
    for flags in (0, DEMAND, PARTIAL | FRAGMENT, ICMP, ICMP | FRAGMENT):
        assert enemy.send(flags, other[0], number) == []
    whole = bytes(ip(family, flow.client, flow.service) / UDP(sport=6, dport=53))
    assert enemy.send(FRAGMENT, whole, number) == []
    assert drops(sites, 1)["transfer_inner"] == 6
    assert len(sites.connections(1)) == 1


def test_atomic_fragments_are_whole(sites):
    """RFC 6946: offset 0 and no more: never held, never compared with others."""
    flow = Flow(sites, 6)
    data = udp(6, flow.client, CLIENT_PORT, flow.service, 53, b"a" * 100)
    wanted = udp(6, flow.self, flow.port, flow.server, 53, b"a" * 100)
    for _ in range(3):
        out = outputs(sites.device(0, fragment(6, flow.client, flow.service, data, 0, len(data), False, 9)))
        assert out == [fragment(6, flow.self, flow.server, wanted, 0, len(data), False, 9, ttl=63)]
    assert drops(sites, 0) == {}


def test_fragments_behind_extension_headers(sites):
    flow = Flow(sites, 6)
    data = udp(6, flow.client, CLIENT_PORT, flow.service, 53, b"h" * 1500)
    wanted = udp(6, flow.self, flow.port, flow.server, 53, b"h" * 1500)

    def make(source, destination, octets, start, end, more, ttl):
        return bytes(IPv6(src=source, dst=destination, hlim=ttl) / IPv6ExtHdrHopByHop() /
                     IPv6ExtHdrFragment(offset=start // 8, m=more, id=4, nh=17) / Raw(octets[start:end]))
    for start, end, more in ((800, 1508, 0), (0, 800, 1)):
        out = outputs(sites.device(0, make(flow.client, flow.service, data, start, end, more, 64)))
    assert out == [make(flow.self, flow.server, wanted, 0, 800, 1, 63), make(flow.self, flow.server, wanted, 800, 1508, 0, 63)]


def test_random_fragments_never_break_anything(sites):
    """Any offsets, any order, both families, at both ends: whatever goes on is a fragment that came, converted."""
    rng = random.Random(17)
    flows = {4: Flow(sites, 4), 6: Flow(sites, 6)}
    data = {f: udp(f, flows[f].client, CLIENT_PORT, flows[f].service, 53, payload_of(rng, 3000)) for f in flows}
    passed = came = 0
    for i in range(6000):
        family = rng.choice((4, 6))
        flow = flows[family]
        start = 8 * rng.choice((0, 0, rng.randrange(300)))
        more = rng.random() < 0.8
        end = start + (8 * rng.randrange(1, 40) if more else rng.randrange(1, 300))
        if rng.random() < 0.01:
            sites(f"now {2000 + i}")
        for out in outputs(sites.device(0, fragment(family, flow.client, flow.service, data[family], start, end, more, rng.randrange(12)))):
            got = parse(out)
            assert (got.src, got.dst) == (flow.self, flow.server)
            passed += 1
        came += 1
    counted = drops(sites, 0)
    assert passed > 100
    assert sites.counters(0)["packets_in"] == came + 2
    sites("now 60000")
    sites("expire 0")
    counted = drops(sites, 0)
    assert passed + sum(counted.values()) == came
    assert set(counted) <= {"fragment", "fragment_overlap", "fragment_timeout", "fragment_limit", "too_short",
                                                       "bad_header"}
