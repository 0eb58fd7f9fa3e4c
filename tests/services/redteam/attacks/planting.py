"""What the tests of several attacks need."""

from __future__ import annotations

import numpy as np

from services.modelchain.schema import Check
from services.redteam.data import Part
from services.redteam.findings import Result
from tests.services.redteam.world import digits


def attacked(count: int = 150) -> Part:
    """Return held-out digits to attack."""
    return digits().held_out[np.arange(count)]


def others() -> Part:
    """Return held-out digits that the attacker has."""
    return digits().held_out[np.arange(300, 600)]


def failed(result: Result) -> set[str]:
    return {each.check.name for each in result.measured if not each.check.passed}


def value(result: Result, name: str) -> float:
    return check(result, name).value


def check(result: Result, name: str) -> Check:
    (found,) = [each.check for each in result.measured if each.check.name == name]
    return found
