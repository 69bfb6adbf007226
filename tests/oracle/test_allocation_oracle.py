"""Which server a connection goes to, and what becomes of it when the server goes.

Whole datapaths on the memory backend: limits, backup servers, several ports, every
scheduler, servers that go down with TCP and UDP connections, reset or kept, drained or disabled.
"""

import random

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.packet import Raw

from test_datapath_oracle import (CLIENT, DRIVER, FAMILIES, SERVICE_X, SERVICE_Y, Driver,  # noqa: F401
                                  driver, ip, parse, recomputed)

pytestmark = pytest.mark.skipif(not DRIVER, reason="no datapath driver")

SCHEDULERS = ["twos", "rr", "wrr", "lc", "wlc", "sed", "nq", "sh", "mh", "ovf"]
LIMITS = 'limits: { connections = 4096; };'


def server(number, port=0, extra=""):
    return (f'{{ name = "s{number}"; address = [ "10.1.0.{10 + number}", "2001:db8:a1::{number:x}" ];'
            f' {f"port = {port};" if port else ""} {extra} }}')


def service(name, protocol, ports, servers, extra=""):
    return (f'{{ name = "{name}"; address = [ "{SERVICE_X[4]}", "{SERVICE_X[6]}" ]; protocol = "{protocol}";'
            f' ports = [ {ports} ]; {extra} servers: ( {", ".join(servers)} ); }}')


def site(driver, *services, extra=""):
    driver(f'site site = "x"; {LIMITS} services: ( {", ".join(services)} ); {extra}')


def v4(number):
    return f"10.1.0.{10 + number}"


def address(family, number):
    return v4(number) if family == 4 else f"2001:db8:a1::{number:x}"


class Client:
    """One end of TCP connections and UDP exchanges through site 0, which plays the servers as well."""

    def __init__(self, driver, family=4, address=None, dport=80):
        self.driver, self.family, self.address, self.dport = driver, family, address or CLIENT[family], dport

    def send(self, transport):
        packet = ip(self.family, self.address, SERVICE_X[self.family]) / transport
        return [parse(p[3]) for p in self.driver.device(0, packet)]

    def syn(self, sport, dport=None):
        """What comes out for a SYN: at a server, or a RST to the client, or nothing."""
        out = self.send(TCP(sport=sport, dport=dport or self.dport, flags="S", seq=1000))
        assert len(out) <= 1
        return out[0] if out else None

    def connect(self, sport, dport=None):
        """A whole handshake; returns the packet that the server got."""
        syn = self.syn(sport, dport)
        assert syn is not None and syn.dst != self.address, "refused"
        answer = ip(self.family, syn.dst, syn.src) / TCP(sport=syn[TCP].dport, dport=syn[TCP].sport, flags="SA",
                                                        seq=5000, ack=1001)
        back = [parse(p[3]) for p in self.driver.device(0, answer)]
        assert len(back) == 1 and back[0].dst == self.address and back[0][TCP].flags == "SA"
        assert self.data(sport, dport)[0].dst == syn.dst
        return syn

    def data(self, sport, dport=None, seq=1001, ack=5001, payload=b""):
        return self.send(TCP(sport=sport, dport=dport or self.dport, flags="A", seq=seq, ack=ack) / Raw(payload))

    def finish(self, sport):
        """The client ends the connection; it is no longer in flight."""
        self.send(TCP(sport=sport, dport=self.dport, flags="FA", seq=1001, ack=5001))

    def datagram(self, sport, dport=53, payload=b"question"):
        out = self.send(UDP(sport=sport, dport=dport) / Raw(payload))
        return out[0] if out else None

    def answer(self, request, payload=b"answer"):
        """The server's answer to a datagram that it got, as it leaves to the client."""
        reply = ip(self.family, request.dst, request.src) / UDP(
            sport=request[UDP].dport, dport=request[UDP].sport) / Raw(payload)
        return [parse(p[3]) for p in self.driver.device(0, reply)]


def tcp_resets(packets, client):
    """Of packets that wlad wrote by itself: the client ports that got a RST, each as it has to be."""
    ports = []
    for octets in packets:
        packet = parse(octets[3])
        assert bytes(packet) == recomputed(packet)
        assert packet.dst == client and packet.src == SERVICE_X[4 if isinstance(packet, IP) else 6]
        assert "R" in str(packet[TCP].flags)
        ports.append(packet[TCP].dport)
    return ports


def down(driver, number):
    """Returns the packets that wlad writes because of it."""
    driver(f"server 0 {number} down")
    driver("expire 0")
    return driver.packets(0)


# ---- limits and schedulers ----


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_limits_are_hard(driver, scheduler):
    """Two servers with room for 5 and 3: 8 connections, the 9th is refused, until one ends."""
    site(driver, service("web", "tcp", "80", [server(1, extra="max_connections = 5; weight = 2;"),
                                              server(2, extra="max_connections = 3;")],
                         f'scheduler = "{scheduler}";'))
    client = Client(driver)
    got = [client.connect(40000 + i).dst for i in range(8)]
    assert sorted(got) == sorted([v4(1)] * 5 + [v4(2)] * 3)
    refused = client.syn(41000)
    assert refused.dst == client.address and refused[TCP].flags == "RA"
    assert driver.counters(0)["drop.no_server"] == 1
    ended = got.index(v4(2))
    client.finish(40000 + ended)
    assert client.connect(41001).dst == v4(2)
    assert client.syn(41002).dst == client.address
    # those that exist go on
    assert all(client.data(40000 + i)[0].dst == got[i] for i in range(8))


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@FAMILIES
def test_every_scheduler_serves(driver, family, scheduler):
    """All connections go to servers, the same for all packets of one; a server that is down gets none."""
    site(driver, service("web", "tcp", "80", [server(i) for i in range(1, 5)], f'scheduler = "{scheduler}";'))
    servers = {address(family, i) for i in range(1, 5)}
    seen = set()
    for i in range(80):
        # the last octets: IPv6 addresses in the same notation
        sender = f"192.0.2.{i + 1}" if family == 4 else f"2001:db8:77::{i + 1:x}"
        client = Client(driver, family, sender)
        at = client.connect(40000).dst
        seen.add(at)
        assert [p.dst for p in client.data(40000)] == [at]
    assert seen == ({address(family, 1)} if scheduler == "ovf" else servers)
    down(driver, 0)
    again = {Client(driver, family, CLIENT[family]).connect(50000 + i).dst for i in range(40)}
    assert address(family, 1) not in again and again <= servers
    assert (len(again) == 1) == (scheduler in ("sh", "mh", "ovf"))


@pytest.mark.parametrize("scheduler", ["sh", "mh"])
def test_hash_keeps_a_client_at_its_server(driver, scheduler):
    """All ports of a client go to one server; a restart with the same file changes nothing."""
    text = service("web", "tcp", "80", [server(i) for i in range(1, 20)], f'scheduler = "{scheduler}";')
    site(driver, text)
    site(driver, text)
    clients = [f"192.0.2.{i}" for i in range(1, 100)]
    where = {}
    for number, sender in enumerate(clients):
        client = Client(driver, 4, sender)
        ats = {client.connect(40000 + i).dst for i in range(3)}
        assert len(ats) == 1
        where[sender] = ats.pop()
    assert len(set(where.values())) > 10
    syn = IP(src=clients[7], dst=SERVICE_X[4]) / TCP(sport=1, dport=80, flags="S")
    assert parse(driver.device(1, syn)[0][3]).dst == where[clients[7]]


def test_least_connections_follows_ends(driver):
    """lc sees connections end as well as open."""
    site(driver, service("web", "tcp", "80", [server(1), server(2)], 'scheduler = "lc";'))
    client = Client(driver)
    got = [client.connect(40000 + i).dst for i in range(6)]
    assert got == [v4(1), v4(2)] * 3
    for i in (0, 2, 4):
        client.finish(40000 + i)
    assert [client.connect(41000 + i).dst for i in range(3)] == [v4(1)] * 3


# ---- several ports ----


def test_services_and_ports(driver):
    """Two ports of a service, servers with and without a port of their own, another service beside it."""
    site(driver,
         service("web", "tcp", "80, 443", [server(1, 8080), server(2)], 'scheduler = "rr";'),
         service("mail", "tcp", "25, 587", [server(3)]),
         service("dns", "udp", "53, 5300", [server(4), server(5, 1053)], 'scheduler = "rr";'))
    client = Client(driver)
    got = [(client.connect(40000 + i, dport)) for i, dport in enumerate([80, 443, 443, 80])]
    assert [(p.dst, p[TCP].dport) for p in got] == [(v4(1), 8080), (v4(2), 443), (v4(1), 8080), (v4(2), 80)]
    assert [(client.connect(41000, port).dst, port) for port in (25, 587)] == [(v4(3), 25), (v4(3), 587)]
    out = [client.datagram(5000 + i, port) for i, port in enumerate([53, 5300, 5300, 53])]
    assert [(p.dst, p[UDP].dport) for p in out] == [(v4(4), 53), (v4(5), 1053), (v4(4), 5300), (v4(5), 1053)]
    # one client port to two service ports: two connections, and answers go back to where they belong
    first, second = client.connect(42000, 80), client.connect(42000, 443)
    assert (first.dst, first[TCP].sport) != (second.dst, second[TCP].sport)
    assert client.syn(43000, 81)[TCP].flags == "RA"
    assert client.datagram(43000, 80).haslayer(ICMP)


# ---- a server goes down ----


@FAMILIES
@pytest.mark.parametrize("keep", [False, True], ids=["reset", "keep"])
def test_server_down_tcp(driver, family, keep):
    site(driver, service("web", "tcp", "80", [server(1), server(2)],
                         'scheduler = "rr";' + (' on_server_down = "keep";' if keep else "")))
    client = Client(driver, family)
    at = {40000 + i: client.connect(40000 + i).dst for i in range(6)}
    victims = [port for port, where in at.items() if where == address(family, 1)]
    assert len(victims) == 3
    packets = down(driver, 0)
    if keep:
        assert packets == []
        for port, where in at.items():
            assert [p.dst for p in client.data(port)] == [where]
    else:
        assert sorted(tcp_resets(packets, client.address)) == victims
        for octets in packets:  # exactly where the client expects the next octet: RFC 5961
            assert parse(octets[3])[TCP].seq == 5001
        for port, where in at.items():
            out = client.data(port)
            if port in victims:  # nothing is left of it
                assert len(out) == 1 and out[0].dst == client.address and "R" in str(out[0][TCP].flags)
            else:
                assert [p.dst for p in out] == [where]
    for i in range(4):
        assert client.connect(50000 + i).dst == address(family, 2)
    driver("server 0 0 up")
    driver("expire 0")
    assert driver.packets(0) == []
    assert address(family, 1) in {client.connect(51000 + i).dst for i in range(4)}


@pytest.mark.parametrize("keep", [False, True], ids=["reset", "keep"])
def test_server_down_before_it_answered(driver, keep):
    """A SYN that a dead server has not answered: no reset, and the retransmission goes elsewhere."""
    site(driver, service("web", "tcp", "80", [server(1), server(2)],
                         'scheduler = "rr";' + (' on_server_down = "keep";' if keep else "")))
    client = Client(driver)
    assert client.syn(40000).dst == v4(1)
    assert client.syn(40000).dst == v4(1)
    assert down(driver, 0) == []
    assert client.connect(40000).dst == v4(2)


def test_server_down_after_syn_ack(driver):
    """Answered, but the handshake is not over: the client believes to be connected, and is reset."""
    site(driver, service("web", "tcp", "80", [server(1), server(2)], 'scheduler = "rr";'))
    client = Client(driver)
    syn = client.syn(40000)
    driver.device(0, IP(src=syn.dst, dst=syn.src) / TCP(sport=80, dport=syn[TCP].sport, flags="SA", seq=9, ack=1001))
    assert tcp_resets(down(driver, 0), client.address) == [40000]


def test_server_down_closed_connections_are_left_alone(driver):
    """A connection that is over gets no reset."""
    site(driver, service("web", "tcp", "80", [server(1)]))
    client = Client(driver)
    syn = client.connect(40000)
    client.send(TCP(sport=40000, dport=80, flags="R", seq=1001))
    assert down(driver, 0) == []
    assert syn.dst == v4(1)


@FAMILIES
@pytest.mark.parametrize("keep", [False, True], ids=["reset", "keep"])
@pytest.mark.parametrize("answered", [False, True])
def test_server_down_udp(driver, family, keep, answered):
    """The next datagram goes to another server, in both settings; answers of the old one are nobody's."""
    site(driver, service("dns", "udp", "53", [server(1), server(2)],
                         'scheduler = "rr";' + (' on_server_down = "keep";' if keep else "")))
    client = Client(driver, family)
    first = client.datagram(5000)
    assert first.dst == address(family, 1)
    if answered:
        assert [p.dst for p in client.answer(first)] == [client.address]
    assert client.datagram(5000).dst == address(family, 1)
    assert down(driver, 0) == []
    second = client.datagram(5000)
    assert second.dst == address(family, 2)
    assert [p.dst for p in client.answer(second)] == [client.address]
    stale = [p for p in client.answer(first) if p.dst == client.address]
    assert stale == []
    driver("server 0 0 up")
    assert client.datagram(5000).dst == address(family, 2)


def test_all_servers_down_udp(driver):
    """Nobody is left: refused, and served again as soon as one is back."""
    site(driver, service("dns", "udp", "53", [server(1), server(2)]))
    client = Client(driver)
    client.datagram(5000)
    down(driver, 0)
    down(driver, 1)
    assert client.datagram(5000).haslayer(ICMP)
    driver("server 0 1 up")
    assert client.datagram(5000).dst == v4(2)


def test_many_connections_down(driver):
    """More than one round of the sweep; every client hears of it, nobody else."""
    site(driver, service("web", "tcp", "80", [server(1), server(2)], 'scheduler = "rr";'))
    senders = [Client(driver, 4, f"192.0.2.{i + 1}") for i in range(250)]
    for client in senders:
        for i in range(10):
            client.connect(40000 + i)
    driver("server 0 0 down")
    driver("expire 0")
    first = len(driver.packets(0))
    assert 0 < first < 1250
    for _ in range(5):
        driver("expire 0")
    assert first + len(driver.packets(0)) == 1250
    assert {c[-1] for c in driver.connections(0)} == {f"{v4(2)}:80"}


@pytest.mark.parametrize("word", ["draining", "disabled"])
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_administration_keeps_connections(driver, word, protocol):
    site(driver, service("s", protocol, "53", [server(1), server(2)], 'scheduler = "rr";'))
    client = Client(driver, dport=53)
    tcp = protocol == "tcp"
    first = client.connect(40000) if tcp else client.datagram(40000)
    assert first.dst == v4(1)
    driver(f"admin 0 0 {word}")
    driver("expire 0")
    assert driver.packets(0) == []
    for _ in range(3):
        again = client.data(40000)[0] if tcp else client.datagram(40000)
        assert again.dst == v4(1)
    for i in range(4):
        other = client.connect(41000 + i) if tcp else client.datagram(41000 + i)
        assert other.dst == v4(2)
    driver("admin 0 0 enabled")
    assert v4(1) in {(client.connect(42000 + i) if tcp else client.datagram(42000 + i)).dst for i in range(2)}


# ---- backup servers ----


@FAMILIES
def test_backup(driver, family):
    """Serves while the others are down, and what it has it keeps when they return."""
    site(driver, service("web", "tcp", "80", [server(1), server(2), server(3, extra="backup = true;")]))
    client = Client(driver, family)
    assert {client.connect(40000 + i).dst for i in range(20)} == {address(family, 1), address(family, 2)}
    down(driver, 0)
    assert {client.connect(41000 + i).dst for i in range(10)} == {address(family, 2)}
    down(driver, 1)
    assert {client.connect(42000 + i).dst for i in range(5)} == {address(family, 3)}
    driver("server 0 1 up")
    assert {client.connect(43000 + i).dst for i in range(5)} == {address(family, 2)}
    assert [p.dst for p in client.data(42000)] == [address(family, 3)]


def test_backup_when_full(driver):
    site(driver, service("web", "tcp", "80", [server(1, extra="max_connections = 2;"),
                                              server(2, extra="max_connections = 1; backup = true;")]))
    client = Client(driver)
    assert [client.connect(40000 + i).dst for i in range(3)] == [v4(1), v4(1), v4(2)]
    assert client.syn(40003)[TCP].flags == "RA"


# ---- with another site ----


def two_sites(driver, extra="", peer_servers=2):
    listen = {"x": "192.0.2.1:7210", "y": "192.0.2.2:7210"}
    for me, other, where, base in (("x", "y", SERVICE_X, 1), ("y", "x", SERVICE_Y, 2)):
        names = ", ".join(f'{{ name = "s{i}"; address = "10.{base}.0.{10 + i}"; max_connections = 4; }}'
                          for i in range(1, peer_servers + 1))
        services = ", ".join(
            f'{{ name = "{name}"; address = "{where[4]}"; protocol = "{protocol}"; ports = [ {port} ]; {extra}'
            f' scheduler = "rr"; servers: ( {names} ); }}' for name, protocol, port in (("web", "tcp", 80), ("dns", "udp", 53)))
        driver(f'site site = "{me}"; {LIMITS} services: ( {services} );'
               f' load: {{ listen = "{listen[me]}"; certificate = "/c"; key = "/k"; ca = "/a"; }};'
               f' transfer: {{ listen = "{listen[me]}"; }};'
               f' peers: ( {{ site = "{other}"; load = "{listen[other]}"; transfer = "{listen[other]}"; }} );')
    assert driver("link 0 1") == ["ok"]


def test_full_here_goes_to_the_other_site(driver):
    """Every own server full: the other site serves; full there too: refused."""
    two_sites(driver)
    client = Client(driver)
    for i in range(8):  # own servers, though the gate may send some away before they are full
        client.syn(40000 + i)
    kinds = [c[0] for c in driver.connections(0)]
    assert kinds.count("local") + kinds.count("transferred") == 8
    driver(f"active 0 0 {4 - sum(c[-1] == '10.1.0.11:80' for c in driver.connections(0))}")
    driver(f"active 0 1 {4 - sum(c[-1] == '10.1.0.12:80' for c in driver.connections(0))}")
    assert client.syn(41000) is None  # sealed
    assert driver("carry 0 1")[0] != "carried 0"
    assert parse(driver.packets(1)[-1][3]).dst.startswith("10.2.0.")
    # nothing is left there: the transferee answers, and so does the transferor once it knows
    driver("active 1 0 4")
    driver("active 1 1 4")
    client.syn(41001)
    driver("carry 0 1")
    answer = parse(driver.packets(1)[-1][3])
    assert answer.dst == client.address and answer[TCP].flags == "RA"
    driver("report 1 0")
    assert client.syn(41002)[TCP].flags == "RA"


def test_transferee_loses_its_server(driver):
    """The transferee resets the client under the transferor's address; UDP is allocated anew there."""
    two_sites(driver)
    driver("server 0 0 down")
    driver("server 0 1 down")
    driver("server 0 2 down")
    driver("server 0 3 down")
    client = Client(driver)
    assert client.syn(40000) is None
    driver("carry 0 1")
    syn = parse(driver.packets(1)[0][3])
    assert syn.dst == "10.2.0.11"
    answer = IP(src=syn.dst, dst=syn.src) / TCP(sport=80, dport=syn[TCP].sport, flags="SA", seq=5000, ack=1001)
    driver.device(1, answer)
    client.data(40000)
    assert client.datagram(5000) is None
    driver("carry 0 1")
    got = parse(driver.packets(1)[-1][3])
    assert (got.dst, got[UDP].dport) == ("10.2.0.11", 53)
    driver("server 1 0 down")
    driver("server 1 2 down")
    driver("expire 1")
    assert tcp_resets(driver.packets(1), client.address) == [40000]
    for _ in range(3):  # one by one: together they would be joined
        assert client.datagram(5000) is None
        driver("carry 0 1")
    assert [parse(p[3]).dst for p in driver.packets(1)] == ["10.2.0.12"] * 3


# ---- a long run ----


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_servers_that_come_and_go(driver, scheduler):
    """A random day of five servers: no connection at one that is down or draining, no limit passed."""
    rng = random.Random(scheduler)
    site(driver, service("web", "tcp", "80", [server(i, extra="max_connections = 12;") for i in range(1, 5)] +
                         [server(5, extra="max_connections = 12; backup = true;")], f'scheduler = "{scheduler}";'))
    state = {i: "up" for i in range(5)}
    admin = {i: "enabled" for i in range(5)}
    for step in range(250):
        what = rng.random()
        number = rng.randrange(5)
        if what < 0.06:
            state[number] = rng.choice(["up", "up", "down"])
            driver(f"server 0 {number} {state[number]}")
            driver("expire 0")
            driver.packets(0)
        elif what < 0.1:
            admin[number] = rng.choice(["enabled", "enabled", "draining", "disabled"])
            driver(f"admin 0 {number} {admin[number]}")
        else:
            sender = f"192.0.2.{1 + step % 250}"
            client = Client(driver, 4, sender)
            usable = [v4(i + 1) for i in range(4) if state[i] == "up" and admin[i] == "enabled"]
            backup = state[4] == "up" and admin[4] == "enabled"
            # those that count as in flight
            counts = {v4(i): 0 for i in range(1, 6)}
            for connection in driver.connections(0):
                if connection[1] in ("opening", "established"):
                    counts[connection[-1].split(":")[0]] += 1
            assert max(counts.values()) <= 12
            room = [a for a in usable if counts[a] < 12] or ([v4(5)] if backup and counts[v4(5)] < 12 else [])
            out = client.syn(40000 + step)
            if room:
                assert out.dst in room
                if rng.random() < 0.5:
                    client.send(TCP(sport=40000 + step, dport=80, flags="R", seq=1001))
            else:
                assert out.dst == sender and out[TCP].flags == "RA"
