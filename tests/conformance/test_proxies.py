"""Where requests come from when proxies stand before the node, in the audit trail and for policies;
and that what clients claim changes nothing."""

import http.client
import ipaddress
import json
import socket
import ssl
import struct

import pytest
import trustme
from node import ACCOUNT, serving, signed
from policies import policy, statement, text_of

pytestmark = pytest.mark.dev("each listener does this for itself, by its own configuration")

CLIENT, OTHER, LOOPBACK = "203.0.113.7", "198.51.100.9", "127.0.0.1"
SIX, INNER = "2001:db8::7", "10.1.2.3"
# This machine is the proxy, and there may be more behind it.
TRUSTED = {"trusted": [LOOPBACK, "10.0.0.0/8"]}
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def header(source, command=0x21, more=b""):
    """A header of the PROXY protocol, version 2, for a client that connected to port 443."""
    source = ipaddress.ip_address(source)
    family, target = (0x11, "192.0.2.1") if source.version == 4 else (0x21, "2001:db8::1")
    addresses = source.packed + ipaddress.ip_address(target).packed + struct.pack(">HH", 4711, 443)
    return framed(command, family, addresses + more)


def framed(command, family, rest):
    return SIGNATURE + bytes([command, family]) + struct.pack(">H", len(rest)) + rest


class Server:
    """A server to which connections are made by hand."""

    def __init__(self, server, trusts=None):
        self.server = server
        self.trusts = trusts

    def connect(self, opening=b""):
        """A connection that begins with these bytes, then with TLS where it is served."""
        connected = socket.create_connection(("127.0.0.1", self.server.port), 10)
        connected.sendall(opening)
        if self.trusts:
            connected = self.trusts.wrap_socket(connected, server_hostname="localhost")
        connection = http.client.HTTPConnection("localhost")
        connection.sock = connected
        return connection

    def ask(self, connection, target="ListKeys", body=b"{}", claims=()):
        """A signed call, with headers that say for whom it is, unsigned as proxies add them."""
        key, secret = self.server.credentials(ACCOUNT)
        request = signed(
            self.server.endpoint, f"TrentService.{target}", body, access_key=key, secret=secret
        )
        connection.putrequest("POST", "/", skip_host=True, skip_accept_encoding=True)
        headers = {"Host": f"localhost:{self.server.port}", "Content-Length": str(len(body))}
        for name, value in ({**request.headers, **headers}).items():
            connection.putheader(name, value)
        for name, value in claims:
            connection.putheader(name, value)
        connection.endheaders(body)
        reply = connection.getresponse()
        text = reply.read().decode()
        assert reply.status == 200, text
        return self.recorded(reply.headers["x-amzn-RequestId"])

    def recorded(self, request_id):
        """The source of a request, by the audit trail."""
        lines = (self.server.folder / "audit.json").read_text().splitlines()
        [record] = [line for line in map(json.loads, lines) if line["requestID"] == request_id]
        return record["sourceIPAddress"]

    def source(self, opening=b"", claims=()):
        return self.ask(self.connect(opening), claims=claims)

    def hangs_up(self, opening):
        """Whether it ends the connection without a word."""
        with socket.create_connection(("127.0.0.1", self.server.port), 10) as connected:
            connected.sendall(opening)
            try:
                return connected.recv(1) == b""
            except ConnectionResetError:
                return True


@pytest.fixture(scope="module")
def by_header(tmp_path_factory):
    """Behind proxies that add `X-Forwarded-For`."""
    settings = {"proxies": TRUSTED | {"forwarded": True}}
    with serving(tmp_path_factory.mktemp("forwarded"), settings) as server:
        yield Server(server)


@pytest.fixture(scope="module")
def by_protocol(tmp_path_factory):
    """Behind proxies that speak the PROXY protocol and add `X-Forwarded-For`, over TLS."""
    folder = tmp_path_factory.mktemp("protocol")
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.cert_chain_pems[0].write_to_path(folder / "tls.crt")
    certificate.private_key_pem.write_to_path(folder / "tls.key")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    tls = {"certificate": str(folder / "tls.crt"), "key": str(folder / "tls.key")}
    proxies = TRUSTED | {"protocol": True, "forwarded": True}
    with serving(folder / "server", {"proxies": proxies, "tls": tls}) as server:
        yield Server(server, context)


@pytest.fixture(scope="module")
def trusting_others(tmp_path_factory):
    """Behind proxies that are elsewhere: whoever connects from here is a client."""
    proxies = {"trusted": ["10.0.0.0/8"], "protocol": True, "forwarded": True}
    with serving(tmp_path_factory.mktemp("others"), {"proxies": proxies}) as server:
        yield Server(server)


@pytest.fixture(scope="module")
def trusting_nobody(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("nobody")) as server:
        yield Server(server)


FORWARDED = [
    ([CLIENT], CLIENT),
    ([f"{OTHER}, {CLIENT}"], CLIENT),
    ([OTHER, CLIENT], CLIENT),
    ([f"{OTHER}, {CLIENT}, {INNER}"], CLIENT),
    ([f"{LOOPBACK}, {CLIENT}, {INNER}"], CLIENT),
    ([f"[{SIX}]:4711, {INNER}:80"], SIX),
    ([INNER], INNER),
    ([f"{CLIENT}, unknown"], LOOPBACK),
    ([f"{CLIENT}, unknown, {INNER}"], INNER),
    ([""], LOOPBACK),
    ([], LOOPBACK),
]


@pytest.mark.parametrize(("lines", "expected"), FORWARDED)
def test_the_last_untrusted_address_counts(by_header, lines, expected):
    claims = [("X-Forwarded-For", line) for line in lines]
    assert by_header.source(claims=claims) == expected


def test_each_request_of_a_connection_has_its_own(by_header):
    connection = by_header.connect()
    for address in (CLIENT, OTHER, CLIENT):
        assert by_header.ask(connection, claims=[("X-Forwarded-For", address)]) == address
    assert by_header.ask(connection) == LOOPBACK


@pytest.mark.parametrize(
    ("opening", "expected"),
    [
        (header(CLIENT), CLIENT),
        (header(SIX), SIX),
        (header(f"::ffff:{CLIENT}"), CLIENT),
        (header(CLIENT, more=b"\x04\x00\x08" + bytes(8)), CLIENT),
        (header(CLIENT, command=0x20), LOOPBACK),
        (framed(0x20, 0, b""), LOOPBACK),
        (framed(0x21, 0x31, bytes(216)), LOOPBACK),
    ],
    ids=["IPv4", "IPv6", "IPv4 in IPv6", "extended", "local", "local and empty", "unix"],
)
def test_the_protocol_names_the_client(by_protocol, opening, expected):
    assert by_protocol.source(opening) == expected


def test_a_client_behind_the_protocol_claims_in_vain(by_protocol):
    claims = [("X-Forwarded-For", OTHER)]
    assert by_protocol.source(header(CLIENT), claims) == CLIENT
    assert by_protocol.source(header(INNER), claims) == OTHER


@pytest.mark.parametrize(
    "opening",
    [
        b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 443\r\n" + bytes(16),
        header(CLIENT, command=0x11),
        header(CLIENT, command=0x22),
        framed(0x21, 0x11, bytes(11)),
        framed(0x21, 0x11, bytes(5000)),
        b"\0" + header(CLIENT),
        b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
    ids=["version 1", "wrong version", "wrong command", "short", "long", "shifted", "none"],
)
def test_a_proxy_that_does_not_say_so_well_is_not_heard(by_protocol, opening):
    assert by_protocol.hangs_up(opening)
    assert by_protocol.source(header(CLIENT)) == CLIENT


class TestNobodyElseIsBelieved:
    CLAIMS = [
        ("X-Forwarded-For", CLIENT),
        ("X-Real-IP", CLIENT),
        ("Forwarded", f"for={CLIENT}"),
        ("True-Client-IP", CLIENT),
        ("X-Forwarded-For", f"{CLIENT}, {INNER}"),
    ]

    @pytest.mark.parametrize("which", ["trusting_others", "trusting_nobody"])
    def test_headers_change_nothing(self, request, which):
        server = request.getfixturevalue(which)
        assert server.source(claims=self.CLAIMS) == LOOPBACK
        for claim in self.CLAIMS:
            assert server.source(claims=[claim]) == LOOPBACK

    @pytest.mark.parametrize("which", ["trusting_others", "trusting_nobody"])
    def test_the_protocol_is_no_request(self, request, which):
        server = request.getfixturevalue(which)
        connection = server.connect(header(CLIENT))
        with pytest.raises((AssertionError, http.client.HTTPException, OSError)):
            server.ask(connection)
        assert server.source() == LOOPBACK

    def test_other_headers_of_a_proxy_change_nothing(self, by_header):
        claims = [claim for claim in self.CLAIMS if claim[0] != "X-Forwarded-For"]
        assert by_header.source(claims=claims) == LOOPBACK


def test_conditions_ask_about_the_same_address(by_header):
    made = by_header.server.client().create_key()["KeyMetadata"]["KeyId"]
    elsewhere = {"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}}
    denial = statement(Effect="Deny", Principal="*", Action="kms:DescribeKey", Condition=elsewhere)
    text = text_of(policy(statement(), denial))
    by_header.server.client().put_key_policy(KeyId=made, Policy=text)
    body = json.dumps({"KeyId": made}).encode()
    inside = [("X-Forwarded-For", CLIENT)]
    assert by_header.ask(by_header.connect(), "DescribeKey", body, inside) == CLIENT
    for claims in ([], [("X-Forwarded-For", OTHER)], [("X-Forwarded-For", f"{CLIENT}, {OTHER}")]):
        with pytest.raises(AssertionError, match="AccessDeniedException"):
            by_header.ask(by_header.connect(), "DescribeKey", body, claims)
