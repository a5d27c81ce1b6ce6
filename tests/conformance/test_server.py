"""What `keystead server` does differently from `keystead dev`, and which settings it refuses."""

import dataclasses
import json
import signal
import subprocess

import grpc
import pytest
from expect import UUID, refused
from node import ACCOUNT, REGION, Server, binary, clean_environment, serving

REMOTE = {"listen": {"clients": "0.0.0.0:0"}}
ALLOWED = {"listen": REMOTE["listen"] | {"allow_plain_http": True}}
ADVICE = (
    "can be reached by other machines",
    "set tls.certificate and tls.key",
    "listen.allow_plain_http = true",
)
INIT = ("cluster", "init", "--account", ACCOUNT)
EACH_COMMAND = pytest.mark.parametrize(
    "command", [("server",), ("config", "check"), INIT], ids=" ".join
)


@pytest.fixture
def unmade(tmp_path):
    """Makes a server that has a configuration and nothing else."""
    return lambda settings: Server(tmp_path, settings).configure()


def key_command(server, *arguments, given="", **environment):
    """`keystead key` in a shell that has the server's exports; returns what it prints."""
    done = subprocess.run(
        [binary(), "key", *arguments],
        env=server.shell(**environment),
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class TestPlainHttpOffLoopback:
    @EACH_COMMAND
    def test_is_refused(self, unmade, command):
        server = unmade(REMOTE)
        done = server.run(*command)
        assert done.returncode == 1
        for text in (str(server.configuration), "listen.clients = 0.0.0.0:0", *ADVICE):
            assert text in done.stderr
        assert not (server.folder / "data").exists()

    def test_is_served_when_allowed_in_as_many_words(self, tmp_path):
        with serving(tmp_path, ALLOWED) as server:
            assert server.logged("serving")["clients"].startswith("0.0.0.0:")
            assert server.run("config", "check").returncode == 0
            assert UUID.fullmatch(server.client().create_key()["KeyMetadata"]["KeyId"])

    @pytest.mark.parametrize("word", ["false", "yes", "1", ""])
    def test_another_word_does_not_allow_it(self, unmade, word):
        server = unmade(REMOTE)
        done = server.run("config", "check", KEYSTEAD_LISTEN_ALLOW_PLAIN_HTTP=word)
        assert done.returncode == 1


class TestConfiguration:
    @EACH_COMMAND
    @pytest.mark.parametrize(
        ("wrong", "nearest"),
        [
            ({"tls": {"certifcate": "x"}}, "tls.certificate"),
            ({"": {"data-dir": "x"}}, "data_dir"),
            ({"listen": {"alow_plain_http": True}}, "listen.allow_plain_http"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_an_unknown_key_is_refused_with_the_nearest(self, unmade, command, wrong, nearest):
        server = unmade(wrong)
        done = server.run(*command)
        assert done.returncode == 1
        [(section, keys)] = wrong.items()
        unknown = ".".join(filter(None, [section, *keys]))
        assert f'"{unknown}" is not a setting; did you mean "{nearest}"?' in done.stderr
        assert not (server.folder / "data").exists()

    @EACH_COMMAND
    def test_a_certificate_needs_its_key(self, unmade, command):
        done = unmade({"tls": {"certificate": "tls.crt"}}).run(*command)
        assert done.returncode == 1
        assert "tls.certificate and tls.key belong together" in done.stderr

    def test_a_missing_file_is_named(self, tmp_path):
        done = Server(tmp_path).run("server")
        assert done.returncode == 1
        assert str(tmp_path / "keystead.toml") in done.stderr

    def test_a_server_needs_a_cluster(self, unmade):
        """Only `cluster init` makes one: a wrong folder must not become a new, empty cluster."""
        server = unmade({})
        seal = server.folder / "seal.key"
        done = server.run("server")
        assert done.returncode == 1 and str(seal) in done.stderr
        seal.write_bytes(bytes(range(32)))
        seal.chmod(0o400)
        done = server.run("server")
        assert done.returncode == 1 and "keystead cluster init" in done.stderr
        assert server.initialise().exports


class TestService:
    def test_credentials_are_random(self, server):
        identity = server.client("sts").get_caller_identity()
        assert identity["Arn"] == f"arn:aws:iam::{ACCOUNT}:root"
        assert server.exports["AWS_ACCESS_KEY_ID"].startswith("AKIA")
        assert server.exports["AWS_SECRET_ACCESS_KEY"] not in server.output()

    def test_wellknown_credentials_are_refused(self, server):
        known_to_all = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        stranger = dataclasses.replace(server, exports=server.exports | known_to_all)
        with refused("UnrecognizedClientException"):
            stranger.client().list_keys()

    def test_data_outlive_the_process(self, tmp_path):
        with serving(tmp_path) as server:
            key = server.client().create_key(Description="kept")["KeyMetadata"]
            sealed = server.client().encrypt(KeyId=key["KeyId"], Plaintext=b"before")
            assert server.stop() == 0
            again = server.run(*INIT)
            assert again.returncode == 1 and "holds a cluster already" in again.stderr
            server.start()
            opened = server.client().decrypt(CiphertextBlob=sealed["CiphertextBlob"])
            assert opened["Plaintext"] == b"before"
            assert server.client().describe_key(KeyId=key["KeyId"])["KeyMetadata"] == key

    def test_it_ends_well_as_soon_as_it_serves(self, unmade):
        server = unmade({}).initialise()
        with subprocess.Popen(
            server.command(), env=clean_environment(), stderr=subprocess.PIPE, text=True
        ) as process:
            assert any('"serving"' in line for line in process.stderr)
            process.send_signal(signal.SIGTERM)
            process.stderr.read()
            assert process.wait(30) == 0

    def test_requests_are_in_the_audit_trail(self, server):
        reply = server.client().create_key()
        lines = (server.folder / "audit.json").read_text().splitlines()
        [line] = [line for line in lines if reply["ResponseMetadata"]["RequestId"] in line]
        assert json.loads(line)["eventName"] == "CreateKey"

    def test_grpc_without_a_certificate_is_refused(self, server):
        """Its tokens would be the secret itself: that is for `keystead dev` on the loopback."""
        key, secret = server.credentials()
        bearer = (("authorization", f"Bearer {key}:{secret}"),)
        method = "/keystead.kms.v1.KeyManagementService/ListKeys"
        with grpc.insecure_channel(f"{server.host}:{server.port}") as channel:
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary(method)(b"", metadata=bearer, timeout=30)
        assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
        assert "client certificate" in caught.value.details()

    def test_grpc_health_needs_no_certificate(self, server):
        """Orchestrators probe it, and they have none."""
        serving = b"\x08\x01"
        with grpc.insecure_channel(f"{server.host}:{server.port}") as channel:
            check = channel.unary_unary("/grpc.health.v1.Health/Check")
            assert check(b"", timeout=30) == serving

    def test_the_key_command(self, server):
        key_id = key_command(server, "create", "--alias", "cli", "--description", "by hand")
        assert UUID.fullmatch(key_id)
        sealed = key_command(server, "encrypt", "alias/cli", "--context", "a=1", given="secret")
        opened = key_command(server, "decrypt", "--context", "a=1", given=sealed)
        assert opened == "secret"
        described = json.loads(key_command(server, "describe", "alias/cli", "--output", "json"))
        assert (described["KeyId"], described["Description"]) == (key_id, "by hand")
        assert described["Arn"] == f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{key_id}"
        assert key_id in key_command(server, "list")
