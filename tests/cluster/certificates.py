"""Authorities of the tests' own, and what they sign."""

import datetime
import ipaddress
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

USES = [x509.ExtendedKeyUsageOID.SERVER_AUTH, x509.ExtendedKeyUsageOID.CLIENT_AUTH]
DAY = datetime.timedelta(days=1)


@dataclass
class Issued:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes

    def write(self, certificate, key):
        """Puts both into files, and returns the paths as texts."""
        certificate.write_bytes(self.certificate)
        key.write_bytes(self.key)
        return str(certificate), str(key)


class Authority:
    """An authority that signs whatever it is asked to."""

    def __init__(self, name):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        unlimited = x509.BasicConstraints(ca=True, path_length=None)
        self.certificate = _sign(self, self.name, self.key, [unlimited], -DAY, 30 * DAY)

    @property
    def pem(self):
        return self.certificate.public_bytes(Encoding.PEM)

    def issue(self, *, dns=(), addresses=(), uris=(), uses=USES, begins=-DAY, ends=DAY):
        """A certificate with these names and uses, valid from and until so long after now."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [
            *map(x509.DNSName, dns),
            *(x509.IPAddress(ipaddress.ip_address(address)) for address in addresses),
            *map(x509.UniformResourceIdentifier, uris),
        ]
        extensions = [x509.SubjectAlternativeName(names), x509.ExtendedKeyUsage(uses)]
        signed = _sign(self, x509.Name([]), key, extensions, begins, ends)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return Issued(signed.public_bytes(Encoding.PEM), private)


def _sign(authority, subject, key, extensions, begins, ends):
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .issuer_name(authority.name)
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
    )
    for extension in extensions:
        # A certificate without a subject is known by its names, which are critical then.
        critical = not isinstance(extension, x509.ExtendedKeyUsage)
        builder = builder.add_extension(extension, critical)
    return builder.sign(authority.key, hashes.SHA256())
