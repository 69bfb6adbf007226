"""Keys, transfer packets and messages of wlad-protocol(7), a second time.

Written from the manual page alone, for clarity and not for speed: sets where the daemon has
bitmaps, derivations repeated from the start.  Shares nothing with the daemon's code.
"""

import hashlib
import hmac
import ipaddress
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

VERSION = 1
DATA, PROBE, PROBE_ANSWER, DIRECT = TYPES = (11, 12, 13, 14)
DEMAND, PARTIAL, FRAGMENT, ICMP = 0x01, 0x02, 0x04, 0x08
HEADER_LEN, INFO_LEN, TAG_LEN = 16, 8, 16
SHORTEST = HEADER_LEN + INFO_LEN + TAG_LEN
LAST_EPOCH = 65535
EPOCH_PACKETS = 1 << 28
AHEAD = 4
LINGER = 10 * 10**9
WINDOW = 32768
AES_128_GCM, AES_256_GCM, CHACHA20_POLY1305 = 1, 2, 3
CIPHERS = {AES_128_GCM: (AESGCM, 16), AES_256_GCM: (AESGCM, 32),
           CHACHA20_POLY1305: (ChaCha20Poly1305, 32)}
EXPORTER_LABEL = "EXPORTER-wlad-transfer"


class Drop(Exception):
    """A packet goes no further; the argument is the counter's name."""


# ---- keys


def hkdf_expand(prk, info, length):
    """RFC 5869, 2.3, with SHA-256."""
    if length > 255 * 32:
        raise ValueError("too long")
    block, out, number = b"", b"", 1
    while len(out) < length:
        block = hmac.new(prk, block + info + bytes([number]), hashlib.sha256).digest()
        out += block
        number += 1
    return out[:length]


def expand_label(secret, label, length, prefix="wlad1 ", context=b""):
    """RFC 8446, 7.1; the manual's Expand-Label without the last two arguments."""
    name = (prefix + label).encode("ascii")
    if not label or len(name) > 255:
        raise ValueError("label")
    info = struct.pack(">HB", length, len(name)) + name + struct.pack(">B", len(context)) + context
    return hkdf_expand(secret, info, length)


def exporter_context(cipher, dialer, listener):
    """dialer and listener: (name, certificate's digest, random)."""
    out = bytes([VERSION, cipher])
    for name, certificate, random in (dialer, listener):
        name = name.encode("ascii")
        if not 1 <= len(name) <= 63 or len(certificate) != 32 or len(random) != 16:
            raise ValueError("context")
        out += bytes([len(name)]) + name + certificate + random
    return out


def directions(secret):
    """The secrets of what the dialer and what the listener sends."""
    return expand_label(secret, "dialer", 32), expand_label(secret, "listener", 32)


def make_nonce(iv, epoch, counter):
    mask = bytes(4) + struct.pack(">H", epoch) + counter.to_bytes(6, "big")
    return bytes(a ^ b for a, b in zip(iv, mask))


class Epochs:
    """Key and IV of any epoch of a direction; remembers all of them."""

    def __init__(self, direction, cipher=AES_128_GCM):
        self.secrets = [direction]
        self.algorithm, self.key_length = CIPHERS[cipher]
        self.made = {}

    def __getitem__(self, epoch):
        while len(self.secrets) <= epoch:
            self.secrets.append(expand_label(self.secrets[-1], "epoch", 32))
        if epoch not in self.made:
            secret = self.secrets[epoch]
            self.made[epoch] = (self.algorithm(expand_label(secret, "key", self.key_length)),
                                expand_label(secret, "iv", 12))
        return self.made[epoch]

    def seal(self, header, plaintext):
        _, _, epoch, counter = decode_header(header)
        cipher, iv = self[epoch]
        return header + cipher.encrypt(make_nonce(iv, epoch, counter), plaintext, header)

    def unseal(self, packet):
        header = packet[:HEADER_LEN]
        _, _, epoch, counter = decode_header(header)
        cipher, iv = self[epoch]
        try:
            return cipher.decrypt(make_nonce(iv, epoch, counter), packet[HEADER_LEN:], header)
        except InvalidTag:
            raise Drop("transfer_tag") from None


# ---- formats


def encode_header(kind, index, epoch, counter):
    return struct.pack(">BBHIH", VERSION << 4 | kind, 0, 0, index, epoch) \
        + counter.to_bytes(6, "big")


def decode_header(octets):
    first, flags, reserved, index, epoch = struct.unpack(">BBHIH", octets[:10])
    if first >> 4 != VERSION or first & 15 not in TYPES or flags or reserved:
        raise Drop("transfer_version")
    return first & 15, index, epoch, int.from_bytes(octets[10:16], "big")


def encode_info(service, port, flags, hops, reserved=0):
    """reserved: the 20 bits that receivers ignore."""
    return struct.pack(">HHBBH", service, port, flags, hops << 4 | reserved >> 16,
                       reserved & 0xffff)


def decode_info(octets):
    service, port, flags, hops, _ = struct.unpack(">HHBBH", octets)
    if flags & ~(DEMAND | PARTIAL | FRAGMENT | ICMP):
        raise Drop("transfer_inner")
    return service, port, flags, hops >> 4


def encode_path(sequence, size, padding=b""):
    """Body of a probe (size 0) or an answer."""
    return struct.pack(">II", sequence, size) + padding


def decode_path(octets):
    if len(octets) < 8:
        raise Drop("transfer_inner")
    return struct.unpack(">II", octets[:8])


def decode_direct(octets):
    if len(octets) < 8:
        raise Drop("transfer_inner")
    return int.from_bytes(octets[:8], "big")


def choose_cipher(dialer, listener):
    """Lists of numbers; None if there is nothing in common."""
    return next((c for c in dialer if c in listener and c in CIPHERS), None)


# ---- both ends


class Sender:
    def __init__(self, direction, index, limit=EPOCH_PACKETS, cipher=AES_128_GCM):
        self.epochs = Epochs(direction, cipher)
        self.index, self.limit = index, limit
        self.epoch, self.counter, self.spent = 0, 0, False

    def next_epoch(self):
        if self.counter == 0 or self.spent:
            return
        if self.epoch == LAST_EPOCH:
            self.spent = True
            return
        self.epoch, self.counter = self.epoch + 1, 0

    def seal(self, kind, info, inner):
        """None if the key is used up."""
        if self.counter >= self.limit:
            self.next_epoch()
        if self.spent:
            return None
        header = encode_header(kind, self.index, self.epoch, self.counter)
        self.counter += 1
        return self.epochs.seal(header, info + inner)


class Window:
    def __init__(self):
        self.accepted, self.largest = set(), -1

    def acceptable(self, counter):
        return counter not in self.accepted and counter >= self.largest - WINDOW

    def accept(self, counter):
        self.accepted.add(counter)
        self.largest = max(self.largest, counter)


class Receiver:
    def __init__(self, direction, cipher=AES_128_GCM):
        self.epochs = Epochs(direction, cipher)
        self.windows = {}
        self.current, self.previous, self.until = 0, None, 0

    def held(self, epoch, now):
        if self.current <= epoch <= self.current + AHEAD:
            return True
        if self.previous is not None and now >= self.until:
            self.previous = None
        return epoch == self.previous

    def open(self, packet, now):
        """(type, (service, port, flags, hops), client packet), or Drop."""
        if len(packet) < SHORTEST:
            raise Drop("transfer_short")
        kind, _, epoch, counter = decode_header(packet)
        if not self.held(epoch, now):
            raise Drop("transfer_epoch")
        window = self.windows.setdefault(epoch, Window())
        if not window.acceptable(counter):
            raise Drop("transfer_replay")
        plaintext = self.epochs.unseal(packet)
        window.accept(counter)
        if epoch > self.current:
            self.previous, self.until = self.current, now + LINGER
            self.current = epoch
        return kind, decode_info(plaintext[:INFO_LEN]), plaintext[INFO_LEN:]


# ---- messages of the load exchange

HELLO, KEY_READY, LOAD, CLOSED, PROBE_SEEN, SITES, BYE = range(1, 8)
MESSAGE_LONGEST = 65536
SERVICES_MOST, PORTS_MOST, SERVERS_MOST, RECORDS_MOST = 1024, 1024, 4096, 1024
SITES_MOST = 4096
NAME_CHARACTERS = set(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._")


class Malformed(Exception):
    """A message ends the session."""


def split_tlvs(octets):
    """(tag, value) of each TLV, in order."""
    out = []
    while octets:
        if len(octets) < 4:
            raise Malformed("header of a TLV")
        tag, length = struct.unpack(">HH", octets[:4])
        if len(octets) < 4 + length:
            raise Malformed("value of a TLV")
        out.append((tag, octets[4:4 + length]))
        octets = octets[4 + length:]
    return out


def join_tlvs(tlvs):
    return b"".join(struct.pack(">HH", tag, len(value)) + value for tag, value in tlvs)


class Number:
    def __init__(self, length, most=None):
        self.length, self.most = length, most

    def decode(self, octets):
        number = int.from_bytes(octets, "big")
        if len(octets) != self.length or (self.most is not None and number > self.most):
            raise Malformed("number")
        return number

    def encode(self, number):
        return number.to_bytes(self.length, "big")


class Octets:
    def __init__(self, shortest, longest):
        self.shortest, self.longest = shortest, longest

    def decode(self, octets):
        if not self.shortest <= len(octets) <= self.longest:
            raise Malformed("length")
        return octets

    def encode(self, octets):
        return octets


class Name(Octets):
    def __init__(self):
        super().__init__(1, 63)

    def decode(self, octets):
        if not set(super().decode(octets)) <= NAME_CHARACTERS:
            raise Malformed("name")
        return octets


class Ports(Octets):
    def __init__(self):
        super().__init__(2, 2 * PORTS_MOST)

    def decode(self, octets):
        super().decode(octets)
        if len(octets) % 2:
            raise Malformed("ports")
        ports = list(struct.unpack(f">{len(octets) // 2}H", octets))
        if 0 in ports:
            raise Malformed("port 0")
        return ports

    def encode(self, ports):
        return struct.pack(f">{len(ports)}H", *ports)


def decode_address(octets):
    """4 or 16 octets that are the address of somebody."""
    address = ipaddress.ip_address(octets)
    if int(address) == 0 or (address.version == 6 and address.ipv4_mapped is not None):
        raise Malformed("address")
    return octets


class Address(Octets):
    def __init__(self, length):
        super().__init__(length, length)

    def decode(self, octets):
        return decode_address(super().decode(octets))


class Server:
    """(address, port)"""

    def decode(self, octets):
        if len(octets) not in (6, 18):
            raise Malformed("server")
        return decode_address(octets[:-2]), int.from_bytes(octets[-2:], "big")

    def encode(self, server):
        return server[0] + server[1].to_bytes(2, "big")


class Records:
    """Of CLOSED: (client, port, service, port, protocol, flags, sequence)."""

    def __init__(self, width):
        self.format = struct.Struct(f">{width}sH{width}sHBBI")

    def decode(self, octets):
        if len(octets) % self.format.size or len(octets) > RECORDS_MOST * self.format.size:
            raise Malformed("records")
        return [self.one(*r) for r in self.format.iter_unpack(octets)]

    def one(self, client, port, service, service_port, protocol, flags, sequence):
        for address in (client, service):
            if len(address) == 16 and ipaddress.ip_address(address).ipv4_mapped is not None:
                raise Malformed("address")
        if protocol not in (6, 17):
            raise Malformed("protocol")
        return client, port, service, service_port, protocol, flags & 3, sequence

    def encode(self, records):
        return b"".join(self.format.pack(*r) for r in records)


class Reports:
    """Of SITES: (number, up, not_high, transferable, permitted, load, active, new, life)."""

    format = struct.Struct(">HIIIBHIII")

    def decode(self, octets):
        if len(octets) % self.format.size or len(octets) > SERVICES_MOST * self.format.size:
            raise Malformed("reports")
        reports = list(self.format.iter_unpack(octets))
        if any(r[4] > 1 or r[5] > 1000 for r in reports):
            raise Malformed("report")
        if len({r[0] for r in reports}) != len(reports):
            raise Malformed("two of one number")
        return reports

    def encode(self, reports):
        return b"".join(self.format.pack(*r) for r in reports)


class Flags(Number):
    """Those that are not known are ignored."""

    def __init__(self, known):
        super().__init__(1)
        self.known = known

    def decode(self, octets):
        return super().decode(octets) & self.known


class Nested:
    """A dictionary by names, out of TLVs.

    fields: tag: (name, type, "must", "many" or ""); most: of each that is many.
    """

    def __init__(self, fields, most=0, check=lambda values: None):
        self.fields, self.most, self.check = fields, most, check

    def decode(self, octets):
        values = {}
        for tag, value in split_tlvs(octets):
            if tag not in self.fields:
                continue
            name, kind, how = self.fields[tag]
            if how == "many":
                values.setdefault(name, []).append(kind.decode(value))
                if len(values[name]) > self.most:
                    raise Malformed("too many")
            elif name in values:
                raise Malformed("twice")
            else:
                values[name] = kind.decode(value)
        for name, _, how in self.fields.values():
            if how == "must" and name not in values:
                raise Malformed("lacks " + name)
        self.check(values)
        return values

    def encode(self, values, order=None):
        """In the order of the tags, unless another is given."""
        tlvs = []
        for tag in order or sorted(self.fields):
            name, kind, how = self.fields[tag]
            if name in values:
                each = values[name] if how == "many" else [values[name]]
                tlvs += [(tag, kind.encode(value)) for value in each]
        return join_tlvs(tlvs)


def differ(services, *names):
    for name in names:
        if len({s[name] for s in services}) != len(services):
            raise Malformed("two of one " + name)


def check_hello_service(values):
    if values["protocol"] not in (6, 17) or not values.keys() & {"ipv4", "ipv6"}:
        raise Malformed("service")


def check_key_ready(values):
    if values["index"] == 0:
        raise Malformed("index 0")


def check_closed(values):
    if sum(len(v) for v in values.values()) > RECORDS_MOST:
        raise Malformed("too many records")


def check_load(values):
    services = values.get("services", []) + values.get("between", [])
    differ(services, "number")
    if len(services) > SERVICES_MOST:
        raise Malformed("too many")


def check_bye(values):
    if not 1 <= values["reason"] <= 5:
        raise Malformed("reason")


HELLO_SERVICE = Nested({
    1: ("name", Name(), "must"), 2: ("number", Number(2), "must"),
    3: ("protocol", Number(1), "must"), 4: ("ipv4", Address(4), ""),
    5: ("ipv6", Address(16), ""), 6: ("ports", Ports(), "must"),
    7: ("servers", Server(), "many"),
    8: ("client_address", Number(1), "")}, SERVERS_MOST, check_hello_service)
LOAD_SERVICE = Nested({
    1: ("number", Number(2), "must"), 2: ("up", Number(4), "must"),
    3: ("not_high", Number(4), "must"), 4: ("transferable", Number(4), "must"),
    5: ("permitted", Number(1, 1), "must"), 6: ("load", Number(2, 1000), "must"),
    7: ("active", Number(4), ""), 8: ("held", Number(4), ""),
    9: ("quota", Number(4), ""), 10: ("new", Number(4), ""), 11: ("life", Number(4), ""),
    12: ("distance", Number(1, 15), "")})
LOAD_BETWEEN = Nested({
    1: ("number", Number(2), "must"), 8: ("held", Number(4), ""), 9: ("quota", Number(4), "")})
SITE_REPORT = Nested({
    1: ("age", Number(4), "must"), 2: ("sequence", Number(4), "must"),
    3: ("services", Reports(), "")})
SITE = Nested({
    1: ("name", Name(), "must"), 2: ("gone", Number(1, 1), ""),
    3: ("distance", Number(1, 15), ""), 4: ("transfer", Octets(18, 18), ""),
    5: ("load", Octets(18, 18), ""), 6: ("demand_port", Number(2), ""),
    7: ("certificate", Octets(32, 32), ""), 8: ("interval", Number(4), ""),
    9: ("services", HELLO_SERVICE, "many"), 10: ("silent", Number(1, 1), ""),
    11: ("report", SITE_REPORT, "")}, SERVICES_MOST,
    lambda values: differ(values.get("services", []), "name", "number"))
MESSAGES = {
    HELLO: Nested({
        1: ("version", Number(1), "must"), 2: ("site", Name(), "must"),
        3: ("boot_id", Number(8), "must"), 4: ("transfer", Octets(18, 18), ""),
        5: ("key_index", Number(4), ""), 6: ("random", Octets(16, 16), "must"),
        7: ("cipher", Number(1), "must"), 8: ("interval", Number(4), ""),
        9: ("services", HELLO_SERVICE, "many"), 10: ("demand_port", Number(2), ""),
        11: ("ciphers", Octets(1, 16), ""), 12: ("load", Octets(18, 18), "")}, SERVICES_MOST,
        lambda values: differ(values.get("services", []), "name", "number")),
    KEY_READY: Nested({1: ("index", Number(4), "must")}, 0, check_key_ready),
    LOAD: Nested({
        1: ("sequence", Number(4), "must"), 2: ("sent", Number(8), "must"),
        3: ("echo", Number(8), ""), 4: ("echo_held", Number(4), ""),
        5: ("services", LOAD_SERVICE, "many"), 6: ("path_mtu", Number(4, 65535), ""),
        7: ("direct", Number(1, 2), ""), 8: ("between", LOAD_BETWEEN, "many")}, SERVICES_MOST,
        check_load),
    CLOSED: Nested({1: ("ipv4", Records(4), ""), 2: ("ipv6", Records(16), "")}, 0, check_closed),
    SITES: Nested({1: ("flags", Flags(3), "must"), 2: ("sites", SITE, "many")}, SITES_MOST),
    PROBE_SEEN: Nested({1: ("id", Number(8), "must")}),
    BYE: Nested({1: ("reason", Number(1), "must")}, 0, check_bye),
}


def encode_message(kind, values, order=None):
    body = MESSAGES[kind].encode(values, order)
    return struct.pack(">BBI", kind, 0, len(body)) + body


def decode_message(octets):
    """(type, values, what follows)."""
    if len(octets) < 6:
        raise Malformed("header")
    kind, reserved, length = struct.unpack(">BBI", octets[:6])
    if reserved or length > MESSAGE_LONGEST or len(octets) < 6 + length:
        raise Malformed("header")
    return kind, MESSAGES[kind].decode(octets[6:6 + length]), octets[6 + length:]
