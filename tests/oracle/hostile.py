"""A site whose keys are good and whose packets are not: what a peer may send at worst."""

import wladproto as proto

DIRECTION = bytes([0xa1]) * 32  # of the first site of a link, as tests/common/instance.c makes it


def flags_of(datagram):
    """The flags in a datagram of site 0 for site 1."""
    return proto.decode_info(proto.Epochs(DIRECTION).unseal(datagram)[:proto.INFO_LEN])[2]


class Hostile:
    """Seals anything as site 0 for site 1, under the key of a datagram that site 0 has sent."""

    def __init__(self, driver, datagram, sender="192.0.2.1:7210"):
        self.driver, self.sender = driver, sender
        _, self.index, _, _ = proto.decode_header(datagram[:proto.HEADER_LEN])
        self.epochs, self.counter = proto.Epochs(DIRECTION), 1000

    def send(self, flags, inner, service=0, port=0, hops=1):
        """What site 1 writes to its device because of it."""
        self.counter += 1
        header = proto.encode_header(proto.DATA, self.index, 0, self.counter)
        datagram = self.epochs.seal(header, proto.encode_info(service, port, flags, hops) + inner)
        self.driver(f"inject 1 {self.sender} {datagram.hex()}")
        return self.driver.packets(1)
