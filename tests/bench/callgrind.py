"""What callgrind says of tests/bench/path: instructions of each kind of packet, by function.

One process sends packets of all kinds, each by one call of run(); callgrind counts inside of run()
alone and writes a file after each.
"""

import collections
import glob
import os
import re
import subprocess
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILDDIR = os.environ.get("WLAD_BUILDDIR", TOP)
PATH = os.path.join(BUILDDIR, "tests", "bench", "path")

# how a kind of packet is counted that path does not know: what is more than another
KINDS = {
    "client": "client packet, established, to an own server",
    "server": "its reply",
    "new": "first packet of a connection",
    "out": "client packet of a transferred connection, sealed",
    "in": "the same at the other site: opened, to the server",
    "direct": "its reply, straight to the client",
    "foreign": "a packet that is none of ours",
}
COUNTED = ["through" if kind == "in" else kind for kind in KINDS]

NAME = re.compile(r"\((\d+)\)(?: (.*))?$")


class Names:
    """callgrind writes each name once, then only its number."""

    def __init__(self):
        self.known = {}

    def __call__(self, text):
        number, name = NAME.match(text).groups()
        if name is not None:
            self.known[number] = name
        return self.known[number]


def read(path):
    """{(object, function): instructions of its own} of one file."""
    objects, functions = Names(), Names()
    costs = collections.Counter()
    where, called = (None, None), False
    with open(path) as f:
        for line in f:
            key, _, value = line.rstrip("\n").partition("=")
            if key == "ob":
                where = (os.path.basename(objects(value)), where[1])
            elif key == "fn":
                where = (where[0], functions(value))
            elif key == "cob":
                objects(value)
            elif key == "cfn":
                functions(value)
            elif key == "calls":
                called = True
            elif re.match(r"[-+*\d]", line):
                # the line behind "calls" is what was spent in there
                if not called:
                    costs[where] += int(line.split()[1])
                called = False
    return costs


def count(kinds, family, packets, octets):
    """{kind: {(object, function): instructions a packet}}."""
    with tempfile.TemporaryDirectory(prefix="wlad-bench-") as directory:
        out = os.path.join(directory, "out")
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", "--toggle-collect=run", "--dump-after=run",
             "--callgrind-out-file=" + out, PATH, ",".join(kinds), family, str(packets),
             str(octets)], capture_output=True, text=True, timeout=600)
        # the last file is of what was after the last dump
        files = [out + ".%d" % (n + 1) for n in range(len(kinds))]
        if done.returncode != 0 or not all(os.path.exists(f) for f in files):
            raise RuntimeError("%s\n%s" % (done.stderr.strip(), glob.glob(out + "*")))
        return {kind: {where: cost / packets for where, cost in read(f).items()}
                for kind, f in zip(kinds, files)}


def own(costs):
    """What wlad itself does; what OpenSSL and the C library do differs from processor to
    processor."""
    return sum(cost for (ob, _), cost in costs.items() if ob == os.path.basename(PATH))


def per_kind(family, packets, octets):
    """{kind: {(object, function): instructions a packet}} of all kinds."""
    costs = count(COUNTED, family, packets, octets)
    both, out = costs.pop("through"), costs["out"]
    costs["in"] = {where: both.get(where, 0) - out.get(where, 0) for where in {*both, *out}}
    return {kind: costs[kind] for kind in KINDS}
