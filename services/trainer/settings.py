"""What the trainer reads from its environment: names, places and limits, never a secret."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.modelchain.errors import ModelError
from services.modelchain.keys import (
    Signer,
    Verifier,
    file_signer,
    file_verifier,
    kms_signer,
    kms_verifier,
)
from services.trainer.errors import TrainerError

BY_NAME = {
    "AWS_REGION": "aws_region",
    "DATA_API_URL": "data_api_url",
    "DATA_API_TOKEN_FILE": "data_api_token_file",
    "DATA_API_CA_FILE": "data_api_ca_file",
    "DATA_API_CA_SECRET_ID": "data_api_ca_secret_id",
    "DP_EPSILON": "most_epsilon",
    "DP_DELTA": "most_delta",
    "MANIFEST_KEY_ARN": "manifest_key_arn",
    "MANIFEST_KEY_FILE": "manifest_key_file",
    "MODEL_BUCKET": "model_bucket",
    "MODEL_PREFIX": "model_prefix",
    "SIGNING_KEY_ARN": "signing_key_arn",
    "SIGNING_KEY_FILE": "signing_key_file",
}
"""Every variable that is read. The component of the cluster passes names out of this table."""

CONNECT_SECONDS, READ_SECONDS, TRIES = 3, 10, 3
"""Of a call to AWS Secrets Manager."""


class Settings(BaseModel):
    """Where the trainer finds what it needs, and how much training may reveal at most."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    aws_region: str | None = None
    data_api_url: Annotated[str, Field(pattern=r"^https://[^\s]+$")]
    data_api_token_file: Path
    """The token of the service account; read anew for each request, since the cluster renews it."""
    data_api_ca_file: Path | None = None
    """Certificates that the data-access API's must descend from; the machine's own store if not given."""
    data_api_ca_secret_id: str | None = None
    """The same, in AWS Secrets Manager."""
    most_epsilon: Annotated[float, Field(gt=0)]
    """Most that one training may reveal of one person; a job may ask for less."""
    most_delta: Annotated[float, Field(gt=0, lt=1)]
    manifest_key_arn: str | None = None
    manifest_key_file: Path | None = None
    """The public key of whoever vouches for datasets; a file, or a key of KMS."""
    model_bucket: str | None = None
    model_prefix: str = "candidates/"
    signing_key_arn: str | None = None
    signing_key_file: Path | None = None
    """The trainer's own key: a private one in a file, or one of KMS."""


def read(environment: Mapping[str, str]) -> Settings:
    """Return the settings in an environment.

    Raises:
        TrainerError: something is missing or wrong; the message names the variable.
    """
    given = {field: environment[name] for name, field in BY_NAME.items() if environment.get(name)}
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        names = {field: name for name, field in BY_NAME.items()}
        first = error.errors(include_url=False, include_input=False)[0]
        said = {"missing": "is not set", "string_pattern_mismatch": "is not an https:// address"}
        raise TrainerError(
            f"{names[str(first['loc'][0])]}: {said.get(first['type'], first['msg'])}"
        ) from None


def token(settings: Settings) -> str:
    """Return the token of now.

    Raises:
        TrainerError: the file cannot be read.
    """
    try:
        return settings.data_api_token_file.read_text().strip()
    except OSError as error:
        raise TrainerError(f"DATA_API_TOKEN_FILE: cannot be read: {error.strerror}") from None


def trusted(settings: Settings) -> ssl.SSLContext:
    """Return whom the data-access API's certificate must descend from.

    Raises:
        TrainerError: there is no certificate where the settings say.
    """
    where = "DATA_API_CA_FILE" if settings.data_api_ca_file else "DATA_API_CA_SECRET_ID"
    try:
        if settings.data_api_ca_file is None and settings.data_api_ca_secret_id:
            return ssl.create_default_context(cadata=_secret(settings))
        return ssl.create_default_context(cafile=settings.data_api_ca_file)
    except (OSError, ValueError) as error:
        raise TrainerError(f"{where}: holds no certificates in PEM: {error}") from None


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
        raise TrainerError(
            f"DATA_API_CA_SECRET_ID: cannot be read from AWS: {type(error).__name__}"
        ) from None


def signer(settings: Settings) -> Signer:
    """Return the key that candidates are signed with.

    Raises:
        TrainerError: none is named, or it cannot be used.
    """
    try:
        if settings.signing_key_arn:
            return kms_signer(settings.signing_key_arn, _region(settings, "SIGNING_KEY_ARN"))
        if settings.signing_key_file:
            return file_signer(settings.signing_key_file)
    except ModelError as error:
        raise TrainerError(str(error)) from None
    raise TrainerError("SIGNING_KEY_FILE: is not set; name the trainer's private key, or SIGNING_KEY_ARN")


def manifest_verifier(settings: Settings) -> Verifier:
    """Return the key of whoever vouches for datasets.

    Raises:
        TrainerError: none is named, or it cannot be used.
    """
    try:
        if settings.manifest_key_arn:
            return kms_verifier(settings.manifest_key_arn, _region(settings, "MANIFEST_KEY_ARN"))
        if settings.manifest_key_file:
            return file_verifier(settings.manifest_key_file)
    except ModelError as error:
        raise TrainerError(str(error)) from None
    raise TrainerError("MANIFEST_KEY_FILE: is not set; name the public key of manifests, or MANIFEST_KEY_ARN")


def _region(settings: Settings, name: str) -> str:
    if settings.aws_region is None:
        raise TrainerError(f"AWS_REGION: is not set, and {name} names a key of KMS")
    return settings.aws_region
