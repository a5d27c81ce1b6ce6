"""An issuer of tokens: keys, a key set, and a server that gives it out."""

import base64
import contextlib
import datetime
import http.server
import ipaddress
import json
import ssl
import threading
import time
import urllib.parse

from cryptography import x509
from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

AUDIENCE = "sts.amazonaws.com"
SUBJECT = "system:serviceaccount:shop:till"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def part(value):
    return b64(json.dumps(value, separators=(",", ":")).encode())


def number(value):
    return b64(value.to_bytes((value.bit_length() + 7) // 8, "big"))


class Key:
    """A signing key of an issuer: RSA for RS256 and PS256, P-256 for ES256."""

    def __init__(self, kid, algorithm="RS256"):
        self.kid, self.algorithm = kid, algorithm
        self.private = (
            ec.generate_private_key(ec.SECP256R1())
            if algorithm == "ES256"
            else rsa.generate_private_key(65537, 2048)
        )

    def jwk(self):
        public = self.private.public_key().public_numbers()
        if self.algorithm == "ES256":
            xy = {name: b64(getattr(public, name).to_bytes(32, "big")) for name in "xy"}
            return {"kty": "EC", "crv": "P-256", "kid": self.kid, "use": "sig"} | xy
        return {"kty": "RSA", "kid": self.kid, "n": number(public.n), "e": number(public.e)}

    def pem(self):
        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def sign(self, data):
        if self.algorithm == "ES256":
            der = self.private.sign(data, ec.ECDSA(hashes.SHA256()))
            return b"".join(half.to_bytes(32, "big") for half in decode_dss_signature(der))
        return self.private.sign(data, padding.PKCS1v15(), hashes.SHA256())


def signed(key, header, claims):
    """A token of these parts, whatever they say."""
    data = f"{part(header)}.{part(claims)}"
    return f"{data}.{b64(key.sign(data.encode()))}"


def keyed(secret, header, claims):
    """The same with an HMAC in the place of a signature."""
    data = f"{part(header)}.{part(claims)}"
    code = hmac.HMAC(secret, hashes.SHA256())
    code.update(data.encode())
    return f"{data}.{b64(code.finalize())}"


class Issuer:
    """An issuer; `keys` are those that its key set has."""

    def __init__(self, url, *keys):
        self.url, self.keys = url, list(keys) or [Key("key-1")]

    @property
    def name(self):
        return self.url.removeprefix("https://")

    def jwks(self):
        return json.dumps({"keys": [key.jwk() for key in self.keys]})

    def claims(self, **more):
        now = int(time.time())
        claims = {"iss": self.url, "sub": SUBJECT, "aud": AUDIENCE, "iat": now, "exp": now + 600}
        return {name: value for name, value in (claims | more).items() if value is not None}

    def token(self, key=None, header=None, **claims):
        """A token; a claim that is None is left out."""
        key = key or self.keys[0]
        header = {"alg": key.algorithm, "kid": key.kid, "typ": "JWT"} | (header or {})
        header = {name: value for name, value in header.items() if value is not None}
        return signed(key, header, self.claims(**claims))


class Site:
    """What answers requests on the loopback, over TLS by an authority of its own or without.

    `pages` are texts by their paths; `forms` answer what is posted, each with a status and what is
    to be said in JSON; `port` stays the same when it goes away and comes back.
    """

    def __init__(self, folder=None):
        self.pages, self.forms, self.asked = {}, {}, []
        self.context, self.port = None, 0
        if folder:
            self.authority = folder / "issuer-ca.pem"
            self.context = certified(folder, self.authority)
        self.open()

    def open(self):
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                site.asked.append(self.path)
                page = site.pages.get(self.path)
                body = (page or "").encode()
                self.send_response(200 if page else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                form = self.rfile.read(int(self.headers["Content-Length"])).decode()
                form = dict(urllib.parse.parse_qsl(form, keep_blank_values=True))
                answer = site.forms.get(self.path, lambda _: (404, {}))
                status, said = answer(form)
                body = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_port
        if self.context:
            self.server.socket = self.context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    @contextlib.contextmanager
    def away(self):
        self.close()
        try:
            yield
        finally:
            self.open()


def certified(folder, authority):
    """A TLS context for localhost by a new authority, whose certificate goes into a file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "issuer")])
    now = datetime.datetime.now(datetime.UTC)
    places = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(places), critical=False)
        .sign(key, hashes.SHA256())
    )
    authority.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret = folder / "issuer-key.pem"
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority, secret)
    return context


def publish(site, issuer, keys="/keys"):
    """Has a site give out what an issuer has to."""
    discovery = {"issuer": issuer.url, "jwks_uri": f"{issuer.url}{keys}"}
    site.pages["/.well-known/openid-configuration"] = json.dumps(discovery)
    site.pages[keys] = issuer.jwks()
