"""What clients notice of a site's failure where four sites know each other from a coordinator: curl
asks tokyo without a pause, each request a connection of its own, while a site is flooded, stopped
for maintenance, dies or is cut off, and comes back.  Who asks LATER than three seconds after that is
served, and what was moved elsewhere comes home once.
"""

import collections
import contextlib
import re
import signal
import subprocess
import threading
import time

import pytest

import lab as labs
from netns import wait_for
from test_coordinator import Coordinator

PLACES = 10      # of a server; a site has three
CLIENTS = 3
LATER = 3.0      # seconds from an event until nobody is to notice anything any more
HOME = 10.0      # until a site that has come back serves all of its own
WATCHED = 2.0    # how long what comes then is looked at
OTHERS = {"osaka", "nagoya", "sendai"}


class Sites(labs.TwoSites):
    """Each with servers, none configured as a peer of another."""

    LETTERS = "xyzw"

    def __init__(self, directory, content):
        super().__init__(directory, content, dns=False)
        self.coordinator = Coordinator(self, "kyoto", 1)

    def settings(self, site):
        settings = site.settings(max_connections=PLACES)
        del settings["peers"]
        settings["load"]["coordinators"] = [
            {"site": "kyoto", "load": "%s:7210" % self.coordinator.v4}]
        return settings

    def start_all(self):
        self.start_servers()
        self.certify()
        self.coordinator.start()
        for site in self.sites:
            site.wlad.start(self.settings(site))
        self.whole()
        return self

    def known(self, name):
        return (self.x.wlad.site_service(name, "web") or {}).get("servers_up")

    def whole(self):
        """Everybody is there, and tokyo knows."""
        for site in self.sites:
            site.wait_up(timeout=10)
        wait_for(lambda: all(self.known(name) == labs.SERVERS for name in OTHERS), 30,
                 "tokyo knowing all others")

    def acquainted(self):
        """Tokyo has keys with all others: it has needed each of them before."""
        def served():
            self.curl("-m", "2", *[self.url(self.x, "who")] * 10, "-H", "Connection: close",
                      check=False)
            sites = self.x.wlad.sites()
            return all(sites[name]["keys"] for name in OTHERS)
        wait_for(served, 20, "keys of all others")

    def report(self):
        return super().report() + "\n== kyoto: log\n" + "\n".join(
            self.coordinator.wlad.text().splitlines()[-40:])


@pytest.fixture(scope="module")
def net(wlad, directory, content):
    sites = Sites(directory, content)
    try:
        sites.start_all()
        with drained(sites):
            sites.acquainted()
        yield sites
    except Exception:
        print(sites.report())
        raise
    finally:
        sites.close()


@contextlib.contextmanager
def drained(net, how="drain"):
    """Tokyo's servers take nothing new."""
    for s in net.x.servers:
        net.x.wlad.command("server", "web/" + s.name, how)
    try:
        yield
    finally:
        for s in net.x.servers:
            net.x.wlad.command("server", "web/" + s.name, "enable")


class Clients:
    """Requests to tokyo: (begin, seconds, name of the server or "")."""

    def __init__(self, net):
        self.net, self.over = net, threading.Event()
        self.requests = []
        self.threads = [threading.Thread(target=self._run) for _ in range(CLIENTS)]

    def __enter__(self):
        self.begin = time.monotonic()
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for t in self.threads:
            t.join()
        self.requests.sort()

    def _run(self):
        self.net.client.enter()
        command = ["curl", "-s", "-m", "4", self.net.url(self.net.x, "who")]
        while not self.over.is_set():
            begin = time.monotonic()
            done = subprocess.run(command, capture_output=True, text=True)
            name = done.stdout.strip() if done.returncode == 0 else ""
            self.requests.append((begin, time.monotonic() - begin, name))
            time.sleep(0.02)

    def between(self, begin, end):
        return [r for r in self.requests if begin <= r[0] < end]

    def recent(self, seconds=1.0):
        """Sites that have served of late."""
        since = time.monotonic() - seconds
        return {r[2][:1] for r in list(self.requests) if r[0] > since}


def failed(requests):
    return [r for r in requests if r[2] == ""]


def crossings(requests):
    """How often from one half second to the next most of what is asked goes home in place of
    elsewhere, or the other way."""
    shares = collections.defaultdict(list)
    for begin, _, name in requests:
        if name:
            shares[int(begin * 2)].append(name[0] == "x")
    home = [sum(s) * 2 > len(s) for _, s in sorted(shares.items())]
    return sum(a != b for a, b in zip(home, home[1:]))


class Story:
    """What happened when, and what came of it."""

    def __init__(self, net, what):
        self.net, self.what, self.marks = net, what, {}

    def mark(self, name):
        self.marks[name] = time.monotonic()

    def tell(self, clients, capsys, more=""):
        """Prints, and holds what is to be held of every story."""
        event, back, home = (self.marks[n] for n in ("event", "back", "home"))
        all_requests = clients.requests
        by = collections.Counter(r[2][:1] or "nobody" for r in clients.between(event, back))
        late = clients.between(event + LATER, back) + clients.between(back + LATER, home + 99)
        with capsys.disabled():
            print("\n%s: %d requests, %d failed, %d of them in the first %.0f s of it, %d later, "
                  "of %d; served meanwhile by %s; home after %.1f s, %d crossings%s" % (
                      self.what, len(all_requests), len(failed(all_requests)),
                      len(failed(clients.between(event, event + LATER))), LATER,
                      len(failed(late)), len(late),
                      ", ".join("%s %d" % pair for pair in sorted(by.items())),
                      home - back, crossings(all_requests), more))
        assert len(clients.between(event + LATER, back)) > 5
        assert len(clients.between(home, home + 99)) > 5
        assert failed(clients.between(clients.begin, event - 0.2)) == []
        assert failed(late) == []


def comes_home(net, story, clients):
    """Until tokyo's servers serve all of its clients again; from then on nothing is moved."""
    wait_for(lambda: clients.recent() == {"x"}, HOME, "tokyo serving its own")
    story.mark("home")
    moved = net.x.wlad.counter("connections_transferred")
    time.sleep(WATCHED)
    assert net.x.wlad.counter("connections_transferred") == moved


def whole_site(net, capsys, what, begin, end):
    """Tokyo's servers serve nobody from begin to end."""
    story = Story(net, what)
    with Clients(net) as clients:
        time.sleep(1.0)
        story.mark("event")
        begin()
        try:
            time.sleep(LATER + 2.0)
            assert clients.recent() <= {"y", "z", "w"}
        finally:
            story.mark("back")
            end()
        comes_home(net, story, clients)
    story.tell(clients, capsys)
    meanwhile = [r for r in clients.between(story.marks["event"] + LATER, story.marks["back"])
                 if r[0] + r[1] < story.marks["back"]]
    assert {r[2][0] for r in meanwhile} == {"y", "z", "w"}
    assert crossings(clients.requests) == 2


@pytest.mark.parametrize("how", ["drain", "disable"])
def test_servers_stopped_for_maintenance(net, capsys, how):
    net.whole()
    with contextlib.ExitStack() as stopped:
        whole_site(net, capsys, "all servers: " + how,
                   lambda: stopped.enter_context(drained(net, how)), stopped.close)


def test_servers_dead(net, capsys):
    net.whole()
    whole_site(net, capsys, "all servers dead", net.x.kill_servers, net.x.revive_servers)


def another_site(net, capsys, what, kill, revive):
    """Osaka serves a part of what tokyo's servers do not take, fails, and comes back."""
    story = Story(net, what)
    net.whole()
    with drained(net), Clients(net) as clients:
        wait_for(lambda: clients.recent(2.0) >= {"y", "z", "w"}, 20, "all others serving")
        story.mark("event")
        kill()
        try:
            time.sleep(LATER + 2.0)
            assert clients.recent() == {"z", "w"}
        finally:
            story.mark("back")
            revive()
        wait_for(lambda: "y" in clients.recent(), 40, "osaka serving again")
        story.mark("home")
        time.sleep(WATCHED)
    story.tell(clients, capsys)
    # once it is back it stays, and takes no more than its part: it is led in
    after = [r[2][0] for r in clients.between(story.marks["home"], story.marks["home"] + 99)]
    assert 0 < after.count("y") < len(after) / 2


def test_daemon_dead(net, capsys):
    another_site(net, capsys, "daemon of a site killed",
                 lambda: net.y.wlad.process.kill(signal.SIGKILL), net.y.wlad.start)


def test_site_cut_off(net, capsys):
    def back():
        net.y.gw.ip("link set wan up",
                    "addr replace %s/64 dev wan nodad" % net.y.wan6,
                    "route replace default via " + net.y.hop4,
                    "route replace default via " + net.y.hop6)
    another_site(net, capsys, "site cut off", lambda: net.y.gw.link("wan", False), back)


def flooded(net, capsys, what, path, *args):
    """Twice as many connections as tokyo's servers can take, for some seconds.  Returns what wrk
    says, and how many connections tokyo's servers had in the end."""
    story = Story(net, what)
    net.whole()
    seconds = int(LATER) + 4
    with Clients(net) as clients:
        time.sleep(1.0)
        story.mark("event")
        process = net.client.start("wrk", "-t", "1", "-c", str(2 * 3 * PLACES), "-d",
                                   "%ds" % seconds, *args, net.url(net.x, path),
                                   log=net.net.path("wrk-%s-%d.log" % (path, len(args) > 0)))
        time.sleep(seconds - 0.5)
        active = net.x.wlad.service("web")["active"]
        story.mark("back")
        process.popen.wait(10)
        comes_home(net, story, clients)
    text = process.text().splitlines()
    story.tell(clients, capsys, "; tokyo's servers had %d of %d; wrk: %s" % (
        active, 3 * PLACES, ", ".join(line.strip() for line in text
                                      if "requests in" in line or "Socket errors" in line)))
    meanwhile = clients.between(story.marks["event"] + 1, story.marks["back"])
    assert {"y", "z", "w"} & {r[2][:1] for r in meanwhile}
    return "\n".join(text), active


def test_servers_highly_loaded(net, capsys):
    """Connections that stay take nearly all places."""
    _, active = flooded(net, capsys, "all servers highly loaded", "slow")
    assert active > 0.6 * 3 * PLACES


def test_flash_crowd(net, capsys):
    """As many at a time, but each request is a connection."""
    _, active = flooded(net, capsys, "flash crowd", "slow", "-H", "Connection: close")
    assert active > 0.6 * 3 * PLACES


def test_flash_crowd_of_short_connections(net, capsys):
    """The same with connections of milliseconds: thousands a second come and go, and few of them at
    a time; whoever hears late that they are over takes the other sites for full.  Behind those that stay: what
    the other sites grant follows the lives that they have seen in the last half minute, and is
    far too little now."""
    said, _ = flooded(net, capsys, "flash crowd of short connections", "who",
                      "-H", "Connection: close")
    served = int(re.search(r"(\d+) requests in", said).group(1))
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+)", said)
    refused = sum(map(int, errors.groups())) if errors else 0
    assert served > 1000
    with capsys.disabled():
        print("refused: %.2f %%" % (100.0 * refused / (served + refused)))
