"""contrib/wireshark/wlad.lua: tshark shows what was made here by the manual page.

Captures are written, not taken: nothing is sent, no rights are needed.
"""

import ipaddress
import json
import os
import re
import shutil
import ssl
import struct
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from scapy.utils import wrpcap

import wladproto as w

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SCRIPT = os.path.join(ROOT, "contrib", "wireshark", "wlad.lua")
X, Y = "198.51.100.2", "198.51.100.6"
PORT = 7210
SECRET = bytes(range(32))
INDEX = 0x01020304
DIRECT = 14
NO_INFO = w.encode_info(0, 0, 0, 0)


def why_not():
    if not shutil.which("tshark"):
        return "no tshark"
    version = subprocess.run(["tshark", "-v"], capture_output=True, text=True).stdout
    return None if re.search(r"with Lua", version) else "tshark without Lua"


pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


def tshark(capture, *arguments):
    done = subprocess.run(["tshark", "-X", "lua_script:" + SCRIPT, "-r", capture, *arguments],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Lua" not in done.stderr, done.stderr
    return done.stdout


def fields(capture, *names, options=()):
    """One list a frame: the fields' values as texts."""
    arguments = [a for name in names for a in ("-e", name)]
    out = tshark(capture, *options, "-T", "fields", "-E", "separator=|", *arguments)
    return [line.split("|") for line in out.splitlines()]


def experts(capture, prefix, options=()):
    """The dissector's expert infos of each frame, by their names."""
    out = json.loads(tshark(capture, *options, "-T", "json", "--no-duplicate-keys"))
    return [sorted(set(re.findall(r'"(%s[a-z0-9_.]*)": ""' % re.escape(prefix),
                                  json.dumps(frame)))) for frame in out]


# ---- transfer packets


def udp(path, datagrams, port=PORT):
    wrpcap(path, [Ether() / IP(src=X, dst=Y) / UDP(sport=port, dport=port) / Raw(d)
                  for d in datagrams])
    return path


@pytest.fixture
def capture(tmp_path):
    return str(tmp_path / "capture.pcap")


def sender():
    return w.Sender(w.directions(SECRET)[0], INDEX, limit=2)


def test_transfer_header(capture):
    s = sender()
    packets = [s.seal(w.DATA, w.encode_info(1, 0, w.DEMAND, 1), bytes(100)),
               s.seal(w.PROBE, NO_INFO, bytes(8)),
               s.seal(w.PROBE_ANSWER, NO_INFO, bytes(8)),
               s.seal(DIRECT, NO_INFO, bytes(8)) if DIRECT in w.TYPES else
               s.epochs.seal(w.encode_header(DIRECT, INDEX, 1, 1), NO_INFO + bytes(8))]
    udp(capture, packets)
    rows = fields(capture, "_ws.col.Protocol", "wlad.version", "wlad.type", "wlad.flags",
                  "wlad.reserved", "wlad.key_index", "wlad.epoch", "wlad.counter",
                  "wlad.inner_len", "wlad.sealed", "wlad.tag")
    expected = [(11, 0, 0, 100), (12, 0, 1, 8), (13, 1, 0, 8), (14, 1, 1, 8)]
    for row, packet, (kind, epoch, counter, inner) in zip(rows, packets, expected):
        assert row == ["WLAD", "1", str(kind), "0x00", "0x0000", "0x01020304", str(epoch),
                       str(counter), str(inner), packet[16:-16].hex(), packet[-16:].hex()]
    assert len(rows) == 4
    assert experts(capture, "wlad.") == [[]] * 4
    assert "probe answer, key index 01020304, epoch 1, counter 0, 8 octets" in tshark(capture)


def changed(packet, at, value):
    return packet[:at] + bytes([value]) + packet[at + 1:]


def test_wrong_headers(capture):
    s = sender()
    good = s.seal(w.DATA, NO_INFO, bytes(20))
    cases = [(good, []),
             (changed(good, 0, 0x2b), ["wlad.version.unknown"]),
             (changed(good, 0, 0x1a), ["wlad.type.unknown"]),
             (changed(good, 0, 0x1f), ["wlad.type.unknown"]),
             (changed(good, 1, 0x80), ["wlad.reserved.set"]),
             (changed(good, 2, 1), ["wlad.reserved.set"]),
             (changed(good, 3, 1), ["wlad.reserved.set"]),
             (good[:4] + bytes(4) + good[8:], ["wlad.key_index.zero"]),
             (good[:39], ["wlad.short"]),
             (good[:15], ["wlad.short"]),
             (good[:1], ["wlad.short"]),
             (w.encode_header(w.PROBE, INDEX, 0, 9) + bytes(8 + 7 + 16), ["wlad.message.short"]),
             (w.encode_header(w.PROBE, INDEX, 0, 10) + bytes(8 + 8 + 16), [])]
    udp(capture, [packet for packet, _ in cases])
    found = experts(capture, "wlad.", ["-o", "wlad.counters:FALSE"])
    assert found == [expected for _, expected in cases]


def test_repeated_counter(capture):
    s = sender()
    first, second = (s.seal(w.DATA, NO_INFO, bytes(20)) for _ in range(2))
    udp(capture, [first, second, first])
    assert experts(capture, "wlad.") == [[], [], ["wlad.counter.again"]]
    assert [row[0] for row in fields(capture, "wlad.first")] == ["", "", "1"]


def test_other_ports(capture):
    """By its header; what then comes between the two with a wrong one is shown as well."""
    good = sender().seal(w.DATA, NO_INFO, bytes(20))
    udp(capture, [good, changed(good, 2, 1)], port=40000)
    assert [row[0] for row in fields(capture, "_ws.col.Protocol")] == ["WLAD", "WLAD"]
    assert experts(capture, "wlad.", ["-o", "wlad.counters:FALSE"])[1] == ["wlad.reserved.set"]


def test_not_taken_for_a_transfer_packet(capture):
    good = sender().seal(w.DATA, NO_INFO, bytes(20))
    others = [b"hello" * 20, good[:39], changed(good, 0, 0x1a), changed(good, 1, 1),
              good[:4] + bytes(4) + good[8:], b"\x1b" + b"\xff" * 60]
    udp(capture, others, port=40000)
    assert "WLAD" not in {row[0] for row in fields(capture, "_ws.col.Protocol")}
    rows = fields(capture, "_ws.col.Protocol", options=["-d", "udp.port==40000,wlad"])
    assert {row[0] for row in rows} == {"WLAD"}


def test_ports_preference(capture):
    udp(capture, [b"\x1b\1" + bytes(60)], port=7310)
    assert fields(capture, "_ws.col.Protocol")[0] != ["WLAD"]
    assert fields(capture, "_ws.col.Protocol", options=["-o", "wlad.ports:7300-7399"]) == [["WLAD"]]


# ---- load exchange


def tlv(tag, value):
    return struct.pack(">HH", tag, len(value)) + value


def message(kind, *tlvs, reserved=0):
    body = b"".join(tlvs)
    return struct.pack(">BBI", kind, reserved, len(body)) + body


def number(tag, value, size):
    return tlv(tag, value.to_bytes(size, "big"))


def endpoint(address, port):
    return ipaddress.ip_address(address).packed + struct.pack(">H", port)


SERVICE = [tlv(1, b"web"), number(2, 5, 2), number(3, 6, 1), tlv(4, bytes([203, 0, 113, 10])),
           tlv(5, ipaddress.ip_address("2001:db8::10").packed), tlv(6, struct.pack(">HH", 80, 443)),
           tlv(7, endpoint("10.1.0.11", 8080)), tlv(7, endpoint("2001:db8:1::11", 0))]
HELLO = [number(1, 1, 1), tlv(2, b"tokyo"), number(3, 0x1122334455667788, 8),
         tlv(4, endpoint("::ffff:198.51.100.2", 7210)), number(5, INDEX, 4), tlv(6, bytes(16)),
         number(7, 1, 1), number(8, 1000, 4), number(10, 7211, 2), tlv(11, b"\2\3"),
         tlv(9, b"".join(SERVICE))]
KEY_READY = [number(1, INDEX, 4)]
REPORT = [number(1, 5, 2), number(2, 3, 4), number(3, 2, 4), number(4, 250, 4), number(5, 1, 1),
          number(6, 375, 2), number(7, 50, 4), number(8, 7, 4), number(9, 1500, 4),
          number(10, 2500, 4), number(11, 30000, 4)]
LOAD = [number(1, 9, 4), number(2, 123456, 8), number(3, 123400, 8), number(4, 12, 4),
        number(6, 1472, 4), number(7, 2, 1), tlv(5, b"".join(REPORT))]


def closed(client, service, protocol=6, flags=0, seq=0):
    return endpoint(*client) + endpoint(*service) + struct.pack(">BBI", protocol, flags, seq)


CLOSED = [tlv(1, closed(("192.0.2.2", 4000), ("203.0.113.10", 80), 6, 3, 77)
              + closed(("192.0.2.2", 4001), ("203.0.113.10", 53), 17)),
          tlv(2, closed(("2001:db8:c::2", 4002), ("2001:db8::10", 443), 6, 0, 78))]
PROBE = [number(1, 0xabcdef0123456789, 8)]
BYE = [number(1, 1, 1)]
ALL = [(1, HELLO), (2, KEY_READY), (3, LOAD), (4, CLOSED), (5, PROBE), (7, BYE)]


def connection(segments, port, client=40000):
    """Frames of a TCP connection: segments of one direction, or (octets, back) for both."""
    frames, seq = [], {False: 1000, True: 5000}
    ways = {"src": X, "dst": Y}, {"src": Y, "dst": X}
    ends = {"sport": client, "dport": port}, {"sport": port, "dport": client}
    frames.append(Ether() / IP(**ways[0]) / TCP(**ends[0], flags="S", seq=999))
    frames.append(Ether() / IP(**ways[1]) / TCP(**ends[1], flags="SA", seq=4999, ack=1000))
    for segment in segments:
        data, back = segment if isinstance(segment, tuple) else (segment, False)
        for at in range(0, len(data), 1400):
            part = data[at:at + 1400]
            frames.append(Ether() / IP(**ways[back])
                          / TCP(**ends[back], flags="PA", seq=seq[back], ack=seq[not back])
                          / Raw(part))
            seq[back] += len(part)
    return frames


def tcp(path, segments, port=PORT):
    wrpcap(path, connection(segments, port))
    return path


AS_LOAD = ["-d", "tcp.port==40001,wlad_load"]


def in_clear(path, *segments):
    return tcp(path, segments, port=40001)


def one(capture, name, options=AS_LOAD):
    """All values of a field in the capture."""
    return [v for row in fields(capture, name, options=options) for v in row[0].split(",") if v]


def test_every_message(capture):
    in_clear(capture, *[message(kind, *tlvs) for kind, tlvs in ALL])
    expected = {
        "type": ["1", "2", "3", "4", "5", "7"], "version": ["1"], "site": ["tokyo"],
        "boot_id": ["0x1122334455667788"], "transfer": ["::ffff:198.51.100.2"],
        "transfer.port": ["7210"], "key_index": ["0x01020304"] * 2, "random": ["00" * 16],
        "cipher": ["1"], "interval": ["1000"], "demand_port": ["7211"], "ciphers": ["2", "3"],
        "service.name": ["web"], "service.number": ["5", "5"], "service.protocol": ["6"],
        "service.ipv4": ["203.0.113.10"], "service.ipv6": ["2001:db8::10"],
        "service.port": ["80", "443"], "server.ipv4": ["10.1.0.11"],
        "server.ipv6": ["2001:db8:1::11"], "server.port": ["8080", "0"], "sequence": ["9"],
        "sent": ["123456"], "echo": ["123400"], "echo_held": ["12"], "path_mtu": ["1472"],
        "direct": ["2"], "up": ["3"], "not_high": ["2"], "transferable": ["250"],
        "permitted": ["1"], "load": ["375"], "active": ["50"], "held": ["7"],
        "quota": ["1500"], "new": ["2500"], "life": ["30000"],
        "closed.client4": ["192.0.2.2"] * 2, "closed.client_port": ["4000", "4001", "4002"],
        "closed.service4": ["203.0.113.10"] * 2, "closed.service_port": ["80", "53", "443"],
        "closed.client6": ["2001:db8:c::2"], "closed.service6": ["2001:db8::10"],
        "closed.flags": ["0x03", "0x00", "0x00"],
        "closed.protocol": ["6", "17", "6"], "closed.seq": ["77", "0", "78"],
        "probe_id": ["0xabcdef0123456789"], "reason": ["1"],
    }
    for name, values in expected.items():
        assert one(capture, "wlad_load." + name) == values, name
    # what only says that something happens, of the fourth and the last
    assert [e for e in experts(capture, "wlad_load.", AS_LOAD) if e] == \
        [["wlad_load.closed.unknown"], ["wlad_load.bye"]]


MALFORMED = [
    ("reserved", message(2, *KEY_READY, reserved=1), "wlad_load.reserved.set"),
    ("too long", struct.pack(">BBI", 2, 0, 65537), "wlad_load.length.excess"),
    ("type", message(9, b"abc"), "wlad_load.type.unknown"),
    ("unknown TLV", message(2, *KEY_READY, tlv(99, b"x")), "wlad_load.tlv.unknown"),
    ("TLV too long", message(2, tlv(1, bytes(4))[:-1]), "wlad_load.tlv.cut"),
    ("TLV cut", message(2, *KEY_READY, b"\0\1\0"), "wlad_load.tlv.cut"),
    ("size", message(2, number(1, 5, 3)), "wlad_load.tlv.size"),
    ("empty", message(2, tlv(1, b"")), "wlad_load.tlv.size"),
    ("twice", message(2, *KEY_READY, *KEY_READY), "wlad_load.tlv.twice"),
    ("nothing", message(2), "wlad_load.tlv.lacks"),
    ("no index", message(2, number(1, 0, 4)), "wlad_load.tlv.bad"),
    ("permitted", message(3, *LOAD[:2], tlv(5, b"".join(REPORT[:4] + [number(5, 2, 1)]
                                                       + REPORT[5:]))), "wlad_load.tlv.bad"),
    ("nested", message(3, *LOAD[:2], tlv(5, b"")), "wlad_load.tlv.lacks"),
    ("name", message(1, *HELLO[:1], tlv(2, b"to kyo"), *HELLO[2:]), "wlad_load.tlv.bad"),
    ("ports", message(1, *HELLO[:-1], tlv(9, b"".join(SERVICE[:5] + [tlv(6, b"abc")]))),
     "wlad_load.tlv.size"),
    ("server", message(1, *HELLO[:-1], tlv(9, b"".join(SERVICE + [tlv(7, b"abc")]))),
     "wlad_load.tlv.size"),
    ("no server", message(1, *HELLO[:-1], tlv(9, b"".join(SERVICE + [tlv(7, b"")]))),
     "wlad_load.tlv.size"),
    ("half a record", message(4, tlv(1, bytes(17))), "wlad_load.tlv.size"),
    ("protocol", message(4, tlv(1, closed(("192.0.2.2", 1), ("192.0.2.3", 2), 1))),
     "wlad_load.tlv.bad"),
    ("reason", message(7, number(1, 6, 1)), "wlad_load.tlv.bad"),
]


def test_malformed(capture):
    """Each in a connection of its own: its fault is found, and nothing else."""
    wrpcap(capture, [frame for i, case in enumerate(MALFORMED)
                     for frame in connection([case[1]], 40001, 41000 + i)])
    # the dissector itself stumbles over nothing
    assert "Lua Error" not in tshark(capture, *AS_LOAD, "-V")
    found = experts(capture, "wlad_load.", AS_LOAD)
    assert len(found) == 3 * len(MALFORMED)
    for i, (what, _, expected) in enumerate(MALFORMED):
        assert set(found[3 * i + 2]) - {"wlad_load.bye"} == {expected}, what


def test_across_segments(capture):
    """Messages that begin and end anywhere, octet by octet as well."""
    stream = b"".join(message(kind, *tlvs) for kind, tlvs in ALL)
    in_clear(capture, *[stream[i:i + 1] for i in range(60)], stream[60:200], stream[200:])
    assert one(capture, "wlad_load.type") == ["1", "2", "3", "4", "5", "7"]
    records = b"".join(closed(("192.0.2.2", 1024 + i), ("203.0.113.10", 80)) for i in range(1024))
    large = message(4, tlv(1, records))
    in_clear(capture, large[:-1], large[-1:] + message(2, *KEY_READY))
    assert one(capture, "wlad_load.type") == ["4", "2"]
    assert len(one(capture, "wlad_load.closed.client_port")) == 1024


# ---- inside TLS


def certificate(directory):
    """A key with a certificate by itself: who it is does not matter here."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "osaka")])
    from datetime import datetime, timedelta
    made = (x509.CertificateBuilder().subject_name(subject).issuer_name(subject)
            .public_key(key.public_key()).serial_number(1)
            .not_valid_before(datetime(2020, 1, 1)).not_valid_after(datetime.now()
                                                                    + timedelta(days=9))
            .sign(key, hashes.SHA256()))
    path = os.path.join(directory, "both.pem")
    with open(path, "wb") as f:
        f.write(key.private_bytes(serialization.Encoding.PEM,
                                  serialization.PrivateFormat.PKCS8,
                                  serialization.NoEncryption()))
        f.write(made.public_bytes(serialization.Encoding.PEM))
    return path


class Pipe:
    """Both ends of a TLS session in memory, and what went between them."""

    def __init__(self, directory, keylog, alpn):
        self.stream = []
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(certificate(directory))
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
        client.keylog_filename = keylog
        for context in (server, client):
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            if alpn:
                context.set_alpn_protocols([alpn])
        self.bio = [ssl.MemoryBIO() for _ in range(4)]  # in and out of the client, of the server
        self.client = client.wrap_bio(self.bio[0], self.bio[1])
        self.server = server.wrap_bio(self.bio[2], self.bio[3], server_side=True)
        for _ in range(3):
            for end in (self.client, self.server):
                try:
                    end.do_handshake()
                except ssl.SSLWantReadError:
                    pass
                self.carry()

    def carry(self):
        for source, target, back in ((1, 2, False), (3, 0, True)):
            data = self.bio[source].read()
            if data:
                self.stream.append((data, back))
                self.bio[target].write(data)

    def say(self, data, back=False):
        (self.server if back else self.client).write(data)
        self.carry()


@pytest.mark.parametrize("alpn,port", [("wlad/1", 40443), (None, PORT)], ids=["alpn", "port"])
def test_inside_tls(capture, tmp_path, alpn, port):
    keylog = str(tmp_path / "keys")
    pipe = Pipe(str(tmp_path), keylog, alpn)
    pipe.say(message(1, *HELLO))
    pipe.say(message(1, *HELLO) + message(2, *KEY_READY), back=True)
    records = b"".join(closed(("192.0.2.2", 1024 + i), ("203.0.113.10", 80)) for i in range(1024))
    pipe.say(message(3, *LOAD) + message(4, tlv(1, records)))
    pipe.say(message(7, *BYE), back=True)
    tcp(capture, pipe.stream, port)
    options = ["-o", "tls.keylog_file:" + keylog]
    assert one(capture, "wlad_load.type", options) == ["1", "1", "2", "3", "4", "7"]
    assert one(capture, "wlad_load.site", options) == ["tokyo", "tokyo"]
    assert len(one(capture, "wlad_load.closed.client_port", options)) == 1024
    # without the keys there is nothing to be seen
    assert one(capture, "wlad_load.type", []) == []


# ---- the same as the daemon


def enums(prefixes):
    """Tags of the codec's sources: {prefix: {number: name}}."""
    directory = os.path.join(ROOT, "src", "load")
    text = "".join(open(os.path.join(directory, name)).read()
                   for name in sorted(os.listdir(directory)) if re.match(r"codec.*\.c$", name))
    found = {prefix: {} for prefix in prefixes}
    for name in re.findall(r"enum \w+_tag \{(.*?)\n\};", text, re.S):
        for tag, value in re.findall(r"^\t([A-Z0-9_]+) = (\d+)", name, re.M):
            prefix = next(p for p in prefixes if tag.startswith(p + "_"))
            found[prefix][int(value)] = tag[len(prefix) + 1:]
    return found


def schema(text):
    return {int(n): name for n, name in re.findall(r'\[(\d+)\] = \{ "([A-Z0-9_]+)",? \d', text)}


def test_tags_are_those_of_the_codec():
    with open(SCRIPT) as f:
        lua = f.read()
    blocks = {"SERVICE": re.search(r"^local SERVICE = \{(.*?)^\}", lua, re.S | re.M).group(1),
              "REPORT": re.search(r"^local REPORT = \{(.*?)^\}", lua, re.S | re.M).group(1),
              "SITE": re.search(r"^local SITE = \{(.*?)^\}", lua, re.S | re.M).group(1),
              "SITE_REPORT": re.search(r"^local SITE_REPORT = \{(.*?)^\}", lua,
                                       re.S | re.M).group(1)}
    messages = re.search(r"^local MESSAGE = \{(.*?)^\}", lua, re.S | re.M).group(1)
    for name, body in re.findall(r'^\t\[\d+\] = \{ "([A-Z_]+)", \{(.*?)^\t\} \},', messages,
                                 re.S | re.M):
        blocks[name] = body
    tags = enums(["KEY_READY", "HELLO", "SERVICE", "LOAD", "REPORT", "CLOSED", "PROBE", "BYE",
                  "SITES", "SITE_REPORT", "SITE"])
    assert {name: schema(body) for name, body in blocks.items()} == tags


def test_types_are_those_of_the_daemon():
    with open(os.path.join(ROOT, "src", "transfer", "header.h")) as f:
        header = f.read()
    body = re.search(r"enum transfer_type \{(.*?)\};", header, re.S).group(1)
    names = re.findall(r"TRANSFER_(\w+)", body)
    assert [11 + i for i in range(len(names))] == [11, 12, 13, 14]
    assert names == ["DATA", "PROBE", "PROBE_ANSWER", "DIRECT"]
    with open(os.path.join(ROOT, "src", "load", "codec.h")) as f:
        body = re.search(r"enum message_type \{(.*?)\};", f.read(), re.S).group(1)
    with open(SCRIPT) as f:
        lua = f.read()
    for i, name in enumerate(re.findall(r"MESSAGE_(\w+)", body), 1):
        assert '[%d] = "%s"' % (i, name) in lua
