"""The same operations over gRPC, by a client generated from the published protos."""

import importlib
import pathlib
import re
import signal
import time

import grpc
import http2
import pytest
import urllib3
from expect import ABSENT_ID, UUID, missing, no_such_key, pages
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from grpc_status import rpc_status
from node import ACCOUNT
from protos import PACKAGE, SERVICE, generated, message

BEARER = (("authorization", "Bearer test:test"),)


class Client:
    """The generated stub, called by operation name with the request's members."""

    def __init__(self, channel, stub, metadata=BEARER):
        self.channel, self.stub, self.metadata = channel, stub, metadata

    def call(self, operation, metadata=None, **members):
        request = message(f"{operation}Request")(**members)
        sent = self.metadata if metadata is None else metadata
        return getattr(self.stub, operation)(request, metadata=sent, timeout=30)


@pytest.fixture(scope="module")
def channel(channels):
    return channels(ACCOUNT)


@pytest.fixture(scope="module")
def client(generated, channel):
    service = importlib.import_module(f"{PACKAGE}.service_pb2_grpc")
    return Client(channel, service.KeyManagementServiceStub(channel))


@pytest.fixture
def own_key(client):
    return client.call("CreateKey", description="over gRPC").key_metadata


def refusal(client, operation, metadata=None, **members):
    """The refused call, and the ErrorInfo that it carries."""
    with pytest.raises(grpc.RpcError) as caught:
        client.call(operation, metadata, **members)
    [info] = [
        unpacked
        for detail in rpc_status.from_call(caught.value).details
        if detail.Unpack(unpacked := error_details_pb2.ErrorInfo())
    ]
    assert info.domain == "keystead"
    return caught.value, info


class TestStory:
    def test_create_and_describe(self, client, own_key):
        assert UUID.fullmatch(own_key.key_id)
        assert own_key.arn == f"arn:aws:kms:us-east-1:000000000000:key/{own_key.key_id}"
        assert own_key.enabled and own_key.description == "over gRPC"
        described = client.call("DescribeKey", key_id=own_key.arn).key_metadata
        assert described == own_key

    def test_encrypt_and_decrypt(self, client, own_key):
        context = {"a": "1", "b": "2"}
        sealed = client.call(
            "Encrypt", key_id=own_key.key_id, plaintext=b"secret", encryption_context=context
        )
        assert sealed.key_id == own_key.arn
        opened = client.call(
            "Decrypt", ciphertext_blob=sealed.ciphertext_blob, encryption_context=context
        )
        assert (opened.plaintext, opened.key_id) == (b"secret", own_key.arn)

    def test_both_wires_are_one_service(self, client, kms, own_key):
        blob = kms.encrypt(KeyId=own_key.key_id, Plaintext=b"from JSON")["CiphertextBlob"]
        assert client.call("Decrypt", ciphertext_blob=blob).plaintext == b"from JSON"
        blob = client.call("Encrypt", key_id=own_key.key_id, plaintext=b"from gRPC")
        opened = kms.decrypt(CiphertextBlob=blob.ciphertext_blob)
        assert opened["Plaintext"] == b"from gRPC"

    def test_pages_of_keys(self, client, kms, own_key):
        for _ in range(3):
            kms.create_key()
        found, marker = [], None
        while True:
            more = {} if marker is None else {"marker": marker}
            page = client.call("ListKeys", limit=3, **more)
            assert len(page.keys) <= 3
            found += [entry.key_id for entry in page.keys]
            if not page.truncated:
                break
            marker = page.next_marker
        assert own_key.key_id in found
        assert found == [entry["KeyId"] for entry in pages(kms.list_keys, "Keys", Limit=1000)[0]]

    def test_states(self, client, own_key):
        sealed = client.call("Encrypt", key_id=own_key.key_id, plaintext=b"x")
        client.call("DisableKey", key_id=own_key.key_id)
        error, info = refusal(client, "Decrypt", ciphertext_blob=sealed.ciphertext_blob)
        assert info.reason == "DisabledException"
        assert error.details() == f"{own_key.arn} is disabled."
        client.call("EnableKey", key_id=own_key.key_id)
        assert client.call("Decrypt", ciphertext_blob=sealed.ciphertext_blob).plaintext == b"x"

    def test_data_key(self, client, own_key):
        made = client.call("GenerateDataKey", key_id=own_key.key_id, number_of_bytes=32)
        opened = client.call("Decrypt", ciphertext_blob=made.ciphertext_blob)
        assert opened.plaintext == made.plaintext and len(made.plaintext) == 32

    def test_request_id_and_index(self, client):
        request = message("ListKeysRequest")()
        _, call = client.stub.ListKeys.with_call(request, metadata=BEARER, timeout=30)
        sent = dict([*call.initial_metadata(), *call.trailing_metadata()])
        assert UUID.fullmatch(sent["x-amzn-requestid"])
        assert int(sent["x-keystead-index"]) >= 0


class TestErrors:
    def test_absent_key(self, client):
        error, info = refusal(client, "DescribeKey", key_id=ABSENT_ID)
        assert error.code() == grpc.StatusCode.NOT_FOUND
        assert info.reason == "NotFoundException"
        assert error.details() == no_such_key(ABSENT_ID)
        assert UUID.fullmatch(info.metadata["request_id"])

    def test_validation(self, client):
        error, info = refusal(client, "Encrypt", plaintext=b"x")
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert (info.reason, error.details()) == ("ValidationException", missing("keyId"))

    @pytest.mark.parametrize("length", [0, 4097])
    def test_plaintext_length(self, client, own_key, length):
        _, info = refusal(client, "Encrypt", key_id=own_key.key_id, plaintext=b"x" * length)
        assert info.reason == "ValidationException"

    def test_unknown_enum_number(self, client, own_key):
        _, info = refusal(client, "GenerateDataKey", key_id=own_key.key_id, key_spec=99)
        assert info.reason == "ValidationException"

    def test_wrong_context(self, client, own_key):
        sealed = client.call(
            "Encrypt", key_id=own_key.key_id, plaintext=b"x", encryption_context={"a": "1"}
        )
        error, info = refusal(client, "Decrypt", ciphertext_blob=sealed.ciphertext_blob)
        assert (info.reason, error.details()) == ("InvalidCiphertextException", "")

    def test_changed_byte(self, client, own_key):
        blob = client.call("Encrypt", key_id=own_key.key_id, plaintext=b"x").ciphertext_blob
        damaged = blob[:-1] + bytes([blob[-1] ^ 1])
        _, info = refusal(client, "Decrypt", ciphertext_blob=damaged)
        assert info.reason == "InvalidCiphertextException"

    def test_not_built_yet(self, client):
        error, info = refusal(client, "DescribeCustomKeyStores")
        assert info.reason == "UnsupportedOperationException"
        assert "DescribeCustomKeyStores" in error.details()

    def test_no_such_operation(self, channel):
        method = channel.unary_unary(f"/{SERVICE}/Nothing")
        with pytest.raises(grpc.RpcError) as caught:
            method(b"", metadata=BEARER, timeout=30)
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED

    def test_not_a_message(self, channel):
        method = channel.unary_unary(f"/{SERVICE}/DescribeKey")
        with pytest.raises(grpc.RpcError) as caught:
            method(b"\xff\xff\xff", metadata=BEARER, timeout=30)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.dev("a server takes no bearer tokens")
class TestTokens:
    @pytest.mark.parametrize(
        "metadata",
        [
            (),
            (("authorization", "Bearer test"),),
            (("authorization", "Bearer test:wrong"),),
            (("authorization", "Bearer nobody:test"),),
            (("authorization", "Basic dGVzdDp0ZXN0"),),
            (("authorization", "test:test"),),
        ],
        ids=lambda metadata: metadata[0][1] if metadata else "none",
    )
    def test_refused(self, client, metadata):
        error, _ = refusal(client, "ListKeys", metadata)
        assert error.code() == grpc.StatusCode.UNAUTHENTICATED

    def test_another_account(self, client, own_key):
        other = (("authorization", "Bearer other:other-secret"),)
        error, info = refusal(client, "DescribeKey", other, key_id=own_key.arn)
        assert error.code() == grpc.StatusCode.PERMISSION_DENIED
        assert info.reason == "AccessDeniedException"


class TestServices:
    def test_reflection(self, channel):
        # Version 1 has the messages of its predecessor, under another service name.
        method = channel.stream_stream(
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        requests = [
            reflection_pb2.ServerReflectionRequest(list_services=""),
            reflection_pb2.ServerReflectionRequest(file_containing_symbol=SERVICE),
        ]
        listed, described = method(iter(requests), timeout=30)
        assert SERVICE in {service.name for service in listed.list_services_response.service}
        assert described.file_descriptor_response.file_descriptor_proto


@pytest.fixture(scope="module")
def health(channel):
    return health_pb2_grpc.HealthStub(channel)


class TestHealth:
    """It needs no token, and says what `/readyz` says."""

    SERVING = health_pb2.HealthCheckResponse.SERVING
    NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
    # The grace of `keystead dev` for what is under way when it ends.
    GRACE_SECONDS = 10

    @pytest.mark.parametrize("service", ["", SERVICE])
    def test_serving(self, health, service):
        request = health_pb2.HealthCheckRequest(service=service)
        assert health.Check(request, timeout=30).status == self.SERVING
        watch = health.Watch(request, timeout=30)
        assert next(watch).status == self.SERVING
        watch.cancel()

    def test_unknown_service(self, health):
        request = health_pb2.HealthCheckRequest(service="keystead.kms.v1")
        for call in (health.Check, lambda *args, **more: next(health.Watch(*args, **more))):
            with pytest.raises(grpc.RpcError) as caught:
                call(request, timeout=30)
            assert caught.value.code() == grpc.StatusCode.NOT_FOUND

    def test_who_watches_is_told_of_the_end_and_does_not_delay_it(self, durable_node):
        with grpc.insecure_channel(f"{durable_node.host}:{durable_node.port}") as channel:
            request = health_pb2.HealthCheckRequest()
            watch = health_pb2_grpc.HealthStub(channel).Watch(request, timeout=60)
            assert next(watch).status == self.SERVING
            began = time.monotonic()
            assert durable_node.stop() == 0
            assert time.monotonic() - began < self.GRACE_SECONDS / 2
            assert [reply.status for reply in watch] == [self.NOT_SERVING]

    def test_not_serving_while_it_drains(self, durable_node):
        printed = pathlib.Path(durable_node.printed.name).read_text()
        readyz = re.search(r"http://\S+/readyz", printed)[0]

        def check(connection, stream):
            connection.call(stream, "/grpc.health.v1.Health/Check")
            connection.end(stream)
            # The one message behind a flag and its length.
            reply = connection.receive(http2.DATA, stream=stream).payload[5:]
            ready = urllib3.request("GET", readyz, retries=False)
            return health_pb2.HealthCheckResponse.FromString(reply).status, ready.status

        with http2.Connection(durable_node) as connection:
            assert check(connection, 1) == (self.SERVING, 200)
            durable_node.process.send_signal(signal.SIGTERM)
            # The node closes a connection when its ping is answered, and here nobody does.
            connection.receive(http2.GOAWAY)
            assert check(connection, 3) == (self.NOT_SERVING, 503)
        assert durable_node.process.wait(30) == 0
