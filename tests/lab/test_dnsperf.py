"""A DNS server behind a UDP service, asked as fast as it answers."""

import re
import shutil

import pytest

from netns import wait_for


@pytest.mark.skipif(shutil.which("dnsperf") is None, reason="no dnsperf")
@pytest.mark.parametrize("v6", [False, True], ids=["ipv4", "ipv6"])
def test_dnsperf(lab, v6):
    sent, completed = dnsperf(lab, v6, clients=20)
    assert sent > 500
    # the last ones may be under way when the time is over
    assert sent - completed <= 20


@pytest.mark.skipif(shutil.which("dnsperf") is None, reason="no dnsperf")
@pytest.mark.parametrize("v6", [False, True], ids=["ipv4", "ipv6"])
def test_one_packet(lab, v6):
    """All from one port, as of a resolver, and each to another server."""
    wlad, settings = lab.x.wlad, lab.x.settings()
    [dns] = [s for s in settings["services"] if s["name"] == "dns"]
    dns.update({"scheduler": "rr", "one_packet": True})
    wlad.write(settings)
    wlad.command("reload")
    try:
        # what was one connection before is over, and does not take the port along
        before = totals(wlad)
        sent, completed = dnsperf(lab, v6, clients=1)
        got = {name: total - before[name] for name, total in totals(wlad).items()}
        print(got)
        assert sent > 500
        assert sent - completed <= 20
        # a connection each, in turns, but for those that came while one was unanswered
        assert sum(got.values()) >= completed
        assert len(got) == 3 and max(got.values()) - min(got.values()) <= 1
        # nothing is left
        wait_for(lambda: wlad.connections("service", "dns", "state", "opening") == [], 35,
                 "the end of all")
    finally:
        wlad.write(lab.x.settings())
        wlad.command("reload")
        lab.ready()


def totals(wlad):
    """Connections since the start of each DNS server."""
    return {name: s["total"] for name, s in wlad.servers("dns").items()}


def dnsperf(lab, v6, clients):
    """Questions to X for three seconds from so many sockets, twenty at a time: (sent, answered)."""
    queries = lab.net.path("queries")
    with open(queries, "w") as f:
        f.write("who.lab TXT\n")
    out = lab.client.run("dnsperf", "-s", lab.x.v6 if v6 else lab.x.v4, "-d", queries,
                         "-c", str(clients), "-q", "20", "-l", "3", timeout=30)
    print("\n".join(line for line in out.splitlines() if "Queries" in line or "Latency" in line))
    return tuple(int(re.search(r"Queries %s:\s+(\d+)" % what, out).group(1))
                 for what in ("sent", "completed"))
