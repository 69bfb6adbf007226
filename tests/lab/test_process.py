"""What the running daemon may do: nothing but what it has open."""

import os
import pwd

import pytest


def status(lab):
    with open("/proc/%d/status" % lab.x.wlad.process.pid) as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def test_user_for_good(lab):
    """Real, effective, saved and file system ids are nobody's, so there is no way back."""
    nobody = pwd.getpwnam("nobody")
    lines = status(lab)
    assert lines["Uid"].split() == [str(nobody.pw_uid)] * 4
    assert lines["Gid"].split() == [str(nobody.pw_gid)] * 4
    assert set(lines["Groups"].split()) <= {str(nobody.pw_gid)}


@pytest.mark.parametrize("name", ["CapInh", "CapPrm", "CapEff", "CapAmb"])
def test_no_capability(lab, name):
    assert int(status(lab)[name], 16) == 0


def test_no_new_privileges(lab):
    assert status(lab)["NoNewPrivs"] == "1"


def test_key_is_secret(lab):
    _, key = lab.authority.site("tokyo")
    assert os.stat(key).st_mode & 0o077 == 0


def test_socket_is_not_for_everybody(lab):
    assert os.stat(lab.x.wlad.socket).st_mode & 0o007 == 0


def test_descriptors(lab):
    """The key file is closed, and nothing but sockets, the device and the loop's own is open."""
    kinds = set()
    directory = "/proc/%d/fd" % lab.x.wlad.process.pid
    for fd in os.listdir(directory):
        target = os.readlink(os.path.join(directory, fd))
        assert not target.endswith((".key", ".crt", ".conf")), target
        kinds.add(target.split(":")[0])
    assert "/dev/net/tun" in kinds
    allowed = {"/dev/net/tun", "/dev/null", "socket", "anon_inode", "pipe", lab.x.wlad.log}
    assert kinds <= allowed


def test_memory_does_not_grow_with_connections(lab):
    """The packet path's memory is allocated at start."""
    lab.who_many(lab.x, 50)
    before = int(status(lab)["VmData"].split()[0])
    for _ in range(4):
        lab.who_many(lab.x, 100)
    assert int(status(lab)["VmData"].split()[0]) - before < 1024  # KiB


def test_stop_leaves_nothing(lab):
    """SIGTERM: exit status 0; device and routes are gone."""
    assert "wlad0" in {link["ifname"] for link in lab.x.gw.ip_json("link")}
    assert lab.x.wlad.stop() == 0
    assert "wlad0" not in {link["ifname"] for link in lab.x.gw.ip_json("link")}
    routes = {r["dst"] for r in lab.x.gw.ip_json("route")}
    assert lab.x.v4 not in routes
    lab.x.wlad.start()
    lab.x.wait_up()
