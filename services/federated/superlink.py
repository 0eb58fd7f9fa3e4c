"""Flower's SuperLink as a federation's server runs it: enrolled nodes alone, signed apps passed on, three doors.

The application is Flower's own (``flwr.superlink.main.create_app``). What is added are its doors, the nodes that the
deployment names, and one call for operators, ``/v1/apps``: Flower's StartRun takes a bundle without its signatures, so a
signed app is stored first, and then started by its digest.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any
from zipfile import BadZipFile

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
from flwr.common.constant import NOOP_ACCOUNT_NAME, NOOP_FLWR_AID
from flwr.supercore.constant import NOOP_FEDERATION_ID, TaskType
from flwr.supercore.primitives.asymmetric import public_key_to_bytes
from flwr.superlink.auth_plugin import NoOpControlAuthnPlugin
from flwr.superlink.cli.flower_superlink import SuperLinkLifespan
from flwr.superlink.config_loader import SuperLinkLifespanConfig
from flwr.superlink.main import create_app
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from services.federated.doors import APPS
from services.federated.errors import FederatedError
from services.federated.signed_app import SignedApp

HEARTBEAT_SECONDS = 30
"""Flower's own default between two signs of life of a node."""


def application(*, database: str, runtime_secret: bytes, node_keys: dict[str, str]) -> Any:
    """Return the SuperLink.

    Args:
        database: Where its state is: a file of SQLite, which survives a restart, or Flower's name for memory.
        runtime_secret: What the SuperExec proves to know before it is given a ServerApp to run.
        node_keys: Public keys of the nodes that take part, in OpenSSH's format, by name.

    Raises:
        FederatedError: a key is none.
    """
    config = SuperLinkLifespanConfig(
        control_address="",
        health_server_address=None,
        host="",
        port=0,
        insecure=False,
        certificates=None,
        superexec_auth_secret=runtime_secret,
        # Who comes through the operators' door showed a certificate; Flower has nothing to add.
        authn_plugin=NoOpControlAuthnPlugin(),
        event_log_plugin=None,
        fleet_event_log_plugin=None,
        enable_event_log=False,
        artifact_provider=None,
        enable_supernode_auth=True,
        fleet_api_type="grpc-rere",
        fleet_api_address=None,
        simulation=False,
        ssl_ca_certfile=None,
        ssl_certfile=None,
        ssl_keyfile=None,
        database=database,
        isolation="process",
        runtime_dependency_install=False,
    )
    app = create_app(config, SuperLinkLifespan)
    state = app.state.linkstate_factory.state()
    for name, key in node_keys.items():
        _enrol(state, name, key)

    async def store(request: Request) -> Response:
        try:
            signed = _submitted(await request.body())
        except FederatedError as error:
            return PlainTextResponse(f"{error}\n", 422)
        await run_in_threadpool(_stored, state, signed)
        return JSONResponse({"app_id": signed.app_id, "digest": signed.digest})

    app.add_route(APPS, store, methods=["POST"])
    return app


def last_settings(app: Any) -> str:
    """Return the settings that the last run was started with."""
    runs = app.state.linkstate_factory.state().get_run_info()
    last = max(runs, key=lambda run: str(run.pending_at), default=None)
    return str(last.override_config.get("settings", "")) if last else ""


def submission(app: SignedApp) -> bytes:
    """Return what the operator sends to ``/v1/apps``."""
    return json.dumps(
        {"bundle": base64.b64encode(app.content).decode(), "signatures": app.signatures}
    ).encode()


def public_bytes(name: str, key: str) -> bytes:
    """Return a node's public key as Flower knows it.

    Raises:
        FederatedError: it is no ECDSA key in OpenSSH's format.
    """
    try:
        loaded = load_ssh_public_key(key.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise FederatedError(f"{name}: holds no public key in OpenSSH's format") from None
    if not isinstance(loaded, ec.EllipticCurvePublicKey) or not isinstance(loaded.curve, ec.SECP384R1):
        raise FederatedError(f"{name}: is no ECDSA key on P-384; make one by ssh-keygen -t ecdsa -b 384")
    return public_key_to_bytes(loaded)


def _enrol(state: Any, name: str, key: str) -> None:
    public = public_bytes(name, key)
    if state.get_node_id_by_public_key(public) is None:
        state.create_node(
            owner_aid=NOOP_FLWR_AID,
            owner_name=NOOP_ACCOUNT_NAME,
            public_key=public,
            heartbeat_interval=HEARTBEAT_SECONDS,
            name=name,
        )


def _submitted(body: bytes) -> SignedApp:
    try:
        said = json.loads(body)
        app = SignedApp(
            content=base64.b64decode(said["bundle"], validate=True),
            signatures={
                str(name): {"signed_at": int(each["signed_at"]), "signature": str(each["signature"])}
                for name, each in said["signatures"].items()
            },
        )
        _ = app.app_id
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error, BadZipFile) as error:
        raise FederatedError(f"is no app with signatures: {type(error).__name__}") from None
    return app


def _stored(state: Any, app: SignedApp) -> None:
    state.store_app(
        fab=app.fab,
        federation_id=NOOP_FEDERATION_ID,
        app_id=app.app_id,
        app_type=TaskType.SERVER_APP,
        added_by=NOOP_FLWR_AID,
    )
