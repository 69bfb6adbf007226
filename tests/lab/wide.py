"""Sites with a wide area that is one: relays of ours (wan.c) on their links, packets that nft
loses, a third site, a client inside a site's network.

    client --- wan --------------- gwx tokyo ------ inner client 198.51.100.194
                |  \\
                |   relay --- gwy osaka
                relay --- gwz nagoya (ThreeSites)
"""

import array
import fcntl
import os
import re
import socket
import struct
import sys

import daemon
from lab import CLIENT4, FAST_CHECK, SERVERS, TwoSites
from netns import LabError, Net, wait_for
from servers import Server

WAN = os.path.join(daemon.BUILDDIR, "tests", "lab", "wan")
SIOCETHTOOL = 0x8946
OFFLOADS = (0x1f, 0x24, 0x17)  # ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_STXCSUM
ECHO_PORT = 7
ECHO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "echo.py")
INNER4, INNER_HOP4 = "198.51.100.194", "198.51.100.193"
INNER6, INNER_HOP6 = "2001:db8:0:f1::2", "2001:db8:0:f1::1"


def built():
    return os.access(WAN, os.X_OK)


def plain(namespace, device):
    """What the device sends from now on is what a wire carries: no super-packets, checksums
    whole."""
    with namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for command in OFFLOADS:
            value = array.array("I", [command, 0])
            fcntl.ioctl(s, SIOCETHTOOL, struct.pack("16sP16x", device.encode(),
                                                    value.buffer_info()[0]))


class Relay:
    """A link between two namespaces that goes through wan.c.  Settings are its words, as in
    ("delay=5", "in", "loss=0.01"): for both directions, after "in" for that from a to b, after
    "out" for that from b to a."""

    count = 0

    def __init__(self, name, a, a_device, b, b_device):
        net = a.net
        self.name, self.process = name, None
        self.ns = net.namespace(name)
        self.ns.sysctl("ipv6.conf.all.disable_ipv6", 1)
        self.ns.sysctl("ipv6.conf.default.disable_ipv6", 1)
        net.connect(a, a_device, self.ns, "side-a")
        net.connect(b, b_device, self.ns, "side-b")
        plain(a, a_device)
        plain(b, b_device)

    def start(self, *settings, seed=1):
        Relay.count += 1
        words = [{"in": "ab", "out": "ba"}.get(word, word) for word in settings]
        log = self.ns.net.path("%s-%d.log" % (self.name, Relay.count))
        self.process = self.ns.start(WAN, str(seed), "side-a", "side-b", *words, log=log)
        wait_for(self._ready, what="relay " + self.name)
        return self

    def _ready(self):
        if not self.process.running():
            raise LabError("relay %s ended:\n%s" % (self.name, self.process.text()))
        return "ready" in self.process.text()

    def stop(self):
        """The link is cut; returns {"in": counters, "out": counters}.  A relay that could not keep
        up proves nothing."""
        status = self.process.stop()
        text = self.process.text()
        self.process = None
        counters = {}
        for name, way in (("in", "ab"), ("out", "ba")):
            line = re.search("^%s: (.*)$" % way, text, re.M)
            if status != 0 or line is None:
                raise LabError("relay %s: exit %s:\n%s" % (self.name, status, text))
            counters[name] = {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", line.group(1))}
            for fault in ("missed", "oversize", "full", "unsent"):
                if counters[name][fault] != 0:
                    raise LabError("relay %s was the bottleneck:\n%s" % (self.name, text))
        return counters

    def set(self, *settings, seed=1):
        """Other settings from now on; returns what was counted under the old ones."""
        counters = self.stop()
        self.start(*settings, seed=seed)
        return counters


class WideSites(TwoSites):
    """Two sites; osaka's link goes through a relay."""

    RELAYED = "y"

    def __init__(self, directory, content, dns=True):
        self.relays = {}
        super().__init__(directory, content, dns)

    def join(self, device, gateway):
        letter = device[-1]
        if letter not in self.RELAYED:
            super().join(device, gateway)
            return
        self.relays[letter] = Relay("relay" + letter, self.wan, device, gateway, "wan").start()

    def add_inner(self):
        """A client in tokyo's own network."""
        self.inner = self.net.namespace("inner")
        self.net.connect(self.x.gw, "inner", self.inner, "eth0")
        self.x.gw.ip("addr add %s/28 dev inner" % INNER_HOP4,
                     "addr add %s/64 dev inner nodad" % INNER_HOP6)
        self.inner.ip("addr add %s/28 dev eth0" % INNER4,
                      "addr add %s/64 dev eth0 nodad" % INNER6,
                      "route add default via " + INNER_HOP4,
                      "route add default via " + INNER_HOP6)
        self.wan.ip("route add 198.51.100.192/28 via " + self.x.wan4,
                    "route add 2001:db8:0:f1::/64 via " + self.x.wan6)
        return self.inner

    def start_spilling(self, reply="auto", timeout=10.0):
        """Osaka has servers, tokyo has none: it transfers everything, under that rule."""
        for site in self.sites[1:]:
            site.start_servers()
            for s in site.servers:
                s.echo = s.ns.start(sys.executable, ECHO, str(ECHO_PORT))
        self.certify()
        for site in self.sites:
            site.wlad.start(self.settings(site, reply))
        self.ready_spilling(timeout)
        return self

    def settings(self, site, reply="auto"):
        """Web, DNS, and echo by UDP."""
        settings = site.settings()
        for peer in settings["peers"]:
            peer["reply"] = reply
        settings["services"].append({
            "name": "echo", "address": [site.v4, site.v6], "protocol": "udp", "ports": [ECHO_PORT],
            "check": dict(FAST_CHECK),
            "servers": [{"name": s.name, "address": [s.v4, s.v6]} for s in site.servers]})
        if site is self.x:
            for service in settings["services"]:
                service.update(prefer="remote", servers=[])
        return settings

    def ready_spilling(self, timeout=10.0):
        for site in self.sites[1:]:
            for service in ["web", "dns", "echo"] if self.dns else ["web", "echo"]:
                site.wait_up(service=service, timeout=timeout)
                self.x.sees_up(SERVERS, service, timeout, site)
                wait_for(lambda: self.x.wlad.site_service(site.name, service)["candidate"], timeout,
                         "%s a candidate for %s at tokyo" % (site.name, service))

    def restart(self, site, reply="auto", timeout=20.0):
        """A site's daemon anew, with that reply for what it transfers."""
        site.wlad.stop()
        site.wlad.start(self.settings(site, reply))
        self.ready_spilling(timeout)

    def direct(self, site):
        """Tokyo's view of a site's direct replies: unknown, ok or blocked."""
        return self.x.wlad.sites()[site.name]["direct"]


class ThreeSites(WideSites):
    """Three sites; osaka's and nagoya's links go through relays."""

    LETTERS = "xyz"
    RELAYED = "yz"


def lose(namespace, device, share):
    """The simple variant: what leaves by a device is lost with that probability (0 to 1), by chance
    that nobody can repeat.  Returns what ends it."""
    table = "lose_" + device
    namespace.run("nft", "-f", "-", input="""table inet %s {
        chain forward { type filter hook forward priority filter;
            oifname "%s" numgen random mod 100000 < %d counter drop; }
    }""" % (table, device, round(share * 100000)))

    def end():
        lines = namespace.run("nft", "list", "table", "inet", table)
        namespace.run("nft", "delete", "table", "inet", table)
        return int(re.search(r"counter packets (\d+)", lines).group(1))
    return end


class TwoGateways:
    """What a second site costs, nothing else: the server is behind the other gateway.

        client --- wan --- gwx (service address) ...... proxies, wlad without servers
                    |
                   gwy --- server 10.2.0.11
    """

    V4, PROXY4, OTHER4 = "203.0.113.10", "203.0.113.11", "203.0.113.20"
    SERVER4, SERVER6, TUNNELLED4 = "10.2.0.11", "2001:db8:b:1::11", "10.2.0.12"
    SELF4, OUT4 = "198.51.100.120", "198.51.100.111"
    X4, Y4 = "198.51.100.2", "198.51.100.6"
    TUNNEL_X4, TUNNEL_Y4 = "10.99.0.1", "10.99.0.2"

    def __init__(self, directory, content):
        self.net = Net(directory)
        try:
            self._build()
        except BaseException:
            self.net.close()
            raise
        self.server = Server(self.server_ns, "s1", self.SERVER4, self.SERVER6, content,
                             dns=False, access_log=False)
        self.x, self.y = daemon.Wlad(self.gw, "x"), daemon.Wlad(self.gwy, "y")

    def _build(self):
        net = self.net
        self.client, self.wan = net.namespace("client"), net.namespace("wan")
        self.gw, self.gwy = net.namespace("gwx"), net.namespace("gwy")
        self.server_ns = net.namespace("server")
        for ns in (self.wan, self.gw, self.gwy):
            ns.router()
        net.connect(self.wan, "client", self.client, "eth0")
        net.connect(self.wan, "gwx", self.gw, "wan")
        net.connect(self.wan, "gwy", self.gwy, "wan")
        net.connect(self.gwy, "lan", self.server_ns, "eth0")
        self.client.ip("addr add %s/24 dev eth0" % CLIENT4, "route add default via 192.0.2.1")
        self.wan.ip("addr add 192.0.2.1/24 dev client", "addr add 198.51.100.1/30 dev gwx",
                    "addr add 198.51.100.5/30 dev gwy",
                    "route add 10.2.0.0/24 via " + self.Y4,
                    *["route add %s/32 via %s" % (a, self.X4)
                      for a in (self.V4, self.PROXY4, self.OUT4)])
        self.gw.ip("addr add %s/30 dev wan" % self.X4, "route add default via 198.51.100.1",
                   "addr add %s/32 dev lo" % self.PROXY4, "addr add %s/32 dev lo" % self.OUT4)
        self.gwy.ip("addr add %s/30 dev wan" % self.Y4, "route add default via 198.51.100.5",
                    "addr add 10.2.0.1/24 dev lan")
        self.server_ns.ip("addr add %s/24 dev eth0" % self.SERVER4,
                          "addr add %s/24 dev eth0" % self.TUNNELLED4,
                          "route add default via 10.2.0.1")
        # Connections per second beyond what one client's ports would allow otherwise.
        for ns in (self.client, self.gw, self.gwy, self.server_ns):
            ns.sysctl("ipv4.ip_local_port_range", "1024 65535")
            ns.sysctl("ipv4.tcp_tw_reuse", 1)
            ns.sysctl("core.somaxconn", 8192)

    def carried(self):
        """{gateway: (octets, packets)} that passed its links so far, in and out; a super-packet is
        one packet."""
        out = {}
        for name, ns, devices in (("X", self.gw, ["wan"]), ("Y", self.gwy, ["wan", "lan"])):
            counters = [ns.counters(device) for device in devices]
            out[name] = (sum(c[0] + c[1] for c in counters), sum(c[2] + c[3] for c in counters))
        return out

    def close(self):
        self.net.close()
