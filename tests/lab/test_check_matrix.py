"""Each kind of check against a real server that is up, down, slow, half-dead and flapping: how
soon the server is out and in again, and why.

           server              down             slow              half-dead      flapping
    tcp    nginx               killed           behind a relay    SIGSTOP        filter
    tls    openssl s_server    killed           behind a relay    SIGSTOP        filter
    http   nginx               killed           behind a relay    SIGSTOP        filter
    https  nginx               killed           behind a relay    SIGSTOP        filter
    icmp   the kernel          filter refuses   behind a relay    filter drops   filter
    udp    dnsmasq             killed           behind a relay    SIGSTOP        filter
    dns    dnsmasq             killed           behind a relay    SIGSTOP        filter
    script nginx, by curl      killed           behind a relay    SIGSTOP        filter

Half-dead is who takes a question and never answers it.  A host whose kernel takes echo requests
also answers them: a filter has to drop them, which for ICMP is all the same.

All kinds go through a scene at the same time, each on a host of its own.  What flaps is refused
by a filter that counts questions, so that the length of an outage is one in checks, however
busy the machine is.
"""

import concurrent.futures
import datetime
import os
import time

import pytest

import checked as hosts
import wide
from certificates import authority, certificate
from netns import wait_for

INTERVAL, TIMEOUT, RISE, FALL = 0.2, 1.0, 2, 3
JITTER = 0.1  # an interval is longer or shorter by up to this share
SLACK = 1.5   # for a machine that has other things to do
QUICK, LATE = 0.4, 1.5  # seconds until the answer of a slow server
FAILED = FALL * INTERVAL * (1 + JITTER) + SLACK
SILENT = FALL * TIMEOUT + INTERVAL * (1 + JITTER) + SLACK
PASSED = RISE * INTERVAL * (1 + JITTER) + SLACK
SOON_OUT = (FALL - 1) * INTERVAL * (1 - JITTER)  # what is sooner is of fewer checks in a row
SOON_IN = (RISE - 1) * INTERVAL * (1 - JITTER)

HOST = "www.lab"
SYN = "tcp dport %d tcp flags & (syn | ack) == syn"
WEB, TLS, DNS, ECHO = SYN % 80, SYN % 443, "udp dport 53", "icmp type echo-request"
QUERY = bytes.fromhex("2a00 0100 0001 0000 0000 0000") + b"\5state\3lab\0" + b"\0\x10\0\1"

REFUSED, UNREACHABLE = "connection refused", "network or host unreachable"
SILENCE, NO_ANSWER = "accepted, but no answer in time", "no answer in time"

# Why: when refused, when there is no answer in time.
CAUSES = {
    "tcp": (REFUSED, SILENCE),
    "tls": (REFUSED, SILENCE),
    "http": (REFUSED, SILENCE),
    "https": (REFUSED, SILENCE),
    "icmp": (UNREACHABLE, NO_ANSWER),
    "udp": (REFUSED, NO_ANSWER),
    "dns": (REFUSED, NO_ANSWER),
    "script": ("script says that it is down", "script not finished in time"),
}


def check(kind, **more):
    return {"type": kind, "interval": INTERVAL, "timeout": TIMEOUT, "rise": RISE, "fall": FALL,
            **more}


def add_all(c, directory):
    """A service for each kind.  How often a check's packets go there and back is its trips."""
    day = datetime.timedelta(days=1)
    ca = authority(directory, "ca")
    certificate(directory, "www", HOST, ca, datetime.datetime.now(datetime.timezone.utc) - day, 30)
    pair = [os.path.join(directory, "www" + end) for end in (".crt", ".key")]
    web, names = hosts.web_server(directory, *pair), hosts.name_server()
    secure = {"host": HOST, "ca": ca + ".crt"}
    c.add("tcp", check("tcp", send="GET / HTTP/1.0\r\n\r\n", expect="all is well"), web, WEB,
          trips=2, port=80)
    c.add("tls", check("tls", **secure), hosts.tls_server(*pair), TLS, trips=2, port=443,
          families=1)
    c.add("http", check("http", host=HOST, status="200-299"), web, WEB, trips=2, port=80)
    c.add("https", check("https", status="200", expect="all is well", **secure), web, TLS,
          trips=3, port=443)
    c.add("icmp", check("icmp"), None, ECHO, trips=1, port=7)
    c.add("udp", check("udp", send="".join("\\x%02x" % octet for octet in QUERY),
                       expect="all is well"), names, DNS, trips=1, port=53)
    c.add("dns", check("dns", query="state.lab TXT"), names, DNS, trips=1, port=53)
    c.add("script", check("script", command=hosts.script(directory)), web, WEB, trips=2, port=80)


@pytest.fixture(scope="module")
def checked(wlad, directory):
    if not wide.built():
        pytest.skip("no relay: make tests/lab/wan")
    # a process dies with the thread that started it: the threads outlive the lab
    pool = concurrent.futures.ThreadPoolExecutor(len(CAUSES))
    c = hosts.Checked(directory)
    try:
        c.pool = pool
        add_all(c, directory)
        c.start()
        yield c
    finally:
        c.close()
        pool.shutdown()


# ---- the parts of scenes; each returns what is to be printed ----

def out(c, host, start, limit, cause, soonest=SOON_OUT):
    took = c.wait_state(host.name, "down", start, limit)
    assert soonest < took < limit
    # the first failures of an outage may have been others
    wait_for(lambda: c.state(host.name)[1] == cause, 3,
             "%s down: %s, not %s" % (host.name, cause, c.state(host.name)))
    return "out after %.2f s (limit %.2f): %s" % (took, limit, cause)


def back(c, host, start, limit=PASSED, soonest=0):
    took = c.wait_state(host.name, "up", start, limit)
    assert soonest < took < limit
    return "in after %.2f s (limit %.2f)" % (took, limit)


def questions(host, count):
    """Waits for so many at the filter; returns how many there were, and were refused."""
    wait_for(lambda: host.counted()[0] >= count, 3 * count * TIMEOUT,
             "%d questions to %s" % (count, host.name), interval=0.2)
    return host.counted()


def steady(c, host, state, count):
    """The state stays while so many questions come."""
    before = c.changes(host.name)
    asked, refused = questions(host, count)
    assert c.state(host.name)[0] == state
    assert c.changes(host.name) == before
    return "%s during %d questions, %d refused" % (state, asked, refused)


# ---- the scenes: each begins and ends with all that is well ----

def up(c, host):
    """By its first check, soon after the daemon is there, and for good."""
    limit = INTERVAL + TIMEOUT + SLACK
    took = c.wait_state(host.name, "up", c.begun, limit)
    assert took < limit
    host.filter()
    said = steady(c, host, "up", 2 * FALL)
    host.no_filter()
    return ["in after %.2f s (limit %.2f)" % (took, limit), said]


def down(c, host):
    start = time.monotonic()
    host.kill()
    said = [out(c, host, start, FAILED, CAUSES[host.name][0])]
    start = time.monotonic()
    host.start()
    return said + [back(c, host, start, soonest=SOON_IN)]


def slow(c, host):
    """Who answers within the timeout stays up, whose answers come later is as one who is silent."""
    host.delay(QUICK)
    host.filter()
    said = ["answers after %.1f s: %s" % (QUICK, steady(c, host, "up", 2 * FALL))]
    host.no_filter()
    start = time.monotonic()
    assert host.delay(LATE)["out"]["out"] > 0
    said.append("answers after %.1f s: %s" % (LATE, out(c, host, start, SILENT,
                                                       CAUSES[host.name][1])))
    start = time.monotonic()
    assert host.delay(0)["out"]["in"] > 0  # it has answered
    return said + [back(c, host, start, PASSED + TIMEOUT)]


def half_dead(c, host):
    start = time.monotonic()
    host.stop()
    said = [out(c, host, start, SILENT, CAUSES[host.name][1])]
    start = time.monotonic()
    host.go_on()  # what has waited is answered at once
    return said + [back(c, host, start, PASSED + TIMEOUT)]


def flapping(c, host):
    """Outages below fall do not take it out, recoveries below rise do not bring it in; what lasts
    longer is followed, once each time.  What is under way when the filter changes counts for
    either: the first of what follows may come at once.  There is time for some passes in a row,
    since one is of both addresses, and the other's answer may be late."""
    host.refuse(FALL - 1, FALL + 3)
    said = [steady(c, host, "up", 14)]
    assert host.counted()[1] >= 2 * (FALL - 1)
    start = time.monotonic()
    host.refuse()
    said.append(out(c, host, start, FAILED, CAUSES[host.name][0], soonest=0))
    host.refuse(1, RISE)
    said.append(steady(c, host, "down", 12))
    asked, refused = host.counted()
    assert asked - refused >= 2 * (RISE - 1)
    start = time.monotonic()
    host.no_filter()
    return said + [back(c, host, start), follows(c, host)]


def follows(c, host):
    """It is refused two times, for longer than takes it out, and then is not, for longer than
    brings it in."""
    before = c.changes(host.name)
    long, period = FALL + 2, FALL + RISE + 7
    host.refuse(long, period)
    asked, _ = questions(host, 2 * period)
    host.no_filter()
    c.wait_state(host.name, "up", 0, PASSED)
    outs, ins = (n - b for n, b in zip(c.changes(host.name), before))
    assert outs == ins
    assert 2 <= outs <= asked // period + 1
    return "%d questions, refused %d of %d: %d times out, %d in" % (
        asked, long, period, outs, ins)


# ---- kinds and scenes ----

def play(c, host, scene):
    """A scene that fails leaves the stage to the others as it found it."""
    try:
        return scene(c, host)
    except BaseException:
        host.mend()
        c.wait_state(host.name, "up", 0, PASSED)
        raise


@pytest.fixture(scope="module", params=[up, down, slow, half_dead, flapping],
                ids=lambda scene: scene.__name__)
def scene(request, checked):
    """What each kind made of it."""
    futures = {name: checked.pool.submit(play, checked, host, request.param)
               for name, host in checked.hosts.items()}
    concurrent.futures.wait(futures.values())
    return futures


@pytest.mark.parametrize("kind", CAUSES)
def test_check(checked, scene, kind):
    try:
        said = scene[kind].result()
    except Exception:
        print(checked.wlad.text()[-6000:])
        raise
    for line in said:
        print("%s %s" % (kind, line))
