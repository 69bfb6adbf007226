"""wlad-protocol(7) against the code: its examples are true, its tables complete."""

import pathlib
import re

import wladproto as proto

TOP = pathlib.Path(__file__).resolve().parents[2]
MANUAL = (TOP / "man/wlad-protocol.7").read_text()
CODEC_C = "".join(f.read_text() for f in sorted((TOP / "src/load").glob("codec*.c")))
CODEC_H = (TOP / "src/load/codec.h").read_text()
HEADER_H = (TOP / "src/transfer/header.h").read_text()

# The manual's section or, for a nested TLV, the table within it, and what the code calls it.
TABLES = {
    "hello_tag": ("HELLO", 0),
    "hello_service_tag": ("HELLO", 1),
    "key_ready_tag": ("KEY_READY", 0),
    "load_tag": ("LOAD", 0),
    "load_service_tag": ("LOAD", 1),
    "closed_tag": ("CLOSED", 0),
    "sites_tag": ("SITES", 0),
    "site_tag": ("SITES", 1),
    "site_report_tag": ("SITES", 2),
    "probe_tag": ("PROBE", 0),
    "bye_tag": ("BYE", 0),
}


def section(name):
    match = re.search(rf"^\.S[sh] {name}$(.*?)^\.S[sh] ", MANUAL, re.M | re.S)
    assert match, name
    return match.group(1)


def tables(name):
    """Each table of a section as rows of cells, without its head."""
    found = re.findall(r"^\.Bl -column.*?$(.*?)^\.El", section(name), re.M | re.S)
    return [[[cell.strip() for cell in re.split(r"\sTa(?=\s)", row)]
             for row in re.findall(r"^\.It (.*)$", table, re.M)
             if not row.startswith("Em ")] for table in found]


def enumeration(text, name):
    """Names and numbers of an enum, with the comment behind each; numbers count up."""
    body = re.search(rf"enum {name} {{(.*?)}};", text, re.S).group(1)
    out, number = [], -1
    for match in re.finditer(r"(\w+)(?:\s*=\s*(\d+))?,?\s*(?:/\*(.*?)\*/)?", body, re.S):
        number = int(match.group(2)) if match.group(2) else number + 1
        out.append((match.group(1), number, " ".join((match.group(3) or "").split())))
    return out


def test_examples():
    text = re.sub(r"\s", "", section("EXAMPLES"))
    secret = bytes(range(32))
    dialer, listener = proto.directions(secret)
    epochs = proto.Epochs(dialer)
    expected = [secret, dialer, listener]
    for epoch in (0, 1, 5):
        _, iv = epochs[epoch]
        expected += [proto.expand_label(epochs.secrets[epoch], "key", 16), iv]
    info = proto.encode_info(0x0506, 0x0708, proto.DEMAND, 2)
    for epoch in (0, 1):
        header = proto.encode_header(proto.DATA, 0x01020304, epoch, epoch)
        expected.append(epochs.seal(header, info + b"client packet"))
    for cipher in (proto.AES_256_GCM, proto.CHACHA20_POLY1305):
        epochs = proto.Epochs(dialer, cipher)
        header = proto.encode_header(proto.DATA, 0x01020304, 0, 0)
        expected += [proto.expand_label(epochs.secrets[0], "key", 32),
                     epochs.seal(header, info + b"client packet")]
    probe = proto.encode_path(0x01020304, 0, bytes(4))
    answer = proto.encode_path(0x01020304, len(probe))
    expected += [
        proto.Epochs(dialer).seal(proto.encode_header(proto.PROBE, 0x01020304, 0, 2),
                                  bytes(8) + probe),
        proto.Epochs(listener).seal(proto.encode_header(proto.PROBE_ANSWER, 0x05060708, 0, 0),
                                    bytes(8) + answer),
        proto.encode_message(proto.KEY_READY, {"index": 0x01020304}),
        proto.encode_message(proto.CLOSED, {"ipv4": [
            (bytes((192, 0, 2, 7)), 1001, bytes((203, 0, 113, 10)), 443, 6, 1, 0xfffffff0)]}),
        proto.encode_message(proto.PROBE_SEEN, {"id": 0x0102030405060708})]
    for octets in expected:
        assert octets.hex() in text, octets.hex()


def test_message_types():
    rows = {row[1]: int(row[0]) for row in tables("Messages")[0]}
    code = {name.removeprefix("MESSAGE_"): number
            for name, number, _ in enumeration(CODEC_H, "message_type")}
    assert len(code) > 5
    assert rows == code


def test_tags():
    for enum, (name, which) in TABLES.items():
        rows = [row for row in tables(name) if len(row[0]) == 5][which]
        code = enumeration(CODEC_C, enum)
        assert [int(row[0]) for row in rows] == [number for _, number, _ in code], enum
        for row, (tag, _, comment) in zip(rows, code):
            assert tag.endswith("_" + row[1]), (enum, tag, row)
            assert (row[3] == "must") == comment.startswith("must"), (enum, tag)
            assert (row[3] == "many") == comment.startswith("repeats"), (enum, tag)
            length = re.search(r"\((\d+(?:-\d+)?|6 or 18)\):", comment)
            if length:
                assert row[2] == length.group(1), (enum, tag)


def test_no_message_is_missing():
    """Every enum of tags in the code has its table."""
    assert set(re.findall(r"enum (\w+_tag) {", CODEC_C)) == set(TABLES)


def test_closed_flags():
    rows = {int(row[0], 16) for row in tables("CLOSED")[2]}
    assert rows == {int(bit, 16)
                    for bit in re.findall(r"#define FLAG_\w+\s+(0x\w+)", CODEC_C)}


def test_ciphers():
    rows = {int(row[0]): (row[1], int(row[2])) for row in tables("From the TLS session")[0]}
    assert rows == {number: (algorithm, length) for number, (algorithm, length) in
                    zip(proto.CIPHERS, (("AES-128-GCM", 16), ("AES-256-GCM", 32),
                                        ("ChaCha20-Poly1305", 32)))}
    code = (TOP / "src/transfer/keys.c").read_text()
    for name, length in rows.values():
        assert f'{{"{name}", {length}}}' in code


def test_bye_reasons():
    rows = [int(row[0]) for row in tables("BYE")[1]]
    assert rows == [number for _, number, _ in enumeration(CODEC_H, "bye_reason")]


def test_transfer_types_and_flags():
    rows = {int(row[0]): row[1].upper().replace(" ", "_") for row in tables("Header")[0]}
    code = {number: name.removeprefix("TRANSFER_")
            for name, number, _ in enumeration(HEADER_H, "transfer_type")}
    assert rows == code
    flags = {row[1].upper(): int(row[0], 16) for row in tables("Additional information")[0]}
    code = {name: int(bit, 16)
            for name, bit in re.findall(r"#define TRANSFER_FLAG_(\w+)\s+(0x\w+)", HEADER_H)}
    assert flags == code


def test_drop_reasons():
    """Those that RECEIVING names are counters."""
    known = set(re.findall(r"X\((\w+), ", (TOP / "src/base/counters.h").read_text()))
    named = re.findall(r"^\.Pq (\w+)", section("RECEIVING"), re.M)
    assert len(named) >= 10
    assert set(named) <= known
