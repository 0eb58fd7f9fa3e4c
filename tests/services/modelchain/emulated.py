"""AWS KMS in this process, signing digests as AWS does.

moto 5.2.5 hashes what it is given again, whether it is a message or a digest already. AWS signs a digest as it is, and
refuses one of another length (AWS KMS API Reference, "Sign", MessageType).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import boto3
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from moto import mock_aws
from moto.kms.responses import KmsResponse
from moto.kms.utils import ECDSAPrivateKey

REGION = "eu-central-1"

FAKE = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_SECURITY_TOKEN": "testing"}


@contextmanager
def kms() -> Iterator[Any]:
    """Yield a client of an emulated KMS; everything in this process is answered by it meanwhile."""
    real = KmsResponse.sign

    def sign(response: KmsResponse) -> str:
        assert response._get_param("MessageType") == "DIGEST"
        assert len(response._get_param("Message")) == hashes.SHA256.digest_size
        return str(real(response))

    def sign_digest(key: ECDSAPrivateKey, message: bytes, signing_algorithm: str) -> bytes:
        assert signing_algorithm == "ECDSA_SHA_256"
        return key.private_key.sign(message, ec.ECDSA(utils.Prehashed(hashes.SHA256())))

    with (
        mock.patch.dict("os.environ", FAKE),
        mock.patch.object(KmsResponse, "sign", sign),
        mock.patch.object(ECDSAPrivateKey, "sign", sign_digest),
        mock_aws(),
    ):
        yield boto3.client("kms", region_name=REGION)


def key(client: Any, spec: str = "ECC_NIST_P256") -> str:
    """Return the ARN of a new key that signs."""
    return str(client.create_key(KeySpec=spec, KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"])
