"""The `aws` command line, with nothing but what `keystead dev` prints."""

import base64
import json
import pathlib
import subprocess
import sys

import pytest
from node import clean_environment

AWS = pathlib.Path(sys.executable).with_name("aws")


def run(environment, *arguments):
    return subprocess.run(
        [AWS, *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture(scope="module")
def aws(node):
    """Calls `aws` in a shell that has the exports; returns its JSON, None for none."""

    def call(*arguments):
        done = run(node.shell(AWS_DEFAULT_OUTPUT="json"), *arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    return call


def test_a_key_and_its_uses(aws, tmp_path):
    key = aws("kms", "create-key", "--description", "from the command line")["KeyMetadata"]
    assert key["KeyState"] == "Enabled"
    aws("kms", "create-alias", "--alias-name", "alias/cli", "--target-key-id", key["KeyId"])
    aliases = aws("kms", "list-aliases")["Aliases"]
    assert "alias/cli" in {alias["AliasName"] for alias in aliases}

    plain, sealed = tmp_path / "plain", tmp_path / "sealed"
    plain.write_bytes(bytes(range(256)))
    context = ("--encryption-context", "purpose=cli")
    reply = aws(
        "kms", "encrypt", "--key-id", "alias/cli", "--plaintext", f"fileb://{plain}", *context
    )
    sealed.write_bytes(base64.b64decode(reply["CiphertextBlob"]))
    reply = aws("kms", "decrypt", "--ciphertext-blob", f"fileb://{sealed}", *context)
    assert base64.b64decode(reply["Plaintext"]) == plain.read_bytes()
    assert reply["KeyId"] == key["Arn"]

    aws("kms", "disable-key", "--key-id", key["KeyId"])
    described = aws("kms", "describe-key", "--key-id", "alias/cli")["KeyMetadata"]
    assert described["KeyState"] == "Disabled"
    aws("kms", "delete-alias", "--alias-name", "alias/cli")
    window = ("--pending-window-in-days", "7")
    reply = aws("kms", "schedule-key-deletion", "--key-id", key["KeyId"], *window)
    assert reply["KeyState"] == "PendingDeletion"


def test_listings_are_paged_by_the_command(aws):
    for _ in range(3):
        aws("kms", "create-key")
    listed = aws("kms", "list-keys", "--page-size", "1")["Keys"]
    assert len(listed) >= 3
    assert len({entry["KeyId"] for entry in listed}) == len(listed)


def test_tags(aws):
    key = aws("kms", "create-key", "--tags", "TagKey=a,TagValue=1")["KeyMetadata"]["KeyId"]
    aws("kms", "tag-resource", "--key-id", key, "--tags", "TagKey=b,TagValue=2")
    aws("kms", "untag-resource", "--key-id", key, "--tag-keys", "a")
    assert aws("kms", "list-resource-tags", "--key-id", key)["Tags"] == [
        {"TagKey": "b", "TagValue": "2"}
    ]


def test_data_keys_and_random(aws):
    key = aws("kms", "create-key")["KeyMetadata"]["KeyId"]
    made = aws("kms", "generate-data-key", "--key-id", key, "--key-spec", "AES_256")
    assert len(base64.b64decode(made["Plaintext"])) == 32
    made = aws("kms", "generate-random", "--number-of-bytes", "24")
    assert len(base64.b64decode(made["Plaintext"])) == 24


def test_caller_identity(aws):
    assert aws("sts", "get-caller-identity")["Arn"] == "arn:aws:iam::000000000000:root"


def test_errors_are_shown(node):
    done = run(node.shell(), "kms", "describe-key", "--key-id", "nothing")
    assert done.returncode == 255
    assert "(NotFoundException)" in done.stderr
    assert "Invalid keyId 'nothing'" in done.stderr


def test_tools_that_know_no_endpoint_variable(node):
    """Older ones take the endpoint as an argument, as the line for them says."""
    credentials = {
        name: value for name, value in node.exports.items() if "ENDPOINT" not in name
    }
    arguments = ("--endpoint-url", node.endpoint, "kms", "list-keys")
    done = run(clean_environment(**credentials), *arguments)
    assert done.returncode == 0, done.stderr
