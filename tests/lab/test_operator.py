"""What the person who runs it sees: faults with their place, tables, exit statuses."""

import contextlib
import copy
import fcntl
import json
import os
import pty
import pwd
import signal
import socket
import struct
import subprocess
import termios

import pytest

import daemon
from lab import CLIENT4, WEB_PORT
from netns import wait_for

XSERVERS = {"x1", "x2", "x3"}


def check(lab, text, name="checked.conf"):
    """(status, output) of `wlad -n` for a text."""
    path = lab.net.path(name)
    with open(path, "w") as f:
        f.write(text)
    return daemon.check(path)


def changed_line(good, bad):
    """The number of the first line that was added or changed."""
    lines = zip(good.splitlines(), bad.splitlines())
    return next((i for i, (a, b) in enumerate(lines, 1) if a != b), len(good.splitlines()) + 1)


# Configuration.


def test_good_configuration(lab):
    status, out = daemon.check(lab.x.wlad.conf)
    assert status == 0
    assert "configuration OK" in out


@pytest.mark.parametrize("old,new", [
    ('user = "nobody";', 'user = "nobody";\nfrobnicate = 1;'),
    ('interval = 0.3;', 'interval = "often";'),
    ('interval = 0.3;', 'interval = 0.3;\n  intervall = 0.3;'),
    ('"203.0.113.10"', '"203.0.113.310"'),
    ('ports = [ 80 ];', 'ports = [ 80, 65536 ];'),
    ('ports = [ 80 ];', 'ports = [ ];'),
    ('name = "x2";', 'name = "x1";'),
    ('protocol = "tcp";', 'protocol = "sctp";'),
    ('listen = "198.51.100.2:7210";', 'listen = "198.51.100.2:72100";'),
    ('port = 8080;', 'port = 4294967297;'),
], ids=["unknown key", "wrong type", "misspelt key", "address", "port", "no port",
        "name twice", "protocol", "listen", "beyond 32 bits"])
def test_fault_says_where(lab, old, new):
    with open(lab.x.wlad.conf) as f:
        good = f.read()
    assert old in good
    bad = good.replace(old, new, 1)
    status, out = check(lab, bad)
    assert status == 1
    line = changed_line(good, bad)
    # libconfig itself counts a number that is too large for the line where it ends
    assert "checked.conf:%d:" % line in out or "checked.conf:%d:" % (line + 1) in out, out


def test_all_faults_at_once(lab):
    with open(lab.x.wlad.conf) as f:
        bad = f.read()
    bad = bad.replace('"203.0.113.10"', '"nonsense"', 1).replace("ports = [ 80 ]", "ports = [ 0 ]")
    bad += "frobnicate = 1;\n"
    status, out = check(lab, bad)
    assert status == 1
    assert out.count("checked.conf:") >= 3
    assert "nonsense" in out and "frobnicate" in out


@pytest.mark.parametrize("text", ['', 'site = ', 'site = "a"\nsite = "b"', '\0\1\2',
                                  '@include "/nowhere"\n'],
                         ids=["empty", "cut off", "twice", "binary", "include"])
def test_no_configuration_at_all(lab, text):
    status, out = check(lab, text)
    assert status == 1
    assert "checked.conf" in out


def test_missing_file(lab):
    status, out = daemon.check("/nowhere/wlad.conf")
    assert status == 1
    assert "/nowhere/wlad.conf" in out and "No such file" in out


def test_peers_need_certificates(lab):
    settings = lab.x.settings()
    for key in ("certificate", "key", "ca"):
        del settings["load"][key]
    status, out = check(lab, daemon.configuration(settings))
    assert status == 1
    assert "certificate" in out


@pytest.mark.parametrize("key", ["certificate", "key", "ca"])
def test_missing_or_wrong_certificate_files(lab, key):
    settings = lab.x.settings()
    settings["load"][key] = "/nowhere/file.pem"
    status, out = check(lab, daemon.configuration(settings))
    assert status == 1
    assert "/nowhere/file.pem" in out
    settings["load"][key] = lab.x.wlad.conf
    status, out = check(lab, daemon.configuration(settings))
    assert status == 1
    assert lab.x.wlad.conf in out


def test_key_of_another_site(lab):
    settings = lab.x.settings()
    settings["load"]["key"] = lab.authority.site("osaka")[1]
    status, out = check(lab, daemon.configuration(settings))
    assert status == 1
    assert "osaka.key" in out


def test_daemon_refuses_a_bad_configuration(lab):
    path = lab.net.path("bad.conf")
    with open(path, "w") as f:
        f.write("site = \"tokyo\";\nfrobnicate = 1;\n")
    done = subprocess.run([daemon.WLAD, "-d", "-f", path], capture_output=True, text=True,
                          timeout=10)
    assert done.returncode == 1
    assert "bad.conf:2:" in done.stderr and "frobnicate" in done.stderr


def test_usage():
    for arguments in (["-x"], ["stray"], ["-f"]):
        done = subprocess.run([daemon.WLAD, *arguments], capture_output=True, text=True,
                              timeout=10)
        assert done.returncode != 0
        assert "usage" in done.stderr.lower()


def test_version():
    done = subprocess.run([daemon.WLAD, "-V"], capture_output=True, text=True, timeout=10)
    assert done.returncode == 0
    assert "wlad" in done.stdout and "libevent" in done.stdout.lower()


def test_second_daemon_is_refused(lab):
    """On the same socket: the first goes on, the second says which socket."""
    settings = copy.deepcopy(lab.x.settings())
    settings["device"] = {"name": "wlad1", "routes": False}
    settings["transfer"]["listen"] = "%s:7310" % lab.x.wan4
    settings["load"]["listen"] = "%s:7310" % lab.x.wan4
    path = lab.net.path("second.conf")
    with open(path, "w") as f:
        f.write(daemon.configuration(settings))
    done = subprocess.run(lab.x.gw.command(daemon.WLAD, "-d", "-f", path), capture_output=True,
                          text=True, timeout=10)
    assert done.returncode != 0
    assert lab.x.wlad.socket in done.stderr
    assert lab.x.wlad.up() == 3


def test_without_root(lab):
    """An ordinary user is told what is missing."""
    command = lab.x.gw.command("setpriv", "--reuid=nobody", "--clear-groups", daemon.WLAD, "-d",
                               "-f", lab.x.wlad.conf)
    done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    assert done.returncode != 0
    assert done.stderr.strip()


# The control tool.


def test_exit_statuses(lab):
    wlad = lab.x.wlad
    assert wlad.control("show", "servers")[0] == 0
    status, out, errors = wlad.control("server", "web/nobody", "drain")
    assert (status, out) == (1, "") and "nobody" in errors
    for bad in (["frobnicate"], ["show", "frobnications"], ["server", "web/x1", "explode"]):
        status, out, errors = wlad.control(*bad)
        assert status in (1, 2) and out == "" and errors
    done = subprocess.run([daemon.WLADMCTL, "-x"], capture_output=True, text=True, timeout=10)
    assert done.returncode == 2 and "usage" in done.stderr
    done = subprocess.run([daemon.WLADMCTL, "-s", "/nowhere/wlad.sock", "show", "servers"],
                          capture_output=True, text=True, timeout=10)
    assert done.returncode == 3 and "/nowhere/wlad.sock" in done.stderr


def test_prefixes(lab):
    status, out, _ = lab.x.wlad.control("sh", "servers")
    assert status == 0 and "x1" in out
    status, _, errors = lab.x.wlad.control("show", "s")
    assert status != 0
    assert all(word in errors for word in ("servers", "services", "sites", "summary"))


@pytest.mark.parametrize("view", ["summary", "services", "servers", "sites", "connections",
                                  "counters", "keys", "errors"])
def test_views(lab, view):
    """Text within 80 columns, without colour when not on a terminal; JSON with its schema."""
    lab.who(lab.x)
    text = lab.x.wlad.command("show", view)
    assert text.strip()
    assert "\033" not in text
    assert max(len(line) for line in text.splitlines()) <= 80
    answer = lab.x.wlad.show(view)
    assert answer["schema"] == 1


def test_sites_text(lab):
    text = lab.x.wlad.command("show", "sites")
    assert "osaka" in text and "up" in text


def test_servers_text_and_json_agree(lab):
    text = lab.x.wlad.command("show", "servers", "web")
    for name in XSERVERS:
        assert name in text
    assert {s["service"] for s in lab.x.wlad.show("servers", "web")["servers"]} == {"web"}
    for s in lab.x.wlad.show("servers")["servers"]:
        for key in ("service", "name", "address", "state", "admin", "load", "weight", "active",
                    "total", "packets_in", "packets_out", "bytes_in", "bytes_out"):
            assert key in s


@contextlib.contextmanager
def connection(lab):
    """An open keep-alive connection of the client: (socket, its address as text, server's name)."""
    with lab.client.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
        s.settimeout(3)
        s.connect((lab.x.v4, WEB_PORT))
        yield s, "%s:%d" % s.getsockname(), ask(s)


def ask(s):
    s.sendall(b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n")
    return s.recv(4096).split()[-1].decode()


def test_connections(lab):
    with connection(lab) as (_, client, name):
        found = [c for c in lab.x.wlad.connections() if c["client"] == client]
        assert len(found) == 1
        c = found[0]
        assert (c["protocol"], c["kind"], c["state"]) == ("tcp", "local", "established")
        assert c["service_address"] == "%s:%d" % (lab.x.v4, WEB_PORT)
        assert c["self"].startswith(lab.x.self4 + ":")
        server = next(s for s in lab.x.servers if s.name == name)
        assert c["server"] == "%s:8080" % server.v4
        assert c["packets"] >= 4 and c["bytes"] > 100
        assert [c["client"] for c in lab.x.wlad.connections("client", client)] == [client]
        assert lab.x.wlad.connections("kind", "received") == []
        assert lab.x.wlad.connections("client", "192.0.2.99") == []
        assert CLIENT4 in lab.x.wlad.command("show", "connections")


def test_active_counts_connections(lab):
    wait_for(lambda: lab.x.wlad.service("web")["active"] == 0, what="no connection active")
    with connection(lab) as (_, _, name):
        servers = lab.x.wlad.servers("web")
        assert {n: s["active"] for n, s in servers.items()} == \
            {n: int(n == name) for n in XSERVERS}
    wait_for(lambda: lab.x.wlad.service("web")["active"] == 0, what="no connection active")


@pytest.mark.parametrize("order", ["drain", "disable"])
def test_drain_and_disable(lab, order):
    """No new connections; one that lives goes on under drain."""
    with connection(lab) as (s, _, name):
        lab.x.wlad.command("server", "web/" + name, order)
        assert lab.x.wlad.servers("web")[name]["admin"] in ("drain", "draining", "disabled")
        assert set(lab.who_many(lab.x, 30)) == XSERVERS - {name}
        if order == "drain":
            assert ask(s) == name
        lab.x.wlad.command("server", "web/" + name, "enable")
        assert lab.x.wlad.servers("web")[name]["admin"] == "enabled"
    assert set(lab.who_many(lab.x, 40)) == XSERVERS
    assert "uid=0" in lab.x.wlad.text() or "uid 0" in lab.x.wlad.text()


def test_all_drained_goes_to_the_other_site(lab):
    for name in XSERVERS:
        lab.x.wlad.command("server", "web/" + name, "drain")
    assert set(lab.who_many(lab.x, 20)) == {"y1", "y2", "y3"}
    for name in XSERVERS:
        lab.x.wlad.command("server", "web/" + name, "enable")
    assert set(lab.who_many(lab.x, 30)) == XSERVERS


def test_explain(lab):
    text = lab.x.wlad.command("explain", CLIENT4, "web")
    assert "osaka" in text
    answer = subprocess.run([daemon.WLADMCTL, "-s", lab.x.wlad.socket, "-j", "explain", CLIENT4,
                             "web"], capture_output=True, text=True, timeout=10)
    assert json.loads(answer.stdout)["schema"] == 1


def test_log_level(lab):
    lab.x.wlad.command("log", "debug")
    lab.x.wlad.command("log", "info")
    assert lab.x.wlad.control("log", "loud")[0] in (1, 2)


def server_of(lab, name):
    return next(s for s in lab.x.servers if s.name == name)


class Monitor:
    """`wladmctl monitor` beside a daemon."""

    def __init__(self, wlad, *arguments, options=()):
        self.process = subprocess.Popen(
            [daemon.WLADMCTL, "-s", wlad.socket, *options, "monitor", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.text = b""
        os.set_blocking(self.process.stdout.fileno(), False)
        # It listens as soon as a line that somebody else caused reaches it.
        wait_for(lambda: self.shows("log level changed", wlad), what="the monitor listens")

    def shows(self, part, wlad=None):
        if wlad is not None:
            wlad.command("log", "info")
        self.text += self.process.stdout.read() or b""
        return part.encode() in self.text

    def line(self, part):
        """The first whole line that holds it."""
        wait_for(lambda: any(part.encode() in line for line in self.text.split(b"\n")[:-1])
                 or self.shows("\0"), what="the monitor showing " + part)
        return next(line.decode() for line in self.text.split(b"\n") if part.encode() in line)

    def end(self, timeout=10):
        """(status, rest of the output, errors) of one that ends by itself."""
        os.set_blocking(self.process.stdout.fileno(), True)
        out, errors = self.process.communicate(timeout=timeout)
        return self.process.returncode, out.decode(), errors.decode()

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        self.end()


@contextlib.contextmanager
def down(lab, name):
    """One server of this site's does not answer."""
    server = server_of(lab, name)
    server.kill()
    try:
        wait_for(lambda: lab.x.wlad.servers("web")[name]["state"] == "down", 8, name + " down")
        yield
    finally:
        server.start()
        server.wait()
        lab.x.wait_up()


def test_monitor_shows_a_server_going_down(lab):
    text = Monitor(lab.x.wlad)
    events = Monitor(lab.x.wlad, "info", options=["-j"])
    try:
        with down(lab, "x2"):
            line = text.line("server down service=web server=x2")
            assert "info" in line and "cause=" in line
            event = json.loads(events.line(
                '"server down","fields":{"service":"web","server":"x2"'))
            assert event["schema"] == 1 and event["level"] == "info"
            assert event["text"] == "server down"
            assert event["fields"]["service"] == "web" and event["fields"]["server"] == "x2"
            assert event["fields"]["cause"] == lab.x.wlad.servers("web")["x2"]["cause"]
            assert event["time"].startswith("20") and event["time"].endswith("Z")
        text.line("server up service=web server=x2")
    finally:
        text.interrupt()
        events.interrupt()
    assert lab.x.wlad.running()


def test_monitor_levels(lab):
    """Who wants errors only is not told of information."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        done = subprocess.run([daemon.WLADMCTL, "-s", lab.x.wlad.socket, "monitor", "error"],
                              capture_output=True, timeout=1)
        pytest.fail("the monitor ended: %r" % done)
    process = subprocess.Popen([daemon.WLADMCTL, "-s", lab.x.wlad.socket, "monitor", "error"],
                               stdout=subprocess.PIPE)
    everything = Monitor(lab.x.wlad)
    everything.interrupt()
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=10)[0] == b""
    status, out, errors = lab.x.wlad.control("monitor", "loud")
    assert status == 2 and out == "" and "error|warn|info|debug" in errors
    assert lab.x.wlad.control("--watch", "1", "monitor")[0] == 2


def test_errors(lab):
    """Servers that are down and why, the certificate as openssl reads it."""
    answer = lab.x.wlad.show("errors")
    assert answer["servers"] == []
    certificate = lab.authority.site("tokyo")[0]
    assert answer["certificate"]["file"] == certificate
    out = subprocess.run(["openssl", "x509", "-enddate", "-noout", "-dateopt", "iso_8601", "-in",
                          certificate], capture_output=True, text=True, check=True).stdout
    assert answer["certificate"]["expires"] == \
        out.strip().removeprefix("notAfter=").replace(" ", "T")
    with down(lab, "x3"):
        broken = lab.x.wlad.show("errors")["servers"]
        assert {s["name"] for s in broken} == {"x3"}
        broken = next(s for s in broken if s["service"] == "web")
        assert broken["cause"] == lab.x.wlad.servers("web")["x3"]["cause"]
        assert broken["since_s"] <= 8
        text = lab.x.wlad.command("show", "errors")
        assert "x3" in text and broken["cause"] in text
    before = {d["reason"]: d["count"] for d in lab.x.wlad.show("errors")["drops"]}
    # a port without service
    with lab.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.sendto(b"nobody", (lab.x.v4, 9))
    wait_for(lambda: sum(d["count"] for d in lab.x.wlad.show("errors")["drops"]) >
             sum(before.values()), what="a drop")
    assert all(d["help"] for d in lab.x.wlad.show("errors")["drops"])


def test_weight_takes_a_server_out(lab):
    assert set(lab.who_many(lab.x, 40)) == XSERVERS
    text = lab.x.wlad.command("server", "web/x1", "weight", "0")
    assert "weight 0" in text
    x1 = lab.x.wlad.servers("web")["x1"]
    assert (x1["weight"], x1["weight_admin"], x1["weight_configured"]) == (0, 0, 1)
    assert x1["admin"] == "enabled" and x1["state"] == "up"
    assert set(lab.who_many(lab.x, 40)) == XSERVERS - {"x1"}
    lab.x.wlad.command("server", "web/x1", "weight", "reset")
    x1 = lab.x.wlad.servers("web")["x1"]
    assert (x1["weight"], x1["weight_admin"]) == (1, None)
    assert set(lab.who_many(lab.x, 60)) == XSERVERS
    assert lab.x.wlad.control("server", "web/x1", "weight", "65536")[0] == 2


def test_config_is_accepted(lab):
    """What show config says could be the daemon's file, and says the same again."""
    text = lab.x.wlad.command("show", "config")
    status, out = check(lab, text, "shown.conf")
    assert status == 0 and "configuration OK" in out
    answer = lab.x.wlad.show("config")
    assert answer["file"] == lab.x.wlad.conf and answer["text"] == text
    settings = lab.x.settings()
    config = answer["config"]
    assert config["site"] == settings["site"] and config["load"]["interval"] == 0.3
    assert config["self_addresses"] == settings["self_addresses"]
    assert [s["name"] for s in config["services"][0]["servers"]] == \
        [s["name"] for s in settings["services"][0]["servers"]]
    assert config["device"]["mtu"] == 1500  # which the file does not say
    with open(settings["load"]["key"]) as f:
        assert f.read().splitlines()[1] not in text


def test_keys_count_packets(lab):
    """Packets that one site sealed and the other opened, under the same index."""
    for name in XSERVERS:
        lab.x.wlad.command("server", "web/" + name, "drain")
    assert set(lab.who_many(lab.x, 20)) <= {"y1", "y2", "y3"}
    for name in XSERVERS:
        lab.x.wlad.command("server", "web/" + name, "enable")
    out = [k for k in lab.x.wlad.show("keys")["keys"] if k["direction"] == "out"]
    assert [k["site"] for k in out] == ["osaka"] and out[0]["packets"] >= 60 and out[0]["usable"]
    opened = [k for k in lab.y.wlad.show("keys")["keys"]
              if k["direction"] == "in" and k["index"] == out[0]["index"]]
    assert len(opened) == 1 and opened[0]["site"] == "tokyo"
    assert opened[0]["epoch"] == out[0]["epoch"]
    wait_for(lambda: [k["packets"] for k in lab.y.wlad.show("keys")["keys"]
                      if k["direction"] == "in" and k["index"] == out[0]["index"]] ==
             [k["packets"] for k in lab.x.wlad.show("keys")["keys"]
              if k["direction"] == "out"], what="all sealed packets opened")


def test_top_and_topology(lab):
    process = subprocess.Popen([daemon.WLADMCTL, "-s", lab.x.wlad.socket, "--watch", "0.1", "top",
                                "--batch"], stdout=subprocess.PIPE, text=True)
    lines = [process.stdout.readline() for _ in range(60)]
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    text = "".join(lines)
    assert text.count("site tokyo") >= 2 and "\033" not in text
    assert all(name in text for name in XSERVERS) and "osaka" in text
    assert max(len(line) for line in lines) <= 81
    text = lab.x.wlad.command("topology")
    assert text.startswith("tokyo\n") and "<-> osaka: up" in text
    dot = lab.x.wlad.command("topology", "--dot")
    assert dot.startswith("digraph") and '"tokyo" -> "osaka"' in dot
    assert lab.x.wlad.control("top", "--dot")[0] == 2
    assert lab.x.wlad.control("t")[0] == 2


def in_terminal(*arguments, **environment):
    """What is shown on a terminal."""
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run([daemon.WLADMCTL, *arguments], stdout=theirs, timeout=10,
                              env={"PATH": os.environ["PATH"], **environment})
        assert done.returncode == 0
        return os.read(ours, 65536).decode()
    finally:
        os.close(ours)
        os.close(theirs)


def test_top_on_a_terminal(lab):
    """Draws over itself, and no more lines than there are."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 8, 80, 0, 0))
    process = subprocess.Popen([daemon.WLADMCTL, "-s", lab.x.wlad.socket, "--watch", "0.1", "top"],
                               stdout=theirs, env=dict(os.environ, TERM="xterm"))
    shown = ""
    while shown.count("\033[H") < 5:
        shown += os.read(ours, 65536).decode()
    process.send_signal(signal.SIGINT)
    process.wait(timeout=10)
    os.close(ours)
    os.close(theirs)
    picture = shown.split("\033[H")[3]
    assert picture.startswith("site tokyo") and picture.endswith("\033[J")
    assert picture.count("\n") == picture.count("\033[K") == 7


def test_colours(lab):
    """On a terminal only, and not if somebody minds."""
    command = ["-s", lab.x.wlad.socket, "show", "servers"]
    assert "\033[32mup" in in_terminal(*command, TERM="xterm")
    assert "\033" in in_terminal(*command, TERM="xterm", NO_COLOR="")
    assert "\033" not in in_terminal(*command, TERM="xterm", NO_COLOR="1")
    assert "\033" not in in_terminal(*command, TERM="dumb")
    assert "\033" not in lab.x.wlad.command("show", "servers")


def test_monitor_ends_with_the_daemon(lab):
    """And is told why, down to the last line."""
    monitor = Monitor(lab.x.wlad)
    lab.x.wlad.stop()
    status, out, errors = monitor.end()
    assert status == 3
    assert "stopping" in monitor.text.decode() + out and out.rstrip().endswith("stopped")
    assert "the daemon ended it" in errors
    lab.x.wlad.start()
    lab.x.wait_up()
    lab.x.sees_up(3)


def test_strangers_may_not_even_look(lab):
    """Without the control group only root and the daemon's user open the socket."""
    done = subprocess.run(["setpriv", "--reuid=daemon", "--regid=daemon", "--clear-groups",
                           daemon.WLADMCTL, "-s", lab.x.wlad.socket, "show", "servers"],
                          capture_output=True, text=True, timeout=10)
    assert done.returncode == 3
    assert lab.x.wlad.socket in done.stderr and "permission denied" in done.stderr


def test_group_may_look_but_not_change(lab):
    group = pwd.getpwnam("daemon").pw_gid
    settings = copy.deepcopy(lab.x.settings())
    settings["control"]["group"] = "daemon"
    lab.x.wlad.stop()
    lab.x.wlad.start(settings)
    lab.x.wait_up()
    tool = ["setpriv", "--reuid=65533", "--regid=65533", "--groups=%d" % group,
            daemon.WLADMCTL, "-s", lab.x.wlad.socket]
    assert os.stat(lab.x.wlad.socket).st_gid == group
    look = subprocess.run(tool + ["show", "servers"], capture_output=True, text=True, timeout=10)
    assert look.returncode == 0 and "x1" in look.stdout
    change = subprocess.run(tool + ["server", "web/x1", "drain"], capture_output=True, text=True,
                            timeout=10)
    assert change.returncode == 1
    assert lab.x.wlad.servers("web")["x1"]["admin"] == "enabled"


def test_wrong_requests_do_no_harm(lab):
    """What speaks on the socket but not our language gets an error or nothing."""
    for request in (b"\n", b"show\n", b"x" * 5000 + b"\n", bytes(range(256)), b"show servers"):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(2)
            s.connect(lab.x.wlad.socket)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                s.sendall(request)
                s.shutdown(socket.SHUT_WR)
                with contextlib.suppress(TimeoutError):
                    assert not s.recv(4096).startswith(b"ok")
    assert lab.x.wlad.up() == 3
