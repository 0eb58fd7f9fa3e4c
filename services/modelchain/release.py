"""A release: a model that its trainer signed, and a verdict over the same digest that the red team signed."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from services.modelchain import folder, reading, signing, strict_json, writing
from services.modelchain.errors import ModelError as ModelError
from services.modelchain.errors import Unreadable as Unreadable
from services.modelchain.folder import Candidate
from services.modelchain.keys import Signer, Verifier
from services.modelchain.schema import (
    MODEL,
    MODEL_SIGNATURE,
    VERDICT,
    VERDICT_FILE,
    VERDICT_SIGNATURE,
    Digest,
    Verdict,
)


@dataclass(frozen=True, kw_only=True)
class Release(Candidate):
    """A model that may serve, until its verdict's ``holds_until``."""

    verdict: Verdict


def open_release(path: Path, *, trainer: Verifier, redteam: Verifier, now: datetime) -> Release:
    """Return a release after everything about it was verified.

    Everything is read once, into memory, and nothing is read from the disk again: both signatures are checked over
    those bytes before anything parses them, and the graph and the arrays that are returned are those bytes.

    Args:
        path: The release's folder.
        trainer: Who must have signed the model.
        redteam: Who must have signed the verdict; another key than the trainer's.
        now: With a time zone.

    Raises:
        ModelError: says in one sentence why the model may not serve.
    """
    _two(trainer, redteam)
    contents = reading.read(path)
    verdict_files = contents.verdict or {}
    signing.verify(contents.model, contents.model_signature, trainer, MODEL)
    signing.verify(verdict_files, contents.verdict_signature, redteam, VERDICT)
    if VERDICT_FILE not in verdict_files:
        raise ModelError(f"{VERDICT}/{VERDICT_FILE}: is missing; nobody judged the model")
    verdict = strict_json.parsed(Verdict, verdict_files[VERDICT_FILE], f"{VERDICT}/{VERDICT_FILE}")
    _favourable(verdict, folder.digest(contents.model), now)
    candidate = folder.inspected(contents.model)
    _about(verdict, candidate)
    return Release(
        **{each.name: getattr(candidate, each.name) for each in fields(candidate)}, verdict=verdict
    )


def promote(candidate: Path, verdict: Verdict, *, into: Path, trainer: Verifier, redteam: Signer) -> None:
    """Make a release of a candidate that its trainer signed and the red team found good.

    It appears whole under its name, or not at all, and is opened once as a gateway would before that.

    Args:
        candidate: The signed candidate, or a release whose verdict has aged.
        verdict: What the red team found.
        into: The release's folder, which must not be there yet.
        trainer: Who must have signed the model.
        redteam: Who signs the verdict; another key than the trainer's.

    Raises:
        ModelError: says in one sentence why it may not be released.
    """
    _two(trainer, redteam.verifier)
    writing.free(into)
    contents = reading.read(candidate)
    signing.verify(contents.model, contents.model_signature, trainer, MODEL)
    now = datetime.now(UTC)
    _favourable(verdict, folder.digest(contents.model), now)
    found = folder.inspected(contents.model)
    _about(verdict, found)
    folder.sound(found)
    judged = {VERDICT_FILE: strict_json.written(verdict)}
    writing.folder(
        into,
        {
            MODEL: contents.model,
            MODEL_SIGNATURE: contents.model_signature or b"",
            VERDICT: judged,
            VERDICT_SIGNATURE: signing.signature(judged, redteam, VERDICT),
        },
        check=lambda written: open_release(written, trainer=trainer, redteam=redteam.verifier, now=now),
    )


def _two(trainer: Verifier, redteam: Verifier) -> None:
    if trainer.fingerprint == redteam.fingerprint:
        raise ModelError("the trainer's key and the red team's are one; nobody judges their own model")


def _favourable(verdict: Verdict, digest: Digest, now: datetime) -> None:
    where = f"{VERDICT}/{VERDICT_FILE}"
    if now.tzinfo is None:
        raise ValueError("now: has no time zone")
    if verdict.model_digest != digest:
        raise ModelError(f"{where}: is about {verdict.model_digest}, and this model is {digest}")
    if not verdict.passed:
        failed = ", ".join(check.name for check in verdict.checks if not check.passed)
        raise ModelError(f"{where}: the red team found against the model: {failed}")
    if verdict.judged_at > now:
        raise ModelError(f"{where}: was judged at {verdict.judged_at.isoformat()}, which is yet to come")
    if verdict.holds_until <= now:
        raise ModelError(
            f"{where}: held until {verdict.holds_until.isoformat()}; the model has to be judged anew"
        )


def _about(verdict: Verdict, candidate: Candidate) -> None:
    said, schema = (verdict.model, verdict.version), candidate.schema
    if said != (schema.name, schema.version):
        raise ModelError(
            f"{VERDICT}/{VERDICT_FILE}: is about {verdict.model} {verdict.version}, "
            f"and this model is {schema.name} {schema.version}"
        )
