"""What a run came to leaves the server as a signed candidate, under the one prefix of the bucket that is for candidates.

The trainer's key is not here: a federation signs with its own, and whoever verifies knows where a model came from. Judging
and releasing it is the red team's, as with any other.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from services.federated import candidate, samples, settings
from services.federated.candidate import About, Examples
from services.federated.errors import FederatedError
from services.federated.places import Server
from services.federated.settings import Settings
from services.modelchain.errors import ModelError
from services.modelchain.keys import Signer, file_signer, kms_signer
from services.modelchain.schema import MODEL, MODEL_SIGNATURE

LOOK_SECONDS = 2.0
"""Between two looks for a result."""

CONNECT_SECONDS, WRITE_SECONDS, TRIES = 3, 300, 3
"""Of a call to S3."""


def signer(places: Server) -> Signer | None:
    """Return the federation's key, where one is named.

    Raises:
        FederatedError: it cannot be used.
    """
    try:
        if places.signing_key_arn:
            if places.aws_region is None:
                raise FederatedError("AWS_REGION: is not set, and SIGNING_KEY_ARN names a key of KMS")
            return kms_signer(places.signing_key_arn, places.aws_region)
        return file_signer(places.signing_key_file) if places.signing_key_file else None
    except ModelError as error:
        raise FederatedError(str(error)) from None


def watch(places: Server, key: Signer, terms: Callable[[], str]) -> None:
    """Look for results for ever, and make a candidate of each; what goes wrong is said and tried again."""
    done = 0
    while True:
        time.sleep(LOOK_SECONDS)
        try:
            version = _version(places.results)
            if version > done:
                sys.stdout.write(f"{made(places, key, settings.read(terms()), version)}\n")
                sys.stdout.flush()
                done = version
        except FederatedError as error:
            sys.stderr.write(f"federated: {error}\n")


def made(places: Server, key: Signer, agreed: Settings, version: int) -> str:
    """Make, sign and upload the candidate of the results that are there; return where it is.

    Raises:
        FederatedError: they make none, or S3 does not take it.
    """
    into = places.state_folder / "candidates" / str(version)
    if not into.exists():
        about = About(
            name=places.model_name,
            version=version,
            title=places.model_title,
            intended_use=places.model_use,
            dataset=places.model_name,
            classes=tuple(str(each) for each in range(agreed.classes)),
        )
        candidate.write(into, places.results, agreed, about, _held(agreed), key)
    return _upload(places, into, version) if places.model_bucket else str(into)


def _version(results: Path) -> int:
    """Return when the result was written, in seconds since 1970: later ones are newer versions."""
    path = results / "result.json"
    return int(path.stat().st_mtime) if path.exists() else 0


def _held(agreed: Settings) -> Examples | None:
    return samples.held_out() if agreed.held_out == "digits" else None


def _upload(places: Server, made: Path, version: int) -> str:
    import boto3
    from boto3.exceptions import Boto3Error
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    bounded = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=WRITE_SECONDS,
        retries={"mode": "standard", "total_max_attempts": TRIES},
    )
    prefix = f"{places.model_prefix.strip('/')}/{places.model_name}/{version}"
    files = {f"{MODEL}/{path.name}": path for path in sorted((made / MODEL).iterdir())}
    try:
        client = boto3.client("s3", region_name=places.aws_region, config=bounded)
        # The signature is last, so what has one is whole.
        for name, path in {**files, MODEL_SIGNATURE: made / MODEL_SIGNATURE}.items():
            client.upload_file(str(path), places.model_bucket, f"{prefix}/{name}")
    except (BotoCoreError, ClientError, Boto3Error) as error:
        raise FederatedError(f"MODEL_BUCKET: the candidate is not there yet: {error}") from None
    return f"s3://{places.model_bucket}/{prefix}/"
