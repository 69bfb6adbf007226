"""Gateways whose firewall drops what connection tracking calls invalid, and the remedy that
the log and wlad(8) name."""

import os
import re
import subprocess

import pytest

from daemon import TOP

DROP = """table inet firewall {
    chain forward { type filter hook forward priority filter; ct state invalid counter drop; }
    chain output { type filter hook output priority filter; ct state invalid counter drop; }
}"""
STRICT = """table inet firewall {
    chain forward {
        type filter hook forward priority filter; policy drop;
        ct state established,related,untracked accept
        counter drop
    }
}"""
FAMILIES = pytest.mark.parametrize("v6", [False, True], ids=["ipv4", "ipv6"])
YSERVERS = {"y1", "y2", "y3"}
LINE = "connections are tracked"


def nft(site, *args):
    return site.gw.run("nft", *args)


def dropped(site):
    """Packets that the firewall has dropped."""
    return sum(map(int, re.findall(r"counter packets (\d+)", nft(site, "list", "ruleset"))))


def served(lab, v6=False):
    """By which server; "" if there was no answer."""
    return lab.curl("-m", "3", lab.url(lab.x, "who", v6), check=False).strip()


def remedy_of_log(site):
    """The command, as it is given to a shell."""
    found = re.search(LINE + ".* remedy=\"(nft '.*')\"$", site.wlad.text(), re.M)
    assert found, site.wlad.text()
    return found.group(1)


def remedy_of_manual():
    with open(os.path.join(TOP, "man", "wlad.8")) as f:
        found = re.search(r"^table inet wlad \{\n.*?^\}$", f.read(), re.M | re.S)
    return "nft '%s'" % found.group(0)


def test_no_line_without_tracking(lab):
    for site in lab.sites:
        assert LINE not in site.wlad.text()


@pytest.fixture(scope="module", params=["tun", "raw"])
def output(lab, request):
    """Both ways out; the daemons start while connections are tracked."""
    for site in lab.sites:
        nft(site, DROP)
        lab.who(site)
        site.wlad.stop()
        settings = dict(site.settings(), device={"output": request.param})
        for peer in settings["peers"]:
            peer["reply"] = "direct"  # by itself it would find out, and go over to rule 3
        site.wlad.start(settings)
    lab.ready()
    for site in lab.sites:
        assert LINE in site.wlad.text()
        nft(site, "flush ruleset")
    return request.param


@pytest.fixture(params=["x", "y"], ids=["transferor", "transferee"])
def walled(lab, request):
    site = getattr(lab, request.param)
    nft(site, DROP)
    yield site
    nft(site, "flush ruleset")


@FAMILIES
def test_within_a_site(lab, output, walled, v6):
    """Both directions pass the gateway: nothing is invalid."""
    names = {s.name for s in walled.servers}
    assert set(lab.who_many(walled, 20, v6)) <= names
    assert dropped(walled) == 0


@pytest.fixture
def spilled(lab):
    lab.x.kill_servers()
    lab.x.wait_up(0)
    yield lab
    lab.x.revive_servers()
    lab.x.wait_up()


def test_transferred(spilled, output, walled):
    """Each gateway sees one half of a connection.  To be liberal is no remedy."""
    assert served(spilled) == ""
    assert dropped(walled) > 0
    walled.gw.sysctl("netfilter.nf_conntrack_tcp_be_liberal", 1)
    assert served(spilled) == ""
    walled.gw.sysctl("netfilter.nf_conntrack_tcp_be_liberal", 0)


@pytest.mark.parametrize("where", ["log", "manual"])
def test_remedy(spilled, output, walled, where):
    command = remedy_of_log(walled) if where == "log" else remedy_of_manual()
    subprocess.run(walled.gw.command("sh", "-c", command), check=True)
    before = dropped(walled)  # late packets of connections that were tracked
    for v6 in (False, True):
        assert served(spilled, v6) in YSERVERS
        assert set(spilled.who_many(walled, 5, v6)) <= YSERVERS
    assert dropped(walled) == before


def test_remedy_under_a_strict_firewall(spilled, output):
    """With a policy of drop, what is not tracked has to be accepted as such."""
    for site in spilled.sites:
        nft(site, STRICT)
        subprocess.run(site.gw.command("sh", "-c", remedy_of_manual()), check=True)
    try:
        for v6 in (False, True):
            assert served(spilled, v6) in YSERVERS
        assert [dropped(site) for site in spilled.sites] == [0, 0]
    finally:
        for site in spilled.sites:
            nft(site, "flush ruleset")
