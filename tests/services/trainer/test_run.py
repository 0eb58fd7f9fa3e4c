"""A job from start to end: over the real data-access API, to a signed candidate that answers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from services.modelchain.keys import file_verifier
from services.modelchain.signing import verify_candidate
from services.screens.novelty import Novelty
from services.trainer.export import Answers
from tests.services.trainer.conftest import Site, digits, report

SMALL = {"data__dataset": "digits_few", "training__epochs": 6, "training__checkpoint_steps": 5}


def test_a_private_job_gives_a_signed_candidate_and_is_charged_once(
    trainer: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = trainer.write(tmp_path, **SMALL)
    before = trainer.spent("digits_few")
    assert trainer.run(path) == 0
    told = capsys.readouterr()
    out = tmp_path / "out"
    made = verify_candidate(out / "candidate", file_verifier(trainer.folder / "trainer.pub"))
    assert made.digest == told.out.splitlines()[-1]
    assert trainer.spent("digits_few") - before == 3000
    # What is said of privacy.
    assert made.privacy.epsilon is not None
    assert 2.9 < made.privacy.epsilon <= 3
    assert (made.privacy.delta, made.privacy.accountant) == (1e-4, "prv")
    assert "AES-256-CTR" in str(made.privacy.noise_generator)
    # What is said of the model.
    manifest = json.loads((tmp_path / "manifest" / "manifest.json").read_text())
    assert made.card.dataset_digest is not None
    assert made.card.components.keys() >= {"torch", "opacus", "python"}
    assert made.schema.architecture == "mlp"
    assert manifest["rows"] == 700
    trained, held = made.card.figures["rows that trained"], made.card.figures["rows that were held out"]
    assert trained + held == report(out)["rows_that_stay"]
    # It answers, as probabilities, and well above chance although noise was added.
    values, labels = digits()
    answers = Answers(made.graph)(values.reshape(-1, 1, 8, 8))
    assert np.allclose(answers.sum(1), 1, atol=1e-5)
    assert (answers.argmax(1) == labels).mean() > 0.4
    # The screens are calibrated: honest digits pass, noise does not.
    assert made.statistics.novelty is not None
    assert made.statistics.squeezing is not None
    novelty = Novelty(made.statistics.novelty, made.arrays)
    assert (novelty.scores(values) > novelty.threshold).mean() < 0.15
    noise = np.random.default_rng(0).random((50, 64), dtype=np.float32)
    assert (novelty.scores(noise) > novelty.threshold).all()
    # Nothing is left that could take the noise off, and nobody else reads the rows.
    assert [each.name for each in (out / "work").iterdir()] == ["lock"]
    assert (out / "examples.npz").stat().st_mode & 0o077 == 0
    assert b"<svg" in (out / "curves.svg").read_bytes()
    assert "epsilon so far" in told.err


def test_a_plain_job_needs_no_budget_and_gives_the_same_weights_again(trainer: Site, tmp_path: Path) -> None:
    weights = []
    before = trainer.spent("digits_few")
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        path = trainer.write(
            folder, **SMALL, privacy={"reason_for_none": "The digits are public."}, training__batch_size=64
        )
        assert trainer.run(path) == 0
        made = verify_candidate(folder / "out" / "candidate", file_verifier(trainer.folder / "trainer.pub"))
        assert made.privacy.epsilon is None
        weights.append(made.weights)
    assert weights[0] == weights[1]
    assert trainer.spent("digits_few") == before


def test_people_have_one_row_each_and_the_breast_cancer_data_train(trainer: Site, tmp_path: Path) -> None:
    changes = {
        "data": {
            "dataset": "breast_cancer",
            "purpose": "model-training",
            "columns": ["mean_radius", "mean_texture", "mean_area", "mean_smoothness"],
            "label": "malignant",
        },
        "training__epochs": 3,
        "training__batch_size": 64,
        "model": "logistic",
    }
    path = trainer.write(tmp_path, **changes)
    assert trainer.run(path) == 0
    people = trainer.world.sql("SELECT count(DISTINCT patient) FROM clinical.breast_cancer WHERE consented")
    made = verify_candidate(tmp_path / "out" / "candidate", file_verifier(trainer.folder / "trainer.pub"))
    assert report(tmp_path / "out")["rows"] == people[0][0]
    assert made.schema.output.classes == ("false", "true")
    assert "mean_area 0 to 2600" in made.card.limits
    assert made.statistics.squeezing is None
