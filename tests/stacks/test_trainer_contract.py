"""The training job and the trainer are two projects: what the one passes is what the other reads."""

from __future__ import annotations

import pytest

from services.trainer.errors import TrainerError
from services.trainer.settings import BY_NAME, read
from tests.stacks.pods import environment

BOTO3 = {"AWS_ENDPOINT_URL_S3"}
"""Read by boto3 itself."""


def test_the_trainer_reads_everything_that_the_component_passes() -> None:
    passed = environment("trainer")
    assert set(passed) - BOTO3 <= set(BY_NAME), "the trainer would not hear of these"
    settings = read(passed)
    assert (settings.most_epsilon, settings.most_delta) == (3, 1e-6)
    assert settings.signing_key_arn != settings.manifest_key_arn, "who trains does not vouch for the data"
    assert settings.model_prefix == "candidates/"
    assert settings.signing_key_file is None, "its key stays in KMS"


@pytest.mark.parametrize("left_out", ["DATA_API_URL", "DATA_API_TOKEN_FILE", "DP_EPSILON", "DP_DELTA"])
def test_what_the_trainer_cannot_do_without_is_passed(left_out: str) -> None:
    passed = environment("trainer")
    assert left_out in passed
    with pytest.raises(TrainerError, match=left_out):
        read({name: value for name, value in passed.items() if name != left_out})
