"""reply = "auto": a network that does not let direct replies through is noticed, by probes or by
clients that get no answer, and rule 3 serves from then on."""

import contextlib
import re
import subprocess

import pytest

import wide
from netns import wait_for

YSERVERS = {"y1", "y2", "y3"}
CLIENTS = ["192.0.2.%d" % i for i in range(11, 15)]

# What osaka's provider lets out: senders that are osaka's own.
EXIT = """table inet provider {
    chain forward { type filter hook forward priority filter;
        iifname "gwy" ip saddr != { 198.51.100.6, 203.0.113.20, 10.2.0.0/24 } counter drop;
        iifname "gwy" ip6 saddr { 2001:db8:a::10 } counter drop;
    }
}"""
# What the clients' provider lets in: tokyo's address from where tokyo is.
ENTRANCE = """table inet provider {
    chain forward { type filter hook forward priority filter;
        iifname != "gwx" oifname "client" ip saddr 203.0.113.10 counter drop;
        iifname != "gwx" oifname "client" ip6 saddr 2001:db8:a::10 counter drop;
    }
}"""


@pytest.fixture(scope="module")
def net(wlad, directory, content):
    if not wide.built():
        pytest.skip("no tests/lab/wan in WLAD_BUILDDIR")
    sites = wide.WideSites(directory, content, dns=False)
    try:
        sites.client.ip(*["addr add %s/24 dev eth0" % a for a in CLIENTS])
        sites.relays["y"].set("delay=1")
        sites.start_spilling("auto")
        yield sites
    except Exception:
        print(sites.report())
        raise
    finally:
        sites.close()


@pytest.fixture
def fresh(net):
    """No wall, and no site that remembers one."""
    for site in net.sites:
        site.wlad.stop()
    for site in net.sites:
        site.wlad.start(net.settings(site, "auto"))
    net.ready_spilling(timeout=20.0)
    yield net
    net.wan.run("nft", "flush ruleset")


def becomes(net, state, timeout):
    wait_for(lambda: net.direct(net.y) == state, timeout,
             "direct replies of osaka %s at tokyo" % state)


def relayed(net):
    return net.x.wlad.counter("connections_relayed")


def ask(net, client, timeout=8):
    """(server, seconds) by a client with that address; ("", ...) if it was not served."""
    out = net.curl("-m", str(timeout), "--interface", client, "-w", "%{time_total}",
                   net.url(net.x, "who"), check=False).split()
    return (out[0] if len(out) == 2 else ""), float(out[-1])


def test_open_network(fresh):
    """Nothing is in the way: probes say so, and rule 2 it is."""
    becomes(fresh, "ok", 15)
    assert set(fresh.who_many(fresh.x, 30)) == YSERVERS
    assert relayed(fresh) == 0


def test_walled_exit_is_found_by_probes(fresh):
    """Osaka's provider drops foreign senders: rule 3 serves before any client has to wait."""
    fresh.wan.run("nft", "-f", "-", input=EXIT)
    fresh.y.wlad.command("probe", "tokyo")
    becomes(fresh, "blocked", 20)
    for v6 in (False, True):
        names = fresh.who_many(fresh.x, 30, v6, timeout=2)
        assert len(names) == 30 and set(names) == YSERVERS
    assert relayed(fresh) == 60
    # not for ever
    fresh.wan.run("nft", "flush ruleset")
    fresh.y.wlad.command("probe", "tokyo")
    becomes(fresh, "ok", 20)
    assert set(fresh.who_many(fresh.x, 30)) == YSERVERS
    assert relayed(fresh) == 60


def test_a_client_is_helped_before_anything_is_known(fresh):
    """Its third SYN is repeated by rule 3: after three seconds, or two where the kernel does not
    double its time-out at first."""
    becomes(fresh, "ok", 15)
    fresh.wan.run("nft", "-f", "-", input=ENTRANCE)
    server, seconds = ask(fresh, CLIENTS[0])
    assert server in YSERVERS
    assert 1.5 < seconds < 4.5
    assert relayed(fresh) == 1
    assert fresh.direct(fresh.y) == "ok"


def test_walled_entrance_is_found_by_clients(fresh):
    """Osaka's probes get through, the clients' answers do not: when three were helped, nobody
    waits any more."""
    becomes(fresh, "ok", 15)
    fresh.wan.run("nft", "-f", "-", input=ENTRANCE)
    with contextlib.ExitStack() as running:
        curls = [running.enter_context(subprocess.Popen(
            fresh.client.command("curl", "-sS", "-m", "8", "--interface", address,
                                 fresh.url(fresh.x, "who")), stdout=subprocess.PIPE, text=True))
            for address in CLIENTS[:3]]
        names = [c.communicate(timeout=12)[0].strip() for c in curls]
    assert set(names) <= YSERVERS
    becomes(fresh, "blocked", 2)
    for client in CLIENTS:
        server, seconds = ask(fresh, client)
        assert server in YSERVERS and seconds < 1.5
    # probes that get through change nothing: they go another way than the clients' answers
    fresh.y.wlad.command("probe", "tokyo")
    with pytest.raises(Exception):
        becomes(fresh, "ok", 3)


def test_a_silent_server_is_no_wall(fresh):
    """Clients that get no answer by either rule prove nothing about direct replies."""
    becomes(fresh, "ok", 15)
    fresh.y.gw.run("nft", "-f", "-", input="""table inet silent {
        chain forward { type filter hook forward priority filter;
            ip saddr 198.51.100.120 tcp dport 8080 drop;
            ip saddr 203.0.113.10 tcp dport 8080 drop;
        }
    }""")
    try:
        with contextlib.ExitStack() as running:
            curls = [running.enter_context(subprocess.Popen(
                fresh.client.command("curl", "-s", "-m", "5", "--interface", address,
                                     fresh.url(fresh.x, "who")), stdout=subprocess.PIPE))
                for address in CLIENTS]
            assert [c.communicate(timeout=9)[0] for c in curls] == [b""] * 4
        assert fresh.direct(fresh.y) == "ok"
    finally:
        fresh.y.gw.run("nft", "flush ruleset")


@pytest.mark.parametrize("wall", [EXIT, ENTRANCE], ids=["exit", "entrance"])
def test_direct_is_direct(net, wall):
    """reply = "direct" is what the operator says: no other rule, whatever happens."""
    net.restart(net.x, "direct")
    net.wan.run("nft", "-f", "-", input=wall)
    try:
        assert ask(net, CLIENTS[0], timeout=4)[0] == ""
        assert relayed(net) == 0
    finally:
        net.wan.run("nft", "flush ruleset")


@pytest.mark.parametrize("wall", [EXIT, ENTRANCE], ids=["exit", "entrance"])
def test_transferor_passes_every_wall(net, wall):
    """reply = "transferor": each packet carries its true sender."""
    net.restart(net.x, "transferor")
    net.wan.run("nft", "-f", "-", input=wall)
    try:
        for v6 in (False, True):
            assert set(net.who_many(net.x, 20, v6, timeout=2)) == YSERVERS
        # of osaka's direct-reply probes one may have met a wall, of connections nothing
        dropped = re.findall(r"counter packets (\d+)", net.wan.run("nft", "list", "ruleset"))
        assert sum(map(int, dropped)) <= 3
    finally:
        net.wan.run("nft", "flush ruleset")
