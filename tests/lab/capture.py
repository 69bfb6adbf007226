"""What really went over a link: tcpdump writes, scapy reads."""

import contextlib
import logging
import signal
import socket
import time

from netns import LabError, wait_for

logging.getLogger("scapy").setLevel(logging.ERROR)

ETH_P_ALL = 3
PACKET_OUTGOING = 4


class Capture:
    """A capture on one device of a namespace, from construction to stop()."""

    count = 0

    def __init__(self, namespace, device, what="", snaplen=160):
        Capture.count += 1
        self.file = namespace.net.path("capture-%d.pcap" % Capture.count)
        log = namespace.net.path("capture-%d.log" % Capture.count)
        self.process = namespace.start(
            "tcpdump", "-i", device, "-s", str(snaplen), "-B", "65536", "-U", "-n",
            "--immediate-mode", "-Z", "root", "-w", self.file, *what.split(), log=log)
        wait_for(lambda: "listening on" in self.process.text(), what="tcpdump")

    def stop(self):
        """Ends it; returns the packets as a list of Seen.  One that lost packets proves nothing."""
        time.sleep(0.1)
        self.process.kill(signal.SIGINT)
        self.process.stop()
        text = self.process.text()
        if "\n0 packets dropped by kernel" not in text:
            raise LabError("the capture lost packets: " + text)
        return read(self.file)


class Seen:
    """One packet of a capture: addresses, ports, lengths as its headers say."""

    __slots__ = ("time", "source", "destination", "protocol", "sport", "dport", "length",
                 "flags", "mss", "fragment", "df")

    def __init__(self, when, ip, length):
        from scapy.layers.inet import IP, TCP, UDP
        self.time, self.length = when, length
        self.source, self.destination = ip.src, ip.dst
        self.sport = self.dport = self.mss = None
        self.flags, self.protocol = "", "other"
        v4 = isinstance(ip, IP)
        self.fragment = bool(v4 and (ip.frag or "MF" in str(ip.flags)))
        self.df = not v4 or "DF" in str(ip.flags)
        if TCP in ip:
            self.protocol, self.flags = "tcp", str(ip[TCP].flags)
            self.mss = dict(o for o in ip[TCP].options if o[0] == "MSS").get("MSS")
            self.sport, self.dport = ip[TCP].sport, ip[TCP].dport
            self.length = max(0, length - (ip.ihl * 4 if v4 else 40) - ip[TCP].dataofs * 4)
        elif UDP in ip:
            self.protocol = "udp"
            self.sport, self.dport = ip[UDP].sport, ip[UDP].dport
            self.length = ip[UDP].len - 8
        elif v4 and ip.proto == 1 or not v4 and "ICMPv6" in ip.payload.__class__.__name__:
            self.protocol = "icmp"

    def __repr__(self):
        return "%s %s.%s > %s.%s %s len %d" % (self.protocol, self.source, self.sport,
                                               self.destination, self.dport, self.flags,
                                               self.length)


def read(file):
    """Every IP packet of a capture file but neighbour discovery."""
    from scapy.layers.inet import IP
    from scapy.layers.inet6 import (ICMPv6MLReport2, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_RA,
                                    ICMPv6ND_RS, IPv6)
    from scapy.layers.l2 import Ether
    from scapy.utils import RawPcapReader
    noise = (ICMPv6MLReport2, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_RA, ICMPv6ND_RS)
    out = []
    with contextlib.closing(RawPcapReader(file)) as reader:
        for data, meta in reader:
            frame = Ether(data)
            ip = frame.getlayer(IP) or frame.getlayer(IPv6)
            if ip is None or any(layer in frame for layer in noise):
                continue
            out.append(Seen(meta.sec + meta.usec / 1e6, ip, meta.wirelen - 14))
    return out


class Tap:
    """Whole packets that pass a device, taken with a packet socket, to be sent again."""

    def __init__(self, namespace, device):
        self.namespace = namespace
        self.socket = namespace.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.bind((device, ETH_P_ALL))
        self.socket.settimeout(3)

    def next(self, wanted, outgoing=False):
        """The next packet (scapy) for which wanted() is true."""
        from scapy.layers.inet import IP
        from scapy.layers.inet6 import IPv6
        end = time.monotonic() + 3
        while time.monotonic() < end:
            try:
                data, address = self.socket.recvfrom(65536)
            except TimeoutError:
                break
            if (address[2] == PACKET_OUTGOING) != outgoing:
                continue
            ip = IP(data) if address[1] == 0x0800 else IPv6(data) if address[1] == 0x86dd else None
            if ip is not None and wanted(ip):
                return ip
        raise LabError("no such packet came by within 3 s")

    def drain(self):
        """Forgets what is queued."""
        self.socket.setblocking(False)
        try:
            while True:
                self.socket.recv(1)
        except BlockingIOError:
            self.socket.settimeout(3)

    def close(self):
        self.socket.close()


def send(namespace, ip):
    """Sends an IPv4 packet from a namespace as it is; what scapy leaves open it computes."""
    with namespace.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as s:
        s.sendto(bytes(ip), (ip.dst, 0))
