"""The AWS SDK for JavaScript; the story itself is told in js/story.mjs."""

import os
import pathlib
import shutil
import subprocess

import pytest

HERE = pathlib.Path(__file__).parent


def test_story(node, tmp_path):
    packages = os.environ.get("KEYSTEAD_JS")
    if packages is None:
        pytest.skip("KEYSTEAD_JS does not name the installed packages; see scripts/parts")
    version = subprocess.run(["node", "--version"], check=True, capture_output=True, text=True)
    if int(version.stdout.lstrip("v").partition(".")[0]) < 20:
        pytest.skip(f"the SDK needs Node.js 20 or newer; this is {version.stdout.strip()}")
    # Modules are looked for beside the script.
    script = shutil.copy(HERE / "js/story.mjs", tmp_path)
    (tmp_path / "node_modules").symlink_to(pathlib.Path(packages) / "node_modules")
    done = subprocess.run(
        ["node", script], env=node.shell(), capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
