"""Silos in this process: the real ClientApp and mods behind a grid that keeps whatever the server sends and receives.

Only the transport is not Flower's; that one is tested with processes.
"""

from __future__ import annotations

import copy
import logging
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

import numpy as np
from flwr.app import Context, Message, RecordDict
from flwr.common import Error, bytes_to_ndarray, parameters_to_ndarrays
from flwr.common.secure_aggregation.secaggplus_constants import RECORD_KEY_CONFIGS, Key
from flwr.compat.common import recorddict_compat as compat
from flwr.serverapp.grid import Grid
from flwr.supercore.task_identity import TaskIdentity

from services.federated import models, rounds, samples
from services.federated.apps import client
from services.federated.privacy import update as updates_of
from services.federated.settings import Privacy, Settings

Examples = tuple[np.ndarray, np.ndarray]

# A process of Flower's is one task of one run; this one is the server's.
TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = 1, 1, 1

logging.getLogger("flwr").setLevel(logging.CRITICAL)

CLIENT_RAISED = 2
"""Flower's code for an app that raised."""


def settings(**changed: Any) -> Settings:
    """Return settings for three silos, in clear, with what is said here changed."""
    said = {"rounds": 3, "silos": 3, "threshold": 2, "protection": "clear", "seconds": 5.0, **changed}
    return Settings.model_validate(said)


def privacy(**changed: Any) -> dict[str, Any]:
    """Return central privacy of records, with what is said here changed."""
    said = {"mode": "central", "of": "record", "epsilon": 8.0, "delta": 1e-5, "noise_multiplier": 2.0}
    return {**said, "rows": 1437, **changed}


def stage(message: Message) -> str:
    """Return which stage of secure aggregation a message asks for; nothing if it is none."""
    records = message.content.config_records
    return str(records[RECORD_KEY_CONFIGS].get(Key.STAGE, "")) if RECORD_KEY_CONFIGS in records else ""


class Silos:
    """A grid whose nodes live here."""

    def __init__(
        self,
        agreed: Settings,
        examples: Callable[[int], Examples] | None = None,
        *,
        run: Settings | None = None,
        gone: Callable[[int, Message], bool] = lambda _silo, _message: False,
        asked: Callable[[int, Message], None] = lambda _silo, _message: None,
        changed: Callable[[int, Message, Message], Message] = lambda _silo, _asked, answer: answer,
    ) -> None:
        """Make silos.

        Args:
            agreed: Every silo's terms.
            examples: A silo's rows, by its number; the digits' partition if not given.
            run: What the operator submitted, where it is something else.
            gone: Whether a silo does not answer a message.
            asked: What a server that lies does to what it asks.
            changed: What a silo that lies answers instead.
        """
        found = examples or (lambda number: samples.partition(number, agreed.silos))
        self.app = client.made(lambda context: found(int(str(context.node_config["partition-id"]))))
        self.agreed, self._gone, self._asked, self._changed = agreed, gone, asked, changed
        self.nodes = [1000 + 7 * number for number in range(agreed.silos)]
        folder = Path(tempfile.mkdtemp())
        (folder / "terms.json").write_text(agreed.model_dump_json())
        config: dict[str, Any] = {"settings": (run or agreed).model_dump_json(), "results": str(folder)}
        self.contexts = {
            node: _context(node, {"partition-id": number, "silo-terms": str(folder / "terms.json")}, config)
            for number, node in enumerate(self.nodes)
        }
        self.server = _context(1, {}, config)
        self.sent: list[Message] = []
        self.received: list[Message] = []
        self.said: list[str] = []
        """Why silos refused."""

    def get_node_ids(self) -> list[int]:
        """Return the nodes."""
        return self.nodes

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        """Have each silo answer, as its node would."""
        assert timeout is not None, "the server would wait for ever"
        answers = [self._answer(message) for message in messages]
        return [answer for answer in answers if answer is not None]

    def federate(self) -> rounds.Outcome:
        """Run the rounds."""
        return rounds.federate(cast(Grid, self), self.server, self.agreed)

    def ask(self, node: int, content: RecordDict, kind: str = "train") -> Message | None:
        """Ask one silo something, as a server that does as it likes."""
        return self._answer(Message(content=content, dst_node_id=node, message_type=kind, group_id="1"))

    def _answer(self, message: Message) -> Message | None:
        number = self.nodes.index(message.metadata.dst_node_id)
        self.sent.append(copy.deepcopy(message))
        if self._gone(number, message):
            return None
        told = copy.deepcopy(message)
        self._asked(number, told)
        try:
            answer = self.app(told, self.contexts[message.metadata.dst_node_id])
        except Exception as error:
            self.said.append(str(error))
            answer = Message(Error(CLIENT_RAISED, type(error).__name__), reply_to=message)
        answer = self._changed(number, message, answer)
        self.received.append(copy.deepcopy(answer))
        return answer


def _context(node: int, told: dict[str, Any], config: dict[str, Any]) -> Context:
    return Context(run_id=1, node_id=node, node_config=told, state=RecordDict(), run_config=config)


def collected(silos: Silos) -> dict[int, np.ndarray]:
    """Return the masked vectors that the server received, int64[size], by the silo's number; the last round's."""
    masked = {}
    for message in silos.received:
        if message.has_content() and RECORD_KEY_CONFIGS in message.content.config_records:
            said = message.content.config_records[RECORD_KEY_CONFIGS].get(Key.MASKED_PARAMETERS)
            if isinstance(said, list):
                # The first is the weight.
                arrays = [bytes_to_ndarray(cast(bytes, each)) for each in said[1:]]
                masked[silos.nodes.index(message.metadata.src_node_id)] = np.concatenate(
                    [array.ravel() for array in arrays]
                )
    return masked


def plain(silos: Silos) -> dict[int, np.ndarray]:
    """Return the updates that the server received in clear, float64[size], by the silo's number; the last round's."""
    return {
        silos.nodes.index(message.metadata.src_node_id): models.flat(
            parameters_to_ndarrays(compat.recorddict_to_fitres(message.content, True).parameters)
        )
        for message in silos.received
        if message.has_content() and message.metadata.message_type == "train"
    }


def honest(agreed: Settings, number: int, examples: Examples | None = None) -> np.ndarray:
    """Return what a silo's first update is without noise, float64[size]."""
    bare = agreed.model_copy(update={"privacy": _noiseless(agreed)})
    net = models.network(agreed)
    x, y = examples or samples.partition(number, agreed.silos)
    return updates_of(bare, net, models.initial(net, agreed.seed), x, y)


def _noiseless(agreed: Settings) -> Privacy | None:
    if agreed.privacy is None:
        return None
    return agreed.privacy.model_copy(update={"noise_multiplier": 0.0})
