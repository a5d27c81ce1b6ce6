"""Plays the kubelet and the StatefulSet's controller: pods are processes of this machine."""

import concurrent.futures
import threading
import time

import urllib3
from container import Addresses, Container, Translation, own_addresses
from manifests import Manifests, container_of, environment_of, port_of
from node import eventually
from volumes import Volumes

TICK_SECONDS = 0.05
READY_SECONDS = 90
# How long the Services take to hear that a pod came or went.
ENDPOINT_LAG_SECONDS = 1
# Of Kubernetes, for what a probe does not say.
PROBE_DEFAULTS = {"periodSeconds": 10, "timeoutSeconds": 1, "failureThreshold": 3}


class Probe:
    """One HTTP probe of a container."""

    def __init__(self, spec, address, container, result):
        self.spec = PROBE_DEFAULTS | spec
        get = spec["httpGet"]
        self.url = f"http://{address}:{port_of(container, get['port'])}{get['path']}"
        # What is taken to be true as long as nothing else is known.
        self.result = result
        self.failures = 0
        self.due = 0

    def poll(self):
        """Asks, when it is time to, and returns what is true now."""
        if time.monotonic() >= self.due:
            self.due = time.monotonic() + self.spec["periodSeconds"]
            self.failures = 0 if self._passes() else self.failures + 1
            if self.failures == 0:
                self.result = True
            elif self.failures >= self.spec["failureThreshold"]:
                self.result = False
        return self.result

    @property
    def has_given_up(self):
        return self.failures >= self.spec["failureThreshold"]

    def _passes(self):
        timeout = self.spec["timeoutSeconds"]
        try:
            reply = urllib3.request("GET", self.url, timeout=timeout, retries=False)
        except urllib3.exceptions.HTTPError:
            return False
        return 200 <= reply.status < 400


class Delayed:
    """A truth value of which others hear a while later."""

    def __init__(self):
        self.changes = [(0, False)]

    def set(self, value):
        if self.changes[-1][1] != value:
            self.changes.append((time.monotonic(), value))

    @property
    def heard(self):
        then = time.monotonic() - ENDPOINT_LAG_SECONDS
        return next(value for at, value in reversed(self.changes) if at <= then)


class Pod:
    """One pod of the StatefulSet, from when it is created until it is gone."""

    def __init__(self, name, address, spec, volumes, translate, programs, log):
        self.name, self.address, self.spec = name, address, spec
        self.volumes, self.translate = volumes, translate
        self.main = container_of(spec)
        self.programs, self.log = programs, log
        self.container = self._container(self.main)
        self.is_ready = False
        self.in_service = Delayed()
        # How often the container ended by itself or was ended by its probes.
        self.restarts = 0
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch)

    def create(self):
        """Makes its volumes, runs its init containers and starts its container."""
        self.volumes.make(self.translate)
        for spec in self.spec.get("initContainers", []):
            done = self._container(spec).run(*spec["command"])
            assert done.returncode == 0, f"{self.name}, {spec['name']}: {done.stderr}"
        self._start()
        self._watcher.start()

    def delete(self):
        """Ends it the way `kubectl delete pod` does; returns the exit status of its hook and of
        its container."""
        self._leave_service()
        began = time.monotonic()
        hook = self.pre_stop()
        grace = self.spec["terminationGracePeriodSeconds"] - (time.monotonic() - began)
        status = self.container.terminate(grace)
        self.volumes.remove()
        return hook.returncode, status

    def vanish(self):
        """Ends it the way a machine that loses power does."""
        self._leave_service()
        self.container.kill()
        self.volumes.remove()

    def pre_stop(self):
        """Runs its preStop hook."""
        command = self.main["lifecycle"]["preStop"]["exec"]["command"]
        return self.run(*command, timeout=self.spec["terminationGracePeriodSeconds"])

    def run(self, *command, **more):
        """What `kubectl exec` does."""
        return self.container.run(*command, **more)

    def port(self, name):
        return port_of(self.main, name)

    def _container(self, spec):
        paths = self.volumes.paths(spec)
        return Container(
            name=self.name,
            command=["keystead", *spec.get("args", [])],
            environment=environment_of(spec, {"metadata.name": self.name}),
            translate=Translation(self.translate.replacements | paths),
            programs=self.programs,
            log=self.log,
            workdir=spec.get("workingDir", "/"),
        )

    def _start(self):
        def probe(name, result):
            return Probe(self.main[name], self.address, self.main, result)

        self.startup = probe("startupProbe", False)
        self.liveness = probe("livenessProbe", True)
        self.readiness = probe("readinessProbe", False)
        self.container.start()

    def _leave_service(self):
        self._over.set()
        if self._watcher.is_alive():
            self._watcher.join()
        self._become_ready(False)

    def _become_ready(self, ready):
        self.is_ready = ready
        self.in_service.set(ready)

    def _watch(self):
        """Probes the container and starts it again when it has ended: restartPolicy Always."""
        while not self._over.wait(TICK_SECONDS):
            if not self.container.is_running:
                self._become_ready(False)
                self.restarts += 1
                self._start()
            elif not self.startup.result:
                if not self.startup.poll() and self.startup.has_given_up:
                    self.container.kill()
            else:
                self._become_ready(self.readiness.poll())
                if not self.liveness.poll():
                    self.container.kill()


class StatefulSet:
    """The pods of deploy/kubernetes, by name, and the volumes that outlive them."""

    def __init__(self, folder, programs, secrets):
        self.folder, self.programs, self.secrets = folder, programs, secrets
        self.manifests = Manifests.read()
        self.object = self.manifests.one("StatefulSet", "keystead")
        self.spec = self.object["spec"]
        self.addresses = Addresses()
        base = self.object["metadata"]["name"]
        self.names = [f"{base}-{ordinal}" for ordinal in range(self.spec["replicas"])]
        self.address_of = {name: self.addresses.take() for name in self.names}
        self.pods = {}

    def start(self):
        """Creates all pods: together, or each when the one before is ready."""
        for name in self.names:
            self.create(name)
            if self.spec["podManagementPolicy"] != "Parallel":
                self.await_ready([name])
        self.await_ready()

    def create(self, name):
        """Creates a pod, also one that was there before."""
        self.pods[name] = self._pod(name)
        self.pods[name].create()
        return self.pods[name]

    def roll(self):
        """A rolling update; yields each pod's name and exit statuses while it is away."""
        for name in reversed(self.names):
            yield name, *self.pods[name].delete()
            self.create(name)
            self.await_ready([name])
            time.sleep(self.spec["minReadySeconds"])

    def delete(self):
        """Deletes all pods, together; returns each one's exit statuses."""
        with concurrent.futures.ThreadPoolExecutor() as pool:
            ended = pool.map(Pod.delete, self.pods.values())
            return dict(zip(self.pods, ended, strict=True))

    def await_ready(self, names=None):
        """Waits until these pods are ready; all, unless said otherwise."""
        pods = [self.pods[name] for name in names or self.names]

        def unready():
            tails = [f"{pod.name}:\n{pod.container.tail()}" for pod in pods if not pod.is_ready]
            return "not ready: " + "\n".join(tails)

        eventually(lambda: all(pod.is_ready for pod in pods), READY_SECONDS, unready)

    def claims(self, name):
        """The volumes of a pod that outlive it: its claims', by the name of their template."""
        templates = [each["metadata"]["name"] for each in self.spec["volumeClaimTemplates"]]
        return {template: self.folder / f"{template}-{name}" for template in templates}

    def endpoints(self, port):
        """Where a Service sends its connections, by the name of its target port."""
        pods = [pod for pod in self.pods.values() if pod.in_service.heard]
        return [(pod.address, pod.port(port)) for pod in pods]

    def _pod(self, name):
        spec = self.spec["template"]["spec"]
        peers = {f"{each}.{self.spec['serviceName']}": at for each, at in self.address_of.items()}
        address = self.address_of[name]
        volumes = Volumes(
            spec=spec,
            folder=self.folder / name,
            claims=self.claims(name),
            secrets=self.secrets,
            config_maps=self.manifests.config_maps,
        )
        paths = volumes.paths(container_of(spec))
        translate = Translation(own_addresses(address) | peers | paths)
        log = self.folder / f"{name}.log"
        return Pod(name, address, spec, volumes, translate, self.programs, log)
