"""AWS as the bootstrap meets it: bounded calls, the caller checked, every refusal one plain sentence."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from blueprint.errors import BadInput, BlueprintError

CONNECT_SECONDS, READ_SECONDS, ATTEMPTS = 5, 30, 4

_DENIED = {"AccessDenied", "AccessDeniedException", "AllAccessDisabled", "UnauthorizedOperation"}
_BAD_CREDENTIALS = {
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}

_NAMED_OTHERWISE = {
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
    "PutObjectLockConfiguration": "PutBucketObjectLockConfiguration",
    "ListBuckets": "ListAllMyBuckets",
}
"""Actions of S3 that are not called as its operations (Service Authorization Reference, "Actions for Amazon S3")."""


class Refused(BlueprintError):
    """AWS does not let the caller, or does not answer."""


class Cloud:
    """One account's APIs, asked with the caller's own credentials.

    Attributes:
        calls: Every operation that was asked for, ``s3:CreateBucket``, in order.
    """

    def __init__(self, session: Any = None) -> None:
        """Take the credentials that AWS's own tools would take: environment, profile, single sign-on."""
        self.calls: list[str] = []
        self._clients: dict[tuple[str, str], Any] = {}
        self._session = session

    def client(self, service: str, region: str) -> Any:
        """Return a client whose calls end in time."""
        if (service, region) not in self._clients:
            from botocore.config import Config

            made = self._started().client(
                service,
                region_name=region,
                config=Config(
                    connect_timeout=CONNECT_SECONDS,
                    read_timeout=READ_SECONDS,
                    retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
                ),
            )
            made.meta.events.register("provide-client-params", self._note)
            self._clients[service, region] = made
        return self._clients[service, region]

    def every(self, service: str, operation: str, field: str, region: str, **arguments: Any) -> Iterator[Any]:
        """Yield what a list or describe operation tells, all its pages."""
        client = self.client(service, region)
        pages: Iterable[Any] = (
            client.get_paginator(operation).paginate(**arguments)
            if client.can_paginate(operation)
            else (getattr(client, operation)(**arguments),)
        )
        for page in pages:
            yield from page.get(field, ())

    def caller(self, region: str) -> str:
        """Return the ARN of who calls as policies know it: a session's role, not the session.

        Raises:
            BadInput: there are no credentials, or AWS does not take them.
        """
        told = self.client("sts", region).get_caller_identity()
        arn = str(told["Arn"])
        session = re.fullmatch(r"arn:[^:]+:sts::\d+:assumed-role/([^/]+)/.+", arn)
        if session is None:
            return arn
        # The session's ARN leaves the role's path out.
        return str(self.client("iam", region).get_role(RoleName=session[1])["Role"]["Arn"])

    def account(self, region: str) -> str:
        """Return the account of who calls."""
        return str(self.client("sts", region).get_caller_identity()["Account"])

    def _started(self) -> Any:
        if self._session is None:
            import boto3

            self._session = boto3.Session()
        return self._session

    def _note(self, model: Any, **_: Any) -> None:
        service = str(model.service_model.signing_name)
        name = str(model.name)
        self.calls.append(f"{service}:{_NAMED_OTHERWISE.get(name, name) if service == 's3' else name}")


@contextmanager
def plainly(cloud: Cloud) -> Iterator[None]:
    """Say in one sentence what AWS, or the way to it, refused.

    Raises:
        BadInput: the credentials are missing, or not taken.
        Refused: an action is not allowed, or a call failed.
    """
    from botocore import exceptions as failures

    try:
        yield
    except failures.ClientError as error:
        raise _said(error, cloud) from None
    except (
        failures.NoCredentialsError,
        failures.PartialCredentialsError,
        failures.CredentialRetrievalError,
        failures.ProfileNotFound,
        failures.SSOError,
        failures.TokenRetrievalError,
    ) as error:
        raise BadInput(
            f"no credentials of AWS: {error}; sign in (aws sso login), or name a profile in AWS_PROFILE"
        ) from None
    except failures.BotoCoreError as error:
        last = cloud.calls[-1] if cloud.calls else "AWS"
        raise Refused(f"{last}: no answer: {error}; run the command again, it goes on from here") from None


def _said(error: Any, cloud: Cloud) -> BlueprintError:
    code, message = code_of(error), str(error.response.get("Error", {}).get("Message", ""))
    action = cloud.calls[-1] if cloud.calls else str(error.operation_name)
    if code in _BAD_CREDENTIALS:
        return BadInput(f"AWS does not take these credentials ({code}): sign in again (aws sso login)")
    if code in _DENIED:
        named = re.search(r"not authorized to perform: ([a-z0-9-]+:\w+)", message)
        return Refused(
            f"AWS refuses {named[1] if named else action}: allow it to who runs this, and run the command "
            "again; it goes on from here"
        )
    return Refused(
        f"{action}: {code}: {message[:300]}; mend it and run the command again, it goes on from here"
    )


def code_of(error: Any) -> str:
    """Return AWS's word for what went wrong."""
    return str(error.response.get("Error", {}).get("Code", ""))


def unless(codes: Iterable[str], ask: Callable[[], Any]) -> Any:
    """Return what AWS answers, or ``None`` where it answers one of these codes: there is no such thing."""
    from botocore.exceptions import ClientError

    try:
        return ask()
    except ClientError as error:
        if code_of(error) in set(codes):
            return None
        raise
