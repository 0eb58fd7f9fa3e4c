"""What the server, a silo and the operator read from their environments: names and places, never a secret.

A secret is in a file, or in AWS Secrets Manager; of each such pair one is given.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from services.federated.errors import FederatedError

CONNECT_SECONDS, READ_SECONDS, TRIES = 3, 10, 3
"""Of a call to AWS Secrets Manager."""

Port = Annotated[int, Field(ge=1, le=65535)]
Address = Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]{1,253}:[0-9]{1,5}$")]


class _Places(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    aws_region: str | None = None
    state_folder: Path = Path(tempfile.gettempdir()) / "federated"
    """The process's own: what Flower unpacks, keys of loopback."""


class Server(_Places):
    """Where the server finds what it needs."""

    host: str = "0.0.0.0"  # noqa: S104 - a pod's own address; the network policy says who reaches which port
    port: Port = 9092
    """For nodes."""
    control_port: Port = 9093
    """For operators."""
    runtime_port: Port = 9091
    """For the ServerApp, on loopback alone."""
    tls_file: Path | None = None
    tls_secret_id: str | None = None
    """Certificate and key in one PEM file."""
    operator_ca_file: Path | None = None
    operator_ca_secret_id: str | None = None
    """Whom an operator's certificate must descend from."""
    node_public_keys: dict[str, str] = {}
    """Keys of enrolled nodes in OpenSSH's format, by the silo's name; an operator may add others while it runs."""
    results_folder: Path | None = None
    """Where the ServerApp writes; in the state's folder if not given."""
    model_bucket: str | None = None
    model_prefix: str = "candidates/"
    """Where candidates go, signed."""
    model_name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")] = "federated"
    model_title: Annotated[str, Field(min_length=1, max_length=200)] = "Learned by a federation"
    model_use: Annotated[str, Field(min_length=1, max_length=2000)] = "As the federation's silos agreed."
    """What the model card says of a candidate; its version is the second in which it was made."""
    signing_key_file: Path | None = None
    signing_key_arn: str | None = None
    """Of who vouches for what the federation learned; without one, results lie where the ServerApp wrote them."""
    secure_aggregation: Annotated[str, Field(pattern="^(required|optional)$")] = "required"
    """Whether a run without it is refused; what an experiment on one's own machine may leave out."""

    @field_validator("node_public_keys", mode="before")
    @classmethod
    def _keys(cls, value: Any) -> Any:
        return _json(value)

    @property
    def results(self) -> Path:
        """Where the ServerApp writes."""
        return self.results_folder or self.state_folder / "results"


class Silo(_Places):
    """Where a silo finds what it needs."""

    silo_name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
    federation_address: Address
    """The server's door for nodes, ``host:port``."""
    federation_ca_file: Path | None = None
    federation_ca_secret_id: str | None = None
    """Whom the server's certificate must descend from."""
    node_key_file: Path | None = None
    node_key_secret_id: str | None = None
    """The node's private key, ECDSA on P-384, in OpenSSH's format."""
    trusted_entities: Annotated[dict[str, str], Field(min_length=1)]
    """Who may vouch for apps: Ed25519 keys in OpenSSH's format, by id. Nobody is no answer: Flower would trust all."""
    terms: dict[str, Any]
    """The settings of the federation that the silo agreed to; it takes part in no run with others."""
    partition_id: Annotated[int, Field(ge=0)] = 0
    num_partitions: Annotated[int, Field(ge=1)] = 1
    store_folder: Path | None = None
    """Where the silo's rows are kept, encrypted; in the state's folder if not given."""
    store_key_arn: str | None = None
    store_key_file: Path | None = None
    """What the store's data keys are wrapped by: a key of KMS, or 32 bytes in a file."""
    homomorphic_key_file: Path | None = None
    homomorphic_key_secret_id: str | None = None
    """The key that silos share, where homomorphic encryption was agreed."""
    data_api_url: Annotated[str, Field(pattern=r"^https://[^\s]+$")] | None = None
    data_api_token_file: Path | None = None
    data_api_ca_file: Path | None = None
    data_api_ca_secret_id: str | None = None
    """The silo's own data-access API, which its rows are read from; without it the store must be filled already."""
    dataset: str | None = None
    purpose: str | None = None
    columns: tuple[str, ...] = ()
    label: str | None = None
    """What is read there."""
    runtime_port: Port = 9094
    """For the ClientApp, on loopback alone."""

    @field_validator("trusted_entities", "terms", mode="before")
    @classmethod
    def _texts(cls, value: Any) -> Any:
        return _json(value)

    @field_validator("columns", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        return tuple(name.strip() for name in value.split(",")) if isinstance(value, str) else value

    @property
    def store(self) -> Path:
        """Where the silo's rows are kept."""
        return self.store_folder or self.state_folder / "store"


class Operator(_Places):
    """Where the operator finds what it needs."""

    server_address: Address
    """The server's door for operators, ``host:port``."""
    server_ca_file: Path | None = None
    server_ca_secret_id: str | None = None
    operator_tls_file: Path | None = None
    operator_tls_secret_id: str | None = None
    """The operator's certificate and key in one PEM file."""
    app_key_file: Path | None = None
    app_key_secret_id: str | None = None
    """The entity's key, which signs the app: Ed25519, in OpenSSH's format."""
    app_entity: str = "federation"
    """The id under which silos know the entity."""
    terms: dict[str, Any]
    """The settings of the federation; those that silos agreed to."""

    @field_validator("terms", mode="before")
    @classmethod
    def _terms(cls, value: Any) -> Any:
        return _json(value)


BY_NAME: dict[type[_Places], dict[str, str]] = {
    kind: {field.upper(): field for field in kind.model_fields} for kind in (Server, Silo, Operator)
}
"""Every variable that is read, by who reads it."""

Kind = TypeVar("Kind", bound=_Places)


def read(kind: type[Kind], environment: Mapping[str, str]) -> Kind:
    """Return what an environment says.

    Raises:
        FederatedError: something is missing or wrong; the message names the variable.
    """
    given = {field: environment[name] for name, field in BY_NAME[kind].items() if environment.get(name)}
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        said = {"missing": "is not set", "too_short": "names nobody; name one at least"}
        raise FederatedError(
            f"{str(first['loc'][0]).upper()}: {said.get(first['type'], first['msg'])}"
        ) from None


def secret(places: _Places, name: str) -> bytes:
    """Return what lies in ``<name>_file``, or in the secret of AWS that ``<name>_secret_id`` names.

    Raises:
        FederatedError: neither is given, both are, or it cannot be read.
    """
    file: Path | None = getattr(places, f"{name}_file")
    named: str | None = getattr(places, f"{name}_secret_id")
    if (file is None) == (named is None):
        raise FederatedError(f"{name.upper()}_FILE: give this or {name.upper()}_SECRET_ID, and not both")
    try:
        return file.read_bytes() if file else _from_aws(places, str(named))
    except OSError as error:
        raise FederatedError(f"{name.upper()}_FILE: cannot be read: {error.strerror}") from None


def secret_file(places: _Places, name: str) -> Path:
    """Return a file with a secret: the one that was named, or one of this process that AWS's went into.

    Raises:
        FederatedError: see ``secret``.
    """
    data = secret(places, name)
    file: Path | None = getattr(places, f"{name}_file")
    return file if file is not None else kept(places.state_folder, f"{name}.pem", data)


def kept(folder: Path, name: str, data: bytes) -> Path:
    """Write a file that only its owner reads, in place of what had its name; return where it is."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / name
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
    return path


def _from_aws(places: _Places, named: str) -> bytes:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    bounded = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": TRIES},
    )
    try:
        client = boto3.client("secretsmanager", region_name=places.aws_region, config=bounded)
        said = client.get_secret_value(SecretId=named)
    except (BotoCoreError, ClientError) as error:
        raise FederatedError(f"{named}: cannot be read from AWS: {type(error).__name__}") from None
    return bytes(said["SecretBinary"]) if "SecretBinary" in said else str(said["SecretString"]).encode()


def _json(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError("is no JSON") from None
