"""Brings a candidate to the bucket of models, under the one prefix that the trainer may write to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from services.trainer.errors import TryAgain
from services.trainer.settings import CONNECT_SECONDS, TRIES, Settings

WRITE_SECONDS = 300


def upload(settings: Settings, name: str, version: int, files: Mapping[str, Path]) -> str | None:
    """Put the files there, in their order; return where, or nothing where no bucket is set.

    Raises:
        TryAgain: S3 does not take them.
    """
    if not settings.model_bucket:
        return None
    import boto3
    from boto3.exceptions import Boto3Error
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    bounded = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=WRITE_SECONDS,
        retries={"mode": "standard", "total_max_attempts": TRIES},
    )
    prefix = f"{settings.model_prefix.strip('/')}/{name}/{version}"
    try:
        client = boto3.client("s3", region_name=settings.aws_region, config=bounded)
        for each, path in files.items():
            client.upload_file(str(path), settings.model_bucket, f"{prefix}/{each}")
    except (BotoCoreError, ClientError, Boto3Error) as error:
        raise TryAgain(f"MODEL_BUCKET: the candidate is not there yet: {error}") from None
    return f"s3://{settings.model_bucket}/{prefix}/"
