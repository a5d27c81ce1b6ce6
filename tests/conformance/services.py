"""Services that act for users, as somebody who runs one would write them with botocore."""

import contextlib
import hashlib
import os
import subprocess
import uuid
import xml.etree.ElementTree as tree
from dataclasses import dataclass
from urllib.parse import urlencode

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import urllib3
from node import EXPORT, REGION

S3 = "s3.amazonaws.com"
NAMESPACE = "{https://sts.amazonaws.com/doc/2011-06-15/}"


class Refused(Exception):
    """What a service is told when a request cannot be forwarded."""

    def __init__(self, code, message):
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message


@dataclass
class Service:
    """A registered service, at one node."""

    node: object
    name: str
    keys: tuple

    def client(self, service="kms", **config):
        """A client of the service as itself."""
        return self.node.client(service, credentials=self.keys, **config)

    def for_source(self, arn=None, account=None):
        """A client of KMS of the service as itself, for somebody's resource."""
        client = self.client()

        def say(request, **_):
            for name, value in (("x-amz-source-arn", arn), ("x-amz-source-account", account)):
                if value:
                    request.headers[name] = value

        client.meta.events.register("before-sign.kms", say)
        return client

    def forward(self, request, **changed):
        """The credentials for whoever signed a request, and who that is: the reply's elements."""
        return self.ask(self.form(request, **changed))

    def form(self, request, **changed):
        """The parameters that tell of a request."""
        url = urllib3.util.parse_url(request.url)
        form = {"Method": request.method, "Path": url.request_uri}
        if "x-amz-content-sha256" not in request.headers:
            form["PayloadHash"] = hashlib.sha256(request.body or b"").hexdigest()
        form = {name: value for name, value in (form | changed).items() if value is not None}
        for number, (name, value) in enumerate(request.headers.items(), 1):
            value = value.decode() if isinstance(value, bytes) else value
            form[f"Headers.member.{number}.Name"] = name
            form[f"Headers.member.{number}.Value"] = value
        return form

    def ask(self, form):
        """A GetForwardAccessToken with these parameters: the reply's elements."""
        return self.send(self.call(form))

    def call(self, form):
        """The same, signed and not sent yet; every node takes it."""
        form = {"Action": "GetForwardAccessToken", "Version": "2011-06-15"} | form
        body = urlencode(form)
        request = botocore.awsrequest.AWSRequest("POST", f"{self.node.endpoint}/", data=body)
        request.headers["Content-Type"] = "application/x-www-form-urlencoded"
        request.headers["Host"] = urllib3.util.parse_url(self.node.endpoint).netloc
        # Each call counts once: no two are signed alike.
        request.headers["amz-sdk-invocation-id"] = str(uuid.uuid4())
        own = botocore.credentials.Credentials(*self.keys)
        botocore.auth.SigV4Auth(own, "sts", REGION).add_auth(request)
        prepared = request.prepare()
        prepared.url = "/"
        return prepared

    def send(self, call):
        """Sends a call, which may have been sent before."""
        reply = self.node.send(call)
        root = tree.fromstring(reply.text)
        if reply.status != 200:
            error = root.find(f"{NAMESPACE}Error")
            raise Refused(*(error.find(NAMESPACE + name).text for name in ("Code", "Message")))
        return {element.tag.removeprefix(NAMESPACE): element.text for element in root.iter()}

    def acting_for(self, request, **changed):
        """A client of KMS that acts for whoever signed the request."""
        return self.client_of(self.forward(request, **changed))

    def client_of(self, reply):
        """A client of KMS with the credentials that a reply gave."""
        keys = [reply[name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")]
        return self.node.client(credentials=keys)


def register(server, name=S3):
    """Registers a service at a server."""
    return Service(server, name, printed(server, "service", "add", name))


def printed(server, *arguments):
    """The access key that a command of the operator prints."""
    done = server.run(*arguments)
    assert done.returncode == 0, done.stderr
    found = dict(match.groups() for match in map(EXPORT.match, done.stdout.splitlines()) if match)
    return found["AWS_ACCESS_KEY_ID"], found["AWS_SECRET_ACCESS_KEY"]


def put_object(credentials, path="/bucket/a%20key?x-id=PutObject", signer=None, **how):
    """The request of a user to S3, signed as an SDK signs it; only its head is looked at."""
    key, secret, *token = credentials
    how = {"service": "s3", "region": REGION, "body": b"content", "method": "PUT"} | how
    request = botocore.awsrequest.AWSRequest(
        how["method"], f"http://s3.example.org{path}", data=how["body"]
    )
    known = botocore.credentials.Credentials(key, secret, *token)
    signer = signer or (botocore.auth.S3SigV4Auth if how["service"] == "s3" else None)
    (signer or botocore.auth.SigV4Auth)(known, how["service"], how["region"]).add_auth(request)
    # botocore leaves the host to the connection.
    request.headers["Host"] = "s3.example.org"
    return request.prepare()


@contextlib.contextmanager
def object_store(service):
    """A small S3 server that acts through a service: where it is, for as long as the block runs."""
    key, secret = service.keys
    own = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}
    process = subprocess.Popen(
        [os.environ["KEYSTEAD_OBJECT_STORE"]],
        env=service.node.shell(**own),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
