"""deploy/kubernetes with three pods: first start, update, losses. See container.py for how."""

import shutil
import time
from dataclasses import dataclass

import pytest
import trustme
from kubelet import StatefulSet
from load import Load
from node import eventually
from region import client, create_account, join_secret, members, opens, seal, seal_key
from service import Service

PATIENCE_SECONDS = 60
# Longer than the time from one liveness probe to the next.
NO_QUORUM_SECONDS = 12
CLIENTS = "clients"


@dataclass
class Deployment:
    """The pods, the address of the Service in front of them, and who may call them."""

    pods: StatefulSet
    authority: str
    credentials: tuple = None
    address: str = ""

    def run_in(self, name):
        return self.pods.pods[name].run

    def members(self, name=None):
        """The members, as the pod of this name sees them."""
        return members(self.run_in(name or self.pods.names[0]))

    def leader(self):
        """The name of the pod that leads."""
        found = []

        def is_led():
            found[:] = [each.name for each in self.members().values() if each.role == "leader"]
            return len(found) == 1

        eventually(is_led, PATIENCE_SECONDS, lambda: f"leaders: {found}")
        return found[0]

    def follower(self):
        """The name of a pod that follows."""
        leader = self.leader()
        return next(name for name in self.pods.names if name != leader)

    def client_of(self, name):
        """A client that calls this pod and does not retry."""
        pod = self.pods.pods[name]
        endpoint = f"https://{pod.address}:{pod.port(CLIENTS)}"
        retries = {"total_max_attempts": 1}
        return client(endpoint, self.credentials, self.authority, retries=retries)

    def client(self):
        """A client that calls the Service, with boto3's default retries."""
        return client(self.endpoint, self.credentials, self.authority)

    @property
    def endpoint(self):
        [port] = self.pods.manifests.one("Service", "keystead")["spec"]["ports"]
        return f"https://{self.address}:{port['port']}"

    def await_voters(self):
        """Waits until all pods, and nobody else, are voters."""
        seen = {}

        def are_voters():
            seen.clear()
            seen.update(self.members())
            return set(seen) == set(self.pods.names) and all(
                member.is_voter for member in seen.values()
            )

        eventually(are_voters, PATIENCE_SECONDS, lambda: f"members: {seen}")
        return seen


def tls_secret(names, folder):
    """A certificate for these names, as in a Secret, and the file of who signed it."""
    authority = trustme.CA()
    issued = authority.issue_cert(*names)
    bundle = folder / "ca.pem"
    authority.cert_pem.write_to_path(bundle)
    chain = b"".join(part.bytes() for part in issued.cert_chain_pems)
    return {"tls.crt": chain, "tls.key": issued.private_key_pem.bytes()}, str(bundle)


@pytest.fixture(scope="module")
def secrets():
    """What people make before the first start."""
    return {
        "keystead-seal": {"seal.key": seal_key()},
        "keystead-join": {"join.secret": join_secret()},
    }


@pytest.fixture(scope="module")
def deployment(folder, programs, secrets):
    """Three pods behind a Service, started for the first time, and an account."""
    pods = StatefulSet(folder, programs, secrets)
    address = pods.addresses.take()
    names = [address, *pods.address_of.values()]
    secrets["keystead-tls"], authority = tls_secret(names, folder)
    [port] = pods.manifests.one("Service", "keystead")["spec"]["ports"]
    try:
        pods.start()
        deployment = Deployment(pods, authority, address=address)
        deployment.credentials = create_account(deployment.run_in(pods.names[0]))
        with Service(address, port["port"], lambda: pods.endpoints(port["targetPort"])):
            yield deployment
        assert set(pods.delete().values()) == {(0, 0)}
    finally:
        for pod in pods.pods.values():
            pod.vanish()


class TestFirstStart:
    def test_the_pods_form_a_cluster_by_themselves(self, deployment):
        deployment.await_voters()
        assert [pod.restarts for pod in deployment.pods.pods.values()] == [0, 0, 0]

    def test_all_pods_tell_the_same(self, deployment):
        seen = [deployment.members(name) for name in deployment.pods.names]
        ids = [{name: member.node_id for name, member in each.items()} for each in seen]
        assert ids[0] == ids[1] == ids[2]

    def test_the_configuration_is_fine(self, deployment):
        done = deployment.run_in("keystead-0")("keystead", "config", "check")
        assert done.returncode == 0, done.stderr

    def test_what_one_pod_encrypts_every_pod_decrypts(self, deployment):
        for name in deployment.pods.names:
            blob = seal(deployment.client_of(name))
            for other in deployment.pods.names:
                assert opens(deployment.client_of(other), blob)

    def test_the_seal_key_is_the_servers_alone(self, deployment):
        pod = deployment.pods.pods["keystead-0"]
        for name in ("seal.key", "join.secret"):
            mode = pod.run("stat", "--format=%a", f"/run/keystead/{name}")
            assert mode.stdout.strip() == "400"

    def test_the_audit_trail_is_on_its_own_volume(self, deployment):
        seal(deployment.client_of("keystead-1"))
        trail = deployment.pods.claims("keystead-1")["audit"] / "audit.json"
        assert '"CreateKey"' in trail.read_text()


class TestStopping:
    def test_the_hook_takes_leadership_from_the_leader(self, deployment):
        leader = deployment.leader()
        assert deployment.pods.pods[leader].pre_stop().returncode == 0
        eventually(
            lambda: deployment.leader() != leader,
            PATIENCE_SECONDS,
            lambda: f"{leader} leads after its hook has run",
        )

    def test_the_hook_has_nothing_to_do_on_a_follower(self, deployment):
        leader, follower = deployment.leader(), deployment.follower()
        assert deployment.pods.pods[follower].pre_stop().returncode == 0
        assert deployment.leader() == leader

    def test_a_rolling_update_fails_no_call(self, deployment):
        before, order = deployment.await_voters(), []
        with Load(deployment.client).running() as load:
            for name, hook, status in deployment.pods.roll():
                assert (hook, status) == (0, 0), deployment.pods.pods[name].container.tail()
                order.append(name)
                # Two are left, and serve.
                load.advance()
        assert order == ["keystead-2", "keystead-1", "keystead-0"]
        after = deployment.await_voters()
        assert {each.node_id for each in before.values()} == {
            each.node_id for each in after.values()
        }


class TestLosses:
    def test_a_killed_pod_comes_back(self, deployment):
        name = deployment.leader()
        pod, node_id = deployment.pods.pods[name], deployment.members()[name].node_id
        blob = seal(deployment.client_of(name))
        restarts = pod.restarts
        pod.container.kill()
        # A client of the others has to be patient for as long as an election takes.
        assert opens(deployment.client(), blob)
        eventually(lambda: pod.restarts == restarts + 1, PATIENCE_SECONDS, lambda: "no restart")
        deployment.pods.await_ready()
        assert opens(deployment.client_of(name), blob)
        assert deployment.await_voters()[name].node_id == node_id

    @pytest.mark.parametrize("who", ["leader", "follower"])
    def test_a_lost_volume_comes_back_as_a_new_member(self, deployment, who):
        name = deployment.leader() if who == "leader" else deployment.follower()
        before = deployment.members()
        blobs = [seal(deployment.client_of(each)) for each in deployment.pods.names]

        deployment.pods.pods[name].vanish()
        shutil.rmtree(deployment.pods.claims(name)["data"])
        blobs.append(seal(deployment.client()))
        deployment.pods.create(name)
        deployment.pods.await_ready()

        after = deployment.await_voters()
        assert after[name].node_id not in {each.node_id for each in before.values()}
        assert all(opens(deployment.client_of(name), blob) for blob in blobs)
        assert opens(deployment.client_of(name), seal(deployment.client_of(name)))

    def test_a_pod_without_a_quorum_lives_on(self, deployment):
        """Its probes take it out of service and let it be; it serves as soon as there is one."""
        blob = seal(deployment.client())
        left, *lost = deployment.pods.names
        pod = deployment.pods.pods[left]
        restarts = pod.restarts
        for name in lost:
            deployment.pods.pods[name].vanish()
        time.sleep(NO_QUORUM_SECONDS)
        assert not pod.is_ready
        assert pod.liveness.failures == 0 and pod.restarts == restarts
        for name in lost:
            deployment.pods.create(name)
        deployment.pods.await_ready()
        assert pod.restarts == restarts
        assert all(opens(deployment.client_of(name), blob) for name in deployment.pods.names)
