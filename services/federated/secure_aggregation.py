"""Secure aggregation: the server learns the sum of the silos' updates, and of a single one nothing.

SecAgg+ (Bell et al., "Secure Single-Server Aggregation with (Poly)Logarithmic Overhead", CCS 2020) as Flower has it: each
silo adds to its quantised update a mask of its own and one with each other silo, which cancel in the sum. Shares of the
seeds lie with the other silos, so that masks of who dropped out can be taken off, by ``threshold`` silos and no fewer.

Three things are done otherwise than in Flower 1.41:

- Flower stretches a seed of 32 bytes to a mask by folding it to 32 *bits*, for a generator that is no cryptographic one.
  Whoever knows an update roughly, as a server does, finds masks by trying. Here a mask is AES-256 in counter mode under a
  hash of the whole seed. Both ends have to agree, so an end that runs Flower's own adds up noise.
- Flower's silo does what the server asks. Here it holds the server to what was agreed, and never gives both shares of one
  silo: one takes the silo's own mask off, the other its masks with others, and both together everything.
- Flower's round fails when a silo leaves before it has shared its keys; here it goes on without.

What a silo cannot see is whether the others exist: public keys come through the server, unsigned. A server that invents
silos, and does not merely listen, reads what the real ones send. Local differential privacy holds against that one too.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from flwr.app import ConfigRecord, Context, Message
from flwr.client.mod import secaggplus_mod
from flwr.common.secure_aggregation.secaggplus_constants import RECORD_KEY_CONFIGS, Key, Stage
from flwr.server.compat.legacy_context import LegacyContext
from flwr.server.workflow import SecAggPlusWorkflow
from flwr.server.workflow.secure_aggregation.secaggplus_workflow import WorkflowState
from flwr.serverapp.grid import Grid

from services.federated import privacy
from services.federated.errors import FederatedError
from services.federated.settings import Settings
from services.federated.updates import SIGMAS

QUANTA = 2**22
"""Steps that a value is rounded to within its range; Flower's default."""

MODULUS = 2**32
"""Of what is sent."""

WEIGHT = 1.0
"""Of every silo. Flower sends the weight in clear beside the masked update, and the number of rows is the silo's own."""

OFFERED = "services.federated.offered"
"""Where the silos of this round are kept between two messages."""


def value_range(settings: Settings) -> float:
    """Return the largest value that is sent as it is; it leaves room for noise, which must not be cut off."""
    return settings.update_norm + SIGMAS * privacy.deviation(settings)


def workflow(settings: Settings) -> SecAggPlusWorkflow:
    """Return the server's part of a round."""
    return _Workflow(
        num_shares=1.0,
        reconstruction_threshold=settings.threshold,
        max_weight=WEIGHT,
        clipping_range=value_range(settings),
        quantization_range=QUANTA,
        modulus_range=MODULUS,
        timeout=settings.seconds,
    )


class _Workflow(SecAggPlusWorkflow):
    """Flower's, which survives silos that leave early too: who shared no key has no mask that anybody took part in."""

    def setup_stage(self, grid: Grid, context: LegacyContext, state: WorkflowState) -> bool:
        """Collect public keys."""
        return super().setup_stage(grid, context, state) and self._without_absent(state)

    def share_keys_stage(self, grid: Grid, context: LegacyContext, state: WorkflowState) -> bool:
        """Collect shares."""
        return super().share_keys_stage(grid, context, state) and self._without_absent(state)

    def _without_absent(self, state: WorkflowState) -> bool:
        # Flower would ask for shares of theirs at the end, which nobody has.
        there = set(state.active_node_ids)
        state.sampled_node_ids = there
        state.nid_to_neighbours = {node: state.nid_to_neighbours[node] & there for node in there}
        return self._check_threshold(state)


def silo(
    settings: Settings, message: Message, context: Context, train: Callable[[Message, Context], Message]
) -> Message:
    """Do the silo's part of one message.

    Raises:
        FederatedError: the server asks for something else than was agreed.
        KeyError, TypeError, ValueError: the message is none of SecAgg+, or none of this stage.
    """
    if RECORD_KEY_CONFIGS not in message.content.config_records:
        raise FederatedError(
            "round: secure aggregation was agreed, and the server asks for an update in clear"
        )
    asked = message.content.config_records[RECORD_KEY_CONFIGS]
    stage = asked.get(Key.STAGE)
    if stage == Stage.SETUP:
        _as_agreed(settings, asked)
    elif stage == Stage.SHARE_KEYS:
        _enough_keys(settings, asked, context)
    elif stage == Stage.UNMASK:
        _one_share_each(settings, asked, context, message.metadata.dst_node_id)
    return secaggplus_mod(message, context, train)


def mask(seed: bytes, modulus: int, shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    """Return int64 arrays of those shapes, uniform below the modulus, that only who has the seed can make.

    Args:
        seed: A secret of 32 random bytes or more, used for one mask.
        modulus: A power of two, 2^32 at most.
        shapes: Of the arrays.
    """
    sizes = [int(np.prod(shape)) for shape in shapes]
    key = hashlib.sha256(b"mask\0" + seed).digest()
    stream = Cipher(AES(key), CTR(bytes(16))).encryptor().update(bytes(4 * sum(sizes)))
    words = np.frombuffer(stream, "<u4").astype(np.int64) & (modulus - 1)
    return [
        part.reshape(shape)
        for part, shape in zip(np.split(words, np.cumsum(sizes)[:-1]), shapes, strict=True)
    ]


def _replace_masks() -> None:
    """Make both ends use ``mask``; an end of Flower that has none any more stops the import."""
    for name in (secaggplus_mod.__module__, SecAggPlusWorkflow.__module__):
        module = sys.modules[name]
        if not hasattr(module, "pseudo_rand_gen"):
            raise ImportError(f"{name} makes masks in another way than Flower 1.41; look at it anew")
        setattr(module, "pseudo_rand_gen", mask)  # noqa: B010


_replace_masks()


def _as_agreed(settings: Settings, asked: ConfigRecord) -> None:
    agreed: dict[str, Any] = {
        Key.THRESHOLD: settings.threshold,
        Key.CLIPPING_RANGE: value_range(settings),
        Key.TARGET_RANGE: QUANTA,
        Key.MOD_RANGE: MODULUS,
        Key.MAX_WEIGHT: WEIGHT,
    }
    for key, value in agreed.items():
        if asked.get(key) != value:
            raise FederatedError(f"round: the server asks for another {key} than was agreed")
    silos = asked.get(Key.SAMPLE_NUMBER)
    if not isinstance(silos, int) or not settings.threshold <= silos <= settings.silos:
        raise FederatedError(
            f"round: {silos!r} silos are asked; {settings.threshold} to {settings.silos} were agreed"
        )
    if asked.get(Key.SHARE_NUMBER) != silos:
        raise FederatedError("round: the server asks for another number of shares than of silos")


def _enough_keys(settings: Settings, asked: ConfigRecord, context: Context) -> None:
    offered = sorted(int(key) for key in asked if key != Key.STAGE)
    if not settings.threshold <= len(offered) <= settings.silos:
        raise FederatedError(
            f"round: keys of {len(offered)} silos came; {settings.threshold} to {settings.silos} were agreed"
        )
    context.state.config_records[OFFERED] = ConfigRecord({"silos": offered})


def _one_share_each(settings: Settings, asked: ConfigRecord, context: Context, own: int) -> None:
    answered = _ids(asked.get(Key.ACTIVE_NODE_ID_LIST))
    dropped = _ids(asked.get(Key.DEAD_NODE_ID_LIST))
    offered = context.state.config_records.get(OFFERED, ConfigRecord({"silos": []}))["silos"]
    both = answered + dropped
    if len(set(both)) < len(both):
        raise FederatedError("round: the server asks for two shares of one silo, which would unmask it")
    if own not in answered or not set(both) <= set(_ids(offered)):
        raise FederatedError("round: the server asks for shares of silos that it did not name before")
    if len(answered) < settings.threshold:
        raise FederatedError(f"round: {len(answered)} silos answered; {settings.threshold} were agreed")
    # A second question, with the two lists exchanged, would be answered by nobody.
    del context.state.config_records[OFFERED]


def _ids(value: object) -> list[int]:
    return [each for each in value if isinstance(each, int)] if isinstance(value, list) else []
