"""Whole datapaths on the memory backend; packets built and checked by scapy.

What is checked: which addresses each conversion rule writes, that every checksum is what scapy
computes, that nothing else of a packet changes, and what happens to packets that are nobody's.
"""

import os
import random
import subprocess

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, IPv6
from scapy.packet import Raw


DRIVER = os.environ.get("WLAD_DATAPATH_DRIVER")
pytestmark = pytest.mark.skipif(not DRIVER or not os.path.exists(DRIVER), reason="no datapath driver")

CLIENT = {4: "192.0.2.77", 6: "2001:db8:77::1"}
SERVICE_X = {4: "203.0.113.10", 6: "2001:db8:a::10"}
SERVICE_Y = {4: "203.0.113.20", 6: "2001:db8:b::10"}
SELF_Y = {4: "198.51.100.20", 6: "2001:db8:b::5e"}
SERVER_X = {4: "10.1.0.11", 6: "2001:db8:a1::11"}
SERVER_Y = {4: "10.2.0.11", 6: "2001:db8:b1::11"}


def config(site, peer, service, server, listen, peer_listen, self_addresses="", extra=""):
    """One tcp and one udp service, one server each."""
    services = []
    for name, protocol, ports in (("web", "tcp", "80, 443"), ("dns", "udp", "53")):
        services.append(
            f'{{ name = "{name}"; address = [ "{service[4]}", "{service[6]}" ]; protocol = "{protocol}"; ports = [ {ports} ];'
            f' {extra} servers: ( {{ name = "a"; address = [ "{server[4]}", "{server[6]}" ]; max_connections = 1000;'
            f' {"port = 8080;" if protocol == "tcp" else ""} }} ); }}'
        )
    return (
        f'site = "{site}"; limits: {{ connections = 1024; }}; services: ( {", ".join(services)} ); {self_addresses}'
        f' load: {{ listen = "{listen}"; certificate = "/c"; key = "/k"; ca = "/a"; }};'
        f' transfer: {{ listen = "{listen}"; }};'
        f' peers: ( {{ site = "{peer}"; load = "{peer_listen}"; transfer = "{peer_listen}"; }} );'
    )


class Driver:
    """The program under test, one command at a time."""

    def __init__(self):
        self.process = subprocess.Popen([DRIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = []
        while (text := self.process.stdout.readline().rstrip("\n")) != ".":
            assert text != "" and not text.startswith("error"), f"{line[:80]}: {text or 'the driver died'}"
            answer.append(text)
        return answer

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(timeout=10) == 0

    def device(self, site, packet, gso=0, size=0, partial=0):
        """A packet arrives; returns what is written to the device because of it."""
        self(f"device {site} {gso} {size} {partial} {bytes(packet).hex()}")
        return self.packets(site)

    def packets(self, site):
        out = []
        for line in self(f"packets {site}"):
            _, gso, size, partial, octets = line.split()
            out.append((int(gso), int(size), int(partial), bytes.fromhex(octets)))
        return out

    def datagrams(self, site):
        return [bytes.fromhex(line.split()[1]) for line in self(f"datagrams {site}")]

    def counters(self, site):
        return {name: int(value) for name, value in (line.split() for line in self(f"counters {site}"))}

    def connections(self, site):
        return [line.split()[1:] for line in self(f"connections {site}")]


@pytest.fixture
def driver():
    d = Driver()
    yield d
    d.close()


@pytest.fixture
def sites(driver):
    """X without self addresses of its own, Y with; both idle and up."""
    driver("site " + config("x", "y", SERVICE_X, SERVER_X, "192.0.2.1:7210", "192.0.2.2:7210"))
    driver("site " + config("y", "x", SERVICE_Y, SERVER_Y, "192.0.2.2:7210", "192.0.2.1:7210",
                            f'self_addresses = [ "{SELF_Y[4]}", "{SELF_Y[6]}" ];'))
    assert driver("link 0 1") == ["ok"]
    return driver


def ip(family, source, destination, ttl=64):
    if family == 4:
        return IP(src=source, dst=destination, ttl=ttl, id=0x1234, flags="DF")
    return IPv6(src=source, dst=destination, hlim=ttl, fl=0x54321)


def parse(octets):
    return IP(octets) if octets[0] >> 4 == 4 else IPv6(octets)


def recomputed(packet):
    """The packet with every checksum computed by scapy."""
    fresh = packet.copy()
    for layer in (IP, TCP, UDP, ICMP):
        if fresh.haslayer(layer):
            del fresh[layer].chksum
    return bytes(fresh)


def expect(octets, original, source, sport, destination, dport):
    """octets must be the original but for addresses, ports, one TTL less, and right checksums."""
    wanted = original.copy()
    wanted = parse(bytes(wanted))
    network, transport = wanted, wanted.getlayer(TCP) or wanted.getlayer(UDP)
    network.src, network.dst = source, destination
    transport.sport, transport.dport = sport, dport
    if isinstance(network, IP):
        network.ttl -= 1
    else:
        network.hlim -= 1
    assert octets == recomputed(wanted), f"\n{parse(octets)!r}\n{parse(recomputed(wanted))!r}"


def one(packets):
    assert len(packets) == 1, packets
    return packets[0][3]


FAMILIES = pytest.mark.parametrize("family", [4, 6])


@FAMILIES
def test_rule_1_tcp(sites, family):
    """C > L becomes L:p > S, S > L:p becomes L > C, both ways for a whole connection."""
    client, service, server = CLIENT[family], SERVICE_X[family], SERVER_X[family]
    syn = ip(family, client, service) / TCP(sport=40000, dport=80, flags="S", seq=1000,
                                            options=[("MSS", 1460), ("SAckOK", b""), ("WScale", 7)])
    out = one(sites.device(0, syn))
    port = parse(out)[TCP].sport
    assert 1024 <= port <= 65535 and port not in (80, 443)
    expect(out, syn, service, port, server, 8080)
    answer = ip(family, server, service) / TCP(sport=8080, dport=port, flags="SA", seq=5000, ack=1001,
                                               options=[("MSS", 1460)])
    expect(one(sites.device(0, answer)), answer, service, 80, client, 40000)
    for flags, payload in (("A", b""), ("PA", b"GET / HTTP/1.0\r\n\r\n"), ("FA", b"")):
        segment = ip(family, client, service) / TCP(sport=40000, dport=80, flags=flags, seq=1001, ack=5001) / Raw(payload)
        expect(one(sites.device(0, segment)), segment, service, port, server, 8080)
    reply = ip(family, server, service) / TCP(sport=8080, dport=port, flags="PA", seq=5001, ack=1019) / Raw(b"x" * 1001)
    expect(one(sites.device(0, reply)), reply, service, 80, client, 40000)
    assert sites.connections(0)[0][0] == "local"


@FAMILIES
def test_rule_1_udp(sites, family):
    client, service, server = CLIENT[family], SERVICE_X[family], SERVER_X[family]
    query = ip(family, client, service) / UDP(sport=5353, dport=53) / Raw(b"question")
    out = one(sites.device(0, query))
    port = parse(out)[UDP].sport
    assert port != 53
    expect(out, query, service, port, server, 53)
    answer = ip(family, server, service) / UDP(sport=53, dport=port) / Raw(b"the answer")
    expect(one(sites.device(0, answer)), answer, service, 53, client, 5353)


def test_udp_checksum_zero_stays_zero(sites):
    query = IP(src=CLIENT[4], dst=SERVICE_X[4]) / UDP(sport=5353, dport=53, chksum=0) / Raw(b"q")
    assert parse(one(sites.device(0, query)))[UDP].chksum == 0


def make_remote(driver, how):
    """X can no longer serve by itself."""
    if how == "down":
        driver("server 0 0 down")
        driver("server 0 1 down")
    else:
        driver("active 0 0 900")
        driver("active 0 1 900")


@FAMILIES
@pytest.mark.parametrize("how", ["down", "loaded"])
def test_rule_2_tcp(sites, family, how):
    """X seals the client packet unchanged; Y writes A > S; the reply leaves Y as L(X) > C."""
    make_remote(sites, how)
    client, service, server = CLIENT[family], SERVICE_X[family], SERVER_Y[family]
    syn = ip(family, client, service) / TCP(sport=40001, dport=443, flags="S", seq=7, options=[("MSS", 1460)])
    assert sites.device(0, syn) == []
    assert sites("carry 0 1") == ["carried 1"]
    out = one(sites.packets(1))
    port = parse(out)[TCP].sport
    twice = parse(bytes(syn))  # one hop at each wlad
    if family == 4:
        twice.ttl -= 1
    else:
        twice.hlim -= 1
    expect(out, parse(recomputed(twice)), SELF_Y[family], port, server, 8080)
    answer = ip(family, server, SELF_Y[family]) / TCP(sport=8080, dport=port, flags="SA", seq=9, ack=8,
                                                      options=[("MSS", 1460), ("WScale", 7)])
    clamped = answer.copy()
    clamped[TCP].options = [("MSS", 1500 - 68 - (40 if family == 4 else 60)), ("WScale", 7)]
    expect(one(sites.device(1, answer)), clamped, service, 443, client, 40001)
    # a packet in service finds the record
    data = ip(family, client, service) / TCP(sport=40001, dport=443, flags="PA", seq=8, ack=10) / Raw(b"d" * 1300)
    assert sites.device(0, data) == []
    sites("carry 0 1")
    assert parse(one(sites.packets(1)))[TCP].sport == port
    assert [c[0] for c in sites.connections(0)] == ["transferred"]
    assert [c[0] for c in sites.connections(1)] == ["received"]
    counters = sites.counters(1)
    assert counters["connections_received"] == 1 and counters["mss_clamped"] == 1


@FAMILIES
def test_rule_2_udp(sites, family):
    make_remote(sites, "down")
    client, service, server = CLIENT[family], SERVICE_X[family], SERVER_Y[family]
    query = ip(family, client, service) / UDP(sport=5353, dport=53) / Raw(b"question")
    sites.device(0, query)
    sites("carry 0 1")
    out = parse(one(sites.packets(1)))
    assert (out.src, out.dst, out[UDP].dport) == (SELF_Y[family], server, 53)
    answer = ip(family, server, SELF_Y[family]) / UDP(sport=53, dport=out[UDP].sport) / Raw(b"answer")
    expect(one(sites.device(1, answer)), answer, service, 53, client, 5353)


def test_demand_twice_is_one_connection(sites):
    """A retransmitted SYN is a demand again; the transferee's insert notices."""
    make_remote(sites, "down")
    syn = ip(4, CLIENT[4], SERVICE_X[4]) / TCP(sport=40002, dport=80, flags="S", seq=7)
    ports = set()
    for _ in range(3):
        sites.device(0, syn)
        sites("carry 0 1")
        ports.add(parse(one(sites.packets(1)))[TCP].sport)
    assert len(ports) == 1
    assert sites.counters(1)["connections_received"] == 1


def test_lost_demand_in_service_syn_is_allocated(sites):
    """Claim 5: no record, but the packet may open a connection."""
    make_remote(sites, "down")
    query = ip(4, CLIENT[4], SERVICE_X[4]) / UDP(sport=5353, dport=53) / Raw(b"question")
    sites.device(0, query)
    sites.datagrams(0)  # lost
    sites("now 2000")
    for _ in range(2):
        sites.device(0, query)
        sites("carry 0 1")
        one(sites.packets(1))
    assert sites.counters(1)["connections_received"] == 1


def test_in_service_without_record_is_reset(sites):
    make_remote(sites, "down")
    syn = ip(4, CLIENT[4], SERVICE_X[4]) / TCP(sport=40003, dport=80, flags="S", seq=7)
    ack = ip(4, CLIENT[4], SERVICE_X[4]) / TCP(sport=40003, dport=80, flags="A", seq=8, ack=77)
    sites.device(0, syn)
    sites.datagrams(0)
    sites.device(0, ack)
    sites("carry 0 1")
    reset = parse(one(sites.packets(1)))
    assert (reset.src, reset.dst, reset[TCP].flags, reset[TCP].seq) == (SERVICE_X[4], CLIENT[4], "R", 77)
    assert sites.counters(1)["drop.no_connection"] == 1


@FAMILIES
def test_super_packet_is_converted_once(sites, family):
    """Rule 1 keeps a 60 KB super-packet whole, partial checksum and all."""
    client, service = CLIENT[family], SERVICE_X[family]
    syn = ip(family, client, service) / TCP(sport=40004, dport=80, flags="S", seq=7)
    port = parse(one(sites.device(0, syn)))[TCP].sport
    data = ip(family, client, service) / TCP(sport=40004, dport=80, flags="PA", seq=8, ack=1) / Raw(os.urandom(60000))
    raw = partial(data)
    gso, size, is_partial, out = sites.device(0, raw, gso=1 if family == 4 else 2, size=1448, partial=1)[0]
    assert (gso, size, is_partial) == (1 if family == 4 else 2, 1448, 1)
    wanted = parse(bytes(data))
    if family == 4:
        wanted.ttl -= 1
    else:
        wanted.hlim -= 1
    wanted.src, wanted.dst = service, SERVER_X[family]
    wanted[TCP].sport, wanted[TCP].dport = port, 8080
    assert out == partial(parse(recomputed(wanted)))


def partial(packet):
    """The octets of a packet with the pseudo-header sum in place of the checksum."""
    octets = bytearray(recomputed(packet))
    v4 = octets[0] >> 4 == 4
    offset = (octets[0] & 15) * 4 if v4 else 40
    addresses = octets[12:20] if v4 else octets[8:40]
    protocol = octets[9] if v4 else octets[6]
    length = len(octets) - offset
    words = bytes(addresses) + length.to_bytes(4, "big") + bytes([0, 0, 0, protocol])
    total = sum(int.from_bytes(words[i:i + 2], "big") for i in range(0, len(words), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    at = offset + (16 if protocol == 6 else 6)
    octets[at:at + 2] = total.to_bytes(2, "big")
    return bytes(octets)


@FAMILIES
def test_super_packet_is_segmented_before_sealing(sites, family):
    make_remote(sites, "down")
    client, service = CLIENT[family], SERVICE_X[family]
    syn = ip(family, client, service) / TCP(sport=40005, dport=80, flags="S", seq=7)
    sites.device(0, syn)
    sites("carry 0 1")
    port = parse(one(sites.packets(1)))[TCP].sport
    payload = os.urandom(20000)
    data = ip(family, client, service) / TCP(sport=40005, dport=80, flags="PA", seq=8, ack=1) / Raw(payload)
    sites.device(0, partial(data), gso=1 if family == 4 else 2, size=1300, partial=1)
    assert sites("carry 0 1") == ["carried 16"]
    received, seq = b"", 8
    joined = sites.packets(1)
    # the other site hands them on as what they were
    assert [packet[:2] for packet in joined] == [(1 if family == 4 else 2, 1300)]
    for _, _, is_partial, octets in joined:
        segment = parse(octets)
        assert is_partial == 1 and octets == partial(segment)
        assert (segment.src, segment.dst, segment[TCP].sport, segment[TCP].seq) == (
            SELF_Y[family], SERVER_Y[family], port, seq)
        received += bytes(segment[TCP].payload)
        seq += len(segment[TCP].payload)
    assert received == payload
    assert "P" in segment[TCP].flags


@FAMILIES
def test_too_big_for_the_transfer_path(sites, family):
    make_remote(sites, "down")
    query = ip(family, CLIENT[family], SERVICE_X[family]) / UDP(sport=5353, dport=53) / Raw(b"q" * 1420)
    answer = parse(one(sites.device(0, query)))
    assert answer.dst == CLIENT[family]
    if family == 4:
        assert (answer[ICMP].type, answer[ICMP].code, answer[ICMP].nexthopmtu) == (3, 4, 1432)
    else:
        assert answer.payload.type == 2 and answer.payload.mtu == 1432
    assert bytes(answer) == recomputed(answer)
    assert sites.datagrams(0) == []
    assert sites.counters(0)["drop.too_big"] == 1


@FAMILIES
def test_unknown_segment_is_reset(sites, family):
    segment = ip(family, CLIENT[family], SERVICE_X[family]) / TCP(sport=4000, dport=80, flags="A", seq=5, ack=99)
    reset = parse(one(sites.device(0, segment)))
    assert (reset.src, reset.dst, reset[TCP].sport, reset[TCP].dport) == (SERVICE_X[family], CLIENT[family], 80, 4000)
    assert reset[TCP].flags == "R" and reset[TCP].seq == 99
    assert bytes(reset) == recomputed(reset)


@FAMILIES
def test_closed_port_of_a_service_address(sites, family):
    syn = ip(family, CLIENT[family], SERVICE_X[family]) / TCP(sport=4000, dport=81, flags="S", seq=5)
    reset = parse(one(sites.device(0, syn)))
    assert reset[TCP].flags == "RA" and reset[TCP].ack == 6
    query = ip(family, CLIENT[family], SERVICE_X[family]) / UDP(sport=4000, dport=81) / Raw(b"?")
    answer = parse(one(sites.device(0, query)))
    assert (answer.payload.type, answer.payload.code) == ((3, 3) if family == 4 else (1, 4))
    assert sites.counters(0)["drop.not_ours"] == 2


@FAMILIES
def test_echo_request_to_a_service_address(sites, family):
    if family == 4:
        ping = IP(src=CLIENT[4], dst=SERVICE_X[4]) / ICMP(id=7, seq=1) / Raw(b"payload")
    else:
        ping = IPv6(src=CLIENT[6], dst=SERVICE_X[6]) / ICMPv6EchoRequest(id=7, seq=1, data=b"payload")
    pong = parse(one(sites.device(0, ping)))
    assert (pong.src, pong.dst) == (SERVICE_X[family], CLIENT[family])
    if family == 4:
        assert pong[ICMP].type == 0 and bytes(pong[ICMP].payload) == b"payload"
        assert bytes(pong) == recomputed(pong)
    else:
        assert pong[ICMPv6EchoReply].data == b"payload"
        fresh = pong.copy()
        del fresh[ICMPv6EchoReply].cksum
        assert bytes(pong) == bytes(fresh)


@pytest.mark.parametrize("source", ["127.0.0.1", "0.1.2.3", "224.0.0.1", "255.255.255.255", SERVICE_X[4]])
def test_martian_clients(sites, source):
    syn = ip(4, source, SERVICE_X[4]) / TCP(sport=4000, dport=80, flags="S", seq=5)
    assert sites.device(0, syn) == []
    assert sites.counters(0)["drop.martian"] == 1 and sites.connections(0) == []


@FAMILIES
def test_ttl_runs_out(sites, family):
    syn = ip(family, CLIENT[family], SERVICE_X[family], ttl=1) / TCP(sport=4000, dport=80, flags="S", seq=5)
    answer = parse(one(sites.device(0, syn)))
    assert (answer.dst, answer.payload.type) == (CLIENT[family], 11 if family == 4 else 3)
    assert sites.counters(0)["drop.ttl"] == 1


def test_no_server_anywhere(sites):
    make_remote(sites, "down")
    sites("server 1 0 down")
    syn = ip(4, CLIENT[4], SERVICE_X[4]) / TCP(sport=4000, dport=80, flags="S", seq=5)
    # X does not know yet and transfers; Y has nobody: the client is told at once
    sites.device(0, syn)
    sites("carry 0 1")
    reset = parse(one(sites.packets(1)))
    assert (reset.src, reset.dst, reset[TCP].flags) == (SERVICE_X[4], CLIENT[4], "RA")
    assert sites.counters(1)["drop.no_server"] == 1
    # after its report X knows
    sites("report 1 0")
    syn[TCP].sport = 4001
    assert parse(one(sites.device(0, syn)))[TCP].flags == "RA"
    assert sites.counters(0)["drop.no_server"] == 1


def test_server_down_resets_its_clients(sites):
    client, service, server = CLIENT[4], SERVICE_X[4], SERVER_X[4]
    syn = ip(4, client, service) / TCP(sport=40006, dport=80, flags="S", seq=100)
    port = parse(one(sites.device(0, syn)))[TCP].sport
    sites.device(0, ip(4, server, service) / TCP(sport=8080, dport=port, flags="SA", seq=500, ack=101))
    sites.device(0, ip(4, client, service) / TCP(sport=40006, dport=80, flags="A", seq=101, ack=501))
    sites("server 0 0 down")
    sites("expire 0")
    reset = parse(one(sites.packets(0)))
    assert (reset.src, reset.dst, reset[TCP].sport, reset[TCP].dport) == (service, client, 80, 40006)
    assert "R" in reset[TCP].flags and reset[TCP].seq == 501
    assert sites.connections(0) == []


def test_same_port_again_after_the_end(sites):
    """A SYN on a finished connection opens a new one, which may meet another server."""
    client, service, server = CLIENT[4], SERVICE_X[4], SERVER_X[4]
    segment = lambda flags, seq, ack=0: ip(4, client, service) / TCP(sport=40007, dport=80, flags=flags, seq=seq, ack=ack)
    port = parse(one(sites.device(0, segment("S", 100))))[TCP].sport
    back = lambda flags, seq, ack: ip(4, server, service) / TCP(sport=8080, dport=port, flags=flags, seq=seq, ack=ack)
    sites.device(0, back("SA", 500, 101))
    sites.device(0, segment("A", 101, 501))
    sites.device(0, segment("FA", 101, 501))
    sites.device(0, back("FA", 501, 102))
    sites.device(0, segment("A", 102, 502))
    assert sites.connections(0)[0][1] in ("time-wait", "time_wait")
    assert parse(one(sites.device(0, segment("S", 90000))))[TCP].dport == 8080
    assert len(sites.connections(0)) == 1
    assert sites.counters(0)["connections_local"] == 2


# ---- the transfer path, as an enemy sees it ----


def sealed_syn(sites, sport=40010):
    make_remote(sites, "down")
    sites.device(0, ip(4, CLIENT[4], SERVICE_X[4]) / TCP(sport=sport, dport=80, flags="S", seq=7))
    (datagram,) = sites.datagrams(0)
    return datagram


def test_every_flipped_bit_is_dropped(sites):
    datagram = sealed_syn(sites)
    for bit in range(8 * len(datagram)):
        changed = bytearray(datagram)
        changed[bit // 8] ^= 1 << bit % 8
        sites(f"inject 1 192.0.2.1:7210 {changed.hex()}")
    assert sites.packets(1) == [] and sites.connections(1) == []
    sites(f"inject 1 192.0.2.1:7210 {datagram.hex()}")
    assert len(sites.packets(1)) == 1


def test_repeated_datagram_is_dropped(sites):
    datagram = sealed_syn(sites)
    for _ in range(5):
        sites(f"inject 1 192.0.2.1:7210 {datagram.hex()}")
    assert len(sites.packets(1)) == 1
    assert sites.counters(1)["drop.transfer_replay"] == 4


def test_foreign_sender_is_dropped(sites):
    datagram = sealed_syn(sites)
    for sender in ("192.0.2.9:7210", "192.0.2.1:7211"):
        sites(f"inject 1 {sender} {datagram.hex()}")
    assert sites.packets(1) == []
    assert sites.counters(1)["drop.transfer_source"] == 2


def test_random_datagrams_have_no_effect(sites):
    rng = random.Random(3)
    for _ in range(3000):
        octets = bytes(rng.randrange(256) for _ in range(rng.randrange(0, 120)))
        sites(f"inject 1 192.0.2.1:7210 {octets.hex()}")
    assert sites.packets(1) == [] and sites.datagrams(1) == [] and sites.connections(1) == []


def test_service_of_somebody_else_is_dropped(sites):
    """Y's own service address inside a transfer packet: X does not own that."""
    datagram_count = 0
    make_remote(sites, "down")
    # X is made to believe that it owns Y's address as well
    evil = config("x", "y", SERVICE_Y, SERVER_X, "192.0.2.1:7210", "192.0.2.2:7210")
    sites("site " + evil)
    # site 2 has keys to site 1, but site 1 knows the addresses that site 0 announced in its place
    sites("link 2 1")
    sites("link 0 1")
    sites("server 2 0 down")
    sites("link 2 1")
    sites("link 0 1")
    sites.device(2, ip(4, CLIENT[4], SERVICE_Y[4]) / TCP(sport=4000, dport=80, flags="S", seq=7))
    for datagram in sites.datagrams(2):
        datagram_count += 1
        sites(f"inject 1 192.0.2.1:7210 {datagram.hex()}")
    assert datagram_count == 1
    assert sites.packets(1) == [] and sites.counters(1)["drop.transfer_service"] == 1


@FAMILIES
def test_thousands_of_random_packets(sites, family):
    """Random connections and lengths through rule 1 and back; each checked octet by octet."""
    rng = random.Random(family)
    client, service, server = CLIENT[family], SERVICE_X[family], SERVER_X[family]
    ports = {}
    for _ in range(1500):
        sport = rng.randrange(1024, 1224)
        # what looks like an empty DNS message: scapy reads no names out of random octets
        payload = bytes(12) + rng.randbytes(rng.randrange(0, 1388))
        if rng.random() < 0.5:
            packet = ip(family, client, service, rng.randrange(2, 255)) / UDP(sport=sport, dport=53) / Raw(payload)
            out = one(sites.device(0, packet))
            port = ports.setdefault(sport, parse(out)[UDP].sport)
            expect(out, packet, service, port, server, 53)
        elif sport in ports:
            packet = ip(family, server, service, rng.randrange(2, 255)) / UDP(sport=53, dport=ports[sport]) / Raw(payload)
            expect(one(sites.device(0, packet)), packet, service, 53, client, sport)
