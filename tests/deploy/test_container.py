"""What `docker run --publish 9470:9470 keystead` starts."""

import json
import re
import socket

import pytest
from container import DEPLOY, Container, Translation
from node import ACCOUNT, CREDENTIALS, REGION, eventually
from region import client, opens, seal

IMAGE = (DEPLOY / "container" / "Containerfile").read_text()
# Linux answers here, too, but not a server that listens on 127.0.0.1.
ANOTHER_ADDRESS = "127.0.0.2"
PORT = "9470"
START_SECONDS, STOP_SECONDS = 60, 30


def instruction(name):
    """The value of an instruction of the image's last stage."""
    return re.findall(rf"^{name} (.*)$", IMAGE.rpartition("\nFROM ")[2], re.MULTILINE)[-1]


@pytest.fixture
def published():
    """A free port that stands for the published one."""
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = taken.getsockname()[1]
    return str(port)


@pytest.fixture
def node(folder, programs, published):
    """The image's default command, with its volume."""
    data = folder / "data"
    data.mkdir(exist_ok=True)
    node = Container(
        name="dev",
        command=json.loads(instruction("ENTRYPOINT")) + json.loads(instruction("CMD")),
        environment={},
        translate=Translation({instruction("VOLUME"): data, f":{PORT}": f":{published}"}),
        programs=programs,
        log=folder / "dev.log",
    )
    node.start()
    yield node
    node.kill()


def await_port(node, port):
    def answers():
        with socket.socket() as probe:
            return probe.connect_ex((ANOTHER_ADDRESS, int(port))) == 0

    eventually(answers, START_SECONDS, node.tail)


def test_it_is_reached_from_outside_and_keeps_its_data(node, published):
    endpoint = f"http://{ANOTHER_ADDRESS}:{published}"
    kms = client(endpoint, CREDENTIALS[ACCOUNT], region=REGION)
    await_port(node, published)
    blob = seal(kms)
    assert node.terminate(STOP_SECONDS) == 0
    node.start()
    await_port(node, published)
    assert opens(kms, blob)
    assert node.terminate(STOP_SECONDS) == 0


def test_it_publishes_the_port_and_does_not_run_as_root():
    assert PORT in instruction("EXPOSE").split()
    assert int(instruction("USER").partition(":")[0]) > 0
