"""What `keystead dev` prints, keeps and refuses."""

import socket
import subprocess

import pytest
from expect import refused
from node import ACCOUNT, EXPORTED, REGION, binary, clean_environment

pytestmark = pytest.mark.dev("it has other defaults, and Regions side by side")


def test_exports_name_the_first_account_and_region(node):
    assert node.exports["AWS_ACCESS_KEY_ID"] == "test"
    assert node.exports["AWS_SECRET_ACCESS_KEY"] == "test"
    assert node.exports["AWS_REGION"] == node.exports["AWS_DEFAULT_REGION"] == REGION
    assert EXPORTED <= node.exports.keys()


def test_all_services_are_on_one_listener(node):
    endpoints = {node.exports[name] for name in EXPORTED if name.startswith("AWS_ENDPOINT_URL")}
    assert endpoints == {f"http://127.0.0.1:{node.port}"}
    assert node.endpoint in node.endpoint_line


def test_defaults_are_those_of_the_emulators(durable_node):
    assert durable_node.exports["AWS_ACCESS_KEY_ID"] == "test"
    assert durable_node.exports["AWS_REGION"] == "us-east-1"
    metadata = durable_node.client().create_key()["KeyMetadata"]
    assert metadata["AWSAccountId"] == ACCOUNT == "000000000000"


def test_data_outlive_the_process(durable_node):
    kms = durable_node.client()
    key = kms.create_key(Description="kept", Tags=[{"TagKey": "a", "TagValue": "b"}])
    key_id = key["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/kept", TargetKeyId=key_id)
    blob = kms.encrypt(KeyId=key_id, Plaintext=b"before")["CiphertextBlob"]
    assert durable_node.stop() == 0

    kms = durable_node.start().client()
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"before"
    assert kms.describe_key(KeyId="alias/kept")["KeyMetadata"] == key["KeyMetadata"]
    assert kms.list_resource_tags(KeyId=key_id)["Tags"] == [{"TagKey": "a", "TagValue": "b"}]


def test_acknowledged_writes_outlive_a_kill(durable_node):
    kms = durable_node.client()
    keys = [kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(20)]
    durable_node.process.kill()
    durable_node.process.wait()

    kms = durable_node.start().client()
    assert {entry["KeyId"] for entry in kms.list_keys()["Keys"]} == set(keys)


def test_regions_are_isolated(kms, other_region, key):
    with refused("NotFoundException"):
        other_region.describe_key(KeyId=key["KeyId"])
    created = other_region.create_key()["KeyMetadata"]
    assert created["Arn"].split(":")[3] == "eu-west-1"
    with refused("NotFoundException"):
        kms.describe_key(KeyId=created["KeyId"])


def test_a_browser_is_refused(node):
    reply = node.call("ListKeys", headers={"Origin": "https://example.com"})
    assert reply.status == 403


def test_another_interface_needs_a_flag():
    process = subprocess.run(
        [binary(), "dev", "--ephemeral", "--listen", "0.0.0.0:0"],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert process.returncode != 0
    assert "--allow-remote" in process.stderr


def test_a_taken_port_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = subprocess.run(
            [binary(), "dev", "--ephemeral", "--listen", f"127.0.0.1:{port}"],
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=30,
        )
    assert process.returncode != 0
    assert str(port) in process.stderr
