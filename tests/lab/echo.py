"""Echo on UDP, as RFC 862 has it, and on TCP, where nothing but health checks connects.

python3 echo.py PORT: both families, until killed.
"""

import selectors
import socket
import sys


def listen(family, kind, port):
    s = socket.socket(family, kind)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    s.bind(("", port))
    if kind == socket.SOCK_STREAM:
        s.listen(64)
    s.setblocking(False)
    return s


def answer(s):
    """Large answers are fragments; their path MTU may be learnt only now, so once again."""
    if s.type == socket.SOCK_STREAM:
        s.accept()[0].close()
        return
    data, sender = s.recvfrom(65535)
    try:
        s.sendto(data, sender)
    except OSError as error:
        print("answer to %s: %s" % (sender, error), file=sys.stderr, flush=True)


def main(port):
    selector = selectors.DefaultSelector()
    for family in (socket.AF_INET, socket.AF_INET6):
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            selector.register(listen(family, kind, port), selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            try:
                answer(key.fileobj)
            except OSError:
                pass  # the check that connected has gone


if __name__ == "__main__":
    main(int(sys.argv[1]))
