#!/usr/bin/python3
"""Two sites, a wide area between them, and what their clients notice of overload and failure.

Everything happens in network namespaces of this machine and is gone afterwards.  Every
claim that is printed has been checked; exit status 0 only if all of them held.
"""

import hashlib
import os
import shutil
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(TOP, "tests", "lab")]

import daemon  # noqa: E402
import netns  # noqa: E402
import servers  # noqa: E402
from lab import TwoSites  # noqa: E402
from visitors import Held, Visitors, download  # noqa: E402

TOKYO, OSAKA = {"x1", "x2", "x3"}, {"y1", "y2", "y3"}
SIZE = 256 << 20     # of the download
PLACES_X, PLACES_Y = 30, 60  # connections that a server takes
HOLD = 140           # connections kept open in the overload
# What a careful provider of osaka lets out: senders that are osaka's own.
WALL = """table inet provider {
    chain forward { type filter hook forward priority filter;
        iifname "gwy" ip saddr != { 198.51.100.6, 203.0.113.20, 10.2.0.0/24 } counter drop;
        iifname "gwy" ip6 saddr { 2001:db8:a::10 } counter drop;
    }
}"""
TERMINAL = sys.stdout.isatty()
COLOURS = TERMINAL and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def coloured(code, text):
    return "\033[%sm%s\033[0m" % (code, text) if COLOURS else text


class Show:
    """What is printed: headings, a live line, claims."""

    def __init__(self):
        self.start, self.last, self.claims, self.wrong = time.monotonic(), 0.0, 0, 0

    def end_line(self):
        if TERMINAL and self.last:
            print()
        self.last = 0.0

    def heading(self, text):
        self.end_line()
        print("\n" + coloured("1", text), flush=True)

    def say(self, text):
        self.end_line()
        print("    " + text, flush=True)

    def live(self, text):
        """Rewritten in place on a terminal, a line a second elsewhere."""
        now = time.monotonic()
        if not TERMINAL and now - self.last < 1.0:
            return
        self.last = now
        line = "  %5.1f s  %s" % (now - self.start, text)
        if TERMINAL:
            print("\r\033[K" + line, end="", flush=True)
        else:
            print(line, flush=True)

    def claim(self, truth, text):
        self.end_line()
        self.claims += 1
        self.wrong += not truth
        print("    %s %s" % (coloured("32", "true ") if truth else coloured("1;31", "FALSE"), text),
              flush=True)


class Demo:
    def __init__(self, directory):
        self.show = Show()
        self.show.heading("Building two sites in network namespaces")
        content = servers.Content(os.path.join(directory, "content")).make(SIZE)
        self.lab = TwoSites(directory, content, dns=False)
        self.x, self.y = self.lab.x, self.lab.y

    def close(self):
        self.lab.close()

    def begin(self):
        lab = self.lab
        lab.start_servers()
        lab.certify()
        lab.x.wlad.start(lab.x.settings(max_connections=PLACES_X))
        lab.y.wlad.start(lab.y.settings(max_connections=PLACES_Y))
        lab.ready()
        self.show.say("tokyo  %-14s  servers x1 x2 x3, %d connections each" % (self.x.v4, PLACES_X))
        self.show.say("osaka  %-14s  servers y1 y2 y3, %d connections each" % (self.y.v4, PLACES_Y))
        self.show.say("client 192.0.2.2       knows tokyo's service addresses, nothing else")
        self.show.claim(self.x.wlad.sites()["osaka"]["state"] == "up" and
                        self.y.wlad.sites()["tokyo"]["state"] == "up",
                        "both daemons run, have verified each other and report their load")
        self.visitors = Visitors(lab.client, [self.x.v4, self.x.v6])

    # The live line.

    def numbers(self):
        now = self.visitors.snapshot()
        answers = " ".join("%s %-4d" % (n, now["answers"][n]) for n in sorted(TOKYO | OSAKA))
        return "%s again %-3d failed %d" % (answers, now["repeated"], now["failed"])

    def watch(self, seconds, until=None):
        """Shows numbers for so long, or until something is true; returns whether it became true."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.show.live(self.numbers())
            if until is not None and until():
                return True
            time.sleep(0.1 if until else 0.25)
        return until is None

    def only(self, names, seconds):
        """From now on for so long: every answer is from these, each of them answers, none fails."""
        self.visitors.stop()
        self.visitors.start()
        self.watch(seconds)
        self.visitors.stop()
        now = self.visitors.snapshot()
        self.visitors.start()
        return set(now["answers"]) == names and now["failed"] == 0 and now["repeated"] == 0

    # The stages.

    def local(self):
        self.show.heading("(1) Local service: tokyo's servers answer for tokyo's service address")
        self.show.say("answers by server; requests that had to ask again; requests that failed:")
        self.visitors.start()
        self.watch(6)
        self.visitors.stop()
        now = self.visitors.snapshot()
        self.show.claim(set(now["answers"]) == TOKYO, "all three servers of tokyo answered, and"
                        " no other: %d requests over IPv4 and IPv6" % sum(now["answers"].values()))
        self.show.claim(now["failed"] == 0 and now["repeated"] == 0, "requests failed: 0")
        site = self.x.wlad.sites()["osaka"]
        self.show.claim(site["transferred_total"] == 0, "transferred to osaka: 0")

    def overload(self):
        self.show.heading("(2) Overload: %d connections stay open, tokyo has places for %d" % (
            HOLD, 3 * PLACES_X))
        held = Held(self.lab.client, self.x.v4)
        try:
            self._fill(held)
            self._straight_back(held)
            self.show.claim(held.all_answer(),
                            "all %d connections still answer, each from the server it began with"
                            % HOLD)
        finally:
            held.close()
        netns.wait_for(lambda: self.x.wlad.service("web")["active"] == 0 and
                       self.y.wlad.service("web")["active"] == 0, 10, "closed connections leaving")

    def _fill(self, held):
        for i in range(HOLD):
            held.add()
            at = held.by_site()
            if i % 4 == 3 or i == HOLD - 1:
                x, y = self.x.wlad.service("web"), self.y.wlad.service("web")
                self.show.live(
                    "open %-4d tokyo %-4d (load %.2f)   osaka for tokyo %-4d (load %.2f)" % (
                        i + 1, at["x"], x["load"], at["y"], y["load"]))
            time.sleep(0.04)
        at = held.by_site()
        self.show.claim(at["x"] + at["y"] == HOLD, "connections refused: 0")
        self.show.claim(0 < at["x"] <= 3 * PLACES_X * 0.9 and at["y"] > 0,
                        "tokyo kept %d, below its limit, and passed %d on to osaka" % (
                            at["x"], at["y"]))
        received = len(self.y.wlad.connections("kind", "received"))
        self.show.claim(received >= at["y"], "osaka knows them as received: %d" % received)

    def _straight_back(self, held):
        self.show.say("a download of %d MB on a connection that osaka serves:" % (SIZE >> 20))
        before = [site.gw.counters("wan") for site in (self.x, self.y)]
        digest = hashlib.sha256()
        start = time.monotonic()
        got = download(held.one_at("y"), "/big", digest)
        seconds = time.monotonic() - start
        after = [site.gw.counters("wan") for site in (self.x, self.y)]
        (x_in, x_out), (y_in, y_out) = [(b[0] - a[0], b[1] - a[1]) for a, b in zip(before, after)]
        for name, came, went in (("tokyo", x_in, x_out), ("osaka", y_in, y_out)):
            self.show.say("  %s's link to the wide area: in %7.2f MB, out %7.2f MB" % (
                name, came / 1e6, went / 1e6))
        self.show.claim(got == SIZE and digest.hexdigest() == self.lab.content.big_sum,
                        "it arrived whole (SHA-256), %.2f Gbit/s" % (got * 8 / seconds / 1e9))
        self.show.claim(y_out > SIZE and x_out < SIZE // 10 and x_in < SIZE // 10,
                        "the replies went from osaka straight to the client, not through tokyo")

    def server_dies(self):
        self.show.heading("(3) A server dies: x1 is killed")
        self.visitors.start()
        self.watch(2)
        self.x.servers[0].kill()
        start = time.monotonic()
        noticed = self.watch(10, lambda: self.x.wlad.servers()["x1"]["state"] == "down")
        took = time.monotonic() - start
        self.watch(2)
        self.visitors.stop()
        now = self.visitors.snapshot()
        self.show.claim(noticed, "tokyo noticed after %.1f s" % took)
        self.show.claim(now["failed"] == 0, "requests failed: 0 (asked again meanwhile: %d,"
                        " slowest answer %.2f s)" % (now["repeated"], now["slowest"]))
        self.show.claim(self.only(TOKYO - {"x1"}, 2), "x2 and x3 answer everything at once")

    def site_dies(self):
        self.show.heading("(4) All servers of tokyo are dead: x2 and x3 are killed too")
        self.visitors.stop()
        self.visitors.start()
        self.watch(2)
        for server in self.x.servers[1:]:
            server.kill()
        start = time.monotonic()
        noticed = self.watch(10, lambda: self.x.wlad.up() == 0)
        took = time.monotonic() - start
        self.watch(4)
        self.visitors.stop()
        now = self.visitors.snapshot()
        self.show.claim(noticed, "tokyo noticed after %.1f s" % took)
        self.show.claim(now["failed"] == 0, "requests failed: 0 (asked again meanwhile: %d,"
                        " slowest answer %.2f s)" % (now["repeated"], now["slowest"]))
        self.show.claim(self.only(OSAKA, 4),
                        "osaka's servers answer for tokyo's address; nobody notices")

    def recovery(self):
        self.show.heading("(5) Recovery: tokyo's servers are started again")
        self.visitors.stop()
        self.visitors.start()
        self.watch(1)
        self.x.start_servers()
        start = time.monotonic()
        back = self.watch(10, lambda: self.x.wlad.up() == 3)
        took = time.monotonic() - start
        self.visitors.stop()
        now = self.visitors.snapshot()
        self.show.claim(back, "tokyo's servers are in service again after %.1f s" % took)
        self.show.claim(now["failed"] == 0 and now["repeated"] == 0, "requests failed: 0")
        self.show.claim(self.only(TOKYO, 4), "tokyo's servers answer everything again")
        self.visitors.stop()

    def wall(self):
        self.show.heading("(6) Osaka's provider drops every packet that carries a foreign sender")
        self.lab.wan.run("nft", "-f", "-", input=WALL)
        for name in sorted(TOKYO):
            self.x.wlad.command("server", "web/" + name, "disable")
        self.show.say("tokyo's servers are taken out of service, so that osaka has to answer;")
        self.show.say("its direct replies are dropped, which its probes find out")
        self.y.wlad.command("probe", "tokyo")
        start = time.monotonic()
        blocked = self.watch(20, lambda: self.x.wlad.sites()["osaka"]["direct"] == "blocked")
        took = time.monotonic() - start
        self.show.claim(blocked, "after %.1f s tokyo asks for replies by way of itself (rule 3)"
                        % took)
        self.visitors.start()
        self.show.claim(self.only(OSAKA, 4), "osaka's servers answer for tokyo's address all the"
                        " same; nobody notices")
        self.visitors.stop()
        self._by_way_of_tokyo()
        self.lab.wan.run("nft", "flush", "ruleset")
        for name in sorted(TOKYO):
            self.x.wlad.command("server", "web/" + name, "enable")

    def _by_way_of_tokyo(self):
        before = self.x.gw.counters("wan")
        whole = self.lab.download_sum(self.x, "big") == self.lab.content.big_sum
        after = self.x.gw.counters("wan")
        came, went = [b - a for a, b in list(zip(before, after))[:2]]
        self.show.say("a download of %d MB: tokyo's link in %.2f MB, out %.2f MB" % (
            SIZE >> 20, came / 1e6, went / 1e6))
        self.show.claim(whole and came > SIZE and went > SIZE,
                        "it arrived whole (SHA-256), by way of tokyo")

    def end(self):
        self.show.heading("The end")
        self.show.claim(self.x.wlad.stop() == 0 and self.y.wlad.stop() == 0,
                        "both daemons ended in good order")
        show = self.show
        show.say("%d claims, %d false, %.0f s" % (show.claims, show.wrong,
                                                  time.monotonic() - show.start))
        return show.wrong == 0

    def run(self):
        self.begin()
        self.local()
        self.overload()
        self.server_dies()
        self.site_dies()
        self.recovery()
        self.wall()
        return self.end()


def main():
    missing = netns.missing_tools(["ip", "nginx", "openssl", "sha256sum"])
    reason = "needs " + ", ".join(missing) if missing else netns.unusable()
    if not daemon.built():
        reason = reason or "no wlad in " + daemon.BUILDDIR
    if reason:
        print("demo: " + reason, file=sys.stderr)
        return 1
    netns.end_on_signals()
    netns.sweep()
    directory = tempfile.mkdtemp(prefix="wl%d-" % os.getpid(),
                                 dir=servers.content_directory(tempfile.gettempdir()))
    os.chmod(directory, 0o755)
    demo = None
    try:
        demo = Demo(directory)
        good = demo.run()
        if not good:
            print(demo.lab.report(), file=sys.stderr)
        return 0 if good else 1
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    except (netns.LabError, OSError) as error:
        print("\ndemo: %s" % error, file=sys.stderr)
        if demo is not None:
            print(demo.lab.report(), file=sys.stderr)
        return 1
    finally:
        if demo is not None:
            demo.close()
        shutil.rmtree(directory)


if __name__ == "__main__":
    sys.exit(main())
