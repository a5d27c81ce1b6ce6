"""One address in front of several, as a Service is: connections go to whoever serves."""

import contextlib
import random
import select
import socket
import socketserver
import threading
import time

CHUNK = 64 * 1024
CONNECT_SECONDS = 10


class Service:
    """Accepts connections and passes them on to a random one of `endpoints()`.

    Where there is none, or the chosen one refuses, another is chosen for a while: the client of a
    Service would be refused and do so itself, but this one is connected already. Connections that
    stand outlive their endpoint's leaving, as they do behind a Service.
    """

    def __init__(self, address, port, endpoints):
        self.endpoints = endpoints
        self._server = _Server((address, port), _Connection)
        self._server.service = self
        self.address, self.port = self._server.server_address

    def __enter__(self):
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,))
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False


class _Connection(socketserver.BaseRequestHandler):
    def handle(self):
        deadline = time.monotonic() + CONNECT_SECONDS
        while (other := self._connect()) is None and time.monotonic() < deadline:
            time.sleep(0.1)
        if other is not None:
            with other, contextlib.suppress(OSError):
                _pass_on(self.request, other)

    def _connect(self):
        endpoints = self.server.service.endpoints()
        try:
            return socket.create_connection(random.choice(endpoints)) if endpoints else None
        except OSError:
            return None


def _pass_on(one, other):
    """Copies both ways until both have said that they are done."""
    to = {one: other, other: one}
    speaking = [one, other]
    while speaking:
        for source in select.select(speaking, [], [])[0]:
            if chunk := source.recv(CHUNK):
                to[source].sendall(chunk)
            else:
                to[source].shutdown(socket.SHUT_WR)
                speaking.remove(source)
