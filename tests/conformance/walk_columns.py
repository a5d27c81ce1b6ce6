"""What the columns of the walk's rows are made of: kinds of touches, inputs, audit lines."""

from expect import alias_arn, unique_alias
from walk_world import SYMMETRIC, Key, default_policy, root_of

# The kinds of rows in AWS's table of key states, in the order of `walk.States`.
USED = ("ok", "D1", "S3", "S5", "S11", "S14", "ok", "gone")
READ = ("ok", "ok", "ok", "ok", "ok", "ok", "ok", "gone")
SWITCHED = ("ok", "ok", "S3", "S5", "ok", "S14", "S15", "gone")
CHANGED = ("ok", "ok", "S3", "ok", "ok", "ok", "ok", "gone")
SCHEDULED = ("ok", "ok", "S3", "ok", "ok", "ok", "S15", "gone")
CANCELLED = ("S4", "S4", "ok", "S4", "S4", "S4", "S4", "gone")
# Of keys whose material is imported: all others are refused in every state.
PREPARED = ("ok", "ok", "S3", "ok", "U9", "S14", "S15", "gone")
FILLED = ("ok", "ok", "S3", "ok", "U9", "S14", "ok", "gone")
EMPTIED = ("ok", "ok", "ok", "ok", "U9", "S14", "S15", "gone")
ROTATION = ("ok", "ok", "ok", "ok", "U7", "ok", "ok", "gone")
AUTOMATIC = ("ok", "D1", "S3", "U6", "U7", "S14", "ok", "gone")
ON_DEMAND = ("ok", "D1", "S3", "S5", "U7", "S14", "S15", "gone")
REPLICABLE = ("ok", "D1", "S3", "S5", "U7", "S14", "S15", "gone")
PROMOTED = ("ok", "D1", "S3", "S5", "U7", "S14", "ok", "gone")
# A ciphertext leads to a key like any other name, but tells nobody that the key is gone.
OPENED = (*USED[:-1], "hidden")
# An alias goes with its key.
RENAMED = (*READ[:-1], "no alias")


def by_name(action, states, member="KeyId", aliases=False, kind=SYMMETRIC, **rest):
    """A key that a member names, beside the rest of an input."""
    return {
        "role": member,
        "member": member,
        "aliases": aliases,
        "kind": kind,
        "action": f"kms:{action}",
        "stranger": "elsewhere",
        "body": lambda account, key: {member: key.name} | made(account, key, rest),
        "states": states,
    }


def by_ciphertext(action, **rest):
    """The key that made a ciphertext."""
    return {
        "role": "CiphertextBlob",
        "member": None,
        "aliases": False,
        "kind": SYMMETRIC,
        "action": f"kms:{action}",
        "stranger": "ciphertext",
        "body": lambda account, key: {"CiphertextBlob": key.blob()} | made(account, key, rest),
        "states": OPENED,
    }


def by_alias(action, **rest):
    """The key that an alias points at."""
    return {
        "role": "AliasName",
        "member": None,
        "aliases": False,
        "kind": SYMMETRIC,
        "action": f"kms:{action}",
        "stranger": "own alias",
        "body": lambda account, key: {"AliasName": key.alias()} | made(account, key, rest),
        "states": RENAMED,
    }


def made(account, key, members):
    """Members of an input; what is a function of account and key is made anew for each input."""
    return {
        name: value(account, key) if callable(value) else value for name, value in members.items()
    }


def beside_ciphertext(action, member, **rest):
    """A key that a member names although its ciphertext would do."""
    touch = by_name(action, USED, member, aliases=True)
    return touch | {
        "body": lambda account, key: (
            {member: key.name, "CiphertextBlob": key.blob()} | made(account, key, rest)
        )
    }


def own_key(account, _):
    return account.key().id


def own_alias(account, _):
    return account.key().alias()


def own_blob(account, _):
    return account.key().blob()


def new_alias(*_):
    return unique_alias()


def signature(_, key):
    return key.signature()


def mac(_, key):
    return key.mac()


def encapsulated(_, key):
    return key.encapsulated()


def grant(_, key):
    return key.grant()


def import_token(_, key):
    return key.material()["ImportToken"]


def wrapped_material(_, key):
    return key.material()["EncryptedKeyMaterial"]


def own_root(account, _):
    return root_of(account)


def own_policy(_, key):
    return default_policy(key.owner)


def audit(read_only, resources, parameters=(), response=()):
    return {
        "read_only": read_only,
        "resources": resources,
        "parameters": set(parameters),
        "response": set(response),
    }


def key_arn(call):
    return [call.key.arn]


def alias_and_keys(call):
    """The alias, the key that it pointed at if any, the key that it points at now if any."""
    alias = alias_arn(call.body["AliasName"], account=call.account.number)
    target = call.body.get("TargetKeyId", call.key.id)
    arns = [alias, call.key.arn, Key(call.account, target).arn]
    return list(dict.fromkeys(arns))


def source_and_destination(call):
    return [call.key.arn, Key(call.account, call.body["DestinationKeyId"]).arn]


def new_key(call):
    return [call.output["KeyMetadata"]["Arn"]]


def none(_):
    return []
