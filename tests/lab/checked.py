"""A gateway that checks servers, one for each kind of check, each on a host of its own behind a
relay: they can be killed, stopped, delayed, and refused by a filter that counts.

    gw wlad --- bridge --- relay --- host of tcp
                       |-- relay --- host of tls
                       ...
"""

import contextlib
import json
import os
import signal
import threading
import time

import daemon
from netns import Net, wait_for
from wide import Relay

V4, V6 = "203.0.113.10", "2001:db8:a::10"
LAN4, LAN6 = "10.1.0.%d", "2001:db8:a:1::%d"
SEED = 20
SAMPLE = 0.03  # seconds between two looks at the states

# What the filter sees first of a question, over IPv4 alone: of two addresses nobody knows which is
# asked first, and one that fails is enough.
FILTER = """table inet lab
delete table inet lab
table inet lab {{
    counter asked {{ }}
    counter refused {{ }}
    chain in {{ type filter hook input priority 0; meta nfproto ipv4 {question} jump question; }}
    chain question {{ counter name asked; {verdict}; }}
}}
"""
REFUSE = "counter name refused reject with icmpx type port-unreachable"
DROP = "counter name refused drop"


class Host:
    """What answers the checks of a service, and all that can happen to it."""

    def __init__(self, net, gateway, number, name, command, question, trips):
        self.name, self.command, self.question, self.trips = name, command, question, trips
        self.v4, self.v6 = LAN4 % (10 + number), LAN6 % (10 + number)
        self.ns = net.namespace(name)
        device = "to-" + name
        self.relay = Relay("relay" + name, gateway, device, self.ns, "eth0").start(seed=SEED)
        gateway.ip("link set %s master lan" % device)
        self.ns.ip("addr add %s/24 dev eth0" % self.v4, "addr add %s/64 dev eth0 nodad" % self.v6)
        # each refusal is to be heard of
        self.ns.sysctl("ipv4.icmp_ratelimit", 0)
        self.ns.sysctl("ipv6.icmp.ratelimit", 0)
        self.process = None

    def start(self):
        self.process = self.ns.start(*self.command)

    def kill(self):
        """From now on the kernel refuses what comes."""
        self.process.kill()
        self.process.popen.wait()

    def stop(self):
        """From now on the kernel accepts what comes, and nobody answers."""
        self.process.kill(signal.SIGSTOP)

    def go_on(self):
        self.process.kill(signal.SIGCONT)

    def delay(self, seconds):
        """So long it takes from now on until a check has its answer."""
        ms = seconds * 1000 / self.trips / 2
        return self.relay.set("delay=%.1f" % ms, seed=SEED)

    def filter(self, verdict=""):
        """Counts questions from now on, and does that with them."""
        self.ns.run("nft", "-f", "-", input=FILTER.format(question=self.question, verdict=verdict))

    def refuse(self, some=1, of=1):
        """Refuses the first ones of so many questions, again and again."""
        self.filter("numgen inc mod %d < %d %s" % (of, some, REFUSE))

    def no_filter(self):
        self.ns.run("nft", "delete", "table", "inet", "lab")

    def mend(self):
        """Back to what was in the beginning, whatever has happened."""
        self.ns.run("nft", "flush", "ruleset")
        self.delay(0)
        self.kill()
        self.start()

    def counted(self):
        """(questions, those that were refused) since the filter was set."""
        out = json.loads(self.ns.run("nft", "-j", "list", "counters", "table", "inet", "lab"))
        packets = {c["counter"]["name"]: c["counter"]["packets"]
                   for c in out["nftables"] if "counter" in c}
        return packets["asked"], packets["refused"]


class Kernel(Host):
    """Echo requests are answered by the host itself: only a filter takes it down."""

    def start(self):
        if self.process is not None:
            self.no_filter()
        self.process = "kernel"

    def kill(self):
        self.refuse()

    def stop(self):
        self.filter(DROP)

    def go_on(self):
        self.no_filter()


class Checked:
    """The gateway with its daemon, and the hosts by the names of their services."""

    def __init__(self, directory):
        self.net = Net(directory)
        self.hosts, self.services = {}, []
        self.gw = self.net.namespace("gw")
        self.gw.router()
        self.gw.ip("link add lan type bridge mcast_snooping 0", "link set lan up",
                   "addr add %s/24 dev lan" % (LAN4 % 1),
                   "addr add %s/64 dev lan nodad" % (LAN6 % 1))
        self.wlad = daemon.Wlad(self.gw, "checks")
        self._history, self._over = {}, threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def add(self, name, check, command, question, trips, port, families=2):
        """A service, and the host that it checks."""
        number = len(self.hosts) + 1
        host = (Host if command else Kernel)(self.net, self.gw, number, name, command, question,
                                             trips)
        self.hosts[name] = host
        self.services.append({
            "name": name, "address": [V4, V6], "ports": [1000 + number], "check": check,
            "servers": [{"name": name, "address": [host.v4, host.v6][:families], "port": port}]})

    def start(self):
        for host in self.hosts.values():
            host.start()
        self._history = {name: [(None, None)] for name in self.hosts}
        self.wlad.start({"site": "tokyo", "user": "nobody", "services": self.services,
                         "control": {"socket": self.wlad.socket, "group": ""}})
        self.begun = time.monotonic()
        self._watcher.start()

    def _watch(self):
        """One asks for all: `show servers`, again and again.  The log is no measure, for it leaves
        lines away when there are many."""
        with contextlib.suppress(daemon.Refused):  # the end
            while not self._over.wait(SAMPLE):
                for server in self.wlad.show("servers")["servers"]:
                    states, now = self._history[server["service"]], server["state"]
                    if states[-1][0] == now:
                        states[-1] = now, server["cause"]
                    else:
                        states.append((now, server["cause"]))

    def state(self, name):
        """(state, cause) of a server, as it was seen last."""
        assert self._watcher.is_alive(), self.wlad.text()
        return self._history[name][-1]

    def changes(self, name):
        """How often the server has been taken (out, in)."""
        states = [state for state, _ in self._history[name]]
        return states.count("down"), states.count("up")

    def wait_state(self, name, state, start, limit):
        """Seconds since start until the server has the state."""
        wait_for(lambda: self.state(name)[0] == state, limit + 5, "%s %s" % (name, state),
                 interval=SAMPLE)
        return time.monotonic() - start

    def close(self):
        self._over.set()
        if self._watcher.is_alive():
            self._watcher.join()
        self.net.close()


def web_server(directory, crt, key):
    """nginx on the ports 80 and 443; the command that starts it."""
    conf = os.path.join(directory, "web.conf")
    with open(conf, "w") as f:
        f.write("""daemon off; master_process off; user root; pid off; error_log stderr crit;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f;
    uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
    server {{
        listen 80; listen [::]:80 ipv6only=on;
        listen 443 ssl; listen [::]:443 ssl ipv6only=on;
        ssl_certificate {crt}; ssl_certificate_key {key};
        location = / {{ return 200 "all is well\\n"; }}
    }}
}}
""".format(dir=directory, crt=crt, key=key))
    return ["nginx", "-e", "stderr", "-p", directory, "-c", conf]


def name_server():
    return ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
            "--user=root", "--pid-file=", "--local=/lab/", "--port=53",
            "--txt-record=state.lab,all is well"]


def tls_server(crt, key):
    """It answers one at a time."""
    return ["openssl", "s_server", "-www", "-4", "-accept", "443", "-cert", crt, "-key", key]


def script(directory):
    """A check that asks the web server by curl(1)."""
    path = os.path.join(directory, "ask")
    with open(path, "w") as f:
        f.write('#!/bin/sh\n'
                'case $3 in *:*) host="[$3]" ;; *) host=$3 ;; esac\n'
                'exec curl -q -s -f -g -o /dev/null "http://$host:$4/"\n')
    os.chmod(path, 0o755)
    return path
