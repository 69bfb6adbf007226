"""With device.threaded: the local tests and those of rule 2 once more, where a thread of the kernel
forwards what wlad sends."""

import pytest

from test_local import (  # noqa: F401
    test_all_servers_serve, test_client_sees_the_service_address_only, test_dns,
    test_download, test_parallel, test_upload)


@pytest.fixture(scope="module")
def lab(wlad, net):
    """Two sites with device.threaded."""
    try:
        return net.start(device={"threaded": True})
    except Exception:
        print(net.report())
        raise


def test_there_is_a_thread(lab):
    for site in lab.sites:
        assert site.gw.run("cat", "/sys/class/net/wlad0/threaded").strip() == "1"
        assert "device has no thread" not in site.wlad.text()
    assert "napi/wlad0" in lab.x.gw.run("ps", "-eo", "comm")


# Rule 2.

from test_transfer import (  # noqa: E402, F401
    before, spilled, test_served_by_the_other_site)
from test_transfer import test_download as test_download_transferred  # noqa: E402, F401
from test_transfer import test_parallel as test_parallel_transferred  # noqa: E402, F401
from test_transfer import test_upload as test_upload_transferred  # noqa: E402, F401


def test_nothing_was_refused(lab):
    """What may wait for the thread is enough for all that."""
    for site in lab.sites:
        assert site.wlad.counter("write_failed") == 0
