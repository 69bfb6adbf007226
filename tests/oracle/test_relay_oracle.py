"""Rule 3: the addresses that each packet has on each part of its way, checked by scapy.

    C > L  --X: relay port p==>Y-->  L:p > S        S > L:p  --X-->  L > C
"""

import random

import pytest
from scapy.layers.inet import ICMP, IP, IPerror, TCP, TCPerror, UDP
from scapy.layers.inet6 import ICMPv6PacketTooBig, IPerror6, IPv6
from scapy.packet import Raw

from test_datapath_oracle import (CLIENT, DRIVER, FAMILIES, SERVER_Y, SERVICE_X, SERVICE_Y, SELF_Y, SERVER_X,
                                  Driver, config, expect, ip, make_remote, one, parse, recomputed)

import os

pytestmark = pytest.mark.skipif(not DRIVER or not os.path.exists(DRIVER), reason="no datapath driver")


@pytest.fixture
def sites():
    """X asks for replies by way of itself; its own servers are down."""
    driver = Driver()
    x = config("x", "y", SERVICE_X, SERVER_X, "192.0.2.1:7210", "192.0.2.2:7210")
    driver("site " + x.replace('transfer = "192.0.2.2:7210"; }', 'transfer = "192.0.2.2:7210"; reply = "transferor"; }'))
    driver("site " + config("y", "x", SERVICE_Y, SERVER_Y, "192.0.2.2:7210", "192.0.2.1:7210",
                            f'self_addresses = [ "{SELF_Y[4]}", "{SELF_Y[6]}" ];'))
    assert driver("link 0 1") == ["ok"]
    make_remote(driver, "down")
    yield driver
    driver.close()


def hop(packet, count=1):
    """A packet after so many routers."""
    packet = parse(bytes(packet))
    if isinstance(packet, IP):
        packet.ttl -= count
    else:
        packet.hlim -= count
    return parse(recomputed(packet))


def demand(sites, family, sport=40001, dport=80):
    """The client's SYN at Y's server: the relay port."""
    syn = ip(family, CLIENT[family], SERVICE_X[family]) / TCP(sport=sport, dport=dport, flags="S", seq=7)
    assert sites.device(0, syn) == []
    assert sites("carry 0 1") == ["carried 1"]
    out = one(sites.packets(1))
    port = parse(out)[TCP].sport
    expect(out, hop(syn), SERVICE_X[family], port, SERVER_Y[family], 8080)
    return port


@FAMILIES
def test_rule_3_tcp(sites, family):
    client, service, server = CLIENT[family], SERVICE_X[family], SERVER_Y[family]
    port = demand(sites, family)
    assert port >= 1024 and port not in (53, 80, 443)
    # the server answers the address that it sees, so X gets the reply, and Y nothing
    answer = ip(family, server, service) / TCP(sport=8080, dport=port, flags="SA", seq=9, ack=8,
                                               options=[("MSS", 1460), ("WScale", 7)])
    clamped = answer.copy()
    clamped[TCP].options = [("MSS", 1500 - 68 - (40 if family == 4 else 60)), ("WScale", 7)]
    expect(one(sites.device(0, answer)), clamped, service, 80, client, 40001)
    ack = ip(family, client, service) / TCP(sport=40001, dport=80, flags="A", seq=8, ack=10)
    assert sites.device(0, ack) == []
    sites("carry 0 1")
    expect(one(sites.packets(1)), hop(ack), service, port, server, 8080)
    for _ in range(50):
        data = ip(family, server, service) / TCP(sport=8080, dport=port, flags="PA", seq=10, ack=8)
        data /= Raw(random.randbytes(random.randrange(1400)))
        expect(one(sites.device(0, data)), data, service, 80, client, 40001)
    assert [c[:2] for c in sites.connections(0)] == [["transferred", "established"]]
    assert [c[:2] for c in sites.connections(1)] == [["received", "established"]]
    assert sites.counters(0)["connections_relayed"] == 1


@FAMILIES
def test_rule_3_udp(sites, family):
    client, service, server = CLIENT[family], SERVICE_X[family], SERVER_Y[family]
    query = ip(family, client, service) / UDP(sport=5353, dport=53) / Raw(b"question")
    sites.device(0, query)
    sites("carry 0 1")
    out = one(sites.packets(1))
    port = parse(out)[UDP].sport
    expect(out, hop(query), service, port, server, 53)
    answer = ip(family, server, service) / UDP(sport=53, dport=port) / Raw(b"answer")
    expect(one(sites.device(0, answer)), answer, service, 53, client, 5353)


@FAMILIES
def test_strangers_at_the_relay_port(sites, family):
    """Only a server that Y has announced, only the one that answered first, only on its port."""
    service, server = SERVICE_X[family], SERVER_Y[family]
    port = demand(sites, family)
    strangers = [(SERVER_X[family], 8080), (CLIENT[family], 8080), (SELF_Y[family], 8080), (server, 8081)]
    for address, sport in strangers:
        reset = ip(family, address, service) / TCP(sport=sport, dport=port, flags="SA", seq=1, ack=8)
        assert sites.device(0, reset) == []
    assert sites.counters(0)["drop.relay_server"] == len(strangers)
    answer = ip(family, server, service) / TCP(sport=8080, dport=port, flags="SA", seq=9, ack=8)
    expect(one(sites.device(0, answer)), answer, service, 80, CLIENT[family], 40001)


@FAMILIES
def test_closed_relay_port(sites, family):
    """A port that nobody waits on answers as any closed one."""
    stray = ip(family, SERVER_Y[family], SERVICE_X[family]) / TCP(sport=8080, dport=5000, flags="A", seq=1, ack=8)
    reset = parse(one(sites.device(0, stray)))
    assert (reset.src, reset.dst, reset[TCP].flags) == (SERVICE_X[family], SERVER_Y[family], "R")


@FAMILIES
def test_end_is_told_to_the_transferee(sites, family):
    client, service, server = CLIENT[family], SERVICE_X[family], SERVER_Y[family]
    port = demand(sites, family)

    def from_server(flags, seq, ack):
        sites.device(0, ip(family, server, service) / TCP(sport=8080, dport=port, flags=flags, seq=seq, ack=ack))

    def from_client(flags, seq, ack):
        sites.device(0, ip(family, client, service) / TCP(sport=40001, dport=80, flags=flags, seq=seq, ack=ack))
        sites("carry 0 1")
        sites.packets(1)

    from_server("SA", 9, 8)
    from_client("A", 8, 10)
    from_client("FA", 8, 10)
    from_server("FA", 10, 9)
    from_client("A", 9, 11)
    assert sites.connections(0)[0][1] == "time_wait"
    assert sites.connections(1)[0][1] == "closing"
    assert sites("tell 0 1") == ["told 1"]
    assert sites.connections(1)[0][1] == "time_wait"
    assert sites("tell 1 0") == ["told 0"]


@FAMILIES
def test_site_lost(sites, family):
    """The client gets a RST that it takes: with the sequence number that it expects."""
    client, service = CLIENT[family], SERVICE_X[family]
    port = demand(sites, family)
    sites.device(0, ip(family, SERVER_Y[family], service) / TCP(sport=8080, dport=port, flags="SA", seq=9, ack=8))
    sites.device(0, ip(family, client, service) / TCP(sport=40001, dport=80, flags="A", seq=8, ack=10))
    sites("now 5000")
    sites("lost 0 0")
    sites("expire 0")
    reset = parse(one(sites.packets(0)))
    assert bytes(reset) == recomputed(reset)
    assert (reset.src, reset.dst, reset[TCP].sport, reset[TCP].dport) == (service, client, 80, 40001)
    assert "R" in reset[TCP].flags and reset[TCP].seq == 10
    assert sites.connections(0) == []


@FAMILIES
def test_icmp_about_the_reply(sites, family):
    """A router before the client says "too big" about L > C: the server hears it about S > L:p."""
    client, service, server = CLIENT[family], SERVICE_X[family], SERVER_Y[family]
    port = demand(sites, family)
    sites.device(0, ip(family, server, service) / TCP(sport=8080, dport=port, flags="SA", seq=9, ack=8))
    quoted = ip(family, service, client) / TCP(sport=80, dport=40001, flags="A", seq=10, ack=8) / Raw(b"x" * 100)
    quoted = parse(bytes(quoted))
    if family == 4:
        error = IP(src="192.0.2.9", dst=service) / ICMP(type=3, code=4, nexthopmtu=1300) / Raw(bytes(quoted)[:60])
    else:
        error = IPv6(src="2001:db8:99::1", dst=service) / ICMPv6PacketTooBig(mtu=1300) / Raw(bytes(quoted))
    out = parse(one(sites.device(0, error)))
    assert bytes(out) == recomputed(out)
    assert (out.src, out.dst) == (service, server)
    inner = out[IPerror] if family == 4 else out[IPerror6]
    assert (inner.src, inner.dst) == (server, service)
    assert (out[TCPerror].sport, out[TCPerror].dport) == (8080, port)
