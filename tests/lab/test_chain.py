"""Networks in series (Fig. 21): tokyo knows osaka alone, nagoya too; osaka knows both and passes
on what it does not serve itself.  And rings, which are a mistake that must do no harm."""

import collections
import os
import time

import pytest

import lab as labs
import servers
from netns import wait_for

FAMILIES = pytest.mark.parametrize("v6", [False, True], ids=["ipv4", "ipv6"])
PROXIED = 81
YSERVERS, ZSERVERS = {"y1", "y2", "y3"}, {"z1", "z2", "z3"}


class Chain(labs.TwoSites):
    """Sites that know their neighbours alone; the first has no servers, and those between take
    the site behind them for as good as themselves."""

    LETTERS, RING = "xyz", False
    MAX_TRANSFERS = 2

    def neighbours(self, site):
        i, last = self.sites.index(site), len(self.sites) - 1
        near = {i - 1, i + 1} & set(range(last + 1))
        if self.RING and i in (0, last):
            near.add(last - i)
        return [self.sites[k].name for k in sorted(near)]

    def settings(self, site, reply="auto"):
        settings = site.settings()
        near = self.neighbours(site)
        settings["peers"] = [dict(p, reply=reply) for p in settings["peers"] if p["site"] in near]
        settings["transfer"]["max_transfers"] = self.MAX_TRANSFERS
        web = settings["services"][0]
        settings["services"].append(self.proxied(site, web))
        for service in web, settings["services"][-1]:
            if site is self.x:
                service.update(prefer="remote", servers=[])
            elif self.RING or site is not self.sites[-1]:
                service.update(prefer="any")
        return settings

    @staticmethod
    def proxied(site, web):
        """The service web once more, whose servers are told the client's address by a header."""
        check = dict(web["check"], type="http", path="/who")
        return dict(web, name="proxied", ports=[PROXIED], check=check, client_address="proxy-v2",
                    servers=[dict(s, port=servers.PROXY_PORT) for s in web["servers"]])

    def start_chain(self, reply="auto"):
        for site in self.sites[1:]:
            site.start_servers()
        self.certify()
        for site in self.sites:
            site.wlad.start(self.settings(site, reply))
        self.known()
        return self

    def known(self):
        for site in self.sites:
            for name in self.neighbours(site):
                other = next(s for s in self.sites if s.name == name)
                if other is self.x:
                    continue
                other.wait_up(timeout=10)
                wait_for(lambda: (site.wlad.site_service(name, "web") or {}).get("servers_up") == 3
                         and site.wlad.sites()[name]["state"] == "up", 10,
                         "%s knowing %s" % (site.name, name))

    def restart_chain(self, reply):
        for site in self.sites:
            site.wlad.stop()
        for site in self.sites:
            site.wlad.start(self.settings(site, reply))
        self.known()


class Hollow(Chain):
    """The site in the middle has no servers either."""

    def settings(self, site, reply="auto"):
        settings = super().settings(site, reply)
        if site is self.y:
            for service in settings["services"]:
                service.update(prefer="remote", servers=[])
        return settings

    def known(self):
        self.z.wait_up(timeout=10)
        for site, name in ((self.y, "nagoya"), (self.x, "osaka")):
            wait_for(lambda: (site.wlad.site_service(name, "web") or {}).get("servers_up") == 3
                     and site.wlad.sites()[name]["state"] == "up", 10,
                     "%s knowing what is at %s" % (site.name, name))


class Ring(Chain):
    LETTERS, RING, MAX_TRANSFERS = "xyzw", True, 4


def lab_of(kind):
    def fixture(wlad, directory, content):
        where = os.path.join(directory, kind.__name__)
        os.makedirs(where)
        sites = kind(where, content, dns=False)
        try:
            sites.start_chain("direct")
            sites.reply = "direct"
            yield sites
        except Exception:
            print(sites.report())
            raise
        finally:
            sites.close()
    return pytest.fixture(scope="module")(fixture)


net = lab_of(Chain)
ring = lab_of(Ring)
hollow = lab_of(Hollow)


@pytest.fixture(scope="module", params=["direct", "transferor"])
def rule(net, request):
    if net.reply != request.param:
        net.restart_chain(request.param)
        net.reply = request.param
    return request.param


def served(net, v6=False, wanted=None, tries=6):
    """Who serves connections to tokyo, until all that are wanted have."""
    names = collections.Counter()
    for _ in range(tries):
        names.update(net.who_many(net.x, 40, v6))
        if wanted is None or wanted <= {n[0] for n in names}:
            break
    return names


@FAMILIES
def test_served_by_both_behind(net, rule, v6):
    before = net.y.wlad.counter("connections_passed")
    relayed = net.x.wlad.counter("connections_relayed")
    names = served(net, v6, {"y", "z"})
    passed = net.y.wlad.counter("connections_passed") - before
    assert set(names) & YSERVERS and set(names) & ZSERVERS
    assert set(names) <= YSERVERS | ZSERVERS
    # a connection that got no answer at once may have been tried twice; here none is lost
    assert passed == sum(n for name, n in names.items() if name in ZSERVERS)
    relayed = net.x.wlad.counter("connections_relayed") - relayed
    assert relayed == (sum(names.values()) if rule == "transferor" else 0)


@FAMILIES
def test_transfers_of_size_through_the_chain(net, rule, v6):
    files = net.parallel(net.x, 30, v6=v6)
    assert len(files) == 30


def logs(site):
    """The clients, addresses and ports, that the PROXY headers to a site's servers named."""
    clients = []
    for s in site.servers:
        with open(s.proxied) as f:
            lines = [line.split() for line in f if " /proxied " in line]
        clients += [(line[0], line[1]) for line in lines]
    return clients


@FAMILIES
def test_servers_behind_are_told_the_true_client(net, rule, v6):
    for site in (net.y, net.z):
        site.wait_up(service="proxied")
        for s in site.servers:
            open(s.proxied, "w").close()
    wait_for(lambda: net.y.wlad.site_service("nagoya", "proxied")["candidate"], 10,
             "nagoya a candidate")
    url = "http://%s:%d/proxied" % ("[%s]" % net.x.v6 if v6 else net.x.v4, PROXIED)
    client = labs.CLIENT6 if v6 else labs.CLIENT4
    sent = set()
    for _ in range(40):
        # nginx says what the header said, curl which port it had
        out = net.curl("-m", "5", "-w", "%{local_port}", url).split()
        assert out[0] == client and out[1] == out[2]
        sent.add((client, out[2]))
    wait_for(lambda: len(logs(net.y)) + len(logs(net.z)) >= 40, what="40 lines of logs")
    # both have served, and each connection is in one log
    assert logs(net.y) and logs(net.z)
    assert set(logs(net.y)) | set(logs(net.z)) == sent
    assert len(logs(net.y)) + len(logs(net.z)) == 40


def test_first_and_last_do_not_know_each_other(net, rule):
    assert set(net.x.wlad.sites()) == {"osaka"}
    assert set(net.z.wlad.sites()) == {"osaka"}


def test_a_connection_lives_on_when_the_sessions_are_new(net, rule):
    """A reload at osaka brings new sessions, in which everything is told again."""
    assert served(net, False, {"y", "z"})
    before = net.z.wlad.counter("transfer_service")
    net.y.wlad.command("reload")
    assert served(net, False, {"y", "z"})
    assert net.z.wlad.counter("transfer_service") == before


def test_servers_behind_are_believed_from_osaka_alone(net, rule):
    """Without chains at osaka, nagoya takes nothing of tokyo's, and serves none."""
    settings = net.settings(net.y, rule)
    settings["transfer"]["max_transfers"] = 1
    net.y.wlad.stop()
    net.y.wlad.start(settings)
    net.known()
    passed = net.y.wlad.counter("connections_passed")
    assert set(served(net)) <= YSERVERS
    assert net.y.wlad.counter("connections_passed") == passed == 0
    net.y.wlad.stop()
    net.y.wlad.start(net.settings(net.y, rule))
    net.known()
    assert served(net, False, {"y", "z"})


def packets(site):
    return sum(s["transfer_packets_in"] for s in site.wlad.sites().values())


class TestRing:
    """Four sites in a ring, connections may be passed on four times."""

    def test_everything_is_served(self, ring):
        names = served(ring)
        assert sum(names.values()) >= 40 and all(names)

    def test_no_packet_runs_in_circles(self, ring):
        before = [packets(s) for s in ring.sites]
        names = served(ring)
        after = [packets(s) for s in ring.sites]
        # some ten packets a connection of a client, and each passes at most four times
        assert sum(after) - sum(before) < 4 * 20 * sum(names.values())
        time.sleep(0.5)
        quiet = [packets(s) for s in ring.sites]
        time.sleep(1.0)
        assert sum(packets(s) for s in ring.sites) - sum(quiet) < 20

    def test_what_is_told_comes_to_rest(self, ring):
        before = [s.wlad.counter("messages_out") for s in ring.sites]
        time.sleep(3.0)
        for site, was in zip(ring.sites, before):
            # a report each 0.3 s to two peers, perhaps one more at a change
            assert site.wlad.counter("messages_out") - was < 2 * 3.0 / 0.3 * 3

    def test_a_site_that_dies_leaves_nothing_behind(self, ring):
        ring.sites[2].wlad.process.kill()
        wait_for(lambda: ring.y.wlad.sites()["nagoya"]["state"] == "down", 10, "nagoya's death")
        names = served(ring)
        assert not set(names) & ZSERVERS


class TestHollow:
    """Osaka between them serves nobody, and speaks to tokyo of what is at nagoya."""

    @FAMILIES
    def test_served_by_the_site_behind(self, hollow, v6):
        names = hollow.who_many(hollow.x, 20, v6)
        assert len(names) == 20 and set(names) <= ZSERVERS

    def test_the_last_site_is_told_of_nothing(self, hollow):
        service = hollow.z.wlad.site_service("osaka", "web")
        assert service["servers_up"] == 0 and not service["candidate"]

    def test_its_servers_die_and_return(self, hollow):
        hollow.z.kill_servers()
        wait_for(lambda: not hollow.x.wlad.site_service("osaka", "web")["candidate"], 5,
                 "osaka being no candidate")
        start = time.monotonic()
        assert hollow.curl("-m", "3", hollow.url(hollow.x, "who"), check=False) == ""
        assert time.monotonic() - start < 1.0
        hollow.z.revive_servers()
        hollow.known()
        wait_for(lambda: hollow.who(hollow.x)[:1] == "z" or None, 10, "nagoya serving again")
