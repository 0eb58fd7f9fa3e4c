"""Two small models to try the gateway with, trained here in seconds: handwritten digits, and messages that are spam or not.

``messages.csv`` was made up for this repository, message by message: nobody wrote them to anybody, no person or company
in them exists, telephone numbers and names of sites are those reserved for examples. Spam is in English; ham also in
twenty other languages, with prices, links, prizes and the word free, so that these alone do not make spam. A third is held out, and
the column ``split`` says which.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from services.gateway.samples import digits, spam
from services.gateway.samples.judged import THRESHOLDS_DIGEST, Sample
from services.modelchain import folder, keys, release, signing
from services.modelchain.schema import Verdict

HOLDS = timedelta(days=7)
"""A sample's verdict: long enough to try it."""

SAMPLES = {"digits": digits.made, "spam": spam.made}


def build(into: Path, *, names: Sequence[str] = tuple(SAMPLES), version: int = 1) -> None:
    """Train, judge, sign and release sample models.

    Writes ``trainer.key``, ``trainer.pub``, ``redteam.key`` and ``redteam.pub`` where they are not there yet,
    ``candidates/<name>/<version>`` and ``releases/<name>/<version>``.

    Args:
        into: A folder.
        names: Which; digits, spam or both.
        version: Of the models.

    Raises:
        ModelError: a release is already there, or what was measured is under its threshold.
    """
    trainer, redteam = (_signer(into, name) for name in ("trainer", "redteam"))
    for name in names:
        candidate, released = (
            into / "candidates" / name / str(version),
            into / "releases" / name / str(version),
        )
        for path in (candidate, released):
            path.parent.mkdir(parents=True, exist_ok=True)
        sample = SAMPLES[name](version)
        folder.write(candidate, **sample.written)
        digest = signing.sign_candidate(candidate, trainer)
        verdict = _verdict(sample, name, version, digest)
        release.promote(candidate, verdict, into=released, trainer=trainer.verifier, redteam=redteam)


def _signer(into: Path, name: str) -> keys.Signer:
    path = into / f"{name}.key"
    if not path.exists():
        keys.make_keys(into, name)
    return keys.file_signer(path)


def _verdict(sample: Sample, name: str, version: int, digest: str) -> Verdict:
    now = datetime.now(UTC)
    return Verdict(
        model=name,
        version=version,
        model_digest=digest,
        passed=all(check.passed for check in sample.checks),
        checks=sample.checks,
        judged_at=now,
        holds_until=now + HOLDS,
        thresholds_digest=THRESHOLDS_DIGEST,
    )
