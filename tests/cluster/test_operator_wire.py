"""The operators' port: whom it lets in, who they are in the audit trail, and what their
certificates open elsewhere."""

import json
import socket
import ssl
import subprocess
import time

import grpc
import pytest
from certificates import USES, Authority, Issued
from node import ACCOUNT, EXPORT, binary, clean_environment
from peers import ALERT, HOUR, TIMEOUT_SECONDS, context, is_served, said

SERVICE = "keystead.admin.v1.Admin"
OTHER_SERVICES = [
    "keystead.kms.v1.KeyManagementService/ListKeys",
    "keystead.peer.v1.Peer/Vote",
    "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
]
# What a port says that does not have a service, or does not get to know who asks for it.
REFUSED = {grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNAUTHENTICATED}
NAME, URI = "alice.operators.example", "spiffe://example/operator/alice"
# The seconds that somebody has for the handshake, and again to say what is spoken.
PATIENCE_SECONDS = 5
GRACE_SECONDS = 10


@pytest.fixture
def operator(cluster):
    return cluster.operators.issue(dns=[NAME])


def member(node):
    """A node's own certificate, by the cluster's authority, and that authority."""
    read = (node.data / "peer").joinpath
    own = Issued(read("node.crt").read_bytes(), read("node.key").read_bytes())
    return own, read("authority.crt").read_bytes()


def trail(node, since=0):
    """What operators on other machines did, by a node's audit trail."""
    lines = (node.folder / "audit.json").read_text().splitlines()[since:]
    records = [json.loads(line) for line in lines]
    return [
        record
        for record in records
        if record["eventSource"] == "admin.keystead" and record["sourceIPAddress"] != "local"
    ]


def command(cluster, node, certificate, *arguments, authority=None):
    """A subcommand, run elsewhere by whoever has this certificate."""
    folder = cluster.folder / "operator"
    folder.mkdir(exist_ok=True)
    cert, key = certificate.write(folder / "cert.pem", folder / "key.pem")
    (folder / "ca.pem").write_bytes((authority or cluster.authority).pem)
    where = ["--address", f"localhost:{node.ports['operators']}", "--ca", folder / "ca.pem"]
    return subprocess.run(
        [binary(), *arguments, *where, "--cert", cert, "--key", key],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )


def call(node, port, path, certificate, roots, name="localhost"):
    """The status of an empty call."""
    key, chain = (certificate.key, certificate.certificate) if certificate else (None, None)
    credentials = grpc.ssl_channel_credentials(roots, key, chain)
    options = [("grpc.ssl_target_name_override", name)]
    with grpc.secure_channel(f"localhost:{node.ports[port]}", credentials, options) as channel:
        try:
            channel.unary_unary(f"/{path}")(b"", timeout=TIMEOUT_SECONDS)
        except grpc.RpcError as error:
            return error.code()
    return grpc.StatusCode.OK


class TestHandshake:
    @pytest.fixture(autouse=True)
    def nobody_did_anything(self, cluster):
        before = [trail(node) for node in cluster.nodes]
        yield
        assert [trail(node) for node in cluster.nodes] == before

    def certificates(self, cluster, node):
        """Certificates that do not make their owner an operator, by what is wrong with them."""
        own, servers = cluster.operators, USES[:1]
        return {
            "none": None,
            "of another authority": Authority("operators").issue(dns=[NAME]),
            "of the members' authority": member(node)[0],
            "of a caller": cluster.caller(ACCOUNT),
            "of the callers' authority": cluster.client_authorities[ACCOUNT].issue(dns=[NAME]),
            "of the servers' authority": cluster.authority.issue(dns=[NAME]),
            "expired": own.issue(dns=[NAME], begins=-2 * HOUR, ends=-HOUR),
            "not valid yet": own.issue(dns=[NAME], begins=HOUR),
            "for servers": own.issue(dns=[NAME], uses=servers),
            "without a name": own.issue(addresses=["127.0.0.1"]),
            "with two names": own.issue(dns=[NAME, "bob.operators.example"]),
            "with a user's number": own.issue(uris=["0"]),
            "with a principal": own.issue(uris=[f"arn:aws:iam::{ACCOUNT}:root"]),
        }

    def test_an_operator_is_let_in(self, cluster, operator):
        """Or none of the refusals below would mean anything."""
        for node in cluster.nodes:
            assert is_served(said(node, context(operator), port="operators"))

    @pytest.mark.parametrize(
        "wrong",
        [
            "none",
            "of another authority",
            "of the members' authority",
            "of a caller",
            "of the callers' authority",
            "of the servers' authority",
            "expired",
            "not valid yet",
            "for servers",
            "without a name",
            "with two names",
            "with a user's number",
            "with a principal",
        ],
    )
    def test_a_wrong_certificate(self, cluster, wrong):
        for node in cluster.nodes:
            certificate = self.certificates(cluster, node)[wrong]
            assert not is_served(said(node, context(certificate), port="operators"))

    def test_tls_1_2(self, cluster, operator):
        old = context(operator, ssl.TLSVersion.TLSv1_2)
        assert not is_served(said(cluster.nodes[0], old, port="operators"))

    def test_plain_text(self, cluster):
        answer = said(cluster.nodes[0], port="operators")
        assert answer == b"" or answer.startswith(ALERT)

    @pytest.mark.parametrize("secured", [False, True])
    def test_somebody_who_says_nothing(self, cluster, operator, secured):
        address = ("127.0.0.1", cluster.nodes[0].ports["operators"])
        began = time.monotonic()
        with socket.create_connection(address, 4 * PATIENCE_SECONDS) as stream:
            if secured:
                stream = context(operator).wrap_socket(stream, server_hostname="localhost")
            with stream:
                assert not stream.recv(1)
        assert PATIENCE_SECONDS - 1 < time.monotonic() - began < 2 * PATIENCE_SECONDS

    def test_a_wrong_certificate_is_told_to_whoever_shows_it(self, cluster):
        stranger = Authority("operators").issue(dns=[NAME])
        done = command(cluster, cluster.nodes[0], stranger, "status")
        assert done.returncode == 1 and not done.stdout
        assert "it may not accept this certificate" in done.stderr

    def test_an_operator_talks_to_the_node_that_is_meant(self, cluster, operator):
        other = Authority("clients see its servers")
        done = command(cluster, cluster.nodes[0], operator, "status", authority=other)
        assert done.returncode == 1 and not done.stdout
        assert "invalid peer certificate" in done.stderr


class TestElsewhere:
    def test_an_operator_is_no_member(self, cluster, operator):
        for node in cluster.nodes:
            suffix = f"{node.status()['ClusterId']}.keystead.internal"
            names = [f"n-{node.node_id}.{suffix}", f"member.{suffix}"]
            for certificate in operator, cluster.operators.issue(dns=names):
                assert not is_served(said(node, context(certificate)))
            assert is_served(said(node, context(member(node)[0])))

    def test_an_operator_is_no_caller(self, cluster, operator):
        principal = cluster.operators.issue(uris=[f"arn:aws:iam::{ACCOUNT}:root"])
        for node in cluster.nodes:
            for certificate in operator, principal:
                assert not is_served(said(node, context(certificate), port="clients"))
            assert is_served(said(node, context(cluster.caller(ACCOUNT)), port="clients"))

    @pytest.mark.parametrize("method", ["Status", "CreateAccount", "Remove"])
    def test_the_admin_api_has_no_other_port(self, cluster, operator, method):
        path, roots = f"{SERVICE}/{method}", cluster.authority.pem
        for node in cluster.nodes:
            caller, (own, authority) = cluster.caller(ACCOUNT), member(node)
            name = f"n-{node.node_id}.{node.status()['ClusterId']}.keystead.internal"
            refused = {
                "a caller": call(node, "clients", path, caller, roots),
                "somebody without a certificate": call(node, "clients", path, None, roots),
                "a member": call(node, "peers", path, own, authority, name),
            }
            assert call(node, "operators", path, operator, roots) not in REFUSED
            assert set(refused.values()) <= REFUSED, refused

    @pytest.mark.parametrize("path", OTHER_SERVICES)
    def test_the_operators_port_has_nothing_else(self, cluster, operator, path):
        status = call(cluster.nodes[0], "operators", path, operator, cluster.authority.pem)
        assert status == grpc.StatusCode.UNIMPLEMENTED


class TestCalls:
    """What operators do from elsewhere, under their names."""

    @pytest.fixture
    def done(self, cluster):
        """Runs a subcommand on a node that must end well; what it prints and what is recorded."""

        def run(node, certificate, *arguments):
            before = len(trail(node))
            done = command(cluster, node, certificate, *arguments)
            assert done.returncode == 0, done.stderr
            [record] = trail(node)[before:]
            return done.stdout, record

        return run

    @pytest.mark.parametrize("name", [{"dns": [NAME]}, {"uris": [URI]}])
    def test_by_their_names(self, cluster, done, name):
        certificate, [[text]] = cluster.operators.issue(**name), name.values()
        for node in cluster.nodes:
            said, record = done(node, certificate, "status", "--output", "json")
            assert json.loads(said)["Regions"][0]["NodeId"] == node.node_id
            assert record["userIdentity"] == {"type": "Operator", "principalId": f"operator:{text}"}
            assert record["eventName"] == "Status"
            assert record["sourceIPAddress"] == "127.0.0.1"

    def test_what_the_socket_tells(self, cluster, operator, done):
        node = cluster.nodes[0]
        commands = {("account", "list"): "ListAccounts", ("cluster", "status"): "Members"}
        for words, event in commands.items():
            told, record = done(node, operator, *words, "--output", "json")
            assert json.loads(told) == json.loads(node.done(*words, "--output", "json"))
            assert record["eventName"] == event
            assert record["userIdentity"]["principalId"] == f"operator:{NAME}"

    def test_who_may_do_what(self, cluster, operator, done):
        node = cluster.nodes[2]
        key = node.client(account=ACCOUNT).create_key()["KeyMetadata"]["Arn"]
        about = ("--action", "kms:Encrypt", "--key-id", key)
        commands = {
            ("explain", "--principal", f"arn:aws:iam::{ACCOUNT}:root", *about): "Explain",
            ("who-can", *about): "WhoCan",
            ("report",): "Report",
        }
        for words, event in commands.items():
            told, record = done(node, operator, *words, "--json")
            index = {"EvaluatedAtIndex": None}
            assert json.loads(told) | index == json.loads(node.done(*words, "--json")) | index
            assert record["eventName"] == event
            assert record["userIdentity"]["principalId"] == f"operator:{NAME}"

    def test_a_new_account(self, cluster, operator, done):
        node, account = cluster.nodes[1], "777777777777"
        told, record = done(node, operator, "account", "create", account)
        exports = dict(match.groups() for match in map(EXPORT.match, told.splitlines()) if match)
        secret = exports["AWS_SECRET_ACCESS_KEY"]
        cluster.accounts[account] = exports["AWS_ACCESS_KEY_ID"], secret
        assert record["eventName"] == "CreateAccount"
        assert cluster.nodes[2].client(account=account).list_keys()["Keys"] == []
        for node in cluster.nodes:
            assert secret not in node.output()

    def test_another_leader(self, cluster, operator, done):
        leader = cluster.await_leader()
        heir = cluster.followers[0]
        _, record = done(leader, operator, "cluster", "transfer-leader", heir.name)
        assert cluster.await_leader() is heir
        assert record["eventName"] == "TransferLeadership"

    def test_what_is_refused_is_recorded_too(self, cluster, operator):
        node = cluster.nodes[0]
        before = len(trail(node))
        done = command(cluster, node, operator, "cluster", "remove", "nobody")
        assert done.returncode == 1 and 'no member is called "nobody"' in done.stderr
        [record] = trail(node)[before:]
        assert (record["eventName"], record["sourceIPAddress"]) == ("Remove", "127.0.0.1")

    def test_a_connection_does_not_keep_a_node_from_ending(self, cluster, operator):
        node, roots = cluster.nodes[0], cluster.authority.pem
        credentials = grpc.ssl_channel_credentials(roots, operator.key, operator.certificate)
        target = f"localhost:{node.ports['operators']}"
        with grpc.secure_channel(target, credentials) as channel:
            channel.unary_unary(f"/{SERVICE}/Status")(b"", timeout=TIMEOUT_SECONDS)
            began = time.monotonic()
            assert node.stop() == 0, node.output()
            assert time.monotonic() - began < GRACE_SECONDS / 2
        node.start()
        cluster.settle()


class TestConfiguration:
    @pytest.mark.parametrize(
        "variables, sentence",
        [
            ({"KEYSTEAD_ADMIN_CLIENT_CA": "callers"}, "hold the same authority"),
            ({"KEYSTEAD_ADMIN_CLIENT_CA": "absent"}, "cannot read"),
            ({"KEYSTEAD_ADMIN_KEY": "absent"}, "belong together"),
            ({"KEYSTEAD_ADMIN_LISTEN": "everywhere"}, "that is no address"),
            ({}, None),
        ],
    )
    def test_what_is_wrong_is_told(self, cluster, variables, sentence):
        files = {"callers": cluster.client_file(ACCOUNT), "absent": cluster.folder / "absent"}
        variables = {name: str(files.get(value, value)) for name, value in variables.items()}
        done = cluster.nodes[0].run("config", "check", **variables)
        assert done.returncode == (1 if sentence else 0), done.stderr
        assert (sentence or "") in done.stderr
