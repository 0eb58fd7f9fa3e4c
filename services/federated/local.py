"""A federation on one's own machine: a server and silos, real processes over TLS, and a signed candidate at the end.

    make federate                                              # secure aggregation and differential privacy
    python -m services.federated.local --mode plain            # neither, to compare
    python -m services.federated.local --silos 5 --rounds 3 --out learned
    python -m services.federated.local --terms terms.json      # terms of your own (services/federated/settings.py)

Bundled digits are split unevenly among silos; each silo keeps its part encrypted. The authorities, keys and certificates
are made for this run and thrown away, but for the key that signs: its public half lies beside the candidate.
"""

from __future__ import annotations

import argparse
import json
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from services.federated import (
    candidate,
    certificates,
    homomorphic,
    samples,
    settings,
    signed_app,
    silo_store,
    table,
)
from services.federated.candidate import About
from services.federated.certificates import Authority
from services.federated.errors import FederatedError
from services.federated.operator import Control
from services.federated.processes import Processes, environment
from services.federated.settings import Settings
from services.federated.signed_app import SignedApp
from services.federated.table import Shown
from services.modelchain.keys import file_signer, make_keys
from services.shared.local import free_port

ENTITY = "federation"

START_SECONDS, LOOK_SECONDS = 120.0, 0.3
"""Most that programs may take to come up; between two looks."""

DP: dict[str, Any] = {
    "mode": "central",
    "of": "record",
    "epsilon": 8.0,
    "delta": 1e-5,
    "noise_multiplier": 4.0,
    "rows": 1437,
}
"""What protects a row of the bundled digits, of which silos have 1,437."""

STEPS = {"local_steps": 5}
"""Between two rounds, where noise is not counted by the step."""

MODES: dict[str, dict[str, Any]] = {
    "plain": {"protection": "clear", **STEPS},
    "secagg": {"protection": "secure-aggregation", **STEPS},
    "secagg-dp": {"protection": "secure-aggregation", "privacy": DP, "learning_rate": 4.0},
    "local-dp": {"protection": "clear", "privacy": {**DP, "mode": "local"}},
    "krum": {"protection": "clear", "aggregation": "krum", "poisoned": 1, **STEPS},
    "median": {"protection": "clear", "aggregation": "median", "poisoned": 1, **STEPS},
    "homomorphic": {"protection": "homomorphic", **STEPS},
}
"""Combinations of the federation's terms; docs/federated.md says what each protects against."""

DIGITS = About(
    name="digits-federated",
    version=1,
    title="Handwritten digits, learned by a federation",
    intended_use="Shows how silos learn together; reads single digits of 8 by 8 pixels.",
    dataset="digits",
    purpose="research",
    classes=tuple(str(digit) for digit in range(samples.CLASSES)),
)


class Federation:
    """A server and its silos, in a folder of their own; leaves nothing running."""

    def __init__(self, folder: Path, agreed: Settings) -> None:
        """Make authorities, certificates and keys; nothing runs yet."""
        self.folder, self.agreed = folder, agreed
        self.results = folder / "results"
        self.ports = {name: free_port() for name in ("PORT", "CONTROL_PORT", "RUNTIME_PORT")}
        authority, operators = Authority("federation"), Authority("operators")
        self._ca = authority.certificate(folder / "ca.pem")
        self._operators_ca = operators.certificate(folder / "operators-ca.pem")
        self._tls = authority.issue(folder / "server.pem")
        self._operator = operators.issue(folder / "operator.pem", common_name="operator")
        self._entity = certificates.entity_key(folder / "entity")
        self._nodes = [certificates.node_key(folder / f"{_name(each)}.node") for each in range(agreed.silos)]
        self._running = Processes()
        self.control = Control(
            f"127.0.0.1:{self.ports['CONTROL_PORT']}", server_ca=self._ca, certificate=self._operator
        )
        self._homomorphic: dict[str, str] = {}
        if agreed.protection == "homomorphic":
            homomorphic.make_key(folder / "homomorphic.key")
            self._homomorphic = {"HOMOMORPHIC_KEY_FILE": str(folder / "homomorphic.key")}

    def __enter__(self) -> Federation:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """End every program."""
        self.control.close()
        self._running.stop()

    def serve(self) -> None:
        """Start the server, which knows its nodes; wait until it answers."""
        self._start(
            "server",
            {
                **{name: str(port) for name, port in self.ports.items()},
                "HOST": "127.0.0.1",
                "NODE_PUBLIC_KEYS": json.dumps(
                    {_name(each): _public(key) for each, key in enumerate(self._nodes)}
                ),
                "OPERATOR_CA_FILE": str(self._operators_ca),
                "RESULTS_FOLDER": str(self.results),
                "SECURE_AGGREGATION": _aggregation(self.agreed),
                "TLS_FILE": str(self._tls),
            },
        )
        self._until(lambda: self.control.online() is not None, "the server does not answer")

    def join(self) -> None:
        """Start every silo with its sealed part of the digits; wait until all are there."""
        for each, key in enumerate(self._nodes):
            folder = self.folder / _name(each)
            folder.mkdir()
            kept = {
                "SILO_NAME": _name(each),
                "STORE_KEY_FILE": str(certificates.private(folder / "store.key", secrets.token_bytes(32))),
            }
            silo_store.opened(folder / "store", kept).keep(*samples.partition(each, self.agreed.silos))
            self._start(
                _name(each),
                {
                    **kept,
                    **self._homomorphic,
                    "FEDERATION_ADDRESS": f"127.0.0.1:{self.ports['PORT']}",
                    "FEDERATION_CA_FILE": str(self._ca),
                    "NODE_KEY_FILE": str(key),
                    "NUM_PARTITIONS": str(self.agreed.silos),
                    "PARTITION_ID": str(each),
                    "RUNTIME_PORT": str(free_port()),
                    "STORE_FOLDER": str(folder / "store"),
                    "TERMS": self.agreed.model_dump_json(),
                    "TRUSTED_ENTITIES": json.dumps({ENTITY: _public(self._entity)}),
                },
            )
        self._until(lambda: len(self.control.online()) == self.agreed.silos, "not every silo came")

    def learn(self, told: Callable[[list[dict[str, Any]]], None]) -> list[dict[str, Any]]:
        """Run the app to its end; ``told`` hears of each round.

        Raises:
            FederatedError: it failed; the message is what the ServerApp said.
        """
        app: SignedApp = signed_app.signed(signed_app.built(), self._entity, ENTITY)
        self.control.bring(app)
        run = self.control.start(
            app, {"settings": self.agreed.model_dump_json(), "results": str(self.results)}
        )
        seen = 0
        while True:
            status, why = self.control.status(run)
            rounds = table.rounds_in(self.results)
            for number in range(seen, len(rounds)):
                told(rounds[: number + 1])
            seen = len(rounds)
            if status.startswith("finished"):
                break
            self._watch()
            time.sleep(LOOK_SECONDS)
        if (failed := self.results / "failed.txt").exists():
            raise FederatedError(failed.read_text().strip())
        if status != "finished:completed":
            raise FederatedError(f"the run is {status}: {why or self._last('server')}")
        return rounds

    def _start(self, name: str, said: dict[str, str]) -> None:
        command = (sys.executable, "-m", "services.federated", "server" if name == "server" else "silo")
        state = self.folder / f"{name}-state"
        with_state = {**environment(state / "home"), "STATE_FOLDER": str(state), **said}
        self._running.start(name, command, with_state, self.folder / f"{name}.log")

    def _until(self, good: Callable[[], bool], otherwise: str) -> None:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            self._watch()
            try:
                if good():
                    return
            except FederatedError:
                pass  # it does not answer yet
            time.sleep(LOOK_SECONDS)
        raise FederatedError(f"{otherwise}; the server said: {self._last('server')}")

    def _watch(self) -> None:
        over = self._running.ended()
        if over is not None:
            raise FederatedError(f"{over} is over: {self._last(over)}")

    def _last(self, name: str) -> str:
        lines = (self.folder / f"{name}.log").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "nothing"


def terms(mode: str, *, silos: int, rounds: int) -> Settings:
    """Return the terms of a mode.

    Raises:
        FederatedError: they contradict each other.
    """
    said = {"silos": silos, "rounds": rounds, "threshold": _threshold(mode, silos), **MODES[mode]}
    return settings.read(json.dumps(said))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a federation from start to end; whatever is wrong is one line on standard error."""
    asked = _parser().parse_args(arguments)
    try:
        return _main(asked)
    except FederatedError as error:
        sys.stderr.write(f"federated: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("federated: stopped; nothing is left running\n")
        return 130


def _main(asked: argparse.Namespace) -> int:
    agreed = _agreed(asked)
    out: Path = asked.out
    if out.exists():
        raise FederatedError(
            f"--out: {out} is already there, and nothing is overwritten; name another folder"
        )
    with tempfile.TemporaryDirectory() as name, Shown(quiet=asked.format == "json") as shown:
        folder = Path(name)
        with Federation(folder, agreed) as federation:
            shown.begins(f"Starting a server and {agreed.silos} silos")
            federation.serve()
            federation.join()
            shown.begins(f"All are there; {agreed.rounds} rounds, some seconds each")
            rounds = federation.learn(lambda so_far: shown.round(so_far, agreed.rounds))
        digest = _kept(out, federation, agreed)
    return _report(asked.format, rounds, digest, out, federation)


def _kept(out: Path, federation: Federation, agreed: Settings) -> str:
    """Leave the signed candidate, and whose signature it is."""
    out.mkdir(parents=True)
    try:
        private, _ = make_keys(federation.folder, "federation")
        digest = candidate.write(
            out / "candidate", federation.results, agreed, DIGITS, samples.held_out(), file_signer(private)
        )
        shutil.copy(federation.folder / "federation.pub", out)
    except BaseException:
        shutil.rmtree(out)
        raise
    return digest


def _report(how: str, rounds: list[dict[str, Any]], digest: str, out: Path, federation: Federation) -> int:
    said = json.loads((out / "candidate" / "model" / "card.json").read_bytes())
    if how == "json":
        sys.stdout.write(
            json.dumps({"digest": digest, "candidate": str(out / "candidate"), "rounds": rounds}) + "\n"
        )
        return 0
    from rich.console import Console

    console = Console(file=sys.stdout)
    console.print(table.table(rounds))
    console.print(said["limits"], highlight=False)
    console.print(f"\n{digest}\n{out}/candidate, signed; {out}/federation.pub verifies it:", highlight=False)
    console.print(
        f"python -m services.modelchain verify {out}/candidate --key {out}/federation.pub",
        highlight=False,
        soft_wrap=True,
    )
    del federation
    return 0


def _agreed(asked: argparse.Namespace) -> Settings:
    if asked.terms is None:
        return terms(asked.mode, silos=asked.silos, rounds=asked.rounds)
    try:
        return settings.read(asked.terms.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise FederatedError(f"--terms: {asked.terms} cannot be read: {error}") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m services.federated.local",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--mode",
        choices=tuple(MODES),
        default="secagg-dp",
        help="what protects updates and rows (default: secagg-dp)",
    )
    parser.add_argument("--silos", type=int, default=3, help="how many take part (default: 3)")
    parser.add_argument("--rounds", type=int, default=5, help="how often they do (default: 5)")
    parser.add_argument(
        "--terms", type=Path, metavar="FILE", help="the federation's terms in JSON, instead of all those"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("build/federated"),
        help="where the candidate goes (default: build/federated)",
    )
    parser.add_argument("--format", choices=("table", "json"), default="table", help="of what is printed")
    return parser


def _threshold(mode: str, silos: int) -> int:
    # More than half must answer; Krum compares, and needs all.
    return silos if mode in ("krum", "median") else silos // 2 + 1


def _aggregation(agreed: Settings) -> str:
    return "required" if agreed.protection == "secure-aggregation" else "optional"


def _name(number: int) -> str:
    return f"silo-{number + 1}"


def _public(key: Path) -> str:
    return Path(f"{key}.pub").read_text().strip()


if __name__ == "__main__":
    raise SystemExit(main())
