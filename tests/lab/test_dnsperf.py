"""A DNS server behind a UDP service, asked as fast as it answers."""

import re
import shutil

import pytest


@pytest.mark.skipif(shutil.which("dnsperf") is None, reason="no dnsperf")
@pytest.mark.parametrize("v6", [False, True], ids=["ipv4", "ipv6"])
def test_dnsperf(lab, v6):
    queries = lab.net.path("queries")
    with open(queries, "w") as f:
        f.write("who.lab TXT\n")
    out = lab.client.run("dnsperf", "-s", lab.x.v6 if v6 else lab.x.v4, "-d", queries,
                         "-c", "20", "-q", "20", "-l", "3", timeout=30)
    print("\n".join(line for line in out.splitlines() if "Queries" in line or "Latency" in line))
    sent = int(re.search(r"Queries sent:\s+(\d+)", out).group(1))
    completed = int(re.search(r"Queries completed:\s+(\d+)", out).group(1))
    assert sent > 500
    # the last ones may be under way when the time is over
    assert sent - completed <= 20
