"""What the gateway's screens are calibrated to: rows that were held out, never rows that trained.

So what is written here reveals nothing of anybody whom epsilon speaks of. Of those who were held out it shows a mean, the
directions in which they differ, and two thresholds; the folder goes to the gateway and to nobody's client.
"""

from __future__ import annotations

import numpy as np

from services.modelchain.schema import BitDepth, Squeezer, Statistics
from services.screens import novelty, squeezing
from services.trainer.errors import TrainerError
from services.trainer.export import Answers
from services.trainer.job import Job

SQUEEZERS: tuple[Squeezer, ...] = (BitDepth(kind="bit-depth", bits=2), BitDepth(kind="bit-depth", bits=3))
"""Of those of Xu, Evans and Qi ("Feature Squeezing", NDSS 2018) the ones that find most on digits of 8 by 8, half to three
quarters of attacks; with the pair that is best on MNIST's 28 by 28, a bit and a median, it is a tenth at most
(``python -m tests.services.gateway.screens.figures``)."""


def of(
    job: Job, learnt_from: np.ndarray, drawn_from: np.ndarray, answers: Answers
) -> tuple[Statistics, dict[str, np.ndarray]]:
    """Return ``statistics.json`` and its arrays.

    Args:
        job: Its shape, and the rate of false positives.
        learnt_from: One half of what is held out, float32[n, *shape].
        drawn_from: The other half.
        answers: The model as it is served.

    Raises:
        TrainerError: too few rows are held out for the rate.
    """
    rate = job.calibration.false_positive_rate
    try:
        calibrated, arrays = novelty.calibrated(learnt_from, drawn_from, false_positive_rate=rate)
        squeezed = (
            squeezing.calibrated(answers, drawn_from, SQUEEZERS, 0, 1, false_positive_rate=rate)
            if drawn_from.ndim == 4
            else None
        )
    except ValueError as error:
        raise TrainerError(
            f"calibration: {len(learnt_from) + len(drawn_from)} rows are held out, which is not enough: {error}; "
            "hold out a larger share, or allow a higher false_positive_rate"
        ) from None
    return Statistics(examples=len(learnt_from), novelty=calibrated, squeezing=squeezed), arrays
