"""The lab itself, with the kernel's NAT in the daemon's place: it must work without wlad."""

import collections

import pytest

import capture
import servers

FAMILIES = pytest.mark.parametrize("v6", [False, True], ids=["ipv4", "ipv6"])


@pytest.fixture(scope="module")
def kernel(net):
    net.start_servers()
    net.x.nat()
    return net


@FAMILIES
def test_servers_share(kernel, v6):
    names = collections.Counter(kernel.who_many(kernel.x, 60, v6))
    assert set(names) == {"x1", "x2", "x3"}
    assert sum(names.values()) == 60


@FAMILIES
def test_dns(kernel, v6):
    assert kernel.dig(kernel.x, v6=v6) in ("x1", "x2", "x3")


@FAMILIES
def test_parallel(kernel, v6):
    files = kernel.parallel(kernel.x, 50, v6=v6)
    assert len(files) == 50
    assert all(servers.sha256(f) == kernel.content.part_sum for f in files)


@FAMILIES
def test_upload(kernel, upload_file, v6):
    path, digest = upload_file
    kernel.upload(kernel.x, path, "kernel", v6)
    server, got = kernel.upload_found("kernel")
    assert got == digest and server.name[0] == "x"


def test_captures_see_both_ways(kernel):
    seen = capture.Capture(kernel.client, "eth0", "tcp")
    kernel.who(kernel.x)
    packets = seen.stop()
    assert {p.source for p in packets} == {"192.0.2.2", kernel.x.v4}
    assert [p.flags for p in packets][:2] == ["S", "SA"]


def test_killed_server_refuses_and_vanished_one_is_silent(kernel):
    server = kernel.x.servers[0]
    server.kill()
    out = kernel.x.gw.run("curl", "-sS", "-m", "1", "http://%s:8080/who" % server.v4, check=False)
    assert out == ""
    server.revive()
    server.vanish()
    out = kernel.x.gw.run("curl", "-sS", "-m", "1", "http://%s:8080/who" % server.v4, check=False)
    assert out == ""
    server.reappear(kernel.x.lan4, kernel.x.lan6)
    for host in (server.v4, "[%s]" % server.v6):
        out = kernel.x.gw.run("curl", "-sS", "-g", "-m", "3", "http://%s:8080/who" % host)
        assert out.strip() == "x1"
