"""When keys were last used: what counts, what a node keeps, and what warns who deletes a key."""

import datetime
import json
import subprocess
import time

import pytest
from expect import refused
from node import binary, eventually, serving

DAY = datetime.timedelta(days=1)
# So often a node tells the state of uses in these tests, and so long it takes at most until then.
INTERVAL_SECONDS = 1
# So long it takes to delete a key whose time has come.
DELETION_SECONDS = 20
TOLD = {"keys": {"use_interval": f"{INTERVAL_SECONDS}s"}}
CURVE = {"KeySpec": "ECC_NIST_P256"}
SIGNING = {"SigningAlgorithm": "ECDSA_SHA_256"}
HMAC = {"MacAlgorithm": "HMAC_SHA_256"}
WRONG = {"EncryptionContext": {"not": "this"}}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def kms(server):
    return server.client()


def new_key(kms, usage="ENCRYPT_DECRYPT", spec="SYMMETRIC_DEFAULT"):
    return kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["KeyId"]


def usage(kms, key):
    return kms.get_key_last_usage(KeyId=key)


def last(kms, key):
    """The operation of the last use, if there is one."""
    return usage(kms, key)["KeyLastUsage"].get("Operation")


def events(server, **members):
    """The records of the audit trail with these members."""
    lines = (server.folder / "audit.json").read_text().splitlines()
    records = map(json.loads, lines)
    return [r for r in records if all(r.get(name) == value for name, value in members.items())]


def deletion_warning(node, key):
    """What the audit trail says beside the last scheduling of a key's deletion."""
    lines = (line for line in node.output().splitlines() if line.startswith("{"))
    records = [record for record in map(json.loads, lines) if "eventName" in record]
    named = [r for r in records if r["eventName"] == "ScheduleKeyDeletion"]
    [*_, record] = [r for r in named if r["requestParameters"]["keyId"] == key]
    return record["additionalEventData"].get("keysteadWarning")


def symmetric(kms):
    """Each use of a symmetric key, by its name."""
    key = new_key(kms)
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    yield "Decrypt", key, lambda: kms.decrypt(CiphertextBlob=blob)
    yield "Encrypt", key, lambda: kms.encrypt(KeyId=key, Plaintext=b"x")
    made = {"KeyId": key, "KeySpec": "AES_256"}
    yield "GenerateDataKey", key, lambda: kms.generate_data_key(**made)
    unseen = "GenerateDataKeyWithoutPlaintext"
    yield unseen, key, lambda: kms.generate_data_key_without_plaintext(**made)
    pair = {"KeyId": key, "KeyPairSpec": "ECC_NIST_P256"}
    yield "GenerateDataKeyPair", key, lambda: kms.generate_data_key_pair(**pair)
    unseen = "GenerateDataKeyPairWithoutPlaintext"
    yield unseen, key, lambda: kms.generate_data_key_pair_without_plaintext(**pair)
    yield "ReEncrypt", key, lambda: kms.re_encrypt(CiphertextBlob=blob, DestinationKeyId=key)


def others(kms):
    """Each use of keys of the other kinds."""
    key = new_key(kms, "SIGN_VERIFY", "ECC_NIST_P256")
    signed = {"KeyId": key, "Message": b"x"} | SIGNING
    signature = kms.sign(**signed)["Signature"]
    yield "Verify", key, lambda: kms.verify(**signed, Signature=signature)
    yield "Sign", key, lambda: kms.sign(**signed)
    mac_key = new_key(kms, "GENERATE_VERIFY_MAC", "HMAC_256")
    of = {"KeyId": mac_key, "Message": b"x"} | HMAC
    mac = kms.generate_mac(**of)["Mac"]
    yield "VerifyMac", mac_key, lambda: kms.verify_mac(**of, Mac=mac)
    yield "GenerateMac", mac_key, lambda: kms.generate_mac(**of)
    agreeing = new_key(kms, "KEY_AGREEMENT", "ECC_NIST_P256")
    public = kms.get_public_key(KeyId=agreeing)["PublicKey"]
    yield (
        "DeriveSharedSecret",
        agreeing,
        lambda: kms.derive_shared_secret(
            KeyId=agreeing, KeyAgreementAlgorithm="ECDH", PublicKey=public
        ),
    )


class TestWhatCounts:
    def test_a_new_key_was_never_used(self, server, kms):
        key = kms.create_key()["KeyMetadata"]
        reply = server.call("GetKeyLastUsage", {"KeyId": key["Arn"]})
        created = key["CreationDate"].timestamp()
        assert reply.body == {
            "KeyId": key["Arn"],
            "KeyLastUsage": {},
            "KeyCreationDate": pytest.approx(created),
            "TrackingStartDate": pytest.approx(created),
        }

    @pytest.mark.parametrize("kind", [symmetric, others])
    def test_every_use_of_a_key_counts(self, server, kms, kind):
        for operation, key, use in kind(kms):
            before = time.time()
            request_id = use()["ResponseMetadata"]["RequestId"]
            found = usage(kms, key)["KeyLastUsage"]
            [event] = events(server, requestID=request_id)
            assert found["Operation"] == operation == event["eventName"]
            assert found["KmsRequestId"] == request_id
            assert found["CloudTrailEventId"] == event["eventID"]
            assert before - 0.01 <= found["Timestamp"].timestamp() <= time.time() + 0.01

    def test_both_keys_of_a_re_encryption_count(self, kms):
        source, destination = new_key(kms), new_key(kms)
        blob = kms.encrypt(KeyId=source, Plaintext=b"x")["CiphertextBlob"]
        kms.re_encrypt(CiphertextBlob=blob, DestinationKeyId=destination)
        assert last(kms, source) == last(kms, destination) == "ReEncrypt"

    def test_what_fails_does_not_count(self, kms):
        key = new_key(kms)
        blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
        with refused("InvalidCiphertextException"):
            kms.decrypt(CiphertextBlob=blob, **WRONG)
        kms.disable_key(KeyId=key)
        with refused("DisabledException"):
            kms.generate_data_key(KeyId=key, KeySpec="AES_256")
        assert last(kms, key) == "Encrypt"

    def test_a_dry_run_does_not_count(self, kms):
        key = new_key(kms)
        blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
        with refused("DryRunOperationException"):
            kms.generate_data_key(KeyId=key, KeySpec="AES_256", DryRun=True)
        with refused("DryRunOperationException"):
            kms.decrypt(CiphertextBlob=blob, DryRun=True)
        assert last(kms, key) == "Encrypt"

    def test_looking_at_a_key_and_changing_it_does_not_count(self, kms):
        key = new_key(kms, "SIGN_VERIFY", "ECC_NIST_P256")
        kms.describe_key(KeyId=key)
        kms.get_public_key(KeyId=key)
        kms.update_key_description(KeyId=key, Description="x")
        usage(kms, key)
        assert last(kms, key) is None


class TestWhatIsKept:
    def test_a_node_that_stops_tells_all_it_knows(self, tmp_path):
        with serving(tmp_path) as server:
            key = new_key(server.client())
            server.client().encrypt(KeyId=key, Plaintext=b"x")
            before = usage(server.client(), key)["KeyLastUsage"]
            assert server.stop() == 0
            server.start()
            assert usage(server.client(), key)["KeyLastUsage"] == before
            assert before["Operation"] == "Encrypt"

    def test_a_node_that_dies_has_told_what_is_older_than_an_interval(self, tmp_path):
        with serving(tmp_path, TOLD) as server:
            key = new_key(server.client())
            server.client().encrypt(KeyId=key, Plaintext=b"x")
            before = usage(server.client(), key)["KeyLastUsage"]
            time.sleep(3 * INTERVAL_SECONDS)
            server.process.kill()
            server.process.wait()
            server.start()
            assert usage(server.client(), key)["KeyLastUsage"] == before

    def test_the_log_does_not_grow_with_the_uses(self, tmp_path):
        with serving(tmp_path, TOLD) as server:
            kms = server.client()
            key, began, before = new_key(kms), time.monotonic(), applied(server)
            while time.monotonic() < began + 4 * INTERVAL_SECONDS:
                kms.encrypt(KeyId=key, Plaintext=b"x")
            entries = applied(server) - before
            intervals = (time.monotonic() - began) / INTERVAL_SECONDS
            uses = len(events(server, eventName="Encrypt"))
            assert uses > 100, "too few to tell anything"
            assert 2 <= entries <= intervals + 1, f"{entries} entries for {uses} uses"


def applied(server):
    [region] = json.loads(server.run("status", "--output", "json").stdout)["Regions"]
    return region["AppliedIndex"]


class TestTimePasses:
    def test_the_last_use_stays_where_it_was(self, clock, clock_node):
        key = new_key(clock_node.client())
        clock.set(10 * DAY)
        clock_node.client().encrypt(KeyId=key, Plaintext=b"x")
        then = usage(clock_node.client(), key)
        assert then["KeyLastUsage"]["Timestamp"] - then["KeyCreationDate"] >= 10 * DAY
        clock.set(50 * DAY)
        kms = clock_node.client()
        assert usage(kms, key)["KeyLastUsage"] == then["KeyLastUsage"]
        kms.generate_data_key(KeyId=key, KeySpec="AES_256")
        now = usage(kms, key)["KeyLastUsage"]
        assert now["Operation"] == "GenerateDataKey"
        assert now["Timestamp"] - then["KeyLastUsage"]["Timestamp"] >= 40 * DAY
        assert usage(kms, key)["TrackingStartDate"] == then["TrackingStartDate"]

    def test_the_audit_trail_warns_of_a_deletion_soon_after_a_use(self, clock, clock_node):
        kms = clock_node.client()
        used, unused = new_key(kms), new_key(kms)
        kms.encrypt(KeyId=used, Plaintext=b"x")
        for key in (used, unused):
            kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
        assert "by Encrypt" in deletion_warning(clock_node, used)
        assert deletion_warning(clock_node, unused) is None
        kms.cancel_key_deletion(KeyId=used)
        clock.set(29 * DAY)
        clock_node.client().schedule_key_deletion(KeyId=used)
        assert "by Encrypt" in deletion_warning(clock_node, used)
        clock_node.client().cancel_key_deletion(KeyId=used)
        clock.set(31 * DAY)
        clock_node.client().schedule_key_deletion(KeyId=used)
        assert deletion_warning(clock_node, used) is None

    def test_a_key_that_waits_for_its_end_tells_and_one_that_is_gone_does_not(
        self, clock, clock_node
    ):
        key = new_key(clock_node.client())
        clock_node.client().encrypt(KeyId=key, Plaintext=b"x")
        clock_node.client().schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
        assert last(clock_node.client(), key) == "Encrypt"
        clock.set(8 * DAY)
        reply = None

        def is_gone():
            nonlocal reply
            reply = clock_node.call("GetKeyLastUsage", {"KeyId": key})
            return reply.status == 400 and reply.code == "NotFoundException"

        eventually(is_gone, DELETION_SECONDS, lambda: reply)


class TestCommandLine:
    @pytest.fixture
    def key(self, kms):
        return new_key(kms)

    @staticmethod
    def schedule(server, key, *arguments, given=""):
        return subprocess.run(
            [binary(), "key", "schedule-deletion", "--key-id", key, *arguments],
            env=server.shell(),
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
        )

    @staticmethod
    def state(kms, key):
        return kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"]

    @pytest.mark.parametrize("given", ["", "\n", "n\n", "maybe\n"])
    def test_asks_and_takes_anything_else_for_a_no(self, server, kms, key, given):
        kms.encrypt(KeyId=key, Plaintext=b"x")
        done = self.schedule(server, key, given=given)
        assert done.returncode == 1
        assert "by Encrypt" in done.stderr and "WARNING" in done.stderr
        assert f"Schedule the deletion of {key} in 30 days? [y/N]" in done.stderr
        assert self.state(kms, key) == "Enabled"

    @pytest.mark.parametrize(("arguments", "given"), [([], "y\n"), (["--yes"], "")])
    def test_schedules_when_told(self, server, kms, key, arguments, given):
        done = self.schedule(server, key, "--pending-window-in-days", "7", *arguments, given=given)
        assert done.returncode == 0, done.stderr
        assert "was not used since" in done.stderr and "WARNING" not in done.stderr
        assert ("[y/N]" in done.stderr) == (not arguments)
        metadata = kms.describe_key(KeyId=key)["KeyMetadata"]
        assert metadata["KeyState"] == "PendingDeletion"
        left = metadata["DeletionDate"].timestamp() - time.time()
        assert 6.9 < left / DAY.total_seconds() <= 7

    def test_json_is_the_answer_of_the_api(self, server, kms, key):
        done = self.schedule(server, key, "--yes", "--output", "json")
        assert json.loads(done.stdout)["KeyState"] == self.state(kms, key) == "PendingDeletion"

    def test_what_the_service_refuses_is_told(self, server):
        done = self.schedule(server, "no-such-key", "--yes")
        assert done.returncode == 3 and "NotFoundException" in done.stderr
