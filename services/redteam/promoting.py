"""The command that releases what withstood; it needs no torch, and so takes a second."""

from __future__ import annotations

import argparse
import sys

from services.redteam import named, thresholds, verdicts
from services.redteam.errors import PASSED


def promote(asked: argparse.Namespace) -> int:
    """Release a candidate; return the exit code.

    Raises:
        RedTeamError: it is not released.
    """
    verdict = verdicts.promote(
        asked.candidate,
        asked.verdict,
        thresholds_digest=thresholds.read(asked.thresholds).digest,
        into=asked.into,
        trainer=named.trainer(asked),
        own=named.signer(asked),
    )
    sys.stdout.write(
        f"released: {verdict.model} {verdict.version} into {asked.into}, until {verdict.holds_until.isoformat()}\n"
    )
    sys.stdout.flush()
    return PASSED
