"""The red team's job and the red team are two projects: what the one passes is what the other reads."""

from __future__ import annotations

import pytest

from services.redteam.errors import RedTeamError
from services.redteam.settings import BY_NAME, needed, read
from tests.stacks.pods import environment

BOTO3 = {"AWS_ENDPOINT_URL_S3"}
"""Read by boto3 itself."""


def test_the_red_team_reads_everything_that_the_component_passes() -> None:
    passed = environment("redteam")
    assert set(passed) - BOTO3 <= set(BY_NAME), "the red team would not hear of these"
    settings = read(passed)
    assert settings.signing_key_arn != settings.trainer_key_arn, "nobody judges their own model"
    assert (settings.candidate_prefix, settings.release_prefix) == ("candidates/", "released/")


@pytest.mark.parametrize(
    "name",
    [
        *("DATA_API_URL", "DATA_API_TOKEN_FILE", "MODEL_BUCKET", "AWS_REGION"),
        *("SIGNING_KEY_ARN", "TRAINER_KEY_ARN"),
    ],
)
def test_what_the_red_team_cannot_do_without_is_passed(name: str) -> None:
    passed = environment("redteam")
    assert needed(read(passed), name) == passed[name]
    with pytest.raises(RedTeamError, match=f"{name}: is not set"):
        needed(read({each: value for each, value in passed.items() if each != name}), name)


def test_who_trains_and_who_judges_use_one_bucket_and_one_key_of_candidates() -> None:
    trainer, redteam = environment("trainer"), environment("redteam")
    assert trainer["MODEL_BUCKET"] == redteam["MODEL_BUCKET"]
    assert trainer["MODEL_PREFIX"] == redteam["CANDIDATE_PREFIX"]
    assert trainer["SIGNING_KEY_ARN"] == redteam["TRAINER_KEY_ARN"]
