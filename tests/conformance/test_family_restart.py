"""A key of any kind is the same after its node was stopped and started again."""

from families import ALGORITHMS, MESSAGES, has_public_key
from families_requests import Case
from families_world import Boto3, Calls
from walk_world import Account

# Of each usage, the operation whose answer tells one key from another: what it is sent was made
# with the key, or its answer is always the same.
TELLING = {
    "ENCRYPT_DECRYPT": "Decrypt",
    "SIGN_VERIFY": "Verify",
    "GENERATE_VERIFY_MAC": "VerifyMac",
    "KEY_AGREEMENT": "DeriveSharedSecret",
    "ENCAPSULATE_DECAPSULATE": "Decapsulate",
}


def requests(account, call):
    """One for each kind of key, and the algorithms that it has."""
    for (spec, usage), algorithms in ALGORITHMS.items():
        key = account.key(f"{spec}/{usage}")
        for algorithm in algorithms:
            message_type = next(iter(MESSAGES.get(algorithm, [None])))
            case = Case(call, None, key, TELLING[usage], algorithm, message_type)
            yield TELLING[usage], case.members()
        if has_public_key(spec):
            yield "GetPublicKey", {"KeyId": key.id}
        yield "DescribeKey", {"KeyId": key.id}


def test_restart(durable_node):
    def answers(made):
        call = Calls(Boto3(durable_node), Account(durable_node))
        return [call.ok(operation, **members) for operation, members in made]

    account = Account(durable_node)
    made = list(requests(account, Calls(Boto3(durable_node), account)))
    before = answers(made)
    assert durable_node.stop() == 0
    durable_node.start()
    assert answers(made) == before
