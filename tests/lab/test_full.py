"""A small table that is full all the time: short connections, a flood of SYNs, many at once."""

import re
import socket
import struct
import threading
import time

import pytest

from lab import CLIENT4, WEB_PORT

CAPACITY = 1024
HELD = 20
SHORT = 3000
GOOD_RATE = 300     # requests a second: all that happens here shares a machine
GOOD_SECONDS = 6
GOOD_CLIENTS = 6    # at the same time
FLOOD_FACTOR = 5    # SYNs for each good request
FLOOD_NET = "198.18.0.0/15"
FLOOD_MAX = 60000   # SYNs
FLOOD_SECONDS = 20
FLOOD_BURST = 64    # SYNs at once, at most


@pytest.fixture(scope="module")
def full(wlad, net):
    """Tokyo with the smallest table there is.  Answers to forged senders reach the client's host,
    which says nothing to them."""
    net.start_servers()
    net.certify()
    net.x.wlad.start(dict(net.x.settings(), limits={"connections": CAPACITY}))
    net.x.wait_up()
    net.wan.ip("route add %s via %s" % (FLOOD_NET, CLIENT4))
    return net


class Held:
    """A connection that stays open between its requests."""

    def __init__(self, lab):
        self.socket = lab.client.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.settimeout(5)
        self.socket.connect((lab.x.v4, WEB_PORT))
        self.server = self.ask()

    def ask(self):
        self.socket.sendall(b"GET /who HTTP/1.1\r\nHost: lab\r\n\r\n")
        answer = b""
        while not answer.endswith(b"\n") or b"\r\n\r\n" not in answer:
            piece = self.socket.recv(4096)
            assert piece, "closed after %r" % answer
            answer += piece
        assert answer.startswith(b"HTTP/1.1 200 ")
        return answer.rpartition(b"\r\n\r\n")[2].decode().strip()


@pytest.fixture
def held(full):
    """Connections that are there before and after, on the same servers."""
    connections = [Held(full) for _ in range(HELD)]
    yield connections
    for c in connections:
        assert c.ask() == c.server
        c.socket.close()


class Flood:
    """SYNs of senders that do not exist, at a steady rate, bounded in number and time."""

    def __init__(self, lab, rate):
        self.rate, self.sent = rate, 0
        self.destination = lab.x.v4
        self.socket = lab.client.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def __enter__(self):
        self.begin = time.monotonic()
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.over.set()
        self.thread.join()
        self.seconds = time.monotonic() - self.begin
        self.socket.close()

    def _run(self):
        late = 0
        while not self.over.is_set() and self.sent < FLOOD_MAX:
            now = time.monotonic() - self.begin
            if now > FLOOD_SECONDS:
                return
            # what a pause has left undone is not made good: no bursts larger than the table
            due = min(int(now * self.rate) - late, FLOOD_MAX)
            late += max(due - self.sent - FLOOD_BURST, 0)
            for i in range(self.sent, min(due, self.sent + FLOOD_BURST)):
                self.socket.sendto(self._syn(i), (self.destination, 0))
                self.sent += 1
            self.over.wait(0.002)

    def _syn(self, i):
        """No sender and port twice within FLOOD_MAX."""
        source = socket.inet_aton("198.18.0.0")[:2] + struct.pack("!H", 1 + i % 65000)
        target = socket.inet_aton(self.destination)
        tcp = struct.pack("!HHIIBBHHH", 1024 + i % 60000, WEB_PORT, i * 7919, 0, 5 << 4, 2, 64240,
                          0, 0)
        pseudo = source + target + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(tcp))
        tcp = tcp[:16] + struct.pack("!H", checksum(pseudo + tcp)) + tcp[18:]
        # the kernel fills in the header's checksum and length
        return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), i & 0xffff, 0, 64,
                           socket.IPPROTO_TCP, 0, source, target) + tcp


def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    total = (total & 0xffff) + (total >> 16)
    return ~(total + (total >> 16)) & 0xffff


def drops(lab):
    return lab.x.wlad.show("counters")["drops"]


class Good:
    """Clients that ask for something at a steady rate, each time by a new connection."""

    def __init__(self, lab):
        self.lab, self.failures, self.in_time = lab, [], 0
        self.lock = threading.Lock()

    def run(self):
        """The requests a second that were answered within the time in which they were made."""
        self.begin = time.monotonic()
        self.end = self.begin + GOOD_SECONDS
        threads = [threading.Thread(target=self._client, args=(n,)) for n in range(GOOD_CLIENTS)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        return self.in_time / GOOD_SECONDS

    def _client(self, number):
        for i in range(number, GOOD_RATE * GOOD_SECONDS, GOOD_CLIENTS):
            time.sleep(max(self.begin + i / GOOD_RATE - time.monotonic(), 0))
            try:
                self._ask()
            except (OSError, AssertionError) as e:
                self.failures.append("%d: %r" % (i, e))
            else:
                with self.lock:
                    self.in_time += time.monotonic() <= self.end + 1 / GOOD_RATE

    def _ask(self):
        with self.lab.client.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
            s.settimeout(5)
            s.connect((self.lab.x.v4, WEB_PORT))
            s.sendall(b"GET /who HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n")
            answer = b""
            while piece := s.recv(4096):
                answer += piece
        assert answer.startswith(b"HTTP/1.1 200 ") and answer.split()[-1] in (b"x1", b"x2", b"x3")


def good_rate(lab):
    """As Good.run(); none may fail."""
    good = Good(lab)
    rate = good.run()
    assert good.failures == []
    return rate


def requests(lab, count):
    """So many good requests, one after the other, each its own connection: requests a second.
    Raises if one fails."""
    begin = time.monotonic()
    names = lab.who_many(lab.x, count)
    assert len(names) == count and set(names) <= {"x1", "x2", "x3"}
    return count / (time.monotonic() - begin)


def test_short_connections(full, held):
    evicted = full.x.wlad.counter("connections_evicted")
    rate = requests(full, SHORT)
    print("%d requests through a table of %d: %.0f a second" % (SHORT, CAPACITY, rate))
    assert full.x.wlad.counter("connections_evicted") - evicted >= SHORT - CAPACITY
    assert drops(full)["table_full"] == 0
    assert len(full.x.wlad.connections("state", "established")) >= HELD


def flooded_rate(lab):
    """(good requests a second, SYNs a second) while the flood lasts."""
    with Flood(lab, FLOOD_FACTOR * GOOD_RATE) as flood:
        time.sleep(1)   # the table is full of them
        good = good_rate(lab)
    return good, flood


def test_flood(full, held):
    """Good clients get what they want, and connections that are there stay.  What the flood costs
    this machine whether wlad sees it or not is measured as well: it is dropped before then."""
    quiet = good_rate(full)
    full.x.gw.run("nft", "-f", "-", input="""table ip flood {
        chain pre { type filter hook prerouting priority raw; ip saddr %s drop; }; }""" % FLOOD_NET)
    dropped, _ = flooded_rate(full)
    full.x.gw.run("nft", "delete", "table", "ip", "flood")
    opened = full.x.wlad.counter("connections_local")
    good, flood = flooded_rate(full)
    arrived = full.x.wlad.counter("connections_local") - opened - GOOD_RATE * GOOD_SECONDS
    opening = len(full.x.wlad.connections("state", "opening", "limit", "10000"))
    print("good requests a second: %.0f wanted, %.0f without a flood, %.0f beside one of %.0f SYNs "
          "a second that is dropped before wlad, %.0f beside one that is not (%.1f %%; %d SYNs, "
          "%d arrived)" % (GOOD_RATE, quiet, dropped, flood.sent / flood.seconds, good,
                           100 * good / GOOD_RATE, flood.sent, arrived))
    # it was a flood, and it did come through to the table
    assert flood.sent > 2 * CAPACITY
    assert arrived > flood.sent // 2
    assert opening <= CAPACITY - HELD
    assert drops(full)["table_full"] == 0


def test_many_at_once(full, held):
    """As many connections as the table has records, but for the held ones and a few."""
    out = full.client.run("wrk", "-t2", "-c1000", "-d3s", "--timeout", "10s",
                          full.url(full.x, "who"), timeout=30)
    print(out)
    assert "Socket errors" not in out and "Non-2xx" not in out
    assert int(re.search(r"(\d+) requests in", out).group(1)) >= 1000
    assert drops(full)["table_full"] == 0


def test_others_after_all_that(full):
    """What is left over harms nobody."""
    assert set(full.who_many(full.x, 60)) == {"x1", "x2", "x3"}
    assert full.x.wlad.running()
