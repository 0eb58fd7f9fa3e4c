"""Candidates out of the bucket of models, and what withstood back into it, under the prefixes that the job may use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from services.modelchain.reading import FOLDERS, MOST_TOTAL_BYTES, SIGNATURE_BYTES
from services.modelchain.schema import MODEL, MODEL_SIGNATURE, VERDICT_SIGNATURE
from services.redteam import settings
from services.redteam.errors import RedTeamError
from services.redteam.settings import CONNECT_SECONDS, TRIES, Settings

SECONDS = 300
"""Of one object."""

JUDGED = "_judged"
"""Beneath the prefix of releases: verdicts of every run, for whom it concerns. No model has a name like that."""


class Bucket:
    """The bucket of models."""

    def __init__(self, told: Settings) -> None:
        """Take the settings."""
        import boto3
        from botocore.config import Config

        bounded = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=SECONDS,
            retries={"mode": "standard", "total_max_attempts": TRIES},
        )
        self._name = settings.needed(told, "MODEL_BUCKET")
        self._candidates, self._released = (
            each.strip("/") for each in (told.candidate_prefix, told.release_prefix)
        )
        self._client: Any = boto3.client("s3", region_name=told.aws_region, config=bounded)

    def fetch(self, name: str, version: int, into: Path) -> None:
        """Copy a candidate into a new folder: the files that one has, and no others.

        Raises:
            RedTeamError: it is not there, has other files, or is too large.
        """
        prefix = f"{self._candidates}/{name}/{version}/"
        allowed = {f"{MODEL}/{each}": most for each, most in FOLDERS[MODEL].items()}
        allowed[MODEL_SIGNATURE] = SIGNATURE_BYTES
        left = MOST_TOTAL_BYTES
        found = [each for each in self._listed(prefix) if each[0] in allowed]
        if not found:
            raise RedTeamError(f"s3://{self._name}/{prefix}: there is no candidate")
        into.mkdir(mode=0o700)
        for path, size in found:
            left -= size
            if size > allowed[path] or left < 0:
                raise RedTeamError(f"s3://{self._name}/{prefix}{path}: is too large")
            target = into / path
            target.parent.mkdir(mode=0o700, exist_ok=True)
            with target.open("xb") as file:
                file.write(self._object(prefix + path, size))

    def put(self, folder: Path, where: str) -> str:
        """Put a folder under the prefix of releases, its verdict's signature last; return where.

        Raises:
            RedTeamError: something is already there, or S3 does not take it.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        paths = sorted(
            (path for path in folder.rglob("*") if path.is_file()),
            # Whoever sees the last one sees a whole release.
            key=lambda path: (path.name == VERDICT_SIGNATURE, path.as_posix()),
        )
        prefix = f"{self._released}/{where}"
        for path in paths:
            key = f"{prefix}/{path.relative_to(folder).as_posix()}"
            try:
                self._client.put_object(Bucket=self._name, Key=key, Body=path.read_bytes(), IfNoneMatch="*")
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") == "PreconditionFailed":
                    raise RedTeamError(
                        f"s3://{self._name}/{key}: is already there; a version is released once"
                    ) from None
                raise RedTeamError(f"s3://{self._name}/{key}: is not taken: {error}") from None
            except BotoCoreError as error:
                raise RedTeamError(f"s3://{self._name}/{key}: is not taken: {error}") from None
        return f"s3://{self._name}/{prefix}/"

    def _listed(self, prefix: str) -> list[tuple[str, int]]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            # A candidate has a dozen files; one page holds a thousand.
            page = self._client.list_objects_v2(Bucket=self._name, Prefix=prefix)
        except (BotoCoreError, ClientError) as error:
            raise RedTeamError(f"s3://{self._name}/{prefix}: cannot be listed: {error}") from None
        return [(each["Key"].removeprefix(prefix), int(each["Size"])) for each in page.get("Contents", [])]

    def _object(self, key: str, size: int) -> bytes:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            data: bytes = self._client.get_object(Bucket=self._name, Key=key)["Body"].read(size + 1)
        except (BotoCoreError, ClientError) as error:
            raise RedTeamError(f"s3://{self._name}/{key}: cannot be read: {error}") from None
        if len(data) != size:
            raise RedTeamError(f"s3://{self._name}/{key}: changed while it was read")
        return data
