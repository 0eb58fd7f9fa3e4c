"""Authorities, certificates and keys for a federation on one's own machine; in AWS others issue them.

Two authorities that know nothing of each other: one for the server's certificate, which every silo holds, and one for
operators, so that holding the first opens no door of the second. A node's key is no certificate: the server knows each
node by its public key. In AWS the server's certificate comes from ACM Private CA or cert-manager, an operator's too.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

DAYS = 30
"""How long a certificate for this machine is good."""

LOOPBACK = ("localhost", "127.0.0.1")


class Authority:
    """Issues certificates; its key lives as long as this object."""

    def __init__(self, name: str) -> None:
        """Make a new one, which nobody else trusts."""
        self._ca = trustme.CA(organization_name=name)

    def certificate(self, path: Path) -> Path:
        """Write the authority's own certificate, for who is to trust it."""
        self._ca.cert_pem.write_to_path(path)
        return path

    def issue(self, path: Path, *names: str, common_name: str | None = None, ended: bool = False) -> Path:
        """Write a certificate and its key into one PEM file that only its owner reads.

        Args:
            path: The file.
            names: Hosts and addresses; those of this machine where none is given.
            common_name: Whom it is for, where it is no host.
            ended: Make it one that expired an hour ago, to see it refused.
        """
        end = datetime.now(UTC) + (timedelta(hours=-1) if ended else timedelta(days=DAYS))
        issued = self._ca.issue_cert(
            *(names or LOOPBACK),
            common_name=common_name,
            not_before=end - timedelta(days=DAYS + 1),
            not_after=end,
        )
        return private(path, issued.private_key_and_cert_chain_pem.bytes())


def node_key(path: Path) -> Path:
    """Make the key of a node: ECDSA on P-384, as Flower asks; ``<path>.pub`` is what the operator enrols.

    The format is OpenSSH's, so ``ssh-keygen -t ecdsa -b 384`` makes one as well.
    """
    return _openssh(path, ec.generate_private_key(ec.SECP384R1()))


def entity_key(path: Path) -> Path:
    """Make the key of who vouches for apps: Ed25519, as Flower asks; ``<path>.pub`` is what silos trust."""
    return _openssh(path, ed25519.Ed25519PrivateKey.generate())


def private(path: Path, data: bytes) -> Path:
    """Write a new file that only its owner reads."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
    return path


def _openssh(path: Path, key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> Path:
    private(
        path,
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        ),
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    path.with_name(f"{path.name}.pub").write_bytes(public + b"\n")
    return path
