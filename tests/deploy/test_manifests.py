"""What deploy/kubernetes promises and three local processes cannot show."""

import shutil
import subprocess
import tomllib

import kubernetes_validate
import pytest
import yaml
from manifests import FOLDER, Manifests, container_of, port_of

KUBERNETES = "1.37"
MANIFESTS = Manifests.read()
POD = MANIFESTS.one("StatefulSet", "keystead")["spec"]["template"]
SERVER = container_of(POD["spec"])
CONTAINERS = [*POD["spec"]["initContainers"], *POD["spec"]["containers"]]
CONFIGURATION = tomllib.loads(MANIFESTS.config_maps["keystead"]["keystead.toml"])


@pytest.mark.parametrize("manifest", MANIFESTS.objects, ids=lambda each: each["kind"])
def test_kubernetes_would_take_it(manifest):
    kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


@pytest.mark.skipif(not shutil.which("kubectl"), reason="there is no kubectl")
def test_kustomize_makes_the_same_of_it():
    built = subprocess.run(["kubectl", "kustomize", FOLDER], check=True, capture_output=True)
    objects = list(yaml.safe_load_all(built.stdout))
    kinds = sorted(each["kind"] for each in objects)
    assert kinds == sorted(["ConfigMap", *(each["kind"] for each in MANIFESTS.objects)])
    [config_map] = [each for each in objects if each["kind"] == "ConfigMap"]
    assert config_map["data"] == MANIFESTS.config_maps["keystead"]
    # The pods mount that one, by the name that changes with its content.
    [stateful_set] = [each for each in objects if each["kind"] == "StatefulSet"]
    assert config_map["metadata"]["name"] in yaml.safe_dump(stateful_set)


class TestConfinement:
    """The namespace enforces the Pod Security Standard "restricted"."""

    @pytest.mark.parametrize("container", CONTAINERS, ids=lambda each: each["name"])
    def test_a_container_may_do_nothing(self, container):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }

    def test_nobody_is_root(self):
        context = POD["spec"]["securityContext"]
        assert context["runAsNonRoot"] and context["runAsUser"] > 0
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}

    def test_the_server_does_not_mount_the_secrets_themselves(self):
        assert "secrets" not in {mount["name"] for mount in SERVER["volumeMounts"]}


class TestServices:
    @pytest.mark.parametrize("name", ["keystead", "keystead-peers"])
    def test_they_select_the_pods_and_their_ports(self, name):
        service = MANIFESTS.one("Service", name)["spec"]
        assert service["selector"].items() <= POD["metadata"]["labels"].items()
        for port in service["ports"]:
            assert port_of(SERVER, port["targetPort"]) == port["port"]

    def test_members_are_found_before_they_are_ready(self):
        peers = MANIFESTS.one("Service", "keystead-peers")["spec"]
        assert peers["clusterIP"] == "None"
        assert peers["publishNotReadyAddresses"] is True
        assert MANIFESTS.one("StatefulSet", "keystead")["spec"]["serviceName"] == "keystead-peers"

    def test_only_one_may_be_evicted(self):
        budget = MANIFESTS.one("PodDisruptionBudget", "keystead")["spec"]
        assert budget["maxUnavailable"] == 1
        assert budget["selector"]["matchLabels"] == POD["metadata"]["labels"]


class TestConfiguration:
    @pytest.mark.parametrize("name", ["clients", "peers", "operations"])
    def test_a_port_is_reached_from_outside(self, name):
        assert CONFIGURATION["listen"][name] == f"0.0.0.0:{port_of(SERVER, name)}"

    def test_there_are_as_many_pods_as_it_expects(self):
        replicas = MANIFESTS.one("StatefulSet", "keystead")["spec"]["replicas"]
        assert CONFIGURATION["cluster"]["expect"] == replicas
        assert len(CONFIGURATION["cluster"]["seeds"]) == replicas

    def test_the_audit_trail_has_a_volume_of_its_own(self):
        templates = MANIFESTS.one("StatefulSet", "keystead")["spec"]["volumeClaimTemplates"]
        claims = {each["metadata"]["name"] for each in templates}
        at = {mount["mountPath"]: mount["name"] for mount in SERVER["volumeMounts"]}
        data = at[CONFIGURATION["data_dir"]]
        audit = at[CONFIGURATION["audit"]["path"].rpartition("/")[0]]
        assert {data, audit} == claims and data != audit

    def test_a_pod_has_time_to_end_well(self):
        grace = POD["spec"]["terminationGracePeriodSeconds"]
        assert grace > 15 + int(CONFIGURATION["shutdown_grace"].removesuffix("s"))
