"""Rule 1: a site's own servers behind its service address."""

import collections
import subprocess

import pytest

import capture
import servers

FAMILIES = pytest.mark.parametrize("v6", [False, True], ids=["ipv4", "ipv6"])
XSERVERS = {"x1", "x2", "x3"}


@FAMILIES
def test_all_servers_serve(lab, v6):
    names = collections.Counter(lab.who_many(lab.x, 90, v6))
    assert set(names) == XSERVERS
    assert sum(names.values()) == 90
    # two random picks of three servers with next to no load: nobody is left out
    assert min(names.values()) >= 9


@FAMILIES
def test_client_sees_the_service_address_only(lab, v6):
    client = "2001:db8:c::2" if v6 else "192.0.2.2"
    seen = capture.Capture(lab.client, "eth0")
    lab.who_many(lab.x, 5, v6)
    packets = seen.stop()
    service = lab.x.v6 if v6 else lab.x.v4
    assert {(p.source, p.destination) for p in packets} == {(client, service), (service, client)}
    assert {p.sport for p in packets if p.source == service} == {80}


@FAMILIES
def test_server_sees_the_self_address_only(lab, v6):
    before = {s.name: len(s.requests()) for s in lab.x.servers}
    lab.who_many(lab.x, 30, v6)
    new = [line for s in lab.x.servers for line in s.requests()[before[s.name]:]]
    assert len(new) == 30
    assert {line.split()[0] for line in new} == {lab.x.self6 if v6 else lab.x.self4}


@FAMILIES
def test_dns(lab, v6):
    names = {lab.dig(lab.x, v6=v6) for _ in range(30)}
    assert names == XSERVERS
    assert len(lab.dig(lab.x, "large.lab", v6, ["+bufsize=1400", "+ignore"])) > 1000


@FAMILIES
def test_parallel(lab, v6):
    before = lab.x.wlad.counter("connections_local")
    files = lab.parallel(lab.x, 200, v6=v6)
    assert len(files) == 200
    assert all(servers.sha256(f) == lab.content.part_sum for f in files)
    assert lab.x.wlad.counter("connections_local") - before >= 200


@FAMILIES
def test_download(lab, v6):
    assert lab.download_sum(lab.x, "big", v6) == lab.content.big_sum


@FAMILIES
def test_upload(lab, upload_file, v6):
    path, digest = upload_file
    lab.upload(lab.x, path, "local", v6)
    server, got = lab.upload_found("local")
    assert got == digest
    assert server.name in XSERVERS


@FAMILIES
def test_service_address_answers_echo(lab, v6):
    address = lab.x.v6 if v6 else lab.x.v4
    out = lab.client.run("ping", "-n", "-c", "3", "-i", "0.2", "-W", "2", address)
    assert "3 received" in out
    assert lab.x.wlad.counter("echo_answered") >= 3


@FAMILIES
def test_port_without_service_is_refused(lab, v6):
    host = "[%s]" % lab.x.v6 if v6 else lab.x.v4
    command = lab.client.command("curl", "-sS", "-g", "-m", "3", "http://%s:81/" % host)
    done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    assert done.returncode == 7, done.stderr  # could not connect: refused, not a timeout


@FAMILIES
def test_a_server_reaches_its_own_service(lab, v6):
    """A server calls the service address of its own site: full conversion brings the reply back."""
    for s in lab.x.servers:
        names = {s.ns.run("curl", "-sS", "-g", "-m", "5", lab.url(lab.x, "who", v6)).strip()
                 for _ in range(8)}
        assert names <= XSERVERS and names


def test_nothing_was_transferred(lab):
    assert lab.x.wlad.counter("connections_transferred") == 0
    assert lab.y.wlad.counter("connections_received") == 0


def test_totals_agree(lab):
    """Connections counted at the servers are those that the counter knows."""
    total = sum(s["total"] for s in lab.x.wlad.show("servers")["servers"])
    assert total == lab.x.wlad.counter("connections_local")


def test_without_self_addresses(lab):
    """The service address itself as the sender towards the servers."""
    lab.x.wlad.stop()
    lab.x.wlad.start(lab.x.settings(self_addresses=False))
    lab.x.wait_up()
    before = {s.name: len(s.requests()) for s in lab.x.servers}
    for v6 in (False, True):
        assert set(lab.who_many(lab.x, 20, v6)) <= XSERVERS
    new = [line for s in lab.x.servers for line in s.requests()[before[s.name]:]]
    assert {line.split()[0] for line in new} == {lab.x.v4, lab.x.v6}
