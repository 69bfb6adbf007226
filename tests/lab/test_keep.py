"""Servers that see their clients' own addresses: nginx logs them without a word from anybody.  By
rule 1 (osaka's clients), by rule 2 (tokyo's), and what else those servers do."""

import re
import socket

import pytest

import servers
import wide
from lab import CLIENT4, CLIENT6, FAST_CHECK
from netns import wait_for

FAMILIES = pytest.mark.parametrize("v6", [False, True], ids=["ipv4", "ipv6"])
KEPT, KEPT_ECHO = 82, 8007


class Sites(wide.WideSites):
    """With two services more, of TCP and UDP, whose servers are to see the client."""

    RELAYED = ""

    def settings(self, site, reply="auto"):
        settings = super().settings(site, reply)
        for name, port, target, protocol in (("kept", KEPT, servers.HTTP_PORT, "tcp"),
                                             ("kept-echo", KEPT_ECHO, wide.ECHO_PORT, "udp")):
            own = [] if site is self.x else \
                [{"name": s.name, "address": [s.v4, s.v6], "port": target} for s in site.servers]
            settings["services"].append({
                "name": name, "address": [site.v4, site.v6], "ports": [port],
                "protocol": protocol, "prefer": "remote" if site is self.x else "local",
                "client_address": "keep",
                "check": dict(FAST_CHECK, type="tcp" if protocol == "tcp" else "icmp"),
                "servers": own})
        return settings

    def ready_spilling(self, timeout=10.0):
        super().ready_spilling(timeout)
        for name in ("kept", "kept-echo"):
            self.y.wait_up(service=name, timeout=timeout)
            wait_for(lambda: self.x.wlad.site_service("osaka", name)["candidate"], timeout,
                     "osaka a candidate for " + name)


@pytest.fixture(scope="module")
def net(wlad, directory, content):
    sites = Sites(directory, content, dns=False)
    try:
        # osaka's servers can be reached by their own addresses as well
        sites.wan.ip("route add 10.2.0.0/24 via " + sites.y.wan4,
                     "route add 2001:db8:b:1::/64 via " + sites.y.wan6)
        sites.start_spilling("direct")
        yield sites
    except Exception:
        print(sites.report())
        raise
    finally:
        sites.close()


@pytest.fixture(params=["local", "direct"])
def site(net, request):
    return net.y if request.param == "local" else net.x


def url(site, path, v6, port=KEPT):
    return "http://%s:%d/%s" % ("[%s]" % site.v6 if v6 else site.v4, port, path)


@FAMILIES
def test_nginx_sees_the_true_client(net, site, v6):
    for s in net.y.servers:
        open(s.access, "w").close()
    out = net.curl("-m", "5", "-H", "Connection: close", *[url(site, "from", v6)] * 10).split()
    assert out == [CLIENT6 if v6 else CLIENT4] * 10
    wait_for(lambda: sum(len(s.requests()) for s in net.y.servers) >= 10, what="logs")
    assert {line.split()[0] for s in net.y.servers for line in s.requests()
            if "/from" in line} == {CLIENT6 if v6 else CLIENT4}


@FAMILIES
def test_content(net, site, v6, small_file):
    path = net.net.path("downloaded")
    net.curl("-f", "-m", "30", "-o", path, url(site, "part", v6))
    assert servers.sha256(path) == net.content.part_sum
    net.curl("-f", "-m", "30", "-T", small_file[0], url(site, "upload/kept", v6))
    assert net.upload_found("kept")[1] == small_file[1]


@FAMILIES
def test_udp(net, site, v6):
    """Large ones too, whose later fragments have no ports."""
    family, address = (socket.AF_INET6, site.v6) if v6 else (socket.AF_INET, site.v4)
    for size in (0, 1000, 4000):
        with net.client.socket(family, socket.SOCK_DGRAM) as s:
            s.settimeout(3)
            s.connect((address, KEPT_ECHO))
            s.send(b"x" * size)
            try:
                got = s.recv(5000)
            except OSError:  # the way to the other site is narrower: now it is known
                s.send(b"x" * size)
                got = s.recv(5000)
            assert got == b"x" * size


def test_by_rule_3_they_do_not(net):
    net.restart(net.x, "transferor")
    try:
        assert net.curl("-m", "5", url(net.x, "from", False)).strip() == net.x.v4
    finally:
        net.restart(net.x, "direct")


def reached_directly(net, v6):
    s = net.y.servers[0]
    address = "[%s]" % s.v6 if v6 else s.v4
    return net.curl("-m", "5", "http://%s:%d/from" % (address, servers.HTTP_PORT)).strip()


@FAMILIES
def test_other_traffic_of_the_servers(net, v6):
    """Who connects to such a server by its own address is answered from the same port, and pings
    of the server come back: all of that passes the device, and goes its way."""
    before = net.y.wlad.counter("passed_by")
    assert reached_directly(net, v6) == (CLIENT6 if v6 else CLIENT4)
    net.y.servers[0].ns.run("ping", "-c", "2", "-i", "0.2", "-W", "2",
                            CLIENT6 if v6 else CLIENT4)
    net.client.run("ping", "-c", "2", "-i", "0.2", "-W", "2",
                   net.y.servers[0].v6 if v6 else net.y.servers[0].v4)
    assert net.y.wlad.counter("passed_by") > before + 4


def test_shown(net):
    assert net.y.wlad.service("kept")["client_address"] == "keep"
    with net.client.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
        s.connect((net.y.v4, KEPT))
        client = "%s:%d" % s.getsockname()
        shown = [c for c in net.y.wlad.connections("limit", "10000") if c["client"] == client]
    assert [c["self"] for c in shown] == [client]


def rules(net):
    return [r for f in ("-4", "-6") for r in net.y.gw.ip_json(f, "rule", "show")
            if str(r.get("table", "")).startswith("7210")]


def test_remedy(net):
    """Where wlad may not set the rules itself it says how; what it says helps."""
    net.y.wlad.stop()
    # it has lost the right to remove them, and they are without effect
    assert len(rules(net)) == 3 * 2 * 3
    assert reached_directly(net, False) == CLIENT4
    for family in ("-4", "-6"):
        for r in net.y.gw.ip_json(family, "rule", "show"):
            if r["priority"] not in (0, 32766, 32767):
                net.y.gw.run("ip", family, "rule", "del", "pref", str(r["priority"]))
    settings = net.settings(net.y)
    settings["device"] = {"routes": False}
    net.y.wlad.start(settings)
    for s in settings["services"]:
        for address in s["address"]:
            net.y.gw.run("ip", "route", "replace", address, "dev", "wlad0")
    for address in settings["self_addresses"]:
        net.y.gw.run("ip", "route", "replace", address, "dev", "wlad0")
    net.y.wait_up(service="kept")
    assert rules(net) == []
    remedies = re.findall(r'client_address=keep.* remedy="([^"]*)"', net.y.wlad.text())
    assert sum(r.count("ipproto") for r in remedies) == 3 * 2 * 3
    for remedy in remedies:
        net.y.gw.run("sh", "-c", remedy)
    assert net.curl("-m", "5", url(net.y, "from", False)).strip() == CLIENT4
    assert net.curl("-m", "5", url(net.y, "from", True)).strip() == CLIENT6
    # the next start takes them over, adds none twice
    net.y.wlad.stop()
    net.y.wlad.start(net.settings(net.y))
    net.ready_spilling(20)
    assert len(rules(net)) == 3 * 2 * 3
    assert net.curl("-m", "5", url(net.y, "from", True)).strip() == CLIENT6


def test_reload(net):
    """A service that no longer wants it has it no longer."""
    settings = net.settings(net.y)
    for s in settings["services"]:
        s["client_address"] = "hide"
    net.y.wlad.write(settings)
    net.y.wlad.command("reload")
    assert net.curl("-m", "5", url(net.y, "from", False)).strip() == net.y.self4
    assert len(rules(net)) == 3 * 2 * 3  # without the right to remove them
    net.y.wlad.write(net.settings(net.y))
    net.y.wlad.command("reload")
    assert net.curl("-m", "5", url(net.y, "from", False)).strip() == CLIENT4
