"""What the gateway reads from its environment: names and places, never a secret."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from services.shared import settings as shared
from services.shared.settings import ServiceSettings, SettingsError, secret, settings_of

HERE = Path(__file__).parent

AUDIENCE = "gateway"
"""Whom tokens must be for, unless the environment says otherwise."""

BY_NAME = {
    **shared.BY_NAME,
    "MODEL_FOLDER": "model_folder",
    "MODEL_BUCKET": "model_bucket",
    "MODEL_PREFIX": "model_prefix",
    "TRAINER_KEY_FILE": "trainer_key_file",
    "TRAINER_KEY_ARN": "trainer_key_arn",
    "VERDICT_KEY_FILE": "verdict_key_file",
    "VERDICT_KEY_ARN": "verdict_key_arn",
    "BUDGET_TABLE": "budget_table",
    "BUDGET_FILE": "budget_file",
    "QUERY_LOG_GROUP": "query_log_group",
    "QUERY_SECRET_FILE": "query_secret_file",
    "QUERY_SECRET_ID": "query_secret_id",
    "SERVING_FILE": "serving_file",
    "CLIENTS_FILE": "clients_file",
    "STATE_FOLDER": "state_folder",
    "RELOAD_SECONDS": "reload_seconds",
}
"""Every variable that is read. The component of the cluster passes names out of this table."""

ONE_OF = (
    ("MODEL_FOLDER", "MODEL_BUCKET"),
    ("TRAINER_KEY_FILE", "TRAINER_KEY_ARN"),
    ("VERDICT_KEY_FILE", "VERDICT_KEY_ARN"),
    ("BUDGET_FILE", "BUDGET_TABLE"),
    ("QUERY_SECRET_FILE", "QUERY_SECRET_ID"),
)
"""Of each pair exactly one is given: on one's own machine, or in AWS."""


class Limits(BaseModel):
    """How much one caller may take at once."""

    model_config = ConfigDict(frozen=True)
    concurrent_queries: int = 32
    concurrent_readings: int = 4
    """Of queries with images, which take seconds each."""
    requests_per_second: float = 200
    burst: int = 400
    slow_client_seconds: float = 10
    log_seconds: float = 5
    """How long an answer waits for its line in the log."""


class Settings(ServiceSettings):
    """Where the gateway finds what it needs. Secrets are in files or in AWS Secrets Manager."""

    caller_audience: str = AUDIENCE
    model_folder: Path | None = None
    """Where releases lie: ``<name>/<version>/``."""
    model_bucket: str | None = None
    model_prefix: str = "released/"
    """Of the same in a bucket."""
    trainer_key_file: Path | None = None
    trainer_key_arn: str | None = None
    """Who must have signed a model."""
    verdict_key_file: Path | None = None
    verdict_key_arn: str | None = None
    """Who must have signed the verdict about it."""
    budget_table: str | None = None
    budget_file: Path | None = None
    """Where queries of the day are counted, for all replicas."""
    query_log_group: str | None = None
    """Where lines of the query log are shipped to, beside standard output."""
    query_secret_file: Path | None = None
    query_secret_id: str | None = None
    """32 random bytes or more, from which every key of the service is derived."""
    serving_file: Path = HERE / "serving.yaml"
    clients_file: Path = HERE / "clients.yaml"
    state_folder: Path = Path(tempfile.gettempdir()) / "gateway"
    """The gateway's own: the last good models, and how new they were."""
    reload_seconds: Annotated[float, Field(gt=0, le=3600)] = 30
    """Between two looks at where releases lie."""
    limits: Limits = Field(default_factory=Limits)


def read(environment: Mapping[str, str]) -> Settings:
    """Return the settings in an environment.

    Raises:
        SettingsError: something is missing or wrong.
    """
    settings = settings_of(Settings, BY_NAME, environment)
    for here, aws in ONE_OF:
        given = [name for name in (here, aws) if getattr(settings, BY_NAME[name])]
        if len(given) != 1:
            raise SettingsError(
                f"{here}: {'is missing' if not given else 'is one too many'}; give it or {aws}"
            )
        if given == [aws] and not settings.aws_region:
            raise SettingsError(f"AWS_REGION: is missing; {aws} needs it")
    if not settings.model_prefix.endswith("/"):
        raise SettingsError(f"MODEL_PREFIX: {settings.model_prefix!r:.60} is none; write one like released/")
    return settings


def root_secret(settings: Settings) -> bytes:
    """Return the secret that every key of the service is derived from.

    Raises:
        SettingsError: neither a file nor a secret of AWS is named.
    """
    return secret(settings, file="query_secret_file", aws="query_secret_id")
