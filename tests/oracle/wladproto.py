"""Keys and transfer packets of wlad-protocol(7), a second time.

Written from the manual page alone, for clarity and not for speed: sets where the daemon has
bitmaps, derivations repeated from the start.  Shares nothing with the daemon's code.
"""

import hashlib
import hmac
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VERSION = 1
DATA, PROBE, PROBE_ANSWER, CLOSED = TYPES = (11, 12, 13, 14)
DEMAND, PARTIAL, FRAGMENT, ICMP = 0x01, 0x02, 0x04, 0x08
HEADER_LEN, INFO_LEN, TAG_LEN = 16, 8, 16
SHORTEST = HEADER_LEN + INFO_LEN + TAG_LEN
LAST_EPOCH = 65535
EPOCH_PACKETS = 1 << 28
AHEAD = 4
LINGER = 10 * 10**9
WINDOW = 32768
AES_128_GCM = 1
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

    def __init__(self, direction):
        self.secrets = [direction]
        self.made = {}

    def __getitem__(self, epoch):
        while len(self.secrets) <= epoch:
            self.secrets.append(expand_label(self.secrets[-1], "epoch", 32))
        if epoch not in self.made:
            secret = self.secrets[epoch]
            self.made[epoch] = (AESGCM(expand_label(secret, "key", 16)),
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


# ---- both ends


class Sender:
    def __init__(self, direction, index, limit=EPOCH_PACKETS):
        self.epochs = Epochs(direction)
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
    def __init__(self, direction):
        self.epochs = Epochs(direction)
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
