"""A server that speaks first, as mail servers do: it reads a PROXY header, and before the client
has said anything else it greets the client that the header names.  What follows is echoed.

    speaks_first.py PORT
"""

import ipaddress
import socket
import struct
import sys
import threading

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def read(connection, length):
    data = b""
    while len(data) < length:
        piece = connection.recv(length - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def serve(connection):
    with connection:
        connection.settimeout(30)
        try:
            head = read(connection, 16)
            length, = struct.unpack("!H", head[14:])
            body = read(connection, length)
            if head[:12] != SIGNATURE or head[12] != 0x21 or head[13] not in (0x11, 0x21):
                return
            size = 4 if head[13] == 0x11 else 16
            client = ipaddress.ip_address(body[:size])
            port, = struct.unpack("!H", body[2 * size:2 * size + 2])
            connection.sendall(b"220 %s %d\r\n" % (str(client).encode(), port))
            while data := connection.recv(65536):
                connection.sendall(data)
        except (OSError, EOFError):
            pass


def main():
    server = socket.create_server(("::", int(sys.argv[1])), family=socket.AF_INET6, backlog=1024,
                                  dualstack_ipv6=True)
    while True:
        connection, _ = server.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


main()
