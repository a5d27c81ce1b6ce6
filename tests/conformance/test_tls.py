"""HTTPS for clients: certificates of an authority of the test's own, replaced while in use."""

import base64
import contextlib
import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from dataclasses import dataclass, field

import boto3
import botocore.config
import pytest
import trustme
from botocore.exceptions import SSLError
from cryptography import x509
from expect import UUID
from node import ACCOUNT, serving, signed
from slow import endure, is_about
from test_cli_aws import run as run_aws
from test_retries import harness
from test_server import key_command

NAMES = ("tls.crt", "tls.key")
REPLACEMENTS = 3
# The server looks at the files once a second.
PAUSE_SECONDS = 2.5
PATIENCE_SECONDS = 60
CALLS_PER_CONNECTION = 3
# The seconds that a client has for its handshake, and then for its first bytes.
HANDSHAKE_SECONDS = OPENING_SECONDS = 5
# A record of 512 bytes begins, and in it a client's hello.
HALF_A_HELLO = bytes.fromhex("160301 0200 01 0001fc 0303")
CROWD = 50
COMPLAINT = "the TLS certificate was not replaced"


@dataclass
class Certificates:
    """A server's certificate and key, in files like those of a Secret that is mounted.

    They are symbolic links through `..data`, the link that is swapped when the Secret changes.
    """

    folder: object
    authority: trustme.CA = field(default_factory=trustme.CA)
    versions: int = 0

    def __post_init__(self):
        self.bundle = self.folder / "ca.pem"
        self.authority.cert_pem.write_to_path(self.bundle)
        self.swap(self.stage())
        for name in NAMES:
            (self.folder / name).symlink_to(f"..data/{name}")

    @property
    def settings(self):
        """What a server's configuration says of them."""
        certificate, key = (str(self.folder / name) for name in NAMES)
        return {"tls": {"certificate": certificate, "key": key}}

    def stage(self):
        """A new certificate and its key in a folder of their own, not yet in place."""
        issued = self.authority.issue_cert("localhost", "127.0.0.1")
        self.versions += 1
        folder = self.folder / f"..version-{self.versions}"
        folder.mkdir()
        chain = b"".join(part.bytes() for part in issued.cert_chain_pems)
        (folder / "tls.crt").write_bytes(chain)
        (folder / "tls.key").write_bytes(issued.private_key_pem.bytes())
        return folder

    def swap(self, staged):
        """Puts both in place at one instant, as a kubelet does."""
        link = self.folder / "..data_tmp"
        link.symlink_to(staged.name)
        link.replace(self.folder / "..data")

    def rename(self, staged, names=NAMES):
        """Puts one after the other in place, as programs without a Secret do."""
        for name in names:
            shutil.copy(staged / name, self.folder / f"{name}.new")
            (self.folder / f"{name}.new").replace(self.folder / name)

    def context(self):
        """A TLS client that trusts the authority and nobody else."""
        return ssl.create_default_context(cafile=self.bundle)


@pytest.fixture
def certificates(tmp_path):
    folder = tmp_path / "tls"
    folder.mkdir()
    return Certificates(folder)


@pytest.fixture
def secure(tmp_path, certificates):
    """A server with TLS."""
    with serving(tmp_path / "server", certificates.settings) as server:
        yield server


@pytest.fixture
def environment(monkeypatch):
    """Makes an environment that of this process, as far as AWS clients read it."""

    def take(wanted):
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        for name in wanted:
            if name.startswith("AWS_"):
                monkeypatch.setenv(name, wanted[name])

    return take


def serial(certificate):
    """The serial number in a PEM file."""
    return x509.load_pem_x509_certificate(certificate.read_bytes()).serial_number


def peer_serial(connection):
    return int(connection.getpeercert()["serialNumber"], 16)


def served(server, certificates):
    """The serial number that a new connection is shown."""
    with socket.create_connection((server.host, server.port), 10) as plain:
        with certificates.context().wrap_socket(plain, server_hostname="localhost") as secured:
            return peer_serial(secured)


def await_newest(server, certificates):
    """Waits until new connections are shown the certificate in the file; returns its serial."""
    newest = serial(certificates.folder / "tls.crt")
    eventually(lambda: served(server, certificates) == newest, "the old one is still served")
    return newest


def eventually(holds, what):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"after {PATIENCE_SECONDS} s: {what}"
        time.sleep(0.05)


class TestClients:
    """They need nothing but AWS_CA_BUNDLE besides the credentials, the Region and the endpoint."""

    def test_boto3(self, secure, certificates, environment):
        environment(secure.shell(AWS_CA_BUNDLE=str(certificates.bundle)))
        kms = boto3.session.Session().client("kms")
        assert kms.meta.endpoint_url.startswith("https://")
        key = kms.create_key()["KeyMetadata"]["KeyId"]
        blob = kms.encrypt(KeyId=key, Plaintext=b"secret")["CiphertextBlob"]
        assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"secret"

    def test_boto3_refuses_an_unknown_authority(self, secure, environment):
        environment(secure.shell(AWS_MAX_ATTEMPTS="1"))
        with pytest.raises(SSLError, match="CERTIFICATE_VERIFY_FAILED"):
            boto3.session.Session().client("kms").list_keys()

    def test_aws(self, secure, certificates, tmp_path):
        def aws(*arguments):
            shell = secure.shell(
                AWS_CA_BUNDLE=str(certificates.bundle), AWS_DEFAULT_OUTPUT="json"
            )
            done = run_aws(shell, "kms", *arguments)
            assert done.returncode == 0, done.stderr
            return json.loads(done.stdout)

        key = aws("create-key")["KeyMetadata"]["KeyId"]
        plain, sealed = tmp_path / "plain", tmp_path / "sealed"
        plain.write_bytes(b"secret")
        reply = aws("encrypt", "--key-id", key, "--plaintext", f"fileb://{plain}")
        sealed.write_bytes(base64.b64decode(reply["CiphertextBlob"]))
        reply = aws("decrypt", "--ciphertext-blob", f"fileb://{sealed}")
        assert base64.b64decode(reply["Plaintext"]) == b"secret"

    def test_aws_refuses_an_unknown_authority(self, secure):
        done = run_aws(secure.shell(AWS_MAX_ATTEMPTS="1"), "kms", "list-keys")
        assert done.returncode != 0
        assert "CERTIFICATE_VERIFY_FAILED" in done.stderr

    def test_the_key_command(self, secure, certificates):
        bundle = str(certificates.bundle)
        assert UUID.fullmatch(key_command(secure, "create", AWS_CA_BUNDLE=bundle))

    def test_plain_http_gets_no_answer(self, secure):
        key, secret = secure.credentials()
        request = signed(
            secure.endpoint, "TrentService.ListKeys", b"{}", access_key=key, secret=secret
        )
        lines = [f"{name}: {value}" for name, value in request.headers.items()]
        head = "\r\n".join(["POST / HTTP/1.1", f"Host: localhost:{secure.port}", *lines, "", ""])
        answer = b""
        with socket.create_connection((secure.host, secure.port), 10) as connection:
            connection.sendall(head.encode() + request.body)
            with contextlib.suppress(ConnectionResetError):
                while received := connection.recv(4096):
                    answer += received
        # At most a TLS alert.
        assert len(answer) <= 7 and answer[:1] in (b"", b"\x15")


class TestHandshake:
    def test_the_key_exchange_is_the_hybrid(self, secure, certificates):
        address = f"127.0.0.1:{secure.port}"
        command = [harness(), "tls-group", "--target", address, "--authority", certificates.bundle]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "TLSv1_3, X25519MLKEM768\n"

    @pytest.mark.parametrize("drip", [b"", b"x"], ids=["silent", "slow"])
    def test_one_that_takes_long_is_ended(self, secure, drip):
        with socket.create_connection((secure.host, secure.port), 10) as connection:
            said, seconds = endure(connection, HALF_A_HELLO, drip)
        assert said == b"" and is_about(seconds, HANDSHAKE_SECONDS), seconds

    def test_so_is_who_then_says_nothing(self, secure, certificates):
        with socket.create_connection((secure.host, secure.port), 10) as plain:
            with certificates.context().wrap_socket(plain, server_hostname="localhost") as secured:
                said, seconds = endure(secured, b"")
        assert said == b"" and is_about(seconds, OPENING_SECONDS), seconds

    def test_slow_ones_hold_up_nobody(self, secure, certificates):
        with contextlib.ExitStack() as crowd:
            for _ in range(CROWD):
                connection = socket.create_connection((secure.host, secure.port), 10)
                crowd.enter_context(connection).sendall(HALF_A_HELLO)
            for _ in range(CROWD):
                began = time.monotonic()
                assert served(secure, certificates)
                assert time.monotonic() - began < 1


class Load:
    """Clients that call Encrypt without pause and without retries, each in a thread."""

    def __init__(self, server, certificates):
        self.server, self.certificates = server, certificates
        self.key = server.client().create_key()["KeyMetadata"]["KeyId"]
        self.calls, self.failures = [], []
        self.over = threading.Event()

    @contextlib.contextmanager
    def running(self):
        """The clients call for as long as the block runs; no call may fail."""
        kinds = [self.reconnecting, self.reconnecting, self.staying, self.on_one_connection]
        self.calls = [0] * len(kinds)
        threads = [
            threading.Thread(target=self.work, args=(number, kind()))
            for number, kind in enumerate(kinds)
        ]
        for thread in threads:
            thread.start()
        try:
            self.advance()
            yield
        finally:
            self.over.set()
            for thread in threads:
                thread.join()
        assert self.failures == []

    def work(self, number, call):
        while not self.over.is_set():
            try:
                call()
            except Exception as error:  # whatever it is, the caller was not served
                self.failures.append(repr(error))
            self.calls[number] += 1

    def advance(self):
        """Waits until every client has called several times more."""
        wanted = [calls + 2 * CALLS_PER_CONNECTION + 1 for calls in self.calls]

        def reached():
            return all(calls >= goal for calls, goal in zip(self.calls, wanted, strict=True))

        eventually(reached, "some client is stuck")

    def reconnecting(self):
        """boto3 with a new connection for every few calls."""
        client, made = self.server.client(), 0

        def call():
            nonlocal made
            if made % CALLS_PER_CONNECTION == 0:
                client.close()
            made += 1
            client.encrypt(KeyId=self.key, Plaintext=b"x")

        return call

    def staying(self):
        """boto3 with whatever connections it keeps."""
        client = self.server.client()
        return lambda: client.encrypt(KeyId=self.key, Plaintext=b"x")

    def on_one_connection(self):
        """One connection that is never made again."""
        context = self.certificates.context()
        connection = http.client.HTTPSConnection("localhost", self.server.port, context=context)
        connection.connect()
        connection.auto_open = 0
        first = peer_serial(connection.sock)
        body = json.dumps({"KeyId": self.key, "Plaintext": "eA=="}).encode()
        access_key, secret = self.server.credentials(ACCOUNT)

        def call():
            request = signed(
                self.server.endpoint,
                "TrentService.Encrypt",
                body,
                access_key=access_key,
                secret=secret,
            )
            connection.request("POST", "/", body, dict(request.headers.items()))
            reply = connection.getresponse()
            reply.read()
            assert (reply.status, peer_serial(connection.sock)) == (200, first)

        return call


def swapped(certificates, server):
    certificates.swap(certificates.stage())


def renamed(certificates, server):
    certificates.rename(certificates.stage())


def renamed_with_a_pause(first, second):
    """The server sees a certificate and a key that do not belong together for a while."""

    def replace(certificates, server):
        before = served(server, certificates)
        staged = certificates.stage()
        certificates.rename(staged, [first])
        time.sleep(PAUSE_SECONDS)
        assert served(server, certificates) == before
        certificates.rename(staged, [second])

    return replace


class TestReplacement:
    @pytest.fixture(autouse=True)
    def bundle(self, certificates, environment):
        environment({"AWS_CA_BUNDLE": str(certificates.bundle)})

    @pytest.mark.parametrize(
        "replace",
        [
            pytest.param(swapped, id="both-at-once"),
            pytest.param(renamed, id="renamed"),
            pytest.param(renamed_with_a_pause("tls.crt", "tls.key"), id="certificate-first"),
            pytest.param(renamed_with_a_pause("tls.key", "tls.crt"), id="key-first"),
        ],
    )
    def test_no_request_fails(self, secure, certificates, replace):
        load, seen = Load(secure, certificates), {served(secure, certificates)}
        with load.running():
            for _ in range(REPLACEMENTS):
                replace(certificates, secure)
                seen.add(await_newest(secure, certificates))
                load.advance()
        assert len(seen) == REPLACEMENTS + 1

    def test_a_broken_certificate_changes_nothing(self, secure, certificates):
        before = served(secure, certificates)
        kms = secure.client()
        key = kms.create_key()["KeyMetadata"]["KeyId"]
        broken = [
            b"",
            b"-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n",
            (certificates.stage() / "tls.crt").read_bytes(),  # of another key
        ]
        for number, content in enumerate(broken, 1):
            staged = certificates.stage()
            (staged / "tls.crt").write_bytes(content)
            certificates.rename(staged, ["tls.crt"])
            eventually(lambda: secure.output().count(COMPLAINT) == number, COMPLAINT)
            assert served(secure, certificates) == before
            assert secure.is_ready
            kms.close()
            kms.encrypt(KeyId=key, Plaintext=b"x")

        certificates.rename(certificates.stage())
        await_newest(secure, certificates)

    def test_a_broken_certificate_is_found_before_a_start(self, secure, certificates):
        assert secure.run("config", "check").returncode == 0
        certificate = certificates.folder / "tls.crt"
        certificate.unlink()
        certificate.write_text("nothing of the kind")
        assert secure.stop() == 0
        for command in [("config", "check"), ("server",)]:
            done = secure.run(*command)
            assert done.returncode == 1
            assert str(certificate) in done.stderr
