"""What ends a job early, each with the exit code that its caller sees."""

from __future__ import annotations

REFUSED, SCREENED, NO_BUDGET, TRY_AGAIN = 2, 3, 4, 5
"""Exit codes: something given is wrong; the screens stopped it; the privacy budget does not cover it; something outside
did not answer, and starting the same job again goes on where this one stopped."""


class TrainerError(Exception):
    """Something given is wrong; the message is one sentence that says where, what, and what to write instead."""

    code = REFUSED


class Screened(TrainerError):
    """More of the data is suspect than the job allows."""

    code = SCREENED


class NoBudget(TrainerError):
    """The dataset's privacy budget does not cover this training."""

    code = NO_BUDGET


class TryAgain(TrainerError):
    """Something outside did not answer."""

    code = TRY_AGAIN
