"""What a client may cost: beyond these sizes, numbers and times it is refused or let go."""

import concurrent.futures
import contextlib
import gzip
import http.client
import json
import socket
import time

import grpc
import http2
import pytest
from protos import SERVICE
from slow import PAUSE_SECONDS, endure, is_about
from test_grpc import BEARER

pytestmark = pytest.mark.dev("it needs a listener without TLS")

MEBIBYTE = 1024 * 1024
HEADERS, HEADER_BYTES, HTTP2_HEADER_BYTES, STREAMS = 100, 64 * 1024, 16 * 1024, 128
# The seconds that a client has: to say what it speaks, for its headers, for its body.
OPENING_SECONDS = HEADER_SECONDS = 5
BODY_SECONDS = 10
TOO_LARGE = "RequestEntityTooLarge", "The request is larger than 1 MiB."
TOO_SLOW = "The request body did not arrive in time."
LIST_KEYS = f"/{SERVICE}/ListKeys"
CHECK = "/grpc.health.v1.Health/Check"
CROWD, CALLS = 50, 50


def connect(node):
    return socket.create_connection((node.host, node.port), 30)


def padded(length):
    """A message of this length that is nothing but a member that nobody knows."""
    filling = length - 4
    size = bytes([filling & 127 | 128, filling >> 7 & 127 | 128, filling >> 14])
    return b"\x7a" + size + bytes(filling)


@pytest.fixture(scope="module")
def list_keys(node):
    """ListKeys over gRPC, which is given its message's bytes."""
    with grpc.insecure_channel(f"{node.host}:{node.port}") as channel:
        method = channel.unary_unary(LIST_KEYS)
        yield lambda message, **how: method(message, metadata=BEARER, timeout=30, **how)


def grpc_refusal(call):
    """The status and the text of a call that is refused."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value.code(), caught.value.details()


class TestBody:
    def test_largest(self, node):
        assert node.call("ListKeys", b"{}".ljust(MEBIBYTE)).status == 200

    def test_too_large(self, node):
        reply = node.call("ListKeys", b"{}".ljust(MEBIBYTE + 1))
        assert (reply.status, reply.code, reply.message) == (413, *TOO_LARGE)

    def test_too_large_and_of_no_stated_length(self, node):
        body = b"{}".ljust(MEBIBYTE + 1)
        request = node.sign("TrentService.ListKeys", body)
        connection = http.client.HTTPConnection(node.host, node.port, timeout=30)
        with contextlib.closing(connection):
            connection.putrequest("POST", "/")
            for name, value in request.headers.items():
                if name != "Content-Length":
                    connection.putheader(name, value)
            connection.putheader("Transfer-Encoding", "chunked")
            connection.endheaders()
            # The end of the body is left out: nobody may wait for it.
            connection.send(f"{len(body):x}\r\n".encode() + body)
            reply = connection.getresponse()
            assert (reply.status, json.load(reply)["__type"]) == (413, TOO_LARGE[0])

    def test_over_grpc(self, list_keys):
        # A flag and the length belong to the body, too.
        list_keys(padded(MEBIBYTE - 5))
        refusal = grpc_refusal(lambda: list_keys(padded(MEBIBYTE - 4)))
        assert refusal == (grpc.StatusCode.RESOURCE_EXHAUSTED, TOO_LARGE[1])

    @pytest.mark.parametrize("encoding", ["gzip", "deflate", "aws-chunked", "identity"])
    def test_encoded(self, node, encoding):
        body = gzip.compress(b"{}") if encoding == "gzip" else b"{}"
        reply = node.call("ListKeys", body, headers={"Content-Encoding": encoding})
        text = "Content-Encoding is not supported."
        assert (reply.status, reply.code, reply.message) == (400, "SerializationException", text)

    def test_compressed_over_grpc(self, list_keys):
        refusal = grpc_refusal(lambda: list_keys(bytes(1000), compression=grpc.Compression.Gzip))
        text = "Compressed messages are not supported."
        assert refusal == (grpc.StatusCode.INVALID_ARGUMENT, text)


def answer(node, head):
    """The status line that a request is answered with, or the beginning of one."""
    with connect(node) as connection:
        connection.sendall(head)
        return connection.makefile("rb").readline().split(b" ", 1)[1].strip()


def request(fields):
    """A request with so many fields in its head."""
    more = b"".join(b"X-%d: x\r\n" % number for number in range(fields - 2))
    return b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n" + more + b"\r\n"


class TestHeaders:
    """A request that is taken is not signed, and told so."""

    def test_many(self, node):
        assert answer(node, request(HEADERS)) == b"400 Bad Request"
        assert answer(node, request(HEADERS + 1)).startswith(b"431")

    def test_long(self, node):
        head, end = request(2).removesuffix(b"\r\n") + b"X: ", b"\r\n\r\n"
        assert answer(node, head.ljust(HEADER_BYTES - 1000, b"x") + end) == b"400 Bad Request"
        # What comes after this much is not waited for.
        assert answer(node, head.ljust(HEADER_BYTES, b"x")).startswith(b"431")

    def test_over_http2(self, node):
        with http2.Connection(node) as connection:
            assert connection.setting(6) == HTTP2_HEADER_BYTES
            # Each counts its name, its value and 32 bytes.
            fields = [(f"x-{number:03}", "x" * 24) for number in range(HTTP2_HEADER_BYTES // 61)]
            connection.call(1, CHECK, fields[:-20])
            connection.end(1)
            assert connection.receive(http2.DATA, stream=1)
            connection.call(3, CHECK, fields)
            refusal = connection.receive(http2.HEADERS, stream=3)
            assert refusal.payload.startswith(http2.STATUS_431)


class TestStreams:
    def test_no_more_at_a_time_on_one_connection(self, node):
        with http2.Connection(node) as connection:
            assert connection.setting(3) == STREAMS
            begun = range(1, 2 * (STREAMS + 1), 2)
            for stream in begun:
                connection.call(stream, CHECK)
            refused = connection.receive(http2.RST_STREAM)
            assert refused.stream == begun[-1]
            assert int.from_bytes(refused.payload) == http2.REFUSED_STREAM

            # Those that were there go on, and one that ends makes room.
            connection.end(begun[0])
            assert connection.receive(http2.DATA, stream=begun[0])
            connection.receive(http2.HEADERS, stream=begun[0])
            another = begun[-1] + 2
            connection.call(another, CHECK)
            connection.end(another)
            reply = connection.receive(http2.DATA, http2.RST_STREAM, stream=another)
            assert reply.kind == http2.DATA


HALF_A_HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
HALF_A_BODY = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{"
# What it sends at once, what it sends again and again, and how long it is listened to.
SLOW = {
    "silent": (b"", b"", OPENING_SECONDS),
    "half-a-preface": (http2.PREFACE[:16], b"", OPENING_SECONDS),
    "headers": (HALF_A_HEAD, b"x", HEADER_SECONDS),
    "silent-after-a-request": (request(2), b"", HEADER_SECONDS),
    "body": (HALF_A_BODY, b" ", BODY_SECONDS),
}


def slow_call(node):
    """A call over gRPC whose body does not end; how it is answered, and after how long."""
    began = time.monotonic()

    def bits():
        while time.monotonic() < began + 3 * BODY_SECONDS:
            yield b""
            time.sleep(PAUSE_SECONDS)

    with grpc.insecure_channel(f"{node.host}:{node.port}") as channel:
        method = channel.stream_unary(LIST_KEYS)
        refusal = grpc_refusal(lambda: method(bits(), metadata=BEARER, timeout=60))
    return refusal, time.monotonic() - began


@pytest.fixture(scope="module")
def slow_clients(node):
    """What becomes of the slow clients, by name. They are there at the same time."""

    def run(head, drip):
        with connect(node) as connection:
            return endure(connection, head, drip)

    with concurrent.futures.ThreadPoolExecutor() as threads:
        clients = {
            name: threads.submit(run, head, drip) for name, (head, drip, _) in SLOW.items()
        }
        yield clients | {"grpc": threads.submit(slow_call, node)}


class TestSlowClients:
    def test_others_are_served(self, node, slow_clients):
        with contextlib.ExitStack() as crowd:
            for head, *_ in SLOW.values():
                for _ in range(CROWD):
                    crowd.enter_context(connect(node)).sendall(head)
            kms = node.client()
            for _ in range(CALLS):
                began = time.monotonic()
                kms.list_keys(Limit=1)
                assert time.monotonic() - began < 1
                kms.close()

    @pytest.mark.parametrize("name", [name for name in SLOW if name != "body"])
    def test_is_let_go(self, slow_clients, name):
        said, seconds = slow_clients[name].result()
        assert is_about(seconds, SLOW[name][2]), seconds
        assert said.startswith(b"HTTP/1.1 400" if name == "silent-after-a-request" else b"")

    def test_is_told_that_its_body_is_late(self, slow_clients):
        said, seconds = slow_clients["body"].result()
        assert is_about(seconds, BODY_SECONDS), seconds
        head, body = said.split(b"\r\n\r\n", 1)
        assert head.startswith(b"HTTP/1.1 400")
        assert json.loads(body) == {"__type": "SerializationException", "message": TOO_SLOW}

    def test_is_told_so_over_grpc(self, slow_clients):
        refusal, seconds = slow_clients["grpc"].result()
        assert is_about(seconds, BODY_SECONDS), seconds
        assert refusal == (grpc.StatusCode.INVALID_ARGUMENT, TOO_SLOW)
