"""Runs a command in a shell that has a node's exports and the ARNs of keys in it: one of a key, and
those of a multi-Region key in two Regions.

    with_node.py COMMAND [ARGUMENT...]
"""

import subprocess
import sys

from node import OTHER_REGION, REGION, Node

# Where the Encryption SDK's integration tests look for their keys.
NAMES = "AWS_ENCRYPTION_SDK_PYTHON_INTEGRATION_TEST_AWS_KMS_{}"


def main():
    """Returns the command's exit status."""
    node = Node(["--ephemeral", "--region", REGION, "--region", OTHER_REGION]).start()
    try:
        kms = node.client()
        primary = kms.create_key(MultiRegion=True)["KeyMetadata"]["Arn"]
        replica = kms.replicate_key(KeyId=primary, ReplicaRegion=OTHER_REGION)
        arns = {
            "KEY_ID": kms.create_key()["KeyMetadata"]["Arn"],
            "MRK_KEY_ID_1": primary,
            "MRK_KEY_ID_2": replica["ReplicaKeyMetadata"]["Arn"],
        }
        exports = {NAMES.format(name): arn for name, arn in arns.items()}
        return subprocess.run(sys.argv[1:], env=node.shell(**exports)).returncode
    finally:
        node.stop()


if __name__ == "__main__":
    sys.exit(main())
