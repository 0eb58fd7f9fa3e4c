"""Measures what is usual for a model's inputs, so that the watch knows what is not.

``python -m services.gateway.calibration held_out.npz`` prints lines for ``clients.yaml``. The file holds ``inputs``,
some hundreds or more that are like what clients will send, and ``labels``, what the model says of each.
"""

from __future__ import annotations

import random
import sys
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.gateway.distances import LEAST, Floats, Sketcher, Stream
from services.gateway.extraction import Bounds, failed

FEWEST = 3 * LEAST
"""Inputs without which there is next to nothing to measure."""

STREAMS = 20
"""Clients that are played: each sends the inputs in an order of its own."""

BELOW_SHAPIRO, BELOW_SPREAD, ABOVE_SPREAD = 0.05, 0.82, 1.3
"""Room between what was seen and what is unusual: clients differ more than orders do."""


class CalibrationError(Exception):
    """It cannot be measured; the message says why."""


def measured(inputs: NDArray[Any] | Sequence[Floats], labels: Sequence[int]) -> Bounds:
    """Return what is usual, with room.

    Args:
        inputs: As the model gets them, float[n, *shape], or ``text_features`` of each.
        labels: What the model says of each.

    Raises:
        CalibrationError: there are too few, or what is usual here is what is unusual elsewhere.
    """
    if len(inputs) < FEWEST or len(labels) != len(inputs):
        raise CalibrationError(
            f"{len(inputs)} inputs and {len(labels)} labels; give {FEWEST} of each or more"
        )
    sketch = Sketcher()
    sketches = [sketch(each) for each in inputs]
    chances = [random.Random(number) for number in range(STREAMS)]  # noqa: S311 - the same every time
    seen = [found for chance in chances for found in _played(sketches, labels, chance)]
    if not seen:
        raise CalibrationError("most inputs are alone in their class, or come twice; give more")
    spreads, statistics = np.array(seen).T
    found = Bounds(
        shapiro_least=_within(statistics.min() - BELOW_SHAPIRO, "shapiro_least"),
        spread_least=_within(spreads.min() * BELOW_SPREAD, "spread_least"),
        spread_most=_within(spreads.max() * ABOVE_SPREAD, "spread_most"),
    )
    if any(failed(found, *each) for each in seen):
        raise CalibrationError(
            f"these inputs are what copying looks like (spread {spreads.min():.2f} to {spreads.max():.2f}, statistic "
            f"from {statistics.min():.2f}); let the model take numbers on one scale, or rely on the budget"
        )
    return found


def _within(wanted: float, name: str) -> float:
    """Return what is wanted, or what comes nearest to it within what may be written down."""
    limits: dict[str, float] = {}
    for each in Bounds.model_fields[name].metadata:
        limits |= asdict(each)
    return round(min(max(float(wanted), limits["ge"]), limits["le"]), 2)


def _played(
    sketches: Sequence[Floats], labels: Sequence[int], chance: random.Random
) -> Iterator[tuple[float, float]]:
    """Yield the statistics of each test of one client."""
    stream, order = Stream(len(sketches[0])), list(range(len(sketches)))
    chance.shuffle(order)
    for place in order:
        if stream.add(sketches[place], int(labels[place]), chance):
            yield stream.statistics()


def main(arguments: Sequence[str]) -> int:
    """Print the lines."""
    if len(arguments) != 1:
        sys.stderr.write("calibration: write python -m services.gateway.calibration FILE.npz\n")
        return 2
    path = Path(arguments[0])
    try:
        with np.load(path, allow_pickle=False) as held:
            found = measured(held["inputs"], held["labels"].tolist())
    except (OSError, KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        sys.stderr.write(f"calibration: {path}: is no .npz of inputs and labels: {reason}\n")
        return 2
    except CalibrationError as error:
        sys.stderr.write(f"calibration: {path}: {error}\n")
        return 2
    said = ", ".join(f"{name}: {value}" for name, value in found.model_dump().items())
    sys.stdout.write(f"usual:\n  MODEL: {{{said}}}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
