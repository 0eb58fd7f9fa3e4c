"""A federation of real processes on loopback: authorities, keys, a server, silos, and an operator to ask."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from services.federated import certificates, processes, signed_app, silo_store
from services.federated.certificates import Authority
from services.federated.errors import FederatedError
from services.federated.operator import Control
from services.federated.processes import Processes
from services.federated.signed_app import SignedApp
from services.shared.local import free_port
from tests.services.federated.relay import Relay

APP = Path(__file__).parent / "app"

ENTITY = "tests"

START_SECONDS = 60.0


class World:
    """Everything that a test may come to."""

    def __enter__(self) -> World:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """End everything."""
        if self._control is not None:
            self._control.close()
        self.running.stop()

    def __init__(self, folder: Path, silos: int) -> None:
        """Make keys and certificates; nothing runs yet."""
        self.folder, self.silos = folder, silos
        self.authority, self.operators = Authority("federation"), Authority("operators")
        self.ca = self.authority.certificate(folder / "ca.pem")
        self.operators_ca = self.operators.certificate(folder / "operators-ca.pem")
        self.tls = self.authority.issue(folder / "server.pem")
        self.operator_tls = self.operators.issue(folder / "operator.pem", common_name="operator")
        self.entity_key = certificates.entity_key(folder / "entity")
        self.ports = {name: free_port() for name in ("nodes", "operators", "runtime")}
        self.node_keys = [certificates.node_key(folder / f"silo-{number}.node") for number in range(silos)]
        self.results = folder / "results"
        self.running = Processes()
        self.relay: Relay | None = None
        self._control: Control | None = None

    @property
    def nodes(self) -> str:
        """The nodes' door."""
        return f"127.0.0.1:{self.ports['nodes']}"

    @property
    def control_address(self) -> str:
        """The operators' door."""
        return f"127.0.0.1:{self.ports['operators']}"

    def signed(self, content: bytes | None = None) -> SignedApp:
        """Return the tests' app, or another one, signed by the entity that silos trust."""
        return signed_app.signed(content or signed_app.built(APP), self.entity_key, ENTITY)

    def control(self) -> Control:
        """Return an operator."""
        if self._control is None:
            self._control = Control(self.control_address, server_ca=self.ca, certificate=self.operator_tls)
        return self._control

    def start_server(self, *, tls: Path | None = None, wait: bool = True) -> None:
        """Start the server, and wait until it answers if asked to."""
        self.program(
            "server",
            "server",
            {
                "HOST": "127.0.0.1",
                "PORT": str(self.ports["nodes"]),
                "CONTROL_PORT": str(self.ports["operators"]),
                "RUNTIME_PORT": str(self.ports["runtime"]),
                "STATE_FOLDER": str(self.folder / "server"),
                "RESULTS_FOLDER": str(self.results),
                "TLS_FILE": str(tls or self.tls),
                "OPERATOR_CA_FILE": str(self.operators_ca),
            },
        )
        if wait:
            self.until(lambda: self.control().online() is not None, "the server does not answer")

    def enrol(self) -> None:
        """Admit all silos, as an operator does."""
        for number, key in enumerate(self.node_keys):
            self.control().enrol(f"silo-{number}", public(key))

    def start_silo(self, number: int, **other: str) -> subprocess.Popen[bytes]:
        """Start a silo; ``other`` is what its environment says otherwise."""
        folder = self.folder / f"silo-{number}"
        folder.mkdir(exist_ok=True)
        key = folder / "store-key"
        if not key.exists():
            certificates.private(key, secrets.token_bytes(32))
        name = f"silo-{number}"
        store = silo_store.opened(folder / "store", {"SILO_NAME": name, "STORE_KEY_FILE": str(key)})
        store.keep(np.zeros((4, 2), np.float32), np.arange(4))
        return self.program(
            name,
            "silo",
            {
                "SILO_NAME": name,
                "FEDERATION_ADDRESS": self.nodes,
                "FEDERATION_CA_FILE": str(self.ca),
                "NODE_KEY_FILE": str(self.node_keys[number]),
                "TRUSTED_ENTITIES": json.dumps({ENTITY: public(self.entity_key)}),
                "TERMS": "{}",
                "PARTITION_ID": str(number),
                "NUM_PARTITIONS": str(self.silos),
                "STORE_FOLDER": str(folder / "store"),
                "STORE_KEY_FILE": str(key),
                "STATE_FOLDER": str(folder / "state"),
                "RUNTIME_PORT": str(free_port()),
                **other,
            },
        )

    def program(self, name: str, what: str, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        """Start one of the three programs."""
        return self.running.start(
            name,
            (sys.executable, "-m", "services.federated", what),
            {**processes.environment(self.folder / f"{name}-home"), **environment},
            self.folder / f"{name}.log",
        )

    def log(self, name: str) -> str:
        """Return what a program said so far."""
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def run(self, app: SignedApp | None = None, **settings: Any) -> list[list[dict[str, Any]]]:
        """Run the tests' app to its end; return what silos answered, by round."""
        self.results.mkdir(exist_ok=True)
        (self.results / "said.json").unlink(missing_ok=True)
        signed = app or self.signed()
        control = self.control()
        control.bring(signed)
        run = control.start(signed, self.config(**settings))
        status, why = control.finished(run, seconds=120)
        assert status == "finished:completed", (status, why, self.log("server")[-3000:])
        return list(json.loads((self.results / "said.json").read_text()))

    def config(self, **settings: Any) -> dict[str, Any]:
        """Return a run's configuration."""
        said = {"silos": self.silos, "seed": 7, "size": 64, **settings}
        return {"settings": json.dumps(said), "results": str(self.results)}

    def until(self, good: Any, otherwise: str, seconds: float = START_SECONDS) -> None:
        """Wait until something holds; a server that does not answer yet is waited for."""
        last = ""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if good():
                    return
            except FederatedError as error:
                last = str(error)
            time.sleep(0.2)
        raise AssertionError(f"{otherwise} {last}\n{self.log('server')[-3000:]}")


def public(key: Path) -> str:
    """Return the public half of a key in a file."""
    return Path(f"{key}.pub").read_text().strip()
