"""The networks of the lab.

TwoSites                                            OneGateway

    client 192.0.2.2                                    client 192.0.2.2
       |                                                   |
      wan ------------------+                           gateway  service address 203.0.113.10
       | 198.51.100.0/30    | 198.51.100.4/30              |
      gwx tokyo            gwy osaka                    server 10.1.0.11
       | 10.1.0.0/24        | 10.2.0.0/24
    x1 x2 x3             y1 y2 y3

Service addresses: tokyo 203.0.113.10, osaka 203.0.113.20.  IPv6 beside all of it.  The wide
area knows the service addresses only: what leaves a site under an address of its servers is
seen at the client, and answers to it do not come back.  A server's default route leads to
its gateway; nothing else is set on servers and on the client.
"""

import contextlib
import os
import subprocess

import daemon
from netns import LabError, Net, wait_for
from servers import Server

CLIENT4, CLIENT6 = "192.0.2.2", "2001:db8:c::2"
NAMES = {"x": "tokyo", "y": "osaka", "z": "nagoya", "w": "sendai"}
SERVERS = 3
WEB_PORT = 80
EXCHANGE_PORT = TRANSFER_PORT = 7210
FAST_CHECK = {"type": "tcp", "interval": 0.2, "timeout": 0.5, "rise": 2, "fall": 2}


class Site:
    """A gateway, its servers, and the daemon on it."""

    def __init__(self, lab, letter, number):
        self.lab, self.letter, self.number = lab, letter, number
        self.name = NAMES[letter]
        hexa = "abde"[number - 1]
        self.v4, self.v6 = "203.0.113.%d0" % number, "2001:db8:%s::10" % hexa
        self.self4, self.self6 = "198.51.100.1%d0" % number, "2001:db8:%s::110" % hexa
        self.wan4, self.wan6 = "198.51.100.%d" % (4 * number - 2), "2001:db8:0:%d::2" % number
        self.hop4, self.hop6 = "198.51.100.%d" % (4 * number - 3), "2001:db8:0:%d::1" % number
        self.lan4, self.lan6 = "10.%d.0.1" % number, "2001:db8:%s:1::1" % hexa
        self.gw = lab.net.namespace("gw" + letter)
        self.gw.router()
        self._join_wan(lab.wan)
        self.servers = [self._server(i) for i in range(1, SERVERS + 1)]
        self.wlad = daemon.Wlad(self.gw, self.name)

    def _join_wan(self, wan):
        device = "gw" + self.letter
        self.lab.join(device, self.gw)
        wan.ip("addr add %s/30 dev %s" % (self.hop4, device),
               "addr add %s/64 dev %s nodad" % (self.hop6, device),
               "route add %s/32 via %s" % (self.v4, self.wan4),
               "route add %s/128 via %s" % (self.v6, self.wan6))
        self.gw.ip("addr add %s/30 dev wan" % self.wan4,
                   "addr add %s/64 dev wan nodad" % self.wan6,
                   "route add default via " + self.hop4,
                   "route add default via " + self.hop6,
                   "link add lan type bridge mcast_snooping 0",
                   "link set lan up",
                   "addr add %s/24 dev lan" % self.lan4,
                   "addr add %s/64 dev lan nodad" % self.lan6)

    def _server(self, i):
        name = "%s%d" % (self.letter, i)
        ns = self.lab.net.namespace(name)
        self.lab.net.connect(self.gw, name, ns, "eth0")
        self.gw.ip("link set %s master lan" % name)
        v4 = self.lan4[:-1] + "1%d" % i
        v6 = self.lan6[:-1] + "1%d" % i
        ns.ip("addr add %s/24 dev eth0" % v4, "addr add %s/64 dev eth0 nodad" % v6,
              "route add default via " + self.lan4, "route add default via " + self.lan6)
        return Server(ns, name, v4, v6, self.lab.content, dns=self.lab.dns)

    def settings(self, max_connections=0, self_addresses=True):
        """A configuration for this site with the others as its peers, as a dict to be changed."""
        def service(name, protocol, port, target):
            servers = []
            for s in self.servers:
                server = {"name": s.name, "address": [s.v4, s.v6]}
                if target:
                    server["port"] = target
                if max_connections:
                    server["max_connections"] = max_connections
                servers.append(server)
            return {"name": name, "address": [self.v4, self.v6], "protocol": protocol,
                    "ports": [port], "check": dict(FAST_CHECK), "servers": servers}

        certificate, key = self.lab.authority.site(self.name)
        settings = {
            "site": self.name,
            "user": "nobody",
            "services": [service("web", "tcp", WEB_PORT, 8080)],
            "transfer": {"listen": "%s:%d" % (self.wan4, TRANSFER_PORT)},
            "load": {"listen": "%s:%d" % (self.wan4, EXCHANGE_PORT), "interval": 0.3,
                     "certificate": certificate, "key": key, "ca": self.lab.authority.ca},
            "peers": [{"site": other.name, "load": "%s:%d" % (other.wan4, EXCHANGE_PORT),
                       "transfer": "%s:%d" % (other.wan4, TRANSFER_PORT)}
                      for other in self.lab.others(self)],
            "control": {"socket": self.wlad.socket, "group": ""},
        }
        if self.lab.dns:
            settings["services"].append(service("dns", "udp", 53, 0))
        if self_addresses:
            settings["self_addresses"] = [self.self4, self.self6]
        return settings

    def start_servers(self):
        for s in self.servers:
            s.start()
        for s in self.servers:
            s.wait()

    def kill_servers(self):
        for s in self.servers:
            s.kill()

    def revive_servers(self):
        """Those that do not run."""
        for s in self.servers:
            if not s.running():
                s.start()
        for s in self.servers:
            s.wait()

    def wait_up(self, count=SERVERS, service="web", timeout=5.0):
        """Until the daemon counts so many servers up."""
        wait_for(lambda: self.wlad.up(service) == count, timeout,
                 "%d servers up at %s" % (count, self.name))

    def sees_up(self, count, service="web", timeout=8.0, other=None):
        """Until the daemon knows that the other site has so many servers up, and can use it."""
        other = (other or self.lab.other(self)).name

        def known():
            report = self.wlad.site_service(other, service)
            return report is not None and report["servers_up"] == count and \
                self.wlad.sites()[other]["state"] == "up"
        wait_for(known, timeout, "%s knowing %d servers up at %s" % (self.name, count, other))

    def nat(self):
        """The kernel's own NAT in the daemon's place: rule 1 and nothing else."""
        rules = []
        for family, service, addresses, form in (
                ("ip", self.v4, [s.v4 for s in self.servers], "%s:%d"),
                ("ip6", self.v6, [s.v6 for s in self.servers], "[%s]:%d")):
            for protocol, port, target in (("tcp", WEB_PORT, 8080), ("udp", 53, 53)):
                for i, address in enumerate(addresses):
                    turn = "numgen random mod %d 0 " % (SERVERS - i) if i < SERVERS - 1 else ""
                    rules.append("%s daddr %s %s dport %d %sdnat %s to %s" % (
                        family, service, protocol, port, turn, family, form % (address, target)))
        self.gw.run("nft", "-f", "-", input="""table inet lab {
            chain pre { type nat hook prerouting priority dstnat; %s; }
            chain post { type nat hook postrouting priority srcnat; oifname "lan" masquerade; }
        }""" % "; ".join(rules))

    def no_nat(self):
        self.gw.run("nft", "delete", "table", "inet", "lab")


class TwoSites:
    """Two sites with three servers each, the wide area and a client."""

    LETTERS = "xy"

    def __init__(self, directory, content, dns=True):
        self.net = Net(directory)
        self.content, self.dns = content, dns
        try:
            self.wan = self.net.namespace("wan")
            self.wan.router(rp_filter=0)
            self._client()
            self.sites = []
            for number, letter in enumerate(self.LETTERS, 1):
                self.sites.append(Site(self, letter, number))
                setattr(self, letter, self.sites[-1])
        except BaseException:
            self.close()
            raise

    def _client(self):
        self.client = self.net.namespace("client")
        self.net.connect(self.wan, "client", self.client, "eth0")
        self.wan.ip("addr add 192.0.2.1/24 dev client",
                    "addr add 2001:db8:c::1/64 dev client nodad")
        self.client.ip("addr add %s/24 dev eth0" % CLIENT4,
                       "addr add %s/64 dev eth0 nodad" % CLIENT6,
                       "route add default via 192.0.2.1",
                       "route add default via 2001:db8:c::1")
        self.client.sysctl("ipv4.ip_local_port_range", "1024 65535")

    def join(self, device, gateway):
        """A site's link to the wide area."""
        self.net.connect(self.wan, device, gateway, "wan")

    def others(self, site):
        return [s for s in self.sites if s is not site]

    def other(self, site):
        return self.others(site)[0]

    def start_servers(self):
        for site in self.sites:
            for s in site.servers:
                s.start()
        for site in self.sites:
            for s in site.servers:
                s.wait()

    def certify(self):
        self.authority = daemon.Authority(self.net.path("ca"))

    def start(self, x=None, y=None, **more):
        """Servers, certificates, both daemons; returns when each knows the other.  more: groups that
        both have besides."""
        self.start_servers()
        self.certify()
        self.x.wlad.start(dict(x or self.x.settings(), **more))
        self.y.wlad.start(dict(y or self.y.settings(), **more))
        self.ready()
        return self

    def ready(self):
        for site in self.sites:
            site.wait_up()
        for site in self.sites:
            if self.dns:
                site.wait_up(service="dns")
            for other in self.others(site):
                site.sees_up(SERVERS, other=other)
                if self.dns:
                    site.sees_up(SERVERS, "dns", other=other)

    def close(self):
        self.net.close()

    def report(self):
        """What to show when a test failed: each daemon's log and state."""
        out = []
        for site in getattr(self, "sites", []):
            if site.wlad.process is None:
                continue
            log = site.wlad.text().splitlines()
            out.append("== %s: log, %d lines, the last 60\n%s" % (
                site.name, len(log), "\n".join(log[-60:])))
            if site.wlad.running():
                for what in ("servers", "sites", "counters"):
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        status, text, errors = site.wlad.control("show", what)
                        out.append("== %s: show %s\n%s" % (site.name, what, text + errors))
        return "\n".join(out)

    # The client.

    def url(self, site, path, v6=False):
        return "http://%s/%s" % ("[%s]" % site.v6 if v6 else site.v4, path)

    def curl(self, *args, timeout=60, check=True):
        return self.client.run("curl", "-sS", "-g", *args, timeout=timeout, check=check)

    def who(self, site, v6=False, timeout=5):
        """The name of the server that answers."""
        return self.curl("-m", str(timeout), self.url(site, "who", v6)).strip()

    def who_many(self, site, count, v6=False, timeout=5):
        """The names for count connections of their own."""
        urls = [self.url(site, "who", v6)] * count
        return self.curl("-m", str(timeout), "--fail-early", "-H", "Connection: close", *urls,
                         timeout=60).split()

    def download_sum(self, site, path, v6=False, timeout=60):
        """SHA-256 of a download."""
        command = self.client.command("curl", "-sS", "-g", "-f", "-m", str(timeout),
                                      self.url(site, path, v6))
        curl = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            digest = subprocess.run(["sha256sum"], stdin=curl.stdout, capture_output=True,
                                    timeout=timeout + 5, text=True).stdout.split()[0]
            errors = curl.stderr.read().decode()
            if curl.wait() != 0:
                raise LabError("download failed: " + errors.strip())
        finally:
            if curl.poll() is None:
                curl.kill()
                curl.wait()
            curl.stdout.close()
            curl.stderr.close()
        return digest

    def upload(self, site, file, name, v6=False, timeout=60):
        """PUTs a file; raises if it was refused."""
        self.curl("-f", "-m", str(timeout), "-T", file, self.url(site, "upload/" + name, v6),
                  timeout=timeout + 5)

    def upload_found(self, name):
        """(server, SHA-256) of an upload."""
        for site in self.sites:
            for s in site.servers:
                digest = s.uploaded(name)
                if digest is not None:
                    return s, digest
        raise LabError("no server has the upload " + name)

    def parallel(self, site, count, path="part", v6=False, timeout=30):
        """Count downloads at the same time, each its own connection; returns the files."""
        directory = self.net.path("parallel")
        os.makedirs(directory, exist_ok=True)
        for name in os.listdir(directory):
            os.unlink(os.path.join(directory, name))
        host = "\\[%s\\]" % site.v6 if v6 else site.v4
        self.client.run(
            "curl", "-sS", "-f", "-Z", "--parallel-immediate", "--parallel-max", str(count),
            "-m", str(timeout), "-H", "Connection: close", "-o", os.path.join(directory, "#1"),
            "http://%s/%s?[1-%d]" % (host, path, count), timeout=timeout + 5)
        return [os.path.join(directory, n) for n in os.listdir(directory)]

    def dig(self, site, name="who.lab", v6=False, options=()):
        out = self.client.run("dig", "+short", "+tries=1", "+time=2", *options,
                              "@" + (site.v6 if v6 else site.v4), name, "TXT", check=False)
        # what went wrong at an earlier try is said in front of the answer
        answer = [line for line in out.splitlines() if not line.startswith(";;")]
        return "\n".join(answer).replace('"', "").strip() or out.strip()


class OneGateway:
    """Client, gateway, server in a row: what a distributor costs, nothing else."""

    V4, PROXY4 = "203.0.113.10", "203.0.113.11"  # service addresses: wlad's and NAT's, a proxy's
    SERVER4, SERVER6 = "10.1.0.11", "2001:db8:a:1::11"
    # Senders towards the server, one each: connections of one do not meet the TIME_WAIT of another.
    SELF4, NAT4, OUT4 = "198.51.100.110", "10.1.0.2", "10.1.0.3"
    STREAM4, STREAM_OUT4 = "203.0.113.12", "10.1.0.4"  # another proxy's
    GW_CLIENT, GW_SERVER = "192.0.2.1", "10.1.0.1"

    def __init__(self, directory, content):
        self.net = Net(directory)
        try:
            self._build()
        except BaseException:
            self.net.close()
            raise
        self.server = Server(self.server_ns, "s1", self.SERVER4, self.SERVER6, content,
                             dns=False, access_log=False)
        self.wlad = daemon.Wlad(self.gw, "bench")

    def _build(self):
        net = self.net
        self.client, self.gw = net.namespace("client"), net.namespace("gw")
        self.server_ns = net.namespace("server")
        self.gw.router()
        net.connect(self.client, "eth0", self.gw, "client")
        net.connect(self.gw, "lan", self.server_ns, "eth0")
        self.client.ip("addr add %s/24 dev eth0" % CLIENT4,
                       "route add default via " + self.GW_CLIENT)
        self.gw.ip("addr add %s/24 dev client" % self.GW_CLIENT,
                   "addr add %s/24 dev lan" % self.GW_SERVER,
                   "addr add %s/24 dev lan" % self.NAT4,
                   "addr add %s/24 dev lan" % self.OUT4,
                   "addr add %s/24 dev lan" % self.STREAM_OUT4,
                   "addr add %s/32 dev lo" % self.PROXY4,
                   "addr add %s/32 dev lo" % self.STREAM4)
        self.server_ns.ip("addr add %s/24 dev eth0" % self.SERVER4,
                          "route add default via " + self.GW_SERVER)
        # Connections per second beyond what one client's ports would allow otherwise.
        for ns in (self.client, self.gw, self.server_ns):
            ns.sysctl("ipv4.ip_local_port_range", "1024 65535")
            ns.sysctl("ipv4.tcp_tw_reuse", 1)
            ns.sysctl("core.somaxconn", 8192)

    def close(self):
        self.net.close()
