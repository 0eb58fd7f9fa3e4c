"""Gradient inversion: one silo's update gives away the image it was trained on, unless masks or noise hide it.

In the first layer the gradient of a row is the outer product of the row and the error at the biases, so one column
divided by its bias is the row itself (Phong et al., "Privacy-Preserving Deep Learning via Additively Homomorphic
Encryption", 2018, section 3).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from services.federated import models, samples
from services.federated.secure_aggregation import QUANTA, value_range
from services.federated.settings import Settings
from tests.services.federated.inprocess import Silos, collected, plain, privacy, settings

MODELS = ["softmax", "mlp"]


def one_image(number: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = samples.training()
    return x[number : number + 1], y[number : number + 1]


def attacked(agreed: Settings, update: np.ndarray) -> np.ndarray:
    """Return the image that an update gives away, float64[64]."""
    weights, biases = models.shaped(update, models.network(agreed).shapes)[:2]
    loudest = int(np.abs(biases).argmax())
    return np.asarray(weights[:, loudest] / biases[loudest], np.float64)


def alike(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def terms(model: str, **changed: Any) -> Settings:
    return settings(rounds=1, model=model, **changed)


def masked(silos: Silos) -> dict[int, np.ndarray]:
    """Return what the server would take masked vectors for, float64[size]."""
    span = value_range(silos.agreed)
    return {number: vector * 2 * span / QUANTA - span for number, vector in collected(silos).items()}


@pytest.mark.parametrize("model", MODELS)
def test_in_clear_the_image_is_there_for_whoever_divides(model: str) -> None:
    silos = Silos(terms(model), one_image)
    silos.federate()
    for number, update in plain(silos).items():
        assert alike(attacked(silos.agreed, update), one_image(number)[0]) > 0.99


@pytest.mark.parametrize("model", MODELS)
def test_behind_masks_it_is_not(model: str) -> None:
    silos = Silos(terms(model, protection="secure-aggregation"), one_image)
    silos.federate()
    assert len(masked(silos)) == 3
    for number, update in masked(silos).items():
        assert abs(alike(attacked(silos.agreed, update), one_image(number)[0])) < 0.7


@pytest.mark.parametrize("model", MODELS)
def test_nor_under_noise_that_hides_a_record_from_the_server(model: str) -> None:
    silos = Silos(terms(model, privacy=privacy(mode="local", rows=3)), one_image)
    silos.federate()
    assert len(plain(silos)) == 3
    for number, update in plain(silos).items():
        assert abs(alike(attacked(silos.agreed, update), one_image(number)[0])) < 0.7
