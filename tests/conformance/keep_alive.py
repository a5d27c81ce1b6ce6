"""Connections that stay open, for those who ask by the ten thousand: signing and sending cost little,
and a reply comes back exactly as it was written."""

import datetime
import functools
import hashlib
import hmac
import json
import socket
from dataclasses import dataclass

from node import REGION

SIGNED_HEADERS = "content-type;host;x-amz-date;x-amz-target"
TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Raw:
    """A reply: the status line and the headers in their order, and the body."""

    head: bytes
    body: bytes

    @property
    def status(self):
        return int(self.head.split(b" ", 2)[1])

    @property
    def code(self):
        """The error's code; OK for none."""
        return "OK" if self.status == 200 else json.loads(self.body)["__type"]

    @property
    def message(self):
        return json.loads(self.body or "{}").get("message", "")


class Connection:
    """One HTTP/1.1 connection of one caller."""

    def __init__(self, node, access_key, secret):
        self.host = f"{node.host}:{node.port}"
        self.access_key, self.secret = access_key, secret
        self.socket = socket.create_connection((node.host, node.port), TIMEOUT_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def call(self, operation, body):
        return self.exchange(self.request(operation, body))

    def exchange(self, request):
        """Sends a request that was signed before."""
        self.socket.sendall(request)
        return self.read()

    def request(self, operation, body):
        """A signed request, ready to be sent."""
        body = json.dumps(body).encode()
        target = f"TrentService.{operation}"
        date = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
        headers = {
            "content-type": "application/x-amz-json-1.1",
            "host": self.host,
            "x-amz-date": date,
            "x-amz-target": target,
        }
        headers["authorization"] = self._authorization(headers, date, body)
        headers["content-length"] = len(body)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"POST / HTTP/1.1\r\n{lines}\r\n".encode() + body

    def _authorization(self, headers, date, body):
        signed = "".join(f"{name}:{value}\n" for name, value in headers.items())
        digest = hashlib.sha256(body).hexdigest()
        canonical = f"POST\n/\n\n{signed}\n{SIGNED_HEADERS}\n{digest}"
        scope = f"{date[:8]}/{REGION}/kms/aws4_request"
        hashed = hashlib.sha256(canonical.encode()).hexdigest()
        to_sign = f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashed}"
        key = signing_key(self.secret, scope)
        signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
        credential = f"Credential={self.access_key}/{scope}"
        return (
            f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={SIGNED_HEADERS}, Signature={signature}"
        )

    def read(self):
        """The next reply."""
        while b"\r\n\r\n" not in self.received:
            self._receive()
        head, _, self.received = self.received.partition(b"\r\n\r\n")
        length = next(
            int(value)
            for name, _, value in (line.partition(b":") for line in head.split(b"\r\n"))
            if name.lower() == b"content-length"
        )
        while len(self.received) < length:
            self._receive()
        body, self.received = self.received[:length], self.received[length:]
        return Raw(head, body)

    def _receive(self):
        piece = self.socket.recv(65536)
        assert piece, f"the server hung up after {self.received!r}"
        self.received += piece


@functools.cache
def signing_key(secret, scope):
    """The key that all requests of a scope are signed with."""
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
