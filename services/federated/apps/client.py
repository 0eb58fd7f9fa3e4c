"""The ClientApp: holds each message to the silo's own terms, trains on its rows, sends what was agreed and no more.

No number about the silo leaves it but the update: no row count, no loss, no accuracy.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from flwr.app import ConfigRecord, Context, Message
from flwr.app.message_type import MessageType
from flwr.client import Client
from flwr.clientapp import ClientApp
from flwr.common import (
    Code,
    EvaluateIns,
    EvaluateRes,
    FitIns,
    FitRes,
    Status,
    ndarrays_to_parameters,
    parameters_to_ndarrays,
)

from services.federated import models, opening, privacy, secure_aggregation, settings, silo_store
from services.federated.errors import FederatedError
from services.federated.homomorphic import KeyHolder
from services.federated.models import Arrays
from services.federated.settings import Settings

HOMOMORPHIC_KEY = "HOMOMORPHIC_KEY_FILE"
"""In the silo's environment, where homomorphic encryption was agreed."""

ANSWERED, OPENED = "services.federated.answered", "services.federated.opened"
"""Where the silo keeps its own count: of updates it gave, and the last round whose sum it opened."""

OK = Status(Code.OK, "")

Examples = Callable[[Context], tuple[np.ndarray, np.ndarray]]


class SiloClient(Client):
    """One silo, for one message."""

    def __init__(self, terms: Settings, examples: Examples, context: Context) -> None:
        """Keep what was agreed and where the rows are."""
        self._terms, self._examples, self._context = terms, examples, context
        self._net = models.network(terms)

    def fit(self, ins: FitIns) -> FitRes:
        """Return an update: in clear or encrypted here, masked by who called."""
        arrays = self._parameters(ins)
        x, y = _rows(self._terms, *self._examples(self._context))
        count_this_round(self._terms, self._context, ins.config.get("round"))
        vector = privacy.update(self._terms, self._net, arrays, x, y)
        if self._terms.protection == "homomorphic":
            sent = [opening.sealed(_key().encrypt(vector))]
        else:
            sent = models.shaped(vector, self._net.shapes)
        return FitRes(OK, ndarrays_to_parameters(sent), num_examples=1, metrics={})

    def evaluate(self, ins: EvaluateIns) -> EvaluateRes:
        """Open the sum of a round; nothing is evaluated."""
        if self._terms.protection != "homomorphic":
            raise FederatedError("round: there is no sum to open, as was agreed")
        added, number = ins.config.get(opening.ADDED), ins.config.get(opening.ROUND)
        if not isinstance(added, int) or not self._terms.threshold <= added <= self._terms.silos:
            raise FederatedError(
                f"round: a sum of {added!r} is not opened; {self._terms.threshold} were agreed"
            )
        _next(self._context, OPENED, number)
        total = parameters_to_ndarrays(ins.parameters)[0].tobytes()
        opened = _key().open(total)
        return EvaluateRes(OK, 0.0, 1, {opening.SUM: opened.astype("<f8").tobytes()})

    def _parameters(self, ins: FitIns) -> Arrays:
        arrays = parameters_to_ndarrays(ins.parameters)
        if [array.shape for array in arrays] != self._net.shapes or not all(
            array.dtype == np.float32 and np.isfinite(array).all() for array in arrays
        ):
            raise FederatedError("round: the server's parameters are not finite, or not of the agreed shapes")
        return arrays


def made(examples: Examples) -> ClientApp:
    """Return the app of a silo whose rows come from ``examples``."""

    def client(context: Context) -> Client:
        return SiloClient(terms(context), examples, context)

    def held(message: Message, context: Context, train: Callable[[Message, Context], Message]) -> Message:
        agreed = terms(context)
        if message.metadata.message_type not in (MessageType.TRAIN, MessageType.EVALUATE):
            raise FederatedError(f"round: {message.metadata.message_type} was not agreed")
        if agreed.protection == "secure-aggregation" and message.metadata.message_type == MessageType.TRAIN:
            return secure_aggregation.silo(agreed, message, context, train)
        return train(message, context)

    return ClientApp(client_fn=client, mods=[held])


def terms(context: Context) -> Settings:
    """Return what the silo agreed to, which has to be what the run is about.

    Raises:
        FederatedError: the two differ, or one cannot be read.
    """
    path = Path(str(context.node_config.get("silo-terms", "")))
    try:
        agreed = settings.read(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise FederatedError(f"silo-terms: cannot be read: {type(error).__name__}") from None
    if settings.read(str(context.run_config.get("settings", ""))) != agreed:
        raise FederatedError("settings: are not what this silo agreed to; nothing is sent")
    return agreed


def count_this_round(agreed: Settings, context: Context, number: object) -> None:
    """Count an update that is about to be given, in the silo's own ledger, whatever comes of it.

    Raises:
        FederatedError: one was given for this round or a later one, or the budget is spent.
    """
    given = _next(context, ANSWERED, number)
    if given > agreed.rounds or not privacy.Ledger(agreed).affords(given):
        raise FederatedError("privacy: this silo's budget for the run is spent; nothing is sent")


def _next(context: Context, name: str, number: object) -> int:
    """Return how many rounds were counted under a name, this one included; each counts once."""
    before = context.state.config_records.get(name, ConfigRecord({"last": 0, "count": 0}))
    last, count = before["last"], before["count"]
    if not isinstance(number, int) or not isinstance(last, int) or number <= last:
        raise FederatedError(f"round {number}: was answered already; nothing is sent twice")
    counted = int(str(count)) + 1
    context.state.config_records[name] = ConfigRecord({"last": number, "count": counted})
    return counted


def _rows(agreed: Settings, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the silo's rows, once they fit what was agreed; the message says nothing of them."""
    x = np.asarray(x, np.float32).reshape(len(x), -1) if len(x) else np.zeros((0, 0), np.float32)
    fits = len(x) and x.shape == (len(y), agreed.inputs) and np.isfinite(x).all()
    if not fits or y.min() < 0 or y.max() >= agreed.classes:
        raise FederatedError(
            "silo-store: its rows do not have the agreed number of finite values, or the agreed classes"
        )
    return x, y


def _key() -> KeyHolder:
    path = os.environ.get(HOMOMORPHIC_KEY)
    if not path:
        raise FederatedError(f"{HOMOMORPHIC_KEY}: is not set, and homomorphic encryption was agreed")
    return KeyHolder(Path(path))


def _stored(context: Context) -> tuple[np.ndarray, np.ndarray]:
    return silo_store.opened(Path(str(context.node_config["silo-store"]))).examples()


app = made(_stored)
