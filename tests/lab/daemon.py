"""wlad and wladmctl as processes of the lab, and configuration files for them."""

import json
import os
import subprocess

from netns import LabError, Process, run, wait_for

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILDDIR = os.environ.get("WLAD_BUILDDIR", TOP)
WLAD = os.path.join(BUILDDIR, "wlad")
WLADMCTL = os.path.join(BUILDDIR, "wladmctl")
QUEUES = int(os.environ.get("WLAD_QUEUES", "0"))  # of each device, whatever a test is about


def built():
    return os.access(WLAD, os.X_OK) and os.access(WLADMCTL, os.X_OK)


def libconfig(value, depth=0):
    """A Python value as libconfig writes it: dict group, list of dicts list, other list array."""
    pad = "  " * (depth + 1)
    if isinstance(value, dict):
        body = "".join("%s%s = %s;\n" % (pad, k, libconfig(v, depth + 1))
                       for k, v in value.items())
        return "{\n%s%s}" % (body, "  " * depth)
    if isinstance(value, (list, tuple)):
        body = ", ".join(libconfig(v, depth + 1) for v in value)
        return "[ %s ]" % body if value and not isinstance(value[0], dict) else "( %s )" % body
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"%s"' % value.replace("\\", "\\\\").replace('"', '\\"')
    return repr(value)


def configuration(settings):
    """The text of a configuration file."""
    return "".join("%s = %s;\n" % (k, libconfig(v)) for k, v in settings.items())


class Refused(LabError):
    """wladmctl's exit status other than 0."""

    def __init__(self, status, text):
        super().__init__("wladmctl: exit %d: %s" % (status, text))
        self.status, self.text = status, text


class Wlad:
    """One daemon in a gateway's namespace."""

    def __init__(self, namespace, name):
        self.ns, self.name = namespace, name
        net = namespace.net
        self.conf, self.socket = net.path(name + ".conf"), net.path(name + ".sock")
        self.log = net.path(name + ".log")
        self.process = None

    def write(self, settings):
        if QUEUES and not isinstance(settings, str) and settings.get("role") != "coordinator":
            settings = dict(settings, device={"queues": QUEUES, **settings.get("device", {})})
        with open(self.conf, "w") as f:
            f.write(settings if isinstance(settings, str) else configuration(settings))

    def start(self, settings=None, wait=True):
        if settings is not None:
            self.write(settings)
        self.process = self.ns.start(WLAD, "-d", "-f", self.conf, log=self.log)
        if wait:
            wait_for(self.answers, 20, "control socket of " + self.name)
        return self

    def answers(self):
        if not self.process.running():
            raise LabError("wlad %s ended with %d:\n%s" % (
                self.name, self.process.popen.returncode, self.text()))
        try:
            return self.show("counters")
        except Refused:
            return None

    def stop(self):
        return self.process.stop() if self.process else None

    def running(self):
        return self.process is not None and self.process.running()

    def text(self):
        """The log; nothing once the lab has been cleared away."""
        if self.process is None or not os.path.exists(self.log):
            return ""
        return self.process.text()

    def control(self, *args, json_wanted=False, env=None):
        """(status, output, errors) of wladmctl."""
        command = [WLADMCTL, "-s", self.socket] + (["-j"] if json_wanted else []) + list(args)
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, env=env)
        return done.returncode, done.stdout, done.stderr

    def show(self, *what):
        """What `wladmctl -j show ...` says."""
        status, out, errors = self.control("show", *what, json_wanted=True)
        if status != 0:
            raise Refused(status, errors)
        return json.loads(out)

    def command(self, *args):
        status, out, errors = self.control(*args)
        if status != 0:
            raise Refused(status, errors)
        return out

    def servers(self, service=None):
        """Servers by name."""
        return {s["name"]: s for s in self.show("servers")["servers"]
                if service is None or s["service"] == service}

    def sites(self):
        return {s["site"]: s for s in self.show("sites")["sites"]}

    def site_service(self, site, service):
        """What the other site is known to say of a service; None before it has said anything."""
        for s in self.sites().get(site, {}).get("services", []):
            if s["service"] == service:
                return s
        return None

    def service(self, name):
        for s in self.show("services")["services"]:
            if s["service"] == name:
                return s
        raise LabError("no service " + name)

    def connections(self, *filters):
        return self.show("connections", *filters)["connections"]

    def counter(self, name):
        counters = self.show("counters")
        return counters["counters"].get(name, counters["drops"].get(name))

    def up(self, service="web"):
        return sum(s["state"] == "up" for s in self.servers(service).values())


class Authority:
    """A certificate authority and its sites' certificates, made by wladmctl."""

    def __init__(self, directory):
        self.directory = directory
        os.makedirs(directory, exist_ok=True)
        run([WLADMCTL, "cert", "ca", "-d", directory])
        self.ca = os.path.join(directory, "ca.crt")

    def site(self, name):
        """(certificate, key) of a site."""
        certificate = os.path.join(self.directory, name + ".crt")
        if not os.path.exists(certificate):
            run([WLADMCTL, "cert", "site", "-d", self.directory, name])
        return certificate, os.path.join(self.directory, name + ".key")


def check(conf):
    """(status, output) of `wlad -n`."""
    done = subprocess.run([WLAD, "-n", "-f", conf], capture_output=True, text=True, timeout=20)
    return done.returncode, done.stdout + done.stderr


__all__ = ["Authority", "Process", "Refused", "Wlad", "built", "check", "configuration"]
