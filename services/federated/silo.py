"""A silo's node: a SuperNode that runs signed apps alone, and beside it what runs the ClientApp, a process apart.

The node holds the key that the server knows it by; the ClientApp sees neither that nor the server, only the node's
Runtime API on loopback, whose SuperExec proves a secret that is made at each start. Both run as one user: what keeps a
hostile app out is the signature, not the operating system.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
import time
from pathlib import Path

import trustme
import yaml
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from services.federated import processes, rows, silo_store
from services.federated.errors import FederatedError
from services.federated.places import Silo, kept, secret_file
from services.federated.processes import Processes

LOOPBACK = "127.0.0.1"

NODE, APP = "the node", "what runs the app"

AGAIN_SECONDS, STEADY_SECONDS, PATIENCE_SECONDS = 3.0, 30.0, 120.0
"""Before a node that ended is started again; after which it had come in; for how long it may fail to."""


def run(places: Silo) -> int:
    """Take part until told to stop.

    Raises:
        FederatedError: something that it needs is missing or wrong.
    """
    state = places.state_folder
    entities = kept(state, "entities.yaml", yaml.safe_dump(trusted(places)).encode())
    terms = kept(state, "terms.json", json.dumps(places.terms).encode())
    rows.filled(places)
    secret = kept(state, "runtime-secret", secrets.token_bytes(32))
    authority = trustme.CA()
    issued = authority.issue_cert(LOOPBACK)
    ca = kept(state, "runtime-ca.pem", authority.cert_pem.bytes())
    certificate = kept(state, "runtime.crt", issued.cert_chain_pems[0].bytes())
    key = kept(state, "runtime.key", issued.private_key_pem.bytes())
    runtime = f"{LOOPBACK}:{places.runtime_port}"
    told: dict[str, int | str] = {
        "partition-id": places.partition_id,
        "num-partitions": places.num_partitions,
    }
    told |= {"silo-store": str(places.store), "silo-terms": str(terms)}
    node = (
        *(sys.executable, "-m", "services.federated.node", "--superlink", places.federation_address),
        *("--root-certificates", str(secret_file(places, "federation_ca"))),
        *("--auth-supernode-private-key", str(secret_file(places, "node_key"))),
        *("--trusted-entities", str(entities)),
        *("--isolation", "process", "--superexec-auth-secret-file", str(secret)),
        *("--host", LOOPBACK, "--port", str(places.runtime_port)),
        *("--ssl-certfile", str(certificate), "--ssl-keyfile", str(key), "--ssl-ca-certfile", str(ca)),
        *("--node-config", " ".join(f"{name}={json.dumps(value)}" for name, value in told.items())),
    )
    client = (
        *(processes.tool("flower-superexec"), "--runtime-api-address", runtime),
        *("--root-certificates", str(ca), "--superexec-auth-secret-file", str(secret)),
        *("--parent-pid", str(os.getpid())),
    )
    signal.signal(signal.SIGTERM, _stop)
    with Processes() as running:
        running.start(APP, client, {**processes.environment(state / "client"), **_told(places)})
        _kept_up(running, node, state, places.silo_name)
    return 0


def _kept_up(running: Processes, node: tuple[str, ...], state: Path, name: str) -> None:
    """Keep the node running: a server that was away is come back to, one that refuses is not asked for ever.

    Raises:
        FederatedError: the node kept ending, or what runs the app is over.
    """
    lived = time.monotonic()
    while time.monotonic() - lived < PATIENCE_SECONDS:
        started = time.monotonic()
        running.start(NODE, node, processes.environment(state / "node"))
        while (over := running.ended()) is None:
            time.sleep(0.5)
        if over != NODE:
            raise FederatedError(f"{name}: {over} is over; see what it said above")
        running.stop(NODE)
        if time.monotonic() - started > STEADY_SECONDS:
            lived = time.monotonic()
        time.sleep(AGAIN_SECONDS)
    raise FederatedError(f"{name}: the server does not take the node; see what was said above")


def _told(places: Silo) -> dict[str, str]:
    """Return what the ClientApp reads from its environment."""
    said = silo_store.named(places)
    if places.homomorphic_key_file or places.homomorphic_key_secret_id:
        said["HOMOMORPHIC_KEY_FILE"] = str(secret_file(places, "homomorphic_key"))
    return said


def trusted(places: Silo) -> dict[str, str]:
    """Return the entities that may vouch for apps.

    Raises:
        FederatedError: a key is no Ed25519 key.
    """
    for name, key in places.trusted_entities.items():
        try:
            loaded = load_ssh_public_key(key.encode())
        except (ValueError, UnsupportedAlgorithm):
            raise FederatedError(f"TRUSTED_ENTITIES: {name}: is no key in OpenSSH's format") from None
        if not isinstance(loaded, ed25519.Ed25519PublicKey):
            raise FederatedError(f"TRUSTED_ENTITIES: {name}: is no Ed25519 key")
    return dict(places.trusted_entities)


def _stop(*_: object) -> None:
    raise KeyboardInterrupt
