"""The volumes of a pod, as folders."""

import shutil
from dataclasses import dataclass

# What fsGroup adds to the mode of files in volumes that can only be read.
READ_BY_GROUP = 0o440


@dataclass
class Volumes:
    """What stands for the volumes of one pod.

    `claims` keeps what outlives the pod, `folder` the rest. `secrets` and `config_maps` are the
    objects by name: texts or bytes by file.
    """

    spec: dict
    folder: object
    claims: dict
    secrets: dict
    config_maps: dict

    def paths(self, container):
        """The folder for each path at which a container mounts something."""
        mounts = container["volumeMounts"]
        return {mount["mountPath"]: self._path(mount["name"]) for mount in mounts}

    def make(self, translate):
        """Fills them for a new pod; texts of a ConfigMap are translated."""
        for path in self.claims.values():
            path.mkdir(exist_ok=True)
        for volume in self.spec["volumes"]:
            path = self._path(volume["name"])
            path.mkdir(parents=True)
            if "projected" in volume:
                self._project(volume["projected"], path, translate)
            else:
                assert "emptyDir" in volume, f"nothing stands for the volume {volume}"

    def remove(self):
        """Removes all that a pod leaves no trace of."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, name):
        return self.claims.get(name, self.folder / name)

    def _project(self, projected, path, translate):
        mode = projected["defaultMode"]
        if "fsGroup" in self.spec["securityContext"]:
            mode |= READ_BY_GROUP
        for source in projected["sources"]:
            for name, content in self._files(source, translate):
                file = path / name
                file.parent.mkdir(exist_ok=True)
                file.write_bytes(content)
                file.chmod(mode)

    def _files(self, source, translate):
        if "secret" in source:
            source = source["secret"]
            content = self.secrets[source["name"]]
        else:
            source = source["configMap"]
            texts = self.config_maps[source["name"]]
            content = {name: translate(text).encode() for name, text in texts.items()}
        items = source.get("items", [{"key": key, "path": key} for key in content])
        return [(item["path"], content[item["key"]]) for item in items]
