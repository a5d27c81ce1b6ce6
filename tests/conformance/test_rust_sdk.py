"""The AWS SDK for Rust; the story itself is told in rust/src."""

import os
import re
import subprocess

import pytest


@pytest.mark.dev("it is built without TLS")
def test_story(node):
    story = os.environ.get("KEYSTEAD_RUST_STORY")
    if story is None:
        pytest.skip("KEYSTEAD_RUST_STORY does not name the built program; see scripts/parts")
    done = subprocess.run([story], env=node.shell(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"[1-9]\d* steps done\n", done.stdout)
