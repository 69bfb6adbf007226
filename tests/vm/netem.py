#!/usr/bin/python3
"""Inside the virtual machine: rule 2 and rule 3 across a wide area that the kernel's own netem
makes, with super-packets and partial checksums as they come.  Prints a line a check; exit 1 if one
failed.  WLAD_BUILDDIR: where wlad is.
"""

import os
import shutil
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "lab"))
sys.dont_write_bytecode = True
os.environ["WLAD_LAB_PATIENCE"] = "10"

import netns  # noqa: E402
import servers  # noqa: E402
import wide  # noqa: E402

MIB = 1
NETEM = "delay 5ms 1ms loss 1% duplicate 0.5% reorder 2% 25%"
YSERVERS = {"y1", "y2", "y3"}


class Sites(wide.WideSites):
    RELAYED = ""

    def settings(self, site, reply="auto"):
        return dict(super().settings(site, reply), limits={"connections": 16384})


class Netem:
    """On both ends of osaka's link."""

    def __init__(self, net):
        self.ends = ((net.wan, "gwy"), (net.y.gw, "wan"))
        for ns, device in self.ends:
            ns.run("tc", "qdisc", "add", "dev", device, "root", "netem", *NETEM.split())

    def dropped(self):
        out = [ns.run("tc", "-s", "qdisc", "show", "dev", device) for ns, device in self.ends]
        return [int(text.split("dropped ")[1].split(",")[0]) for text in out]


def served(net):
    for v6 in (False, True):
        names = net.who_many(net.x, 6, v6, timeout=50)
        assert len(names) == 6 and set(names) <= YSERVERS, names


def download(net):
    for v6 in (False, True):
        assert net.download_sum(net.x, "piece", v6, timeout=90) == net.digest


def upload(net):
    for v6 in (False, True):
        net.upload(net.x, net.piece, "netem", v6, timeout=90)
        server, digest = net.upload_found("netem")
        assert server.name in YSERVERS and digest == net.digest


def parallel(net):
    files = net.parallel(net.x, 20, timeout=90)
    assert len(files) == 20
    assert all(servers.sha256(f) == net.content.part_sum for f in files)


def dns(net):
    answers = [net.dig(net.x, options=["+tries=5"]) for _ in range(3)]
    assert set(answers) <= YSERVERS, answers


CHECKS = (served, download, upload, parallel, dns)


def attempt(net, function):
    """None, or what was wrong."""
    try:
        function(net)
        return None
    except (AssertionError, netns.LabError) as error:
        return "%r" % error


def check(net, rule, function):
    """A second time if need be: on a busy machine this one may stand still for longer than a site
    is believed without a report."""
    start = time.monotonic()
    why = [attempt(net, function)]
    if why[0]:
        why.append(attempt(net, function))
    good = why[-1] is None
    print("%-7s %.0f s: %s, reply = %s%s" % (
        "ok" if good else "FAILED", time.monotonic() - start, function.__name__, rule,
        "".join("\n        %s" % text for text in why if text)), flush=True)
    if not good:
        print(net.report())
    return good


def run(net):
    net.piece = os.path.join(net.content.directory, "piece")
    with open(net.piece, "wb") as f:
        f.write(os.urandom(MIB << 20))
    net.digest = servers.sha256(net.piece)
    net.start_spilling("direct")
    netem = Netem(net)
    good = True
    for rule in ("direct", "transferor"):
        net.restart(net.x, rule)
        before, relayed = netem.dropped(), net.x.wlad.counter("connections_relayed")
        good = all([check(net, rule, function) for function in CHECKS]) and good
        lost = [b - a for a, b in zip(before, netem.dropped())]
        relayed = net.x.wlad.counter("connections_relayed") - relayed
        print("        lost by netem %s, connections by rule 3: %d" % (lost, relayed), flush=True)
        good = good and min(lost) > 0 and (relayed > 0) == (rule == "transferor")
    return good


def main():
    directory = tempfile.mkdtemp(prefix="wl%d-" % os.getpid())
    os.chmod(directory, 0o755)
    net = None
    try:
        content = servers.Content(os.path.join(directory, "content")).make(1 << 20)
        net = Sites(directory, content)
        return 0 if run(net) else 1
    except netns.LabError as error:
        print("FAILED  %s\n%s" % (error, net.report() if net else ""))
        return 1
    finally:
        if net is not None:
            net.close()
        shutil.rmtree(directory)


if __name__ == "__main__":
    sys.exit(main())
