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
import time

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
        *(processes.tool("flower-supernode"), "--superlink", places.federation_address),
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
        running.start("the node", node, processes.environment(state / "node"))
        running.start(
            "what runs the app",
            client,
            {**processes.environment(state / "client"), **silo_store.named(places)},
        )
        while (over := running.ended()) is None:
            time.sleep(0.5)
    raise FederatedError(f"{places.silo_name}: {over} is over; see what it said above")


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
