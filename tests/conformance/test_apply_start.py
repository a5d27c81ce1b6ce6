"""Declared state at the first start, and applied from elsewhere."""

import subprocess

import pytest
from certificates import Authority
from declaring import BAD_POLICY, OWN, Operator, listing
from node import ACCOUNT, EXPORT, Node, Server, binary, clean_environment, serving
from policies import text_of

NAME = "alice.operators.example"


class TestFirstStart:
    def test_a_new_cluster_begins_with_what_is_declared(self, tmp_path):
        server = Server(tmp_path / "server").configure()
        operator = Operator(server, tmp_path)
        operator.account = ACCOUNT
        operator.write(operator.text)
        done = server.run("cluster", "init", "--account", ACCOUNT, "--apply", operator.file)
        assert done.returncode == 0, done.stderr
        server.exports |= dict(m.groups() for m in map(EXPORT.match, done.stdout.splitlines()) if m)
        assert "CreateUser" in operator.operations()
        server.start()
        try:
            assert ("user", "alice") in listing(server.client("iam"))
            assert operator.apply() == "Nothing to change.\n"
        finally:
            assert server.stop() == 0

    def test_other_accounts_get_their_access_keys_shown(self, tmp_path):
        server = Server(tmp_path / "server").configure()
        operator = Operator(server, tmp_path)
        done = server.run("cluster", "init", "--account", ACCOUNT, "--apply", operator.file)
        assert done.returncode == 0, done.stderr
        for account in (ACCOUNT, operator.account):
            assert f"The root access key of account {account}, shown this once:" in done.stdout
        keys = [match[2] for match in map(EXPORT.match, done.stdout.splitlines()) if match]
        server.start()
        try:
            assert ("user", "alice") in listing(server.client("iam", credentials=keys[2:]))
        finally:
            assert server.stop() == 0

    def test_a_mistake_makes_no_cluster(self, tmp_path):
        server = Server(tmp_path / "server").configure()
        operator = Operator(server, tmp_path)
        operator.change((text_of(OWN), BAD_POLICY))
        arguments = ["cluster", "init", "--account", ACCOUNT, "--apply", operator.file]
        refused = server.run(*arguments)
        assert refused.returncode == 1
        assert "user alice: inline policy own" in refused.stderr
        assert {path.name for path in server.folder.iterdir()} == {"keystead.toml"}
        operator.write(operator.text)
        assert server.run(*arguments).returncode == 0

    def test_a_node_for_development(self, tmp_path):
        operator = Operator(None, tmp_path)
        operator.account = ACCOUNT
        operator.write(operator.text)
        node = Node(["--ephemeral", "--apply", operator.file]).start()
        try:
            assert ("user", "alice") in listing(node.client("iam"))
        finally:
            assert node.stop() == 0


class TestElsewhere:
    @pytest.fixture
    def remote(self, tmp_path):
        """A server that operators on other machines may call, if their authority says so."""
        folder = tmp_path / "server"
        folder.mkdir()
        self.authority, self.operators = Authority("servers"), Authority("operators")
        own = self.authority.issue(dns=["localhost"])
        certificate, key = own.write(folder / "own.pem", folder / "own.key")
        (folder / "operators.pem").write_bytes(self.operators.pem)
        (folder / "ca.pem").write_bytes(self.authority.pem)
        admin = {
            "listen": "127.0.0.1:0",
            "client_ca": str(folder / "operators.pem"),
            "certificate": str(certificate),
            "key": str(key),
        }
        with serving(folder, {"admin": admin}) as server:
            yield server

    def run(self, server, operator, authority):
        cert, key = authority.issue(dns=[NAME]).write(
            server.folder / "operator.pem", server.folder / "operator.key"
        )
        port = server.logged("serving")["operators"].rpartition(":")[2]
        where = ["--address", f"localhost:{port}", "--ca", server.folder / "ca.pem"]
        return subprocess.run(
            [binary(), "apply", "--yes", "-f", operator.file, *where, "--cert", cert, "--key", key],
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )

    def test_an_operator_applies_and_nobody_else(self, remote, tmp_path):
        operator = Operator(remote, tmp_path)
        refused = self.run(remote, operator, Authority("operators"))
        assert refused.returncode == 1
        assert operator.account not in remote.run("account", "list").stdout
        done = self.run(remote, operator, self.operators)
        assert done.returncode == 0, done.stderr
        assert {who["principalId"] for *_, who in operator.steps()} == {f"operator:{NAME}"}
