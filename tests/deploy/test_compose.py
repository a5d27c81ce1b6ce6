"""deploy/compose with its three services as processes. See container.py for how."""

import os
import re
from dataclasses import dataclass

import pytest
import yaml
from container import DEPLOY, Addresses, Container, Translation, own_addresses
from node import eventually
from region import client, create_account, members, opens, seal

FOLDER = DEPLOY / "compose"
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text())
NODES = ["kms-0", "kms-1", "kms-2"]
ETC, RUN = "/etc/keystead", "/run/secrets"
START_SECONDS = 90
OWNER = "10001:10001"
CLIENTS, PEERS = 9470, 9471


@dataclass
class Service:
    """One service of the compose file, and the container that stands for it."""

    spec: dict
    address: str
    container: Container

    def is_healthy(self):
        kind, *command = self.spec["healthcheck"]["test"]
        assert kind == "CMD"
        done = self.container.run(*map(unescaped, command))
        return done.returncode == 0

    def stop(self):
        """Stops it as `docker compose stop` does; returns its exit status."""
        return self.container.terminate(int(self.spec["stop_grace_period"].removesuffix("s")))


def unescaped(text):
    """A text of the compose file, in which $$ stands for $."""
    assert not re.search(r"(?<!\$)\$(\$\$)*(?!\$)", text), f"Compose would fill in {text}"
    return text.replace("$$", "$")


def volumes(spec, folder):
    """A folder for each path at which a service mounts a volume."""
    pairs = (volume.split(":") for volume in spec.get("volumes", []))
    return {path: folder / name for name, path in pairs}


@pytest.fixture(scope="module")
def secrets(folder, programs):
    """The folder that `docker compose run secrets` fills."""
    spec = COMPOSE["services"]["secrets"]
    paths = volumes(spec, folder)
    for path in paths.values():
        path.mkdir()
    run = Container(
        name="secrets",
        command=[],
        environment={},
        # Here it may give the files to nobody else.
        translate=Translation(paths | {OWNER: f"{os.getuid()}:{os.getgid()}"}),
        programs=programs,
        log=folder / "secrets.log",
    )
    entry = [*spec["entrypoint"], *map(unescaped, spec["command"])]
    for _ in range(2):
        # The second time it changes nothing.
        done = run.run(*entry)
        assert done.returncode == 0, done.stderr
    return paths["/secrets"]


def service(name, addresses, folder, programs, secrets):
    """A service, whose container is not started yet."""
    spec = COMPOSE["services"][name]
    etc = folder / name
    paths = volumes(spec, folder) | {ETC: etc, RUN: secrets}
    own = own_addresses(addresses[name])
    others = {f"{each}:{PEERS}": f"{at}:{PEERS}" for each, at in addresses.items()}
    container = Container(
        name=name,
        command=["keystead", *map(unescaped, spec["command"])],
        environment=spec["environment"],
        translate=Translation(paths | own | others),
        programs=programs,
        log=folder / f"{name}.log",
        workdir=ETC,
    )
    for path in [etc, *volumes(spec, folder).values()]:
        path.mkdir()
    for config in spec["configs"]:
        text = (FOLDER / COMPOSE["configs"][config["source"]]["file"]).read_text()
        target = config["target"].removeprefix(ETC)
        (etc / target.strip("/")).write_text(container.translate(text))
    for secret in spec["secrets"]:
        assert (secrets / secret).samefile(folder / COMPOSE["secrets"][secret]["file"])
    return Service(spec, addresses[name], container)


@pytest.fixture(scope="module")
def services(folder, programs, secrets):
    """The three nodes, running."""
    free = Addresses()
    addresses = {name: free.take() for name in NODES}
    found = [service(name, addresses, folder, programs, secrets) for name in NODES]
    try:
        start(found)
        yield found
        assert [each.stop() for each in found] == [0, 0, 0]
    finally:
        for each in found:
            each.container.kill()


def start(services):
    for each in services:
        each.container.start()
    for each in services:
        eventually(each.is_healthy, START_SECONDS, each.container.tail)


def client_of(service, credentials):
    return client(f"http://{service.address}:{CLIENTS}", credentials)


def test_the_files_of_the_secrets_are_private(secrets):
    modes = {file.name: file.stat().st_mode & 0o7777 for file in secrets.iterdir()}
    assert modes == {"seal.key": 0o400, "join.secret": 0o400}
    assert len((secrets / "seal.key").read_bytes()) == 32
    assert len((secrets / "join.secret").read_bytes()) >= 32


def test_the_nodes_form_a_cluster_by_themselves_and_stay_one(services):
    first, *others = services
    eventually(
        lambda: [each.is_voter for each in members(first.container.run).values()] == [True] * 3,
        START_SECONDS,
        first.container.tail,
    )
    assert sorted(members(first.container.run)) == NODES
    credentials = create_account(first.container.run)
    blob = seal(client_of(first, credentials))
    assert all(opens(client_of(each, credentials), blob) for each in others)

    assert [each.stop() for each in services] == [0, 0, 0]
    start(services)
    assert all(opens(client_of(each, credentials), blob) for each in services)


def test_the_ports_that_are_published_can_be_reached_from_here_only():
    published = [COMPOSE["services"][name]["ports"] for name in NODES]
    assert published == [[f"127.0.0.1:{CLIENTS + 10 * n}:{CLIENTS}"] for n in range(len(NODES))]
