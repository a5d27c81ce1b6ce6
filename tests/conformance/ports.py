"""Ports for listeners whose addresses others must know before they listen."""

import fcntl
import functools
import os
import pathlib
import random
import socket
import tempfile

# Below the ports that connections get, and apart from those of `crates/testkit/src/node.rs`.
PORTS = range(20000, 32000)
STEP = 10
taken = set()


def take(count):
    """So many ports in a row that nobody listens on. They are this process's until it ends:
    neither it nor another one of the same user gets them here once more."""
    firsts = range(PORTS.start, PORTS.stop - count, STEP)
    for first in random.sample(firsts, len(firsts)):
        ports = range(first, first + count)
        if taken.isdisjoint(ports) and is_claimed(ports) and all(map(is_free, ports)):
            taken.update(ports)
            return ports
    raise RuntimeError(f"no {count} ports in a row are free")


@functools.cache
def claims():
    """The file in which a process locks the bytes at the numbers of its ports."""
    return (pathlib.Path(tempfile.gettempdir()) / f"keystead-ports-{os.getuid()}").open("a")


def is_claimed(ports):
    """Whether they are now this process's."""
    try:
        fcntl.lockf(claims(), fcntl.LOCK_EX | fcntl.LOCK_NB, len(ports), ports[0])
    except OSError:
        return False
    return True


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
