"""What the server sees of one silo under secure aggregation cannot be told from noise; without masks it can."""

from __future__ import annotations

import sys
from itertools import combinations

import numpy as np
import pytest
from flwr.client.mod import secaggplus_mod
from flwr.common import parameters_to_ndarrays
from flwr.common.secure_aggregation.quantization import quantize
from flwr.common.secure_aggregation.secaggplus_utils import pseudo_rand_gen
from flwr.compat.common import recorddict_compat as compat
from flwr.server.workflow import SecAggPlusWorkflow
from scipy import stats

from services.federated import models, secure_aggregation
from services.federated.secure_aggregation import MODULUS, QUANTA, mask, value_range
from tests.services.federated.inprocess import Silos, collected, honest, plain, settings

CHANCE = 1e-7
"""Of noise being taken for an update, by one of the tests."""

AGREED = settings(protection="secure-aggregation", model="mlp", rounds=2)


def told_from_noise(seen: np.ndarray, update: np.ndarray) -> bool:
    """Return whether what was seen, int64[size] below the modulus, is not uniform or goes with the true update."""
    counts, _ = np.histogram(seen, bins=64, range=(0, MODULUS))
    uniform = stats.chisquare(counts).pvalue > CHANCE
    even = stats.kstest(seen / MODULUS, "uniform").pvalue > CHANCE
    alike = stats.pearsonr(seen, update).pvalue < CHANCE or stats.spearmanr(seen, update).pvalue < CHANCE
    return bool(not uniform or not even or alike)


@pytest.fixture(scope="module")
def masked() -> Silos:
    silos = Silos(AGREED)
    silos.federate()
    assert silos.said == []
    return silos


def first_round(silos: Silos) -> dict[int, np.ndarray]:
    half = Silos(silos.agreed)
    half.received = silos.received[: len(silos.received) // silos.agreed.rounds]
    return collected(half)


def test_a_masked_update_cannot_be_told_from_noise(masked: Silos) -> None:
    seen = first_round(masked)
    assert sorted(seen) == [0, 1, 2]
    for number, vector in seen.items():
        assert not told_from_noise(vector, honest(AGREED, number))


def test_nor_can_two_updates_together_or_the_same_silo_in_two_rounds(masked: Silos) -> None:
    seen, later = first_round(masked), collected(masked)
    for one, other in combinations(seen, 2):
        assert not told_from_noise(
            (seen[one] + seen[other]) % MODULUS, honest(AGREED, one) + honest(AGREED, other)
        )
    for number, vector in seen.items():
        assert not told_from_noise((later[number] - vector) % MODULUS, honest(AGREED, number))


def test_what_comes_of_masked_updates_is_their_mean() -> None:
    everything = sum(honest(AGREED, number) for number in range(3))
    silos = Silos(AGREED.model_copy(update={"rounds": 1}))
    moved = models.flat(silos.federate().arrays) - models.flat(
        models.initial(models.network(AGREED), AGREED.seed)
    )
    assert np.abs(moved - everything / 3).max() < 4 * 2 * value_range(AGREED) / QUANTA


def test_without_masks_the_same_update_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(_seed: bytes, _modulus: int, shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
        return [np.zeros(shape, np.int64) for shape in shapes]

    for name in (secaggplus_mod.__module__, SecAggPlusWorkflow.__module__):
        monkeypatch.setattr(sys.modules[name], "pseudo_rand_gen", nothing)
    silos = Silos(AGREED.model_copy(update={"rounds": 1}))
    silos.federate()
    for number, vector in collected(silos).items():
        assert told_from_noise(vector, honest(AGREED, number))


def test_in_clear_the_same_update_is_told() -> None:
    agreed = settings(model="mlp", rounds=1)
    silos = Silos(agreed)
    silos.federate()
    for number, vector in plain(silos).items():
        [quantised] = quantize([vector], value_range(agreed), QUANTA)
        assert told_from_noise(quantised.astype(np.int64), honest(agreed, number))
        assert np.allclose(vector, honest(agreed, number), atol=1e-6)


def test_nothing_else_about_a_silo_comes_with_its_update(masked: Silos) -> None:
    results = [
        compat.recorddict_to_fitres(message.content, True)
        for message in masked.received
        if "fitres.num_examples" in message.content.metric_records
    ]
    assert len(results) == 6
    for result in results:
        assert result.num_examples == 1
        assert result.metrics == {}
        assert parameters_to_ndarrays(result.parameters) == []


def test_both_ends_make_masks_of_the_whole_seed() -> None:
    # Flower folds a seed to 32 bits: who exchanges two words of it, or tries four billion numbers, gets the same mask.
    seed = bytes(range(32))
    exchanged = seed[4:8] + seed[:4] + seed[8:]
    one, other = (pseudo_rand_gen(each, MODULUS, [(8,)])[0] for each in (seed, exchanged))
    assert np.array_equal(one, other)
    assert not np.array_equal(mask(seed, MODULUS, [(8,)])[0], mask(exchanged, MODULUS, [(8,)])[0])
    for name in (secaggplus_mod.__module__, SecAggPlusWorkflow.__module__):
        assert sys.modules[name].__dict__["pseudo_rand_gen"] is secure_aggregation.mask


def test_a_mask_is_uniform_and_of_the_shapes() -> None:
    arrays = mask(b"seed" * 8, MODULUS, [(100, 40), (), (7,)])
    assert [array.shape for array in arrays] == [(100, 40), (), (7,)]
    flat = arrays[0].ravel()
    assert not told_from_noise(flat, np.arange(len(flat)))
    assert mask(b"seed" * 8, 16, [(1000,)])[0].max() == 15
