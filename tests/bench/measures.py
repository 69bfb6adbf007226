"""What the benchmarks measure: iperf3 and wrk between a client and a server, the processors that a
peer takes meanwhile, and how figures are written.

net has .client and .server_ns (namespaces); a peer has .udp and .processes.
"""

import collections
import json
import os
import re
import statistics
import sys
import time

import netns
from peers import IPERF_PORT

CONNECTIONS = 64
STREAMS = 8
OCTETS = 64
UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6}
TICKS = os.sysconf("SC_CLK_TCK")

# One measurement.  processors: that the peer's own processes took, None where it has none; seconds:
# of all processors of the machine, client and server included; gigabytes: of bulk, else None;
# packets: in and out of the client, where a super-packet is one.
Figure = collections.namedtuple("Figure", "value processors seconds gigabytes packets")


def start_iperf(net):
    """The server of iperf3; a look at whether it listens must not be a connection to it."""
    net.server_ns.start("iperf3", "-s", "-p", str(IPERF_PORT))
    netns.wait_for(lambda: ":%d " % IPERF_PORT in net.server_ns.run("ss", "-Htln"),
                   what="iperf3 listening")


def iperf(net, address, seconds, *options):
    """What iperf3 says at the end."""
    out = net.client.run("iperf3", "-J", "-c", address, "-p", str(IPERF_PORT), "-t", str(seconds),
                         *options, timeout=seconds + 40)
    result = json.loads(out)
    if "error" in result:
        raise netns.LabError("iperf3: " + result["error"])
    return result["end"]


def bulk(streams, *options):
    """A measure: Gbit/s received by so many TCP connections at once."""
    def measured(net, peer, address, port, seconds):
        end = iperf(net, address, seconds, "-P", str(streams), *options)
        return end["sum_received"]["bits_per_second"] / 1e9
    return measured


def datagrams(net):
    """UDP packets that have reached the server so far, whether its program took them or not."""
    names, values = [line.split()[1:] for line in
                     net.server_ns.run("cat", "/proc/net/snmp").splitlines()
                     if line.startswith("Udp:")]
    counts = dict(zip(names, map(int, values)))
    return counts["InDatagrams"] + counts["InErrors"]


def packets(net, peer, address, port, seconds):
    """Small packets a second from a sender that knows no limit."""
    if not peer.udp:
        return None
    before = datagrams(net)
    end = iperf(net, address, seconds, "-u", "-l", str(OCTETS), "-b", "0")
    return (datagrams(net) - before) / end["sum"]["seconds"]


def wrk(net, address, port, seconds, connections, new=False):
    """What wrk says; an error is an error, not a smaller figure."""
    out = net.client.run("wrk", "-t1", "-c%d" % connections, "-d%ds" % seconds, "--latency",
                         *(["-H", "Connection: close"] if new else []),
                         "http://%s:%d/who" % (address, port), timeout=seconds + 40)
    faults = re.findall(r"Socket errors:.*|Non-2xx.*", out)
    # a connection that the server closed after its answer is what "new" is about
    faults = [f for f in faults if any(int(n) for k, n in re.findall(r"(\w+) (\d+)", f)
                                       if not (new and k == "read"))]
    if faults:
        raise netns.LabError("wrk: " + "; ".join(faults))
    return out


def requests(new, connections=CONNECTIONS):
    """A measure: requests a second, on kept connections or on a new one each."""
    def measured(net, peer, address, port, seconds):
        out = wrk(net, address, port, seconds, connections, new)
        return float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))
    return measured


def round_trip(net, peer, address, port, seconds):
    """Microseconds from a request to its answer, the median."""
    out = wrk(net, address, port, seconds, 1)
    value, unit = re.search(r"^\s+50%\s+([\d.]+)(us|ms|s)$", out, re.M).groups()
    return float(value) * UNITS[unit]


BULK = ("upload", "download", "upload-%d" % STREAMS, "download-%d" % STREAMS)
MEASURES = {
    "upload": ("Gbit/s, one TCP connection", bulk(1)),
    "download": ("Gbit/s, one TCP connection", bulk(1, "-R")),
    "upload-%d" % STREAMS: ("Gbit/s, %d TCP connections" % STREAMS, bulk(STREAMS)),
    "download-%d" % STREAMS: ("Gbit/s, %d TCP connections" % STREAMS, bulk(STREAMS, "-R")),
    "packets": ("packets/s, UDP, %d octets" % OCTETS, packets),
    "round-trip": ("us, one request at a time; less is better", round_trip),
    "kept": ("requests/s, %d kept connections" % CONNECTIONS, requests(False)),
    "new": ("connections/s, %d at a time" % CONNECTIONS, requests(True)),
}


def processor_seconds(processes):
    """Of processes and their children, user and system; None for what has none."""
    if not processes:
        return None
    wanted, known = {p.pid for p in processes}, []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % entry) as f:
                fields = f.read().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        known.append((int(entry), int(fields[1]), int(fields[11]) + int(fields[12])))
    wanted |= {pid for pid, parent, _ in known if parent in wanted}
    return sum(ticks for pid, _, ticks in known if pid in wanted) / TICKS


def machine_seconds():
    """Of all processors, in whatever they do but waiting."""
    with open("/proc/stat") as f:
        user, nice, system, _, _, irq, softirq = map(int, f.readline().split()[1:8])
    return (user + nice + system + irq + softirq) / TICKS


def client_packets(net):
    """That the client has sent and received so far."""
    return sum(net.client.counters("eth0")[2:])


def timed(key, measure, net, peer, address, port, seconds):
    """A Figure; its value is None for what the peer cannot do."""
    own, packets = processor_seconds(peer.processes), client_packets(net)
    machine, start = machine_seconds(), time.monotonic()
    value = measure(net, peer, address, port, seconds)
    took, machine = time.monotonic() - start, machine_seconds() - machine
    if value is None:
        return Figure(None, None, None, None, None)
    return Figure(value, None if own is None else (processor_seconds(peer.processes) - own) / took,
                  machine, value * seconds / 8 if key in BULK else None,
                  client_packets(net) - packets)


def note(text):
    print(text, file=sys.stderr, flush=True)


def measure(net, peer, name, measures, seconds):
    """One round of one peer: its figures."""
    address, port = peer.start()
    try:
        answer = netns.wait_for(lambda: net.client.run(
            "curl", "-s", "-m", "2", "http://%s:%d/who" % (address, port), check=False),
            timeout=15, what="%s serving" % name)
        if answer.strip() != "s1":
            raise netns.LabError("%s: wrong answer %r" % (name, answer))
        return {key: timed(key, function, net, peer, address, port, seconds)
                for key, (_, function) in measures.items()}
    finally:
        peer.stop()


def rounds(net, peers, names, measures, count, seconds):
    """figures[peer][measure]: a list of Figures, one a round."""
    figures = {n: {m: [] for m in measures} for n in names}
    for turn in range(count):
        for name in names[turn % len(names):] + names[:turn % len(names)]:
            start = time.monotonic()
            for key, value in measure(net, peers[name](net), name, measures, seconds).items():
                figures[name][key].append(value)
            note("round %d of %d: %s (%.0f s)" % (turn + 1, count, name,
                                                  time.monotonic() - start))
    return figures


def write_results(path, bench, figures, measures):
    """All of a run for other programs: a line of tab-separated columns for each figure, "-" for what
    there is none of."""
    with open(path, "w") as f:
        f.write("\t".join(["bench", "peer", "measure", "unit", "round", *Figure._fields]) + "\n")
        for peer, measured in figures.items():
            for key, rounds_of_it in measured.items():
                for turn, figure in enumerate(rounds_of_it):
                    f.write("\t".join([bench, peer, key, measures[key][0], str(turn + 1), *(
                        "-" if value is None else "%.6g" % value for value in figure)]) + "\n")


def number(value):
    return "-" if value is None else "%.2f" % value if value < 100 else "{:,.0f}".format(value)


def column(pairs, index=0):
    """The figures (0) or processors (1) of one peer's rounds, without what there is none of."""
    return [pair[index] for pair in pairs if pair[index] is not None]


def median(pairs, index=0):
    values = column(pairs, index)
    return statistics.median(values) if values else None


def ratio(a, b):
    return "-" if a is None or not b else "%.2f" % (a / b)


def row(head, cells, width):
    return "%-14s" % head + "".join(cell.rjust(width) for cell in cells)
