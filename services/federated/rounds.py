"""The server's part: ask the silos, put their updates together as was agreed, write down what came of it, stop in time.

Flower's own loop knows neither a privacy budget nor a deadline for answers, and goes on after a round that failed; its
workflows and strategies are used inside this one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from flwr.app import ConfigRecord, Context, Message
from flwr.common import FitIns, FitRes, Parameters, ndarrays_to_parameters, parameters_to_ndarrays
from flwr.common.serde import recorddict_to_proto
from flwr.compat.common import recorddict_compat as compat
from flwr.server import ServerConfig
from flwr.server.client_manager import ClientManager
from flwr.server.client_proxy import ClientProxy
from flwr.server.compat.grid_client_proxy import GridClientProxy
from flwr.server.compat.legacy_context import LegacyContext
from flwr.server.strategy import FedAvg
from flwr.server.workflow.constant import MAIN_CONFIGS_RECORD, MAIN_PARAMS_RECORD
from flwr.server.workflow.constant import Key as WorkflowKey
from flwr.server.workflow.default_workflows import default_fit_workflow
from flwr.serverapp.grid import Grid
from safetensors.numpy import save

from services.federated import models, opening, privacy, protections, robust, samples, secure_aggregation
from services.federated.errors import FederatedError
from services.federated.models import Arrays
from services.federated.settings import Settings
from services.federated.updates import allowed, check
from services.shared.randomness import ABOUT

POLL_SECONDS = 0.2
"""Between two looks at how many silos are there."""

Stopped = Literal["rounds", "budget"]


@dataclass(frozen=True, kw_only=True)
class Round:
    """A line of ``rounds.jsonl``."""

    round: int
    silos: int
    """Whose updates are in the model."""
    loss: float | None
    accuracy: float | None
    """On what the server holds; no silo says how it fares."""
    epsilon: float | None
    delta: float | None
    """Revealed so far, this round included."""
    bytes: int
    """Of what was said in the round, by all silos and to all, in Flower's encoding and without TLS."""
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a federation came to."""

    arrays: Arrays
    rounds: list[Round]
    stopped: Stopped
    settings: Settings

    def privacy(self) -> dict[str, Any]:
        """Return ``privacy.json`` of the model's candidate."""
        agreed = self.settings.privacy
        if agreed is None:
            return {"reason_for_none": protections.NO_NOISE}
        record = agreed.of == "record"
        return {
            "epsilon": self.rounds[-1].epsilon,
            "delta": agreed.delta,
            "accountant": privacy.ACCOUNTANT,
            "max_grad_norm": agreed.record_norm if record else self.settings.update_norm,
            "noise_multiplier": agreed.noise_multiplier,
            "noise_generator": ABOUT,
        }

    def write(self, folder: Path) -> None:
        """Write the parameters, then ``result.json``, whose being there says that all is."""
        names = [f"{kind}{i}" for i in range(len(self.arrays) // 2) for kind in ("weights", "biases")]
        arrays = {name: np.ascontiguousarray(array) for name, array in zip(names, self.arrays, strict=True)}
        (folder / "model.safetensors").write_bytes(save(arrays))
        said = {
            "stopped": self.stopped,
            "privacy": self.privacy(),
            "statement": protections.statement(self.settings),
        }
        (folder / "result.json").write_text(json.dumps(said, indent=1))


class Updates(FedAvg):
    """The strategy: takes updates, not parameters; checks what it can read; adds the server's noise, where it has any."""

    def __init__(self, settings: Settings, grid: Grid, run_id: int) -> None:
        """Begin with the first parameters."""
        super().__init__()
        self._settings, self._grid, self._run_id = settings, grid, run_id
        self._net = models.network(settings)
        self._inner = robust.strategy(settings)
        self.arrays = models.initial(self._net, settings.seed)
        self.added = 0
        """Silos whose updates are in the last round's parameters; 0 if it came to none."""

    def configure_fit(
        self,
        server_round: int,
        parameters: Parameters,
        client_manager: ClientManager,  # noqa: ARG002 - Flower's own list comes from a thread of its own
    ) -> list[tuple[ClientProxy, FitIns]]:
        """Ask every silo that is there."""
        asked = FitIns(parameters, {"round": server_round})
        nodes = sorted(self._grid.get_node_ids())
        if len(nodes) > self._settings.silos:
            raise FederatedError(f"silos: {len(nodes)} are enrolled, and {self._settings.silos} were agreed")
        return [(GridClientProxy(node, self._grid, self._run_id), asked) for node in nodes]

    def aggregate_fit(
        self,
        server_round: int,
        results: list[tuple[ClientProxy, FitRes]],
        failures: list[Any],  # noqa: ARG002 - who failed is missing among the results
    ) -> tuple[Parameters | None, dict[str, Any]]:
        """Return the next parameters.

        Under secure aggregation and homomorphic encryption each result holds the mean already, so there is nothing to
        compare, and the norm is the mean's.

        Raises:
            FederatedError: too few updates are left, or their mean is longer than any honest one.
        """
        single = self._settings.protection == "clear"
        sound = [result for result in results if self._sound(result[1])] if single else results
        if len(sound) < self._settings.threshold:
            raise FederatedError(
                f"round {server_round}: {len(sound)} of {len(results)} updates are sound; "
                f"{self._settings.threshold} were agreed"
            )
        for _, result in sound:
            # One weight for all: a silo cannot claim more rows than another.
            result.num_examples = 1
        aggregated, _ = self._inner.aggregate_fit(server_round, sound, [])
        if aggregated is None:
            raise FederatedError(f"round {server_round}: came to nothing")
        mean = self._bounded(parameters_to_ndarrays(aggregated), len(sound))
        noise = (
            privacy.server_deviation(self._settings)
            / len(sound)
            * privacy.keystream().normals(self._net.size)
        )
        moved = models.shaped(models.flat(mean) + noise, self._net.shapes)
        self.arrays = [array + change for array, change in zip(self.arrays, moved, strict=True)]
        self.added = len(sound)
        return ndarrays_to_parameters(self.arrays), {}

    def _sound(self, result: FitRes) -> bool:
        try:
            arrays = parameters_to_ndarrays(result.parameters)
            check(arrays, self._net.shapes, norm=privacy.honest(self._settings, self._net.size))
        except (FederatedError, ValueError, EOFError, OSError, TypeError):
            return False
        return True

    def _bounded(self, mean: Arrays, silos: int) -> Arrays:
        """Hold the mean to the norm: independent noise in it is smaller by the root of how many there are."""
        deviation = privacy.deviation(self._settings) / np.sqrt(1 if self._settings.robust else silos)
        norm = allowed(self._settings.update_norm, deviation=deviation, size=self._net.size)
        return check(mean, self._net.shapes, norm=norm)


class Watched:
    """A grid that counts what is said, and waits for nobody longer than was agreed."""

    def __init__(self, grid: Grid, seconds: float) -> None:
        """Wrap a grid."""
        self._grid, self._seconds, self.bytes = grid, seconds, 0

    def __getattr__(self, name: str) -> Any:
        """Return whatever else a grid has."""
        return getattr(self._grid, name)

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Send messages and return the answers, those that came in time."""
        sent = list(messages)
        self.bytes += sum(_bytes(message) for message in sent)
        wait = self._seconds if timeout is None else min(timeout, self._seconds)
        answers = list(self._grid.send_and_receive(sent, timeout=wait))
        self.bytes += sum(_bytes(message) for message in answers)
        return answers


def federate(
    grid: Grid, context: Context, settings: Settings, *, told: Callable[[Round], None] = lambda _: None
) -> Outcome:
    """Run the rounds.

    Args:
        grid: Where the silos are.
        context: Of the ServerApp.
        settings: What was agreed.
        told: Is called after each round.

    Raises:
        FederatedError: too few silos answered, or what they sent is refused; or the budget covers no round at all.
    """
    watched = Watched(grid, settings.seconds)
    reached = cast(Grid, watched)
    strategy = Updates(settings, reached, context.run_id)
    legacy = LegacyContext(context, ServerConfig(num_rounds=settings.rounds), strategy)
    legacy.state.array_records[MAIN_PARAMS_RECORD] = compat.parameters_to_arrayrecord(
        ndarrays_to_parameters(strategy.arrays), keep_input=True
    )
    ledger, rounds = privacy.Ledger(settings), list[Round]()
    _gathered(reached, settings)
    for number in range(1, settings.rounds + 1):
        if not ledger.affords(number):
            break
        watched.bytes, started = 0, time.monotonic()
        _one(reached, legacy, settings, strategy, number)
        seconds = time.monotonic() - started
        loss, accuracy = _quality(settings, strategy.arrays)
        rounds.append(
            Round(
                round=number,
                silos=strategy.added,
                loss=loss,
                accuracy=accuracy,
                epsilon=ledger.epsilon(number),
                delta=settings.privacy.delta if settings.privacy else None,
                bytes=watched.bytes,
                seconds=seconds,
            )
        )
        told(rounds[-1])
    if not rounds:
        raise FederatedError(
            "settings.privacy.epsilon: covers not even one round; take more noise, or a larger epsilon"
        )
    stopped: Stopped = "rounds" if len(rounds) == settings.rounds else "budget"
    return Outcome(arrays=strategy.arrays, rounds=rounds, stopped=stopped, settings=settings)


def line(done: Round) -> str:
    """Return a round as a line of ``rounds.jsonl``."""
    return json.dumps(asdict(done)) + "\n"


def _one(grid: Grid, context: LegacyContext, settings: Settings, strategy: Updates, number: int) -> None:
    strategy.added = 0
    context.state.config_records[MAIN_CONFIGS_RECORD] = ConfigRecord(
        {WorkflowKey.CURRENT_ROUND: number, WorkflowKey.START_TIME: 0.0}
    )
    _workflow(settings)(grid, context)
    if not strategy.added:
        raise FederatedError(
            f"round {number}: fewer silos answered than the {settings.threshold} that were agreed; nothing was added up"
        )


def _workflow(settings: Settings) -> Callable[[Grid, Context], None]:
    if settings.protection == "secure-aggregation":
        return secure_aggregation.workflow(settings)
    if settings.protection == "homomorphic":
        return opening.workflow(settings)
    return default_fit_workflow


def _gathered(grid: Grid, settings: Settings) -> None:
    """Wait until all silos are there; go on with enough of them."""
    until = time.monotonic() + settings.seconds
    while (there := len(list(grid.get_node_ids()))) < settings.silos and time.monotonic() < until:
        time.sleep(POLL_SECONDS)
    if there < settings.threshold:
        raise FederatedError(f"silos: {there} are there; {settings.threshold} were agreed as the fewest")


def _quality(settings: Settings, arrays: Arrays) -> tuple[float | None, float | None]:
    if settings.held_out is None:
        return None, None
    return models.loss_and_accuracy(arrays, *samples.held_out())


def _bytes(message: Message) -> int:
    if not message.has_content():
        return 0
    return int(recorddict_to_proto(message.content).ByteSize())
