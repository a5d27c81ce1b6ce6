"""What the tests of the deployment files share."""

import os
import pathlib
import tempfile

import pytest
from container import image
from node import clean_environment


@pytest.fixture(scope="session", autouse=True)
def no_aws_settings():
    """The clients in this process know only what they are told."""
    kept, clean = dict(os.environ), clean_environment()
    os.environ.clear()
    os.environ.update(clean)
    yield
    os.environ.clear()
    os.environ.update(kept)


@pytest.fixture(scope="module")
def folder():
    """A folder with a short name: that of a Unix socket in it has at most 107 characters."""
    with tempfile.TemporaryDirectory(prefix="keystead-") as name:
        yield pathlib.Path(name)


@pytest.fixture(scope="module")
def programs(folder):
    """What the image adds to the system's programs."""
    return image(folder / "bin")
