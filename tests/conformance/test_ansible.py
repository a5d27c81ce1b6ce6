"""Ansible's `amazon.aws.kms_key`; the playbook is ansible/kms_key.yml."""

import os
import pathlib
import subprocess
import uuid

import pytest

PLAYBOOK = pathlib.Path(__file__).parent / "ansible/kms_key.yml"


def test_playbook(node, tmp_path):
    venv = os.environ.get("KEYSTEAD_ANSIBLE")
    if venv is None:
        pytest.skip("runs as a part of its own: scripts/test ansible")
    settings = {
        "ANSIBLE_HOME": str(tmp_path),
        "ANSIBLE_LOCAL_TEMP": str(tmp_path),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "ANSIBLE_NOCOLOR": "true",
        "LC_ALL": "C.UTF-8",
    }
    done = subprocess.run(
        [
            f"{venv}/bin/ansible-playbook",
            "--extra-vars",
            f"ansible_python_interpreter={venv}/bin/python alias=alias/ansible-{uuid.uuid4()}",
            str(PLAYBOOK),
        ],
        env=node.shell(**settings),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
