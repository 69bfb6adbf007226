"""What is remembered of clients: the same server again, limits, datagrams one by one."""

import collections
import contextlib
import socket
import struct
import threading

import pytest

from lab import WEB_PORT
from netns import LabError, wait_for

ADDRESSES = ["192.0.2.%d" % n for n in range(101, 109)]
ADDRESSES6 = ["2001:db8:c::1%02d" % n for n in range(1, 5)]


@pytest.fixture(scope="module")
def many(lab):
    """The client's host has several addresses."""
    lab.client.ip(*["addr add %s/24 dev eth0" % a for a in ADDRESSES],
                  *["addr add %s/64 dev eth0 nodad" % a for a in ADDRESSES6])
    return lab


@pytest.fixture(autouse=True)
def healthy(many):
    yield
    for site in many.sites:
        reload(site, {})
        settled(site)
        for name in site.wlad.servers():
            site.wlad.command("server", "web/" + name, "enable")
    many.ready()


def settled(site):
    """Connections of tests before are over: the other site may have to tell it."""
    wait_for(lambda: all(c["state"] == "time_wait" for c in site.wlad.connections("service", "web")),
             10, "the end of connections at " + site.name)


def reload(site, services, **others):
    """Goes over to a configuration with these settings of services by name."""
    settings = site.settings()
    for service in settings["services"]:
        service.update(services.get(service["name"], {}))
    settings.update(others)
    site.wlad.write(settings)
    site.wlad.command("reload")


def who(lab, source, port=WEB_PORT, site=None, v6=False):
    """The name of the server that answers a connection of that address, or the error."""
    site = site or lab.x
    family = socket.AF_INET6 if v6 else socket.AF_INET
    with lab.client.entered(), socket.socket(family, socket.SOCK_STREAM) as s:
        s.settimeout(4)
        s.bind((source, 0))
        s.connect((site.v6 if v6 else site.v4, port))
        s.sendall(b"GET /who HTTP/1.0\r\n\r\n")
        answer = b""
        while block := s.recv(4096):
            answer += block
    return answer.split()[-1].decode()


def curl_who(lab, source, site, v6=False):
    return lab.curl("-m", "4", "--interface", source, lab.url(site, "who", v6)).strip()


@contextlib.contextmanager
def held(lab, source, count, port=WEB_PORT):
    """So many connections of an address, open and idle."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            with lab.client.entered():
                s = stack.enter_context(socket.socket())
            s.settimeout(4)
            s.bind((source, 0))
            s.connect((lab.x.v4, port))
        yield


# ---- persistence ----

def test_same_server_again(many):
    lab = many
    reload(lab.x, {"web": {"scheduler": "rr", "ports": [80, 81],
                           "persistence": {"timeout": 300}}})
    first = {a: curl_who(lab, a, lab.x) for a in ADDRESSES}
    first6 = {a: curl_who(lab, a, lab.x, v6=True) for a in ADDRESSES6}
    assert len(set(first.values())) == 3 and len(set(first6.values())) > 1
    for turn in range(5):
        if turn == 2:
            reload(lab.x, {"web": {"scheduler": "rr", "ports": [80, 81], "high_load": 0.8,
                                   "persistence": {"timeout": 200}}})
        assert {a: curl_who(lab, a, lab.x) for a in ADDRESSES} == first
        assert {a: curl_who(lab, a, lab.x, v6=True) for a in ADDRESSES6} == first6
        assert {a: who(lab, a, 81) for a in ADDRESSES} == first
    shown = {c["client"]: c["server"] for c in lab.x.wlad.show("persistence")["clients"]}
    assert shown == {**first, **first6}
    one = lab.x.wlad.show("persistence", "service", "web", "client", ADDRESSES[0])["clients"]
    assert [(c["server"], c["site"]) for c in one] == [(first[ADDRESSES[0]], None)]
    assert lab.x.wlad.control("show", "persistence")[1].count("192.0.2.10") == len(ADDRESSES)
    assert "goes to server " not in lab.x.wlad.command("explain", "192.0.2.99", "web")
    assert ("connections go to server %s (persistence)" % first[ADDRESSES[0]]
            in lab.x.wlad.command("explain", ADDRESSES[0], "web"))

    # a server that is drained gets nobody, and its clients stay where they went
    gone = first[ADDRESSES[0]]
    lab.x.wlad.command("server", "web/" + gone, "drain")
    moved = {a: curl_who(lab, a, lab.x) for a in ADDRESSES}
    assert gone not in moved.values()
    assert all(moved[a] == first[a] for a in ADDRESSES if first[a] != gone)
    lab.x.wlad.command("server", "web/" + gone, "enable")
    assert {a: curl_who(lab, a, lab.x) for a in ADDRESSES} == moved

    assert "%d clients forgotten" % len(shown) in lab.x.wlad.command("flush", "persistence")
    assert lab.x.wlad.show("persistence")["clients"] == []


def test_prefix_and_end(many):
    lab = many
    reload(lab.x, {"web": {"scheduler": "rr", "persistence": {"timeout": 1, "mask_v4": 24}}})
    assert len({who(lab, a) for a in ADDRESSES}) == 1
    [entry] = lab.x.wlad.show("persistence")["clients"]
    assert entry["client"] == "192.0.2.0/24"

    with held(lab, ADDRESSES[0], 1):
        # as long as a connection lives, and not much longer
        with pytest.raises(LabError):
            wait_for(lambda: lab.x.wlad.show("persistence")["clients"] == [], 2.5)
        assert lab.x.wlad.show("persistence")["clients"][0]["connections"] == 1
    wait_for(lambda: lab.x.wlad.show("persistence")["clients"] == [], 5, "the entry's end")


def test_site_again(many):
    """Who was served by the other site goes on being so when there is room here again."""
    lab = many
    reload(lab.x, {"web": {"persistence": {"timeout": 300}}})
    reload(lab.y, {"web": {"scheduler": "rr", "persistence": {"timeout": 300}}})
    for s in lab.x.servers:
        lab.x.wlad.command("server", "web/" + s.name, "disable")
    away = {a: who(lab, a) for a in ADDRESSES[:3]}
    assert all(name.startswith("y") for name in away.values())
    for s in lab.x.servers:
        lab.x.wlad.command("server", "web/" + s.name, "enable")
    for _ in range(5):
        assert {a: who(lab, a) for a in ADDRESSES[:3]} == away
        assert who(lab, ADDRESSES[3]).startswith("x")
    # without the other site they are served here
    lab.x.wlad.command("site", lab.y.name, "disable")
    try:
        assert all(who(lab, a).startswith("x") for a in away)
    finally:
        lab.x.wlad.command("site", lab.y.name, "enable")


def test_full_server(many):
    """A server that has all it may goes to the next one, then to the other site, persistent or not."""
    lab = many
    settings = lab.x.settings(max_connections=2)
    settings["services"][0].update({"persistence": {"timeout": 300}, "high_load": 1.0})
    lab.x.wlad.write(settings)
    lab.x.wlad.command("reload")
    before = lab.x.wlad.counter("connections_transferred")
    with held(lab, ADDRESSES[0], 2):
        active = {n: s["active"] for n, s in lab.x.wlad.servers("web").items()}
        assert sorted(active.values()) == [0, 0, 2]
        with held(lab, ADDRESSES[0], 4):
            active = {n: s["active"] for n, s in lab.x.wlad.servers("web").items()}
            assert sorted(active.values()) == [2, 2, 2]
            assert lab.x.wlad.counter("connections_transferred") == before
            assert who(lab, ADDRESSES[0]).startswith("y")
            assert who(lab, ADDRESSES[1]).startswith("y")
    assert lab.x.wlad.counter("connections_transferred") == before + 2


# ---- limits ----

class Steady(threading.Thread):
    """A client within its limits, all the while."""

    def __init__(self, lab, source, port):
        super().__init__()
        self.lab, self.source, self.port = lab, source, port
        self.answers, self.errors, self.going = 0, [], True

    def run(self):
        self.lab.client.enter()
        while self.going:
            try:
                with socket.socket() as s:
                    s.settimeout(4)
                    s.bind((self.source, 0))
                    s.connect((self.lab.x.v4, self.port))
                    s.sendall(b"GET /who HTTP/1.0\r\n\r\n")
                    while s.recv(4096):
                        pass
                self.answers += 1
            except OSError as error:
                self.errors.append(error)


@contextlib.contextmanager
def steady(lab, source, port=WEB_PORT):
    thread = Steady(lab, source, port)
    thread.start()
    try:
        yield thread
    finally:
        thread.going = False
        thread.join()
    assert thread.answers > 10
    assert thread.errors == []


def refused(lab, source, count, port=WEB_PORT):
    """Of so many connections, how many are."""
    errors = 0
    for _ in range(count):
        try:
            who(lab, source, port)
        except ConnectionRefusedError:
            errors += 1
    return errors


def test_connections_of_a_client(many):
    lab = many
    limit = {"web": {"client_limit": {"connections": 5}}}
    reload(lab.x, limit)
    before = lab.x.wlad.counter("client_connections")
    with steady(lab, ADDRESSES[1]):
        with held(lab, ADDRESSES[0], 5):
            assert refused(lab, ADDRESSES[0], 10) == 10
            reload(lab.x, limit)
            assert refused(lab, ADDRESSES[0], 10) == 10
            [top] = lab.x.wlad.show("limits", "client", ADDRESSES[0])["clients"]
            assert (top["connections"], top["refused"], top["limited_by"]) == \
                (5, 20, "connections")
            assert "limit (connections)" in lab.x.wlad.command("explain", ADDRESSES[0], "web")
            # other figures hold at once, for what there is
            reload(lab.x, {"web": {"client_limit": {"connections": 6}}})
            assert refused(lab, ADDRESSES[0], 1) == 0
            # of a prefix all are one
            reload(lab.x, {"web": {"client_limit": {"connections": 1000, "mask_v4": 24}}})
            assert refused(lab, ADDRESSES[2], 1) == 0
            reload(lab.x, limit)
        wait_for(lambda: [c["connections"] for c in lab.x.wlad.show(
            "limits", "client", ADDRESSES[0])["clients"]] in ([], [0]), what="all of them over")
        assert refused(lab, ADDRESSES[0], 4) == 0
    assert lab.x.wlad.counter("client_connections") == before + 20
    [service] = lab.x.wlad.show("limits")["services"]
    assert service["connections"] == 5
    assert lab.x.wlad.show("limits")["forgotten"] == 0
    assert "REFUSED" in lab.x.wlad.command("show", "limits")


def test_rate_of_a_client(many):
    lab = many
    reload(lab.x, {"web": {"client_limit": {"rate": 0.01, "burst": 7}}})
    before = lab.x.wlad.counter("client_rate")
    for source in ADDRESSES[:3]:
        assert refused(lab, source, 10) == 3
    assert lab.x.wlad.counter("client_rate") == before + 9
    reload(lab.x, {"web": {"high_load": 0.8, "client_limit": {"rate": 0.01, "burst": 7}}})
    assert refused(lab, ADDRESSES[0], 2) == 2
    # a /64 of IPv6 is one client
    for source in ADDRESSES6[:3]:
        assert who(lab, source, v6=True)
        assert who(lab, source, v6=True)
    assert who(lab, ADDRESSES6[3], v6=True)
    with pytest.raises(ConnectionRefusedError):
        who(lab, ADDRESSES6[3], v6=True)


def test_limit_of_one_service(many):
    """Another service of the same address and client knows nothing of it."""
    lab = many
    settings = lab.x.settings()
    [web] = [s for s in settings["services"] if s["name"] == "web"]
    settings["services"].append({**web, "name": "free", "ports": [8000]})
    web["client_limit"] = {"connections": 2, "rate": 0.01, "burst": 3}
    lab.x.wlad.write(settings)
    lab.x.wlad.command("reload")
    lab.x.wait_up(service="free")
    before = lab.x.wlad.counter("client_connections"), lab.x.wlad.counter("client_rate")
    with steady(lab, ADDRESSES[0], 8000):
        with held(lab, ADDRESSES[0], 2), held(lab, ADDRESSES[0], 20, 8000):
            assert refused(lab, ADDRESSES[0], 5) == 5
            assert refused(lab, ADDRESSES[0], 10, 8000) == 0
        wait_for(lambda: lab.x.wlad.show("limits", "client", ADDRESSES[0])["clients"][0]
                 ["connections"] == 0, what="both over")
        assert refused(lab, ADDRESSES[0], 4) == 3
    after = lab.x.wlad.counter("client_connections"), lab.x.wlad.counter("client_rate")
    assert (after[0] - before[0], after[1] - before[1]) == (5, 3)
    shown = lab.x.wlad.show("limits")
    assert [s["service"] for s in shown["services"]] == ["web"]
    assert {c["service"] for c in shown["clients"]} == {"web"}


def test_limits_of_transferred(many):
    """At the site that the client came to, wherever it is served."""
    lab = many
    reload(lab.x, {"web": {"client_limit": {"connections": 3}}})
    for s in lab.x.servers:
        lab.x.wlad.command("server", "web/" + s.name, "disable")
    with held(lab, ADDRESSES[0], 3):
        assert refused(lab, ADDRESSES[0], 2) == 2
        assert who(lab, ADDRESSES[1]).startswith("y")
    # their end is seen by the transferee, which tells it
    wait_for(lambda: refused(lab, ADDRESSES[0], 1) == 0, 5, "the end of the client's connections")


# ---- one packet ----

def question(number):
    """A query of who.lab TXT."""
    return struct.pack(">6H", number, 0x0100, 1, 0, 0, 0) + b"\3who\3lab\0" + \
        struct.pack(">2H", 16, 1)


def text(answer):
    """What the TXT record of an answer says."""
    at = len(question(0))  # behind the question comes the record, with a pointer to it
    length = struct.unpack(">H", answer[at + 10:at + 12])[0]
    return answer[at + 13:at + 12 + length].decode()


def ask(lab, count, v6=False):
    """Questions from one port; how many of them each server answered."""
    answers = {}
    family = socket.AF_INET6 if v6 else socket.AF_INET
    address = lab.x.v6 if v6 else lab.x.v4
    with lab.client.entered(), socket.socket(family, socket.SOCK_DGRAM) as s:
        s.settimeout(3)
        s.connect((address, 53))
        for begin in range(0, count, 20):
            for number in range(begin, begin + 20):
                s.send(question(number))
            for _ in range(20):
                answer = s.recv(2048)
                answers[struct.unpack(">H", answer[:2])[0]] = text(answer)
    assert sorted(answers) == list(range(count))
    return collections.Counter(answers.values())


@pytest.mark.parametrize("v6", [False, True], ids=["ipv4", "ipv6"])
def test_one_packet(many, v6):
    lab = many
    assert len(ask(lab, 60, v6)) == 1
    reload(lab.x, {"dns": {"scheduler": "rr", "one_packet": True}})
    # the record of what was before still takes its port along
    counts = ask(lab, 300, v6)
    print(dict(counts))
    assert len(counts) == 3 and set(counts.values()) == {100}
    # nothing is left of them
    left = lab.x.wlad.connections("service", "dns", "state", "opening")
    assert left == []
    # tools as people use them
    with_port = ["-b", "%s#5300" % (ADDRESSES6[0] if v6 else ADDRESSES[0])]
    assert len({lab.dig(lab.x, v6=v6, options=with_port) for _ in range(9)}) == 3


@pytest.mark.parametrize("v6", [False, True], ids=["ipv4", "ipv6"])
def test_one_packet_transferred(many, v6):
    lab = many
    for site in lab.sites:
        reload(site, {"dns": {"scheduler": "rr", "one_packet": True}})
    for s in lab.x.servers:
        lab.x.wlad.command("server", "dns/" + s.name, "disable")
    try:
        before = lab.x.wlad.service("dns")["transferred_total"]
        counts = ask(lab, 120, v6)
        print(dict(counts))
        assert len(counts) == 3 and set(counts.values()) == {40}
        assert all(name.startswith("y") for name in counts)
        assert lab.x.wlad.connections("service", "dns", "kind", "transferred") == []
        # each is counted, none is in flight
        dns = lab.x.wlad.service("dns")
        assert (dns["transferred_total"] - before, dns["transferred_active"]) == (120, 0)
    finally:
        for s in lab.x.servers:
            lab.x.wlad.command("server", "dns/" + s.name, "enable")
