"""A Keystead node in a process of its own, and requests to it that are signed by hand."""

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
import pytest
import urllib3

ROOT = pathlib.Path(__file__).resolve().parents[2]
REGION, OTHER_REGION = "us-east-1", "eu-west-1"
ACCOUNT, OTHER_ACCOUNT = "000000000000", "111122223333"
CREDENTIALS = {ACCOUNT: ("test", "test"), OTHER_ACCOUNT: ("other", "other-secret")}
EXPORT = re.compile(r"^export ([A-Z][A-Z0-9_]*)='([^']*)'$")
ENDPOINTS = {f"AWS_ENDPOINT_URL_{name}" for name in ("KMS", "STS", "IAM", "CLOUDTRAIL")}
EXPORTED = ENDPOINTS | {
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
}
START_SECONDS = 60


def binary():
    """The program under test."""
    target = os.environ.get("CARGO_TARGET_DIR", str(ROOT / "target"))
    path = pathlib.Path(os.environ.get("KEYSTEAD_BIN", f"{target}/debug/keystead"))
    if not path.is_file():
        pytest.exit(f"{path} is not there: build it, or name another one in KEYSTEAD_BIN", 2)
    return path


def harness():
    """The program of the checks, which also does things for tests."""
    beside = binary().with_name("keystead-harness")
    path = pathlib.Path(os.environ.get("KEYSTEAD_HARNESS", beside))
    if not path.is_file():
        pytest.fail(f"{path} is not there: build keystead-testkit, or name it in KEYSTEAD_HARNESS")
    return path


def features():
    """What the program says that it was built with, e.g. {"test-clock"}."""
    said = subprocess.run([binary(), "--version"], check=True, capture_output=True, text=True)
    return set(re.findall(r"\+([\w-]+)", said.stdout))


def eventually(holds, within, what):
    """Waits until it holds. `what` is called to say what is wrong when it does not."""
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, f"after {within} s: {what()}"
        time.sleep(0.1)


def clean_environment(**more):
    """This process's environment without anything that an AWS client would read."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    nowhere = {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    return kept | nowhere | more


@dataclass
class Reply:
    """One HTTP reply, with its body decoded from JSON (None when it has none)."""

    status: int
    headers: dict
    text: str

    @property
    def body(self):
        return json.loads(self.text) if self.text else None

    @property
    def code(self):
        """The error's code, without the namespace that some services put before it."""
        return self.body["__type"].rpartition("#")[2]

    @property
    def message(self):
        body = self.body
        return body.get("message", body.get("Message"))


class Process:
    """A node's process: what `keystead dev` and `keystead server` have in common.

    `exports` is what a shell takes over to call it. The subclass says how it is started
    (`command`), when it serves (`_serves`) and who may call it (`credentials`).
    """

    # The file with the authority of its certificate, where it serves HTTPS by one that clients
    # do not know.
    authority = None

    def start(self):
        """Starts the process, or starts it again, and returns when it serves."""
        self.launch()
        return self.await_serving()

    def launch(self):
        """Starts the process, or starts it again."""
        self.log = tempfile.NamedTemporaryFile("w+", prefix="keystead-", suffix=".log")
        self.printed = tempfile.NamedTemporaryFile("w+", prefix="keystead-", suffix=".out")
        self.process = subprocess.Popen(
            self.command(),
            env=clean_environment(**self.environment),
            cwd=tempfile.gettempdir(),
            stdout=self.printed,
            stderr=self.log,
        )

    def await_serving(self):
        """Returns when the process serves."""
        deadline = time.monotonic() + START_SECONDS
        while not self._serves():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                raise RuntimeError(f"the node does not serve:\n{self.output()}")
            time.sleep(0.02)
        return self

    def stop(self):
        """Ends the process the polite way and returns its exit status."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def output(self):
        """What the node wrote to standard error."""
        self.log.flush()
        return pathlib.Path(self.log.name).read_text()

    @property
    def endpoint(self):
        return self.exports["AWS_ENDPOINT_URL_KMS"]

    @property
    def host(self):
        return urllib3.util.parse_url(self.endpoint).host

    @property
    def port(self):
        return urllib3.util.parse_url(self.endpoint).port

    def shell(self, **more):
        """The environment of a shell into which the exports were pasted."""
        return clean_environment(**(self.exports | more))

    def client(self, service="kms", region=REGION, account=ACCOUNT, credentials=None, **config):
        """A boto3 client that neither retries nor checks its parameters; of the account's root,
        unless credentials are given: key and secret, and a session's token besides."""
        key, secret, *token = credentials or self.credentials(account)
        settings = {"retries": {"total_max_attempts": 1}, "parameter_validation": False}
        return boto3.session.Session().client(
            service,
            region_name=region,
            endpoint_url=self.endpoint,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token[0] if token else None,
            verify=self.authority,
            config=botocore.config.Config(**(settings | config)),
        )

    def sign(self, target, body=b"{}", **how):
        """A signed request, not yet sent. See `signed`."""
        key, secret = self.credentials(ACCOUNT)
        return signed(self.endpoint, target, body, **({"access_key": key, "secret": secret} | how))

    def send(self, request):
        """Sends a signed request exactly as it is."""
        with urllib3.connection_from_url(self.endpoint, **self._connecting()) as pool:
            reply = pool.request(
                request.method,
                request.url.removeprefix(self.endpoint.rstrip("/")) or "/",
                body=request.body,
                headers=dict(request.headers.items()),
                retries=False,
            )
        return Reply(reply.status, reply.headers, reply.data.decode())

    def call(self, operation, body=b"{}", **how):
        """Signs and sends one request; `body` is bytes, or an object to be sent as JSON."""
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        return self.send(self.sign(f"TrentService.{operation}", body, **how))

    def channel_credentials(self, account=ACCOUNT):
        """What a gRPC channel of an account is made with; None for one without TLS."""
        return None

    def _connecting(self):
        return {"timeout": 30} | ({"ca_certs": self.authority} if self.authority else {})


@dataclass
class Node(Process):
    """One `keystead dev`; `exports` is what it prints for a shell to take over."""

    arguments: list
    environment: dict = field(default_factory=dict)
    exports: dict = field(default_factory=dict)
    endpoint_line: str = ""

    def command(self):
        return [binary(), "dev", "--listen", "127.0.0.1:0", *map(str, self.arguments)]

    def start(self):
        self.exports.clear()
        self.endpoint_line = ""
        return super().start()

    def _serves(self):
        for line in pathlib.Path(self.printed.name).read_text().splitlines():
            if match := EXPORT.match(line.strip()):
                self.exports[match[1]] = match[2]
            if "--endpoint-url" in line:
                self.endpoint_line = line.strip()
        if not EXPORTED <= self.exports.keys() or not self.endpoint_line:
            return False
        try:
            socket.create_connection((self.host, self.port), 1).close()
        except OSError:
            return False
        return True

    def credentials(self, account):
        return CREDENTIALS[account]

    def newcomer(self):
        """A boto3 client of an account that owns nothing in the client's Region yet."""
        return self.client(region=OTHER_REGION, account=OTHER_ACCOUNT)


@dataclass
class Server(Process):
    """One `keystead server`, with everything it has in a folder of its own.

    `settings` are sections of its configuration, laid over those that every server here has;
    `exports` is what `keystead cluster init` printed, and where the server is.
    """

    folder: pathlib.Path
    settings: dict = field(default_factory=dict)
    environment: dict = field(default_factory=dict)
    exports: dict = field(default_factory=dict)

    @property
    def configuration(self):
        return self.folder / "keystead.toml"

    def configure(self):
        """Writes the configuration file."""
        sections = {
            "": {"region": REGION, "data_dir": str(self.folder / "data")},
            "listen": {"clients": "127.0.0.1:0", "operations": "127.0.0.1:0"},
            "seal": {"path": str(self.folder / "seal.key")},
            "audit": {"path": str(self.folder / "audit.json")},
        }
        for name, section in self.settings.items():
            own = sections.get(name)
            sections[name] = own | section if own else section
        lines = []
        for name, section in sections.items():
            # A list is one of tables.
            several = isinstance(section, list)
            for table in section if several else [section]:
                # What is a text, a number, a truth value or a list of those in JSON is the same
                # in TOML.
                values = [f"{key} = {json.dumps(value)}" for key, value in table.items()]
                heading = f"[[{name}]]" if several else f"[{name}]"
                lines += ([heading] if name else []) + values
        self.folder.mkdir(parents=True, exist_ok=True)
        self.configuration.write_text("\n".join(lines) + "\n")
        return self

    def initialise(self):
        """Makes the cluster, and takes over the access key that is shown this once."""
        self.configure()
        done = self.run("cluster", "init", "--account", ACCOUNT)
        assert done.returncode == 0, done.stderr
        matches = map(EXPORT.match, done.stdout.splitlines())
        self.exports |= {match[1]: match[2] for match in matches if match}
        return self

    def run(self, *arguments, **environment):
        """Another subcommand with the same configuration, run to its end."""
        return subprocess.run(
            [binary(), *arguments, "--config", self.configuration],
            env=clean_environment(**(self.environment | environment)),
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
        )

    def command(self):
        return [binary(), "server", "--config", self.configuration]

    @property
    def is_ready(self):
        """Whether it tells a monitor that it is ready."""
        return urllib3.request("GET", f"{self.operations}/readyz", retries=False).status == 200

    def _serves(self):
        serving = self.logged("serving")
        if serving is None:
            return False
        self.operations = f"http://{serving['operations']}"
        scheme = "https" if "tls" in self.settings else "http"
        endpoint = f"{scheme}://localhost:{serving['clients'].rpartition(':')[2]}"
        self.exports |= dict.fromkeys(ENDPOINTS, endpoint)
        self.exports |= {"AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}
        return self.is_ready

    def logged(self, message):
        """The fields of the first line of the log whose message starts so; None for none."""
        lines = (line for line in self.output().splitlines() if line.startswith("{"))
        fields = (json.loads(line)["fields"] for line in lines)
        return next((found for found in fields if found["message"].startswith(message)), None)

    def credentials(self, account=ACCOUNT):
        assert account == ACCOUNT, "a new cluster has one account"
        return self.exports["AWS_ACCESS_KEY_ID"], self.exports["AWS_SECRET_ACCESS_KEY"]


@contextlib.contextmanager
def serving(folder, settings=None, environment=None):
    """A new server for as long as the block runs; it must end well."""
    server = Server(folder, settings or {}, environment or {}).initialise().start()
    try:
        yield server
    finally:
        status = server.process.poll()
        assert (server.stop() if status is None else status) == 0, server.output()


def signed(
    endpoint,
    target,
    body,
    *,
    access_key=CREDENTIALS[ACCOUNT][0],
    secret=CREDENTIALS[ACCOUNT][1],
    region=REGION,
    service="kms",
    headers=None,
    signer=botocore.auth.SigV4Auth,
):
    """A request to `target` (None: without that header), signed by botocore."""
    request = botocore.awsrequest.AWSRequest("POST", endpoint + "/", data=body)
    request.headers["Content-Type"] = "application/x-amz-json-1.1"
    if target is not None:
        request.headers["X-Amz-Target"] = target
    for name, value in (headers or {}).items():
        request.headers[name] = value
    credentials = botocore.credentials.Credentials(access_key, secret)
    signer(credentials, service, region).add_auth(request)
    return request.prepare()
