"""The way between two sites: what does not get through is noticed, whichever half it is."""

import contextlib
import signal
import socket
import time

import pytest

import capture
from lab import CLIENT4, EXCHANGE_PORT, TRANSFER_PORT, WEB_PORT
from netns import wait_for

YSERVERS = {"y1", "y2", "y3"}
DEMAND_PORT = 7211
GIVE_UP = 8.0


@pytest.fixture(scope="module")
def spilled(wlad, net):
    """All servers of tokyo are dead; osaka takes demands at a port of their own."""
    net.start_servers()
    net.certify()
    x, y = net.x.settings(), net.y.settings()
    for settings in (x, y):
        settings["transfer"]["give_up"] = GIVE_UP
    y["transfer"]["demand_port"] = DEMAND_PORT
    try:
        net.x.wlad.start(x)
        net.y.wlad.start(y)
        net.ready()
        net.x.kill_servers()
        net.x.wait_up(0)
        net.x.wait_up(0, "dns")
        usable(net)
    except Exception:
        print(net.report())
        raise
    return net


@pytest.fixture(autouse=True)
def whole(spilled):
    """Each test finds the path whole and leaves it so."""
    yield
    spilled.wan.run("nft", "flush", "ruleset")
    spilled.y.wlad.process.kill(signal.SIGCONT)
    usable(spilled)


def path(lab, site=None):
    site = site or lab.x
    return site.wlad.sites()[lab.other(site).name]


def usable(lab):
    wait_for(lambda: path(lab)["state"] == "up" and path(lab)["path"] == "alive", 20,
             "tokyo using osaka")
    wait_for(lambda: path(lab, lab.y)["path"] == "alive", 5, "osaka's path being alive")
    lab.x.sees_up(3)


def block(lab, *matches):
    """The wide area drops what matches."""
    rules = "".join("%s counter drop;\n" % m for m in matches)
    lab.wan.run("nft", "-f", "-", input="""table inet wall {
        chain forward { type filter hook forward priority filter; %s }
    }""" % rules)


UDP = "meta l4proto udp udp dport { %d, %d }" % (TRANSFER_PORT, DEMAND_PORT)
TLS = ("tcp dport %d" % EXCHANGE_PORT, "tcp sport %d" % EXCHANGE_PORT)


def opens(lab, timeout=0.3):
    """True if a client's connection to tokyo is taken by somebody."""
    with lab.client.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
        s.settimeout(timeout)
        try:
            s.connect((lab.x.v4, WEB_PORT))
            return True
        except OSError:
            return False


def no_new_transfer(lab):
    """Nothing is transferred any more three seconds from now."""
    time.sleep(3)
    before = lab.x.wlad.counter("connections_transferred")
    end = time.monotonic() + 3
    while time.monotonic() < end:
        assert not opens(lab)
    assert lab.x.wlad.counter("connections_transferred") == before


def test_shown(spilled):
    for site in spilled.sites:
        p = path(spilled, site)
        assert p["path"] == "alive" and p["session"] == "up"
        assert p["path_mtu"] == 1500
        assert 0 < p["path_rtt_ms"] < 100
        assert p["path_loss"] < 0.2


def test_udp_blocked_while_tls_lives(spilled):
    assert set(spilled.who_many(spilled.x, 10)) <= YSERVERS
    block(spilled, UDP)
    no_new_transfer(spilled)
    for site in spilled.sites:
        assert path(spilled, site)["session"] == "up"
        assert path(spilled, site)["path"] == "lost"
    spilled.wan.run("nft", "flush", "ruleset")
    wait_for(lambda: path(spilled)["path"] == "alive", 2, "the path being alive again")
    assert set(spilled.who_many(spilled.x, 10)) <= YSERVERS
    assert "transfer path is lost" in spilled.x.wlad.text()


def test_one_direction_blocked(spilled):
    """Only what tokyo sends is dropped: neither site uses the other."""
    block(spilled, "ip daddr %s %s" % (spilled.y.wan4, UDP))
    wait_for(lambda: path(spilled)["path"] == "lost", 3, "tokyo's path being lost")
    wait_for(lambda: path(spilled, spilled.y)["path"] == "lost", 3, "osaka's path being lost")


def test_frozen(spilled):
    """Osaka's kernel holds the session; the daemon answers nothing."""
    spilled.y.wlad.process.kill(signal.SIGSTOP)
    no_new_transfer(spilled)
    spilled.y.wlad.process.kill(signal.SIGCONT)
    usable(spilled)
    assert set(spilled.who_many(spilled.x, 10)) <= YSERVERS


@contextlib.contextmanager
def connection(lab):
    """A connection to tokyo that osaka serves; yields what asks it something."""
    with lab.client.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
        s.settimeout(3)
        s.connect((lab.x.v4, WEB_PORT))

        def ask():
            s.sendall(b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = b""
            while not any(y.encode() in answer for y in YSERVERS):
                more = s.recv(4096)
                if not more:
                    raise ConnectionError("closed")
                answer += more
        ask()
        yield ask


def test_tls_blocked_while_udp_lives(spilled):
    """New transfers stop with the reports; what is established goes on, longer than give_up."""
    with connection(spilled) as ask:
        block(spilled, *TLS)
        for _ in range(int(GIVE_UP) + 6):
            time.sleep(1)
            ask()
        assert path(spilled)["session"] != "up"
        assert path(spilled)["path"] == "alive"
        assert not opens(spilled)
        assert "given up" not in spilled.x.wlad.text()


def test_given_up(spilled):
    """Nothing gets through: the client learns it after transfer.give_up, not before."""
    with connection(spilled) as ask:
        block(spilled, UDP, *TLS)
        start = time.monotonic()
        with pytest.raises(ConnectionResetError):
            while time.monotonic() < start + 3 * GIVE_UP:
                with contextlib.suppress(TimeoutError):
                    ask()
                time.sleep(0.2)
        assert GIVE_UP - 1.5 < time.monotonic() - start < GIVE_UP + 6
    assert "given up" in spilled.x.wlad.text()


@contextlib.contextmanager
def narrow(lab, how, mtu):
    """Packets to osaka's transfer address are limited in size."""
    lab.wan.ip("route add %s/32 dev gwy mtu %d" % (lab.y.wan4, mtu))
    if how == "silent":  # no ICMP says so
        lab.wan.run("nft", "-f", "-", input="""table inet wall {
            chain output { type filter hook output priority filter;
                icmp type destination-unreachable counter drop; }
        }""")
    try:
        yield
    finally:
        lab.wan.ip("route del %s/32 dev gwy" % lab.y.wan4)


@pytest.mark.parametrize("how", ["told", "silent"])
def test_narrow(spilled, small_file, how):
    """An upload gets through while the MTU is being found out, and after it was."""
    lab = spilled
    file, digest = small_file
    with narrow(lab, how, 1300):
        lab.upload(lab.x, file, "narrowing-" + how)
        assert lab.upload_found("narrowing-" + how)[1] == digest
        wait_for(lambda: path(lab)["path_mtu"] == 1300, 15, "an MTU of 1300")
        assert path(lab, lab.y)["path_mtu"] == 1500
        wait_for(lambda: path(lab, lab.y)["peer_mtu"] == 1300, 3, "osaka being told")
        captures = [capture.Capture(lab.x.gw, "wan", "udp"),
                    capture.Capture(lab.client, "eth0", "tcp")]
        lab.upload(lab.x, file, "narrow-" + how)
        at_x, at_client = [c.stop() for c in captures]
        assert lab.upload_found("narrow-" + how)[1] == digest
        mss = [p.mss for p in at_client if p.flags == "SA"]
        assert mss and all(m == 1300 - 68 - 40 for m in mss)
        sealed = [p for p in at_x if p.dport in (TRANSFER_PORT, DEMAND_PORT) and
                  p.destination == lab.y.wan4]
        assert sealed and all(p.df and not p.fragment for p in sealed)
    # the administrator knows that it is better now
    lab.x.wlad.command("probe", lab.y.name)
    wait_for(lambda: path(lab)["path_mtu"] == 1500, 5, "an MTU of 1500 again")


def test_forged_icmp(spilled, small_file):
    """Anybody can say that the path is narrow: the kernel believes it, the daemon does not."""
    from scapy.layers.inet import ICMP, IP, UDP as Datagram
    lab = spilled
    quoted = IP(src=lab.x.wan4, dst=lab.y.wan4, flags="DF", id=1, len=1500) / Datagram(
        sport=TRANSFER_PORT, dport=TRANSFER_PORT, len=1480)
    capture.send(lab.wan, IP(src=CLIENT4, dst=lab.x.wan4) /
                 ICMP(type=3, code=4, nexthopmtu=600) / bytes(quoted))

    def believed():
        route = lab.x.gw.ip_json("route", "get", lab.y.wan4)[0]
        return any(m.get("mtu") == 600 for m in route.get("metrics", []))
    wait_for(believed, 2, "the forgery being believed by the kernel")
    try:
        start = time.monotonic()
        lab.upload(lab.x, small_file[0], "forged")
        assert time.monotonic() - start < 5
        assert lab.upload_found("forged")[1] == small_file[1]
        time.sleep(6)  # it is confirmed every five seconds
        assert path(lab)["path_mtu"] == 1500
    finally:
        lab.x.gw.ip("route flush cache")


def test_demands_go_to_their_port(spilled):
    """Fig. 12: the first packet of each connection to one port, the rest to the other."""
    lab = spilled
    packets = capture.Capture(lab.x.gw, "wan", "udp")
    assert set(lab.who_many(lab.x, 10)) <= YSERVERS
    to_y = [p for p in packets.stop() if p.destination == lab.y.wan4]
    alive = 9 + 40  # octets of a liveness message there, sealed
    demands = [p for p in to_y if p.dport == DEMAND_PORT and p.length != alive]
    assert 10 <= len(demands) <= 15
    # several leave by one call, and a capture sees them before the kernel cuts them: IP, TCP, sealed
    assert sum(p.length for p in to_y if p.dport == TRANSFER_PORT) >= 40 * (40 + 40)
    assert all(p.sport == TRANSFER_PORT for p in to_y)


def test_demand_port_blocked(spilled):
    """All but demands gets through: no way for new connections, and the log says where."""
    lab = spilled
    block(lab, "udp dport %d" % DEMAND_PORT)
    no_new_transfer(lab)
    assert path(lab)["path"] == "lost" and path(lab, lab.y)["path"] == "alive"
    assert "address=%s:%d" % (lab.y.wan4, DEMAND_PORT) in lab.x.wlad.text()
    lab.wan.run("nft", "flush", "ruleset")
    wait_for(lambda: path(lab)["path"] == "alive", 2, "the path being alive again")
    assert set(lab.who_many(lab.x, 10)) <= YSERVERS
