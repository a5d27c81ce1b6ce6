"""Signature Version 4: whatever is wrong with a signature has an error of its own."""

import datetime
import re

import botocore.auth
import botocore.compat
import pytest

MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your "
    "AWS Secret Access Key and signing method. Consult the service documentation for details."
)
TARGET = "TrentService.ListKeys"


@pytest.fixture
def at(monkeypatch):
    """Makes the clients' clock differ from the node's by so many seconds."""

    def shift(seconds):
        offset = datetime.timedelta(seconds=seconds)
        now = botocore.compat.get_current_datetime
        monkeypatch.setattr(
            botocore.auth, "get_current_datetime", lambda *args, **how: now(*args, **how) + offset
        )

    return shift


def leaving_out(*names):
    """A signer that does not sign these headers."""

    class Signer(botocore.auth.SigV4Auth):
        def headers_to_sign(self, request):
            headers = super().headers_to_sign(request)
            for name in names:
                del headers[name]
            return headers

    return Signer


def refused(reply, code, message):
    assert (reply.status, reply.code, reply.message) == (400, code, message)


def edit(request, pattern, replacement):
    """Changes the Authorization header after signing."""
    text = request.headers["Authorization"]
    changed = re.sub(pattern, replacement, text)
    assert changed != text
    request.headers["Authorization"] = changed
    return request


def test_a_good_signature(node):
    assert node.call("ListKeys").status == 200


class TestCredentials:
    def test_wrong_secret(self, node):
        refused(node.call("ListKeys", secret="wrong"), "InvalidSignatureException", MISMATCH)

    def test_another_account_s_secret(self, node):
        reply = node.call("ListKeys", secret="other-secret")
        refused(reply, "InvalidSignatureException", MISMATCH)

    @pytest.mark.parametrize("name", ["AKIDEXAMPLE", "TEST", "testt"])
    def test_unknown_access_key(self, node, name):
        text = "The security token included in the request is invalid."
        refused(node.call("ListKeys", access_key=name), "UnrecognizedClientException", text)

    def test_a_token_that_nobody_gave(self, node):
        text = "The security token included in the request is invalid."
        reply = node.call("ListKeys", headers={"X-Amz-Security-Token": "token"})
        refused(reply, "UnrecognizedClientException", text)


class TestDates:
    @pytest.mark.parametrize("seconds", [-290, 290])
    def test_within_five_minutes(self, node, at, seconds):
        at(seconds)
        assert node.call("ListKeys").status == 200

    @pytest.mark.parametrize(
        "seconds, pattern",
        [
            (-310, r"Signature expired: {t} is now earlier than {t} \({t} - 5 min\.\)"),
            (310, r"Signature not yet current: {t} is still later than {t} \({t} \+ 5 min\.\)"),
        ],
    )
    def test_beyond(self, node, at, seconds, pattern):
        at(seconds)
        reply = node.call("ListKeys")
        assert (reply.status, reply.code) == (400, "InvalidSignatureException")
        assert re.fullmatch(pattern.format(t=r"\d{8}T\d{6}Z"), reply.message), reply.message

    def test_scope_of_another_day(self, node):
        request = edit(node.sign(TARGET), r"/\d{8}/", "/20200101/")
        reply = node.send(request)
        assert reply.code == "InvalidSignatureException"
        assert reply.message.startswith(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date "
            "from HTTP: "
        )

    def test_no_date(self, node):
        request = node.sign(TARGET)
        del request.headers["X-Amz-Date"]
        assert node.send(request).code == "IncompleteSignatureException"

    @pytest.mark.parametrize("date", ["yesterday", "20261345T250000Z", "20260101T000000"])
    def test_unreadable_date(self, node, date):
        request = node.sign(TARGET)
        request.headers["X-Amz-Date"] = date
        assert node.send(request).code == "IncompleteSignatureException"


class TestScope:
    def test_another_region(self, node):
        text = "Credential should be scoped to a valid region."
        refused(node.call("ListKeys", region="ap-south-9"), "InvalidSignatureException", text)

    @pytest.mark.parametrize("service", ["s3", "dynamodb", "KMS"])
    def test_another_service(self, node, service):
        reply = node.call("ListKeys", service=service)
        assert (reply.status, reply.code) == (400, "InvalidSignatureException")
        assert reply.message.startswith("Credential should be scoped to correct service: ")

    def test_another_terminator(self, node):
        request = edit(node.sign(TARGET), "aws4_request", "aws5_request")
        assert node.send(request).code == "InvalidSignatureException"

    @pytest.mark.dev("it needs a process that serves another Region, too")
    def test_a_key_is_in_the_region_that_signed(self, node, key):
        reply = node.call("DescribeKey", {"KeyId": key["KeyId"]}, region="eu-west-1")
        assert reply.code == "NotFoundException"


class TestChangesAfterSigning:
    def test_body(self, node, key):
        body = f'{{"KeyId": "{key["KeyId"]}"}}'.encode()
        request = node.sign("TrentService.DescribeKey", body)
        request.body = body + b" "
        request.headers["Content-Length"] = str(len(request.body))
        refused(node.send(request), "InvalidSignatureException", MISMATCH)

    @pytest.mark.parametrize(
        "name, value",
        [
            ("X-Amz-Target", "TrentService.ListAliases"),
            ("Content-Type", "application/json"),
            ("Host", "kms.us-east-1.amazonaws.com"),
        ],
    )
    def test_a_signed_header(self, node, name, value):
        request = node.sign(TARGET)
        request.headers[name] = value
        refused(node.send(request), "InvalidSignatureException", MISMATCH)

    def test_the_query(self, node):
        request = node.sign(TARGET)
        request.url += "?a=b"
        refused(node.send(request), "InvalidSignatureException", MISMATCH)

    def test_the_signature(self, node):
        for pattern, new in ((r"Signature=(.)", r"Signature=x"), (r".$", "")):
            reply = node.send(edit(node.sign(TARGET), pattern, new))
            assert reply.status == 400
            assert reply.code in {"InvalidSignatureException", "IncompleteSignatureException"}

    def test_an_amz_header_that_was_added(self, node):
        request = node.sign(TARGET)
        request.headers["X-Amz-Meta-Added"] = "later"
        text = "'x-amz-meta-added' must be a 'SignedHeader' in the AWS Authorization."
        refused(node.send(request), "InvalidSignatureException", text)


class TestWhatIsSigned:
    @pytest.mark.parametrize("name", ["x-amz-target", "x-amz-date"])
    def test_required_headers(self, node, name):
        reply = node.call("ListKeys", signer=leaving_out(name))
        text = f"'{name}' must be a 'SignedHeader' in the AWS Authorization."
        refused(reply, "InvalidSignatureException", text)

    def test_host(self, node):
        reply = node.call("ListKeys", signer=leaving_out("host"))
        text = "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."
        refused(reply, "InvalidSignatureException", text)

    def test_the_content_type_need_not_be(self, node):
        assert node.call("ListKeys", signer=leaving_out("content-type")).status == 200

    def test_spaces_in_a_signed_header(self, node):
        assert node.call("ListKeys", headers={"X-Amz-Extra": "  a   b  "}).status == 200

    @pytest.mark.parametrize(
        "hash",
        ["UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "0" * 64],
    )
    def test_another_hash_of_the_body(self, node, hash):
        reply = node.call("ListKeys", headers={"X-Amz-Content-SHA256": hash})
        assert (reply.status, reply.code) == (400, "InvalidSignatureException")


class TestAuthorizationHeader:
    def test_absent(self, node):
        request = node.sign(TARGET)
        del request.headers["Authorization"]
        text = "Missing Authentication Token"
        refused(node.send(request), "MissingAuthenticationTokenException", text)

    @pytest.mark.parametrize(
        "header",
        [
            "",
            "Basic dGVzdDp0ZXN0",
            "Bearer test:test",
            "AWS4-HMAC-SHA256",
            "AWS4-HMAC-SHA256 Credential=test",
            "AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders, Signature=00",
            "AWS4-ECDSA-P256-SHA256 Credential=a/b/c/d/e, SignedHeaders=host, Signature=00",
            "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=" + "0" * 64,
        ],
    )
    def test_malformed(self, node, header):
        request = node.sign(TARGET)
        request.headers["Authorization"] = header
        reply = node.send(request)
        assert reply.status == 400
        assert reply.code in {
            "IncompleteSignatureException",
            "MissingAuthenticationTokenException",
        }

    @pytest.mark.parametrize("name", ["Credential", "SignedHeaders", "Signature"])
    def test_a_missing_parameter_is_named(self, node, name):
        request = edit(node.sign(TARGET), rf"{name}=[^,]*,?\s*", "")
        reply = node.send(request)
        assert reply.code == "IncompleteSignatureException"
        assert f"Authorization header requires '{name}' parameter." in reply.message
