"""Raw sockets as the way out: the local tests and those of rule 2 once more, on gateways that
forward nothing that comes out of wlad's device, and with its strict reverse path filter."""

import re

import pytest

from test_local import (  # noqa: F401
    test_all_servers_serve, test_client_sees_the_service_address_only, test_dns,
    test_download, test_parallel, test_port_without_service_is_refused,
    test_a_server_reaches_its_own_service, test_server_sees_the_self_address_only,
    test_service_address_answers_echo, test_upload)
from netns import wait_for


@pytest.fixture(scope="module")
def lab(wlad, net):
    """Two sites with device.output = "raw".  Only what comes from outside is forwarded."""
    for site in net.sites:
        site.gw.sysctl("ipv4.ip_forward", 0)
        site.gw.sysctl("ipv4.conf.default.rp_filter", 1)
        for device in ("wan", "lan"):
            site.gw.sysctl("ipv4.conf.%s.forwarding" % device, 1)
    net.start_servers()
    net.certify()
    try:
        for site in net.sites:
            site.wlad.start(dict(site.settings(), device={"output": "raw"}))
        net.ready()
    except Exception:
        print(net.report())
        raise
    return net


def device_setting(site, name):
    with site.gw.entered(), open("/proc/sys/net/ipv4/conf/wlad0/" + name) as f:
        return int(f.read())


def test_the_device_forwards_nothing(lab):
    """The premise of all that follows; and there is nothing to warn of."""
    for site in lab.sites:
        assert device_setting(site, "forwarding") == 0
        assert device_setting(site, "rp_filter") == 1
        assert not re.search("not forwarded|reverse path|refused", site.wlad.text())


def test_nothing_leaves_by_the_device(lab):
    """What the kernel receives from a TUN device is what its owner wrote to it."""
    lab.who_many(lab.x, 5)
    for site in lab.sites:
        received, sent = site.gw.counters("wlad0")[2:]
        assert received == 0
    assert lab.x.gw.counters("wlad0")[3] > 0


def test_a_narrow_way_is_told(lab):
    """The way to a server is narrower than the client's packets: the client hears of it, and
    its upload arrives all the same."""
    path = lab.net.path("narrow")
    with open(path, "wb") as f:
        f.write(bytes(range(256)) * 4096)
    lab.x.gw.ip(*("link set dev %s mtu 1300" % d for d in ("lan", "x1", "x2", "x3")))
    try:
        for v6 in (False, True):
            lab.upload(lab.x, path, "narrow", v6, timeout=15)
            lab.upload_found("narrow")
        assert lab.x.wlad.counter("too_big") >= 2
        assert lab.x.wlad.counter("icmp_sent") >= 2
    finally:
        lab.x.gw.ip(*("link set dev %s mtu 1500" % d for d in ("x1", "x2", "x3", "lan")))


def test_policy_routing_by_source(lab):
    """A rule by the service's address holds for what leaves in its name."""
    lab.x.gw.run("ip", "rule", "add", "from", lab.x.v4, "prohibit")
    lab.x.gw.run("ip", "-6", "rule", "add", "from", lab.x.v6, "prohibit")
    try:
        before = lab.x.wlad.counter("write_failed")
        for v6 in (False, True):
            assert lab.curl("-m", "1", lab.url(lab.x, "who", v6), check=False) == ""
        assert lab.x.wlad.counter("write_failed") > before
    finally:
        lab.x.gw.run("ip", "rule", "del", "from", lab.x.v4, "prohibit")
        lab.x.gw.run("ip", "-6", "rule", "del", "from", lab.x.v6, "prohibit")
    wait_for(lambda: lab.who(lab.x) and lab.who(lab.x, True), what="an answer again")


# Rule 2.

from test_transfer import (  # noqa: E402, F401
    before, spilled, test_replies_never_touch_the_transferor, test_served_by_the_other_site,
    test_upload_fits_the_path)
from test_transfer import test_dns as test_dns_transferred  # noqa: E402, F401
from test_transfer import test_download as test_download_transferred  # noqa: E402, F401
from test_transfer import test_parallel as test_parallel_transferred  # noqa: E402, F401
from test_transfer import test_upload as test_upload_transferred  # noqa: E402, F401
