"""Three sites in series (Fig. 21): which addresses packets have that went by two transfers."""

import os

import pytest
from scapy.layers.inet import TCP, UDP
from scapy.packet import Raw

from test_datapath_oracle import (CLIENT, DRIVER, FAMILIES, SERVER_X, SERVER_Y, SERVICE_X, SERVICE_Y, Driver, config,
                                  expect, ip, one, parse)
from test_relay_oracle import hop

pytestmark = pytest.mark.skipif(not DRIVER or not os.path.exists(DRIVER), reason="no datapath driver")

SERVICE_Z = {4: "203.0.113.30", 6: "2001:db8:d::10"}
SELF_Z = {4: "198.51.100.30", 6: "2001:db8:d::5e"}
SERVER_Z = {4: "10.3.0.11", 6: "2001:db8:d1::11"}
LISTEN = ["192.0.2.%d:7210" % n for n in (1, 2, 3)]


@pytest.fixture(params=["direct", "transferor"])
def chain(request):
    """X without servers, Y without servers, Z with one; X asks for replies like that."""
    driver = Driver()
    x = config("x", "y", SERVICE_X, SERVER_X, LISTEN[0], LISTEN[1])
    end = f'transfer = "{LISTEN[1]}"; }}'
    assert end in x
    driver("site " + x.replace(end, f'transfer = "{LISTEN[1]}"; reply = "{request.param}"; }}'))
    y = config("y", "x", SERVICE_Y, SERVER_Y, LISTEN[1], LISTEN[0])
    y = y.replace("peers: (", f'peers: ( {{ site = "z"; load = "{LISTEN[2]}"; transfer = "{LISTEN[2]}"; }},')
    driver("site " + y.replace("transfer: {", "transfer: { max_transfers = 2;"))
    driver("site " + config("z", "y", SERVICE_Z, SERVER_Z, LISTEN[2], LISTEN[1],
                            f'self_addresses = [ "{SELF_Z[4]}", "{SELF_Z[6]}" ];'))
    assert driver("link 0 1") == ["ok"] and driver("link 1 2") == ["ok"]
    driver("chain 0 1 2")
    for site in (0, 1):
        for server in (0, 1):
            driver(f"server {site} {server} down")
    driver.rule = request.param
    yield driver
    driver.close()


def through(chain, packet):
    """A client's packet on its way to Z."""
    assert chain.device(0, packet) == []
    assert chain("carry 0 1") == ["carried 1"]
    assert chain.packets(1) == []
    assert chain("carry 1 2") == ["carried 1"]
    return one(chain.packets(2))


@FAMILIES
def test_tcp(chain, family):
    client, service, server = CLIENT[family], SERVICE_X[family], SERVER_Z[family]
    sender, where = (SELF_Z[family], 2) if chain.rule == "direct" else (service, 0)
    syn = ip(family, client, service) / TCP(sport=40001, dport=443, flags="S", seq=7)
    out = through(chain, syn)
    port = parse(out)[TCP].sport
    expect(out, hop(syn, 2), sender, port, server, 8080)  # a hop for each of three wlads
    answer = ip(family, server, sender) / TCP(sport=8080, dport=port, flags="SA", seq=9, ack=8)
    expect(one(chain.device(where, answer)), answer, service, 443, client, 40001)
    data = ip(family, client, service) / TCP(sport=40001, dport=443, flags="PA", seq=8, ack=10) / Raw(b"d" * 1200)
    expect(through(chain, data), hop(data, 2), sender, port, server, 8080)
    kinds = [chain.connections(site)[0][0] for site in range(3)]
    assert kinds == ["transferred", "passed", "received"]


@FAMILIES
def test_udp(chain, family):
    client, service, server = CLIENT[family], SERVICE_X[family], SERVER_Z[family]
    sender, where = (SELF_Z[family], 2) if chain.rule == "direct" else (service, 0)
    query = ip(family, client, service) / UDP(sport=5353, dport=53) / Raw(b"question")
    out = through(chain, query)
    port = parse(out)[UDP].sport
    expect(out, hop(query, 2), sender, port, server, 53)
    answer = ip(family, server, sender) / UDP(sport=53, dport=port) / Raw(b"answer")
    expect(one(chain.device(where, answer)), answer, service, 53, client, 5353)
