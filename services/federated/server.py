"""The server of a federation: a SuperLink behind three doors, and beside it what runs the ServerApp, a process apart.

It ends when it is told to, or when what runs the ServerApp is over; its state is in a file, so one that comes back goes on
with the nodes and apps that it knew. A run that was under way is over (Flower keeps no ServerApp across a restart) and is
started anew by the operator; silos come back by themselves.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import threading
import time
from functools import partial

import trustme

from services.federated import doors, outcome, processes, superlink
from services.federated.doors import APPS, CONTROL, FLEET, RUNTIME, Door
from services.federated.places import Server, kept, secret_file
from services.federated.processes import Processes

LOOPBACK = "127.0.0.1"


def run(places: Server) -> int:
    """Serve until told to stop.

    Raises:
        FederatedError: something that it needs is missing or wrong.
    """
    state, key = places.state_folder, outcome.signer(places)
    places.results.mkdir(parents=True, exist_ok=True, mode=0o700)
    runtime_secret = secrets.token_bytes(32)
    secret = kept(state, "runtime-secret", runtime_secret)
    # Of loopback, and of this process alone: the authority's key is in no file.
    authority = trustme.CA()
    trusted = kept(state, "runtime-ca.pem", authority.cert_pem.bytes())
    runtime = kept(
        state, "runtime.pem", authority.issue_cert(LOOPBACK).private_key_and_cert_chain_pem.bytes()
    )
    tls = secret_file(places, "tls")
    app = superlink.application(
        database=str(state / "superlink.sqlite"),
        runtime_secret=runtime_secret,
        node_keys=places.node_public_keys,
    )
    listening = (
        Door(host=places.host, port=places.port, opens=(FLEET,), certificate=tls),
        Door(
            host=places.host,
            port=places.control_port,
            opens=(CONTROL, APPS),
            certificate=tls,
            callers=secret_file(places, "operator_ca"),
        ),
        Door(host=LOOPBACK, port=places.runtime_port, opens=(RUNTIME,), certificate=runtime),
    )
    with Processes() as running:
        running.start(
            "serverapp",
            (
                *(processes.tool("flower-superexec"), "--runtime-api-address"),
                *(f"{LOOPBACK}:{places.runtime_port}", "--root-certificates", str(trusted)),
                *("--superexec-auth-secret-file", str(secret), "--parent-pid", str(os.getpid())),
            ),
            {
                **processes.environment(state / "serverapp"),
                "FEDERATED_RESULTS": str(places.results),
                "FEDERATED_SECURE_AGGREGATION": places.secure_aggregation,
            },
        )
        threading.Thread(target=_watched, args=(running,), daemon=True).start()
        if key is not None:
            terms = partial(superlink.last_settings, app)
            threading.Thread(target=outcome.watch, args=(places, key, terms), daemon=True).start()
        asyncio.run(doors.serve(app, listening))
    return 0


def _watched(running: Processes) -> None:
    """Take the server down with what runs its ServerApp: half of it is none."""
    while running.ended() is None:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)
