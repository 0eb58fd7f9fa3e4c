"""Silos that leave within the threshold are survived; below it the round fails, and what was sent stays noise."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.common.secure_aggregation.crypto.shamir import combine_shares
from flwr.common.secure_aggregation.secaggplus_constants import (
    RECORD_KEY_CONFIGS,
    RECORD_KEY_STATE,
    Key,
    Stage,
)

from services.federated import models
from services.federated.errors import FederatedError
from services.federated.secure_aggregation import QUANTA, value_range
from tests.services.federated.inprocess import Silos, collected, honest, settings, stage
from tests.services.federated.test_seen import told_from_noise

AGREED = settings(protection="secure-aggregation", model="mlp", rounds=1, silos=5, threshold=4)

STAGES = (Stage.SETUP, Stage.SHARE_KEYS, Stage.COLLECT_MASKED_VECTORS, Stage.UNMASK)


@pytest.mark.parametrize("at", STAGES)
def test_one_silo_that_leaves_is_survived_at_every_stage(at: str) -> None:
    silos = Silos(AGREED, gone=lambda silo, message: silo == 2 and stage(message) == at)
    outcome = silos.federate()
    # Who left after its vector had arrived is in the sum.
    added = [0, 1, 2, 3, 4] if at == Stage.UNMASK else [0, 1, 3, 4]
    wanted = sum(honest(AGREED, number) for number in added) / len(added)
    moved = models.flat(outcome.arrays) - models.flat(models.initial(models.network(AGREED), AGREED.seed))
    assert np.abs(moved - wanted).max() < 4 * 2 * value_range(AGREED) / QUANTA
    assert outcome.rounds[0].silos == len(added)


@pytest.mark.parametrize("at", STAGES)
def test_two_that_leave_fail_the_round_and_nothing_is_revealed(at: str) -> None:
    silos = Silos(AGREED, gone=lambda silo, message: silo in (2, 3) and stage(message) == at)
    with pytest.raises(FederatedError, match="round 1: fewer silos answered"):
        silos.federate()
    for number, vector in collected(silos).items():
        assert not told_from_noise(vector, honest(AGREED, number))
    asked_to_unmask = any(stage(message) == Stage.UNMASK for message in silos.sent)
    assert asked_to_unmask == (at == Stage.UNMASK)


def test_fewer_shares_than_the_threshold_do_not_open_a_mask() -> None:
    silos = Silos(AGREED, gone=lambda silo, message: silo in (2, 3) and stage(message) == Stage.UNMASK)
    with pytest.raises(FederatedError):
        silos.federate()
    shares = _shares(silos, silos.nodes[0])
    assert len(shares) == AGREED.threshold - 1
    assert _opened(shares) != _seed(silos, silos.nodes[0])
    whole = Silos(AGREED)
    whole.federate()
    assert _opened(_shares(whole, whole.nodes[0])[: AGREED.threshold]) == _seed(whole, whole.nodes[0])


def test_a_server_that_wants_both_shares_of_a_silo_gets_none() -> None:
    def both(_silo: int, message: Message) -> None:
        if stage(message) == Stage.UNMASK:
            asked = message.content.config_records[RECORD_KEY_CONFIGS]
            asked[Key.DEAD_NODE_ID_LIST] = [1000]

    silos = Silos(AGREED, asked=both)
    with pytest.raises(FederatedError):
        silos.federate()
    assert set(silos.said) == {"round: the server asks for two shares of one silo, which would unmask it"}
    assert _shares(silos, 1000) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (Key.THRESHOLD, 1),
        (Key.THRESHOLD, 2),
        (Key.SHARE_NUMBER, 3),
        (Key.SAMPLE_NUMBER, 3),
        (Key.CLIPPING_RANGE, 1e9),
        (Key.TARGET_RANGE, 2**31),
        (Key.MOD_RANGE, 2),
        (Key.MAX_WEIGHT, 1e-9),
    ],
)
def test_a_server_that_asks_for_less_protection_gets_nothing(key: str, value: float) -> None:
    def weaker(_silo: int, message: Message) -> None:
        if stage(message) == Stage.SETUP:
            message.content.config_records[RECORD_KEY_CONFIGS][key] = value

    silos = Silos(AGREED, asked=weaker)
    with pytest.raises(FederatedError):
        silos.federate()
    assert len(silos.said) == 5
    assert collected(silos) == {}


def test_a_server_that_names_few_silos_gets_no_vectors() -> None:
    def few(_silo: int, message: Message) -> None:
        if stage(message) == Stage.SHARE_KEYS:
            asked = message.content.config_records[RECORD_KEY_CONFIGS]
            for key in list(asked)[:3]:
                if key != Key.STAGE and key != str(message.metadata.dst_node_id):
                    del asked[key]

    silos = Silos(AGREED, asked=few)
    with pytest.raises(FederatedError):
        silos.federate()
    assert all("keys of" in said for said in silos.said)
    assert collected(silos) == {}


def test_a_server_that_asks_in_clear_gets_nothing() -> None:
    silos = Silos(AGREED)
    answer = silos.ask(1000, RecordDict())
    assert answer is not None
    assert answer.has_error()
    assert silos.said == ["round: secure aggregation was agreed, and the server asks for an update in clear"]


def test_a_run_that_is_not_what_the_silo_agreed_to_gets_nothing() -> None:
    silos = Silos(AGREED, run=AGREED.model_copy(update={"threshold": 3}))
    with pytest.raises(FederatedError):
        silos.federate()
    assert set(silos.said) == {"settings: are not what this silo agreed to; nothing is sent"}
    assert not any(message.has_content() for message in silos.received)


def test_a_round_is_answered_once() -> None:
    silos = Silos(settings(rounds=2))
    silos.federate()
    again = [message for message in silos.sent if message.metadata.dst_node_id == 1000]
    for message in again:
        answer = silos.ask(1000, message.content)
        assert answer is not None
        assert answer.has_error()
    assert len(silos.said) == 2
    assert "was answered already" in silos.said[0]


@pytest.mark.parametrize("kind", ["query", "train.other", "evaluate"])
def test_other_questions_get_no_answer(kind: str) -> None:
    silos = Silos(settings())
    answer = silos.ask(1000, RecordDict({"fitins": ConfigRecord({})}), kind)
    assert answer is not None
    assert answer.has_error()


def test_too_few_silos_do_not_begin() -> None:
    silos = Silos(settings(silos=3, threshold=3, seconds=0.3))
    silos.nodes = silos.nodes[:2]
    with pytest.raises(FederatedError, match="silos: 2 are there; 3 were agreed"):
        silos.federate()


def _shares(silos: Silos, of: int) -> list[bytes]:
    """Return the shares of a silo's seed that the server got."""
    found: list[bytes] = []
    for message in silos.received:
        if not message.has_content() or RECORD_KEY_CONFIGS not in message.content.config_records:
            continue
        said = message.content.config_records[RECORD_KEY_CONFIGS]
        nodes = cast(list[int], said.get(Key.NODE_ID_LIST, []))
        shares = cast(list[bytes], said.get(Key.SHARE_LIST, []))
        found += [share for node, share in zip(nodes, shares, strict=True) if node == of]
    return found


def _opened(shares: list[bytes]) -> bytes | None:
    try:
        return combine_shares(shares)
    except ValueError:
        return None


def _seed(silos: Silos, node: int) -> bytes:
    """Return a silo's own seed, from its memory."""
    return cast(bytes, silos.contexts[node].state.config_records[RECORD_KEY_STATE]["rd_seed"])
