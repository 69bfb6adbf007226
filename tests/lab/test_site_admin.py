"""What an administrator says of other sites, and to them: site, transfer, probe."""

import contextlib
import copy
import json
import socket
import time

import pytest

from lab import WEB_PORT
from netns import wait_for
from test_operator import Monitor

XSERVERS, YSERVERS = {"x1", "x2", "x3"}, {"y1", "y2", "y3"}
AT_ONCE = 0.5  # seconds
SELDOM = 5.0  # between two reports: what comes sooner was told at once


def settings(site, **peer):
    changed = copy.deepcopy(site.settings())
    changed["load"]["interval"] = SELDOM
    changed["peers"][0].update(peer)
    return changed


@pytest.fixture(scope="module")
def lab(wlad, net):
    """Sites that report seldom, and tokyo without servers of its own."""
    try:
        net.start_servers()
        net.certify()
        for site in net.sites:
            site.wlad.start(settings(site))
        net.ready()
        net.x.kill_servers()
        net.x.wait_up(0)
        net.x.wait_up(0, "dns")
    except Exception:
        print(net.report())
        raise
    return net


def served(lab):
    """By which server; "" if the connection was refused."""
    return lab.curl("-m", "3", lab.url(lab.x, "who"), check=False).strip()


def transferred(lab):
    return lab.x.wlad.counter("connections_transferred")


def osaka(lab):
    return lab.x.wlad.sites()["osaka"]


def candidate(lab, service="web"):
    """(whether, why) osaka is a candidate, as show sites and explain say."""
    shown = lab.x.wlad.site_service("osaka", service)
    status, out, _ = lab.x.wlad.control("explain", "192.0.2.2", service, json_wanted=True)
    assert status == 0
    explained = json.loads(out)["sites"][0]
    assert (explained["candidate"], explained["reason"]) == \
        (shown["candidate"], shown["reason"])
    return shown["candidate"], shown["reason"]


def wait_candidate(lab):
    """Until new connections go there, as the rate that it grants allows it too."""
    wait_for(lambda: candidate(lab) == (True, "candidate"), SELDOM + 3, "osaka as a candidate")


@contextlib.contextmanager
def connection(lab):
    """An open keep-alive connection of the client, and a way to ask over it."""
    with lab.client.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
        s.settimeout(3)
        s.connect((lab.x.v4, WEB_PORT))

        def ask():
            s.sendall(b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n")
            return s.recv(4096).split()[-1].decode()
        yield ask, "%s:%d" % s.getsockname()


def timed(function, *args):
    """(seconds, result)."""
    begin = time.monotonic()
    result = function(*args)
    return time.monotonic() - begin, result


# ---- site


def test_disabled_site_gets_no_new_connections(lab):
    wait_candidate(lab)
    with connection(lab) as (ask, _):
        server = ask()
        assert server in YSERVERS
        text = lab.x.wlad.command("site", "osaka", "disable")
        assert "disabled (was enabled)" in text
        before = transferred(lab)
        for _ in range(20):
            assert served(lab) == ""
        assert transferred(lab) == before
        assert ask() == server  # what it has stays
        assert candidate(lab) == (False, "disabled by an administrator")
        assert (osaka(lab)["state"], osaka(lab)["admin"]) == ("down", "disabled")
        assert (osaka(lab)["session"], osaka(lab)["path"]) == ("up", "alive")
        assert "osaka" in {s["site"] for s in lab.x.wlad.show("errors")["sites"]}
    # osaka does not mind, and may still send
    assert lab.y.wlad.sites()["tokyo"]["state"] == "up"
    lab.x.wlad.command("site", "osaka", "enable")
    wait_candidate(lab)
    assert set(lab.who_many(lab.x, 30)) == YSERVERS


def test_disabled_over_reload_but_not_over_restart(lab):
    lab.x.wlad.command("site", "osaka", "disable")
    lab.x.wlad.write(settings(lab.x))
    lab.x.wlad.command("reload")
    assert osaka(lab)["admin"] == "disabled"
    assert served(lab) == ""
    lab.x.wlad.stop()
    lab.x.wlad.start()
    assert osaka(lab)["admin"] == "enabled"
    lab.x.sees_up(3)
    lab.y.sees_up(0)
    wait_candidate(lab)
    assert served(lab) in YSERVERS


def test_it_is_logged_and_shown(lab):
    monitor = Monitor(lab.x.wlad)
    try:
        lab.x.wlad.command("site", "osaka", "disable")
        monitor.line("site administration changed site=osaka admin=disabled uid=0")
        lab.x.wlad.command("site", "osaka", "enable")
        monitor.line("site administration changed site=osaka admin=enabled uid=0")
        lab.x.wlad.command("transfer", "prohibit", "web")
        monitor.line("transfer permission changed service=web transfer=prohibit "
                     "by=administrator uid=0")
        lab.x.wlad.command("transfer", "permit", "web")
        monitor.line("transfer permission changed service=web transfer=permit "
                     "by=administrator uid=0")
    finally:
        monitor.interrupt()


def test_exit_statuses(lab):
    """1 for what there is not, 2 for what is no command."""
    refused = (["site", "nagoya", "disable"], ["transfer", "permit", "mail"], ["probe", "nagoya"])
    unknown = (["site", "osaka", "explode"], ["transfer", "maybe"], ["probe"])
    for lines, expected in ((refused, 1), (unknown, 2)):
        for line in lines:
            status, out, errors = lab.x.wlad.control(*line)
            assert (status, out) == (expected, "") and errors, line


# ---- transfer


def permitted(lab, service="web"):
    return lab.x.wlad.site_service("osaka", service)["permitted"]


def seen_after(lab, expected, service="web"):
    """Seconds until tokyo knows."""
    return timed(wait_for, lambda: permitted(lab, service) == expected, 3,
                 "tokyo knowing whether osaka permits transfer", 0.02)[0]


def test_prohibition_is_seen_at_once(lab):
    time.sleep(0.2)  # nothing is left to be reported
    lab.y.wlad.command("transfer", "prohibit", "web")
    assert seen_after(lab, False) < AT_ONCE
    before = transferred(lab)
    for _ in range(10):
        assert served(lab) == ""
    assert transferred(lab) == before
    assert candidate(lab) == (False, "transfer prohibited")
    # of the other service nothing was said
    assert permitted(lab, "dns") is True
    assert lab.dig(lab.x) in YSERVERS
    shown = lab.y.wlad.service("web")
    assert (shown["permitted"], shown["permitted_configured"], shown["permitted_admin"]) == \
        (False, True, False)
    assert "prohibit (set)" in lab.y.wlad.command("show", "services")
    lab.y.wlad.command("transfer", "permit", "web")
    assert seen_after(lab, True) < AT_ONCE
    wait_candidate(lab)
    assert served(lab) in YSERVERS


def test_prohibition_of_everything_stays_over_reload(lab):
    text = lab.y.wlad.command("transfer", "prohibit")
    assert "web" in text and "dns" in text
    assert seen_after(lab, False) < AT_ONCE
    assert seen_after(lab, False, "dns") < AT_ONCE
    lab.y.wlad.write(settings(lab.y))
    lab.y.wlad.command("reload")
    time.sleep(0.5)
    wait_for(lambda: permitted(lab) is not None, what="a report of the new session")
    assert permitted(lab) is False
    assert served(lab) == ""
    # osaka's own clients are served meanwhile
    assert set(lab.who_many(lab.y, 20)) == YSERVERS
    lab.y.wlad.command("transfer", "permit")
    wait_for(lambda: permitted(lab) and permitted(lab, "dns"), what="the permission")
    wait_candidate(lab)
    assert served(lab) in YSERVERS


# ---- probe


@contextlib.contextmanager
def no_udp(lab):
    """Transfer packets are lost in the wide area; sessions live."""
    lab.wan.run("nft", "-f", "-", input="""table inet admin {
        chain forward { type filter hook forward priority filter; udp dport 7210 drop; }
    }""")
    try:
        yield
    finally:
        lab.wan.run("nft", "delete", "table", "inet", "admin")


def probe(lab):
    status, out, errors = lab.x.wlad.control("probe", "osaka", json_wanted=True)
    assert errors == ""
    return status, json.loads(out)


def test_probe(lab):
    seconds, (status, answer) = timed(probe, lab)
    assert status == 0 and seconds < 2.5
    assert answer["answered"] and answer["mtu_confirmed"] and answer["direct_judged"]
    assert answer["path"] == "alive"
    assert 0 < answer["path_rtt_ms"] < 200
    assert answer["path_mtu"] == answer["peer_mtu"] == 1500
    assert answer["direct"] == answer["direct_out"] == "ok"
    assert (answer["reply"], answer["rule"]) == ("auto", 2)
    assert answer["path_answered_ms"] <= answer["waited_ms"] + 100
    text = lab.x.wlad.command("probe", "osaka")
    assert "answered" in text and "1500" in text and max(map(len, text.splitlines())) <= 80


def test_probe_without_answer(lab):
    monitor = Monitor(lab.x.wlad)
    try:
        with no_udp(lab):
            seconds, (status, answer) = timed(probe, lab)
            assert status == 1 and 1.9 < seconds < 3
            assert not answer["answered"] and not answer["mtu_confirmed"]
            wait_for(lambda: osaka(lab)["path"] == "lost", what="the path being lost")
            assert (osaka(lab)["state"], osaka(lab)["session"]) == ("down", "up")
            assert candidate(lab) == (False, "path lost")
            assert served(lab) == ""
            for view in ("sites", "summary", "errors"):
                text = lab.x.wlad.command("show", view)
                assert "path lost" in text
                assert max(map(len, text.splitlines())) <= 80
            assert "path lost" in lab.x.wlad.command("topology")
            monitor.line("path is lost site=osaka")
        wait_for(lambda: osaka(lab)["state"] == "up", what="the path being alive")
        monitor.line("path is alive site=osaka")
    finally:
        monitor.interrupt()
    wait_candidate(lab)
    assert served(lab) in YSERVERS
    assert probe(lab)[0] == 0


# ---- connections and the rule


def at_both(lab, client):
    return [next(c for c in site.wlad.connections() if c["client"] == client)
            for site in (lab.x, lab.y)]


def test_rule_2_is_shown(lab):
    with connection(lab) as (ask, client):
        ask()
        x, y = at_both(lab, client)
    assert (x["rule"], x["relay_port"], x["server"]) == (2, None, None)
    assert (y["rule"], y["relay_port"]) == (2, None)


def test_rule_3_is_shown(lab):
    """The relay port at both sites, and at tokyo the server that has answered."""
    lab.x.wlad.write(settings(lab.x, reply="transferor"))
    lab.x.wlad.command("reload")
    wait_for(lambda: osaka(lab)["state"] == "up", what="osaka being usable")
    wait_candidate(lab)
    assert (osaka(lab)["rule"], osaka(lab)["rule_reason"]) == (3, "peers.reply is transferor")
    status, out, _ = lab.x.wlad.control("explain", "192.0.2.2", "web", json_wanted=True)
    assert json.loads(out)["sites"][0]["rule"] == 3
    with connection(lab) as (ask, client):
        server = next(s for s in lab.y.servers if s.name == ask())
        x, y = at_both(lab, client)
        assert (x["kind"], x["rule"]) == ("transferred", 3)
        assert (y["kind"], y["rule"]) == ("received", 3)
        assert x["relay_port"] == y["relay_port"] > 0
        assert x["self"] == y["self"] == "%s:%d" % (lab.x.v4, x["relay_port"])
        assert x["server"] == y["server"] == "%s:8080" % server.v4
        assert (x["server_name"], y["server_name"]) == (None, server.name)
        for site in lab.sites:
            text = site.wlad.command("show", "connections")
            assert str(x["relay_port"]) in text
            assert max(map(len, text.splitlines())) <= 80
