"""Three nodes of one region, each a `keystead server` in a process of its own."""

import contextlib
import json
import pathlib
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time

import grpc
import ports
import urllib3
from certificates import Authority
from node import ACCOUNT, ENDPOINTS, EXPORT, OTHER_ACCOUNT, REGION, Server, eventually

NODES = 3
ACCOUNTS = (ACCOUNT, OTHER_ACCOUNT)
# One that an authority speaks for, and that was never created.
ABSENT_ACCOUNT = "999999999999"
SPOKEN_FOR = (*ACCOUNTS, ABSENT_ACCOUNT)
# The listeners that have their addresses in one section.
LISTEN = ("clients", "peers", "operations", "regions")
PROBE_SECONDS = 5
SETTLE_SECONDS = 60
STOP_SECONDS = 30
# How much of a node's log a failure shows.
LAST_LINES = 40
GONE = (urllib3.exceptions.HTTPError, OSError)


class Member(Server):
    """One node of a cluster."""

    def __init__(self, cluster, number, settings=None):
        self.cluster, self.number = cluster, number
        self.name = f"node-{number}"
        self.ports = dict(zip((*LISTEN, "operators"), ports.take(len(LISTEN) + 1), strict=True))
        self.operations = f"http://127.0.0.1:{self.ports['operations']}"
        self.own = settings or {}
        self.process = None
        environment = dict(cluster.environment)
        super().__init__(cluster.folder / self.name, environment=environment)
        self.exports |= dict.fromkeys(ENDPOINTS, f"https://localhost:{self.ports['clients']}")
        self.exports |= dict.fromkeys(("AWS_REGION", "AWS_DEFAULT_REGION"), cluster.region)
        self.exports |= {"AWS_CA_BUNDLE": self.authority, "NODE_EXTRA_CA_CERTS": self.authority}

    @property
    def authority(self):
        return str(self.cluster.bundle)

    @property
    def peers(self):
        """Where other members reach it."""
        return f"127.0.0.1:{self.ports['peers']}"

    @property
    def regions(self):
        """Where other regions reach it."""
        return f"127.0.0.1:{self.ports['regions']}"

    @property
    def data(self):
        return self.folder / "data"

    def configure(self):
        listen = {name: f"127.0.0.1:{self.ports[name]}" for name in LISTEN}
        sections = self.cluster.sections | {"listen": listen}
        sections["admin"] = sections["admin"] | {"listen": f"127.0.0.1:{self.ports['operators']}"}
        sections[""] = sections[""] | {"name": self.name}
        for name, section in [*self.cluster.settings.items(), *self.own.items()]:
            sections[name] = sections.get(name, {}) | section
        self.settings = sections
        return super().configure()

    def credentials(self, account):
        return self.cluster.accounts[account]

    def channel_credentials(self, account=ACCOUNT):
        return self.cluster.channel_credentials(account)

    def new_account(self):
        """Creates an account, and returns its number."""
        account = f"{random.randrange(10**11, 10**12)}"
        self.cluster.accounts[account] = create_account(self, account)
        return account

    def newcomer(self):
        """A boto3 client of an account that owns nothing yet."""
        return self.client(account=self.new_account())

    @contextlib.contextmanager
    def channel(self, account=ACCOUNT):
        """A gRPC channel on which the root of an account calls."""
        target = f"localhost:{self.ports['clients']}"
        with grpc.secure_channel(target, self.channel_credentials(account)) as channel:
            yield channel

    @property
    def is_running(self):
        return self.process is not None and self.process.poll() is None

    @property
    def is_ready(self):
        return self.get("readyz") == 200

    def get(self, page):
        """The status of a page of its operations port; None while nobody answers."""
        try:
            answer = self._page(page)
        except GONE:
            return None
        return answer.status

    def _serves(self):
        return self.is_ready

    def metric(self, name):
        """The value of a metric without labels; 0 for one that nothing was recorded for."""
        lines = self._page("metrics").data.decode().splitlines()
        values = (line.rpartition(" ") for line in lines if line and not line.startswith("#"))
        return next((float(value) for found, _, value in values if found == name), 0)

    def _page(self, page):
        url = f"{self.operations}/{page}"
        return urllib3.request("GET", url, retries=False, timeout=PROBE_SECONDS)

    def output(self):
        """The log and the audit trail of the process: all that it wrote."""
        trail = self.folder / "audit.json"
        return super().output() + (trail.read_text() if trail.exists() else "")

    def last_words(self):
        """How its process ended, if it did, and the end of its log, for the text of a failure."""
        if self.process is None:
            return f"{self.name}: never started"
        lines = super().output().splitlines()[-LAST_LINES:]
        return "\n".join([f"{self.name}: exit status {self.process.poll()}", *lines])

    def done(self, *arguments):
        """What a subcommand prints that must end well."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def status(self):
        """What it says of itself."""
        [region] = json.loads(self.done("status", "--output", "json"))["Regions"]
        return region

    def members(self):
        """What it says of the members, by node id."""
        status = json.loads(self.done("cluster", "status", "--output", "json"))
        return {each["NodeId"]: each for each in status["Members"]}

    @property
    def leads(self):
        return self.status()["Role"] == "leader"

    @property
    def node_id(self):
        return self.status()["NodeId"]

    def kill(self):
        """Ends the process as a power cut does."""
        self.process.kill()
        self.process.wait()

    def ended_ill(self, was_told):
        """Whether its process, which `was_told` to end or was not, did so in a way it should not.
        One that was killed here has no say in it."""
        well = {0} if was_told else {0, -signal.SIGKILL}
        return self.process is not None and self.process.returncode not in well

    def heeds_sigterm(self):
        """Whether its process catches the signal, or has already ended."""
        if not self.is_running:
            return True
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        caught = int(re.search(r"^SigCgt:\s+(\w+)", status, re.MULTILINE)[1], 16)
        return bool(caught >> (signal.SIGTERM - 1) & 1)

    def pause(self):
        """Stops the process where it is; it does nothing any more when this returns."""
        self.process.send_signal(signal.SIGSTOP)
        tasks = pathlib.Path(f"/proc/{self.process.pid}/task")
        eventually(lambda: all(map(is_stopped, tasks.iterdir())), PROBE_SECONDS, self.output)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def restart(self):
        """Ends the process the polite way and starts it again; returns when it serves."""
        assert self.stop() == 0, self.output()
        return self.start()

    def empty(self):
        """Removes what it stored, as a new disk does."""
        shutil.rmtree(self.data)


class Cluster:
    """The members, and what they have in common.

    `settings` are sections of the configuration of every node, `environment` variables of every
    process.
    """

    def __init__(self, folder, settings=None, environment=None, region=REGION, size=NODES):
        self.folder, self.region = folder, region
        self.settings, self.environment = settings or {}, environment or {}
        self.accounts, self.callers = {}, {}
        self._make_certificates()
        self.nodes = []
        for number in range(1, size + 1):
            self.add(number)

    def _make_certificates(self):
        self.authority = Authority("clients see its servers")
        self.bundle = self.folder / "ca.pem"
        self.bundle.write_bytes(self.authority.pem)
        server = self.authority.issue(dns=["localhost"], addresses=["127.0.0.1"])
        self.tls = server.write(self.folder / "tls.crt", self.folder / "tls.key")
        # One authority of callers for each account.
        self.client_authorities = {account: Authority(f"of {account}") for account in SPOKEN_FOR}
        for account, authority in self.client_authorities.items():
            self.client_file(account).write_bytes(authority.pem)
        self.operators = Authority("operators")
        self.operators_file.write_bytes(self.operators.pem)

    def client_file(self, account):
        return self.folder / f"callers-{account}.pem"

    @property
    def operators_file(self):
        return self.folder / "operators.pem"

    @property
    def sections(self):
        """What the configurations of all nodes have in common."""
        certificate, key = self.tls
        return {
            "": {"region": self.region},
            "cluster": {
                "seeds": [node.peers for node in self.nodes],
                "join_secret": str(self.folder / "join.secret"),
            },
            "seal": {"path": str(self.folder / "seal.key")},
            "tls": {"certificate": certificate, "key": key},
            "admin": {"client_ca": str(self.operators_file)},
            "client_ca": [
                {"file": str(self.client_file(account)), "accounts": [account]}
                for account in SPOKEN_FOR
            ],
        }

    def add(self, number, settings=None):
        """One node more, not started. `settings` are sections of its own."""
        node = Member(self, number, settings)
        self.nodes.append(node)
        return node

    def form(self):
        """Makes the cluster of the first node; the others join it."""
        for node in self.nodes:
            node.configure()
        first, *others = self.nodes
        first.initialise()
        self.accounts[ACCOUNT] = key, secret = access_key(first.exports)
        for node in others:
            node.exports |= {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}
        first.start()
        self.accounts[OTHER_ACCOUNT] = create_account(first, OTHER_ACCOUNT)
        for node in others:
            node.launch()
        return self.settle()

    def settle(self):
        """Waits until all nodes that run serve, and agree on a leader that is one of them."""
        for node in self.running:
            node.await_serving()
        eventually(lambda: self.leader is not None, SETTLE_SECONDS, self.describe)
        return self

    def start(self):
        """Starts all nodes that do not run, together."""
        for node in self.nodes:
            if not node.is_running:
                node.launch()
        return self.settle()

    def stop(self):
        """Ends all nodes the polite way; every one of them must end well, and none may have ended
        by itself before."""
        running = self.running
        for node in running:
            # One that was launched just now would die of the signal instead.
            eventually(node.heeds_sigterm, PROBE_SECONDS, node.last_words)
            # One that is paused hears of it once it goes on.
            node.process.send_signal(signal.SIGTERM)
            node.resume()
        deadline = time.monotonic() + STOP_SECONDS
        for node in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                node.process.wait(max(0, deadline - time.monotonic()))
        ill = [node.name for node in self.nodes if node.ended_ill(node in running)]
        assert not ill, f"{ill} did not end well:\n{self.last_words()}"

    def kill(self):
        for node in self.running:
            node.kill()

    @property
    def running(self):
        return [node for node in self.nodes if node.is_running]

    @property
    def leader(self):
        """The node that leads, by the word of all that run; None while they disagree."""
        said = [(node, node.status()) for node in self.running]
        leading = [node for node, status in said if status["Role"] == "leader"]
        named = {status["Leader"] for _, status in said}
        own = {status["NodeId"] for _, status in said if status["Role"] == "leader"}
        return leading[0] if len(leading) == 1 and named == own else None

    @property
    def followers(self):
        leader = self.leader
        return [node for node in self.running if node is not leader]

    def others(self, node):
        return [other for other in self.nodes if other is not node]

    def describe(self):
        """What the nodes say of themselves, for the text of a failure."""
        said = [f"{node.name}: {node.run('status').stdout}" for node in self.running]
        return "\n".join([*said, self.last_words()])

    def last_words(self):
        return "\n\n".join(node.last_words() for node in self.nodes)

    def await_leader(self):
        eventually(lambda: self.leader is not None, SETTLE_SECONDS, self.describe)
        return self.leader

    def caller(self, account, authority=None):
        """A certificate of an account's root, by the authority of that account or another's."""
        signer = self.client_authorities[authority or account]
        return signer.issue(uris=[f"arn:aws:iam::{account}:root"])

    def channel_credentials(self, account):
        issued = self.callers.setdefault(account, self.caller(account))
        return grpc.ssl_channel_credentials(self.authority.pem, issued.key, issued.certificate)


@contextlib.contextmanager
def running(settings=None, environment=None, within=None, **about):
    """A new cluster for as long as the block runs; all nodes that then run must end well.
    What `within` gives for a node surrounds its life."""
    # A short name: that of the admin socket in it has at most 107 characters.
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="keystead-"))
        cluster = Cluster(pathlib.Path(folder), settings, environment, **about)
        for node in cluster.nodes if within else []:
            stack.enter_context(within(node))
        try:
            yield cluster.form()
            cluster.stop()
        finally:
            cluster.kill()


def is_stopped(task):
    """Whether a thread, given by its folder in /proc, is stopped by a signal."""
    return re.search(r"^State:\s+T", (task / "status").read_text(), re.MULTILINE)


def access_key(exports):
    return exports["AWS_ACCESS_KEY_ID"], exports["AWS_SECRET_ACCESS_KEY"]


def create_account(node, account):
    """Creates an account through a node; returns its root's access key."""
    lines = node.done("account", "create", account).splitlines()
    return access_key(dict(match.groups() for match in map(EXPORT.match, lines) if match))
