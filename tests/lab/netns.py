"""Network namespaces and the processes in them, by calling ip(8).

Names are unique to a run (wl<pid>...), everything made here is registered and taken away
again by close(), at the latest when the interpreter ends.  A run that was killed outright
leaves namespaces behind: sweep() removes those whose process is gone.
"""

import atexit
import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

# How much longer to wait for everything, where a machine is slow or emulated.
PATIENCE = float(os.environ.get("WLAD_LAB_PATIENCE", "1"))
CLONE_NEWNET = 0x40000000
NETNS_DIR = "/run/netns"

libc = ctypes.CDLL(None, use_errno=True)

os.environ["PATH"] += ":/usr/sbin:/sbin"


class LabError(Exception):
    """What the lab itself could not do, with what the program said."""


def missing_tools(names):
    return [n for n in names if shutil.which(n) is None]


def unusable():
    """Why there can be no lab here, or None."""
    if os.geteuid() != 0:
        return "needs root: network namespaces"
    missing = missing_tools(["ip", "unshare", "setpriv"])
    if missing:
        return "needs " + ", ".join(missing)
    if subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode != 0:
        return "this system makes no network namespaces"
    if not os.path.exists("/dev/net/tun"):
        return "no /dev/net/tun"
    return None


def run(args, input=None, timeout=60, check=True):
    """Runs a command to its end; returns its output."""
    done = subprocess.run(args, input=input, timeout=timeout, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if check and done.returncode != 0:
        raise LabError("%s: exit %d: %s" % (" ".join(args)[:300], done.returncode,
                                            (done.stderr or done.stdout).strip()))
    return done.stdout


def wait_for(condition, timeout=5.0, what="condition", interval=0.05):
    """Calls condition until it returns something true, which is returned."""
    end = time.monotonic() + timeout * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise LabError("%s: not within %.1f s" % (what, timeout * PATIENCE))
        time.sleep(interval)


class Process:
    """A process that runs until it is stopped, its output in a file."""

    def __init__(self, args, log, env=None, stdin=subprocess.DEVNULL, stdout=None):
        self.args, self.log = args, log
        self.file = open(log, "ab")
        # setpriv: it dies when the lab dies
        self.popen = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *args], stdin=stdin,
                                      stdout=stdout or self.file, stderr=self.file, env=env)
        self.pid = self.popen.pid

    def running(self):
        return self.popen.poll() is None

    def kill(self, sig=signal.SIGKILL):
        if self.running():
            self.popen.send_signal(sig)

    def stop(self, timeout=5.0):
        """SIGTERM, then SIGKILL; returns the exit status."""
        self.kill(signal.SIGTERM)
        try:
            self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            self.popen.wait()
        self.file.close()
        return self.popen.returncode

    def text(self):
        with open(self.log, errors="replace") as f:
            return f.read()


class Namespace:
    """One network namespace: a host."""

    def __init__(self, net, name):
        self.net, self.name = net, name
        self.full = net.prefix + "-" + name
        run(["ip", "netns", "add", self.full])
        net.namespaces.append(self)
        # No duplicate address detection: an address is usable at once.
        self.sysctl("ipv6.conf.all.accept_dad", 0)
        self.sysctl("ipv6.conf.default.accept_dad", 0)
        self.sysctl("ipv6.conf.default.dad_transmits", 0)
        self.sysctl("ipv6.conf.default.router_solicitations", 0)
        self.ip("link set lo up")

    def __str__(self):
        return self.full

    def ip(self, *lines):
        """Lines of ip(8), all or an error."""
        run(["ip", "-n", self.full, "-batch", "-"], input="\n".join(lines) + "\n")

    def ip_json(self, *args):
        return json.loads(run(["ip", "-n", self.full, "-j", *args]) or "[]")

    @contextlib.contextmanager
    def entered(self):
        """The calling thread is in the namespace meanwhile; sockets it opens stay there."""
        with open("/proc/thread-self/ns/net") as old, \
                open(os.path.join(NETNS_DIR, self.full)) as new:
            self.net.setns(new.fileno())
            try:
                yield self
            finally:
                self.net.setns(old.fileno())

    def enter(self):
        """The calling thread is in the namespace from now on."""
        with open(os.path.join(NETNS_DIR, self.full)) as f:
            self.net.setns(f.fileno())

    def socket(self, *args):
        with self.entered():
            return socket.socket(*args)

    def sysctl(self, key, value):
        with self.entered():
            with open("/proc/sys/net/" + key.replace(".", "/"), "w") as f:
                f.write(str(value))

    def router(self, rp_filter=2):
        self.sysctl("ipv4.ip_forward", 1)
        self.sysctl("ipv6.conf.all.forwarding", 1)
        self.sysctl("ipv4.conf.all.rp_filter", 0)
        self.sysctl("ipv4.conf.default.rp_filter", rp_filter)

    def command(self, *args):
        return ["ip", "netns", "exec", self.full, *args]

    def run(self, *args, **kwargs):
        return run(self.command(*args), **kwargs)

    def start(self, *args, log=None, **kwargs):
        """Starts a process in the namespace; the lab stops it at the end."""
        log = log or self.net.path("%s-%s.log" % (self.name, os.path.basename(args[0])))
        process = Process(self.command(*args), log, **kwargs)
        self.net.processes.append(process)
        return process

    def counters(self, device):
        """(octets received, octets sent, packets received, packets sent) of a device."""
        stats = self.ip_json("-s", "link", "show", "dev", device)[0]["stats64"]
        return (stats["rx"]["bytes"], stats["tx"]["bytes"],
                stats["rx"]["packets"], stats["tx"]["packets"])

    def link(self, device, up):
        self.ip("link set %s %s" % (device, "up" if up else "down"))


class Net:
    """All namespaces and processes of one lab, and its directory."""

    count = 0

    def __init__(self, directory):
        Net.count += 1
        self.prefix = "wl%d%s" % (os.getpid(), "abcdefghijklmnopqrstuvwxyz"[Net.count % 26])
        self.directory = directory
        self.namespaces, self.processes = [], []
        atexit.register(self.close)

    def setns(self, fd):
        if libc.setns(fd, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")

    def path(self, name):
        return os.path.join(self.directory, name)

    def namespace(self, name):
        return Namespace(self, name)

    def connect(self, a, a_device, b, b_device):
        """A veth pair between two namespaces, both ends up, MTU 1500, offloads as they come."""
        a.ip("link add %s type veth peer name %s netns %s" % (a_device, b_device, b.full),
             "link set %s up" % a_device)
        b.ip("link set %s up" % b_device)

    def close(self):
        """Stops every process, removes every namespace; safe to call again."""
        for process in reversed(self.processes):
            process.kill(signal.SIGTERM)
        for process in reversed(self.processes):
            process.stop()
        self.processes.clear()
        for namespace in reversed(self.namespaces):
            remove(namespace.full)
        self.namespaces.clear()
        atexit.unregister(self.close)


def remove(full):
    """Removes a namespace of ours with whatever still runs in it."""
    pids = run(["ip", "netns", "pids", full], check=False).split()
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    run(["ip", "netns", "delete", full], check=False)


def left_behind(directory, pattern):
    """Names there that begin with wl and the number of a process that is no more."""
    if not os.path.isdir(directory):
        return
    for name in os.listdir(directory):
        match = re.fullmatch(pattern, name)
        if match and not os.path.exists("/proc/" + match.group(1)):
            yield name


def sweep():
    """Removes what runs that were killed outright left behind: namespaces, directories."""
    for name in left_behind(NETNS_DIR, r"wl(\d+)[a-z]-\w+"):
        remove(name)
    for directory in {"/dev/shm", tempfile.gettempdir()}:
        for name in left_behind(directory, r"wl(\d+)-\w+"):
            shutil.rmtree(os.path.join(directory, name), ignore_errors=True)


def end_on_signals():
    """SIGTERM and SIGHUP end the program like Ctrl-C does: with its clean-up."""
    def interrupt(number, frame):
        raise KeyboardInterrupt("signal %d" % number)
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGHUP, interrupt)
