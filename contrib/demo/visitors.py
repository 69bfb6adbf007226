"""The clients of the demonstration: visitors that come and go, connections that stay."""

import collections
import socket
import threading
import time

PATIENCE = 5.0  # seconds after which a visitor gives up: a failed request
PAUSE = 0.02    # between two requests of a visitor
AGAIN = 0.05    # before a refused visitor asks again


def request(path, keep, more=""):
    return ("GET %s HTTP/1.1\r\nHost: demo\r\n%sConnection: %s\r\n\r\n" % (
        path, more, "keep-alive" if keep else "close")).encode()


def ask_once(address, timeout):
    """A request on a connection of its own; the name of the server that answered."""
    with socket.create_connection((address, 80), timeout) as s:
        s.sendall(request("/who", False))
        got = b""
        while chunk := s.recv(4096):
            got += chunk
    head, _, body = got.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 ") or not body.endswith(b"\n"):
        raise ConnectionError("no complete answer")
    return body.decode().strip()


class Visitors:
    """Some threads in the client's namespace.  A visitor whose connection is refused, reset or
    silent asks again, as a browser does; after PATIENCE seconds his request has failed."""

    def __init__(self, namespace, addresses, count=8):
        self.namespace, self.addresses = namespace, addresses
        self.lock = threading.Lock()
        self.going, self.stopping = threading.Event(), False
        self.forget()
        self.idle = threading.Semaphore(0)
        self.threads = [threading.Thread(target=self._live, args=(i,), daemon=True)
                        for i in range(count)]
        for t in self.threads:
            t.start()

    def forget(self):
        """Counts start anew."""
        with self.lock:
            self.answers = collections.Counter()
            self.repeated = self.failed = 0
            self.slowest = 0.0

    def snapshot(self):
        with self.lock:
            return dict(answers=collections.Counter(self.answers), repeated=self.repeated,
                        failed=self.failed, slowest=self.slowest)

    def _live(self, number):
        self.namespace.enter()
        while not self.stopping:
            if not self.going.is_set():
                self.idle.release()
                self.going.wait()
                continue
            self._visit(self.addresses[number % len(self.addresses)])
            time.sleep(PAUSE)

    def _visit(self, address):
        start = time.monotonic()
        attempts, name = 0, None
        while name is None:
            attempts += 1
            left = start + PATIENCE - time.monotonic()
            if left <= 0:
                break
            try:
                name = ask_once(address, left)
            except OSError:
                time.sleep(AGAIN)
        with self.lock:
            self.slowest = max(self.slowest, time.monotonic() - start)
            self.repeated += attempts > 1 and name is not None
            if name is None:
                self.failed += 1
            else:
                self.answers[name] += 1

    def start(self):
        self.forget()
        self.idle = threading.Semaphore(0)
        self.going.set()

    def stop(self):
        """Returns once every request has been answered or has failed."""
        if not self.going.is_set():
            return
        self.going.clear()
        for _ in self.threads:
            self.idle.acquire()


class Held:
    """Connections that clients keep open."""

    def __init__(self, namespace, address):
        self.namespace, self.address = namespace, address
        self.connections = []  # (socket, name of its server)

    def add(self):
        s = self.namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
        s.settimeout(PATIENCE)
        s.connect((self.address, 80))
        self.connections.append((s, ask_held(s)))

    def by_site(self):
        return collections.Counter(name[0] for _, name in self.connections)

    def all_answer(self):
        """Each still answers, and from the server it began with."""
        return all(ask_held(s) == name for s, name in self.connections)

    def one_at(self, letter):
        return next(s for s, name in self.connections if name[0] == letter)

    def close(self):
        for s, _ in self.connections:
            s.close()
        self.connections.clear()


def read_head(s):
    got = b""
    while b"\r\n\r\n" not in got:
        chunk = s.recv(65536)
        if not chunk:
            raise ConnectionError("closed in the middle of an answer")
        got += chunk
    head, _, body = got.partition(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n")
                  if line.startswith(b"content-length:"))
    return head, body, length


def ask_held(s):
    s.sendall(request("/who", True))
    _, body, length = read_head(s)
    while len(body) < length:
        body += s.recv(4096)
    return body.decode().strip()


def download(s, path, digest):
    """A download on a held connection, into a digest; octets received."""
    s.sendall(request(path, True))
    _, body, length = read_head(s)
    digest.update(body)
    got, buffer = len(body), bytearray(1 << 20)
    while got < length:
        n = s.recv_into(buffer, min(len(buffer), length - got))
        if n == 0:
            raise ConnectionError("closed in the middle of a download")
        digest.update(memoryview(buffer)[:n])
        got += n
    return got
