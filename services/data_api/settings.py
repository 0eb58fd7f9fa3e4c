"""What the service reads from its environment: names and places, never a secret."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from services.shared import settings as shared
from services.shared.settings import ServiceSettings, secret, settings_of

HERE = Path(__file__).parent

AUDIENCE = "data-api"
"""Whom tokens must be for, unless the environment says otherwise."""

BY_NAME = {
    **shared.BY_NAME,
    "DATABASE_HOST": "database_host",
    "DATABASE_PORT": "database_port",
    "DATABASE_NAME": "database_name",
    "DATABASE_USER": "database_user",
    "DATABASE_CA_FILE": "database_ca_file",
    "DATABASE_PASSWORD_FILE": "database_password_file",
    "AUDIT_LOG_GROUP": "audit_log_group",
    "PSEUDONYM_SECRET_ID": "pseudonym_secret_id",
    "PSEUDONYM_SECRET_FILE": "pseudonym_secret_file",
    "DATASETS_FOLDER": "datasets_folder",
    "POLICIES_FOLDER": "policies_folder",
}
"""Every variable that is read. The component of the cluster passes names out of this table."""


class Limits(BaseModel):
    """How much one caller may take at once."""

    model_config = ConfigDict(frozen=True)
    rows: int = 10_000_000
    bytes_sent: int = 8 * 2**30
    body_bytes: int = 65_536
    concurrent_queries: int = 4
    requests_per_second: float = 50
    burst: int = 100
    statement_seconds: float = 60
    slow_client_seconds: float = 20
    aggregate_rows: int = 2_000_000


class Settings(ServiceSettings):
    """Where the service finds what it needs. Secrets are in files or in AWS Secrets Manager."""

    database_host: str
    database_port: int = 5432
    database_name: str = "postgres"
    database_user: str = "data_api"
    database_ca_file: Path | None = None
    """Certificates that the database's must descend from; the machine's own store if not given."""
    database_password_file: Path | None = None
    """Without it the service signs in with a token of RDS IAM."""
    audit_log_group: str | None = None
    """Where audit events are shipped to, beside standard output."""
    caller_audience: str = AUDIENCE
    pseudonym_secret_id: str | None = None
    pseudonym_secret_file: Path | None = None
    datasets_folder: Path = HERE / "datasets"
    policies_folder: Path = HERE / "policies"
    limits: Limits = Field(default_factory=Limits)


def read(environment: Mapping[str, str]) -> Settings:
    """Return the settings in an environment.

    Raises:
        SettingsError: something is missing or wrong.
    """
    return settings_of(Settings, BY_NAME, environment)


def root_secret(settings: Settings) -> bytes:
    """Return the secret that every key of the service is derived from.

    Raises:
        SettingsError: neither a file nor a secret of AWS is named.
    """
    return secret(settings, file="pseudonym_secret_file", aws="pseudonym_secret_id").strip()
