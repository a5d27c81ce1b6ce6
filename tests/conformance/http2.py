"""HTTP/2 by hand, for what no library lets a client do (RFC 9113, RFC 7541)."""

import socket
from typing import NamedTuple

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY = 0, 1, 3, 4, 7
END_STREAM, ACK, END_HEADERS = 1, 1, 4
REFUSED_STREAM = 7
# `:status` by its place in the table, "431" in Huffman's code.
STATUS_431 = bytes.fromhex("08836990ff"), bytes.fromhex("48836990ff")


class Frame(NamedTuple):
    """A frame as it was received."""

    kind: int
    flags: int
    stream: int
    payload: bytes


class Connection:
    """A connection that sends frames as it is told. It answers settings and nothing else."""

    def __init__(self, node):
        self.node = node
        self.socket = socket.create_connection((node.host, node.port), 30)
        self.reader = self.socket.makefile("rb")
        self.socket.sendall(PREFACE)
        self.send(SETTINGS)
        self.settings = self.receive(SETTINGS).payload

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.reader.close()
        self.socket.close()

    def setting(self, wanted):
        """A setting of the server's, by its number; None when it made none."""
        for at in range(0, len(self.settings), 6):
            if int.from_bytes(self.settings[at : at + 2]) == wanted:
                return int.from_bytes(self.settings[at + 2 : at + 6])
        return None

    def send(self, kind, flags=0, stream=0, payload=b""):
        head = len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4)
        self.socket.sendall(head + payload)

    def receive(self, *kinds, stream=None):
        """The next frame of one of these kinds, on this stream; the others are passed over."""
        while True:
            head = self.reader.read(9)
            assert len(head) == 9, f"the connection was closed before any frame of {kinds}"
            payload = self.reader.read(int.from_bytes(head[:3]))
            frame = Frame(head[3], head[4], int.from_bytes(head[5:]), payload)
            if frame.kind == SETTINGS and not frame.flags & ACK:
                self.send(SETTINGS, ACK)
            if frame.kind in kinds and stream in (None, frame.stream):
                return frame

    def call(self, stream, path, more=()):
        """The headers of a gRPC call, whose message is still to come."""
        headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", f"{self.node.host}:{self.node.port}"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            *more,
        ]
        block = b"".join(b"\0" + text(name) + text(value) for name, value in headers)
        self.send(HEADERS, END_HEADERS, stream, block)

    def end(self, stream, message=b""):
        """The message of a call, which is the last of it."""
        self.send(DATA, END_STREAM, stream, b"\0" + len(message).to_bytes(4) + message)


def text(value):
    """A text in a block of headers, its length before it in groups of seven bits."""
    coded, more = [min(len(value), 127)], len(value) - 127
    while more >= 128:
        coded.append(more % 128 + 128)
        more //= 128
    if more >= 0:
        coded.append(more)
    return bytes(coded) + value.encode()
