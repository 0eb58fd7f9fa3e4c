"""For one's own machine: an issuer of tokens, certificates for localhost, a port that is free."""

from __future__ import annotations

import json
import socket
import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

ISSUER = "https://issuer.local"


class Issuer:
    """Issues development tokens, as the cluster does for its service accounts."""

    def __init__(self, folder: Path, audience: str) -> None:
        """Make a key and publish it in ``keys.json``; tokens are for the one audience."""
        self.key, self._audience = rsa.generate_private_key(public_exponent=65537, key_size=2048), audience
        published = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        self.keys_file = folder / "keys.json"
        self.keys_file.write_text(
            json.dumps({"keys": [{**published, "kid": "dev", "use": "sig", "alg": "RS256"}]})
        )

    def token(self, subject: str = "training:trainer", **claims: Any) -> str:
        """Return a token of a service account, good for an hour."""
        now = int(time.time())
        usual = {"iss": ISSUER, "aud": self._audience, "sub": f"system:serviceaccount:{subject}"}
        times = {"iat": now, "nbf": now, "exp": now + 3600}
        return jwt.encode({**usual, **times, **claims}, self.key, "RS256", headers={"kid": "dev"})


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def certificates(ca_file: Path, name: str = "localhost") -> tuple[bytes, bytes]:
    """Write the certificate of a new authority; return one of its certificates for a name, and the key."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "local authority")])
    ca = (
        _certificate(authority, authority, ca_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    leaf = (
        _certificate(subject, authority, key)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )
    ca_file.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    return leaf.public_bytes(serialization.Encoding.PEM), key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=30))
    )
