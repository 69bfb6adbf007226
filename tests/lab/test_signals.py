"""What clients' connections say of servers: a dead one is left before any check says so, one
that returns is not flooded."""

import json
import socket
import sys
import time

import pytest

from lab import WEB_PORT
from netns import wait_for

DEAD = """table inet dead {
    counter syns { }
    chain in { type filter hook input priority 0;
        tcp dport 8080 tcp flags & (syn | ack) == syn counter name syns drop
        tcp dport 8080 drop; }
}"""

# Requests at a rate, each a connection of its own: when it began, how long it took, who answered.
VISITORS = """
import asyncio, json, sys, time
host, port, rate, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
async def visit(results, start):
    began, who = time.monotonic(), None
    try:
        async with asyncio.timeout(10):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(b"GET /who HTTP/1.0\\r\\n\\r\\n")
            who = (await reader.read()).split(b"\\r\\n\\r\\n")[-1].decode().strip()
            writer.close()
    except (OSError, asyncio.TimeoutError):
        pass
    results.append([began - start, time.monotonic() - began, who])
async def main():
    results, start, tasks = [], time.monotonic(), []
    for i in range(int(rate * seconds)):
        await asyncio.sleep(max(0, start + i / rate - time.monotonic()))
        tasks.append(asyncio.create_task(visit(results, start)))
    await asyncio.gather(*tasks)
    print(json.dumps(results))
asyncio.run(main())
"""


class Visitors:
    count = 0

    def __init__(self, lab, address, rate, seconds):
        Visitors.count += 1
        self.limit = seconds + 15
        self.started = time.monotonic()
        self.process = lab.client.start(sys.executable, "-c", VISITORS, address, str(WEB_PORT),
                                        str(rate), str(seconds),
                                        log=lab.net.path("visitors-%d" % Visitors.count))

    def results(self):
        wait_for(lambda: not self.process.running(), self.limit, "the visitors to be through")
        return [tuple(r) for r in json.loads(self.process.text())]


def syns(server):
    text = server.ns.run("nft", "-j", "list", "counters", "table", "inet", "dead")
    return [c["counter"]["packets"] for c in json.loads(text)["nftables"] if "counter" in c][0]


def start(lab, **service):
    settings = lab.x.settings()
    settings.pop("peers")
    weights = service.pop("weights", {})
    settings["services"] = settings["services"][:1]
    settings["services"][0].update(service)
    for server in settings["services"][0]["servers"]:
        server["weight"] = weights.get(server["name"], 1)
    lab.x.wlad.stop()
    lab.x.wlad.start(settings)
    lab.x.wait_up()
    return time.monotonic()


@pytest.fixture
def dead(lab):
    """Makes servers dead: nothing that comes to their port is answered, and nobody says so."""
    servers = []

    def kill(server):
        server.ns.run("nft", "-f", "-", input=DEAD)
        servers.append(server)

    def revive(server):
        server.ns.run("nft", "delete", "table", "inet", "dead")
        servers.remove(server)
    kill.revive = revive
    yield kill
    for server in list(servers):
        revive(server)


@pytest.mark.parametrize("family", ["v4", "v6"])
def test_a_dead_server_is_left(lab, dead, family):
    """By its weight every connection is to go to x1.  It dies; the next check is half a minute
    away."""
    start(lab, scheduler="ovf", weights={"x1": 1000}, check={"type": "tcp", "interval": 30.0})
    victim, rate = lab.x.servers[0], 100
    visitors = Visitors(lab, getattr(lab.x, family), rate, 6)
    time.sleep(1.5)
    dead(victim)
    died = time.monotonic() - visitors.started
    wait_for(lambda: lab.x.wlad.servers("web")["x1"]["state"] == "down", 5, "x1 down", 0.02)
    took = time.monotonic() - visitors.started - died
    server = lab.x.wlad.servers("web")["x1"]
    assert server["cause"] == "new connections get no answer" and server["checked"] == "up"
    time.sleep(0.2)
    after = syns(victim)
    results = visitors.results()
    failed = [r for r in results if r[2] is None]
    delayed = [r for r in results if r[1] > 0.5]
    print("\n%d requests, %d a second; the server died after %.1f s and was out %.2f s later: "
          "%d failed, %d delayed (by %.2f s at most), it got %d SYNs, %d of them later than that"
          % (len(results), rate, died, took, len(failed), len(delayed),
             max(r[1] for r in results), syns(victim), syns(victim) - after))
    assert len(results) == 6 * rate
    assert {r[2] for r in results if r[0] < died - 0.5} == {"x1"}
    assert not failed
    assert took < 2.5
    # those of the first second, before anybody could know: each repeats its SYN once or twice
    assert all(r[0] < died + took + 0.3 for r in delayed)
    assert len(delayed) < rate * 2.5
    assert max(r[1] for r in results) < 4
    assert syns(victim) == after
    assert "x1" not in {r[2] for r in results if r[0] > died + took + 0.3}
    assert lab.x.wlad.counter("connections_moved") > 0
    text = lab.x.wlad.text()
    assert 'server down service=web server=x1 cause="new connections get no answer"' in text


@pytest.mark.parametrize("scheduler", ["lc", "wlc", "twos", "lrt", "rr"])
def test_the_lowest_count(lab, dead, scheduler):
    """A dead server looks idle.  After its first unanswered SYNs it gets no connection more."""
    start(lab, scheduler=scheduler, check={"type": "tcp", "interval": 30.0})
    victim, rate = lab.x.servers[0], 60
    # the others have something to do, it has not
    lab.x.wlad.command("server", "web/x1", "drain")
    with lab.client.entered():
        held = [socket.create_connection((lab.x.v4, WEB_PORT), 5) for _ in range(100)]
    lab.x.wlad.command("server", "web/x1", "enable")
    dead(victim)
    results = Visitors(lab, lab.x.v4, rate, 5).results()
    for connection in held:
        connection.close()
    server = lab.x.wlad.servers("web")["x1"]
    delayed = [r for r in results if r[1] > 0.5]
    first = min((r[0] for r in delayed), default=0)
    print("\n%s: %d of %d requests delayed, by %.2f s at most, the last that was begun %.2f s after "
          "the first of them; %d SYNs; %s, %s" % (
              scheduler, len(delayed), len(results), max(r[1] for r in results),
              max((r[0] for r in delayed), default=0) - first, syns(victim), server["state"],
              server["cause"]))
    assert not [r for r in results if r[2] is None]
    assert server["avoided"] or server["state"] == "down"
    assert delayed
    assert not [r for r in delayed if r[0] > first + 1.3]


def test_not_passive(lab, dead):
    """Others come first all the same, but it is not down."""
    start(lab, scheduler="ovf", passive=False, weights={"x1": 1000},
          check={"type": "tcp", "interval": 30.0})
    dead(lab.x.servers[0])
    results = Visitors(lab, lab.x.v4, 50, 4).results()
    assert lab.x.wlad.servers("web")["x1"]["state"] == "up"
    assert lab.x.wlad.servers("web")["x1"]["avoided"] is True
    assert not [r for r in results if r[2] is None]
    assert "x1" not in {r[2] for r in results}


def test_it_returns(lab, dead):
    """The checks ask for something else and pass all the time: it is tried again now and then, by
    one connection, and comes back when that is answered."""
    victim = lab.x.servers[0]
    start(lab, check={"type": "icmp", "interval": 0.2, "timeout": 0.2})
    dead(victim)
    visitors = Visitors(lab, lab.x.v4, 60, 14)
    wait_for(lambda: lab.x.wlad.servers("web")["x1"]["state"] == "down", 5, "x1 down", 0.02)
    time.sleep(6.5)
    wasted = syns(victim)
    dead.revive(victim)
    begun = time.monotonic()

    def back():
        server = lab.x.wlad.servers("web")["x1"]
        return server["state"] == "up" and not server["avoided"] and server["unanswered"] == 0
    wait_for(back, 9, "x1 back", 0.02)
    took = time.monotonic() - begun
    results = visitors.results()
    print("\n%d SYNs to a dead server in 8 s, %d of %d requests delayed; back %.1f s after it answers again"
          % (wasted, len([r for r in results if r[1] > 0.5]), len(results), took))
    assert not [r for r in results if r[2] is None]
    assert "server tried again service=web server=x1" in lab.x.wlad.text()
    assert results[-1] and "x1" in {r[2] for r in results[-100:]}


def test_refused(lab):
    """Its nginx is gone: the kernel refuses connections, long before the next check."""
    start(lab, check={"type": "icmp", "interval": 30.0})
    victim = lab.x.servers[0]
    victim.kill()
    try:
        results = Visitors(lab, lab.x.v4, 100, 3).results()
        server = lab.x.wlad.servers("web")["x1"]
        failed = len([r for r in results if r[2] is None])
        print("\n%d of %d requests refused" % (failed, len(results)))
        assert server["state"] == "down" or server["avoided"]
        assert server["unanswered"] >= 1
        assert 1 <= failed <= 5
        assert not [r for r in results if r[2] is None and r[0] > 1]
    finally:
        victim.revive()


def test_slow_start(lab):
    """x1 comes back to a site at work; its share of the connections, second by second."""
    begun = start(lab, slow_start=8.0)
    victim, rate = lab.x.servers[0], 150
    victim.kill()
    wait_for(lambda: lab.x.wlad.servers("web")["x1"]["state"] == "down", 5, "x1 down")
    time.sleep(max(0, begun + 10.5 - time.monotonic()))
    visitors = Visitors(lab, lab.x.v4, rate, 13)
    time.sleep(0.7)
    victim.revive()
    wait_for(lambda: lab.x.wlad.servers("web")["x1"]["state"] == "up", 5, "x1 up", 0.02)
    up = time.monotonic() - visitors.started
    assert lab.x.wlad.servers("web")["x1"]["slow_start"] < 0.2
    results = visitors.results()
    shares = []
    for second in range(11):
        names = [r[2] for r in results if up + second <= r[0] < up + second + 1]
        shares.append(3 * names.count("x1") / len(names))
    print("\nof a whole share, second by second: " + " ".join("%.2f" % s for s in shares))
    assert not [r for r in results if r[2] is None]
    assert shares[0] < 0.35
    assert sum(shares[:4]) / 4 < 0.6
    assert 0.3 < sum(shares[3:5]) / 2 < 0.8
    assert 0.75 < sum(shares[8:]) / len(shares[8:]) < 1.25
    assert lab.x.wlad.servers("web")["x1"]["slow_start"] == 1
