"""Coordinators (Fig. 20): four sites that know coordinators alone.  Tokyo's own servers are none or
few; it gets to know the others when it needs them."""

import collections
import time

import pytest

import lab as labs
import daemon
from netns import wait_for

COORDINATORS = {"kyoto": 1, "nara": 2}
INTERVAL = 0.3
OTHERS = {"osaka", "nagoya", "sendai"}


class Coordinator:
    """A host in the wide area, and a coordinator on it."""

    def __init__(self, lab, name, number):
        self.lab, self.name = lab, name
        self.v4 = "198.51.100.%d" % (64 + 4 * number + 2)
        self.ns = lab.net.namespace(name)
        lab.net.connect(lab.wan, name, self.ns, "eth0")
        hop = "198.51.100.%d" % (64 + 4 * number + 1)
        lab.wan.ip("addr add %s/30 dev %s" % (hop, name))
        self.ns.ip("addr add %s/30 dev eth0" % self.v4, "route add default via " + hop)
        self.wlad = daemon.Wlad(self.ns, name)

    def settings(self):
        certificate, key = self.lab.authority.site(self.name)
        return {"site": self.name, "role": "coordinator", "user": "nobody",
                "load": {"listen": "%s:7210" % self.v4, "interval": INTERVAL,
                         "certificate": certificate, "key": key, "ca": self.lab.authority.ca,
                         "accept_unknown": True},
                "control": {"socket": self.wlad.socket, "group": ""}}

    def start(self):
        self.wlad.start(self.settings())
        return self

    def knows(self, names):
        sites = self.wlad.sites()
        return set(sites) >= set(names) and all(sites[n]["session"] == "up" for n in names)


class Coordinated(labs.TwoSites):
    LETTERS = "xyzw"

    def __init__(self, directory, content):
        super().__init__(directory, content, dns=False)
        self.coordinators = {n: Coordinator(self, n, i) for n, i in COORDINATORS.items()}

    def settings(self, site, reply_by=("kyoto", "nara")):
        settings = site.settings()
        settings["peers"] = []
        del settings["peers"]
        settings["load"]["coordinators"] = [
            {"site": name, "load": "%s:7210" % self.coordinators[name].v4} for name in reply_by]
        if site is self.x:
            settings["services"][0].update(prefer="remote", servers=[])
        return settings

    def start_all(self, names):
        for site in self.sites[1:]:
            site.start_servers()
        self.certify()
        for name in names:
            self.coordinators[name].start()
        self.start_sites(names)
        return self

    def start_sites(self, names):
        for site in self.sites:
            site.wlad.start(self.settings(site, names))
        for site in self.sites[1:]:
            site.wait_up(timeout=10)
        self.introduced()

    def introduced(self, timeout=15):
        def known():
            sites = self.x.wlad.sites()
            return all((self.x.wlad.site_service(n, "web") or {}).get("servers_up") == 3
                       for n in OTHERS if n in sites) and OTHERS <= set(sites)
        wait_for(known, timeout, "tokyo knowing all others")

    def served(self, count=20, tries=40, wanted=None):
        """Who serves; the first connections may be refused, until there are keys."""
        names = collections.Counter()
        for _ in range(tries):
            out = self.curl("-m", "2", *[self.url(self.x, "who")] * count, "-H",
                            "Connection: close", check=False).split()
            names.update(out)
            if len(out) == count and (wanted is None or wanted <= {n[0] for n in names}):
                break
            time.sleep(0.1)
        return names

    def report(self):
        return super().report() + "\n".join(
            "== %s: log\n%s" % (c.name, "\n".join(c.wlad.text().splitlines()[-40:]))
            for c in self.coordinators.values() if c.wlad.process)


@pytest.fixture(scope="module")
def net(wlad, directory, content):
    sites = Coordinated(directory, content)
    try:
        yield sites.start_all(["kyoto", "nara"])
    except Exception:
        print(sites.report())
        raise
    finally:
        sites.close()


def settled(net):
    """Every coordinator knows every site again."""
    for c in net.coordinators.values():
        wait_for(lambda: c.knows(OTHERS | {"tokyo"}), 40, "all sites at " + c.name)


def age(net, name):
    return net.x.wlad.site_service(name, "web")["age_ms"] / 1000


def test_the_coordinators_show_every_site(net):
    settled(net)
    for c in net.coordinators.values():
        assert all(s["state"] == "up" for s in c.wlad.sites().values())


def test_coordinators_are_no_sites(net):
    sites = net.x.wlad.sites()
    assert sites["kyoto"]["kind"] == "coordinator" and sites["kyoto"]["state"] == "up"
    assert sites["osaka"]["kind"] == "introduced"


def test_the_coordinator_has_no_rights(net):
    pid = net.coordinators["kyoto"].wlad.process.pid
    with open("/proc/%d/status" % pid) as f:
        status = dict(line.split(":", 1) for line in f)
    assert status["Uid"].split() == ["65534"] * 4
    assert int(status["CapEff"], 16) == 0


def test_no_session_until_it_is_needed(net):
    sites = net.y.wlad.sites()
    assert sites["nagoya"]["session"] == "none" and sites["sendai"]["session"] == "none"
    assert not sites["nagoya"]["keys"]


def test_spills_to_introduced_sites(net):
    names = net.served(wanted={"y", "z", "w"})
    assert {n[0] for n in names} == {"y", "z", "w"}
    sites = net.x.wlad.sites()
    assert all(sites[n]["session"] == "up" and sites[n]["keys"] for n in OTHERS)
    # who was not needed is not known any better than before
    assert net.y.wlad.sites()["nagoya"]["session"] == "none"


def test_load_goes_to_coordinators_alone(net):
    """The ages are those of the coordinators' word, and what is between two sites is known."""
    for name in OTHERS:
        assert age(net, name) < 5 * INTERVAL
    assert net.x.wlad.sites()["osaka"]["path_mtu"] == 1500


def test_one_of_two_coordinators_killed(net):
    assert net.served()
    refused = net.x.wlad.counter("no_server")
    net.coordinators["kyoto"].wlad.process.kill()
    end = time.monotonic() + 3
    while time.monotonic() < end:
        assert len(net.who_many(net.x, 20)) == 20
        assert max(age(net, n) for n in OTHERS) < 3 * INTERVAL
    assert net.x.wlad.counter("no_server") == refused
    net.coordinators["kyoto"].start()
    settled(net)
    assert len(net.who_many(net.x, 20)) == 20


def test_all_coordinators_killed(net):
    """Transfers go on until the reports are too old, then they stop; connections stay."""
    assert net.served()
    for c in net.coordinators.values():
        c.wlad.process.kill()
    killed = time.monotonic()
    assert len(net.who_many(net.x, 20)) == 20
    assert time.monotonic() - killed < 4 * INTERVAL

    def stopped():
        return not any(net.x.wlad.site_service(n, "web")["candidate"] for n in OTHERS)
    wait_for(stopped, 10, "no candidates")
    reasons = {net.x.wlad.site_service(n, "web")["reason"] for n in OTHERS}
    assert reasons == {"report too old"}
    assert net.curl("-m", "2", net.url(net.x, "who"), check=False) == ""
    assert all(net.x.wlad.sites()[n]["session"] == "up" for n in OTHERS)
    for c in net.coordinators.values():
        c.start()
    wait_for(lambda: len(net.curl("-m", "2", net.url(net.x, "who"), check=False)) > 1, 60,
             "tokyo served again")


def test_a_site_that_dies_is_told_of(net):
    settled(net)
    assert net.served()
    net.w.wlad.process.kill()
    wait_for(lambda: not net.x.wlad.site_service("sendai", "web")["candidate"], 10,
             "sendai being no candidate")
    names = net.served()
    assert {n[0] for n in names} <= {"y", "z"}
    net.w.wlad.start(net.settings(net.w))
    net.w.wait_up(timeout=10)
    assert "w" in {n[0] for n in net.served(wanted={"w"}, tries=200)}


def test_a_site_that_stops_is_gone(net):
    settled(net)
    net.z.wlad.process.stop()

    def gone():
        service = net.x.wlad.site_service("nagoya", "web")
        return service is None or service["servers_up"] is None
    wait_for(gone, 10, "nagoya gone")
    net.z.wlad.start(net.settings(net.z))
    net.introduced(40)


def test_reload_at_a_site(net):
    net.y.wlad.command("reload")
    time.sleep(1.0)
    assert net.served()
    assert net.y.wlad.show("sites")
