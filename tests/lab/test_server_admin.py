"""Servers that are added, changed and removed at run time, and the configuration that is saved."""

import copy
import os
import pwd
import re
import signal
import socket
import subprocess
import time

import pytest

import daemon
from lab import WEB_PORT
from netns import wait_for
from test_operator import Monitor


def two_servers(site):
    """A configuration that does not have the third server."""
    settings = copy.deepcopy(site.settings())
    for service in settings["services"]:
        service["servers"] = service["servers"][:2]
    return settings


@pytest.fixture(scope="module")
def lab(wlad, net):
    """Tokyo knows two of its three servers."""
    try:
        net.start_servers()
        net.certify()
        net.x.wlad.start(two_servers(net.x))
        net.y.wlad.start(net.y.settings())
        net.x.wait_up(2)
        net.y.wait_up()
        net.y.sees_up(2)
    except Exception:
        print(net.report())
        raise
    return net


@pytest.fixture
def fresh(lab):
    """The file as it was at first, and nothing else in force."""
    yield lab
    lab.x.wlad.write(two_servers(lab.x))
    if not lab.x.wlad.running():
        lab.x.wlad.start()
    for name, server in lab.x.wlad.servers("web").items():
        if server["origin"] == "run-time":
            lab.x.wlad.command("server", "remove", "web/" + name, "force")
    lab.x.wlad.command("reload")
    for name in ("x1", "x2"):
        lab.x.wlad.command("server", "reset", "web/" + name)
        lab.x.wlad.command("server", "web/" + name, "enable")
    lab.x.wait_up(2)


def third(lab):
    return next(s for s in lab.x.servers if s.name == "x3")


def add_third(lab, *settings):
    s = third(lab)
    return lab.x.wlad.command("server", "add", "web/x3", "address", "%s,%s" % (s.v4, s.v6),
                              "port", "8080", *settings)


def state(lab, name):
    return lab.x.wlad.servers("web").get(name, {}).get("state")


class Load:
    """curl asks again and again; what failed is counted."""

    def __init__(self, lab, count):
        self.process = subprocess.Popen(
            lab.client.command("curl", "-s", "-m", "5", "-H", "Connection: close",
                               "-w", "%{http_code}\n", "--rate", "200/s",
                               lab.url(lab.x, "who?[1-%d]" % count)),
            stdout=subprocess.PIPE, text=True)

    def end(self):
        """(answers by server, requests that failed)"""
        lines = self.process.communicate(timeout=60)[0].split()
        names = [line for line in lines if not line.isdigit()]
        return ({n: names.count(n) for n in set(names)},
                sum(line != "200" for line in lines if line.isdigit()))


def test_third_server_under_load(fresh):
    """Added under load it gets its share, of both families; removed it gets nothing; nothing fails."""
    lab = fresh
    assert set(lab.who_many(lab.x, 40)) == {"x1", "x2"}
    load = Load(lab, 1200)
    monitor = Monitor(lab.x.wlad)
    try:
        out = add_third(lab, "weight", "2")
        assert "added" in out
        assert "uid=0" in monitor.line("server added service=web server=x3")
        wait_for(lambda: state(lab, "x3") == "up", what="the added server is up")
    finally:
        monitor.interrupt()
    shown = lab.x.wlad.servers("web")["x3"]
    assert shown["origin"] == "run-time" and shown["weight"] == 2
    assert lab.x.wlad.servers("web")["x1"]["origin"] == "file"
    assert "added" in lab.x.wlad.command("show", "servers", "web")
    assert set(lab.who_many(lab.x, 60)) == {"x1", "x2", "x3"}
    assert set(lab.who_many(lab.x, 60, v6=True)) == {"x1", "x2", "x3"}
    lab.y.sees_up(3)  # the other site has heard of it
    names, failed = load.end()
    print("under load while a server was added: %s, %d failed" % (names, failed))
    assert failed == 0 and names.get("x3", 0) > 0
    load = Load(lab, 600)
    time.sleep(0.5)
    lab.x.wlad.command("server", "web/x3", "drain")
    wait_for(lambda: lab.x.wlad.servers("web")["x3"]["active"] == 0, what="it has finished")
    lab.x.wlad.command("server", "remove", "web", "x3")
    names, failed = load.end()
    print("under load while a server was removed: %s, %d failed" % (names, failed))
    assert failed == 0
    assert "x3" not in lab.x.wlad.servers("web")
    assert set(lab.who_many(lab.x, 40)) == {"x1", "x2"}
    lab.y.sees_up(2)


def test_weight_of_the_added_one_counts(fresh):
    """wrr by weights is exact: 1, 1 and 2 of 4."""
    lab = fresh
    settings = two_servers(lab.x)
    settings["services"][0]["scheduler"] = "wrr"
    lab.x.wlad.write(settings)
    lab.x.wlad.command("reload")
    add_third(lab, "weight", "2")
    wait_for(lambda: state(lab, "x3") == "up", what="the added server is up")
    time.sleep(0.3)
    names = lab.who_many(lab.x, 80)
    counts = {n: names.count(n) for n in sorted(set(names))}
    print("80 requests over weights 1, 1, 2: %s" % counts)
    assert abs(counts["x3"] - 40) <= 2 and abs(counts["x1"] - 20) <= 2
    lab.x.wlad.command("server", "set", "web/x3", "weight", "6")
    names = lab.who_many(lab.x, 80)
    assert abs(names.count("x3") - 60) <= 3


def test_save_and_restart(fresh):
    """What is in force is saved, and is what the next daemon has."""
    lab = fresh
    wlad = lab.x.wlad
    add_third(lab, "max-connections", "500")
    wlad.command("server", "web/x2", "weight", "3")
    wlad.command("server", "remove", "dns/x2", "force")
    wlad.command("transfer", "prohibit", "dns")
    os.chown(wlad.conf, pwd.getpwnam("nobody").pw_uid, -1)
    os.chmod(wlad.conf, 0o640)
    before = open(wlad.conf).read()
    out = wlad.command("config", "save")
    assert wlad.conf in out and "reloaded" in out
    assert daemon.check(wlad.conf) == (0, "configuration OK\n")
    assert open(wlad.conf + "~").read() == before
    st = os.stat(wlad.conf)
    assert st.st_uid == pwd.getpwnam("nobody").pw_uid and st.st_mode & 0o777 == 0o640
    # now it is all the file's: nothing is an administrator's any more
    servers = wlad.servers("web")
    assert {n: s["origin"] for n, s in servers.items()} == {n: "file" for n in ("x1", "x2", "x3")}
    assert servers["x2"]["weight_admin"] is None and servers["x2"]["weight"] == 3
    assert set(wlad.servers("dns")) == {"x1"}
    text = wlad.text()
    assert re.search(r"run-time change of server ended service=web server=x3 was=added", text)
    assert re.search(r"run-time change of server ended service=dns server=x2 was=removed", text)
    wlad.stop()
    wlad.start()
    lab.x.wait_up(3)
    servers = wlad.servers("web")
    assert servers["x3"]["max_connections"] == 500 and servers["x2"]["weight"] == 3
    assert set(wlad.servers("dns")) == {"x1"}
    assert not wlad.service("dns")["permitted"] and wlad.service("web")["permitted"]
    names = lab.who_many(lab.x, 200)
    counts = {n: names.count(n) for n in sorted(set(names))}
    print("200 requests after the restart, weights 1, 3, 1: %s" % counts)
    assert set(counts) == {"x1", "x2", "x3"} and counts["x2"] > counts["x1"]
    # a second time nothing changes but the head
    wlad.command("config", "save")
    assert open(wlad.conf).read().split("\n")[1:] == open(wlad.conf + "~").read().split("\n")[1:]


def test_save_refuses_to_lose_work(fresh):
    lab = fresh
    wlad = lab.x.wlad
    add_third(lab)
    with open(wlad.conf, "a") as f:
        f.write("# somebody edits it\n")
    status, out, errors = wlad.control("config", "save")
    assert (status, out) == (1, "") and "has changed since" in errors
    assert open(wlad.conf).read().endswith("# somebody edits it\n")
    wlad.command("config", "save", "force")
    assert "somebody" not in open(wlad.conf).read()
    other = lab.net.path("other.conf")
    out = wlad.command("config", "save", other)
    assert "reloaded" not in out
    assert daemon.check(other)[0] == 0
    status, _, errors = wlad.control("config", "save", other)
    assert status == 1 and "exists" in errors
    wlad.command("config", "save", other, "force")
    status, _, errors = wlad.control("config", "save", "/nowhere/x.conf")
    assert status == 1 and "/nowhere" in errors
    wlad.command("server", "web/x1", "drain")
    assert "web/x1 is draining" in wlad.command("config", "save", other, "force")


def test_removed_stays_removed(fresh):
    """Over a reload of a file that has it; until it is reset, or the daemon starts anew."""
    lab = fresh
    wlad = lab.x.wlad
    wlad.command("server", "remove", "web/x2", "force")
    assert wlad.servers("web")["x2"]["removed"]
    assert set(lab.who_many(lab.x, 30)) == {"x1"}
    wlad.command("reload")
    shown = wlad.servers("web")["x2"]
    assert shown["removed"] and not shown["present"] and shown["origin"] == "file"
    assert set(lab.who_many(lab.x, 30)) == {"x1"}
    status, _, errors = wlad.control("server", "remove", "web/x1", "force")
    assert status == 1 and "at least one server" in errors
    wlad.command("server", "reset", "web/x2")
    lab.x.wait_up(2)
    assert set(lab.who_many(lab.x, 40)) == {"x1", "x2"}
    wlad.command("server", "remove", "web/x2", "force")
    wlad.stop()
    wlad.start()
    lab.x.wait_up(2)


def held(lab):
    """An open connection: (socket, server)."""
    s = lab.client.socket(socket.AF_INET, socket.SOCK_STREAM)
    s.settimeout(3)
    s.connect((lab.x.v4, WEB_PORT))
    s.sendall(b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n")
    return s, s.recv(4096).split()[-1].decode()


def test_removal_with_connections(fresh):
    """Refused unless forced; then they are those of a server that is down."""
    lab = fresh
    wlad = lab.x.wlad
    s, name = held(lab)
    with s:
        status, _, errors = wlad.control("server", "remove", "web/" + name)
        assert status == 1 and "1 connections" in errors and "force" in errors
        assert wlad.servers("web")[name]["present"]
        wlad.command("server", "remove", "web/" + name, "force")
        with pytest.raises(ConnectionResetError):
            s.recv(100)
    assert wlad.servers("web")[name]["active"] == 0


def test_set_port_and_address(fresh):
    """Connections go on where they are; new ones go to the new place."""
    lab = fresh
    wlad = lab.x.wlad
    wlad.command("server", "web/x2", "disable")
    s, name = held(lab)
    assert name == "x1"
    with s:
        x3 = third(lab)
        wlad.command("server", "set", "web/x1", "address", "%s,%s" % (x3.v4, x3.v6))
        lab.x.wait_up(2)
        assert set(lab.who_many(lab.x, 20)) == {"x3"}
        s.sendall(b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n")
        assert s.recv(4096).split()[-1] == b"x1"
    assert wlad.servers("web")["x1"]["changed"] == ["address"]
    wlad.command("server", "set", "web/x1", "address", "reset")
    wlad.command("server", "set", "web/x1", "port", "9")
    wait_for(lambda: state(lab, "x1") == "down", what="nothing listens on port 9")
    wlad.command("server", "set", "web/x1", "port", "reset")
    wait_for(lambda: state(lab, "x1") == "up", what="the file's port again")
    assert wlad.servers("web")["x1"]["changed"] == []


def test_file_takes_over(fresh):
    """A server of the same name in a new file is the file's."""
    lab = fresh
    wlad = lab.x.wlad
    add_third(lab, "weight", "9")
    wlad.write(lab.x.settings())
    wlad.process.popen.send_signal(signal.SIGHUP)
    wait_for(lambda: wlad.servers("web")["x3"]["origin"] == "file", what="the file's server")
    assert wlad.servers("web")["x3"]["weight"] == 1
    assert "reason=\"the file has a server of that name now\"" in wlad.text()


def test_a_contradiction_is_told(fresh):
    """The new file has another server at the address of an added one."""
    lab = fresh
    wlad = lab.x.wlad
    add_third(lab)
    settings = two_servers(lab.x)
    s = third(lab)
    settings["services"][0]["servers"].append(
        {"name": "other", "address": s.v4, "port": 8080})
    wlad.write(settings)
    wlad.command("reload")
    assert "x3" not in wlad.servers("web") and "other" in wlad.servers("web")
    assert "run-time change of server given up service=web server=x3" in wlad.text()


def test_refusals(fresh):
    lab = fresh
    for arguments, what in (
            (["add", "web/x1", "address", "10.1.0.99"], "already"),
            (["add", "web/n", "address", "10.1.0.11", "port", "8080"], "same port"),
            (["add", "web/n", "address", lab.x.v4], "address of service"),
            (["add", "web/n", "address", lab.x.self4], "self_addresses"),
            (["add", "web/n", "address", "127.0.0.1"], "cannot be a server"),
            (["add", "web/n", "address", "10.1.0.99,10.1.0.98"], "one of each"),
            (["add", "web/n", "address", "nonsense"], "IPv4 or IPv6 address"),
            (["add", "web/n", "address", "10.1.0.99", "port", "65536"], "1 to 65535"),
            (["add", "web/n", "address", "10.1.0.99", "weight", "65536"], "0 to 65535"),
            (["add", "web/n"], "lacks address"),
            (["add", "web/-n", "address", "10.1.0.99"], "no name"),
            (["add", "nothing/n", "address", "10.1.0.99"], 'no service "nothing"'),
            (["remove", "web/nobody"], "no server"),
            (["set", "web/x1"], "lacks a setting"),
            (["set", "web/x1", "port", "0"], "1 to 65535")):
        status, out, errors = lab.x.wlad.control("server", *arguments)
        assert status in (1, 2) and out == "", arguments
        assert what in errors, (arguments, errors)
    assert set(lab.x.wlad.servers("web")) == {"x1", "x2"}


@pytest.mark.parametrize("admin", [None, "drain", "disable"])
@pytest.mark.parametrize("weight", [None, "3"])
@pytest.mark.parametrize("transfer", [None, "prohibit"])
@pytest.mark.parametrize("site", [None, "disable"])
def test_state_survives_reload(lab, admin, weight, transfer, site):
    wlad = lab.x.wlad
    if admin:
        wlad.command("server", "web/x1", admin)
    if weight:
        wlad.command("server", "web/x1", "weight", weight)
    if transfer:
        wlad.command("transfer", transfer, "web")
    if site:
        wlad.command("site", "osaka", site)
    try:
        wlad.command("reload")
        server = wlad.servers("web")["x1"]
        assert server["admin"] == {None: "enabled", "drain": "draining",
                                   "disable": "disabled"}[admin]
        assert server["weight_admin"] == (int(weight) if weight else None)
        assert wlad.service("web")["permitted_admin"] == (False if transfer else None)
        assert wlad.sites()["osaka"]["admin"] == ("disabled" if site else "enabled")
    finally:
        wlad.command("server", "web/x1", "enable")
        wlad.command("server", "web/x1", "weight", "reset")
        wlad.command("transfer", "reset", "web")
        wlad.command("site", "osaka", "enable")
