"""ICMP errors and fragments: path MTU discovery, traceroute and large datagrams through the service.

The path to the client, or the one to the servers, is made narrow: 1280 octets.  Both ends
believe in 1500 until an ICMP error tells them, and that error names addresses
that its receiver knows only if wlad has converted it.
"""

import os
import random
import socket
import sys

import pytest

import capture
from lab import CLIENT4, CLIENT6, FAST_CHECK, SERVERS, WEB_PORT

FAMILIES = pytest.mark.parametrize("v6", [False, True], ids=["ipv4", "ipv6"])
ECHO_PORT = 7
NARROW = 1280
HERE = os.path.dirname(os.path.abspath(__file__))


def settings(site):
    """The lab's, and a service that answers datagrams of any length."""
    out = site.settings()
    out["services"].append({
        "name": "echo", "address": [site.v4, site.v6], "protocol": "udp", "ports": [ECHO_PORT],
        "check": dict(FAST_CHECK),
        "servers": [{"name": s.name, "address": [s.v4, s.v6]} for s in site.servers]})
    return out


@pytest.fixture(scope="module")
def lab(wlad, net):
    net.start_servers()
    for site in net.sites:
        for s in site.servers:
            s.echo = s.ns.start(sys.executable, os.path.join(HERE, "echo.py"), str(ECHO_PORT))
    net.certify()
    for site in net.sites:
        site.wlad.start(settings(site))
    net.ready()
    for site in net.sites:
        site.wait_up(service="echo")
        site.sees_up(SERVERS, "echo")
    return net


@pytest.fixture(scope="module")
def spilled(lab):
    """Tokyo has no server any more: everything is transferred."""
    for s in lab.x.servers:
        s.echo.kill()
    lab.x.kill_servers()
    for service in ("web", "echo"):
        lab.x.wait_up(0, service)
    return lab


def forget(lab):
    """No host remembers a path MTU."""
    for ns in [lab.client] + [s.ns for site in lab.sites for s in site.servers]:
        ns.run("ip", "-4", "route", "flush", "cache")
        ns.run("ip", "-6", "route", "flush", "cache")


@pytest.fixture
def narrow_client(lab):
    forget(lab)
    lab.wan.ip("link set client mtu %d" % NARROW)
    yield
    lab.wan.ip("link set client mtu 1500", "addr replace 2001:db8:c::1/64 dev client nodad")
    forget(lab)


@pytest.fixture
def narrow_servers(lab):
    forget(lab)
    for site in lab.sites:
        site.gw.ip("link set lan mtu %d" % NARROW)
    yield
    for site in lab.sites:
        site.gw.ip("link set lan mtu 1500")
    forget(lab)


def count(site, *names):
    return [site.wlad.counter(name) for name in names]


def cached_mtu(ns, address):
    """The path MTU that a host has learnt, or None."""
    for route in ns.ip_json("route", "get", address):
        for metrics in route.get("metrics", []):
            if "mtu" in metrics:
                return metrics["mtu"]
    return None


def download(lab, v6):
    """Data that came through the narrow path, whole and in time."""
    assert lab.download_sum(lab.x, "part", v6, timeout=20) == lab.content.part_sum


@FAMILIES
def test_download_over_a_narrow_path(lab, narrow_client, v6):
    """Rule 1: the error about L > C finds the server that sent S > A."""
    before, = count(lab.x, "icmp_converted")
    download(lab, v6)
    assert count(lab.x, "icmp_converted")[0] > before
    own = lab.x.self6 if v6 else lab.x.self4
    assert NARROW in {cached_mtu(s.ns, own) for s in lab.x.servers}


@FAMILIES
def test_upload_over_a_narrow_path(lab, small_file, narrow_servers, v6):
    """Rule 1: the gateway's own error about A > S finds the client that sent C > L."""
    before, = count(lab.x, "icmp_converted")
    path, digest = small_file
    lab.upload(lab.x, path, "narrow", v6)
    assert lab.upload_found("narrow")[1] == digest
    assert count(lab.x, "icmp_converted")[0] > before
    assert cached_mtu(lab.client, lab.x.v6 if v6 else lab.x.v4) == NARROW


class Datagrams:
    """A client's socket for the echo service."""

    def __init__(self, lab, v6):
        self.socket = lab.client.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(0.5)
        self.socket.connect((lab.x.v6 if v6 else lab.x.v4, ECHO_PORT))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def echo(self, data, tries):
        """The number of the try that was answered."""
        for i in range(1, tries + 1):
            try:
                self.socket.send(data)
                while (got := self.socket.recv(65535)) != data:
                    assert len(got) == len(data), "an answer to something else"
                return i
            except (TimeoutError, ConnectionRefusedError):
                pass
            except OSError as error:  # a path MTU that was learnt meanwhile
                assert "too long" in str(error)
        raise AssertionError("no answer to %d octets in %d tries" % (len(data), tries))


def large_datagrams(lab, v6, first_tries):
    drops = ("fragment", "fragment_overlap", "fragment_timeout", "fragment_limit")
    before = [count(site, *drops) for site in lab.sites]
    with Datagrams(lab, v6) as client:
        client.echo(b"first" + os.urandom(8187), first_tries)
        after_first = [count(site, *drops) for site in lab.sites]
        for size in (1000, 1473, 2000, 8192, 8192, 30000, 60000):
            assert client.echo(os.urandom(size), 1) == 1, size
    after = [count(site, *drops) for site in lab.sites]
    assert after == after_first
    if first_tries == 1:
        assert after == before


@FAMILIES
def test_large_datagrams(lab, v6):
    """8 KB to the service and back are fragments on every link, in both directions."""
    at_server = [capture.Capture(s.ns, "eth0", "ip6 or udp or ip[6:2] & 0x3fff != 0") for s in lab.x.servers]
    large_datagrams(lab, v6, 1)
    seen = [p for c in at_server for p in c.stop()]
    if not v6:
        fragments = [p for p in seen if p.fragment]
        assert len(fragments) > 2 * 8192 // 1480
        assert {p.source for p in fragments} >= {lab.x.self4}
        assert {p.destination for p in fragments} >= {lab.x.self4}
    assert count(lab.y, "transfer_packets_in") == [0]


def fragments(source, destination, sport, payload, number):
    """A UDP datagram to the echo service in fragments of 1000 octets."""
    from scapy.layers.inet import IP, UDP, fragment
    from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
    udp = UDP(sport=sport, dport=ECHO_PORT) / payload
    if "." in source:
        return [bytes(p) for p in fragment(IP(src=source, dst=destination, id=number) / udp, 1000)]
    data = bytes(IPv6(src=source, dst=destination) / udp)[40:]
    return [bytes(IPv6(src=source, dst=destination) /
                  IPv6ExtHdrFragment(offset=at // 8, m=int(at + 1000 < len(data)), id=number, nh=17) / data[at:at + 1000])
            for at in range(0, len(data), 1000)]


@FAMILIES
def test_fragments_in_random_order(lab, v6):
    """Early ones wait for the first, in time."""
    rng = random.Random(8192)
    before, = count(lab.x, "fragments_held")
    source, destination = (CLIENT6, lab.x.v6) if v6 else (CLIENT4, lab.x.v4)
    with Datagrams(lab, v6) as client, \
            lab.client.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        client.socket.settimeout(3)
        for number in range(1, 21):
            payload = rng.randbytes(8192)
            pieces = fragments(source, destination, client.socket.getsockname()[1], payload, number)
            rng.shuffle(pieces)
            for piece in pieces:
                raw.sendto(piece, (destination, 0))
            assert client.socket.recv(65535) == payload
    assert count(lab.x, "fragments_held")[0] > before + 20


TRACES = [pytest.param(("-T", "-p", str(WEB_PORT)), id="tcp"), pytest.param(("-U", "-p", str(ECHO_PORT)), id="udp")]


def trace(lab, options, v6):
    """Who answered at each hop; None for nobody."""
    address = lab.x.v6 if v6 else lab.x.v4
    out = lab.client.run("traceroute", "-6" if v6 else "-4", "-n", "-q", "1", "-N", "1", "-w", "2", "-m", "12",
                         *options, address)
    hops = [line.split()[1] for line in out.splitlines()[1:]]
    assert hops[-1] == address, out
    return [None if hop == "*" else hop for hop in hops]


@FAMILIES
@pytest.mark.parametrize("options", TRACES)
def test_traceroute(lab, options, v6):
    """The wide area, the gateway, and behind it the service alone: nothing of what is inside is seen."""
    address = lab.x.v6 if v6 else lab.x.v4
    before = count(lab.x, "icmp_sent", "icmp_converted")
    hops = trace(lab, options, v6)
    first = ["2001:db8:c::1", lab.x.wan6] if v6 else ["192.0.2.1", lab.x.wan4]
    # wlad itself; the kernel behind it, on the way to the server; the server
    assert hops == first + [address] * 3
    after = count(lab.x, "icmp_sent", "icmp_converted")
    assert after[0] - before[0] == 1
    assert after[1] - before[1] == 1


@FAMILIES
def test_traceroute_by_echo(lab, v6):
    """Echo requests are answered by wlad: one hop behind the gateway."""
    hops = trace(lab, ("-I",), v6)
    assert len(hops) == 3 and None not in hops


@FAMILIES
def test_port_unreachable_reaches_the_client(lab, v6):
    """A server that has stopped listening: its ICMP error is the client's ECONNREFUSED."""
    for s in lab.x.servers:
        s.echo.kill()
        s.echo.popen.wait()
    try:
        with Datagrams(lab, v6) as client:
            client.socket.send(b"anybody?")
            with pytest.raises(ConnectionRefusedError):
                client.socket.recv(100)
    finally:
        for s in lab.x.servers:
            s.echo = s.ns.start(sys.executable, os.path.join(HERE, "echo.py"), str(ECHO_PORT))
        lab.x.wait_up(service="echo")


# ---- across the sites: from here on tokyo has no servers


@FAMILIES
def test_large_datagrams_across_sites(spilled, v6):
    """IPv4 fragments are cut for the transfer path; an IPv6 client learns its MTU by its first datagram."""
    forget(spilled)
    cut, = count(spilled.x, "fragments_out")
    large_datagrams(spilled, v6, 3 if v6 else 1)
    if v6:
        assert cached_mtu(spilled.client, spilled.x.v6) == 1500 - 68
    else:
        assert count(spilled.x, "fragments_out")[0] > cut
    forget(spilled)


@FAMILIES
def test_transferred_download_over_a_narrow_path(spilled, narrow_client, v6):
    """Rule 2: the error about L > C comes to tokyo, which never sent that packet, and goes to osaka's server."""
    lab = spilled
    before = count(lab.x, "icmp_converted"), count(lab.y, "icmp_converted")
    seen = capture.Capture(lab.y.gw, "lan", "icmp or icmp6")
    download(lab, v6)
    errors = [p for p in seen.stop() if p.protocol == "icmp"]
    assert count(lab.x, "icmp_converted") == before[0]
    assert count(lab.y, "icmp_converted") > before[1]
    # from the router before the narrow link, by one of its addresses
    routers = {lab.x.hop6, lab.y.hop6, "2001:db8:c::1"} if v6 else {lab.x.hop4}
    assert len({p.source for p in errors}) == 1 and {p.source for p in errors} <= routers
    assert {p.destination for p in errors} <= {s.v6 if v6 else s.v4 for s in lab.y.servers}
    own = lab.y.self6 if v6 else lab.y.self4
    assert NARROW in {cached_mtu(s.ns, own) for s in lab.y.servers}


@FAMILIES
def test_transferred_upload_over_a_narrow_path(spilled, small_file, narrow_servers, v6):
    """Rule 2: osaka's gateway's error about A > S goes straight to the client, from tokyo's address."""
    lab = spilled
    before, = count(lab.y, "icmp_converted")
    path, digest = small_file
    lab.upload(lab.x, path, "narrow-transferred", v6)
    assert lab.upload_found("narrow-transferred")[1] == digest
    assert count(lab.y, "icmp_converted")[0] > before
    assert cached_mtu(lab.client, lab.x.v6 if v6 else lab.x.v4) == NARROW


@FAMILIES
def test_traceroute_across_sites(spilled, v6):
    """Both sites answer as the service, and so does the server in the end."""
    address = spilled.x.v6 if v6 else spilled.x.v4
    hops = trace(spilled, TRACES[0].values[0], v6)
    first = ["2001:db8:c::1", spilled.x.wan6] if v6 else ["192.0.2.1", spilled.x.wan4]
    # tokyo's wlad, osaka's, the kernel behind it, the server
    assert hops == first + [address] * 4
