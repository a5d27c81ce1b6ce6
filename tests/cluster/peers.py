"""The members' port, as somebody sees it who has the key of the members' authority."""

import contextlib
import datetime
import importlib
import socket
import ssl
import tempfile

import grpc
from certificates import Authority

SERVICE = "keystead.peer.v1.Peer"
# A client of HTTP/2 begins with this, and an empty frame of settings.
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000 04 00 00000000")
SETTINGS = 4
ALERT = b"\x15"
# The messages of answers that are not called as their calls are.
ANSWERS = {"Heartbeat": "AppendResponse"}
TIMEOUT_SECONDS = 10
HOUR = datetime.timedelta(hours=1)


class Members:
    """The names of a cluster's members, and the authority of the test's own that signs for them.

    `take_over` puts its certificates in the place of those of the cluster's own authority, whose
    key nobody has.
    """

    def __init__(self, cluster):
        self.cluster = cluster
        self.authority = Authority("members")
        self.ids = {node.number: node.node_id for node in cluster.nodes}
        self.suffix = f"{cluster.nodes[0].status()['ClusterId']}.keystead.internal"

    def names(self, node_id):
        """What a certificate of this node says."""
        return [self.name(node_id), f"member.{self.suffix}"]

    def name(self, node_id):
        return f"n-{node_id}.{self.suffix}"

    def issue(self, node, authority=None, **validity):
        """A certificate of a node of the cluster."""
        names = self.names(self.ids[node.number])
        return (authority or self.authority).issue(dns=names, **validity)

    def take_over(self):
        self.cluster.stop()
        for node in self.cluster.nodes:
            folder = node.data / "peer"
            (folder / "authority.crt").write_bytes(self.authority.pem)
            self.issue(node).write(folder / "node.crt", folder / "node.key")
        self.cluster.start()

    @contextlib.contextmanager
    def channel(self, node, certificate):
        """A gRPC channel to a node's members' port."""
        credentials = grpc.ssl_channel_credentials(
            self.authority.pem, certificate.key, certificate.certificate
        )
        name = self.name(self.ids[node.number])
        options = [("grpc.ssl_target_name_override", name)]
        with grpc.secure_channel(node.peers, credentials, options) as channel:
            yield channel

    def call(self, node, certificate, method, request, to=None):
        """The answer to one call of the members' service; `to` names the node that is meant."""
        messages = importlib.import_module("keystead.peer.v1.peer_pb2")
        metadata = [("keystead-to", to or self.ids[node.number])]
        answer = ANSWERS.get(method, f"{method}Response")
        with self.channel(node, certificate) as channel:
            stub = channel.unary_unary(
                f"/{SERVICE}/{method}",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=getattr(messages, answer).FromString,
            )
            return stub(request, metadata=metadata, timeout=TIMEOUT_SECONDS)

    def ask(self, node, certificate, question, to=None):
        """The answer to one question, on a stream of its own."""
        messages = importlib.import_module("keystead.peer.v1.peer_pb2")
        metadata = [("keystead-to", to or self.ids[node.number])]
        with self.channel(node, certificate) as channel:
            stub = channel.stream_stream(
                f"/{SERVICE}/Ask",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=messages.Answer.FromString,
            )
            return next(stub(iter([question]), metadata=metadata, timeout=TIMEOUT_SECONDS))


def context(certificate=None, version=ssl.TLSVersion.TLSv1_3, side=ssl.PROTOCOL_TLS_CLIENT):
    """TLS of exactly this version that trusts anybody and shows this certificate."""
    made = ssl.SSLContext(side)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    made.minimum_version = made.maximum_version = version
    made.set_alpn_protocols(["h2"])
    if certificate:
        with tempfile.NamedTemporaryFile() as file:
            file.write(certificate.certificate + certificate.key)
            file.flush()
            made.load_cert_chain(file.name)
    return made


def said(node, tls=None, name="localhost", port="peers"):
    """What a node's port says to somebody who speaks HTTP/2 over this TLS; without, in clear."""
    with contextlib.suppress(ssl.SSLError, ConnectionError):
        with socket.create_connection(("127.0.0.1", node.ports[port]), TIMEOUT_SECONDS) as plain:
            stream = tls.wrap_socket(plain, server_hostname=name) if tls else plain
            with stream:
                stream.sendall(PREFACE)
                return stream.recv(1024)
    return b""


def is_served(answer):
    """Whether it is HTTP/2 that came back: a frame of settings."""
    return len(answer) > 3 and answer[3] == SETTINGS and not answer.startswith(ALERT)


class Impostor:
    """Listens where a node did, shows a certificate, and notes what those do who connect."""

    def __init__(self, node, certificate):
        self.node = node
        self.tls = context(certificate, side=ssl.PROTOCOL_TLS_SERVER)

    def visit(self):
        """What the next one who connects says after the handshake; None if it does not finish
        the handshake."""
        address = ("127.0.0.1", self.node.ports["peers"])
        with socket.create_server(address) as listener:
            listener.settimeout(TIMEOUT_SECONDS)
            connection, _ = listener.accept()
            connection.settimeout(TIMEOUT_SECONDS)
            with connection, contextlib.suppress(ssl.SSLError, ConnectionError):
                with self.tls.wrap_socket(connection, server_side=True) as stream:
                    return stream.recv(1024)
        return None
