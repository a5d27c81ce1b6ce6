#!/usr/bin/env python3
"""Lets a node write a data folder and packs it: freeze.py PROGRAM NAME.

Needs the packages of tests/conformance/requirements.txt.
"""

import base64
import json
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile
import time

import boto3
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import load_der_public_key

HERE = pathlib.Path(__file__).resolve().parent
REGION, ACCOUNT, PORT = "eu-central-1", "111122223333", 29470
SERVICE = "s3.amazonaws.com"
SERVICE_KEY = "alias/aws/s3"
CONFIGURATION = f"""\
region = "{REGION}"
data_dir = "data"
[listen]
clients = "127.0.0.1:{PORT}"
operations = "127.0.0.1:{PORT + 2}"
[seal]
path = "seal.key"
[audit]
path = "audit.json"
"""


def main(program, name):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "keystead.toml").write_text(CONFIGURATION)
        init = [program, "cluster", "init", "--account", ACCOUNT]
        printed = subprocess.run(init, cwd=folder, check=True, capture_output=True, text=True)
        access_key = dict(re.findall(r"^export (AWS_\w+)='([^']*)'$", printed.stdout, re.M))
        node = subprocess.Popen([program, "server"], cwd=folder, stderr=subprocess.DEVNULL)
        try:
            kms = client("kms", access_key)
            await_service(kms)
            keys = use(kms)
            clerk = give_rights(client("iam", access_key), kms, keys)
            managed = kms.describe_key(KeyId=SERVICE_KEY)["KeyMetadata"]["Arn"]
            porter = give_role(client("iam", access_key))
            porter |= take_on(porter, lambda: revoke(program, folder, "porter"))
            provider = give_provider(client("iam", access_key))
            service = add_service(program, folder)
        finally:
            node.terminate()
            assert node.wait(30) == 0
        expected = {
            "account": ACCOUNT,
            "access_key": access_key,
            "keys": keys,
            "clerk": clerk,
            "managed": {"alias": SERVICE_KEY, "arn": managed},
            "porter": porter,
            "provider": provider,
            "service": service,
        }
        (folder / "expected.json").write_text(json.dumps(expected, indent=2, sort_keys=True))
        pack(folder, HERE / f"{name}.tar.gz")


def client(service, access_key):
    return boto3.client(
        service,
        region_name=REGION,
        endpoint_url=f"http://127.0.0.1:{PORT}",
        aws_access_key_id=access_key["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=access_key["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=access_key.get("AWS_SESSION_TOKEN"),
    )


def await_service(kms):
    for _ in range(100):
        try:
            return kms.list_keys()
        except Exception:  # pylint: disable=broad-except
            time.sleep(0.1)
    raise RuntimeError("the node does not serve")


def use(kms):
    """Brings keys into every state there is; gives what shall be found again."""
    keys = {}

    def create(name, material=None):
        tags = [{"TagKey": "name", "TagValue": name}]
        origin = "EXTERNAL" if material else "AWS_KMS"
        made = kms.create_key(Description=name, Tags=tags, Origin=origin)
        key = made["KeyMetadata"]["KeyId"]
        kms.create_alias(AliasName=f"alias/{name}", TargetKeyId=key)
        if material:
            put_in(kms, key, material)
        keys[name] = {"id": key, "state": "Enabled", "tags": tags, "earlier": []}
        encrypt(name)
        return key

    def encrypt(name):
        """The ciphertext to be opened; those from before are, too."""
        key, context = keys[name], {"name": name}
        made = kms.encrypt(KeyId=key["id"], Plaintext=name.encode(), EncryptionContext=context)
        if "ciphertext" in key:
            key["earlier"].append(key["ciphertext"])
        key["ciphertext"] = base64.b64encode(made["CiphertextBlob"]).decode()

    create("enabled")
    kms.disable_key(KeyId=create("disabled"))
    keys["disabled"]["state"] = "Disabled"
    # Whoever opens the folder after that day finds it gone.
    doomed = create("deleted-in-30-days")
    scheduled = kms.schedule_key_deletion(KeyId=doomed, PendingWindowInDays=30)
    keys["deleted-in-30-days"]["state"] = "PendingDeletion"
    keys["deleted-in-30-days"]["deletion"] = scheduled["DeletionDate"].timestamp()
    kms.untag_resource(KeyId=create("untagged"), TagKeys=["name"])
    keys["untagged"]["tags"] = []
    rotated = create("rotated")
    kms.enable_key_rotation(KeyId=rotated, RotationPeriodInDays=2560)
    for _ in range(2):
        kms.rotate_key_on_demand(KeyId=rotated)
        encrypt("rotated")
    imported = create("imported", os.urandom(32))
    put_in(kms, imported, os.urandom(32), ImportType="NEW_KEY_MATERIAL")
    kms.rotate_key_on_demand(KeyId=imported)
    encrypt("imported")
    kms.delete_imported_key_material(KeyId=create("emptied", os.urandom(32)))
    keys["emptied"]["state"] = "PendingImport"
    return keys


def put_in(kms, key, material, **more):
    """Imports material into a key."""
    asked = {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}
    given = kms.get_parameters_for_import(KeyId=key, **asked)
    sha = hashes.SHA256()
    oaep = padding.OAEP(mgf=padding.MGF1(sha), algorithm=sha, label=None)
    kms.import_key_material(
        KeyId=key,
        ImportToken=given["ImportToken"],
        EncryptedKeyMaterial=load_der_public_key(given["PublicKey"]).encrypt(material, oaep),
        ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE",
        **more,
    )


def give_rights(iam, kms, keys):
    """Makes a user with rights of every kind; gives the access key, and what may be done by it."""
    user = iam.create_user(UserName="clerk", Path="/office/")["User"]["Arn"]
    iam.create_group(GroupName="clerks")
    iam.add_user_to_group(GroupName="clerks", UserName="clerk")
    arn = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/"
    encrypt = policy("Allow", ["kms:Encrypt"], "*")
    managed = iam.create_policy(PolicyName="encrypts", PolicyDocument=encrypt)["Policy"]["Arn"]
    iam.attach_group_policy(GroupName="clerks", PolicyArn=managed)
    looks = policy("Allow", ["kms:DescribeKey", "kms:ListGrants"], "*")
    iam.put_user_policy(UserName="clerk", PolicyName="looks", PolicyDocument=looks)
    bound = policy("Allow", ["kms:Encrypt", "kms:Decrypt", "kms:DescribeKey"], "*")
    boundary = iam.create_policy(PolicyName="bound", PolicyDocument=bound)["Policy"]["Arn"]
    iam.put_user_permissions_boundary(UserName="clerk", PermissionsBoundary=boundary)
    denied = policy("Deny", ["kms:Encrypt"], arn + keys["untagged"]["id"])
    iam.put_group_policy(GroupName="clerks", PolicyName="not", PolicyDocument=denied)
    kms.create_grant(
        KeyId=keys["enabled"]["id"],
        GranteePrincipal=user,
        Operations=["Decrypt"],
        Constraints={"EncryptionContextSubset": {"name": "enabled"}},
    )
    return {
        "access_key": exports(iam.create_access_key(UserName="clerk")["AccessKey"]),
        "may": [["encrypt", "enabled"], ["decrypt", "enabled"], ["describe_key", "untagged"]],
        "may_not": [["encrypt", "untagged"], ["list_grants", "enabled"], ["decrypt", "untagged"]],
    }


def give_role(iam):
    """Makes a role with all that a role has, and the user who alone may take it on; gives the
    access key, the role as it is described, and what its sessions may do."""
    user = iam.create_user(UserName="porter", Path="/gate/")["User"]["Arn"]
    condition = {"StringEquals": {"sts:ExternalId": "gate-7"}}
    trust = policy("Allow", "sts:AssumeRole", Principal={"AWS": user}, Condition=condition)
    bound = policy("Allow", ["kms:Encrypt", "kms:Decrypt", "kms:DescribeKey"], "*")
    about = {
        "Path": "/works/",
        "Description": "moves things",
        "MaxSessionDuration": 7200,
        "PermissionsBoundary": iam.create_policy(PolicyName="moves", PolicyDocument=bound)[
            "Policy"
        ]["Arn"],
        "Tags": [{"Key": "team", "Value": "blue"}],
    }
    iam.create_role(RoleName="mover", AssumeRolePolicyDocument=trust, **about)
    blue = {"StringEquals": {"aws:PrincipalTag/team": "blue"}}
    encrypt = policy("Allow", "kms:Encrypt", "*", Condition=blue)
    iam.put_role_policy(RoleName="mover", PolicyName="blue", PolicyDocument=encrypt)
    opens = policy("Allow", ["kms:Decrypt", "kms:ListGrants"], "*")
    managed = iam.create_policy(PolicyName="opens", PolicyDocument=opens)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="mover", PolicyArn=managed)
    role = iam.get_role(RoleName="mover")["Role"]
    role["CreateDate"] = role["CreateDate"].timestamp()
    role.pop("RoleLastUsed", None)
    return {
        "access_key": exports(iam.create_access_key(UserName="porter")["AccessKey"]),
        "role": role,
        "external_id": "gate-7",
        "may": [["encrypt", "enabled"], ["decrypt", "rotated"]],
        "may_not": [["list_grants", "enabled"], ["describe_key", "enabled"]],
    }


def take_on(porter, revoke_sessions):
    """Sessions of the user and of the role: some that are revoked, and some made after that."""
    sts = client("sts", porter["access_key"])

    def of_user():
        return exports(sts.get_session_token(DurationSeconds=129_600)["Credentials"])

    revoked = of_user()
    revoke_sessions()
    asked = {"RoleArn": porter["role"]["Arn"], "RoleSessionName": "shift-1"}
    of_role = sts.assume_role(ExternalId=porter["external_id"], DurationSeconds=7200, **asked)
    return {
        "revoked": revoked,
        "session": of_user(),
        "role_session": exports(of_role["Credentials"]),
        "taken_on": time.time(),
    }


def revoke(program, folder, user):
    command = [program, "account", "revoke-sessions", "--account", ACCOUNT, "--user", user]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def give_provider(iam):
    """Registers an issuer of tokens; gives what is known of it."""
    asked = {
        "Url": "https://idp.example.com/tenant",
        "ClientIDList": ["sts.amazonaws.com", "app"],
        "ThumbprintList": ["a" * 40],
        "Tags": [{"Key": "team", "Value": "gate"}],
    }
    arn = iam.create_open_id_connect_provider(**asked)["OpenIDConnectProviderArn"]
    found = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    del found["ResponseMetadata"]
    return found | {"arn": arn, "CreateDate": found["CreateDate"].timestamp()}


def add_service(program, folder):
    """Registers a service, which makes a key of its own."""
    add = [program, "service", "add", SERVICE]
    printed = subprocess.run(add, cwd=folder, check=True, capture_output=True, text=True).stdout
    access_key = dict(re.findall(r"^export (AWS_\w+)='([^']*)'$", printed, re.M))
    own = client("kms", access_key).create_key()["KeyMetadata"]["Arn"]
    return {"name": SERVICE, "access_key": access_key, "key": own}


def exports(made):
    """Credentials of IAM or STS, by the names of a shell's variables."""
    names = {
        "AccessKeyId": "AWS_ACCESS_KEY_ID",
        "SecretAccessKey": "AWS_SECRET_ACCESS_KEY",
        "SessionToken": "AWS_SESSION_TOKEN",
    }
    return {variable: made[name] for name, variable in names.items() if name in made}


def policy(effect, actions, resource=None, **more):
    statement = {"Effect": effect, "Action": actions} | more
    if resource:
        statement["Resource"] = resource
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def pack(folder, archive):
    # RocksDB's logs tell of the machine and nothing of the data.
    unwanted = {"LOG", "audit.json", "admin.lock", "admin.sock"}

    def clean(member):
        name = pathlib.Path(member.name).name
        if name in unwanted or name.startswith("LOG.old"):
            return None
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        return member

    with tarfile.open(archive, "w:gz") as packed:
        for name in ("data", "seal.key", "keystead.toml", "expected.json"):
            packed.add(folder / name, name, filter=clean)
    print(archive)


if __name__ == "__main__":
    main(str(pathlib.Path(sys.argv[1]).resolve()), sys.argv[2])
