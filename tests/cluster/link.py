"""A way between two regions that a test can cut, slow down and damage: TCP, one connection for each
that comes."""

import contextlib
import random
import socket
import threading
import time

CHUNK = 16 << 10


class Link:
    """Listens on a port of its own, and leads to `target`, "host:port".

    What it does to what it carries can be set at any time:

    - `is_cut`: connections end, and no new ones come about
    - `delay`: seconds that each piece takes
    - `damage`: the share of pieces of which one bit is another one
    - `double`, `swap`: the share of pieces that come twice, or after the next one
    """

    def __init__(self, target, seed=1):
        host, _, port = target.rpartition(":")
        self.target = (host, int(port))
        self.is_cut, self.delay, self.damage, self.double, self.swap = False, 0, 0, 0, 0
        self.carried = 0
        self._random = random.Random(seed)
        self._open, self._lock = set(), threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self):
        self.is_cut = True
        with self._lock:
            ends, self._open = self._open, set()
        for end in ends:
            end.close()

    def heal(self):
        """Carries everything as it is again."""
        self.is_cut, self.delay, self.damage, self.double, self.swap = False, 0, 0, 0, 0

    def close(self):
        self.cut()
        self._listener.close()

    def _accept(self):
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(caller,), daemon=True).start()

    def _carry(self, caller):
        if self.is_cut:
            return caller.close()
        try:
            callee = socket.create_connection(self.target, 5)
        except OSError:
            return caller.close()
        callee.settimeout(None)
        ends = [End(caller), End(callee)]
        with self._lock:
            self._open.update(ends)
        for one, other in (ends, ends[::-1]):
            threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    def _pump(self, source, sink):
        held = None
        with contextlib.suppress(OSError):
            while piece := source.socket.recv(CHUNK):
                if self.is_cut:
                    break
                time.sleep(self.delay)
                pieces = [self._damaged(piece)]
                if self._happens(self.double):
                    pieces *= 2
                if held is not None:
                    pieces, held = [*pieces, held], None
                elif self._happens(self.swap):
                    held = pieces.pop()
                for one in pieces:
                    sink.socket.sendall(one)
                    self.carried += len(one)
        for end in (source, sink):
            end.close()
        with self._lock:
            self._open -= {source, sink}

    def _happens(self, share):
        return share and self._random.random() < share

    def _damaged(self, piece):
        if not self._happens(self.damage):
            return piece
        piece = bytearray(piece)
        piece[self._random.randrange(len(piece))] ^= 1 << self._random.randrange(8)
        return bytes(piece)


class End:
    """One end of a connection, which can be closed by any thread."""

    def __init__(self, socket_):
        self.socket = socket_
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self):
        # A thread that waits for it is woken by this alone.
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


class Links:
    """A link to each node that is asked for."""

    def __init__(self):
        self.by_target = {}

    def __call__(self, node):
        """The address at which another region reaches a node: that of a link to it."""
        if node.regions not in self.by_target:
            self.by_target[node.regions] = Link(node.regions)
        return self.by_target[node.regions].address

    def to(self, cluster):
        """The links that lead to a cluster."""
        return [self.by_target[node.regions] for node in cluster.nodes]

    def all(self):
        return list(self.by_target.values())

    def cut(self):
        for link in self.all():
            link.cut()

    def heal(self):
        for link in self.all():
            link.heal()

    def set(self, **what):
        """Sets something of all links."""
        for link in self.all():
            for name, value in what.items():
                setattr(link, name, value)
