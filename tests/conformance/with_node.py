"""Runs a command in a shell that has a node's exports and the ARN of a key in it.

    with_node.py COMMAND [ARGUMENT...]
"""

import subprocess
import sys

from node import Node

# Where the Encryption SDK's integration tests look for their key.
NAME = "AWS_ENCRYPTION_SDK_PYTHON_INTEGRATION_TEST_AWS_KMS_KEY_ID"


def main():
    """Returns the command's exit status."""
    node = Node(["--ephemeral"]).start()
    try:
        arn = node.client().create_key()["KeyMetadata"]["Arn"]
        return subprocess.run(sys.argv[1:], env=node.shell(**{NAME: arn})).returncode
    finally:
        node.stop()


if __name__ == "__main__":
    sys.exit(main())
