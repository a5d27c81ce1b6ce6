"""Clients that take their time."""

import contextlib
import time

import pytest

PAUSE_SECONDS = 0.25
PATIENCE_SECONDS = 30


def endure(connection, head, drip=b""):
    """Sends `head`, and `drip` again and again, until the server has had enough.

    Returns what the server said, and after how many seconds it hung up.
    """
    began, said = time.monotonic(), b""
    connection.settimeout(PAUSE_SECONDS)
    with contextlib.suppress(ConnectionError):
        connection.sendall(head)
        while time.monotonic() < began + PATIENCE_SECONDS:
            try:
                received = connection.recv(65536)
            except TimeoutError:
                connection.sendall(drip)
                continue
            if not received:
                break
            said += received
        else:
            pytest.fail(f"the connection is still open after {PATIENCE_SECONDS} s")
    return said, time.monotonic() - began


def is_about(seconds, limit):
    """Whether something happened at its time, on a machine that may be busy."""
    return limit - 0.5 < seconds < limit + 4
