"""scripts/cluster: three nodes on this machine, for people."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import time
from dataclasses import dataclass

import ports
import pytest
from node import EXPORT, ROOT, binary
from region import PLAINTEXT, client, opens, seal

SCRIPT = ROOT / "scripts" / "cluster"
SCRIPT_SECONDS = 180
SECOND = "eu-west-1"
# Each of the three has ten; and those of a second region are a hundred further on.
PORTS = 130


@dataclass
class Cluster:
    """A cluster of the script's in a folder of the test's."""

    folder: object
    port: int

    def run(self, *arguments):
        """Runs the script to its end."""
        environment = {
            "KEYSTEAD_BIN": str(binary()),
            "KEYSTEAD_CLUSTER_DIR": str(self.folder),
            "KEYSTEAD_CLUSTER_PORT": str(self.port),
        }
        return subprocess.run(
            [SCRIPT, *arguments],
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=SCRIPT_SECONDS,
        )

    def done(self, *arguments):
        """What the script prints, when it ends well."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def up(self, *arguments):
        """Starts what does not run; returns the exports."""
        return exports_of(self.done("up", *arguments))

    def pids(self):
        return [int((self.folder / f"node-{n}" / "pid").read_text()) for n in (1, 2, 3)]

    def client(self, exports, node=1):
        credentials = exports["AWS_ACCESS_KEY_ID"], exports["AWS_SECRET_ACCESS_KEY"]
        return client(f"http://127.0.0.1:{self.port + 10 * (node - 1)}", credentials)


def exports_of(text):
    return dict(match.groups() for match in map(EXPORT.match, text.splitlines()) if match)


def lives(pid):
    """Whether there is such a process; one that nobody waited for has no command line any more."""
    try:
        return (pathlib.Path("/proc") / str(pid) / "cmdline").read_bytes() != b""
    except FileNotFoundError:
        return False


@pytest.fixture
def cluster(folder):
    cluster = Cluster(folder / "cluster", ports.take(PORTS)[0])
    yield cluster
    cluster.done("down", "--wipe")
    assert not cluster.folder.exists()


def test_up_prints_what_a_shell_needs(cluster):
    exports = cluster.up()
    assert exports["AWS_ENDPOINT_URL_KMS"] == f"http://127.0.0.1:{cluster.port}"
    blob = seal(cluster.client(exports))
    assert all(opens(cluster.client(exports, node), blob) for node in (1, 2, 3))
    status = cluster.done("status")
    assert all(f"node-{node}" in status for node in (1, 2, 3))


def test_up_again_starts_what_was_killed_and_nothing_else(cluster):
    exports, before = cluster.up(), cluster.pids()
    blob = seal(cluster.client(exports))
    cluster.done("kill", "2")
    said = cluster.run("status")
    assert said.returncode == 0 and "node 2 is down" in said.stderr
    assert opens(cluster.client(exports, 3), blob)

    assert cluster.up() == exports
    after = cluster.pids()
    assert (after[0], after[2]) == (before[0], before[2]) and after[1] != before[1]
    assert opens(cluster.client(exports, 2), blob)
    assert cluster.up() == exports and cluster.pids() == after


def test_a_second_region_shares_keys(cluster):
    here = cluster.client(cluster.up("--regions", "2"))
    key = here.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
    here.replicate_key(KeyId=key, ReplicaRegion=SECOND)
    blob = here.encrypt(KeyId=key, Plaintext=PLAINTEXT)["CiphertextBlob"]
    exports = exports_of((cluster.folder / SECOND / "exports").read_text())
    credentials = exports["AWS_ACCESS_KEY_ID"], exports["AWS_SECRET_ACCESS_KEY"]
    there = client(f"http://127.0.0.1:{cluster.port + 100}", credentials, region=SECOND)
    assert opens(there, blob)
    assert "in step" in cluster.done("status")
    # It is started, stopped and removed with the first one.
    cluster.done("down")
    cluster.up()
    assert opens(there, blob)


def test_a_paused_node_goes_on(cluster):
    exports = cluster.up()
    cluster.done("pause", "3")
    assert "node 3 is paused" in cluster.run("status").stderr
    blob = seal(cluster.client(exports))
    cluster.done("resume", "3")
    assert opens(cluster.client(exports, 3), blob)
    cluster.done("pause", "1")
    assert cluster.up() == exports


def test_data_outlive_down(cluster):
    exports = cluster.up()
    blob = seal(cluster.client(exports))
    cluster.done("pause", "2")
    pids = cluster.pids()
    cluster.done("down")
    assert not any(map(lives, pids))
    assert '"serving"' in cluster.done("logs", "1")
    assert "there is no node to ask" in cluster.run("status").stderr
    cluster.done("down")
    assert cluster.up() == exports
    assert opens(cluster.client(exports), blob)


def test_a_stale_pid_is_nobodys(cluster):
    """The number of a node that is gone may be another process's."""
    cluster.up()
    cluster.done("kill", "1")
    with subprocess.Popen(["sleep", "600"]) as stranger:
        (cluster.folder / "node-1" / "pid").write_text(f"{stranger.pid}\n")
        assert "node 1 is down" in cluster.run("status").stderr
        assert "node 1 does not run" in cluster.run("kill", "1").stderr
        cluster.up()
        assert cluster.pids()[0] != stranger.pid
        cluster.done("down")
        assert stranger.poll() is None
        stranger.send_signal(signal.SIGKILL)


def test_a_taken_port_is_named_before_anything_starts(cluster):
    peers = cluster.port + 11
    with socket.create_server(("127.0.0.1", peers)):
        refused = cluster.run("up")
    assert refused.returncode == 1
    assert re.search(rf"port {peers}.*node 2.*taken", refused.stderr)
    assert not list(cluster.folder.glob("node-*/pid"))


def test_a_node_that_does_not_start_is_shown(cluster):
    cluster.up()
    cluster.done("down")
    seal_key = cluster.folder / "seal.key"
    seal_key.chmod(0o600)
    began = time.monotonic()
    refused = cluster.run("up")
    assert refused.returncode == 1 and "seal.key" in refused.stderr
    assert time.monotonic() - began < SCRIPT_SECONDS / 2
    seal_key.chmod(0o400)
    cluster.up()


def test_what_is_not_known_is_explained(cluster):
    for arguments in [(), ("up", "x"), ("kill",), ("kill", "4"), ("logs", "x")]:
        done = cluster.run(*arguments)
        assert done.returncode == 2 and "scripts/cluster up" in done.stderr
    assert "down --wipe" in cluster.run("down", "everything").stderr
