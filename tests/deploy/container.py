"""A container as a process of this machine.

What is put in the place of what, all of it:
- a mounted path: a folder of the test's;
- 0.0.0.0 and 127.0.0.1, which are a container's own: an address of its own in 127.0.0.0/8;
- the names by which containers find each other: those addresses;
- the image: the program under test by the name `keystead`, and this machine's tools.
The user is the test's, and nothing is confined.
"""

import itertools
import os
import pathlib
import random
import re
import signal
import subprocess
from dataclasses import dataclass, field

from node import ROOT, binary

EXEC_SECONDS = 60
DEPLOY = ROOT / "deploy"


class Addresses:
    """Addresses of this machine that nobody else uses, it is to be hoped."""

    def __init__(self):
        block = f"127.{random.randrange(16, 255)}.{random.randrange(256)}"
        self._free = (f"{block}.{last}" for last in itertools.count(10))

    def take(self):
        return next(self._free)


class Translation:
    """Puts what is here in the place of what is a container's, wherever a text names it."""

    def __init__(self, replacements):
        self.replacements = {str(old): str(new) for old, new in replacements.items()}
        # The longest first: /etc/keystead is the beginning of /etc/keystead/tls.
        longest_first = sorted(self.replacements, key=len, reverse=True)
        self.pattern = re.compile("|".join(map(re.escape, longest_first)))

    def __call__(self, text):
        return self.pattern.sub(lambda match: self.replacements[match[0]], text)


def own_addresses(address):
    """What a container calls its own addresses."""
    return {"0.0.0.0": address, "127.0.0.1": address}


def image(folder):
    """Makes the folder of programs that an image has besides the system's."""
    folder.mkdir()
    (folder / "keystead").symlink_to(binary())
    return folder


@dataclass
class Container:
    """A command with an environment, whose texts are still those of the container."""

    name: str
    command: list
    environment: dict
    translate: Translation
    programs: pathlib.Path
    log: pathlib.Path
    workdir: str = "/"
    process: subprocess.Popen = field(default=None, init=False)

    def start(self):
        """Starts its command, once more if it ran before."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self._here(self.command), stdout=log, stderr=log, **self._surroundings()
            )

    def run(self, *command, timeout=EXEC_SECONDS):
        """Another command in it, run to its end, as by `kubectl exec`."""
        return subprocess.run(
            self._here(command),
            capture_output=True,
            text=True,
            timeout=timeout,
            **self._surroundings(),
        )

    @property
    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def terminate(self, within):
        """Asks it to end and returns its exit status; it must not take longer than `within`."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} had to be killed:\n{self.tail()}") from None

    def kill(self):
        if self.is_running:
            self.process.kill()
            self.process.wait()

    def tail(self, lines=30):
        """The end of what it printed."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _here(self, command):
        return [self.translate(text) for text in command]

    def _surroundings(self):
        values = {name: self.translate(value) for name, value in self.environment.items()}
        path = os.pathsep.join([str(self.programs), "/usr/local/bin", "/usr/bin", "/bin"])
        return {"env": {"PATH": path} | values, "cwd": self.translate(self.workdir)}
