"""What a silo may send: finite numbers of the agreed shapes, and never more of them than the agreed norm.

The silo cuts its own update to the norm before anything is added to it or hidden. Whoever can read an update, or a sum,
holds it to the norm again and refuses what exceeds it: no honest app sends that, so it is not cut and used after all.
Where only the sum can be read, only the sum can be held to it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from services.federated.errors import FederatedError
from services.federated.models import Arrays

SIGMAS = 8.0
"""Of noise, beyond which a value is taken for an attack: one honest value in 10^15 is."""


def cut(vector: np.ndarray, norm: float) -> np.ndarray:
    """Return a vector, scaled down to an L2 norm where it is longer.

    Raises:
        FederatedError: it holds a value that is no number.
    """
    if not np.isfinite(vector).all():
        raise FederatedError("update: holds values that are not finite; lower the learning rate")
    # The largest value is taken out first, so that no square overflows.
    largest = float(np.abs(vector).max(initial=0))
    length = largest * float(np.linalg.norm(vector / largest)) if largest else 0.0
    return vector * (norm / length) if length > norm else vector


def check(arrays: Sequence[object], shapes: list[tuple[int, ...]], *, norm: float) -> Arrays:
    """Return a received update, once it is one.

    Args:
        arrays: What was received.
        shapes: That were agreed.
        norm: The largest L2 norm that an honest update has (``allowed``).

    Raises:
        FederatedError: says what is wrong with it.
    """
    if len(arrays) != len(shapes):
        raise FederatedError(f"update: holds {len(arrays)} arrays; {len(shapes)} were agreed")
    taken: Arrays = []
    for number, (array, shape) in enumerate(zip(arrays, shapes, strict=True)):
        if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
            raise FederatedError(f"update: array {number} does not hold floating-point numbers")
        if array.shape != shape:
            raise FederatedError(f"update: array {number} has the shape {array.shape}; {shape} was agreed")
        if not np.isfinite(array).all():
            raise FederatedError(f"update: array {number} holds values that are not finite")
        taken.append(array)
    # In float64 no square of a float32 overflows; a float64 that does is infinite, and refused.
    with np.errstate(over="ignore"):
        length = float(np.sqrt(sum(float((array.astype(np.float64) ** 2).sum()) for array in taken)))
    if not length <= norm:
        raise FederatedError(f"update: has the norm {length:.4g}; {norm:.4g} is the most that was agreed")
    return taken


def allowed(norm: float, *, deviation: float, size: int) -> float:
    """Return the largest L2 norm of an honest update of that norm with noise of that standard deviation on it.

    The noise's norm is about ``deviation · sqrt(size)``, and ``SIGMAS`` deviations above that almost never.
    """
    return norm * (1 + 1e-4) + deviation * (math.sqrt(size) + SIGMAS)
