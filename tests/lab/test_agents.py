"""Agents: an HAProxy that follows two sites, and a site that follows agents of its servers, one of
them another wlad."""

import collections
import contextlib
import shutil
import socket
import threading

import pytest

from lab import SERVERS, WEB_PORT
from netns import wait_for

LISTEN = 7211       # where a service says how it does
AGENT = 9999        # where a server's agent does
INTERVAL = 0.2      # of questions, seconds
PLACES = 10         # connections that a server takes
FRONT = 8000        # HAProxy's port

HAPROXY = """
global
    stats socket {socket} mode 600 level admin
defaults
    mode tcp
    timeout connect 2s
    timeout client 60s
    timeout server 60s
    timeout check 1s
listen front
    bind 127.0.0.1:{front}
    balance roundrobin
"""
# Its own checks ask the agent's port: what the service itself would refuse, the agent is to tell.
FOLLOWED = """    server {name} {address}:{port} weight 100 check addr {agent} port {agent_port} \
inter 300ms fall 2 rise 1 agent-check agent-addr {agent} agent-port {agent_port} agent-inter 200ms agent-send "{name}\\n"
"""


class Scripted:
    """An agent in a server's namespace that says one line again and again."""

    def __init__(self, server, line, v6=False):
        self.server, self.line, self.v6, self.asked = server, line, v6, 0
        self.heard = b""
        self.socket = None
        self.start()

    def start(self):
        family = socket.AF_INET6 if self.v6 else socket.AF_INET
        self.socket = self.server.ns.socket(family, socket.SOCK_STREAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("::" if self.v6 else "0.0.0.0", AGENT))
        self.socket.listen(64)
        self.thread = threading.Thread(target=self._serve, args=(self.socket,), daemon=True)
        self.thread.start()

    def _serve(self, listener):
        while True:
            try:
                caller, _ = listener.accept()
            except OSError:
                return
            with caller, contextlib.suppress(OSError):
                self.asked += 1
                caller.settimeout(1)
                self.heard = caller.recv(100)
                caller.sendall(self.line.encode())

    def stop(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join(5)


class HAProxy:
    """An HAProxy at the client that distributes over both sites."""

    def __init__(self, net):
        self.net, self.path = net, net.net.path("haproxy.sock")
        conf = net.net.path("haproxy.cfg")
        with open(conf, "w") as f:
            f.write(HAPROXY.format(socket=self.path, front=FRONT))
            for site in net.sites:
                f.write(FOLLOWED.format(name=site.name, address=site.v4, port=WEB_PORT,
                                        agent=site.wan4, agent_port=LISTEN))
        self.process = net.client.start("haproxy", "-db", "-f", conf)
        wait_for(self.servers, what="haproxy")

    def ask(self, command):
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as s:
            s.connect(self.path)
            s.sendall(command.encode() + b"\n")
            return b"".join(iter(lambda: s.recv(65536), b"")).decode()

    def servers(self):
        """(status, weight) of each."""
        try:
            lines = self.ask("show stat").splitlines()
        except OSError:
            return None
        names = lines[0].lstrip("# ").split(",")
        rows = [dict(zip(names, line.split(","))) for line in lines[1:] if line]
        return {r["svname"]: (r["status"], int(r["weight"])) for r in rows
                if r["svname"] not in ("FRONTEND", "BACKEND")}

    def wait(self, site, wanted, what, timeout=6.0):
        wait_for(lambda: wanted(*self.servers()[site.name]), timeout,
                 "%s: %s, is %s" % (site.name, what, self.servers()[site.name]))

    def who(self, count):
        """How many connections each site's servers served."""
        url = "http://127.0.0.1:%d/who" % FRONT
        names = self.net.curl("-m", "5", "-H", "Connection: close", *[url] * count).split()
        return collections.Counter(n[0] for n in names)


def listening(site, **more):
    """A configuration whose web service is an agent; no dns, other sites stay."""
    settings = site.settings(max_connections=PLACES)
    settings["services"] = settings["services"][:1]
    settings["services"][0]["agent_listen"] = "%s:%d" % (site.wan4, LISTEN)
    settings["services"][0].update(more)
    return settings


@pytest.fixture(scope="module")
def sites(wlad, net):
    net.start_servers()
    net.certify()
    return net


@pytest.fixture
def followed(sites):
    """Both sites, not knowing each other, and an HAProxy in front of them."""
    if not shutil.which("haproxy"):
        pytest.skip("needs haproxy")
    for site in sites.sites:
        settings = listening(site)
        settings["peers"] = ()
        site.wlad.start(settings)
    for site in sites.sites:
        site.wait_up()
    haproxy = HAProxy(sites)
    for site in sites.sites:
        haproxy.wait(site, lambda status, weight: status == "UP" and weight >= 90, "up at first")
    yield haproxy
    haproxy.process.stop()
    for site in sites.sites:
        site.wlad.stop()


def all_servers(site, word):
    for s in site.servers:
        site.wlad.command("server", "web/" + s.name, word)


def test_haproxy_follows_a_drained_service(followed, sites):
    x, y = sites.sites
    assert set(followed.who(20)) == {"x", "y"}
    all_servers(x, "drain")
    followed.wait(x, lambda status, weight: status.startswith("DRAIN"), "drained")
    assert set(followed.who(20)) == {"y"}
    assert "up drain" in x.wlad.command("show", "services")
    all_servers(x, "enable")
    followed.wait(x, lambda status, weight: status == "UP" and weight >= 90, "enabled")
    assert set(followed.who(20)) == {"x", "y"}
    all_servers(x, "disable")
    followed.wait(x, lambda status, weight: status.startswith("MAINT"), "out of service")
    all_servers(x, "enable")
    followed.wait(x, lambda status, weight: status == "UP" and weight >= 90, "in service again")


def test_haproxy_follows_servers_that_are_down(followed, sites):
    x, y = sites.sites
    x.kill_servers()
    x.wait_up(0)
    followed.wait(x, lambda status, weight: status.startswith("DOWN"), "down")
    assert set(followed.who(10)) == {"y"}
    x.revive_servers()
    x.wait_up()
    followed.wait(x, lambda status, weight: status == "UP", "up again")
    assert x.wlad.counter("agent_answers") >= 3


def test_haproxy_follows_the_load(followed, sites):
    """Half of the places at one site taken: half of the weight, half of the connections."""
    x, y = sites.sites
    with contextlib.ExitStack() as stack:
        for _ in range(SERVERS * PLACES // 2):
            s = stack.enter_context(sites.client.socket(socket.AF_INET, socket.SOCK_STREAM))
            s.settimeout(3)
            s.connect((x.v4, WEB_PORT))
        followed.wait(x, lambda status, weight: 40 <= weight <= 60, "half free")
        status, weight = followed.servers()[y.name]
        assert status == "UP" and weight >= 90
        served = followed.who(90)
        print("weights %s, served %s" % (followed.servers(), dict(served)))
        assert 20 <= served["x"] <= 40 and sum(served.values()) == 90
    followed.wait(x, lambda status, weight: weight >= 90, "free again")


def test_another_site_serves(sites):
    """Without own servers a site says so, and still that it is up."""
    x, y = sites.sites
    x.wlad.start(listening(x))
    y.wlad.start(listening(y))
    try:
        x.wait_up()
        y.wait_up()
        x.sees_up(SERVERS)
        x.kill_servers()
        wait_for(lambda: x.wlad.service("web")["agent_says"] == "up ready 1% #other sites serve",
                 what="other sites to serve")
        assert ask(sites, x.wan4) == "up ready 1% #other sites serve\n"
        assert sites.who(x).startswith("y")
    finally:
        x.revive_servers()
        for site in sites.sites:
            site.wlad.stop()


def ask(sites, address, port=LISTEN):
    """What an agent says to a client that only listens."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with sites.client.socket(family, socket.SOCK_STREAM) as s:
        s.settimeout(3)
        s.connect((address, port))
        return b"".join(iter(lambda: s.recv(1000), b"")).decode()


def refused(sites, address):
    try:
        ask(sites, address)
    except ConnectionRefusedError:
        return True
    return False


# wlad asks.


@pytest.fixture
def asking(sites):
    """Tokyo alone; each of its servers has an agent."""
    agents = {s.name: Scripted(s, "up ready\n") for s in sites.x.servers}
    settings = sites.x.settings()
    settings["peers"] = ()
    settings["services"] = settings["services"][:1]
    settings["services"][0].update(
        scheduler="wrr", agent={"port": AGENT, "interval": INTERVAL, "timeout": 0.5,
                                "send": "web\\n"})
    sites.x.wlad.start(settings)
    sites.x.wait_up()
    wait_for(lambda: all(s["agent"]["age_s"] is not None
                         for s in sites.x.wlad.servers("web").values()), what="agents")
    yield sites.x, agents, settings
    sites.x.wlad.stop()
    for agent in agents.values():
        agent.stop()


def said(site, name):
    return site.wlad.servers("web")[name]["agent"]


def says(site, agents, name, line, condition):
    agents[name].line = line
    wait_for(lambda: condition(said(site, name)), what="%s: %s" % (name, line.strip()))


def test_wlad_follows_its_agents(sites, asking):
    x, agents, _ = asking
    assert set(sites.who_many(x, 30)) == {"x1", "x2", "x3"}
    assert agents["x1"].heard == b"web\n"

    says(x, agents, "x1", "drain #backup\n", lambda a: a["admin"] == "drain")
    assert set(sites.who_many(x, 30)) == {"x2", "x3"}
    server = x.wlad.servers("web")["x1"]
    assert server["state"] == "up" and server["admin"] == "enabled"
    assert server["agent"]["description"] == "backup"
    text = x.wlad.command("show", "servers", "web")
    assert 'drain, "backup"' in text
    says(x, agents, "x2", "maint\n", lambda a: a["admin"] == "maint")
    assert set(sites.who_many(x, 30)) == {"x3"}
    says(x, agents, "x1", "up\n", lambda a: a["admin"] == "ready")
    says(x, agents, "x2", "stopped\n", lambda a: a["down"] and a["admin"] == "ready")
    assert set(sites.who_many(x, 30)) == {"x1", "x3"}
    assert x.wlad.servers("web")["x2"]["state"] == "down" and \
        x.wlad.servers("web")["x2"]["cause"] == "agent says stopped"
    says(x, agents, "x2", "up\n", lambda a: not a["down"])
    assert set(sites.who_many(x, 30)) == {"x1", "x2", "x3"}


def test_weights_change(sites, asking):
    """A percentage of a weight of 1 is that percentage."""
    x, agents, _ = asking
    says(x, agents, "x1", "50%\n", lambda a: a["weight"] == 50)
    says(x, agents, "x2", "25%\n", lambda a: a["weight"] == 25)
    served = collections.Counter(sites.who_many(x, 175))
    print(dict(served))
    assert abs(served["x3"] - 100) <= 3 and abs(served["x1"] - 50) <= 3 and \
        abs(served["x2"] - 25) <= 3
    says(x, agents, "x1", "weight:0\n", lambda a: a["weight"] == 0)
    assert set(sites.who_many(x, 30)) == {"x2", "x3"}
    assert x.wlad.servers("web")["x2"]["load"] >= 0.75
    says(x, agents, "x3", "up maxconn:7\n", lambda a: a["max_connections"] == 7)
    assert x.wlad.servers("web")["x3"]["max_connections"] == 7


def test_a_failed_check_stands(sites, asking):
    x, agents, _ = asking
    x.servers[0].kill()
    wait_for(lambda: x.wlad.servers("web")["x1"]["state"] == "down", what="x1 down")
    asked = agents["x1"].asked
    agents["x1"].line = "up ready 100%\n"
    wait_for(lambda: agents["x1"].asked > asked + 4, what="questions")
    server = x.wlad.servers("web")["x1"]
    assert server["state"] == "down" and server["cause"] == "connection refused"
    assert server["agent"]["fault"] is None and not server["agent"]["down"]
    assert set(sites.who_many(x, 20)) == {"x2", "x3"}
    x.servers[0].revive()
    x.wait_up()


def test_an_agent_that_is_gone(sites, asking):
    """Nothing changes, and it shows."""
    x, agents, _ = asking
    says(x, agents, "x1", "drain\n", lambda a: a["admin"] == "drain")
    agents["x1"].stop()
    agents["x2"].stop()
    wait_for(lambda: said(x, "x1")["fault"] and said(x, "x2")["fault"], what="silence")
    assert said(x, "x1")["fault"] == "connection refused"
    wait_for(lambda: said(x, "x1")["age_s"] >= 1, what="age")
    assert set(sites.who_many(x, 30)) == {"x2", "x3"}
    assert "connection refused" in x.wlad.command("show", "servers", "web")
    assert x.wlad.counter("agents_silent") > 0
    agents["x1"].line = "ready\n"
    agents["x1"].start()
    agents["x2"].start()
    wait_for(lambda: said(x, "x1")["admin"] == "ready" and said(x, "x2")["fault"] is None,
             what="answers")


def test_an_administrator_is_stricter(sites, asking):
    x, agents, _ = asking
    x.wlad.command("server", "web/x1", "disable")
    says(x, agents, "x1", "up ready 100%\n", lambda a: a["weight"] == 100)
    assert set(sites.who_many(x, 20)) == {"x2", "x3"}
    x.wlad.command("server", "web/x1", "enable")
    says(x, agents, "x1", "drain\n", lambda a: a["admin"] == "drain")
    assert set(sites.who_many(x, 20)) == {"x2", "x3"}
    server = x.wlad.servers("web")["x1"]
    assert server["admin"] == "enabled" and server["agent"]["admin"] == "drain"


def test_reload(sites, asking):
    """What was said stays over a reload; an agent that is taken out of the file is forgotten;
    listeners open and close."""
    x, agents, settings = asking
    says(x, agents, "x1", "drain\n", lambda a: a["admin"] == "drain")
    service = settings["services"][0]
    assert refused(sites, x.wan4)
    service["agent_listen"] = "%s:%d" % (x.wan4, LISTEN)
    x.wlad.write(settings)
    x.wlad.command("reload")
    assert said(x, "x1")["admin"] == "drain"
    assert ask(sites, x.wan4).startswith("up ready 100% maxconn:")
    service["agent_listen"] = "[%s]:%d" % (x.wan6, LISTEN)
    x.wlad.write(settings)
    x.wlad.command("reload")
    assert refused(sites, x.wan4)
    assert ask(sites, x.wan6).startswith("up ready 100% maxconn:")
    # an address that this host does not have: everything stays
    service["agent_listen"] = "%s:%d" % (sites.y.wan4, LISTEN)
    x.wlad.write(settings)
    status, out, errors = x.wlad.control("reload")
    assert status == 1 and "cannot listen on" in out + errors
    assert ask(sites, x.wan6).startswith("up ready 100% maxconn:")
    del service["agent_listen"], service["agent"]
    x.wlad.write(settings)
    x.wlad.command("reload")
    assert refused(sites, x.wan6)
    assert said(x, "x1") is None
    assert set(sites.who_many(x, 30)) == {"x1", "x2", "x3"}


def test_agents_over_ipv6(sites, asking):
    x, agents, settings = asking
    agents["x1"].stop()
    agents["x1"] = Scripted(x.servers[0], "drain #six\n", v6=True)
    settings["services"][0]["servers"][0]["agent_address"] = x.servers[0].v6
    x.wlad.write(settings)
    x.wlad.command("reload")
    wait_for(lambda: said(x, "x1")["description"] == "six", what="the agent over IPv6")
    assert said(x, "x1")["address"] == "[%s]:%d" % (x.servers[0].v6, AGENT)


def test_wlad_follows_wlad(sites):
    """Osaka's service is a server of tokyo's: what osaka says is followed."""
    x, y = sites.sites
    below = listening(y)
    below["peers"] = ()
    above = x.settings(self_addresses=False)
    above["peers"] = ()
    above["services"] = above["services"][:1]
    above["services"][0].update(
        agent={"port": LISTEN, "interval": INTERVAL},
        servers=[{"name": "osaka", "address": y.v4, "port": WEB_PORT, "agent_address": y.wan4},
                 {"name": "own", "address": x.servers[0].v4, "port": 8080, "backup": True}])
    y.wlad.start(below)
    x.wlad.start(above)
    try:
        y.wait_up()
        x.wait_up(2)
        wait_for(lambda: said(x, "osaka")["max_connections"] == SERVERS * PLACES, what="an answer")
        assert sites.who(x).startswith("y")
        with contextlib.ExitStack() as stack:
            for _ in range(SERVERS * PLACES // 2):
                s = stack.enter_context(sites.client.socket(socket.AF_INET, socket.SOCK_STREAM))
                s.settimeout(3)
                s.connect((y.v4, WEB_PORT))
            wait_for(lambda: said(x, "osaka")["weight"] <= 60, what="the load")
            assert x.wlad.servers("web")["osaka"]["load"] >= 0.4
        wait_for(lambda: said(x, "osaka")["weight"] >= 90, what="the load to go")
        all_servers(y, "drain")
        wait_for(lambda: said(x, "osaka")["admin"] == "drain", what="drain")
        assert sites.who(x) == "x1"
        all_servers(y, "enable")
        wait_for(lambda: said(x, "osaka")["admin"] == "ready", what="enable")
        x.wait_up(2)  # its check failed as well: osaka took no connections
        assert sites.who(x).startswith("y")
        y.kill_servers()
        wait_for(lambda: said(x, "osaka")["down"], what="down")
        assert said(x, "osaka")["description"] == "no server up"
        assert sites.who(x) == "x1"
        y.revive_servers()
        wait_for(lambda: not said(x, "osaka")["down"], what="up")
    finally:
        for site in sites.sites:
            site.wlad.stop()
