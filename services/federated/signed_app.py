"""The app that silos run: built from ``bundle/``, signed by a trusted entity, verified by each silo before it runs.

Flower's own signatures come through its hub; here the entity signs by itself, in Flower's format, and the server passes
the signature on with the app. A silo believes its own list of entities and nothing that the server says.

What is signed is the bundle's digest and the time (``flwr.supercore.primitives.asymmetric_ed25519``): an older signed
app stays good until the entity's key is replaced, so a signed bundle never holds code, only the names of modules that
the silo installed itself.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from flwr.cli.build import build_fab_from_files
from flwr.common.config import get_fab_config
from flwr.supercore.fab import Fab
from flwr.supercore.primitives.asymmetric_ed25519 import create_message_to_sign

from services.federated.errors import FederatedError

BUNDLE = Path(__file__).parent / "bundle"

FORMAT = {"valid_license": "Valid"}
"""What a SuperNode looks for first: that who passed the app on knows of signatures."""


@dataclass(frozen=True, kw_only=True)
class SignedApp:
    """A bundle, and who vouches for it."""

    content: bytes
    signatures: dict[str, dict[str, Any]]
    """By the entity's id: when it was signed (seconds since 1970), and the signature (base64url)."""

    @property
    def digest(self) -> str:
        """SHA-256 of the bundle, in hex: how Flower names it."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def app_id(self) -> str:
        """``@publisher/name``, as the bundle says."""
        said = get_fab_config(self.content)
        return f"@{said['tool']['flwr']['app']['publisher']}/{said['project']['name']}"

    @property
    def fab(self) -> Fab:
        """The bundle as Flower keeps it."""
        said = {name: json.dumps(each) for name, each in self.signatures.items()}
        return Fab(self.digest, self.content, {**said, **FORMAT} if said else {})


def built(folder: Path = BUNDLE) -> bytes:
    """Return the bundle of a folder; the same folder gives the same bytes.

    Raises:
        FederatedError: it is no app.
    """
    try:
        files: dict[str, bytes | Path] = {
            str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()
        }
        return build_fab_from_files(files)[0]
    except (OSError, ValueError) as error:
        raise FederatedError(f"{folder}: holds no app: {error}") from None


def signed(content: bytes, key_file: Path, entity: str) -> SignedApp:
    """Return the bundle with an entity's signature over it.

    Raises:
        FederatedError: the file holds no Ed25519 key.
    """
    try:
        key = serialization.load_ssh_private_key(key_file.read_bytes(), password=None)
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise FederatedError(f"{key_file}: holds no private key in OpenSSH's format: {error}") from None
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise FederatedError(f"{key_file}: is no Ed25519 key; make one by ssh-keygen -t ed25519")
    at = int(time.time())
    signature = key.sign(create_message_to_sign(hashlib.sha256(content).digest(), at))
    said = {"signed_at": at, "signature": base64.urlsafe_b64encode(signature).decode().rstrip("=")}
    return SignedApp(content=content, signatures={entity: said})


def read(bundle: Path, signatures: Path | None) -> SignedApp:
    """Return a bundle and the signatures that lie beside it.

    Raises:
        FederatedError: a file is not there, or is not what it should be.
    """
    try:
        said = json.loads(signatures.read_bytes()) if signatures else {}
        app = SignedApp(
            content=bundle.read_bytes(),
            signatures={str(name): {**each} for name, each in said.items()},
        )
        _ = app.app_id
    except (OSError, ValueError, TypeError, AttributeError, KeyError, BadZipFile) as error:
        raise FederatedError(f"{bundle}: is no app with signatures: {error}") from None
    return app


def write(app: SignedApp, folder: Path) -> tuple[Path, Path]:
    """Write ``app.fab`` and ``app.signatures.json``; return both paths."""
    bundle, signatures = folder / "app.fab", folder / "app.signatures.json"
    bundle.write_bytes(app.content)
    signatures.write_text(json.dumps(app.signatures))
    return bundle, signatures
