"""The nodes' door as a hostile node may knock at it: any bytes, signed by any key, at any time."""

from __future__ import annotations

import datetime
import ssl
from base64 import b64encode
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_ssh_private_key
from flwr.common.constant import TIMESTAMP_HEADER
from flwr.proto.fleet_pb2 import ActivateNodeRequest
from flwr.supercore.constant import FLEET_HTTP_PUBLIC_KEY_HEADER, FLEET_HTTP_SIGNATURE_HEADER
from flwr.supercore.primitives.asymmetric import public_key_to_bytes, sign_message
from flwr.supercore.protobuf.constants import PROTOBUF_MEDIA_TYPE

PROTOBUF = {"content-type": PROTOBUF_MEDIA_TYPE, "accept": PROTOBUF_MEDIA_TYPE}


def private_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Return a node's private key."""
    key = load_ssh_private_key(path.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


class Knock:
    """Calls of one who holds the server's authority, and a key."""

    def __init__(self, address: str, ca: Path, certificate: Path | None = None) -> None:
        """Say where."""
        context = ssl.create_default_context(cafile=ca)
        if certificate:
            context.load_cert_chain(certificate)
        self._address, self._context = f"https://{address}", context

    def post(self, path: str, body: bytes, **headers: str) -> httpx.Response:
        """Send anything."""
        with httpx.Client(base_url=self._address, verify=self._context, timeout=10) as http:
            return http.post(path, content=body, headers={**PROTOBUF, **headers})

    def signed(
        self,
        path: str,
        request: Any,
        key: ec.EllipticCurvePrivateKey,
        *,
        claimed: ec.EllipticCurvePublicKey | None = None,
        seconds_ago: float = 0,
    ) -> httpx.Response:
        """Send a request as a node does: the time, signed; ``claimed`` is another's public key."""
        at = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=seconds_ago)
        timestamp = at.isoformat()
        public = public_key_to_bytes(claimed or key.public_key())
        return self.post(
            path,
            request if isinstance(request, bytes) else request.SerializeToString(),
            **{
                FLEET_HTTP_PUBLIC_KEY_HEADER: b64encode(public).decode(),
                FLEET_HTTP_SIGNATURE_HEADER: b64encode(sign_message(key, timestamp.encode())).decode(),
                TIMESTAMP_HEADER: timestamp,
            },
        )

    def activate(
        self,
        key: ec.EllipticCurvePrivateKey,
        *,
        claimed: ec.EllipticCurvePublicKey | None = None,
        seconds_ago: float = 0,
    ) -> httpx.Response:
        """Come as the node of a key."""
        public = public_key_to_bytes(claimed or key.public_key())
        request = ActivateNodeRequest(public_key=public, heartbeat_interval=30)
        return self.signed("/v1/fleet/activate-node", request, key, claimed=claimed, seconds_ago=seconds_ago)
