"""The relay that is the lab's wide area: what it does to packets, by numbered datagrams.

No packet is early; how late one is beyond its time depends on the machine, so that bounds are
wide.
"""

import collections
import socket
import statistics
import struct
import threading
import time

import pytest

import netns
import wide

A4, B4, A6, B6 = "10.9.0.1", "10.9.0.2", "2001:db8:9::1", "2001:db8:9::2"
PORT = 9000


class Link:
    """Two hosts with the relay between them; datagrams go from a to b."""

    def __init__(self, directory):
        self.net = netns.Net(directory)
        self.a, self.b = self.net.namespace("a"), self.net.namespace("b")
        self.relay = wide.Relay("relay", self.a, "eth0", self.b, "eth0")
        self.a.ip("addr add %s/24 dev eth0" % A4, "addr add %s/64 dev eth0 nodad" % A6)
        self.b.ip("addr add %s/24 dev eth0" % B4, "addr add %s/64 dev eth0 nodad" % B6)
        # datagrams that wait for an answer to "who has" are overtaken by later ones
        mac = self.b.ip_json("link", "show", "dev", "eth0")[0]["address"]
        self.a.ip(*["neigh replace %s lladdr %s dev eth0 nud permanent" % (address, mac)
                    for address in (B4, B6)])

    def run(self, count, *settings, seed=1, gap=0.0, size=100, wait=0.3, v6=False):
        """Sends numbered datagrams; returns ([(number, seconds under way)], counters "in")."""
        self.relay.start(*settings, seed=seed)
        family = socket.AF_INET6 if v6 else socket.AF_INET
        with self.a.socket(family, socket.SOCK_DGRAM) as out, \
                self.b.socket(family, socket.SOCK_DGRAM) as receiver:
            receiver.setsockopt(socket.SOL_SOCKET, 33, 32 << 20)  # SO_RCVBUFFORCE
            receiver.bind((B6 if v6 else B4, PORT))
            receiver.settimeout(wait)
            got = []
            thread = threading.Thread(target=self._receive, args=(receiver, got))
            thread.start()
            for number in range(count):
                out.sendto(struct.pack("!Id", number, time.monotonic()).ljust(size, b"x"),
                           (B6 if v6 else B4, PORT))
                if gap:
                    time.sleep(gap)
            thread.join()
        return got, self.relay.stop()["in"]

    @staticmethod
    def _receive(receiver, got):
        try:
            while data := receiver.recv(2048):
                number, sent = struct.unpack("!Id", data[:12])
                got.append((number, time.monotonic() - sent))
        except TimeoutError:
            pass


@pytest.fixture(scope="module")
def link(possible, directory):
    if not wide.built():
        pytest.skip("no tests/lab/wan in WLAD_BUILDDIR")
    link = Link(directory)
    yield link
    link.net.close()


def numbers(got):
    return [number for number, _ in got]


@pytest.mark.parametrize("v6", [False, True], ids=["ipv4", "ipv6"])
def test_nothing_is_changed_without_settings(link, v6):
    got, counters = link.run(2000, v6=v6)
    assert numbers(got) == list(range(2000))
    assert counters["in"] == counters["out"] == 2000
    assert counters["octets"] == 2000 * (100 + (48 if v6 else 28))


def test_delay(link):
    got, _ = link.run(200, "delay=20", gap=0.001)
    times = sorted(seconds for _, seconds in got)
    assert numbers(got) == list(range(200))
    assert times[0] >= 0.020
    assert statistics.median(times) < 0.060


def test_each_direction_has_its_own_settings(link):
    """A ping is late by both delays together."""
    link.relay.start("in", "delay=10", "out", "delay=25")
    out = link.a.run("ping", "-c", "5", "-i", "0.05", "-q", B4)
    counters = link.relay.stop()
    least = float(out.split("rtt")[1].split("=")[1].split("/")[0])
    assert 35.0 <= least < 80.0
    assert counters["in"]["in"] == counters["out"]["in"] == 5


def test_jitter_spreads_and_keeps_the_order(link):
    got, _ = link.run(400, "delay=20", "jitter=10", gap=0.001)
    times = [seconds for _, seconds in got]
    assert numbers(got) == list(range(400))
    assert 0.010 <= min(times) < 0.020 and max(times) >= 0.025
    assert statistics.stdev(times) > 0.001


@pytest.mark.parametrize("share", [0.01, 0.2])
def test_share_of_loss(link, share):
    """Within four standard deviations; the counters agree with who arrived."""
    count = 5000
    got, counters = link.run(count, "loss=%g" % share)
    deviation = (count * share * (1 - share)) ** 0.5
    assert abs(counters["lost"] - count * share) < 4 * deviation
    assert len(got) == count - counters["lost"] == counters["out"]
    assert numbers(got) == sorted(set(numbers(got)))


def test_everything_lost(link):
    got, counters = link.run(100, "loss=1")
    assert got == [] and counters["lost"] == 100 and counters["out"] == 0


def test_duplicates_follow_at_once(link):
    got, counters = link.run(2000, "duplicate=0.1")
    counts = collections.Counter(numbers(got))
    twice = [number for number, n in counts.items() if n == 2]
    assert set(counts) == set(range(2000)) and set(counts.values()) == {1, 2}
    assert counters["duplicated"] == len(twice)
    assert 140 < len(twice) < 260
    assert numbers(got) == sorted(numbers(got))


@pytest.mark.parametrize("distance", [1, 5])
def test_reordered_by_the_distance(link, distance):
    got, counters = link.run(3000, "delay=2", "reorder=0.05", "distance=%d" % distance)
    order = numbers(got)
    assert sorted(order) == list(range(3000))
    late = [i for i in range(1, len(order)) if order[i] < max(order[:i])]
    assert counters["reordered"] == pytest.approx(150, abs=50)
    # neighbours that are both held back overtake nobody, the last ones are not overtaken
    assert counters["reordered"] * 0.8 < len(late) <= counters["reordered"]
    assert max(max(order[:i]) - order[i] for i in late) >= distance
    behind = [sum(1 for n in order[:i] if n > order[i]) for i in late]
    assert statistics.median(behind) == distance


def test_held_back_without_successors(link):
    """The last packet is not kept for ever."""
    got, counters = link.run(1, "reorder=1", "distance=3")
    assert numbers(got) == [0] and counters["reordered"] == 1
    assert 0.020 <= got[0][1] < 0.2


def test_rate(link):
    """8 Mbit/s: a thousand octets take a millisecond, once the bucket is empty."""
    got, counters = link.run(300, "rate=8", "burst=10000", "limit=1000000", size=972)
    assert numbers(got) == list(range(300))
    assert counters["octets"] == 300 * 1000
    # the last was sent a little later than the first
    assert 0.15 < got[-1][1] < 0.6


def test_limit_of_the_queue(link):
    """What waits is 50 ms of the rate; the thousand datagrams together would be a second."""
    got, counters = link.run(1000, "rate=8", "burst=10000", "limit=50000", size=972)
    assert counters["limited"] == 1000 - len(got) > 0
    assert len(got) >= 60
    assert max(seconds for _, seconds in got) < 0.5


def test_repeated_by_the_seed(link):
    """The same packets are lost, doubled, held back; another seed chooses others."""
    words = ("delay=1", "loss=0.1", "duplicate=0.05")
    runs = [numbers(link.run(2000, *words, seed=seed)[0]) for seed in (7, 7, 8)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]
    assert set(range(2000)) - set(runs[0]) != set(range(2000)) - set(runs[2])


def test_counted_by_the_seed_whatever_the_times(link):
    """The fate belongs to the packet's number, not to when it comes."""
    words = ("delay=1", "loss=0.1")
    fast = link.run(500, *words, seed=3)[0]
    slow = link.run(500, *words, seed=3, gap=0.001)[0]
    assert numbers(fast) == numbers(slow)


def test_wrong_settings_are_refused(link):
    for words in (["loss=2"], ["lost=1"], ["delay=-1"], ["rate=1x"], ["delay"]):
        with pytest.raises(netns.LabError):
            link.relay.start(*words)


def test_is_not_the_bottleneck(link):
    """TCP through it, with checksums that are right, much faster than what the tests ask of it."""
    link.relay.start("delay=1")
    server = link.b.start("iperf3", "-s", "-1", "-p", "5201")
    netns.wait_for(lambda: ":5201 " in link.b.run("ss", "-Htln"), what="iperf3")
    out = link.a.run("iperf3", "-c", B4, "-p", "5201", "-t", "2", "-f", "m")
    server.popen.wait(5)
    counters = link.relay.stop()
    rate = float(out.split("receiver")[0].split("Mbits/sec")[-2].split()[-1])
    print("TCP through the relay: %.0f Mbit/s, %d packets" % (rate, counters["in"]["in"]))
    assert rate > 150


def test_loss_by_nft(link):
    """The simple variant, on a router: about so many are lost."""
    net = link.net
    router, c = net.namespace("router"), net.namespace("c")
    router.router()
    net.connect(link.b, "eth1", router, "eth1")
    net.connect(router, "eth2", c, "eth0")
    link.b.ip("addr add 10.10.0.2/24 dev eth1", "route add 10.11.0.0/24 via 10.10.0.1")
    router.ip("addr add 10.10.0.1/24 dev eth1", "addr add 10.11.0.1/24 dev eth2")
    c.ip("addr add 10.11.0.2/24 dev eth0", "route add default via 10.11.0.1")
    end = wide.lose(router, "eth2", 0.1)
    with link.b.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for _ in range(5000):
            s.sendto(b"x", ("10.11.0.2", PORT))
    assert 400 < end() < 600
