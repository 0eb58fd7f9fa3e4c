"""What an operator does, over the operators' door: enrols nodes, brings a signed app, starts runs and watches them.

Every call shows the operator's certificate, has a timeout, and answers with what Flower said.
"""

from __future__ import annotations

import json
import ssl
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
from flwr.common.constant import Status
from flwr.common.serde import user_config_to_proto
from flwr.proto.control_pb2 import (
    ListNodesRequest,
    ListRunsRequest,
    RegisterNodeRequest,
    StartRunRequest,
    StopRunRequest,
    UnregisterNodeRequest,
)
from flwr.proto.fab_pb2 import Fab
from flwr.supercore.control.control_http_client import ControlHttpClient

from services.federated import signed_app, superlink
from services.federated.doors import APPS
from services.federated.errors import FederatedError
from services.federated.places import Operator, secret, secret_file
from services.federated.signed_app import SignedApp

CALL_SECONDS, LOOK_SECONDS, RUN_SECONDS = 15.0, 0.5, 3600.0
"""Of one call; between two looks at a run; of a run, at most."""

Answer = TypeVar("Answer")


class Control:
    """The operators' door of a server."""

    def __init__(self, address: str, *, server_ca: Path, certificate: Path) -> None:
        """Come to ``host:port`` with the operator's certificate, and believe no other server's.

        Raises:
            FederatedError: a file holds no certificate.
        """
        try:
            context = ssl.create_default_context(cafile=server_ca)
            context.load_cert_chain(certificate)
        except (OSError, ValueError) as error:
            raise FederatedError(f"{certificate}: no certificates to come with: {error}") from None
        self._flower = ControlHttpClient(f"https://{address}", verify=context, timeout=CALL_SECONDS)
        self._http = httpx.Client(base_url=f"https://{address}", verify=context, timeout=CALL_SECONDS)

    def close(self) -> None:
        """Close the connections."""
        self._flower.close()
        self._http.close()

    def enrol(self, name: str, public_key: str) -> int:
        """Admit a node by its public key (OpenSSH's format); return its number.

        Raises:
            FederatedError: the key is none, is enrolled already, or the server refused.
        """
        request = RegisterNodeRequest(public_key=superlink.public_bytes(name, public_key), name=name)
        return int(_asked(lambda: self._flower.RegisterNode(request)).node_id)

    def dismiss(self, node: int) -> None:
        """Admit a node no more."""
        _asked(lambda: self._flower.UnregisterNode(UnregisterNodeRequest(node_id=node)))

    def nodes(self) -> dict[str, int]:
        """Return the numbers of enrolled nodes, by name."""
        return {str(each.name): int(each.node_id) for each in self._nodes()}

    def online(self) -> list[int]:
        """Return the numbers of the nodes that are there."""
        return sorted(int(each.node_id) for each in self._nodes() if each.status == "online")

    def bring(self, app: SignedApp) -> None:
        """Leave a signed app at the server; silos look at its signature themselves."""

        def put() -> httpx.Response:
            return self._http.post(APPS, content=superlink.submission(app)).raise_for_status()

        _asked(put)

    def start(self, app: SignedApp, config: dict[str, Any]) -> int:
        """Start a run of an app that was brought; return its number."""
        request = StartRunRequest(app_spec=app.app_id, fab=Fab(hash_str=app.digest))
        for name, value in user_config_to_proto(config).items():
            request.override_config[name].CopyFrom(value)
        return self._started(request)

    def start_unsigned(self, content: bytes, config: dict[str, Any]) -> int:
        """Start a run of a bundle as Flower's own command would, without a signature: silos refuse it."""
        request = StartRunRequest(fab=Fab(content=content))
        for name, value in user_config_to_proto(config).items():
            request.override_config[name].CopyFrom(value)
        return self._started(request)

    def status(self, run: int) -> tuple[str, str]:
        """Return what a run is (``pending``, ``starting``, ``running``, ``finished:completed``, …), and why."""
        said = _asked(lambda: self._flower.ListRuns(ListRunsRequest(run_id=run))).run_dict.get(run)
        if said is None:
            return "unknown", "the server knows of no such run"
        status = said.status
        if status.status == Status.FINISHED:
            return f"{status.status}:{status.sub_status}", status.details
        return status.status, status.details

    def stop(self, run: int) -> None:
        """End a run."""
        _asked(lambda: self._flower.StopRun(StopRunRequest(run_id=run)))

    def finished(self, run: int, *, seconds: float = RUN_SECONDS) -> tuple[str, str]:
        """Wait until a run is over; return what came of it, and why.

        Raises:
            FederatedError: it takes longer; it is stopped.
        """
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            status, why = self.status(run)
            if status.startswith((Status.FINISHED, "unknown")):
                return status, why
            time.sleep(LOOK_SECONDS)
        self.stop(run)
        raise FederatedError(f"run {run}: is not over after {seconds:.0f} s, and was stopped")

    def _nodes(self) -> list[Any]:
        said = _asked(lambda: self._flower.ListNodes(ListNodesRequest())).nodes_info
        # Flower remembers those that were dismissed.
        return [each for each in said if each.status != "unregistered"]

    def _started(self, request: StartRunRequest) -> int:
        answer = _asked(lambda: self._flower.StartRun(request))
        if not answer.run_id:
            raise FederatedError("the server started no run; its log says why")
        return int(answer.run_id)


def run(places: Operator) -> int:
    """Sign the app, bring it, start a run and wait for its end; what an operator's job does in the cluster.

    Raises:
        FederatedError: something is missing, or the run failed.
    """
    with tempfile.TemporaryDirectory() as name:
        key = Path(name) / "entity"
        key.write_bytes(secret(places, "app_key"))
        app = signed_app.signed(signed_app.built(), key, places.app_entity)
    control = Control(
        places.server_address,
        server_ca=secret_file(places, "server_ca"),
        certificate=secret_file(places, "operator_tls"),
    )
    try:
        control.bring(app)
        started = control.start(app, {"settings": json.dumps(places.terms)})
        status, why = control.finished(started)
    finally:
        control.close()
    if status != f"{Status.FINISHED}:completed":
        raise FederatedError(f"run {started}: {status}: {why}")
    return 0


def _asked(call: Callable[[], Answer]) -> Answer:
    try:
        return call()
    except httpx.HTTPStatusError as error:
        said = error.response.text.strip()[:300] or "nothing"
        raise FederatedError(f"the server answered {error.response.status_code}: {said}") from None
    except httpx.TransportError as error:
        raise FederatedError(f"the server does not answer: {error}") from None
