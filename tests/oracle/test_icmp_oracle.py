"""ICMP errors through whole datapaths: built by scapy, and checked against errors that scapy builds.

Each test has a packet that wlad converted, an error about it as a router would send it, and
the error that the other end must see: made from nothing by the same function, so that
no octet of it comes from wlad.
"""

import random

import pytest
from scapy.layers.inet import IP, TCP, UDP, IPOption_NOP, IPOption_RR
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop
from scapy.packet import Raw

from hostile import Hostile, flags_of
from test_datapath_oracle import (CLIENT, DRIVER, FAMILIES, SELF_Y, SERVER_X, SERVER_Y, SERVICE_X, SERVICE_Y,
                                  driver, ip, make_remote, one, parse, sites)  # noqa: F401 (fixtures)
from wladproto import DEMAND, FRAGMENT, PARTIAL
from wladproto import ICMP as ICMP_FLAG

pytestmark = pytest.mark.skipif(not DRIVER, reason="no datapath driver")

ROUTER = {4: "198.51.100.99", 6: "2001:db8:99::1"}
CLIENT_PORT, WEB, DNS = 40000, 80, 53

# (what, type, code, the four octets behind the checksum) by family
ERRORS = {
    4: [("host unreachable", 3, 1, 0), ("port unreachable", 3, 3, 0), ("too big", 3, 4, 1280),
        ("time exceeded", 11, 0, 0), ("reassembly", 11, 1, 0), ("parameter problem", 12, 0, 0x14000000)],
    6: [("no route", 1, 0, 0), ("port unreachable", 1, 4, 0), ("too big", 2, 0, 1280),
        ("time exceeded", 3, 0, 0), ("parameter problem", 4, 1, 40)],
}
ALL_ERRORS = [pytest.param(family, *error[1:], id=f"{family}-{error[0]}") for family in (4, 6) for error in ERRORS[family]]
PROTOCOLS = pytest.mark.parametrize("protocol", ["tcp", "udp"])


def sum16(octets):
    total = sum(int.from_bytes(octets[i:i + 2].ljust(2, b"\0"), "big") for i in range(0, len(octets), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def error(family, kind, code, rest, source, destination, quoted, ttl=64, cut=None, tail=b"", bad=0):
    """The octets of an error; quoted are those of a packet, cut off after so many octets."""
    body = quoted[:cut] + tail
    icmp = bytes([kind, code, 0, 0]) + rest.to_bytes(4, "big") + body
    outer = IP(src=source, dst=destination, ttl=ttl, id=9, proto=1) if family == 4 else \
        IPv6(src=source, dst=destination, hlim=ttl, nh=58)
    outer = bytes(outer / Raw(icmp))
    pseudo = b"" if family == 4 else outer[8:40] + len(icmp).to_bytes(4, "big") + bytes([0, 0, 0, 58])
    checksum = (~sum16(pseudo + icmp) & 0xFFFF) ^ bad
    at = len(outer) - len(icmp)
    return outer[:at + 2] + checksum.to_bytes(2, "big") + outer[at + 4:]


def packet(family, protocol, source, sport, destination, dport, payload=b"p" * 60, **extra):
    """A data packet of a connection."""
    seq = dict(flags="PA", seq=77, ack=99)
    transport = TCP(sport=sport, dport=dport, **seq) if protocol == "tcp" else UDP(sport=sport, dport=dport, **extra)
    return bytes(ip(family, source, destination) / transport / Raw(payload))


class Flow:
    """A connection and the packets that belong to it, as each end sees them."""

    def __init__(self, driver, family, protocol, remote=False):
        self.driver, self.family, self.protocol, self.remote = driver, family, protocol, remote
        self.client, self.service = CLIENT[family], SERVICE_X[family]
        self.server = (SERVER_Y if remote else SERVER_X)[family]
        self.self = SELF_Y[family] if remote else self.service
        self.port = WEB if protocol == "tcp" else DNS
        self.server_port = 8080 if protocol == "tcp" else DNS
        self.at = 1 if remote else 0
        if remote:
            make_remote(driver, "down")
        first = ip(family, self.client, self.service) / (
            TCP(sport=CLIENT_PORT, dport=self.port, flags="S", seq=7) if protocol == "tcp"
            else UDP(sport=CLIENT_PORT, dport=self.port) / Raw(b"question"))
        out = driver.device(0, first)
        if remote:
            driver("carry 0 1")
            out = driver.packets(1)
        self.self_port = parse(one(out)).payload.sport

    def ends(self, where):
        """(sender, port, receiver, port) of packets with that direction and place."""
        return {
            "from client": (self.client, CLIENT_PORT, self.service, self.port),       # C > L
            "to server": (self.self, self.self_port, self.server, self.server_port),  # A > S
            "from server": (self.server, self.server_port, self.self, self.self_port),  # S > A
            "to client": (self.service, self.port, self.client, CLIENT_PORT),         # L > C
        }[where]

    def packet(self, where, **kwargs):
        return packet(self.family, self.protocol, *self.ends(where), **kwargs)


def drops(driver, site):
    return {name[5:]: n for name, n in driver.counters(site).items() if name.startswith("drop.")}


@PROTOCOLS
@pytest.mark.parametrize("remote", [False, True], ids=["local", "received"])
@pytest.mark.parametrize("family, kind, code, rest", ALL_ERRORS)
def test_from_the_servers_side(sites, family, kind, code, rest, protocol, remote):
    """About A > S: to the client, from the service, about C > L."""
    flow = Flow(sites, family, protocol, remote)
    for sender in (ROUTER[family], flow.server):
        came = error(family, kind, code, rest, sender, flow.self, flow.packet("to server"))
        wanted = error(family, kind, code, rest, flow.service, flow.client, flow.packet("from client"), ttl=63)
        assert one(sites.device(flow.at, came)) == wanted
    assert sites.counters(flow.at)["icmp_converted"] == 2
    assert drops(sites, flow.at) == {}


@PROTOCOLS
@pytest.mark.parametrize("family, kind, code, rest", ALL_ERRORS)
def test_from_the_clients_side(sites, family, kind, code, rest, protocol):
    """About L > C: to the server, from the router as it is, about S > A."""
    flow = Flow(sites, family, protocol)
    came = error(family, kind, code, rest, ROUTER[family], flow.service, flow.packet("to client"))
    wanted = error(family, kind, code, rest, ROUTER[family], flow.server, flow.packet("from server"), ttl=63)
    assert one(sites.device(0, came)) == wanted


@PROTOCOLS
@pytest.mark.parametrize("family, kind, code, rest", ALL_ERRORS)
def test_of_a_transferred_connection(sites, family, kind, code, rest, protocol):
    """About L > C, which X never sent: in a transfer packet to Y, and there to the server."""
    flow = Flow(sites, family, protocol, remote=True)
    came = error(family, kind, code, rest, ROUTER[family], flow.service, flow.packet("to client"))
    wanted = error(family, kind, code, rest, ROUTER[family], flow.server, flow.packet("from server"), ttl=62)
    assert sites.device(0, came) == []
    assert sites("carry 0 1") == ["carried 1"]
    assert one(sites.packets(1)) == wanted
    assert sites.counters(1)["icmp_converted"] == 1
    assert drops(sites, 0) == {} and drops(sites, 1) == {}


@PROTOCOLS
@FAMILIES
def test_quotes_of_any_length(sites, family, protocol):
    """From 8 octets of the transport header on, with the checksum in the quote or not; odd ones too."""
    flow = Flow(sites, family, protocol)
    header = 20 if family == 4 else 40
    kind, code, rest = ERRORS[family][2][1:]
    quoted = flow.packet("to client")
    for cut in range(header + 8, len(quoted) + 1):
        expected = flow.packet("from server")
        if protocol == "tcp" and cut == header + 17:  # half a checksum is none
            expected = expected[:cut - 1] + quoted[cut - 1:cut]
        came = error(family, kind, code, rest, ROUTER[family], flow.service, quoted, cut=cut)
        wanted = error(family, kind, code, rest, ROUTER[family], flow.server, expected, ttl=63, cut=cut)
        assert one(sites.device(0, came)) == wanted, cut
    for cut in range(header + 8):
        came = error(family, kind, code, rest, ROUTER[family], flow.service, quoted, cut=cut)
        assert sites.device(0, came) == [], cut
    assert drops(sites, 0) == {"icmp_short": header + 8}


def test_quote_with_ipv4_options(sites):
    flow = Flow(sites, 4, "tcp")
    for options in ([IPOption_NOP()] * 4, [IPOption_RR(length=39, pointer=4, routers=["0.0.0.0"] * 9)]):
        def quoted(where):
            source, sport, destination, dport = flow.ends(where)
            return bytes(IP(src=source, dst=destination, options=options) / TCP(sport=sport, dport=dport) / Raw(b"x" * 40))
        header = (quoted("to client")[0] & 15) * 4
        for cut in (header + 8, header + 15, header + 18, None):
            came = error(4, 3, 4, 1300, ROUTER[4], flow.service, quoted("to client"), cut=cut)
            wanted = error(4, 3, 4, 1300, ROUTER[4], flow.server, quoted("from server"), ttl=63, cut=cut)
            assert one(sites.device(0, came)) == wanted
        came = error(4, 3, 4, 1300, ROUTER[4], flow.service, quoted("to client"), cut=header + 7)
        assert sites.device(0, came) == []


def test_quote_with_ipv6_extension_headers(sites):
    flow = Flow(sites, 6, "udp")

    def quoted(where):
        source, sport, destination, dport = flow.ends(where)
        return bytes(IPv6(src=source, dst=destination) / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() /
                     IPv6ExtHdrFragment(offset=0, m=1, id=5) / UDP(sport=sport, dport=dport, len=900, chksum=0xbeef) /
                     Raw(b"x" * 40))
    came = error(6, 2, 0, 1280, ROUTER[6], flow.service, quoted("to client"))
    out = one(sites.device(0, came))
    # the checksum is that of the whole datagram, so all that can be said is by how much it changes
    wanted = bytearray(quoted("from server"))
    at = 40 + 8 + 8 + 8 + 6
    old = quoted("to client")
    changed = sum16(wanted[8:40]) + sum16(wanted[at - 6:at - 2]) - sum16(old[8:40]) - sum16(old[at - 6:at - 2])
    value = (0xffff - 0xbeef + changed) % 0xffff
    wanted[at:at + 2] = (0xffff - value).to_bytes(2, "big")
    assert out == error(6, 2, 0, 1280, ROUTER[6], flow.server, bytes(wanted), ttl=63)


@FAMILIES
def test_quoted_later_fragment_is_nobodys(sites, family):
    flow = Flow(sites, family, "udp")
    source, _, destination, _ = flow.ends("to client")
    if family == 4:
        quoted = bytes(IP(src=source, dst=destination, frag=10, proto=17) / Raw(flow.packet("to client")[20:]))
    else:
        quoted = bytes(IPv6(src=source, dst=destination) / IPv6ExtHdrFragment(offset=10, nh=17) /
                       Raw(flow.packet("to client")[40:]))
    kind, code, rest = ERRORS[family][2][1:]
    assert sites.device(0, error(family, kind, code, rest, ROUTER[family], flow.service, quoted)) == []
    assert drops(sites, 0) == {"icmp": 1}


def test_udp_checksum_zero_stays_zero(sites):
    flow = Flow(sites, 4, "udp")
    came = error(4, 3, 1, 0, ROUTER[4], flow.self, flow.packet("to server", chksum=0))
    wanted = error(4, 3, 1, 0, flow.service, flow.client, flow.packet("from client", chksum=0), ttl=63)
    assert one(sites.device(0, came)) == wanted


@PROTOCOLS
@pytest.mark.parametrize("family, kind, code, at, unit", [(4, 3, 1, 1, 4), (4, 11, 0, 1, 4), (6, 1, 0, 0, 8), (6, 3, 0, 0, 8)])
def test_extensions_are_left_alone(sites, family, kind, code, at, unit, protocol):
    """RFC 4884: a quote of 128 octets, padded, then objects (MPLS label stack) that look like anything."""
    flow = Flow(sites, family, protocol)
    rest = (128 // unit) << (24 - 8 * at)
    extension = bytes.fromhex("2000" "0000" "0008" "0101" "00018140") + flow.packet("to client")
    for payload in (b"", b"short", b"x" * 300):
        def quote(where):
            return flow.packet(where, payload=payload)[:128].ljust(128, b"\0")
        came = error(family, kind, code, rest, ROUTER[family], flow.service, quote("to client"), tail=extension)
        wanted = error(family, kind, code, rest, ROUTER[family], flow.server, quote("from server"), ttl=63, tail=extension)
        assert one(sites.device(0, came)) == wanted


@FAMILIES
def test_extension_length_shorter_than_the_ports(sites, family):
    """The length counts, whatever follows."""
    flow = Flow(sites, family, "tcp")
    rest = (5 << 16) if family == 4 else (5 << 24)
    kind = 3 if family == 4 else 1
    came = error(family, kind, 1, rest, ROUTER[family], flow.service, flow.packet("to client"))
    assert sites.device(0, came) == []
    assert drops(sites, 0) == {"icmp_short": 1}


@FAMILIES
def test_padding_behind_the_quote(sites, family):
    """A router that pads with octets that are none of the packet: only the packet is converted."""
    flow = Flow(sites, family, "udp")
    kind, code, rest = ERRORS[family][2][1:]
    tail = b"\xff" * 33
    came = error(family, kind, code, rest, ROUTER[family], flow.service, flow.packet("to client"), tail=tail)
    wanted = error(family, kind, code, rest, ROUTER[family], flow.server, flow.packet("from server"), ttl=63, tail=tail)
    assert one(sites.device(0, came)) == wanted


@pytest.mark.parametrize("length", [0, 27, 65535])
def test_impossible_length_of_the_quoted_packet(sites, length):
    """Segmentation offload and old systems leave such lengths in quotes; they are quoted on."""
    flow = Flow(sites, 4, "tcp")

    def quoted(where):
        octets = bytearray(flow.packet(where))
        octets[2:4] = length.to_bytes(2, "big")
        octets[10:12] = b"\0\0"
        octets[10:12] = (0xffff - sum16(octets[:20])).to_bytes(2, "big")
        return bytes(octets)
    came = error(4, 3, 4, 1280, ROUTER[4], flow.service, quoted("to client"))
    wanted = error(4, 3, 4, 1280, ROUTER[4], flow.server, quoted("from server"), ttl=63)
    assert one(sites.device(0, came)) == wanted


@FAMILIES
@pytest.mark.parametrize("remote", [False, True], ids=["local", "transferred"])
def test_wrong_checksum_is_dropped(sites, family, remote):
    flow = Flow(sites, family, "tcp", remote)
    kind, code, rest = ERRORS[family][2][1:]
    for bad in (1, 0x8000, 0xffff ^ 1):
        came = error(family, kind, code, rest, ROUTER[family], flow.service, flow.packet("to client"), bad=bad)
        assert sites.device(0, came) == [] and sites.datagrams(0) == []
    assert drops(sites, 0) == {"icmp_checksum": 3}


@FAMILIES
def test_every_flipped_bit(sites, family):
    """The checksum covers the error, the header checksum the IPv4 header: nothing changed gets through."""
    flow = Flow(sites, family, "tcp")
    kind, code, rest = ERRORS[family][2][1:]
    came = error(family, kind, code, rest, ROUTER[family], flow.service, flow.packet("to client", payload=b""))
    got_through = 0
    for bit in range(8 * len(came)):
        changed = bytearray(came)
        changed[bit // 8] ^= 0x80 >> bit % 8
        if out := sites.device(0, bytes(changed)):
            got_through += 1
            # what no checksum covers: traffic class, flow label, hop limit of IPv6
            assert family == 6 and bit // 8 in (0, 1, 2, 3, 7)
            assert parse(one(out)).payload.type == kind
    assert (got_through > 20) == (family == 6)


@FAMILIES
def test_not_about_a_connection(sites, family):
    """Other ports, other addresses, the other direction: nobody's."""
    flow = Flow(sites, family, "tcp")
    kind, code, rest = ERRORS[family][2][1:]
    service, port, client, client_port = flow.ends("to client")
    quotes = [
        packet(family, "tcp", service, port, client, client_port + 1),
        packet(family, "tcp", service, 443, client, client_port),
        packet(family, "udp", service, port, client, client_port),
        packet(family, "tcp", service, port, ROUTER[family], client_port),
        packet(family, "tcp", SERVICE_Y[family], port, client, client_port),
        flow.packet("from client"),
        flow.packet("from server"),
    ]
    for quoted in quotes:
        came = error(family, kind, code, rest, ROUTER[family], service, quoted)
        assert sites.device(0, came) == []
    assert drops(sites, 0) == {"icmp": len(quotes)}


@FAMILIES
def test_destination_that_did_not_send_the_quote(sites, family):
    flow = Flow(sites, family, "tcp")
    kind, code, rest = ERRORS[family][2][1:]
    came = error(family, kind, code, rest, ROUTER[family], SERVICE_Y[family], flow.packet("to client"))
    assert sites.device(0, came) == []
    assert drops(sites, 0) == {"icmp": 1}


@FAMILIES
def test_other_messages_are_dropped(sites, family):
    """Echo replies, redirects, source quench, errors of unknown type, errors about echo requests."""
    flow = Flow(sites, family, "tcp")
    quoted = flow.packet("to client")
    kinds = [(0, 0), (4, 0), (5, 1), (13, 0), (40, 0)] if family == 4 else [(129, 0), (137, 0), (5, 0), (100, 0), (0, 0)]
    for kind, code in kinds:
        assert sites.device(0, error(family, kind, code, 0, ROUTER[family], flow.service, quoted)) == []
    echo = error(family, 8 if family == 4 else 128, 0, 1, flow.service, flow.client, b"echo")
    kind, code, rest = ERRORS[family][2][1:]
    assert sites.device(0, error(family, kind, code, rest, ROUTER[family], flow.service, echo)) == []
    assert drops(sites, 0) == {"icmp": len(kinds) + 1}


def test_quote_of_the_other_family(sites):
    flow = Flow(sites, 4, "tcp")
    flow6 = Flow(sites, 6, "tcp")
    assert sites.device(0, error(4, 3, 4, 1280, ROUTER[4], flow.service, flow6.packet("to client"))) == []
    assert sites.device(0, error(6, 2, 0, 1280, ROUTER[6], flow6.service, flow.packet("to client"))) == []
    mapped = [f"::ffff:{address}" for address in (flow.service, flow.client)]
    quoted = bytes(IPv6(src=mapped[0], dst=mapped[1]) / TCP(sport=80, dport=CLIENT_PORT))
    assert sites.device(0, error(6, 2, 0, 1280, ROUTER[6], flow6.service, quoted)) == []
    assert drops(sites, 0) == {"icmp": 3}


@FAMILIES
def test_fragments_of_icmp_are_dropped(sites, family):
    flow = Flow(sites, family, "tcp")
    kind, code, rest = ERRORS[family][2][1:]
    whole = error(family, kind, code, rest, ROUTER[family], flow.service, flow.packet("to client"))
    if family == 4:
        first = bytes(IP(src=ROUTER[4], dst=flow.service, proto=1, flags="MF", id=3) / Raw(whole[20:84]))
        later = bytes(IP(src=ROUTER[4], dst=flow.service, proto=1, frag=8, id=3) / Raw(whole[84:]))
    else:
        first = bytes(IPv6(src=ROUTER[6], dst=flow.service) / IPv6ExtHdrFragment(nh=58, m=1, id=3) / Raw(whole[40:104]))
        later = bytes(IPv6(src=ROUTER[6], dst=flow.service) / IPv6ExtHdrFragment(nh=58, offset=8, id=3) / Raw(whole[104:]))
    assert sites.device(0, first) == [] and sites.device(0, later) == []
    assert drops(sites, 0) == {"icmp_fragment": 2}


@FAMILIES
def test_ttl(sites, family):
    """An error whose time is over is dropped without an answer."""
    flow = Flow(sites, family, "tcp")
    kind, code, rest = ERRORS[family][2][1:]
    for ttl in (0, 1):
        assert sites.device(0, error(family, kind, code, rest, ROUTER[family], flow.service,
                                     flow.packet("to client"), ttl=ttl)) == []
    assert drops(sites, 0) == {"ttl": 2}
    assert "icmp_sent" not in sites.counters(0)


@pytest.mark.parametrize("sender", ["127.0.0.1", "224.0.0.1", "0.0.0.0"])
def test_martian_senders(sites, sender):
    flow = Flow(sites, 4, "tcp")
    assert sites.device(0, error(4, 3, 4, 1280, sender, flow.service, flow.packet("to client"))) == []
    assert drops(sites, 0) == {"martian": 1}


@FAMILIES
@pytest.mark.parametrize("remote", [False, True], ids=["local", "transferred"])
def test_an_error_neither_ends_nor_refreshes(sites, family, remote):
    """The opening connection has 60 s, errors or not."""
    flow = Flow(sites, family, "tcp", remote)
    before = sites.connections(0)
    kind = 3 if family == 4 else 1
    for seconds in range(5, 56, 10):
        sites(f"now {1000 * seconds}")
        sites("expire 0")
        for code in (0, 1, 3):
            sites.device(0, error(family, kind, code, 0, ROUTER[family], flow.service, flow.packet("to client")))
            sites.device(0, error(family, kind, code, 0, flow.server, flow.self, flow.packet("to server")))
        assert sites.connections(0) == before
    sites("now 63000")
    sites("expire 0")
    assert sites.connections(0) == []


@FAMILIES
def test_of_an_ended_connection(sites, family):
    """X knows it, Y has forgotten it: Y drops the error and says nothing."""
    flow = Flow(sites, family, "udp", remote=True)
    kind, code, rest = ERRORS[family][2][1:]
    sites("now 40000")
    sites("expire 1")
    assert sites.connections(1) == [] and len(sites.connections(0)) == 1
    sites.device(0, error(family, kind, code, rest, ROUTER[family], flow.service, flow.packet("to client")))
    sites("carry 0 1")
    assert sites.packets(1) == []
    assert drops(sites, 1) == {"icmp": 1}


@FAMILIES
def test_from_a_hostile_site(sites, family):
    """Good keys, bad errors: about other sites' connections and services, no errors at all."""
    flow = Flow(sites, family, "tcp", remote=True)
    kind, code, rest = ERRORS[family][2][1:]
    good = error(family, kind, code, rest, ROUTER[family], flow.service, flow.packet("to client"))
    sites.device(0, good)
    (datagram,) = sites.datagrams(0)
    assert flags_of(datagram) == ICMP_FLAG
    enemy = Hostile(sites, datagram)
    assert len(enemy.send(ICMP_FLAG, good)) == 1
    assert drops(sites, 1) == {}
    # flags that are not true
    echo = error(family, 8 if family == 4 else 128, 0, 1, flow.client, flow.service, b"echo")
    for flags, inner in ((0, good), (DEMAND, good), (PARTIAL | ICMP_FLAG, good), (FRAGMENT | ICMP_FLAG, good),
                         (ICMP_FLAG, flow.packet("from client")), (ICMP_FLAG, echo), (ICMP_FLAG, good[:-1]), (ICMP_FLAG, b"")):
        assert enemy.send(flags, inner) == []
    assert drops(sites, 1) == {"transfer_inner": 8}
    # another service's number, and none
    for service in (1, 9):
        assert enemy.send(ICMP_FLAG, good, service) == []
    assert drops(sites, 1) == {"transfer_inner": 8, "transfer_service": 2}
    # connections that are Y's own: by what the client, and by what the server sees
    sites.device(1, ip(family, CLIENT[family], SERVICE_Y[family]) / TCP(sport=3000, dport=80, flags="S"))
    own = sites.connections(1)[-1]
    port = int(own[5].rsplit(":", 1)[1])
    sites.packets(1)
    for ends in ((SERVICE_Y[family], 80, CLIENT[family], 3000), (SELF_Y[family], port, SERVER_Y[family], 8080)):
        assert enemy.send(ICMP_FLAG, error(family, kind, code, rest, ROUTER[family], ends[0], packet(family, "tcp", *ends))) == []
    assert enemy.send(ICMP_FLAG, error(family, kind, code, rest, ROUTER[family], flow.service, flow.packet("to client"), bad=1)) == []
    assert enemy.send(ICMP_FLAG, error(family, kind, code, rest, ROUTER[family], flow.service, flow.packet("to client"), cut=47 if family == 6 else 27)) == []
    assert enemy.send(ICMP_FLAG, error(family, kind, code, rest, ROUTER[family], flow.service, flow.packet("to client"), ttl=1)) == []
    assert drops(sites, 1) == {"transfer_inner": 8, "transfer_service": 2, "icmp": 2, "icmp_checksum": 1, "icmp_short": 1, "ttl": 1}


def test_largest_error_on_a_short_path(driver):  # noqa: F811
    """An ICMPv6 error of 1280 octets, a transfer path of 1280: the end of the quote goes, and nothing else."""
    from test_datapath_oracle import config
    listen = ("192.0.2.1:7210", "192.0.2.2:7210")

    def short(*args):
        return config(*args).replace("transfer: { listen", "transfer: { mtu = 1280; listen")
    driver("site " + short("x", "y", SERVICE_X, SERVER_X, *listen))
    driver("site " + short("y", "x", SERVICE_Y, SERVER_Y, *listen[::-1],
                           f'self_addresses = [ "{SELF_Y[4]}", "{SELF_Y[6]}" ];'))
    driver("link 0 1")
    for family in (4, 6):
        flow = Flow(driver, family, "tcp", remote=True)
        most = 576 if family == 4 else 1280
        head = (20 if family == 4 else 40) + 8
        kind, code, rest = ERRORS[family][2][1:]
        big = flow.packet("to client", payload=b"z" * 1400)
        came = error(family, kind, code, rest, ROUTER[family], flow.service, big, cut=most - head)
        assert len(came) == most
        assert driver.device(0, came) == []
        assert driver("carry 0 1") == ["carried 1"]
        cut = min(most, 1280 - 68) - head
        wanted = error(family, kind, code, rest, ROUTER[family], flow.server,
                       flow.packet("from server", payload=b"z" * 1400), ttl=62, cut=cut)
        assert one(driver.packets(1)) == wanted
    # extensions behind the quote go with it, and so does the length that speaks of them
    flow = Flow(driver, 6, "udp", remote=True)
    tail = bytes.fromhex("2000") + bytes(1000)
    quoted = flow.packet("to client", payload=b"z" * 200)[:240]
    came = error(6, 3, 0, (240 // 8) << 24, ROUTER[6], flow.service, quoted, tail=tail)
    assert driver.device(0, came) == []
    driver("carry 0 1")
    expected = flow.packet("from server", payload=b"z" * 200)[:240]
    assert one(driver.packets(1)) == error(6, 3, 0, 0, ROUTER[6], flow.server, expected, ttl=62,
                                           tail=tail[:1280 - 68 - 48 - 240])


def test_random_errors_never_break_anything(sites):
    """Random changes with the checksum made right again: dropped or converted, never anything else."""
    rng = random.Random(11)
    flows = {family: Flow(sites, family, "tcp") for family in (4, 6)}
    passed = 0
    for _ in range(3000):
        family = rng.choice((4, 6))
        flow = flows[family]
        quoted = bytearray(flow.packet("to client"))
        for _ in range(rng.randrange(3)):
            quoted[rng.randrange(len(quoted))] = rng.randrange(256)
        cut = rng.choice((None, rng.randrange(len(quoted))))
        kind = rng.choice(ERRORS[family])[1]
        came = error(family, kind, rng.randrange(16), rng.getrandbits(32), ROUTER[family], flow.service, bytes(quoted), cut=cut)
        for _, _, _, out in sites.device(0, came):
            passed += 1
            got = parse(out)
            assert (got.src, got.dst) == (ROUTER[family], flow.server)
            assert len(out) == len(came)
            at = 20 if family == 4 else 40
            pseudo = b"" if family == 4 else out[8:40] + (len(out) - at).to_bytes(4, "big") + bytes([0, 0, 0, 58])
            assert sum16(pseudo + out[at:]) == 0xffff
    assert 500 < passed < 2900
    assert len(sites.connections(0)) == 2
