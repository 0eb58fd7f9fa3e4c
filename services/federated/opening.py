"""A round under homomorphic encryption: ciphertexts are added by the server, and the sum is opened by one of the silos."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from flwr.app import Context, Message
from flwr.app.message_type import MessageType
from flwr.common import Code, EvaluateIns, FitRes, ndarrays_to_parameters, parameters_to_ndarrays
from flwr.compat.common import recorddict_compat as compat
from flwr.server.client_proxy import ClientProxy
from flwr.server.compat.legacy_context import LegacyContext
from flwr.server.workflow.constant import MAIN_CONFIGS_RECORD, MAIN_PARAMS_RECORD
from flwr.server.workflow.constant import Key as WorkflowKey
from flwr.serverapp.grid import Grid

from services.federated import models
from services.federated.errors import FederatedError
from services.federated.homomorphic import MOST_BYTES, Adder
from services.federated.settings import Settings

SUM, ROUND, ADDED = "sum", "round", "added"
"""Names in what the silo that opens is told and says."""


def workflow(settings: Settings) -> Callable[[Grid, Context], None]:
    """Return the server's part of a round."""
    adder, net = Adder(), models.network(settings)

    def fit(grid: Grid, context: Context) -> None:
        if not isinstance(context, LegacyContext):
            raise TypeError("a LegacyContext is expected")
        number = int(str(context.state.config_records[MAIN_CONFIGS_RECORD][WorkflowKey.CURRENT_ROUND]))
        encrypted = _asked(grid, context, number, net.size, adder)
        if len(encrypted) < settings.threshold:
            return
        total = adder.add([ciphertext for _, _, ciphertext in encrypted])
        opened = _opened(grid, [node.node_id for node, _, _ in encrypted], total, len(encrypted), number)
        if opened.shape != (net.size,):
            raise FederatedError(f"round {number}: the sum that was opened has another size than the model")
        mean = ndarrays_to_parameters(models.shaped(opened / len(encrypted), net.shapes))
        results: list[tuple[ClientProxy, FitRes]] = []
        for node, result, _ in encrypted:
            result.parameters = mean
            results.append((node, result))
        parameters, _ = context.strategy.aggregate_fit(number, results, [])
        if parameters:
            context.state.array_records[MAIN_PARAMS_RECORD] = compat.parameters_to_arrayrecord(
                parameters, True
            )

    return fit


def sealed(ciphertext: bytes) -> np.ndarray:
    """Return a ciphertext as what a silo may send: an array of bytes."""
    return np.frombuffer(ciphertext, np.uint8)


def _asked(
    grid: Grid, context: LegacyContext, number: int, size: int, adder: Adder
) -> list[tuple[ClientProxy, FitRes, bytes]]:
    """Return what silos sent, as far as it may be a ciphertext."""
    record = context.state.array_records[MAIN_PARAMS_RECORD]
    parameters = compat.arrayrecord_to_parameters(record, keep_input=True)
    asked = context.strategy.configure_fit(number, parameters, context.client_manager)
    by_node = {proxy.node_id: proxy for proxy, _ in asked}
    messages = [
        Message(
            content=compat.fitins_to_recorddict(ins, True),
            dst_node_id=proxy.node_id,
            message_type=MessageType.TRAIN,
            group_id=str(number),
        )
        for proxy, ins in asked
    ]
    taken = []
    for answer in grid.send_and_receive(messages):
        if not answer.has_content():
            continue
        result = compat.recorddict_to_fitres(answer.content, False)
        ciphertext = _ciphertext(result)
        if result.status.code == Code.OK and ciphertext is not None and adder.fits(ciphertext, size):
            taken.append((by_node[answer.metadata.src_node_id], result, ciphertext))
    return taken


def _ciphertext(result: FitRes) -> bytes | None:
    try:
        arrays = parameters_to_ndarrays(result.parameters)
    except (ValueError, EOFError, OSError, TypeError):
        return None
    return arrays[0].tobytes() if len(arrays) == 1 and arrays[0].nbytes <= MOST_BYTES else None


def _opened(grid: Grid, nodes: list[int], total: bytes, added: int, number: int) -> np.ndarray:
    """Have the sum opened by the first of the silos that answers.

    Raises:
        FederatedError: none does.
    """
    for node in nodes:
        ins = EvaluateIns(ndarrays_to_parameters([sealed(total)]), {ROUND: number, ADDED: added})
        message = Message(
            content=compat.evaluateins_to_recorddict(ins, True),
            dst_node_id=node,
            message_type=MessageType.EVALUATE,
            group_id=str(number),
        )
        for answer in grid.send_and_receive([message]):
            if answer.has_content():
                said = compat.recorddict_to_evaluateres(answer.content).metrics.get(SUM)
                if isinstance(said, bytes) and len(said) % 8 == 0:
                    return np.frombuffer(said, "<f8")
    raise FederatedError(f"round {number}: no silo opened the sum")
