"""The real servers of the lab: nginx, dnsmasq, iperf3, and what they serve."""

import hashlib
import os
import shutil
import signal
import socket
import subprocess

from netns import LabError, run, wait_for

BIG = 1 << 30
BIG_SUM = "a110c53382d90198328a45c24dfc98a504911e2abf65c16d6c879ae958528cbd"
PART = 64 << 10
HTTP_PORT = 8080

# One that wants a PROXY header, and tells by $proxy_protocol_addr whom it named.
PROXY_PORT = 8090

LOCATIONS = """\
        location = /who {{ return 200 "{name}\\n"; }}
        location = /health {{ root {dir}; try_files /healthy =503; }}
        location = /slow {{ alias {content}/part; limit_rate 32k; }}
        location = /from {{ return 200 "$remote_addr\\n"; }}
        location /upload/ {{ root {dir}; dav_methods PUT; create_full_put_path on; }}
        location / {{ root {content}; }}
"""

NGINX = """
daemon off;
master_process off;
user root;
pid {dir}/nginx.pid;
error_log stderr warn;
worker_rlimit_nofile 65536;
events {{ worker_connections 32768; }}
http {{
    log_format lab '$remote_addr $request_method $request_uri $status';
    access_log {access};
    default_type text/plain;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    keepalive_timeout 300;
    client_max_body_size 0;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    server {{
        listen {port} backlog=8192;
        listen [::]:{port} backlog=8192 ipv6only=on;
%(locations)s    }}
    log_format proxied '$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_addr '
                       '$proxy_protocol_server_port $remote_addr $request_uri $status';
    server {{
        listen {proxy_port} proxy_protocol backlog=8192;
        listen [::]:{proxy_port} proxy_protocol backlog=8192 ipv6only=on;
        access_log {proxied};
%(locations)s        location = /proxied {{ return 200 "$proxy_protocol_addr $proxy_protocol_port\\n"; }}
    }}
}}
""" % {"locations": LOCATIONS}


class Content:
    """What all servers serve: /big (1 GiB), /part (64 KiB; as /slow it takes a second), not
    compressible, no part like another, the same in every run."""

    def __init__(self, directory):
        self.directory = directory
        os.makedirs(directory, exist_ok=True)
        self.big = os.path.join(directory, "big")
        self.part = os.path.join(directory, "part")

    def make(self, big=BIG):
        self._stream(self.big, big)
        self._stream(self.part, PART)
        self.big_sum = BIG_SUM if big == BIG else sha256(self.big)
        self.part_sum = sha256(self.part)
        return self

    @staticmethod
    def _stream(path, size):
        """The key stream of AES-128-CTR for a key of zeros: deterministic, and fast to make."""
        if os.path.exists(path) and os.path.getsize(path) == size:
            return
        with open(path, "wb") as out:
            cipher = subprocess.Popen(
                ["openssl", "enc", "-aes-128-ctr", "-K", "0" * 32, "-iv", "0" * 32, "-nosalt"],
                stdin=subprocess.PIPE, stdout=out)
            block = bytes(1 << 20)
            for offset in range(0, size, len(block)):
                cipher.stdin.write(block[:min(len(block), size - offset)])
            cipher.stdin.close()
            if cipher.wait() != 0 or os.path.getsize(path) != size:
                raise LabError("openssl could not make " + path)


def sha256(path):
    return run(["sha256sum", path]).split()[0]


def content_directory(wanted):
    """Memory where there is enough of it, else the disk."""
    shm = "/dev/shm"
    if os.path.isdir(shm) and shutil.disk_usage(shm).free > 3 * BIG:
        return shm
    return wanted


class Server:
    """A server of a site: a namespace with nginx and, if wanted, dnsmasq."""

    def __init__(self, namespace, name, v4, v6, content, device="eth0", dns=True,
                 access_log=True):
        self.ns, self.name, self.v4, self.v6 = namespace, name, v4, v6
        self.content, self.device, self.dns = content, device, dns
        self.access_log = access_log
        self.directory = namespace.net.path("server-" + name)
        self.processes = []

    def start(self):
        os.makedirs(os.path.join(self.directory, "upload"), exist_ok=True)
        self.access = os.path.join(self.directory, "access.log")
        self.proxied = os.path.join(self.directory, "proxied.log")
        conf = os.path.join(self.directory, "nginx.conf")
        with open(conf, "w") as f:
            f.write(NGINX.format(dir=self.directory, name=self.name, port=HTTP_PORT,
                                 content=self.content.directory,
                                 access=self.access + " lab" if self.access_log else "off",
                                 proxy_port=PROXY_PORT,
                                 proxied=self.proxied + " proxied" if self.access_log else "off"))
        # a child that answers by TCP may outlive a killed dnsmasq for a moment, with its socket
        wait_for(lambda: not self.ns.run("ss", "-Hlntu", "sport = :53 or sport = :%d" % HTTP_PORT),
                 what="the ports of %s free" % self.name)
        self.processes = [self.ns.start("nginx", "-e", "stderr", "-p", self.directory, "-c", conf)]
        if self.dns:
            self.processes.append(self._start_dns())
        return self

    def _start_dns(self):
        large = ",".join("%s-%03d-" % (self.name, i) + "x" * 200 for i in range(5))
        return self.ns.start(
            "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
            "--user=root", "--pid-file=", "--local=/lab/", "--port=53", "--edns-packet-max=1400",
            "--txt-record=who.lab,%s" % self.name, "--txt-record=large.lab,%s" % large)

    def wait(self):
        wait_for(self.listening, what="nginx of " + self.name)

    def running(self):
        return all(p.running() for p in self.processes)

    def listening(self):
        if not self.running():
            raise LabError("a server of %s ended:\n%s" % (
                self.name, "".join(p.text() for p in self.processes)))
        ports = [HTTP_PORT] + ([53] if self.dns else [])
        return all(self._accepts(f, a, p) for p in ports
                   for f, a in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")))

    def _accepts(self, family, address, port):
        with self.ns.socket(family, socket.SOCK_STREAM) as s:
            return s.connect_ex((address, port)) == 0

    def kill(self):
        """The server programs die at once; the host answers with RST from now on."""
        for p in self.processes:
            p.kill()
            p.popen.wait()

    def healthy(self, yes):
        """Whether /health is answered by 200 or by 503."""
        path = os.path.join(self.directory, "healthy")
        if yes:
            with open(path, "w") as f:
                f.write("ok\n")
        elif os.path.exists(path):
            os.unlink(path)

    def hang(self, yes):
        """Its programs stop, or go on: the kernel accepts connections meanwhile."""
        for p in self.processes:
            p.kill(signal.SIGSTOP if yes else signal.SIGCONT)

    def vanish(self):
        """The host is gone: nothing answers any more."""
        self.ns.link(self.device, False)

    def reappear(self, gateway4, gateway6):
        """Back on the network; taking a link down took its routes and IPv6 addresses too."""
        self.ns.link(self.device, True)
        self.ns.ip("addr replace %s/64 dev %s nodad" % (self.v6, self.device),
                   "route replace default via " + gateway4,
                   "route replace default via " + gateway6)

    def revive(self):
        self.start().wait()

    def requests(self):
        """The access log's lines."""
        try:
            with open(self.access) as f:
                return f.read().splitlines()
        except FileNotFoundError:
            return []

    def uploaded(self, name):
        """SHA-256 of an upload, or None if this server did not get it."""
        path = os.path.join(self.directory, "upload", name)
        if not os.path.exists(path):
            return None
        digest = hashlib.sha256()
        with open(path, "rb") as f:
            while block := f.read(1 << 20):
                digest.update(block)
        os.unlink(path)
        return digest.hexdigest()
