"""Strangers, forgers, repeaters, wrong papers: nothing reaches a server, and somebody says why."""

import copy
import os
import socket
import ssl
import time

import pytest

import capture
import daemon
from lab import CLIENT4, EXCHANGE_PORT, TRANSFER_PORT
from netns import wait_for

YSERVERS = {"y1", "y2", "y3"}


@pytest.fixture(scope="module")
def spilled(lab):
    """Tokyo transfers everything to osaka."""
    lab.x.kill_servers()
    lab.x.wait_up(0)
    lab.x.wait_up(0, "dns")
    return lab


def drops(site):
    return site.wlad.show("counters")["drops"]


def caused(site, send, reason, timeout=2.0):
    """Sends; the datagram is dropped for that reason, once, and for no other transfer reason."""
    before = drops(site)
    send()
    wait_for(lambda: drops(site)[reason] > before[reason], timeout, "drop reason " + reason)
    after = drops(site)
    changed = {k: after[k] - before[k] for k in after
               if k.startswith("transfer_") and after[k] != before[k]}
    assert changed == {reason: 1}


@pytest.fixture
def quiet_servers(spilled):
    """During the test no packet of a connection reaches a server of osaka: health checks come from
    the gateway's own address, connections from its self address."""
    lab = spilled
    seen = capture.Capture(lab.y.gw, "lan", "src host %s" % lab.y.self4)
    requests = [len(s.requests()) for s in lab.y.servers]
    received = lab.y.wlad.counter("connections_received")
    yield lab
    assert seen.stop() == []
    assert [len(s.requests()) for s in lab.y.servers] == requests
    assert lab.y.wlad.counter("connections_received") == received
    assert lab.y.wlad.running()


@pytest.fixture(scope="module")
def demand(spilled):
    """A transfer datagram with a connection demand, as it went from tokyo to osaka."""
    lab = spilled
    tap = capture.Tap(lab.wan, "gwy")
    assert lab.who(lab.x) in YSERVERS
    datagram = tap.next(lambda ip: ip.haslayer("UDP") and ip["UDP"].dport == TRANSFER_PORT and
                        ip.src == lab.x.wan4 and sealed(ip)[0] == 0x1b, outgoing=True)
    tap.close()
    return datagram


def sealed(ip):
    """The transfer packet in a datagram."""
    return bytes(ip["UDP"].payload)


def forged(datagram, payload=None, source=None, port=None):
    """The datagram with another content or sender, checksums right."""
    from scapy.layers.inet import IP, UDP
    return IP(src=source or datagram.src, dst=datagram.dst, flags="DF") / UDP(
        sport=port or datagram["UDP"].sport, dport=datagram["UDP"].dport) / (
        sealed(datagram) if payload is None else payload)


def flipped(data, octet, bit=0):
    data = bytearray(data)
    data[octet] ^= 1 << bit
    return bytes(data)


def test_nothing_is_readable(spilled):
    """The request and its addresses are nowhere in the transfer packets."""
    lab = spilled
    tap = capture.Tap(lab.wan, "gwy")
    mark = "/who?mark=SECRETSECRET"
    assert lab.curl("-m", "5", lab.url(lab.x, mark.lstrip("/"))).strip() in YSERVERS
    seen = 0
    for _ in range(4):
        data = sealed(tap.next(lambda ip: ip.haslayer("UDP") and ip.src == lab.x.wan4 and
                               ip["UDP"].dport == TRANSFER_PORT, outgoing=True))
        assert b"SECRET" not in data and b"HTTP" not in data
        assert socket.inet_aton(CLIENT4) not in data
        seen += 1
    tap.close()
    assert seen == 4


def test_repeated(quiet_servers, demand):
    for _ in range(3):
        caused(quiet_servers.y, lambda: capture.send(quiet_servers.wan, forged(demand)),
               "transfer_replay")


@pytest.mark.parametrize("octet,reason", [
    (0, "transfer_version"),    # version and type
    (1, "transfer_version"),    # flags that must be 0
    (3, "transfer_version"),    # reserved
    (7, "transfer_key"),        # key index
    (16, "transfer_tag"),       # service number, encrypted
    (24, "transfer_tag"),       # first octet of the client packet
    (-17, "transfer_tag"),      # its last
    (-16, "transfer_tag"),      # tag
    (-1, "transfer_tag"),
])
def test_one_bit(quiet_servers, demand, octet, reason):
    # A counter not used yet, so that it is the content that is refused and not its repetition.
    data = bytearray(sealed(demand))
    data[10:16] = (int.from_bytes(data[10:16], "big") + 20000).to_bytes(6, "big")
    bit = 7 if octet == 0 else 0
    caused(quiet_servers.y, lambda: capture.send(
        quiet_servers.wan, forged(demand, flipped(data, octet, bit))), reason)


def test_every_bit_of_the_tag_and_header(quiet_servers, demand):
    """None of them opens; the daemon counts each."""
    lab = quiet_servers
    data = bytearray(sealed(demand))
    data[10:16] = (int.from_bytes(data[10:16], "big") + 20000).to_bytes(6, "big")
    octets = list(range(16)) + list(range(len(data) - 16, len(data)))
    before = sum(drops(lab.y).values())
    for octet in octets:
        for bit in range(8):
            capture.send(lab.wan, forged(demand, flipped(data, octet, bit)))
    wait_for(lambda: sum(drops(lab.y).values()) - before >= len(octets) * 8,
             what="all of them dropped")


def test_far_epoch(quiet_servers, demand):
    data = flipped(sealed(demand), 8, 6)
    caused(quiet_servers.y, lambda: capture.send(quiet_servers.wan, forged(demand, data)),
           "transfer_epoch")


@pytest.mark.parametrize("source,port", [("192.0.2.77", None), (None, 7777)],
                         ids=["address", "port"])
def test_from_another_address(quiet_servers, demand, source, port):
    """Even unchanged: a key belongs to a sender."""
    caused(quiet_servers.y, lambda: capture.send(
        quiet_servers.wan, forged(demand, source=source, port=port)), "transfer_source")


@pytest.mark.parametrize("payload,reason", [
    (b"", "transfer_short"), (b"\x1b", "transfer_short"), (bytes(39), "transfer_short"),
    (bytes(200), "transfer_version"), (b"\x1b" + bytes(99), "transfer_key"),
], ids=["empty", "one octet", "too short", "zeros", "unknown key"])
def test_made_by_a_stranger(quiet_servers, demand, payload, reason):
    caused(quiet_servers.y, lambda: capture.send(
        quiet_servers.wan, forged(demand, payload, source="192.0.2.77")), reason)


def test_noise(quiet_servers, demand):
    """Ten thousand datagrams of random octets and lengths: counted, and the service goes on."""
    lab = quiet_servers
    with lab.wan.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for _ in range(10000):
            s.sendto(os.urandom(1 + os.urandom(1)[0] * 5), (lab.y.wan4, TRANSFER_PORT))
    assert lab.y.wlad.counter("transfer_version") > 0
    assert lab.y.wlad.running()


def test_stranger_as_server(quiet_servers):
    """Whoever is not the server of a connection cannot speak to a self address."""
    from scapy.layers.inet import IP, TCP, UDP
    lab = quiet_servers
    lab.wan.ip("route add %s/32 via %s" % (lab.y.self4, lab.y.wan4))
    try:
        for port in range(20000, 20050):
            for upper in (TCP(sport=8080, dport=port, flags="A"), UDP(sport=53, dport=port)):
                capture.send(lab.wan, IP(src="192.0.2.77", dst=lab.y.self4) / upper)
    finally:
        lab.wan.ip("route del %s/32" % lab.y.self4)


def test_martian_client(quiet_servers):
    """A packet that says it comes from a service address is dropped."""
    from scapy.layers.inet import IP, TCP
    lab = quiet_servers
    sources = (lab.x.v4, lab.x.self4, "127.0.0.1", "0.0.0.1", "224.0.0.1")
    before = drops(lab.x)["martian"]
    for source in sources:
        capture.send(lab.x.gw, IP(src=source, dst=lab.x.v4) / TCP(dport=80, flags="S", seq=1))
    wait_for(lambda: drops(lab.x)["martian"] == before + len(sources), what="all of them dropped")


# The load exchange.


def dial(lab, data=None, context=None):
    """Connects to osaka's load exchange from the wide area; returns all that it answers."""
    with lab.wan.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
        s.settimeout(8)
        s.connect((lab.y.wan4, EXCHANGE_PORT))
        got = b""
        try:
            if context is not None:
                s = context.wrap_socket(s, server_hostname="osaka")
            if data is not None:
                s.sendall(data)
            while chunk := s.recv(4096):
                got += chunk
        except (ssl.SSLError, ConnectionError):
            pass
        finally:
            s.close()
        return got


def client_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["wlad/1"])
    return context


HELLO = b"\x01\x00\x00\x00\x00\x00"


def test_exchange_refuses_plain_text(spilled):
    got = dial(spilled, b"GET / HTTP/1.0\r\n\r\n")
    assert b"HTTP" not in got
    assert spilled.y.wlad.running()


def test_exchange_refuses_without_certificate(spilled):
    before = spilled.y.wlad.counter("sessions_refused")
    assert dial(spilled, HELLO, client_context()) == b""
    wait_for(lambda: spilled.y.wlad.counter("sessions_refused") > before, what="refusal")


def test_exchange_refuses_another_authority(spilled):
    other = daemon.Authority(spilled.net.path("ca-of-a-stranger"))
    context = client_context()
    context.load_cert_chain(*other.site("tokyo"))
    before = spilled.y.wlad.counter("sessions_refused")
    assert dial(spilled, HELLO, context) == b""
    wait_for(lambda: spilled.y.wlad.counter("sessions_refused") > before, what="refusal")


def test_exchange_refuses_a_site_that_is_not_entered(spilled):
    context = client_context()
    context.load_cert_chain(*spilled.authority.site("kyoto"))
    before = spilled.y.wlad.counter("sessions_refused")
    assert dial(spilled, HELLO, context) == b""
    wait_for(lambda: spilled.y.wlad.counter("sessions_refused") > before, what="refusal")


def test_exchange_refuses_old_tls(spilled):
    context = client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(*spilled.authority.site("tokyo"))
    assert dial(spilled, HELLO, context) == b""
    assert spilled.y.wlad.running()


def test_exchange_ends_a_silent_guest(spilled):
    """A connection that says nothing is hung up on."""
    assert dial(spilled) == b""


def test_after_all_that_both_sites_still_work(spilled):
    spilled.x.sees_up(3)
    assert set(spilled.who_many(spilled.x, 30)) == YSERVERS


# Wrong papers, from the start.


def restarted(lab, change):
    """Osaka's daemon with a changed configuration."""
    lab.y.wlad.stop()
    settings = copy.deepcopy(lab.y.settings())
    change(settings)
    lab.y.wlad.start(settings)
    lab.y.wait_up()


def never_talk(lab, seconds=3.0):
    """The sites stay apart while both try, and neither transfers; local service works."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for site, other in ((lab.x, "osaka"), (lab.y, "tokyo")):
            assert site.wlad.sites()[other]["state"] != "up"
        time.sleep(0.1)
    before = lab.x.wlad.counter("transfer_packets_out")
    lab.curl("-m", "2", lab.url(lab.x, "who"), check=False)
    assert lab.x.wlad.counter("transfer_packets_out") == before
    assert lab.who(lab.y) in YSERVERS


def reasons(lab):
    """What logs and `show sites` of both say."""
    return "\n".join([s.wlad.text() + s.wlad.command("show", "sites") for s in lab.sites]).lower()


def test_wrong_authority(spilled):
    other = daemon.Authority(spilled.net.path("another-ca"))

    def change(settings):
        settings["load"]["certificate"], settings["load"]["key"] = other.site("osaka")
        settings["load"]["ca"] = other.ca
    restarted(spilled, change)
    never_talk(spilled)
    assert "certificate" in reasons(spilled)


def test_wrong_site_name(spilled):
    """A certificate of our authority, but of another site."""
    def change(settings):
        settings["load"]["certificate"], settings["load"]["key"] = \
            spilled.authority.site("kyoto")
    restarted(spilled, change)
    never_talk(spilled)
    assert "kyoto" in reasons(spilled)


def test_wrong_fingerprint(spilled):
    def change(settings):
        settings["peers"][0]["fingerprint"] = "00" * 32
    restarted(spilled, change)
    never_talk(spilled)
    assert "fingerprint" in reasons(spilled)


def test_right_again(spilled):
    restarted(spilled, lambda settings: None)
    spilled.x.sees_up(3, timeout=40)
    spilled.y.sees_up(0, timeout=40)
    assert set(spilled.who_many(spilled.x, 30)) == YSERVERS
