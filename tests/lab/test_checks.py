"""Checks of the types http and icmp: how soon a server is out, and in again."""

import time

import pytest

from netns import wait_for

INTERVAL, TIMEOUT, RISE, FALL = 0.2, 0.5, 2, 3
JITTER = 1.1  # an interval is longer by up to a tenth
SLACK = 0.6   # for a machine that has other things to do
FAILED = FALL * INTERVAL * JITTER + SLACK
PASSED = RISE * INTERVAL * JITTER + SLACK
XSERVERS = {"x1", "x2", "x3"}

NO_ECHO = """table inet checks {
    chain in { type filter hook input priority 0;
        icmp type echo-request drop; icmpv6 type echo-request drop; }
}"""
NO_ECHO_V6 = """table inet checks {
    chain in { type filter hook input priority 0; icmpv6 type echo-request drop; }
}"""


def check(kind, **more):
    return {"type": kind, "interval": INTERVAL, "timeout": TIMEOUT, "rise": RISE, "fall": FALL,
            **more}


@pytest.fixture(scope="module")
def checked(lab):
    """Tokyo asks its web servers for /health and pings its name servers."""
    for s in lab.x.servers:
        s.healthy(True)
    settings = lab.x.settings()
    settings["services"][0]["check"] = check("http", path="/health", host="www.lab",
                                             status="200, 204-299")
    settings["services"][1]["check"] = check("icmp")
    lab.x.wlad.stop()
    lab.x.wlad.start(settings)
    return lab


@pytest.fixture(autouse=True)
def all_up(checked):
    checked.x.wait_up()
    checked.x.wait_up(service="dns")


def wait_state(lab, name, state, limit, service="web"):
    """Seconds until the server has the state."""
    start = time.monotonic()
    wait_for(lambda: lab.x.wlad.servers(service)[name]["state"] == state, limit + 2,
             "%s %s" % (name, state), interval=0.02)
    took = time.monotonic() - start
    print("%s %s after %.2f s, limit %.2f" % (name, state, took, limit))
    assert took < limit
    return took


def cause(lab, name, service="web"):
    return lab.x.wlad.servers(service)[name]["cause"]


def test_http_is_asked_as_configured(checked):
    """Each server, at both of its addresses, for the path, once an interval."""
    for s in checked.x.servers:
        before = len(s.requests())
        time.sleep(5 * INTERVAL)
        lines = s.requests()[before:]
        assert set(line.split(" ", 1)[1] for line in lines) == {"GET /health 200"}
        assert set(line.split()[0] for line in lines) == {checked.x.lan4, checked.x.lan6}
        assert 4 <= len(lines) <= 16


def test_http_status(checked):
    """503: out; the connections go elsewhere; 200: in again.  The log has the codes."""
    victim = checked.x.servers[0]
    victim.healthy(False)
    wait_state(checked, "x1", "down", FAILED)
    assert cause(checked, "x1") == "HTTP status not accepted"
    assert "server down service=web server=x1 address=" in checked.x.wlad.text()
    assert 'cause="HTTP status not accepted" status=503' in checked.x.wlad.text()
    assert set(checked.who_many(checked.x, 20)) == XSERVERS - {"x1"}
    victim.healthy(True)
    wait_state(checked, "x1", "up", PASSED)
    assert "server up service=web server=x1 status=200" in checked.x.wlad.text()
    assert set(checked.who_many(checked.x, 40)) == XSERVERS


def test_http_hangs(checked):
    """It accepts connections and never answers: a check of the type tcp would not notice."""
    victim = checked.x.servers[1]
    victim.hang(True)
    try:
        took = wait_state(checked, "x2", "down", FALL * TIMEOUT + FAILED)
        assert took > TIMEOUT
        assert cause(checked, "x2") == "accepted, but no answer in time"
        assert set(checked.who_many(checked.x, 20)) == XSERVERS - {"x2"}
    finally:
        victim.hang(False)
    wait_state(checked, "x2", "up", TIMEOUT + PASSED)


def test_http_refused(checked):
    victim = checked.x.servers[2]
    victim.kill()
    wait_state(checked, "x3", "down", FAILED)
    assert cause(checked, "x3") == "connection refused"
    victim.revive()
    wait_state(checked, "x3", "up", PASSED)


@pytest.mark.parametrize("rules", [NO_ECHO, NO_ECHO_V6], ids=["both", "IPv6 only"])
def test_icmp_filtered(checked, rules):
    """One address that does not answer is enough; the other service does not mind."""
    victim = checked.x.servers[0]
    victim.ns.run("nft", "-f", "-", input=rules)
    try:
        took = wait_state(checked, "x1", "down", FALL * TIMEOUT + FAILED, "dns")
        assert took > TIMEOUT
        assert cause(checked, "x1", "dns") == "no answer in time"
        assert checked.x.wlad.servers("web")["x1"]["state"] == "up"
    finally:
        victim.ns.run("nft", "delete", "table", "inet", "checks")
    wait_state(checked, "x1", "up", TIMEOUT + PASSED, "dns")


def test_icmp_host_vanishes(checked):
    victim = checked.x.servers[1]
    victim.vanish()
    try:
        # the first failure may come from the kernel, when nobody answers ARP
        wait_state(checked, "x2", "down", FALL * TIMEOUT + FAILED, "dns")
        assert cause(checked, "x2", "dns") in ("no answer in time",
                                               "network or host unreachable")
    finally:
        victim.reappear(checked.x.lan4, checked.x.lan6)
    wait_state(checked, "x2", "up", TIMEOUT + PASSED + 1, "dns")


def test_icmp_only_says_the_host_is_there(checked):
    """The name server is dead, its host is not."""
    victim = checked.x.servers[2]
    victim.kill()
    time.sleep(FAILED + FALL * TIMEOUT)
    assert checked.x.wlad.servers("dns")["x3"]["state"] == "up"
    victim.revive()
