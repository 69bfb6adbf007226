"""Messages of the load exchange: the daemon's code against wladproto.py."""

import random

import pytest

import wladproto as proto
from test_transfer_oracle import driver  # noqa: F401, the fixture

NAMES = "abcdefghijklmnopqrstuvwxyzABCXYZ0123456789-._"
# What a decoder of the other program may write that this one has not read.
ALWAYS = {"transfer": bytes(18)}


def name(rng):
    return "".join(rng.choices(NAMES, k=rng.choice((1, 5, 63)))).encode()


def address(rng, length):
    octets = rng.randbytes(length)
    # not the address of nobody, nor an IPv4 address in the form of IPv6
    return b"\x20" + octets[1:]


def maybe(rng, values, key, value):
    if rng.random() < 0.7:
        values[key] = value


def hello_service(rng, number):
    values = {"name": b"%d-%s" % (number, name(rng)[:50]), "number": number * 13 & 0xffff,
              "protocol": rng.choice((6, 17)),
              "ports": [rng.randint(1, 65535) for _ in range(rng.choice((1, 2, 20)))]}
    family = rng.randrange(3)
    if family != 1:
        values["ipv4"] = address(rng, 4)
    if family != 0:
        values["ipv6"] = address(rng, 16)
    maybe(rng, values, "client_address", rng.randint(1, 255))
    maybe(rng, values, "servers",
          [(address(rng, rng.choice((4, 16))), rng.choice((0, 80, 65535)))
           for _ in range(rng.choice((1, 3, 40)))])
    return values


def hello(rng):
    values = {"version": rng.getrandbits(8), "site": name(rng), "boot_id": rng.getrandbits(64),
              "transfer": rng.randbytes(18), "random": rng.randbytes(16),
              "cipher": rng.getrandbits(8)}
    maybe(rng, values, "key_index", rng.randint(1, 2**32 - 1))
    maybe(rng, values, "interval", rng.randint(1, 2**32 - 1))
    maybe(rng, values, "demand_port", rng.randint(1, 65535))
    maybe(rng, values, "ciphers", rng.randbytes(rng.randint(1, 16)))
    maybe(rng, values, "load", rng.randbytes(16) + b"\x1c\x2a")
    maybe(rng, values, "services", [hello_service(rng, n) for n in range(rng.choice((1, 4, 12)))])
    return values


def load_service(rng, number):
    values = {"number": number, "up": rng.getrandbits(32), "not_high": rng.getrandbits(32),
              "transferable": rng.getrandbits(32), "permitted": rng.getrandbits(1),
              "load": rng.randint(0, 1000), "active": rng.getrandbits(32),
              "held": rng.getrandbits(32), "new": rng.getrandbits(32)}
    maybe(rng, values, "quota", rng.choice((0, rng.getrandbits(32))))
    maybe(rng, values, "life", rng.randint(1, 2**32 - 1))
    maybe(rng, values, "distance", rng.randint(1, 15))
    return values


def load(rng):
    values = {"sequence": rng.getrandbits(32), "sent": rng.getrandbits(64)}
    if rng.random() < 0.7:
        values["echo"], values["echo_held"] = rng.randint(1, 2**64 - 1), rng.getrandbits(32)
    maybe(rng, values, "path_mtu", rng.randint(1, 65535))
    maybe(rng, values, "direct", rng.randint(1, 2))
    numbers = rng.sample(range(65536), rng.choice((0, 1, 30)))
    if rng.random() < 0.3:
        values["between"] = [between(rng, number) for number in numbers]
    else:
        values["services"] = [load_service(rng, number) for number in numbers]
    return values


def between(rng, number):
    values = {"number": number, "held": rng.getrandbits(32)}
    maybe(rng, values, "quota", rng.getrandbits(32))
    return values


def site(rng):
    values = {"name": name(rng)}
    maybe(rng, values, "gone", 1)
    maybe(rng, values, "distance", rng.randint(1, 15))
    maybe(rng, values, "silent", 1)
    if rng.random() < 0.7:
        values["transfer"] = rng.randbytes(18)
        maybe(rng, values, "load", rng.randbytes(16) + b"\x1c\x2a")
        maybe(rng, values, "demand_port", rng.randint(1, 65535))
        maybe(rng, values, "certificate", rng.randbytes(32))
        maybe(rng, values, "interval", rng.randint(1, 2**32 - 1))
        maybe(rng, values, "services", [hello_service(rng, n) for n in range(rng.choice((1, 4)))])
    if rng.random() < 0.7:
        values["report"] = {
            "age": rng.getrandbits(32), "sequence": rng.getrandbits(32),
            "services": [(number, rng.getrandbits(32), rng.getrandbits(32), rng.getrandbits(32),
                          rng.getrandbits(1), rng.randint(0, 1000), rng.getrandbits(32),
                          rng.getrandbits(32), rng.getrandbits(32))
                         for number in rng.sample(range(65536), rng.choice((0, 1, 9)))]}
    return values


def sites(rng):
    return {"flags": rng.randrange(4), "sites": [site(rng) for _ in range(rng.choice((0, 1, 7)))]}


def records(rng, width, count):
    return [(address(rng, width), rng.getrandbits(16), address(rng, width), rng.getrandbits(16),
             rng.choice((6, 17)), rng.getrandbits(2), rng.getrandbits(32)) for _ in range(count)]


def closed(rng):
    values = {}
    maybe(rng, values, "ipv4", records(rng, 4, rng.choice((1, 5, 500))))
    maybe(rng, values, "ipv6", records(rng, 16, rng.choice((1, 5, 500))))
    return values


MAKE = {proto.HELLO: hello, proto.LOAD: load, proto.CLOSED: closed, proto.SITES: sites,
        proto.KEY_READY: lambda rng: {"index": rng.randint(1, 2**32 - 1)},
        proto.PROBE_SEEN: lambda rng: {"id": rng.getrandbits(64)},
        proto.BYE: lambda rng: {"reason": rng.randint(1, 5)}}

# The daemon writes services last, so that who reads knows the sender before them.
ORDER = {proto.HELLO: (1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 9),
         proto.LOAD: (1, 2, 3, 4, 6, 7, 5, 8)}


def again(driver, kind, body):  # noqa: F811
    return driver.octets("message", kind, body.hex() or "-")


@pytest.mark.parametrize("kind", MAKE)
def test_same_octets(driver, kind):  # noqa: F811
    """What the daemon has read and writes again is what was there."""
    rng = random.Random(kind)
    for _ in range(200):
        values = MAKE[kind](rng)
        message = proto.encode_message(kind, values, ORDER.get(kind))
        assert again(driver, kind, message[6:]) == message
        got, decoded, rest = proto.decode_message(message)
        assert got == kind and rest == b""
        assert {k: v for k, v in decoded.items() if v} == {k: v for k, v in values.items() if v}


@pytest.mark.parametrize("kind", MAKE)
def test_order_and_unknown_tags(driver, kind):  # noqa: F811
    rng = random.Random(100 + kind)
    for _ in range(100):
        values = MAKE[kind](rng)
        whole = proto.encode_message(kind, values, ORDER.get(kind))
        tlvs = proto.split_tlvs(whole[6:])
        tags = sorted({tag for tag, _ in tlvs}, key=lambda tag: rng.random())
        mixed = [tlv for tag in tags for tlv in tlvs if tlv[0] == tag]
        for _ in range(rng.randint(1, 4)):
            mixed.insert(rng.randint(0, len(mixed)),
                         (rng.choice((0, 30, 31, 32, 33, 65535)), rng.randbytes(rng.randrange(9))))
        if kind == proto.CLOSED and tags != sorted(tags):
            continue  # its records are written in the order of the families
        assert again(driver, kind, proto.join_tlvs(mixed)) == whole


def damaged(rng, body):
    """The body with one thing wrong, or perhaps not wrong at all."""
    tlvs = proto.split_tlvs(body)
    what = rng.randrange(7)
    if not tlvs or what == 0:
        body = bytearray(body + b"\0")
        body[rng.randrange(len(body))] = rng.getrandbits(8)
        return bytes(body)
    at = rng.randrange(len(tlvs))
    tag, value = tlvs[at]
    if what == 1:
        del tlvs[at]
    elif what == 2:
        tlvs.append((tag, value))
    elif what == 3:
        tlvs[at] = tag, value[:rng.randrange(len(value) + 1)]
    elif what == 4:
        tlvs[at] = tag, value + rng.randbytes(rng.randint(1, 4))
    elif what == 5:
        tlvs[at] = tag, rng.choice((b"\0", b"\xff")) * len(value)
    elif value:
        changed = bytearray(value)
        changed[rng.randrange(len(changed))] = rng.choice((0, 1, 2, 0xff, rng.getrandbits(8)))
        tlvs[at] = tag, bytes(changed)
    return proto.join_tlvs(tlvs)


@pytest.mark.parametrize("kind", MAKE)
def test_same_refusals(driver, kind):  # noqa: F811
    """Both say the same of what is wrong, and of what only looks like it."""
    rng = random.Random(200 + kind)
    refused = accepted = 0
    for _ in range(600):
        body = proto.encode_message(kind, MAKE[kind](rng), ORDER.get(kind))[6:]
        for _ in range(rng.randint(1, 2)):
            try:
                body = damaged(rng, body)
            except proto.Malformed:
                pass
        try:
            values = proto.MESSAGES[kind].decode(body)
        except proto.Malformed:
            assert again(driver, kind, body) is None, body.hex()
            refused += 1
            continue
        answer = again(driver, kind, body)
        assert answer is not None, body.hex()
        got = proto.MESSAGES[kind].decode(answer[6:])
        # what was absent or 0 or empty is one or the other in what is written
        full = {**ALWAYS, **values}
        for key, value in got.items():
            if key not in ("services", "between", "sites", "echo_held"):
                assert value == full.get(key, 0), key
        for key in ("services", "between", "sites"):
            assert len(got.get(key, [])) == len(values.get(key, []))
        accepted += 1
    assert refused > 50
    assert accepted > 20


def test_limits(driver):  # noqa: F811
    rng = random.Random(5)
    body = proto.MESSAGES[proto.CLOSED].encode({"ipv4": records(rng, 4, 1024)})
    assert again(driver, proto.CLOSED, body) is not None
    both = {"ipv4": records(rng, 4, 1000), "ipv6": records(rng, 16, 25)}
    assert again(driver, proto.CLOSED, proto.MESSAGES[proto.CLOSED].encode(both)) is None
    with pytest.raises(proto.Malformed):
        proto.MESSAGES[proto.CLOSED].decode(proto.MESSAGES[proto.CLOSED].encode(both))
    values = hello(rng)
    values["services"] = [hello_service(rng, 1)]
    for count, good in ((4096, True), (4097, False)):
        values["services"][0]["servers"] = [(bytes((10, 0, n >> 8, n & 255)), 80)
                                            for n in range(1, count + 1)]
        message = proto.encode_message(proto.HELLO, values, ORDER[proto.HELLO])
        assert (again(driver, proto.HELLO, message[6:]) == message) == good


def test_choice_of_a_cipher():
    """As the manual says; what the daemon does is in tests/unit/test_exchange_peer.c."""
    assert proto.choose_cipher([1, 2, 3], [3, 2, 1]) == 1
    assert proto.choose_cipher([9, 3, 1], [9, 1, 3]) == 3
    assert proto.choose_cipher([1], [2, 3]) is None
