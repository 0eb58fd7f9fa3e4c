"""What every service that is called reads from its environment: names and places, never a secret."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from services.shared.addresses import Network

BY_NAME = {
    "AWS_REGION": "aws_region",
    "CALLER_ISSUER": "caller_issuer",
    "CALLER_AUDIENCE": "caller_audience",
    "CALLER_KEYS_URL": "caller_keys_url",
    "CALLER_KEYS_FILE": "caller_keys_file",
    "CALLER_KEYS_CA_FILE": "caller_keys_ca_file",
    "CALLER_KEYS_TOKEN_FILE": "caller_keys_token_file",
    "TLS_SECRET_ID": "tls_secret_id",
    "TLS_FILE": "tls_file",
    "TRUSTED_PROXIES": "trusted_proxies",
    "PORT": "port",
}
"""The variables that every service reads."""


class SettingsError(Exception):
    """A setting is missing or wrong; the message names the variable."""


class ServiceSettings(BaseModel):
    """Whose tokens are taken, and where the service listens."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    aws_region: str | None = None
    caller_issuer: str
    caller_audience: str
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
    trusted_proxies: str = ""
    """Networks, separated by commas, whose X-Forwarded-For is believed."""
    port: int = 8443

    @property
    def proxies(self) -> list[Network]:
        """The trusted proxies as networks."""
        return [ip_network(text.strip()) for text in self.trusted_proxies.split(",") if text.strip()]


Kind = TypeVar("Kind", bound=ServiceSettings)


def settings_of(kind: type[Kind], by_name: Mapping[str, str], environment: Mapping[str, str]) -> Kind:
    """Return the settings of one service in an environment.

    Args:
        kind: Its settings.
        by_name: Every variable that it reads, and the field that the variable fills.
        environment: The environment.

    Raises:
        SettingsError: something is missing or wrong.
    """
    given = {field: environment[name] for name, field in by_name.items() if environment.get(name)}
    try:
        settings = kind.model_validate(given)
        _ = settings.proxies
        if settings.caller_keys_url and not settings.caller_keys_url.startswith("https://"):
            raise SettingsError("CALLER_KEYS_URL: is not served over TLS; write an https:// address")
        if settings.caller_keys_token_file and not settings.caller_keys_url:
            raise SettingsError("CALLER_KEYS_TOKEN_FILE: is shown nowhere; write CALLER_KEYS_URL too")
    except ValidationError as error:
        names = {field: name for name, field in by_name.items()}
        first = error.errors()[0]
        raise SettingsError(f"{names.get(str(first['loc'][0]), first['loc'])}: {first['msg']}") from None
    except ValueError as error:
        raise SettingsError(f"TRUSTED_PROXIES: {error}; write networks, like 10.0.0.0/16") from None
    return settings


def secret(settings: ServiceSettings, *, file: str, aws: str) -> bytes:
    """Return a secret from the file that one field names, or from the secret of AWS that the other does.

    Raises:
        SettingsError: neither place is named.
    """
    path: Path | None = getattr(settings, file)
    if path is not None:
        return path.read_bytes()
    named: str | None = getattr(settings, aws)
    if not named:
        raise SettingsError(f"{file.upper()}: name a file, or in {aws.upper()} a secret of AWS")
    import boto3

    client = boto3.client("secretsmanager", region_name=settings.aws_region)
    kept = client.get_secret_value(SecretId=named)
    return bytes(kept["SecretBinary"]) if "SecretBinary" in kept else str(kept["SecretString"]).encode()
