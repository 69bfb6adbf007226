"""The start: into the background, and what a service manager is told."""

import contextlib
import os
import signal
import socket
import subprocess
import time

import pytest

import daemon
from netns import wait_for


@pytest.fixture
def stopped(lab):
    """Tokyo's daemon is not running; afterwards it is again."""
    lab.x.wlad.stop()
    yield lab.x
    lab.x.wlad.start(lab.x.settings())
    lab.x.wait_up()


def start(site, *args, env=None, timeout=20):
    """Calls wlad as a shell would; returns what it says."""
    return subprocess.run(site.gw.command(daemon.WLAD, *args), capture_output=True, text=True,
                          timeout=timeout, env=env)


def in_background(site):
    """The processes of the gateway's namespace that are wlad."""
    pids = subprocess.run(["ip", "netns", "pids", site.gw.full], capture_output=True,
                          text=True).stdout.split()
    found = []
    for pid in pids:
        with contextlib.suppress(OSError), open("/proc/%s/comm" % pid) as f:
            if f.read().strip() == "wlad":
                found.append(int(pid))
    return found


@contextlib.contextmanager
def background(site, *args):
    """wlad without -d; stopped at the end."""
    done = start(site, *args)
    try:
        yield done
    finally:
        for pid in in_background(site):
            os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not in_background(site), what="end of wlad in the background")


def test_background(stopped):
    """When the call returns, it serves."""
    stopped.wlad.write(stopped.settings())
    with background(stopped, "-f", stopped.wlad.conf) as done:
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert stopped.wlad.show("summary")["site"] == "tokyo"
        pid, = in_background(stopped)
        assert os.getsid(pid) == pid
        assert os.readlink("/proc/%d/cwd" % pid) == "/"
        for fd in range(3):
            assert os.readlink("/proc/%d/fd/%d" % (pid, fd)) == "/dev/null"


def test_background_reloads_a_relative_path(stopped):
    """The file is the one that was named, although the directory is another one now."""
    stopped.wlad.write(stopped.settings())
    directory, name = os.path.split(stopped.wlad.conf)
    before = os.getcwd()
    os.chdir(directory)
    try:
        with background(stopped, "-f", name) as done:
            assert done.returncode == 0, done.stderr
            os.chmod(directory, 0o755)
            assert "reloaded" in stopped.wlad.command("reload")
    finally:
        os.chdir(before)


def test_background_start_fails(stopped):
    """The caller gets the sentence and the status, not only the log."""
    settings = stopped.settings()
    settings["services"][0]["address"] = stopped.lan4
    stopped.wlad.write(settings)
    with background(stopped, "-f", stopped.wlad.conf) as done:
        assert done.returncode == 1
        assert done.stderr == ("wlad: cannot start: %s is an address of this machine: remove it, "
                               "or no packet reaches wlad0\n" % stopped.lan4)
        assert in_background(stopped) == []


def test_background_device_in_use(stopped):
    stopped.wlad.start(stopped.settings())
    done = start(stopped, "-f", stopped.wlad.conf)
    assert done.returncode == 1
    assert done.stderr.startswith("wlad: cannot start: device wlad0 cannot be opened")
    assert stopped.wlad.running()
    stopped.wlad.stop()


class Manager:
    """What systemd is to a service: a socket that is told things.  It is in the service's network
    namespace, which abstract names belong to."""

    def __init__(self, site, path):
        self.socket = site.gw.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.socket.settimeout(10)
        name = "@" + path[1:] if path[0] == "\0" else path
        self.env = dict(os.environ, NOTIFY_SOCKET=name)
        self.messages = []

    def until(self, wanted, timeout=10):
        """Reads messages until one begins with what is wanted; returns it."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            message = self.socket.recv(4096).decode()
            self.messages.append(message)
            if message.startswith(wanted):
                return message
        raise AssertionError("no %s in %s" % (wanted, self.messages))


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_manager_is_told(stopped, kind):
    name = "\0wlad-lab-%d" % os.getpid() if kind == "abstract" else stopped.gw.net.path("notify")
    manager = Manager(stopped, name)
    manager.env["WATCHDOG_USEC"] = "1500000"
    stopped.wlad.write(stopped.settings())
    process = subprocess.Popen(stopped.gw.command(daemon.WLAD, "-d", "-f", stopped.wlad.conf),
                               env=manager.env, stderr=subprocess.DEVNULL)
    try:
        manager.until("READY=1")
        assert manager.messages == ["READY=1"]
        manager.until("STATUS=6 of 6 servers up, ")
        assert "WATCHDOG=1" in manager.messages

        # a third of the interval: two in one second, and not ten
        manager.messages.clear()
        manager.until("WATCHDOG=1")
        begin = time.monotonic()
        for _ in range(4):
            manager.until("WATCHDOG=1")
        assert 1.0 < time.monotonic() - begin < 3.5

        process.send_signal(signal.SIGHUP)
        message = manager.until("RELOADING=1\nMONOTONIC_USEC=")
        told = int(message.split("=")[-1])
        assert 0 <= time.monotonic_ns() // 1000 - told < 5_000_000
        manager.until("READY=1")

        process.send_signal(signal.SIGTERM)
        manager.until("STOPPING=1")
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
        manager.socket.close()


def test_manager_is_told_what_went_wrong(stopped):
    manager = Manager(stopped, stopped.gw.net.path("notify-failed"))
    settings = stopped.settings()
    settings["services"][0]["address"] = stopped.lan4
    stopped.wlad.write(settings)
    done = start(stopped, "-d", "-f", stopped.wlad.conf, env=manager.env)
    assert done.returncode == 1
    assert manager.until("STATUS=").startswith("STATUS=cannot start: %s is" % stopped.lan4)
    assert not any(m.startswith("READY=1") for m in manager.messages)
    manager.socket.close()
