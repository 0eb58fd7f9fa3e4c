"""The ServerApp: reads the terms, runs the rounds, leaves the model and what is to be said of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from services.federated import rounds, settings
from services.federated.errors import FederatedError
from services.federated.rounds import Round
from services.federated.settings import Settings

RESULTS, REQUIRED = "FEDERATED_RESULTS", "FEDERATED_SECURE_AGGREGATION"
"""In the server's environment."""

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run a federation.

    Raises:
        FederatedError: it failed; ``failed.txt`` says why.
    """
    run(grid, context, os.environ)


def run(grid: Grid, context: Context, environment: Mapping[str, str]) -> None:
    """Run a federation, and leave what ``services.federated`` says in its folder."""
    folder = _folder(context, environment)

    def told(done: Round) -> None:
        with (folder / "rounds.jsonl").open("a") as file:
            file.write(rounds.line(done))

    try:
        agreed = settings.read(str(context.run_config.get("settings", "")))
        _allowed(agreed, environment)
        rounds.federate(grid, context, agreed, told=told).write(folder)
    except FederatedError as error:
        (folder / "failed.txt").write_text(f"{error}\n")
        raise


def _folder(context: Context, environment: Mapping[str, str]) -> Path:
    said = str(context.run_config.get("results") or environment.get(RESULTS) or "")
    if not said:
        raise FederatedError(f"results: is empty, and {RESULTS} is not set; name a folder")
    folder = Path(said)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in ("failed.txt", "model.safetensors", "result.json", "rounds.jsonl"):
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise FederatedError(f"results: {folder} cannot be written to: {error.strerror}") from None
    return folder


def _allowed(agreed: Settings, environment: Mapping[str, str]) -> None:
    if environment.get(REQUIRED, "required") == "required" and agreed.protection != "secure-aggregation":
        raise FederatedError(
            f"settings.protection: is {agreed.protection}, and this server takes secure-aggregation alone"
        )
