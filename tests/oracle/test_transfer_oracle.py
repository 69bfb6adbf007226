"""Keys and transfer packets: the daemon's code against wladproto.py, in both directions."""

import os
import random
import subprocess

import pytest

import wladproto as proto

DRIVER = os.environ.get("WLAD_TRANSFER_DRIVER")
SECOND = 10**9


def hexed(octets):
    return octets.hex() or "-"


def octets_of(text):
    return b"" if text == "-" else bytes.fromhex(text)


class Driver:
    """tests/oracle/transfer_driver: one line in, one line out."""

    def __init__(self):
        if not DRIVER:
            pytest.fail("WLAD_TRANSFER_DRIVER does not name the driver")
        self.process = subprocess.Popen([DRIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)

    def ask(self, *words):
        self.process.stdin.write(" ".join(str(w) for w in words) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line.endswith("\n"), "the driver has ended"
        assert not line.startswith("error"), line
        return line.split()

    def octets(self, *words):
        """The answer's octets; None if it was refused."""
        answer = self.ask(*words)
        if answer == ["refused"]:
            return None
        assert answer[0] == "ok"
        return octets_of(answer[1])

    def open(self, number, now, packet):
        """As proto.Receiver.open()."""
        answer = self.ask("open", number, now, hexed(packet))
        if answer[0] == "drop":
            raise proto.Drop(answer[1])
        assert answer[0] == "ok"
        kind, *info = map(int, answer[1:6])
        return kind, tuple(info), octets_of(answer[6])

    def tx(self, number, direction, index, limit, cipher=proto.AES_128_GCM):
        assert self.ask("tx", number, direction.hex(), index, limit, cipher) == ["ok"]

    def rx(self, number, direction, cipher=proto.AES_128_GCM):
        assert self.ask("rx", number, direction.hex(), cipher) == ["ok"]

    def seal(self, number, kind, info, inner, split):
        return self.octets("seal", number, kind, *info, hexed(inner[:split]),
                           hexed(inner[split:]))

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        assert self.process.wait(timeout=10) == 0


@pytest.fixture
def driver():
    d = Driver()
    yield d
    d.close()


def random_info(rng):
    return (rng.getrandbits(16), rng.choice((0, rng.getrandbits(16))), rng.randrange(4),
            rng.randrange(16))


def random_inner(rng):
    return rng.randbytes(rng.choice((0, 1, 7, 8, 9, 20, 40, 119, 120, 121, rng.randrange(300),
                                     rng.randrange(1461))))


# ---- the oracle itself, by what others have published


def test_oracle_hkdf_rfc5869_a1():
    prk = bytes.fromhex("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5")
    info = bytes.fromhex("f0f1f2f3f4f5f6f7f8f9")
    assert proto.hkdf_expand(prk, info, 42).hex() == (
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865")


def test_oracle_expand_label_rfc8448_3():
    """Server handshake traffic keys of the simple 1-RTT handshake."""
    secret = bytes.fromhex("b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38")
    assert proto.expand_label(secret, "key", 16, "tls13 ").hex() == \
        "3fce516009c21727d0f2e4e86ee403bc"
    assert proto.expand_label(secret, "iv", 12, "tls13 ").hex() == "5d313eb2671276ee13000b30"


def test_oracle_chacha20_poly1305_rfc8439_2_8_2():
    algorithm, length = proto.CIPHERS[proto.CHACHA20_POLY1305]
    key = bytes(range(0x80, 0xa0))
    assert len(key) == length
    text = (b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the "
            b"future, sunscreen would be it.")
    sealed = algorithm(key).encrypt(bytes.fromhex("070000004041424344454647"), text,
                                    bytes.fromhex("50515253c0c1c2c3c4c5c6c7"))
    assert sealed[-16:].hex() == "1ae10b594f09e26a7e902ecbd0600691"


# ---- keys


def test_labels(driver):
    rng = random.Random(1)
    letters = "abcdefghijklmnopqrstuvwxyz-_.09"
    for label in ("dialer", "listener", "epoch", "key", "iv"):
        for length in (12, 16, 32):
            secret = rng.randbytes(32)
            assert driver.octets("label", secret.hex(), label, length) == \
                proto.expand_label(secret, label, length)
    for _ in range(500):
        secret = rng.randbytes(32)
        label = "".join(rng.choices(letters, k=rng.randint(1, 249)))
        length = rng.choice((1, 31, 32, 33, 64, 65, rng.randint(1, 8160)))
        assert driver.octets("label", secret.hex(), label, length) == \
            proto.expand_label(secret, label, length)


def test_labels_refused(driver):
    secret = bytes(32).hex()
    assert driver.octets("label", secret, "a" * 249, 8160) is not None
    assert driver.octets("label", secret, "a" * 250, 32) is None
    assert driver.octets("label", secret, "a", 8161) is None
    assert driver.octets("label", secret, "a", 0) is None


def test_contexts(driver):
    rng = random.Random(2)
    for _ in range(500):
        sides = [("".join(rng.choices("abcdefgh.x", k=rng.randint(1, 63))), rng.randbytes(32),
                  rng.randbytes(16)) for _ in range(2)]
        words = [w for name, cert, rand in sides for w in (name, cert.hex(), rand.hex())]
        cipher = rng.choice(list(proto.CIPHERS))
        assert driver.octets("context", cipher, *words) == proto.exporter_context(cipher, *sides)
    for name in ("-", "n" * 64):
        good = ["good", bytes(32).hex(), bytes(16).hex()]
        bad = [name] + good[1:]
        assert driver.octets("context", 1, *good, *bad) is None
        assert driver.octets("context", 1, *bad, *good) is None


def test_nonces(driver):
    rng = random.Random(3)
    for _ in range(500):
        iv, epoch, counter = rng.randbytes(12), rng.getrandbits(16), rng.getrandbits(48)
        assert driver.octets("nonce", iv.hex(), epoch, counter) == \
            proto.make_nonce(iv, epoch, counter)


# ---- packets


@pytest.mark.parametrize("cipher", proto.CIPHERS)
@pytest.mark.parametrize("seed", range(4))
def test_sealed_by_wlad(driver, seed, cipher):
    """What the daemon seals is, octet for octet, what the manual says."""
    rng = random.Random(100 * cipher + seed)
    secret, index = rng.randbytes(32), rng.getrandbits(32)
    direction = proto.directions(secret)[seed % 2]
    limit = rng.choice((1, 7, 100, proto.EPOCH_PACKETS))
    sender = proto.Sender(direction, index, limit, cipher)
    driver.tx(0, direction, index, limit, cipher)
    for _ in range(1500):
        kind, info, inner = rng.choice(proto.TYPES), random_info(rng), random_inner(rng)
        split = rng.choice((0, len(inner), min(40, len(inner)), rng.randint(0, len(inner))))
        packet = driver.seal(0, kind, info, inner, split)
        assert packet == sender.seal(kind, proto.encode_info(*info), inner)
        if rng.random() < 0.02:
            sender.next_epoch()
            assert driver.ask("next", 0) == ["ok", str(sender.epoch), str(sender.counter)]
    if limit == 7:
        assert sender.epoch > 200


def damaged(rng, packet):
    """The packet with one thing wrong."""
    packet = bytearray(packet)
    what = rng.randrange(5)
    if what == 0:
        packet[rng.randrange(len(packet))] ^= 1 << rng.randrange(8)
    elif what == 1:
        del packet[rng.randrange(len(packet)):]
    elif what == 2:
        packet += rng.randbytes(rng.randint(1, 20))
    elif what == 3:
        packet[8:16] = rng.randbytes(8)
    else:
        packet[rng.randrange(16)] = rng.getrandbits(8)
    return bytes(packet)


def outcome(function, *arguments):
    try:
        return function(*arguments)
    except proto.Drop as drop:
        return str(drop)


def random_packet(rng, sender):
    """Mostly good; some with flags or reserved bits that only another version would send."""
    flags = rng.choice((0, 0, 0, 1, 2, 3, rng.getrandbits(8)))
    reserved = rng.choice((0, 0, 0, rng.getrandbits(20)))
    info = proto.encode_info(rng.getrandbits(16), rng.getrandbits(16), flags, rng.randrange(16),
                             reserved)
    return sender.seal(rng.choice(proto.TYPES), info, random_inner(rng))


@pytest.mark.parametrize("cipher", proto.CIPHERS)
@pytest.mark.parametrize("seed", range(6))
def test_opened_by_wlad(driver, seed, cipher):
    """A bad network between sender and receiver: both receivers say the same of every datagram."""
    rng = random.Random(200 * cipher + seed)
    direction = rng.randbytes(32)
    sender = proto.Sender(direction, rng.getrandbits(32), (15, 40, 400)[seed % 3], cipher)
    stranger = proto.Sender(rng.randbytes(32), sender.index, cipher=cipher)
    receiver = proto.Receiver(direction, cipher)
    driver.rx(0, direction, cipher)
    now, travelling, seen = SECOND, [], {}

    for _ in range(2000):
        now += rng.choice((0, 1, SECOND // 10, SECOND))
        for _ in range(rng.choice((0, 1, 1, 2, 3))):
            travelling.append(random_packet(rng, sender))
        if rng.random() < 0.01:
            sender.next_epoch()
        travelling = travelling[-60:]  # what is older is lost
        if not travelling:
            continue
        packet = travelling[rng.randrange(len(travelling))]
        chance = rng.random()
        if chance < 0.15:
            packet = damaged(rng, packet)
        elif chance < 0.17:
            packet = random_packet(rng, stranger)
        elif chance < 0.6:
            travelling.remove(packet)  # else it may come again
        expected = outcome(receiver.open, packet, now)
        assert outcome(driver.open, 0, now, packet) == expected
        name = expected if isinstance(expected, str) else "accepted"
        seen[name] = seen.get(name, 0) + 1

    assert seen["accepted"] > 100
    for name in ("transfer_short", "transfer_version", "transfer_epoch", "transfer_replay",
                 "transfer_tag", "transfer_inner"):
        assert seen.get(name, 0) > 0, name


def test_window_edges(driver):
    direction = bytes(range(32))
    receiver, epochs = proto.Receiver(direction), proto.Epochs(direction)
    driver.rx(0, direction)
    top = 3 * proto.WINDOW + 21
    counters = [top, top - proto.WINDOW, top - proto.WINDOW - 1, top - 1, 0, top + 64,
                top - proto.WINDOW + 63, top - proto.WINDOW + 64, (1 << 48) - 1,
                (1 << 48) - 2 - proto.WINDOW, (1 << 48) - 1 - proto.WINDOW, top + 64]
    results = []
    for counter in counters:
        packet = epochs.seal(proto.encode_header(proto.DATA, 1, 0, counter), bytes(8))
        results.append(outcome(receiver.open, packet, 0))
        assert outcome(driver.open, 0, 0, packet) == results[-1]
    assert [isinstance(r, str) for r in results] == [False, False, True, False, True, False,
                                                     True, False, False, True, False, True]


def test_time_of_previous_epoch(driver):
    direction = bytes(32)
    sender = proto.Sender(direction, 5)
    receiver = proto.Receiver(direction)
    driver.rx(0, direction)
    late = [sender.seal(proto.DATA, bytes(8), b"late") for _ in range(3)]
    sender.next_epoch()
    new = sender.seal(proto.DATA, bytes(8), b"new")
    steps = ((new, SECOND), (late[0], 11 * SECOND - 1), (late[1], 11 * SECOND), (late[2], SECOND))
    results = []
    for packet, now in steps:
        results.append(outcome(receiver.open, packet, now))
        assert outcome(driver.open, 0, now, packet) == results[-1]
    assert [r[2] for r in results[:2]] == [b"new", b"late"]
    assert results[2:] == ["transfer_epoch"] * 2


def test_both_directions(driver):
    """Each end opens what the other one sealed, and nothing of its own."""
    rng = random.Random(4)
    dialer, listener = proto.directions(rng.randbytes(32))
    driver.tx(0, dialer, 1, 50)
    driver.tx(1, listener, 2, 50)
    driver.rx(0, dialer)
    driver.rx(1, listener)
    for _ in range(500):
        side = rng.randrange(2)
        info, inner = random_info(rng), random_inner(rng)
        packet = driver.seal(side, proto.DATA, info, inner, 0)
        with pytest.raises(proto.Drop):
            driver.open(1 - side, 0, packet)
        assert driver.open(side, 0, packet) == (proto.DATA, info, inner)


def test_last_epoch(driver):
    """The key ends with epoch 65535, and the receiver follows to the end."""
    direction = bytes(range(32))
    receiver = proto.Receiver(direction)
    driver.tx(0, direction, 9, 1)
    driver.rx(0, direction)
    info = (1, 0, 0, 1)
    for epoch in range(proto.LAST_EPOCH + 1):
        packet = driver.seal(0, proto.DATA, info, b"", 0)
        assert int.from_bytes(packet[8:10], "big") == epoch
        if epoch % 4 == 3:
            assert driver.open(0, epoch, packet)[0] == proto.DATA
        if epoch % 4096 == 4095:
            receiver.current = epoch
            assert receiver.open(packet, epoch) == (proto.DATA, info, b"")
    assert driver.seal(0, proto.DATA, info, b"", 0) is None
    assert driver.ask("next", 0) == ["ok", "65535", "1"]
    assert driver.seal(0, proto.DATA, info, b"", 0) is None


def test_ciphers_do_not_mix(driver):
    """The same secret, another cipher: neither opens what the other has sealed."""
    direction = bytes(range(32))
    for sealing in proto.CIPHERS:
        driver.tx(0, direction, 1, 50, sealing)
        packet = driver.seal(0, proto.DATA, (1, 0, 0, 1), b"inner", 0)
        for opening in proto.CIPHERS:
            driver.rx(0, direction, opening)
            expected = outcome(proto.Receiver(direction, opening).open, packet, 0)
            assert outcome(driver.open, 0, 0, packet) == expected
            assert (expected == "transfer_tag") == (sealing != opening)


def test_ciphers_refused(driver):
    for cipher in (0, 4, 255):
        assert driver.ask("tx", 0, bytes(32).hex(), 1, 50, cipher) == ["refused"]
        assert driver.ask("rx", 0, bytes(32).hex(), cipher) == ["refused"]


def test_not_sealed(driver):
    driver.tx(0, bytes(32), 9, 100)
    for kind in (0, 1, 10, 15, 16, 27):
        assert driver.seal(0, kind, (1, 0, 0, 1), b"x", 0) is None
    for info in ((1, 0, 0x10, 1), (1, 0, 0x80, 1), (1, 0, 0, 16), (1, 0, 0, 255)):
        assert driver.seal(0, proto.DATA, info, b"x", 0) is None
    largest = bytes(65535 - proto.SHORTEST)
    packet = driver.seal(0, proto.DATA, (1, 0, 0, 1), largest, 100)
    assert packet == proto.Sender(bytes(32), 9).seal(proto.DATA, proto.encode_info(1, 0, 0, 1),
                                                     largest)
    assert driver.seal(0, proto.DATA, (1, 0, 0, 1), largest + b"x", 100) is None
