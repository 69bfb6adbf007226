"""What checks of each type look at in real servers' answers, and what they say of it; all kinds in
all states are in test_check_matrix.py.

All services have the one server x1, so that each shows what its check says of it.  How long it
took until out and until in again is printed.
"""

import datetime
import os
import signal
import socket
import stat
import threading
import time

import pytest

import daemon
import lab as labs
from certificates import authority, certificate
from netns import LabError, run, wait_for

INTERVAL, TIMEOUT, RISE, FALL = 0.2, 0.4, 2, 3
JITTER = 1.1  # an interval is longer by up to a tenth
SLACK = 1.0   # for a machine that has other things to do
FAILED = FALL * INTERVAL * JITTER + SLACK
PASSED = RISE * INTERVAL * JITTER + SLACK
SILENT = FALL * max(INTERVAL * JITTER, TIMEOUT) + TIMEOUT + SLACK
HOST = "www.lab"
S_SERVER, PUPPET = 8444, 8500
TLS_PORTS = {"good": 8443, "expired": 8445, "unknown": 8446, "other": 8447}

NGINX = """
daemon off; master_process off; user root; pid {dir}/tls.pid; error_log stderr crit;
events {{ worker_connections 512; }}
http {{
    log_format lab '$ssl_server_name $http_host $request_uri $status';
    access_log {dir}/tls.log lab;
    client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f;
    uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
    {servers}
}}
"""
NGINX_SERVER = """
    server {{
        listen {port} ssl; listen [::]:{port} ssl ipv6only=on;
        ssl_certificate {dir}/{name}.crt; ssl_certificate_key {dir}/{name}.key;
        location = /state {{ root {dir}; }}
        location = / {{ return 200 "all is well\\n"; }}
    }}
"""
SCRIPT = """#!/bin/sh
{{ id -u; grep -E '^(CapEff|NoNewPrivs)' /proc/self/status; echo "$@"; }} > {dir}/seen.$$
mv {dir}/seen.$$ {dir}/seen
[ -e {dir}/hang ] && sleep 1000
cat {dir}/load 2> /dev/null
[ -e {dir}/healthy ]
"""


class Puppet:
    """A TCP server in the namespace that does what it is told."""

    def __init__(self, ns, addresses):
        self.answer, self.sockets = b"PONG\r\n", []
        for family, address in addresses:
            s = ns.socket(family, socket.SOCK_STREAM)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((address, PUPPET))
            s.listen(64)
            self.sockets.append(s)
            threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    def _serve(self, s):
        while True:
            try:
                client, _ = s.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(client,), daemon=True).start()

    def _talk(self, client):
        try:
            client.settimeout(5)
            data = client.recv(100)
            if data != b"PING\r\n\0":
                return
            if self.answer is None:
                client.recv(1)
            else:
                client.sendall(self.answer)
        except OSError:
            pass
        finally:
            client.close()

    def close(self):
        for s in self.sockets:
            s.close()


def check(kind, **more):
    return {"type": kind, "interval": INTERVAL, "timeout": TIMEOUT, "rise": RISE, "fall": FALL,
            **more}


class Kinds:
    """The site x with a service for each check, and what its server x1 runs besides."""

    def __init__(self, sites):
        self.lab, self.x = sites, sites.x
        self.server = sites.x.servers[0]
        self.ns = self.server.ns
        self.dir = sites.net.path("kinds")
        os.makedirs(self.dir)
        os.chmod(self.dir, 0o777)
        self._certificates()
        self._nginx()
        self.start_s_server()
        self.puppet = self.new_puppet()
        self.script = os.path.join(self.dir, "check")
        with open(self.script, "w") as f:
            f.write(SCRIPT.format(dir=self.dir))
        os.chmod(self.script, 0o755)
        self.file("healthy", True)

    def _certificates(self):
        now = datetime.datetime.now(datetime.timezone.utc)
        day = datetime.timedelta(days=1)
        self.ca, strange = authority(self.dir, "ca"), authority(self.dir, "strange")
        certificate(self.dir, "good", HOST, self.ca, now - day, 30)
        certificate(self.dir, "expired", HOST, self.ca, now - 10 * day, 5)
        certificate(self.dir, "unknown", HOST, strange, now - day, 30)
        certificate(self.dir, "other", "mail.lab", self.ca, now - day, 30)

    def _nginx(self):
        self.file("state", True)
        with open(os.path.join(self.dir, "tls.conf"), "w") as f:
            f.write(NGINX.format(dir=self.dir, servers="".join(
                NGINX_SERVER.format(dir=self.dir, name=n, port=p) for n, p in TLS_PORTS.items())))
        self.start_nginx()

    def start_nginx(self):
        self.nginx = self.ns.start("nginx", "-e", "stderr", "-p", self.dir, "-c",
                                   os.path.join(self.dir, "tls.conf"))

    def start_s_server(self):
        self.s_server = self.ns.start(
            "openssl", "s_server", "-www", "-4", "-accept", str(S_SERVER),
            "-cert", self.dir + "/good.crt", "-key", self.dir + "/good.key")

    def new_puppet(self):
        return Puppet(self.ns, [(socket.AF_INET, self.server.v4), (socket.AF_INET6, self.server.v6)])

    def file(self, name, there, text="ok\n"):
        path = os.path.join(self.dir, name)
        if there:
            with open(path + ".new", "w") as f:
                f.write(text)
            os.rename(path + ".new", path)
        elif os.path.exists(path):
            os.unlink(path)

    def settings(self):
        ca = self.ca + ".crt"
        https = dict(host=HOST, ca=ca, status="200")
        checks = {name: check("https", port=port, **https) for name, port in TLS_PORTS.items()}
        checks["any"] = check("https", port=TLS_PORTS["unknown"], host="other.lab")
        checks["body"] = check("https", port=TLS_PORTS["good"], host=HOST, path="/state",
                               expect="ok")
        checks["nobody"] = check("https", port=TLS_PORTS["good"], host=HOST, expect="all is ill")
        checks["plain"] = check("tls", port=8080)
        checks["tls"] = check("tls", port=S_SERVER, host=HOST, ca=ca)
        checks["puppet"] = check("tcp", port=PUPPET, send="PING\r\n\\x00", expect="PONG")
        checks["dns"] = check("dns", port=53, query="who.lab TXT")
        checks["nxdomain"] = check("dns", port=53, query="nowhere.lab")
        checks["udp"] = check("udp", port=53, send="\\x00" * 12)
        checks["script"] = check("script", command=self.script)
        settings = self.x.settings()
        settings["peers"] = []
        del settings["load"]
        del settings["transfer"]
        settings["services"] = [
            {"name": name, "address": [self.x.v4, self.x.v6], "ports": [1000 + i], "check": c,
             "servers": [{"name": "x1", "address": [self.server.v4] if name == "tls" else
                          [self.server.v4, self.server.v6]}]}
            for i, (name, c) in enumerate(checks.items())]
        return settings

    def state(self, service):
        s = self.x.wlad.servers(service)["x1"]
        return s["state"], s["cause"]

    def wait_state(self, service, state, limit, cause=None):
        """Seconds until the server has the state there."""
        start = time.monotonic()
        wait_for(lambda: self.state(service)[0] == state, limit + 3,
                 "%s %s" % (service, state), interval=0.02)
        took = time.monotonic() - start
        print("%s %s after %.2f s, limit %.2f" % (service, state, took, limit))
        assert took < limit
        if cause is not None:
            assert self.state(service)[1] == cause
        return took


@pytest.fixture(scope="module")
def kinds(wlad, directory, content):
    sites = labs.TwoSites(directory, content)
    try:
        sites.certify()
        for s in sites.x.servers[:1]:
            s.start().wait()
        k = Kinds(sites)
        sites.x.wlad.start(k.settings())
        yield k
        k.puppet.close()
    finally:
        sites.close()


DOWN = {
    "expired": "certificate expired or not yet valid",
    "unknown": "certificate not of the authority",
    "other": "certificate of another name",
    "nobody": "answer without what is expected",
    "plain": "TLS handshake failed",
    "nxdomain": "DNS answer is an error",
}
UP = ["good", "any", "body", "tls", "puppet", "dns", "udp", "script"]


@pytest.fixture(autouse=True)
def all_as_they_are(kinds):
    def down():
        states = {s["service"]: (s["state"], s["cause"])
                  for s in kinds.x.wlad.show("servers")["servers"]}
        return {s: states[s] for s in UP if states[s][0] != "up"}
    try:
        wait_for(lambda: not down(), 10, "all that is well up")
    except LabError:
        pytest.fail("down: %s\n%s" % (down(), kinds.x.wlad.text()))


def test_what_each_says(kinds):
    for service in UP:
        assert kinds.state(service)[0] == "up", service
    for service, cause in DOWN.items():
        assert kinds.state(service) == ("down", cause), service
    log = kinds.x.wlad.text()
    assert 'cause="DNS answer is an error" status=3' in log
    assert 'cause="answer without what is expected" status=200' in log
    # SNI and Host, in each request
    with open(os.path.join(kinds.dir, "tls.log")) as f:
        lines = set(f.read().splitlines())
    assert lines == {"www.lab www.lab / 200", "www.lab www.lab /state 200",
                     "other.lab other.lab / 200"}


def test_https_body(kinds):
    kinds.file("state", True, "out of order\n")
    kinds.wait_state("body", "down", FAILED, "answer without what is expected")
    kinds.file("state", False)
    wait_for(lambda: kinds.state("body")[1] == "HTTP status not accepted", 3, "cause that follows")
    kinds.file("state", True)
    kinds.wait_state("body", "up", PASSED)


def test_tcp_answers(kinds):
    """Not the expected one, and none at all."""
    kinds.puppet.answer = b"-ERR\r\n"
    kinds.wait_state("puppet", "down", FAILED, "answer without what is expected")
    kinds.puppet.answer = None
    wait_for(lambda: kinds.state("puppet")[1] == "accepted, but no answer in time", 5, "cause")
    kinds.puppet.answer = b"PONG\r\n"
    kinds.wait_state("puppet", "up", TIMEOUT + PASSED)


def test_dns(kinds):
    """Stopped: silence, which only the check of the type dns minds; killed: refused by ICMP."""
    dnsmasq = kinds.server.processes[1]
    dnsmasq.kill(signal.SIGSTOP)
    try:
        kinds.wait_state("dns", "down", SILENT, "no answer in time")
        assert kinds.state("udp")[0] == "up"
    finally:
        dnsmasq.kill(signal.SIGCONT)
    kinds.wait_state("dns", "up", TIMEOUT + PASSED)
    dnsmasq.kill()
    dnsmasq.popen.wait()
    kinds.wait_state("udp", "down", FAILED, "connection refused")
    kinds.wait_state("dns", "down", FAILED, "connection refused")
    kinds.server.processes[1] = kinds.server._start_dns()
    kinds.wait_state("dns", "up", PASSED + SLACK)
    kinds.wait_state("udp", "up", PASSED + TIMEOUT + SLACK)


def test_dns_filtered(kinds):
    kinds.ns.run("nft", "-f", "-", input="""table inet checks {
        chain in { type filter hook input priority 0; udp dport 53 drop; }
    }""")
    try:
        kinds.wait_state("dns", "down", SILENT, "no answer in time")
    finally:
        kinds.ns.run("nft", "delete", "table", "inet", "checks")
    kinds.wait_state("dns", "up", TIMEOUT + PASSED)


def test_script(kinds):
    """Runs without rights, says up and down, tells the load, is killed when it hangs."""
    def seen():
        with open(os.path.join(kinds.dir, "seen")) as f:
            return f.read().split("\n")
    lines = seen()
    port = next(s["ports"][0] for s in kinds.settings()["services"] if s["name"] == "script")
    assert lines[0] == run(["id", "-u", "nobody"]).strip()
    assert lines[1:3] == ["CapEff:\t0000000000000000", "NoNewPrivs:\t1"]
    assert lines[3] in ["script x1 %s %d" % (a, port)
                        for a in (kinds.server.v4, kinds.server.v6)]
    kinds.file("healthy", False)
    kinds.wait_state("script", "down", FAILED, "script says that it is down")
    assert 'cause="script says that it is down" status=1' in kinds.x.wlad.text()
    kinds.file("healthy", True)
    kinds.wait_state("script", "up", PASSED)

    kinds.file("hang", True)
    kinds.wait_state("script", "down", SILENT + SLACK, "script not finished in time")
    kinds.file("hang", False)
    kinds.wait_state("script", "up", TIMEOUT + PASSED)

    kinds.file("load", True, "load 0.85\n")
    wait_for(lambda: kinds.x.wlad.servers("script")["x1"]["load"] == 0.85, 3, "load of the script")
    kinds.file("load", False)
    wait_for(lambda: kinds.x.wlad.servers("script")["x1"]["load"] == 0, 3, "no load any more")


def test_script_cannot_be_run(kinds):
    """That says nothing of the server."""
    os.chmod(kinds.script, stat.S_IRUSR)
    try:
        wait_for(lambda: 'cause="script cannot be run"' in kinds.x.wlad.text(), 5, "log")
        assert kinds.state("script")[0] == "up"
    finally:
        os.chmod(kinds.script, 0o755)


def test_shared(kinds):
    """A second service that asks the same does not make more requests."""
    path = os.path.join(kinds.dir, "tls.log")

    def requests():
        with open(path) as f:
            before = len(f.read().splitlines())
        time.sleep(3)
        with open(path) as f:
            return len(f.read().splitlines()) - before
    alone = requests()
    settings = kinds.settings()
    twins = []
    for i, service in enumerate(settings["services"]):
        twins.append(dict(service, name=service["name"] + "-2", ports=[2000 + i]))
        if service["check"]["type"] == "script":
            twins.pop()
    settings["services"] += twins
    kinds.x.wlad.write(settings)
    kinds.x.wlad.command("reload")
    wait_for(lambda: kinds.state("good-2")[0] == "up", 3, "the second service's server up")
    shared = requests()
    print("requests in 3 s for one service %d, for two %d" % (alone, shared))
    assert shared < alone * 1.6
    assert kinds.state("expired-2") == ("down", DOWN["expired"])
    kinds.x.wlad.write(kinds.settings())
    kinds.x.wlad.command("reload")


def test_reload_refuses_bad_files(kinds):
    settings = kinds.settings()
    checks = {s["name"]: s["check"] for s in settings["services"]}
    checks["tls"]["ca"] = kinds.dir + "/good.key"
    kinds.x.wlad.write(settings)
    with pytest.raises(daemon.Refused):
        kinds.x.wlad.command("reload")
    assert "check.ca: %s/good.key: " % kinds.dir in kinds.x.wlad.text()
    checks["tls"]["ca"] = kinds.ca + ".crt"
    checks["script"]["command"] = kinds.dir + "/no"
    kinds.x.wlad.write(settings)
    with pytest.raises(daemon.Refused):
        kinds.x.wlad.command("reload")
    said = "check.command: %s/no: No such file" % kinds.dir
    assert said in kinds.x.wlad.text()
    status, text = daemon.check(kinds.x.wlad.conf)
    assert status == 1 and said in text
    kinds.x.wlad.write(kinds.settings())
    kinds.x.wlad.command("reload")
    assert daemon.check(kinds.x.wlad.conf)[0] == 0
