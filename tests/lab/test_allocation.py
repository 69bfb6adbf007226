"""Servers that die, are drained, or stand by: what clients under load notice of it."""

import contextlib
import hashlib
import socket
import struct
import subprocess
import threading
import time

import pytest

from lab import WEB_PORT
from netns import wait_for
from test_failure import CHECK_TIME

X1, X2, X3 = "x1", "x2", "x3"


@pytest.fixture(autouse=True)
def healthy(lab):
    lab.ready()


class Load(threading.Thread):
    """Requests one after the other, each its own connection; when each began, how long it took, who answered."""

    def __init__(self, lab, patience=4.0):
        super().__init__()
        self.lab, self.patience = lab, patience
        self.done = []  # (begin, seconds, name or the error)
        self.going = True

    def run(self):
        self.lab.client.enter()
        while self.going:
            begin = time.monotonic()
            try:
                answer = self.request()
            except OSError as error:
                answer = error
            self.done.append((begin, time.monotonic() - begin, answer))

    def request(self):
        with socket.create_connection((self.lab.x.v4, WEB_PORT), self.patience) as s:
            s.sendall(b"GET /who HTTP/1.0\r\n\r\n")
            answer = b""
            while block := s.recv(4096):
                answer += block
        if not answer.startswith(b"HTTP/1.1 200"):
            raise OSError("half an answer: %r" % answer[:40])
        return answer.split()[-1].decode()


@contextlib.contextmanager
def load(lab, threads=6):
    """Runs while the block does; yields what collects the requests of all."""
    workers = [Load(lab) for _ in range(threads)]
    for worker in workers:
        worker.start()
    requests = []
    try:
        yield requests
    finally:
        for worker in workers:
            worker.going = False
        for worker in workers:
            worker.join()
            requests.extend(worker.done)
        requests.sort(key=lambda r: r[0])


def failed(requests):
    return [r for r in requests if isinstance(r[2], OSError)]


def report(what, requests, event):
    failures = failed(requests)
    print("%s: %d requests, %d failed" % (what, len(requests), len(failures)), end="")
    if failures:
        print(", begun from %+.2f s to %+.2f s of it" % (
            failures[0][0] - event, failures[-1][0] - event), end="")
    print("; slowest that was answered: %.2f s" % max(
        [r[1] for r in requests if not isinstance(r[2], OSError)]))


def test_server_killed_under_load(lab, capsys):
    """Its programs die: refused until the check sees it, and not one request after that."""
    with load(lab) as requests:
        time.sleep(1)
        event = time.monotonic()
        lab.x.servers[0].kill()
        wait_for(lambda: lab.x.wlad.servers("web")[X1]["state"] == "down", what="x1 down")
        seen = time.monotonic()
        time.sleep(1.5)
    lab.x.servers[0].revive()
    with capsys.disabled():
        report("\nserver killed, seen after %.2f s" % (seen - event), requests, event)
    assert len(requests) > 200
    assert {r[2] for r in requests if r[0] < event - 0.1} == {X1, X2, X3}
    assert seen - event < CHECK_TIME
    assert failed([r for r in requests if r[0] < event - 0.1 or r[0] > seen]) == []
    assert {r[2] for r in requests if r[0] > seen} == {X2, X3}


def test_server_vanished_under_load(lab, capsys):
    """The host is gone: who had sent a request is reset, who was still connecting is served by another."""
    try:
        with load(lab) as requests:
            time.sleep(1)
            event = time.monotonic()
            lab.x.servers[1].vanish()
            wait_for(lambda: lab.x.wlad.servers("web")[X2]["state"] == "down", what="x2 down")
            seen = time.monotonic()
            time.sleep(2.5)
    finally:
        lab.x.servers[1].reappear(lab.x.lan4, lab.x.lan6)
    with capsys.disabled():
        report("\nserver vanished, seen after %.2f s" % (seen - event), requests, event)
    assert seen - event < CHECK_TIME + 0.5
    # what was connected when it went, one for each worker at most
    assert len(failed(requests)) <= 6
    assert failed([r for r in requests if r[0] > event + 0.1]) == []
    # a SYN is sent again after a second, then after two more
    assert max(r[1] for r in requests if not isinstance(r[2], OSError)) < 3.5
    assert {r[2] for r in requests if r[0] > seen} == {X1, X3}


def piece_sum(lab, size):
    digest = hashlib.sha256()
    with open(lab.content.big, "rb") as f:
        for _ in range(size >> 20):
            digest.update(f.read(1 << 20))
    return digest.hexdigest()


def serving(lab):
    """The names of servers with a connection of the web service that carries many octets."""
    return {c["server_name"] for c in lab.x.wlad.connections("service", "web", "state", "established")
            if c["bytes"] > 1 << 20}


@pytest.mark.parametrize("how", ["drain", "disable"])
def test_drain_without_a_broken_connection(lab, how):
    size = 48 << 20
    command = lab.client.command("curl", "-sS", "-f", "-m", "60", "--limit-rate", "12M", "-r",
                                 "0-%d" % (size - 1), lab.url(lab.x, "big"))
    curl = subprocess.Popen(command, stdout=subprocess.PIPE)
    summing = subprocess.Popen(["sha256sum"], stdin=curl.stdout, stdout=subprocess.PIPE, text=True)
    curl.stdout.close()
    victim = None
    try:
        victim = wait_for(lambda: serving(lab), what="the download under way").pop()
        lab.x.wlad.command("server", "web/" + victim, how)
        names = lab.who_many(lab.x, 40)
        assert set(names) == {X1, X2, X3} - {victim}
        assert curl.poll() is None, "the download was over too early to say anything"
        assert serving(lab) == {victim}
        assert summing.communicate(timeout=60)[0].split()[0] == piece_sum(lab, size)
        assert curl.wait() == 0
        wait_for(lambda: lab.x.wlad.servers("web")[victim]["active"] == 0, what="drained")
    finally:
        for process in (curl, summing):
            if process.poll() is None:
                process.kill()
                process.wait()
        if victim:
            lab.x.wlad.command("server", "web/" + victim, "enable")
    assert set(lab.who_many(lab.x, 40)) == {X1, X2, X3}


def question(number):
    """who.lab, TXT, as a DNS message."""
    return struct.pack("!6H", number, 0x100, 1, 0, 0, 0) + b"\3who\3lab\0" + struct.pack("!2H", 16, 1)


def ask(s, number):
    """Sends a question from an open socket until it is answered; returns who answered, and how often it was sent."""
    for tries in range(1, 20):
        s.send(question(number))
        with contextlib.suppress(socket.timeout, ConnectionRefusedError):
            answer = s.recv(2048)
            if answer[:2] == struct.pack("!H", number):
                return answer[-2:].decode(), tries
    raise AssertionError("no answer")


@pytest.mark.parametrize("how", ["killed", "vanished"])
def test_udp_is_reallocated(lab, how):
    """One socket, one port, all the time: after its server has died another one answers."""
    with lab.client.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.2)
        s.connect((lab.x.v4, 53))
        first, _ = ask(s, 1)
        assert {ask(s, n)[0] for n in range(2, 8)} == {first}
        server = next(x for x in lab.x.servers if x.name == first)
        server.kill() if how == "killed" else server.vanish()
        try:
            wait_for(lambda: lab.x.wlad.servers("dns")[first]["state"] == "down", what="dns down")
            second, tries = ask(s, 100)
            assert second != first and tries <= 2  # they are looked for while packets arrive
            assert {ask(s, n)[0] for n in range(101, 106)} == {second}
        finally:
            if how == "killed":
                server.revive()
            else:
                server.reappear(lab.x.lan4, lab.x.lan6)
        lab.x.wait_up(service="dns")
        # it stays where it is
        assert ask(s, 200)[0] == second


def test_backup_takes_over_and_gives_back(lab):
    """x3 stands by: nothing while one of the others is up, everything while none is."""
    settings = lab.x.settings()
    for service in settings["services"]:
        service["servers"][2]["backup"] = True
    lab.x.wlad.stop()
    lab.x.wlad.start(settings)
    try:
        lab.x.wait_up()
        lab.y.sees_up(2)  # the others are told of those that serve
        assert set(lab.who_many(lab.x, 30)) == {X1, X2}
        lab.x.servers[0].kill()
        lab.x.wait_up(2)
        assert set(lab.who_many(lab.x, 15)) == {X2}
        lab.x.servers[1].kill()
        lab.x.wait_up(1)
        assert set(lab.who_many(lab.x, 15, v6=True)) == {X3}
        assert lab.x.wlad.service("web")["servers_up"] == 1
        with lab.client.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
            s.settimeout(5)
            s.connect((lab.x.v4, WEB_PORT))
            s.sendall(b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n")
            assert s.recv(4096).split()[-1] == b"x3"
            lab.x.servers[0].revive()
            lab.x.wait_up(2)
            assert set(lab.who_many(lab.x, 15)) == {X1}
            # what it has it keeps
            s.sendall(b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n")
            assert s.recv(4096).split()[-1] == b"x3"
    finally:
        for server in lab.x.servers[:2]:
            if not all(p.running() for p in server.processes):
                server.revive()
        lab.x.wlad.stop()
        lab.x.wlad.start(lab.x.settings())


@pytest.mark.parametrize("scheduler", ["rr", "wrr", "lc", "wlc", "sed", "nq", "sh", "mh", "ovf"])
def test_schedulers(lab, scheduler):
    """Each serves, over a reload that brings it."""
    settings = lab.x.settings()
    for service in settings["services"]:
        service["scheduler"] = scheduler
    lab.x.wlad.write(settings)
    lab.x.wlad.command("reload")
    try:
        assert lab.x.wlad.service("web")["scheduler"] == scheduler
        one = scheduler in ("sh", "mh", "ovf")
        for v6 in (False, True):
            names = lab.who_many(lab.x, 30, v6)
            assert len(names) == 30
            assert (len(set(names)) == 1) if one else (set(names) == {X1, X2, X3})
        if scheduler in ("rr", "wrr"):
            assert {names.count(n) for n in (X1, X2, X3)} == {10}
    finally:
        lab.x.wlad.write(lab.x.settings())
        lab.x.wlad.command("reload")
