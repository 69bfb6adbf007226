"""Fixtures of the lab: content, two sites, what to show when a test fails."""

import importlib
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import daemon  # noqa: E402
import lab as labs  # noqa: E402
import netns  # noqa: E402
import servers  # noqa: E402

# who starts the tests in the background may have it ignored, and everything they start then, too
signal.signal(signal.SIGINT, signal.default_int_handler)

TOOLS = ["ip", "nginx", "dnsmasq", "dig", "curl", "tcpdump", "nft", "openssl", "sha256sum"]


def first_line(*args):
    try:
        done = subprocess.run(args, capture_output=True, text=True, timeout=10)
        return (done.stdout or done.stderr).splitlines()[0].strip()
    except (OSError, IndexError, subprocess.TimeoutExpired):
        return "not there"


def why_not():
    """Why the lab cannot run here, or None."""
    if os.environ.get("WLAD_LAB") == "no":
        return "WLAD_LAB=no"
    missing = netns.missing_tools(TOOLS)
    if missing:
        return "needs " + ", ".join(missing)
    try:
        importlib.import_module("scapy.layers.inet6")
    except ImportError:
        return "needs scapy"
    return netns.unusable()


def pytest_report_header(config):
    lines = ["lab: Linux %s, %d processors" % (platform.release(), os.cpu_count()),
             "lab: %s" % (first_line(daemon.WLAD, "-V") if daemon.built()
                          else "no wlad in " + daemon.BUILDDIR)]
    for command in (["nginx", "-v"], ["dnsmasq", "-v"], ["curl", "-V"], ["ip", "-V"]):
        lines.append("lab: " + first_line(*command)[:70])
    return lines


def pytest_sessionstart(session):
    netns.end_on_signals()
    if netns.unusable() is None:
        netns.sweep()


@pytest.fixture(scope="session", autouse=True)
def possible():
    reason = why_not()
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def wlad(possible):
    """The daemon and its tool are built."""
    if not daemon.built():
        pytest.skip("no wlad and wladmctl in %s (WLAD_BUILDDIR)" % daemon.BUILDDIR)


@pytest.fixture(scope="session")
def content(possible):
    directory = tempfile.mkdtemp(prefix="wl%d-" % os.getpid(),
                                 dir=servers.content_directory(tempfile.gettempdir()))
    yield servers.Content(directory).make()
    shutil.rmtree(directory)


def cut(content, name, mib):
    """A piece out of the middle of the content as a file: (path, SHA-256)."""
    path = os.path.join(content.directory, name)
    with open(content.big, "rb") as source, open(path, "wb") as out:
        source.seek(200 << 20)
        for _ in range(mib):
            out.write(source.read(1 << 20))
    return path, servers.sha256(path)


@pytest.fixture(scope="session")
def upload_file(content):
    """100 MiB to be uploaded."""
    return cut(content, "upload", 100)


@pytest.fixture(scope="session")
def small_file(content):
    """4 MiB to be uploaded where every packet is looked at."""
    return cut(content, "small", 4)


@pytest.fixture(scope="module")
def directory():
    """Logs, configurations and captures of one test file; uploads too, so in memory if possible."""
    path = tempfile.mkdtemp(prefix="wl%d-" % os.getpid(),
                            dir=servers.content_directory(tempfile.gettempdir()))
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def net(directory, content):
    """Two sites without daemons."""
    sites = labs.TwoSites(directory, content)
    yield sites
    sites.close()


@pytest.fixture(scope="module")
def lab(wlad, net):
    """Two sites, servers and daemons running, each knowing the other."""
    try:
        return net.start()
    except Exception:
        print(net.report())
        raise


def note_failed(nodeid):
    """For run.sh, which tries it once more."""
    path = os.environ.get("WLAD_LAB_FAILED")
    if path:
        with open(path, "a", encoding="ascii") as f:
            f.write(nodeid[nodeid.index("test_"):] + "\n")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed and call.when != "teardown":
        note_failed(item.nodeid)
    net = item.funcargs.get("net") or item.funcargs.get("lab")
    if report.failed and net is not None:
        report.sections.append(("daemons", net.report()))
