"""What a job is refused with: one line that says where, what, and what to write instead; nothing is charged."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.data_api.local import admin
from services.trainer import job as jobs
from services.trainer import private, settings
from services.trainer.__main__ import main
from services.trainer.errors import TrainerError
from services.trainer.examples import Examples, declared
from services.trainer.job import within
from tests.services.trainer.conftest import Refusal, Site, job, report, said

FEW: dict[str, Any] = {"data__dataset": "digits_few", "training__epochs": 2}
CANCER = {
    "dataset": "breast_cancer",
    "purpose": "model-training",
    "columns": ["mean_radius", "mean_texture"],
    "label": "malignant",
}


def parsed(text: str) -> str:
    with pytest.raises(TrainerError) as refused:
        jobs.parsed(text.encode(), "job.yaml")
    assert refused.value.code == 2
    return str(refused.value)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"nonsense": 1}, "job.yaml: nonsense: is no key of a job; take it out"),
        ({"seed": None}, "job.yaml: seed: is missing"),
        ({"training__epochs": "ten"}, "job.yaml: training.epochs: Input should be a valid integer"),
        ({"training__epochs": True}, "job.yaml: training.epochs: Input should be a valid integer"),
        ({"training__learning_rate": float("nan")}, "job.yaml: training.learning_rate: "),
        ({"privacy": {"epsilon": 3}}, "job.yaml: privacy.delta: goes with epsilon; write one below 1 over"),
        (
            {"privacy": {}},
            "job.yaml: privacy.epsilon: state epsilon and delta, or a reason_for_none, and not both",
        ),
        (
            {"privacy__reason_for_none": "Both at once is no reason."},
            "job.yaml: privacy.epsilon: state epsilon",
        ),
        ({"privacy__epsilon": -1}, "job.yaml: privacy.epsilon: Input should be greater than 0"),
        ({"data__label": "p00"}, "job.yaml: data.columns: p00 is the label"),
        ({"data__shape": [1, 8, 9]}, "job.yaml: data.shape: holds 72 values and there are 64 columns"),
        (
            {"screening": {"most_backdoored": 0.9}},
            "job.yaml: screening.most_backdoored: Input should be less",
        ),
        ({"model": "Perceptron"}, "job.yaml: model: String should match pattern"),
    ],
)
def test_a_job_is_strict(changes: dict[str, Any], says: str) -> None:
    assert parsed(yaml.safe_dump(said(**changes))).startswith(says)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not a job"),
        ("a: [1", "is not the YAML that is taken at line"),
        ("name: a\nname: b", "a key stands twice"),
        ("a: &a [1]\nb: *a", "write it out instead of *"),
        ("!!python/object/apply:os.system [id]", "is not the YAML that is taken"),
    ],
)
def test_yaml_is_strict(text: str, says: str) -> None:
    assert says in parsed(text)


def test_a_number_with_an_exponent_is_a_number() -> None:
    text = yaml.safe_dump(said()).replace("delta: 0.0001", "delta: 1e-4")
    assert "1e-4" in text
    assert jobs.parsed(text.encode(), "job.yaml").privacy.delta == 1e-4


def test_the_limits_of_the_environment_are_over_the_job() -> None:
    for changes, says in (
        (
            {"privacy__epsilon": 12},
            "job.yaml: privacy.epsilon: 12 is over the limit 3 of this environment; write 3 or less",
        ),
        (
            {"privacy__delta": 0.01},
            "job.yaml: privacy.delta: 0.01 is over the limit 0.001 of this environment; write 0.001 or less",
        ),
    ):
        with pytest.raises(TrainerError) as refused:
            within(job(**changes), "job.yaml", most_epsilon=3, most_delta=0.001)
        assert str(refused.value) == says
    within(job(), "job.yaml", most_epsilon=3, most_delta=0.001)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({**FEW, "privacy__epsilon": 10.5}, "job.yaml: privacy.epsilon: 10.5 is over the limit 10"),
        ({**FEW, "privacy__delta": 2e-3}, "job.yaml: privacy.delta: 0.002 is over the limit 0.001"),
        (
            {"data": CANCER, "privacy": {"reason_for_none": "It is for a test."}},
            "are sensitive or identifying",
        ),
        ({**FEW, "model": "resnet"}, "model: architecture: 'resnet' is not one of logistic, mlp, cnn-8x8"),
        (
            {**FEW, "data__columns": ["p00", "p01"], "data__shape": None, "model": "cnn-8x8"},
            "model: cnn-8x8 takes images of 8 by 8",
        ),
        ({**FEW, "training__batch_size": 5000}, "training.batch_size: 5000 is over the "),
        ({**FEW, "calibration": {"false_positive_rate": 0.001}}, "calibration: "),
        ({**FEW, "training": {"epochs": 1, "batch_size": 64, "learning_rate": 10, "optimiser": "sgd"}}, ""),
    ],
)
def test_a_job_that_cannot_be_is_refused_before_anything_is_spent(
    refused: Refusal, changes: dict[str, Any], says: str
) -> None:
    if says:
        assert says in refused(**changes)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"data__dataset": "digits_none"}, "digits_none: has no rows for the purpose model-training"),
        ({"data__dataset": "nowhere"}, "the data-access API refused: 403: You may not do this."),
        ({**FEW, "data__purpose": "marketing"}, "job.yaml: data.purpose: marketing is none of digits_few"),
        ({**FEW, "data__label": "sample"}, "job.yaml: data.label: sample is no label"),
        ({"data": {**CANCER, "columns": ["ward"]}}, "job.yaml: data.columns: ward has no bounds"),
        ({"data": {**CANCER, "columns": ["postcode"]}}, "job.yaml: data.columns: postcode is masked"),
        (
            {"data": {**CANCER, "columns": ["height"]}},
            "job.yaml: data.columns: breast_cancer has no column height",
        ),
    ],
)
def test_what_cannot_be_vouched_for_is_refused(
    trainer: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], says: str
) -> None:
    path = trainer.write(tmp_path, **changes)
    words = [
        "manifest",
        str(path),
        "--key",
        str(trainer.folder / "steward.key"),
        "--out",
        str(tmp_path / "m"),
    ]
    assert main(words) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"trainer: {says}"), told
    assert len(told.splitlines()) == 1


def test_data_of_one_class_are_refused(refused: Refusal) -> None:
    assert "digit has one value in all rows" in refused(data__dataset="digits_threes")


def test_data_that_are_no_numbers_are_refused(trainer: Site, refused: Refusal) -> None:
    trainer.world.sql("UPDATE clinical.breast_cancer SET mean_radius = 'NaN' WHERE sample = 7")
    try:
        assert refused(data=CANCER) == (
            "breast_cancer: mean_radius holds NaN or infinities; mend the data where it comes from"
        )
    finally:
        trainer.world.sql("UPDATE clinical.breast_cancer SET mean_radius = 10 WHERE sample = 7")


def test_a_delta_over_one_in_so_many_people_is_refused(
    refused: Refusal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DP_DELTA", "0.1")
    told = refused(**FEW, privacy={"epsilon": 3, "delta": 0.002})
    assert "privacy.delta: 0.002 is over 1/n for the n = 700 in the data" in told


def test_batch_normalisation_is_refused_under_privacy() -> None:
    from torch import nn

    network = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    with pytest.raises(TrainerError, match="BatchNorm1d mixes the rows"):
        private.refuse(network, "normalised")


def test_a_budget_that_is_spent_is_refused_before_the_first_step(trainer: Site, tmp_path: Path) -> None:
    """The rows cannot be unlearnt, so nothing is learnt from them before they are paid for."""

    async def spend(milli: int) -> None:
        connection = await admin(trainer.world.server)
        try:
            await connection.execute(
                "UPDATE budget.account SET spent_milli = $1 WHERE dataset = 'digits_poor' AND principal = '*'",
                milli,
            )
        finally:
            await connection.close()

    asyncio.run(_account(trainer))
    path = trainer.write(tmp_path, **{**FEW, "data__dataset": "digits_poor"})
    asyncio.run(spend(50_000 - 2999))
    try:
        assert trainer.run(path) == 4
        from services.trainer import checkpoints

        kept = checkpoints.read(tmp_path / "out" / "work")
        assert kept is not None
        assert kept[0].step == 0
    finally:
        asyncio.run(spend(0))
    assert trainer.run(path, manifest=tmp_path / "manifest") == 0, "and goes on once there is budget"


async def _account(site: Site) -> None:
    connection = await admin(site.world.server)
    try:
        await connection.execute(
            "INSERT INTO budget.account VALUES ('digits_poor', '*', 0) ON CONFLICT DO NOTHING"
        )
    finally:
        await connection.close()


def test_data_that_the_screens_suspect_stop_the_job(
    trainer: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = trainer.write(tmp_path, **{**FEW, "data__dataset": "digits_flipped"})
    assert trainer.run(path) == 3
    told = capsys.readouterr().err.splitlines()[-1]
    assert "the screens stopped the job: " in told
    assert "mislabelled, 15.0% at most" in told
    assert report(tmp_path / "out")["stopped"]
    assert trainer.spent("digits_flipped") == 0
    suspects = (tmp_path / "out" / "quarantine" / "suspects.csv").read_text()
    assert suspects.startswith("key,screen,taken_out,score,reason\n10")


def test_an_api_that_does_not_answer_is_said_to_try_again(
    trainer: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = trainer.write(tmp_path, **FEW)
    folder = trainer.vouch(path)
    monkeypatch.setenv("DATA_API_URL", "https://localhost:1")
    assert trainer.run(path, manifest=folder) == 5
    assert capsys.readouterr().err.splitlines()[-1].startswith("trainer: DATA_API_URL: ")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("DATA_API_URL", None, "DATA_API_URL: is not set"),
        ("DATA_API_URL", "http://data-api", "DATA_API_URL: is not an https:// address"),
        ("DP_EPSILON", "many", "DP_EPSILON: Input should be a valid number"),
        ("DP_EPSILON", "inf", "DP_EPSILON: Input should be a finite number"),
        ("DP_DELTA", None, "DP_DELTA: is not set"),
        ("SIGNING_KEY_FILE", None, "SIGNING_KEY_FILE: is not set"),
        ("SIGNING_KEY_FILE", "steward.pub", "others may read this private key"),
        ("MANIFEST_KEY_FILE", None, "MANIFEST_KEY_FILE: is not set"),
        ("DATA_API_CA_FILE", "token", "DATA_API_CA_FILE: holds no certificates in PEM"),
        ("DATA_API_TOKEN_FILE", "nowhere", "DATA_API_TOKEN_FILE: cannot be read"),
    ],
)
def test_an_environment_that_lacks_something_is_refused(
    trainer: Site,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    value: str | None,
    says: str,
) -> None:
    path = trainer.write(tmp_path, **FEW)
    folder = trainer.vouch(path)
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, str(trainer.folder / value) if name.endswith("_FILE") else value)
    capsys.readouterr()
    assert trainer.run(path, manifest=folder) == 2
    told = capsys.readouterr().err
    assert says in told
    assert len(told.splitlines()) == 1


def test_every_variable_has_a_field() -> None:
    assert set(settings.BY_NAME.values()) == set(settings.Settings.model_fields)


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--help"], ["run", "--help"], ["manifest", "--help"], ["inspect-checkpoint", "--help"]):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 0
    told = capsys.readouterr().out
    assert all(name in told for name in settings.BY_NAME if name != "AWS_REGION")
    assert "3  the screens stopped it" in told


def test_an_older_api_that_does_not_say_whose_rows_are_is_refused() -> None:
    asked = job()
    columns = {
        name: {
            "type": "integer",
            "classification": "internal",
            "mask": None,
            "bounds": [0, 16],
            "categories": None,
        }
        for name in (*asked.data.columns, "digit")
    }
    api = {"purposes": ["model-training"], "key": ["sample"], "columns": columns}
    with pytest.raises(TrainerError, match="does not say whose the rows are"):
        declared(api, asked.data, "job.yaml")


def test_json_of_the_report_is_json(trainer: Site, tmp_path: Path) -> None:
    from services.trainer.screening import quarantine
    from services.trainer.screening.screen import screened
    from tests.services.trainer.conftest import digits, examples

    values, labels = digits()
    made: Examples = examples(values[:300], labels[:300])
    outcome = screened(made, job().screening, 1)
    quarantine.write(tmp_path / "q", made, outcome, dataset="digits", manifest="sha256:0")
    assert json.loads((tmp_path / "q" / "report.json").read_text())["rows"] == 300
