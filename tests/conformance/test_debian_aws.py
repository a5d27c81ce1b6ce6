"""Debian's packaged `aws`, by the line that `keystead dev` prints for tools of its age."""

import base64
import json
import pathlib
import shlex
import subprocess

import pytest

AWS = pathlib.Path("/usr/bin/aws")
COMMENT, COMMAND = "# Older tools: ", " kms list-keys"

pytestmark = [
    pytest.mark.dev("it calls by the line that keystead dev prints"),
    pytest.mark.skipif(not AWS.exists(), reason=f"there is no {AWS}; install awscli"),
]


@pytest.fixture(scope="module")
def environment(node):
    """A shell with the exports in which the system's own programs are found, and no others."""
    python = {"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME"}
    inherited = {name: value for name, value in node.shell().items() if name not in python}
    return inherited | {"PATH": "/usr/bin:/bin", "AWS_PAGER": "", "AWS_DEFAULT_OUTPUT": "json"}


@pytest.fixture(scope="module")
def kms_command(node, environment):
    """Calls a subcommand of `kms` in place of the one in the printed line; returns its JSON."""
    line = node.endpoint_line.removeprefix(COMMENT)
    assert line.endswith(COMMAND), line

    def call(command, *arguments):
        words = shlex.join([command, *map(str, arguments)])
        script = line.removesuffix(COMMAND) + " kms " + words
        return json.loads(run(environment, script))

    return call


def run(environment, script):
    done = subprocess.run(
        ["/bin/sh", "-c", script], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_printed_line(node, environment, key):
    assert node.endpoint_line.startswith(COMMENT + "aws --endpoint-url ")
    # The line can be pasted as it stands, without the comment's mark.
    listed = json.loads(run(environment, node.endpoint_line.removeprefix(COMMENT)))["Keys"]
    assert key["KeyId"] in {entry["KeyId"] for entry in listed}


def test_a_key_and_its_uses(kms_command, tmp_path):
    key = kms_command("create-key", "--description", "from Debian")["KeyMetadata"]
    assert kms_command("describe-key", "--key-id", key["Arn"])["KeyMetadata"] == key

    plain, sealed = tmp_path / "plain", tmp_path / "sealed"
    plain.write_bytes(bytes(range(256)))
    context = ("--encryption-context", "purpose=debian")
    reply = kms_command(
        "encrypt", "--key-id", key["KeyId"], "--plaintext", f"fileb://{plain}", *context
    )
    sealed.write_bytes(base64.b64decode(reply["CiphertextBlob"]))
    reply = kms_command("decrypt", "--ciphertext-blob", f"fileb://{sealed}", *context)
    assert base64.b64decode(reply["Plaintext"]) == plain.read_bytes()
    assert reply["KeyId"] == key["Arn"]


def test_aliases(kms, key, kms_command):
    kms.create_alias(AliasName="alias/debian", TargetKeyId=key["KeyId"])
    aliases = kms_command("list-aliases")["Aliases"]
    assert key["KeyId"] in {alias.get("TargetKeyId") for alias in aliases}
