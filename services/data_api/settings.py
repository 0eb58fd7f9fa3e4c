"""What the service reads from its environment: names and places, never a secret."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.shared.addresses import Network

HERE = Path(__file__).parent

BY_NAME = {
    "AWS_REGION": "aws_region",
    "DATABASE_HOST": "database_host",
    "DATABASE_PORT": "database_port",
    "DATABASE_NAME": "database_name",
    "DATABASE_USER": "database_user",
    "DATABASE_CA_FILE": "database_ca_file",
    "DATABASE_PASSWORD_FILE": "database_password_file",
    "AUDIT_LOG_GROUP": "audit_log_group",
    "CALLER_ISSUER": "caller_issuer",
    "CALLER_AUDIENCE": "caller_audience",
    "CALLER_KEYS_URL": "caller_keys_url",
    "CALLER_KEYS_FILE": "caller_keys_file",
    "CALLER_KEYS_CA_FILE": "caller_keys_ca_file",
    "CALLER_KEYS_TOKEN_FILE": "caller_keys_token_file",
    "TLS_SECRET_ID": "tls_secret_id",
    "TLS_FILE": "tls_file",
    "PSEUDONYM_SECRET_ID": "pseudonym_secret_id",
    "PSEUDONYM_SECRET_FILE": "pseudonym_secret_file",
    "TRUSTED_PROXIES": "trusted_proxies",
    "DATASETS_FOLDER": "datasets_folder",
    "POLICIES_FOLDER": "policies_folder",
    "PORT": "port",
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


class Settings(BaseModel):
    """Where the service finds what it needs. Secrets are in files or in AWS Secrets Manager."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    aws_region: str | None = None
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
    caller_issuer: str
    caller_audience: str = "data-api"
    caller_keys_url: str | None = None
    """Where the issuer's keys are; what its discovery document names if not given."""
    caller_keys_file: Path | None = None
    caller_keys_ca_file: Path | None = None
    """Certificates that the address of the keys must descend from."""
    caller_keys_token_file: Path | None = None
    """What the service shows there: a cluster tells its keys to its own service accounts."""
    tls_secret_id: str | None = None
    tls_file: Path | None = None
    """Certificate and key in one PEM file; else the secret of that id."""
    pseudonym_secret_id: str | None = None
    pseudonym_secret_file: Path | None = None
    trusted_proxies: str = ""
    """Networks, separated by commas, whose X-Forwarded-For is believed."""
    datasets_folder: Path = HERE / "datasets"
    policies_folder: Path = HERE / "policies"
    port: int = 8443
    limits: Limits = Field(default_factory=Limits)

    @property
    def proxies(self) -> list[Network]:
        """The trusted proxies as networks."""
        return [ip_network(text.strip()) for text in self.trusted_proxies.split(",") if text.strip()]


class SettingsError(Exception):
    """A setting is missing or wrong; the message names the variable."""


def read(environment: Mapping[str, str]) -> Settings:
    """Return the settings in an environment.

    Raises:
        SettingsError: something is missing or wrong.
    """
    given = {field: environment[name] for name, field in BY_NAME.items() if environment.get(name)}
    try:
        settings = Settings.model_validate(given)
        _ = settings.proxies
        if settings.caller_keys_url and not settings.caller_keys_url.startswith("https://"):
            raise SettingsError("CALLER_KEYS_URL: is not served over TLS; write an https:// address")
        if settings.caller_keys_token_file and not settings.caller_keys_url:
            raise SettingsError("CALLER_KEYS_TOKEN_FILE: is shown nowhere; write CALLER_KEYS_URL too")
    except ValidationError as error:
        names = {field: name for name, field in BY_NAME.items()}
        first = error.errors()[0]
        raise SettingsError(f"{names.get(str(first['loc'][0]), first['loc'])}: {first['msg']}") from None
    except ValueError as error:
        raise SettingsError(f"TRUSTED_PROXIES: {error}; write networks, like 10.0.0.0/16") from None
    return settings


def root_secret(settings: Settings) -> bytes:
    """Return the secret that every key of the service is derived from.

    Raises:
        SettingsError: neither a file nor a secret of AWS is named.
    """
    return secret(settings, "pseudonym_secret").strip()


def secret(settings: Settings, name: str) -> bytes:
    """Return the secret ``tls`` or ``pseudonym_secret`` from its file, or from AWS Secrets Manager.

    Raises:
        SettingsError: neither place is named.
    """
    file: Path | None = getattr(settings, f"{name}_file")
    if file is not None:
        return file.read_bytes()
    secret_id = getattr(settings, f"{name}_id" if name.endswith("secret") else f"{name}_secret_id")
    if not secret_id:
        raise SettingsError(f"{name}: name a file or a secret of AWS Secrets Manager")
    import boto3

    kept = boto3.client("secretsmanager", region_name=settings.aws_region).get_secret_value(
        SecretId=secret_id
    )
    return bytes(kept["SecretBinary"]) if "SecretBinary" in kept else str(kept["SecretString"]).encode()
