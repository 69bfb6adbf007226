"""What wlad is compared with: other ways through the gateway, each started and stopped alone.

A peer says which address and ports the client asks, whether UDP passes too, and which processes,
if any, do the work.
"""

import os
import subprocess

import netns
from servers import HTTP_PORT

IPERF_PORT = 5201
MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"
PORTS = ((80, HTTP_PORT), (IPERF_PORT, IPERF_PORT))


class Forward:
    """The kernel forwards: the client asks the server itself.  What all others are measured by."""

    tools = []
    udp = True
    processes = ()

    def __init__(self, net):
        self.net = net

    @staticmethod
    def impossible():
        """Why it cannot run here, beside tools that are missing; or None."""
        return None

    def start(self):
        return self.net.SERVER4, HTTP_PORT

    def stop(self):
        pass


class Nftables(Forward):
    """The kernel's NAT of both addresses."""

    tools = ["nft"]

    def start(self):
        rules = "".join(
            "ip daddr %s %s dport %d dnat ip to %s:%d;" % (self.net.V4, protocol, port,
                                                           self.net.SERVER4, target)
            for port, target in PORTS for protocol in ("tcp", "udp"))
        self.net.gw.run("nft", "-f", "-", input="""table inet bench {
            chain pre { type nat hook prerouting priority dstnat; %s }
            chain post { type nat hook postrouting priority srcnat; oifname "lan" snat ip to %s; }
        }""" % (rules, self.net.NAT4))
        return self.net.V4, 80

    def stop(self):
        self.net.gw.run("nft", "delete", "table", "inet", "bench")


class Ipvs(Forward):
    """The kernel's IPVS as NAT, which keeps the client's address; it takes what is delivered to the
    gateway, so the address is the gateway's own meanwhile."""

    tools = ["ipvsadm"]

    @staticmethod
    def impossible():
        done = subprocess.run(["unshare", "-n", "ipvsadm", "-Ln"], capture_output=True)
        return None if done.returncode == 0 else "this kernel has no IPVS"

    def start(self):
        self.net.gw.ip("addr add %s/32 dev lo" % self.net.V4)
        for port, target in PORTS:
            for protocol in ("-t", "-u"):
                service = "%s:%d" % (self.net.V4, port)
                self.net.gw.run("ipvsadm", "-A", protocol, service, "-s", "rr")
                self.net.gw.run("ipvsadm", "-a", protocol, service, "-m",
                                "-r", "%s:%d" % (self.net.SERVER4, target))
        return self.net.V4, 80

    def stop(self):
        self.net.gw.run("ipvsadm", "-C")
        self.net.gw.ip("addr del %s/32 dev lo" % self.net.V4)


class Haproxy(Forward):
    """HAProxy in TCP mode with splice.  On an address of its own: the kernel does not forward
    what fits a connection of the gateway itself, and HAProxy's stay in TIME_WAIT for a minute."""

    tools = ["haproxy"]
    udp = False

    def ends(self):
        """(server, sender address towards it)."""
        return self.net.SERVER4, self.net.OUT4

    def start(self):
        server, source = self.ends()
        conf = self.net.net.path("haproxy.conf")
        with open(conf, "w") as f:
            f.write("""global
    maxconn 4000
defaults
    mode tcp
    option splice-auto
    timeout connect 5s
    timeout client 60s
    timeout server 60s
""")
            for port, target in PORTS:
                f.write("listen p%d\n    bind %s:%d\n    server s %s:%d source %s\n" % (
                    port, self.net.PROXY4, port, server, target, source))
        self.processes = [self.net.gw.start("haproxy", "-db", "-f", conf)]
        return self.net.PROXY4, 80

    def stop(self):
        for process in self.processes:
            process.stop()


class NginxStream(Forward):
    """nginx's stream module, a worker for each processor.  On addresses of its own, as HAProxy."""

    tools = ["nginx"]

    @staticmethod
    def built_in():
        done = subprocess.run(["nginx", "-V"], capture_output=True, text=True)
        return "--with-stream" in done.stderr.split()

    @staticmethod
    def impossible():
        if os.path.exists(MODULE) or NginxStream.built_in():
            return None
        return "nginx without its stream module, no " + MODULE

    def start(self):
        directory = self.net.net.path("nginx-stream")
        os.makedirs(directory, exist_ok=True)
        conf = os.path.join(directory, "nginx.conf")
        listen = "".join("server { listen %s:%d%s; proxy_pass %s:%d; proxy_bind %s; }\n" % (
            self.net.STREAM4, port, kind, self.net.SERVER4, target, self.net.STREAM_OUT4)
            for port, target in PORTS for kind in (" backlog=8192", " udp reuseport"))
        with open(conf, "w") as f:
            f.write("""%sdaemon off; user root; pid %s/nginx.pid; error_log stderr warn;
worker_processes auto; worker_rlimit_nofile 65536;
events { worker_connections 16384; }
stream { proxy_connect_timeout 5s; proxy_timeout 60s;
%s}
""" % ("" if self.built_in() else "load_module %s;\n" % MODULE, directory, listen))
        self.processes = [self.net.gw.start("nginx", "-e", "stderr", "-p", directory, "-c", conf)]
        return self.net.STREAM4, 80

    def stop(self):
        for process in self.processes:
            process.stop()


class Wlad(Forward):
    """wlad, rule 1."""

    device = {}

    def start(self):
        def service(name, protocol, port, target, check):
            return {"name": name, "address": self.net.V4, "protocol": protocol, "ports": [port],
                    "check": {"type": check, "interval": 1.0},
                    "servers": [{"name": "s1", "address": self.net.SERVER4, "port": target}]}
        # a check by TCP would be a client that iperf3 waits for
        services = [service("web", "tcp", 80, HTTP_PORT, "tcp"),
                    service("iperf", "tcp", IPERF_PORT, IPERF_PORT, "icmp"),
                    service("packets", "udp", IPERF_PORT, IPERF_PORT, "icmp")]
        wlad = self.net.wlad
        wlad.start({"site": "bench", "user": "nobody", "self_addresses": [self.net.SELF4],
                    "services": services, "device": self.device,
                    "control": {"socket": wlad.socket, "group": ""}})
        self.processes = [wlad.process]
        netns.wait_for(lambda: all(wlad.up(s["name"]) for s in services), timeout=15,
                       what="servers up")
        return self.net.V4, 80

    def stop(self):
        self.net.wlad.stop()


class WladRaw(Wlad):
    """The same, but packets leave by raw sockets."""

    device = {"output": "raw"}


class WladThreaded(Wlad):
    """The same, but a thread of the kernel takes what wlad sends, and is in nobody's account."""

    device = {"threaded": True}


class WladQueues(Wlad):
    """The same with a queue of the device, and a thread, for each processor."""

    device = {"queues": os.cpu_count()}


PEERS = {"forwarding": Forward, "nftables": Nftables, "ipvs": Ipvs, "haproxy": Haproxy,
         "nginx-stream": NginxStream, "wlad": Wlad, "wlad-queues": WladQueues,
         "wlad-threaded": WladThreaded,
         "wlad-raw": WladRaw}
