"""deploy/kubernetes, as `kubectl apply -k` would make it."""

import re
from dataclasses import dataclass, field

import yaml
from container import DEPLOY

FOLDER = DEPLOY / "kubernetes"


@dataclass
class Manifests:
    """The objects, and the files of the ConfigMaps."""

    objects: list = field(default_factory=list)
    config_maps: dict = field(default_factory=dict)

    @classmethod
    def read(cls):
        kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
        found = cls()
        for name in kustomization["resources"]:
            found.objects += yaml.safe_load_all((FOLDER / name).read_text())
        for generator in kustomization["configMapGenerator"]:
            files = {name: (FOLDER / name).read_text() for name in generator["files"]}
            found.config_maps[generator["name"]] = files
        return found

    def one(self, kind, name):
        """The object of this kind and name."""
        [found] = [
            each
            for each in self.objects
            if (each["kind"], each["metadata"]["name"]) == (kind, name)
        ]
        return found


def container_of(pod_spec, name="keystead"):
    """A container of a pod, by its name."""
    [found] = [each for each in pod_spec["containers"] if each["name"] == name]
    return found


def port_of(container, port):
    """The number of a port that is given by number or by name."""
    if isinstance(port, int):
        return port
    [found] = [each for each in container["ports"] if each["name"] == port]
    return found["containerPort"]


def environment_of(container, fields):
    """The variables of a container; `fields` are those of its pod that they may refer to."""
    values = {}
    for variable in container.get("env", []):
        if "valueFrom" in variable:
            value = fields[variable["valueFrom"]["fieldRef"]["fieldPath"]]
        else:
            # A reference to what is not there stays as it is.
            value = re.sub(
                r"\$\(([\w.-]+)\)",
                lambda match: values.get(match[1], match[0]),
                variable["value"],
            )
        values[variable["name"]] = value
    return values
