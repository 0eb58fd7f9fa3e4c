"""Digits, trained once, and what attacks made of them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.services.gateway.screens import figures
from tests.services.gateway.screens.figures import Array, Digits


@pytest.fixture(scope="session")
def model() -> Digits:
    return figures.trained()


@pytest.fixture(scope="session")
def attacked(model: Digits) -> dict[str, Array]:
    return figures.attacks(model)


@pytest.fixture
def chance() -> np.random.Generator:
    return np.random.default_rng(5)
