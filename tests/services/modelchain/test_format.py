"""What was released once stays verifiable: a release of format 1, signed in November 2026, whose private keys are gone.

Whoever changes this package or a library so that it does not open any more has changed the format: make a
``format-2`` beside it, and let both open. It was made from ``making.py``.
"""

from __future__ import annotations

from pathlib import Path

import model_signing
import numpy as np
import onnxruntime
import pytest

from services.modelchain.errors import ModelError
from services.modelchain.keys import file_verifier
from services.modelchain.release import Release, open_release
from services.modelchain.schema import MODEL, MODEL_SIGNATURE, VERDICT, VERDICT_SIGNATURE
from tests.services.modelchain.making import NOW

FORMAT_1 = Path(__file__).parent / "fixtures" / "format-1"

DIGEST = "sha256:fe4fb4536a2b57919b50e323781a53c9b9ca72b9a287bc300bdbe11bb0ffa64e"


def opened(trainer: str = "trainer", redteam: str = "redteam") -> Release:
    return open_release(
        FORMAT_1 / "release",
        trainer=file_verifier(FORMAT_1 / f"{trainer}.pub"),
        redteam=file_verifier(FORMAT_1 / f"{redteam}.pub"),
        now=NOW,
    )


def test_a_release_of_format_1_still_opens_and_answers() -> None:
    release = opened()
    assert release.digest == release.verdict.model_digest == DIGEST
    assert (release.schema.name, release.schema.version) == ("tiny", 3)
    (scores,) = onnxruntime.InferenceSession(release.graph).run(
        None, {"image": np.ones((1, 2, 2), np.float32)}
    )
    assert scores.argmax() == 2


def test_its_signatures_are_still_those_of_model_signing() -> None:
    for who, folder, signature in (
        ("trainer", MODEL, MODEL_SIGNATURE),
        ("redteam", VERDICT, VERDICT_SIGNATURE),
    ):
        config = model_signing.verifying.Config().use_elliptic_key_verifier(
            public_key=FORMAT_1 / f"{who}.pub"
        )
        config.verify(FORMAT_1 / "release" / folder, FORMAT_1 / "release" / signature)


def test_it_does_not_open_with_the_keys_exchanged() -> None:
    with pytest.raises(ModelError, match="was made with another key"):
        opened("redteam", "trainer")
