"""Liveness, path MTU and direct-reply probes of a datapath, the other site played by python:
it opens, answers and seals with wladproto.py, and reads raw packets with scapy."""

import random

import pytest
from scapy.layers.inet import IP, UDP

import test_datapath_oracle as datapath
import wladproto as proto

pytestmark = datapath.pytestmark
driver, sites = datapath.driver, datapath.sites

TO_Y, TO_X = bytes([0xa1] * 32), bytes([0xb2] * 32)  # directions as instance_link() agrees them
X_ADDRESS, Y_ADDRESS = "192.0.2.1", "192.0.2.2"
PROBE, ANSWER, DIRECT = 12, 13, 14
HEADERS = 20 + 8
SEALING = 16 + 8 + 16
INFO = bytes(8)


class Peer:
    """Y as X sees it: what X sends is opened here, what is said here is sealed for X."""

    def __init__(self, driver, mtu):
        self.driver, self.mtu, self.now, self.alive = driver, mtu, 5000, True
        self.receiver = proto.Receiver(TO_Y)
        driver(f"now {self.now}")
        # any datagram of Y's carries the index of X's key
        driver("paths 1")
        index = proto.decode_header(driver.datagrams(1)[0])[1]
        self.sender = proto.Sender(TO_X, index)
        self.sequences, self.sizes = [], []

    def say(self, kind, body, source=Y_ADDRESS + ":7210"):
        self.driver(f"inject 0 {source} {self.sender.seal(kind, INFO, body).hex()}")

    def listen(self):
        """What X says, opened: (type, body, octets of the outer packet)."""
        out = []
        for octets in self.driver.datagrams(0):
            kind, info, body = self.receiver.open(octets, self.now * 10**6)
            assert info == (0, 0, 0, 0)
            out.append((kind, body, len(octets) + HEADERS))
        return out

    def answer(self, kind, body, outer):
        assert kind == PROBE
        sequence, reserved = proto.decode_path(body)
        assert reserved == 0 and body[8:] == bytes(len(body) - 8)
        self.sequences.append((sequence, len(body)))
        self.sizes.append(outer)
        if self.alive and outer <= self.mtu:
            self.say(ANSWER, proto.encode_path(sequence, len(body)))

    def run(self, ms, step=10):
        for _ in range(0, ms, step):
            self.driver("paths 0")
            for said in self.listen():
                self.answer(*said)
            self.now += step
            self.driver(f"now {self.now}")

    def path(self):
        _, state, mtu, rtt, loss, direct = self.driver("path 0 0")[0].split()
        return state, int(mtu), int(rtt), float(loss), direct


@pytest.mark.parametrize("mtu", [1500, 1499, 1437, 1300, 1281, 1280])
def test_mtu_as_the_path_has_it(sites, mtu):
    peer = Peer(sites, mtu)
    peer.run(5000)
    state, found, rtt, loss, _ = peer.path()
    assert (state, found, loss) == ("alive", mtu, 0)
    assert rtt < 10000
    padded = [s for s in peer.sizes if s != HEADERS + SEALING + 8]
    assert padded and max(padded) == 1500 and min(padded) >= 1280


def test_numbers_of_each_kind_follow_each_other(sites):
    peer = Peer(sites, 1400)
    peer.run(12000)
    for kind in ([s for s, n in peer.sequences if n == 8], [s for s, n in peer.sequences if n != 8]):
        assert all((b - a) % 2**32 == 1 for a, b in zip(kind, kind[1:]))
        assert len(kind) > 10


def test_lost_and_back(sites):
    peer = Peer(sites, 1500)
    peer.run(2000)
    assert peer.path()[0] == "alive"
    peer.alive = False
    peer.run(1800)
    assert peer.path()[0] == "lost"
    peer.alive = True
    peer.run(400)
    assert peer.path()[0] == "alive"


def test_answers(sites):
    """Every message is answered once, by its number and its size, whatever its padding."""
    peer, rng = Peer(sites, 1500), random.Random(1)
    for _ in range(300):
        sequence, padding = rng.getrandbits(32), rng.randbytes(rng.choice((0, 1, rng.randrange(1400))))
        peer.say(PROBE, proto.encode_path(sequence, rng.getrandbits(32), padding))
        (kind, body, _), = peer.listen()
        assert kind == ANSWER and len(body) == 8
        assert proto.decode_path(body) == (sequence, 8 + len(padding))


def test_wrong_answers_prove_nothing(sites):
    """Other numbers, other sizes: the path is not alive, and no size gets through, because of them."""
    peer, rng = Peer(sites, 1500), random.Random(2)
    peer.alive = False
    for _ in range(100):
        peer.run(20)
        for sequence, size in peer.sequences[-3:]:
            peer.say(ANSWER, proto.encode_path(sequence ^ 1 << rng.randrange(7, 32), size))
            peer.say(ANSWER, proto.encode_path(sequence, rng.choice((0, 7, 9, size + 1, 2**32 - 1))))
    state, mtu, rtt, loss, _ = peer.path()
    assert (state, mtu, rtt, loss) == ("lost", 0, 0, 1)


def direct_probes(peer):
    """What left by the device, as (packet, opened body)."""
    out = []
    for _, _, _, octets in peer.driver.packets(0):
        packet = IP(octets)
        assert bytes(packet) == datapath.recomputed(packet)
        kind, info, body = peer.receiver.open(bytes(packet[UDP].payload), peer.now * 10**6)
        assert kind == DIRECT and info == (0, 0, 0, 0) and len(body) == 8
        out.append((packet, proto.decode_direct(body)))
    return out


def test_direct_probe(sites):
    peer = Peer(sites, 1500)
    peer.run(500)
    (packet, number), = direct_probes(peer)
    # two sites only: under Y's service address to Y itself
    assert (packet.src, packet[UDP].sport) in [(datapath.SERVICE_Y[4], p) for p in (80, 443, 53)]
    assert (packet.dst, packet[UDP].dport) == (Y_ADDRESS, 7210)
    sites(f"confirm 0 0 {number ^ 1}")
    assert peer.path()[4] == "unknown"
    sites(f"confirm 0 0 {number}")
    assert peer.path()[4] == "ok"
    # not confirmed any more: three in a row, a second each
    numbers = set()
    for second in range(13):
        assert peer.path()[4] == "ok"
        peer.run(1000)
        numbers.update(n for _, n in direct_probes(peer))
        if len(numbers) == 3 and second > 11:
            break
    peer.run(1100)
    assert peer.path()[4] == "blocked"
    assert len(numbers) == 3 and number not in numbers


def test_direct_probes_arrive_from_anywhere(sites):
    peer = Peer(sites, 1500)
    for number, source in ((1, "198.51.100.99:5"), (2**64 - 1, "[2001:db8::9]:80"),
                           (77, Y_ADDRESS + ":7210")):
        peer.say(DIRECT, number.to_bytes(8, "big") + b"more", source)
        assert sites("seen 0") == [f"seen 0 {number}"]
    peer.say(PROBE, proto.encode_path(1, 0), "198.51.100.99:5")
    assert peer.listen() == []
    assert sites.counters(0)["drop.transfer_source"] == 1
