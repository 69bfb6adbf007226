"""src/packet against scapy: what wlad writes into a packet must be what scapy builds.

Each case builds a random packet twice, with the addresses before and after, lets wlad turn the
first into the second, and compares octet for octet: scapy computes every checksum from
scratch.  WLAD_PACKET_DRIVER names the program packet_driver.
"""

import ipaddress
import os
import random
import struct
import subprocess

import pytest

scapy = pytest.importorskip("scapy.all")

from scapy.layers.inet import (  # noqa: E402
    ICMP, IP, TCP, UDP, IPOption_NOP, IPOption_RR, IPOption_Timestamp,
    IPOption_Router_Alert, fragment, in4_pseudoheader,
)
from scapy.layers.inet6 import (  # noqa: E402
    ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6DestUnreach, ICMPv6PacketTooBig,
    ICMPv6TimeExceeded, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, PadN, RouterAlert, fragment6,
    in6_pseudoheader,
)
from scapy.packet import Raw  # noqa: E402
from scapy.utils import checksum  # noqa: E402

CASES = 400  # random packets of each test, family and protocol
FAMILIES = pytest.mark.parametrize("family", [4, 6])
NUMBER = {"tcp": 6, "udp": 17, "icmp4": 1, "icmp6": 58}


class Driver:
    def __init__(self, path):
        self.process = subprocess.Popen(
            [path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *words):
        """Sends a command; octets are written as hexadecimal."""
        text = [w.hex() if isinstance(w, bytes) else str(w) for w in words]
        self.process.stdin.write(" ".join(text) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer.endswith("\n"), "the driver ended"
        return answer.strip()

    def packet(self, *words):
        """A command whose answer is a packet."""
        answer = self.ask(*words)
        assert not answer.startswith(("drop", "error", "none")), (answer, words)
        return bytes.fromhex(answer)

    def packets(self, *words):
        answer = self.ask(*words)
        assert not answer.startswith(("drop", "error", "none")), (answer, words)
        return [bytes.fromhex(p) for p in answer.split()]

    def view(self, *words):
        answer = self.ask(*words)
        assert "=" in answer, answer
        return dict(pair.split("=") for pair in answer.split())

    def close(self):
        self.process.stdin.close()
        return self.process.wait(timeout=10)


@pytest.fixture(scope="module")
def driver():
    path = os.environ.get("WLAD_PACKET_DRIVER")
    assert path, "set WLAD_PACKET_DRIVER to the program packet_driver"
    d = Driver(path)
    yield d
    assert d.close() == 0


def address(rng, family):
    """A unicast address that wlad would answer to."""
    while True:
        if family == 4:
            a = ipaddress.IPv4Address(rng.getrandbits(32))
            if 1 <= int(a) >> 24 < 224 and int(a) >> 24 != 127:
                return str(a)
        else:
            a = ipaddress.IPv6Address(rng.getrandbits(128))
            if int(a) >> 120 != 0xff and int(a) >> 96 != 0:
                return str(a)


def ends(rng, family):
    return (address(rng, family), rng.randrange(65536),
            address(rng, family), rng.randrange(65536))


def octets(rng, n):
    return rng.randbytes(n)


def random_length(rng):
    return rng.choice([0, 1, 2, 3, rng.randrange(64), rng.randrange(1400)])


def ipv4_options(rng):
    pool = [IPOption_NOP(), IPOption_RR(routers=["192.0.2.1", "192.0.2.2"]),
            IPOption_Router_Alert(), IPOption_Timestamp(flg=0, length=8, timestamp=7)]
    return rng.sample(pool, rng.randrange(1, 4)) if rng.random() < 0.3 else []


def extensions(rng, fragment_header):
    """IPv6 extension headers in front of the transport header."""
    chain = []
    if rng.random() < 0.3:
        chain.append(IPv6ExtHdrHopByHop(options=[RouterAlert(), PadN(optdata=b"\0" * 4)]))
    if rng.random() < 0.3:
        chain.append(IPv6ExtHdrDestOpt(
            options=[PadN(optdata=b"\0" * rng.choice([4, 12, 60]))]))
    if rng.random() < 0.2:
        chain.append(IPv6ExtHdrRouting(type=2, segleft=0, addresses=["2001:db8::77"]))
    if fragment_header:
        chain.append(IPv6ExtHdrFragment(id=rng.getrandbits(32)))
    if rng.random() < 0.2:
        chain.append(IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 4)]))
    return chain


def ip_layer(rng, family, source, destination, fragment_header=False):
    ttl = rng.randrange(2, 256)
    if family == 4:
        return IP(src=source, dst=destination, ttl=ttl, tos=rng.randrange(256),
                  id=rng.randrange(65536), flags=rng.choice(["", "DF"]),
                  options=ipv4_options(rng))
    packet = IPv6(src=source, dst=destination, hlim=ttl, tc=rng.randrange(256),
                  fl=rng.randrange(1 << 20))
    for header in extensions(rng, fragment_header):
        packet = packet / header
    return packet


def tcp_options(rng, mss=None):
    pool = [("NOP", None), ("WScale", rng.randrange(15)), ("SAckOK", b""),
            ("Timestamp", (rng.getrandbits(32), rng.getrandbits(32))),
            ("SAck", (rng.getrandbits(32), rng.getrandbits(32)))]
    options = rng.sample(pool, rng.randrange(0, 4))
    if mss is not None:
        options.insert(rng.randrange(len(options) + 1), ("MSS", mss))
    return options


FLAGS = ["S", "SA", "A", "PA", "FA", "R", "RA", "F", "SEC", "AEC", "PAU", ""]


def build(seed, family, protocol, end, flags=None, mss=None, payload=None,
          fragment_header=False):
    """The packet of this seed with these ends: the rest depends on the seed alone."""
    rng = random.Random(seed)
    source, sport, destination, dport = end
    packet = ip_layer(rng, family, source, destination, fragment_header)
    data = octets(rng, random_length(rng) if payload is None else payload)
    if protocol == "tcp":
        packet = packet / TCP(
            sport=sport, dport=dport, seq=rng.getrandbits(32), ack=rng.getrandbits(32),
            flags=rng.choice(FLAGS) if flags is None else flags,
            window=rng.randrange(65536), options=tcp_options(rng, mss))
    elif protocol == "udp":
        packet = packet / UDP(sport=sport, dport=dport)
    elif family == 4:
        packet = packet / ICMP(type=rng.choice([0, 8]), id=rng.getrandbits(16),
                               seq=rng.getrandbits(16))
    else:
        kind = rng.choice([ICMPv6EchoRequest, ICMPv6EchoReply])
        return packet / kind(id=rng.getrandbits(16), seq=rng.getrandbits(16), data=data)
    return packet / Raw(data) if data else packet


def protocols(family):
    return ["tcp", "udp", "icmp%d" % family]


def checksum_offset(packet, protocol):
    """Where the transport checksum stands in the octets of a packet without fragments."""
    raw = bytes(packet)
    layer = {"tcp": TCP, "udp": UDP}[protocol]
    start = len(raw) - len(bytes(packet[layer]))
    return start, start + {"tcp": 16, "udp": 6}[protocol]


def partial(packet, protocol):
    """Its octets with the sum of the pseudo-header where the checksum was."""
    raw = bytes(packet)
    start, at = checksum_offset(packet, protocol)
    length = len(raw) - start
    if IP in packet:
        pseudo = in4_pseudoheader(NUMBER[protocol], IP(raw), length)
    else:
        ip = packet[IPv6]
        pseudo = bytes(in6_pseudoheader(
            NUMBER[protocol], IPv6(src=ip.src, dst=ip.dst), length))
    total = ~checksum(pseudo) & 0xffff
    return raw[:at] + struct.pack("!H", total) + raw[at + 2:]


def cases(family, per_protocol=CASES):
    for protocol in protocols(family):
        for i in range(per_protocol):
            seed = f"{family} {protocol} {i}"
            yield seed, protocol, random.Random("ends " + seed)


@FAMILIES
def test_convert(driver, family):
    for seed, protocol, rng in cases(family):
        before, after = ends(rng, family), ends(rng, family)
        got = driver.packet("convert", *after, 0,
                            bytes(build(seed, family, protocol, before)))
        assert got == bytes(build(seed, family, protocol, after)), seed


@FAMILIES
def test_convert_there_and_back(driver, family):
    for seed, protocol, rng in cases(family, CASES // 3):
        before, after = ends(rng, family), ends(rng, family)
        sent = bytes(build(seed, family, protocol, before))
        there = driver.packet("convert", *after, 0, sent)
        assert driver.packet("convert", *before, 0, there) == sent, seed


@FAMILIES
def test_convert_udp_without_checksum(driver, family):
    for i in range(200):
        rng = random.Random(i)
        before, after = ends(rng, family), ends(rng, family)
        packets = [build(i, family, "udp", end) for end in (before, after)]
        for packet in packets:
            packet[UDP].chksum = 0
        assert driver.packet("convert", *after, 0, bytes(packets[0])) == bytes(packets[1])


@FAMILIES
def test_convert_udp_to_checksum_zero(driver, family):
    """The ports are chosen so that the new sum is 0, which is written as 0xffff."""
    for i in range(100):
        rng = random.Random(i)
        before, after = ends(rng, family), list(ends(rng, family))
        after[1] = 0
        missing = build(i, family, "udp", after)
        missing = type(missing)(bytes(missing))[UDP].chksum
        after[1] = missing  # adding the checksum to the sum makes it 0xffff
        want = bytes(build(i, family, "udp", after))
        start, at = checksum_offset(build(i, family, "udp", after), "udp")
        assert want[at:at + 2] == b"\xff\xff"
        got = driver.packet("convert", *after, 0, bytes(build(i, family, "udp", before)))
        assert got == want


@FAMILIES
def test_convert_partial(driver, family):
    for seed, protocol, rng in cases(family):
        if protocol not in ("tcp", "udp"):
            continue
        before, after = ends(rng, family), ends(rng, family)
        got = driver.packet("convert", *after, 1,
                            partial(build(seed, family, protocol, before), protocol))
        want = build(seed, family, protocol, after)
        assert got == partial(want, protocol), seed
        assert driver.packet("complete", got) == bytes(want), seed


@FAMILIES
def test_convert_damaged(driver, family):
    """One wrong bit in the payload: after the conversion still exactly that is wrong."""
    for seed, protocol, rng in cases(family, 200):
        before, after = ends(rng, family), ends(rng, family)
        sent = bytearray(bytes(build(seed, family, protocol, before, payload=40)))
        want = bytearray(bytes(build(seed, family, protocol, after, payload=40)))
        at, bit = rng.randrange(1, 40), 1 << rng.randrange(8)
        sent[-at] ^= bit
        want[-at] ^= bit
        got = driver.packet("convert", *after, 0, bytes(sent))
        assert got == bytes(want), seed


@FAMILIES
def test_convert_fragments(driver, family):
    """Converting the fragments is fragmenting the converted."""
    for seed, protocol, rng in cases(family, 80):
        before, after = ends(rng, family), ends(rng, family)
        size = rng.choice([256, 576, 1280])
        parts = []
        for end in (before, after):
            packet = build(seed, family, protocol, end, flags="A", payload=2500,
                           fragment_header=True)
            if family == 4:
                packet.flags = 0
                parts.append([bytes(p) for p in fragment(packet, fragsize=size)])
            else:
                # rebuilt from octets, so that the checksum is that of the whole
                parts.append([bytes(p) for p in fragment6(IPv6(bytes(packet)), 1280)])
        assert len(parts[0]) > 1
        if family == 6 and IPv6ExtHdrDestOpt in IPv6(parts[0][0])[IPv6ExtHdrFragment]:
            continue  # the other fragments do not tell the protocol
        for sent, want in zip(*parts):
            got = driver.packet("convert", *after, 0, sent)
            assert got == want, seed


@FAMILIES
def test_parse(driver, family):
    for seed, protocol, rng in cases(family):
        end = ends(rng, family)
        packet = build(seed, family, protocol, end)
        raw = bytes(packet)
        padding = bytes(rng.choice([0, 0, 6, 18]))
        view = driver.view("parse", "none", 0, 0, raw + padding)
        source, sport, destination, dport = end
        ports = protocol in ("tcp", "udp")
        assert int(view["version"]) == family
        assert int(view["protocol"]) == NUMBER[protocol]
        assert int(view["len"]) == len(raw)
        assert view["fragment"] == view["offset"] == view["data"] == view["more"] == "0"
        assert ipaddress.ip_address(view["source"]) == ipaddress.ip_address(source)
        assert ipaddress.ip_address(view["destination"]) == ipaddress.ip_address(destination)
        assert int(view["sport"]) == (sport if ports else 0)
        assert int(view["dport"]) == (dport if ports else 0)
        if ports:
            layer = (IP(raw) if family == 4 else IPv6(raw))[TCP if protocol == "tcp" else UDP]
            assert int(view["payload"]) == len(raw) - len(layer.payload), seed
            assert int(view["transport"]) == checksum_offset(packet, protocol)[0], seed
        if protocol == "tcp":
            assert int(view["flags"]) == int(layer.flags) & 0x1f
            assert (int(view["seq"]), int(view["ack"])) == (layer.seq, layer.ack)


@FAMILIES
def test_parse_fragments(driver, family):
    for seed, protocol, rng in cases(family, 100):
        end = ends(rng, family)
        packet = build(seed, family, protocol, end, flags="A", payload=2500,
                       fragment_header=True)
        if family == 4:
            packet.flags = 0
            parts = [IP(bytes(p)) for p in fragment(packet, fragsize=800)]
        else:
            parts = [IPv6(bytes(p)) for p in fragment6(IPv6(bytes(packet)), 1280)]
            if IPv6ExtHdrDestOpt in parts[0][IPv6ExtHdrFragment]:
                continue
        data = 0
        for i, part in enumerate(parts):
            view = driver.view("parse", "none", 0, 0, bytes(part))
            header = part if family == 4 else part[IPv6ExtHdrFragment]
            offset = (part.frag if family == 4 else header.offset) * 8
            assert int(view["fragment"]) == (1 if i == 0 else 2)
            assert int(view["id"]) == header.id
            assert int(view["offset"]) == offset == data
            assert int(view["more"]) == (i < len(parts) - 1)
            data += int(view["data"])
        whole = IP(bytes(packet)) if family == 4 else IPv6(bytes(packet))
        header = whole if family == 4 else whole[IPv6ExtHdrFragment]
        assert data == len(bytes(header.payload)), seed


@FAMILIES
def test_parse_truncated(driver, family):
    for seed, protocol, rng in cases(family, 300):
        raw = bytes(build(seed, family, protocol, ends(rng, family)))
        cut = raw[:rng.randrange(1, len(raw))]
        assert driver.ask("parse", "none", 0, 0, cut) == "drop too_short", seed


@FAMILIES
def test_parse_mutated(driver, family):
    """Whatever comes: a view or a reason."""
    for seed, protocol, rng in cases(family, 600):
        raw = bytearray(bytes(build(seed, family, protocol, ends(rng, family))))
        for _ in range(rng.randrange(1, 6)):
            raw[rng.randrange(min(len(raw), 100))] = rng.randrange(256)
        if family == 4 and len(raw) >= 60 and raw[0] & 15 >= 5:  # let it past the checksum
            raw[10:12] = b"\0\0"
            raw[10:12] = struct.pack("!H", checksum(bytes(raw[:(raw[0] & 15) * 4])))
        answer = driver.ask("parse", "none", 0, 0, bytes(raw))
        assert answer.startswith(("drop ", "version=")), answer
        assert answer != "drop none"


@FAMILIES
def test_ttl(driver, family):
    for seed, protocol, rng in cases(family, 300):
        packet = build(seed, family, protocol, ends(rng, family))
        field = "ttl" if family == 4 else "hlim"
        sent = bytes(packet)
        setattr(packet, field, getattr(packet, field) - 1)
        if getattr(packet, field) == 0:
            assert driver.ask("ttl", sent) == "none"
        else:
            assert driver.packet("ttl", sent) == bytes(packet), seed


@FAMILIES
def test_clamp(driver, family):
    lowered = 0
    for i in range(CASES):
        rng = random.Random(f"clamp {family} {i}")
        end = ends(rng, family)
        mss, limit = rng.randrange(65536), rng.choice([536, 1220, 1392, rng.randrange(65536)])
        flags = rng.choice(["S", "SA", "A", "SEC"])
        changes = "S" in flags and mss > limit
        lowered += changes
        before = build(i, family, "tcp", end, flags=flags, mss=mss)
        after = build(i, family, "tcp", end, flags=flags, mss=limit if changes else mss)
        assert driver.packet("clamp", limit, 0, bytes(before)) == bytes(after), i
        assert driver.packet("clamp", limit, 1, partial(before, "tcp")) == \
            partial(after, "tcp"), i
    assert lowered > CASES // 5


def expected_segments(packet, family, protocol, size):
    """What a sender without offload would have sent."""
    layer = packet[TCP if protocol == "tcp" else UDP]
    data = bytes(layer.payload)
    count = max(1, -(-len(data) // size))
    segments = []
    for i in range(count):
        segment = packet.copy()
        part = segment[type(layer)]
        part.remove_payload()
        part.add_payload(Raw(data[i * size:(i + 1) * size]))
        if family == 4:
            segment.id = (packet.id + i) % 65536
        if protocol == "tcp":
            part.seq = (layer.seq + i * size) % (1 << 32)
            if i < count - 1:
                part.flags = int(part.flags) & ~0x09
            if i > 0:
                part.flags = int(part.flags) & ~0x80
        segments.append(segment)
    return segments


@FAMILIES
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_segment(driver, family, protocol):
    gso = "udp" if protocol == "udp" else "tcp%d" % family
    for i in range(80):
        rng = random.Random(f"segment {family} {protocol} {i}")
        size = rng.choice([1448, 536, 1, rng.randrange(1, 9000)])
        length = rng.randrange(0, min(64000, size * 45))
        packet = build(i, family, protocol, ends(rng, family), payload=length,
                       flags=rng.choice(["A", "PA", "FPA", "PAC", "ECPA"]))
        want = expected_segments(packet, family, protocol, size)
        got = driver.packets("segment", gso, size, 1, partial(packet, protocol))
        assert got == [partial(p, protocol) for p in want], i
        assert [driver.packet("complete", p) for p in got] == [bytes(p) for p in want], i
        full = driver.packets("segment", gso, size, 0, bytes(packet))
        assert full == [bytes(p) for p in want], i


@FAMILIES
def test_segment_of_whole(driver, family):
    for seed, protocol, rng in cases(family, 100):
        raw = bytes(build(seed, family, protocol, ends(rng, family)))
        assert driver.packets("segment", "none", 0, 0, raw) == [raw], seed


def own_ip(family, source, destination):
    if family == 4:
        return IP(src=source, dst=destination, ttl=64, id=0, flags="DF")
    return IPv6(src=source, dst=destination, hlim=64)


@FAMILIES
def test_reset(driver, family):
    answered = 0
    for i in range(CASES):
        rng = random.Random(f"reset {family} {i}")
        source, sport, destination, dport = end = ends(rng, family)
        packet = build(i, family, "tcp", end)
        tcp = packet[TCP]
        answer = driver.ask("reset", bytes(packet))
        if "R" in tcp.flags:
            assert answer == "none"
            continue
        if "A" in tcp.flags:
            fields = {"seq": tcp.ack, "ack": 0, "flags": "R"}
        else:
            length = len(tcp.payload) + ("S" in tcp.flags) + ("F" in tcp.flags)
            fields = {"seq": 0, "ack": (tcp.seq + length) % (1 << 32), "flags": "RA"}
        want = own_ip(family, destination, source) / TCP(
            sport=dport, dport=sport, window=0, **fields)
        assert answer == bytes(want).hex(), i
        answered += 1
    assert answered > CASES // 2


@FAMILIES
def test_reset_from_nowhere(driver, family):
    for i in range(300):
        rng = random.Random(f"kill {family} {i}")
        source, sport, destination, dport = end = ends(rng, family)
        seq, ack = rng.getrandbits(32), rng.getrandbits(32)
        want = own_ip(family, source, destination) / TCP(
            sport=sport, dport=dport, window=0, seq=seq, ack=ack, flags="RA")
        assert driver.packet("kill", *end, seq, ack) == bytes(want)


def icmp_error(family, kind, mtu):
    if family == 4:
        return {"port": ICMP(type=3, code=3), "host": ICMP(type=3, code=1),
                "toobig": ICMP(type=3, code=4, nexthopmtu=mtu),
                "exceeded": ICMP(type=11, code=0)}[kind]
    return {"port": ICMPv6DestUnreach(code=4), "host": ICMPv6DestUnreach(code=3),
            "toobig": ICMPv6PacketTooBig(mtu=mtu),
            "exceeded": ICMPv6TimeExceeded(code=0)}[kind]


@FAMILIES
@pytest.mark.parametrize("kind", ["port", "host", "toobig", "exceeded"])
def test_icmp_errors(driver, family, kind):
    answered = 0
    for seed, protocol, rng in cases(family, 250):
        source, sport, destination, dport = end = ends(rng, family)
        packet = build(seed, family, protocol, end)
        raw = bytes(packet)
        mtu, router = rng.randrange(65536), address(rng, family)
        words = {"toobig": [mtu], "exceeded": [router]}.get(kind, [])
        answer = driver.ask(kind, *words, raw)
        if protocol == "tcp" and "R" in packet[TCP].flags:
            assert answer == "none"
            continue
        sender = router if kind == "exceeded" else destination
        quoted = raw[:576 - 28] if family == 4 else raw[:1280 - 48]
        want = own_ip(family, sender, source) / icmp_error(family, kind, mtu) / Raw(quoted)
        assert answer == bytes(want).hex(), seed
        answered += 1
    assert answered > 500


@FAMILIES
def test_no_icmp_error_about_icmp_errors(driver, family):
    for kind in ["port", "host", "toobig", "exceeded"]:
        error = own_ip(family, *(["192.0.2.1", "198.51.100.1"] if family == 4 else
                                 ["2001:db8::1", "2001:db8::2"]))
        error = error / icmp_error(family, kind, 1400) / Raw(b"\x45" * 60)
        for answer in (["port"], ["host"], ["toobig", 1400],
                       ["exceeded", "192.0.2.9" if family == 4 else "2001:db8::9"]):
            assert driver.ask(*answer, bytes(error)) == "none"


@FAMILIES
def test_echo(driver, family):
    replies = 0
    for i in range(600):
        rng = random.Random(f"echo {family} {i}")
        source, sport, destination, dport = end = ends(rng, family)
        packet = build(i, family, "icmp%d" % family, end)
        answer = driver.ask("echo", bytes(packet))
        if family == 4:
            request = packet[ICMP].type == 8
        else:
            request = ICMPv6EchoRequest in packet
        if not request:
            assert answer == "none"
            continue
        if family == 4:
            packet.src, packet.dst, packet.ttl = destination, source, 64
            packet[ICMP].type = 0
        else:
            packet.src, packet.dst, packet.hlim = destination, source, 64
            echo = packet[ICMPv6EchoRequest]
            reply = ICMPv6EchoReply(id=echo.id, seq=echo.seq, data=echo.data)
            echo.underlayer.remove_payload()
            packet = packet / reply
        assert answer == bytes(packet).hex(), i
        replies += 1
    assert replies > 200


def test_echo_of_zeros(driver):
    """The sum of nothing but zeros: only 0xffff completes it."""
    request = IP(src="192.0.2.1", dst="192.0.2.2") / ICMP(id=0, seq=0) / Raw(bytes(20))
    got = driver.packet("echo", bytes(request))
    want = IP(src="192.0.2.2", dst="192.0.2.1") / ICMP(type=0, id=0, seq=0) / Raw(bytes(20))
    assert got == bytes(want)
