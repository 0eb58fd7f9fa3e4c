"""A verdict on the disk: written once, signed whichever way it went, and believed only with its signature."""

from __future__ import annotations

from pathlib import Path

from services.modelchain import reading, release, signing, strict_json, writing
from services.modelchain.errors import ModelError, Unreadable
from services.modelchain.keys import Signer, Verifier
from services.modelchain.schema import VERDICT, VERDICT_FILE, VERDICT_SIGNATURE, Verdict
from services.redteam.errors import RedTeamError, Unfit

PAGE = "verdict.html"
"""What people read."""


def write(folder: Path, verdict: Verdict, page: str, signer: Signer) -> None:
    """Write the folder of a run: ``verdict.json``, ``verdict.sig`` over it, ``verdict.html``.

    Raises:
        RedTeamError: something is already there, it cannot be written, or the key cannot be used.
    """
    judged = {VERDICT_FILE: strict_json.written(verdict)}
    try:
        writing.folder(
            folder,
            {**judged, VERDICT_SIGNATURE: signing.signature(judged, signer, VERDICT), PAGE: page.encode()},
        )
    except ModelError as error:
        raise RedTeamError(str(error)) from None


def opened(folder: Path, own: Verifier) -> Verdict:
    """Return the verdict of a run, after its signature was verified.

    Raises:
        RedTeamError: it is missing, was edited, or another signed it.
    """
    try:
        data, signature = (reading.document(folder / name) for name in (VERDICT_FILE, VERDICT_SIGNATURE))
        signing.verify({VERDICT_FILE: data}, signature, own, VERDICT)
        return strict_json.parsed(Verdict, data, VERDICT_FILE)
    except Unreadable as error:
        raise RedTeamError(str(error)) from None
    except ModelError as error:
        raise Unfit(f"{folder}: {error}") from None


def promote(
    candidate: Path, folder: Path, *, thresholds_digest: str, into: Path, trainer: Verifier, own: Signer
) -> Verdict:
    """Make a release of a candidate out of the verdict of a run.

    Raises:
        RedTeamError: says in one sentence why it may not be released.
    """
    verdict = opened(folder, own.verifier)
    if verdict.thresholds_digest != thresholds_digest:
        raise Unfit(f"{folder}: was judged by other thresholds than these; judge the model by these")
    try:
        release.promote(candidate, verdict, into=into, trainer=trainer, redteam=own)
    except Unreadable as error:
        raise RedTeamError(str(error)) from None
    except ModelError as error:
        raise Unfit(str(error)) from None
    return verdict
