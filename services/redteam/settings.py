"""What the red team reads from its environment: names and places, never a secret."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.modelchain.errors import ModelError
from services.modelchain.keys import Signer, Verifier, kms_signer, kms_verifier
from services.redteam.errors import RedTeamError

BY_NAME = {
    "AWS_REGION": "aws_region",
    "CANDIDATE_PREFIX": "candidate_prefix",
    "DATA_API_URL": "data_api_url",
    "DATA_API_TOKEN_FILE": "data_api_token_file",
    "DATA_API_CA_FILE": "data_api_ca_file",
    "DATA_API_CA_SECRET_ID": "data_api_ca_secret_id",
    "MODEL_BUCKET": "model_bucket",
    "RELEASE_PREFIX": "release_prefix",
    "SIGNING_KEY_ARN": "signing_key_arn",
    "TRAINER_KEY_ARN": "trainer_key_arn",
}
"""Every variable that is read. The component of the cluster passes names out of this table."""

CONNECT_SECONDS, READ_SECONDS, TRIES = 3, 10, 3
"""Of a call to AWS Secrets Manager."""


class Settings(BaseModel):
    """Where the red team finds what it needs; a command says what it misses."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    aws_region: str | None = None
    candidate_prefix: str = "candidates/"
    data_api_url: Annotated[str, Field(pattern=r"^https://[^\s]+$")] | None = None
    data_api_token_file: Path | None = None
    """The token of the service account; read anew for each request, since the cluster renews it."""
    data_api_ca_file: Path | None = None
    """Certificates that the data-access API's must descend from; the machine's own store if not given."""
    data_api_ca_secret_id: str | None = None
    """The same, in AWS Secrets Manager."""
    model_bucket: str | None = None
    release_prefix: str = "released/"
    signing_key_arn: str | None = None
    """The red team's own key."""
    trainer_key_arn: str | None = None
    """The key that candidates are signed with."""


def read(environment: Mapping[str, str]) -> Settings:
    """Return the settings in an environment.

    Raises:
        RedTeamError: one is wrong; the message names the variable.
    """
    given = {field: environment[name] for name, field in BY_NAME.items() if environment.get(name)}
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        names = {field: name for name, field in BY_NAME.items()}
        first = error.errors(include_url=False, include_input=False)[0]
        said = {"string_pattern_mismatch": "is not an https:// address"}
        raise RedTeamError(
            f"{names[str(first['loc'][0])]}: {said.get(first['type'], first['msg'])}"
        ) from None


def needed(settings: Settings, name: str) -> str:
    """Return a setting that a command cannot do without; ``name`` is the variable's.

    Raises:
        RedTeamError: it is not set.
    """
    found = getattr(settings, BY_NAME[name])
    if found is None:
        raise RedTeamError(f"{name}: is not set")
    return str(found)


def token(settings: Settings) -> str:
    """Return the token of now.

    Raises:
        RedTeamError: the file cannot be read.
    """
    try:
        return Path(needed(settings, "DATA_API_TOKEN_FILE")).read_text().strip()
    except OSError as error:
        raise RedTeamError(f"DATA_API_TOKEN_FILE: cannot be read: {error.strerror}") from None


def trusted(settings: Settings) -> ssl.SSLContext:
    """Return whom the data-access API's certificate must descend from.

    Raises:
        RedTeamError: there is no certificate where the settings say.
    """
    where = "DATA_API_CA_FILE" if settings.data_api_ca_file else "DATA_API_CA_SECRET_ID"
    try:
        if settings.data_api_ca_file is None and settings.data_api_ca_secret_id:
            return ssl.create_default_context(cadata=_secret(settings))
        return ssl.create_default_context(cafile=settings.data_api_ca_file)
    except (OSError, ValueError) as error:
        raise RedTeamError(f"{where}: holds no certificates in PEM: {error}") from None


def _secret(settings: Settings) -> str:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    bounded = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": TRIES},
    )
    client = boto3.client("secretsmanager", region_name=settings.aws_region, config=bounded)
    try:
        return str(client.get_secret_value(SecretId=settings.data_api_ca_secret_id)["SecretString"])
    except (BotoCoreError, ClientError, KeyError) as error:
        raise RedTeamError(
            f"DATA_API_CA_SECRET_ID: cannot be read from AWS: {type(error).__name__}"
        ) from None


def signer(settings: Settings) -> Signer:
    """Return the red team's own key.

    Raises:
        RedTeamError: none is named, or it cannot be used.
    """
    try:
        return kms_signer(needed(settings, "SIGNING_KEY_ARN"), needed(settings, "AWS_REGION"))
    except ModelError as error:
        raise RedTeamError(str(error)) from None


def trainer(settings: Settings) -> Verifier:
    """Return the trainer's public key.

    Raises:
        RedTeamError: none is named, or it cannot be read.
    """
    try:
        return kms_verifier(needed(settings, "TRAINER_KEY_ARN"), needed(settings, "AWS_REGION"))
    except ModelError as error:
        raise RedTeamError(str(error)) from None
