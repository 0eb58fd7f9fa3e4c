"""The keys that a command line names, in files or in KMS."""

from __future__ import annotations

import argparse

from services.modelchain import keys
from services.modelchain.errors import ModelError
from services.modelchain.keys import Signer, Verifier
from services.redteam.errors import RedTeamError


def signer(asked: argparse.Namespace) -> Signer:
    """Return the red team's own key.

    Raises:
        RedTeamError: it cannot be used.
    """
    try:
        return keys.kms_signer(asked.kms, _region(asked.kms)) if asked.kms else keys.file_signer(asked.key)
    except ModelError as error:
        raise RedTeamError(str(error)) from None


def trainer(asked: argparse.Namespace) -> Verifier:
    """Return the trainer's public key.

    Raises:
        RedTeamError: it cannot be read.
    """
    try:
        if asked.trainer_kms:
            return keys.kms_verifier(asked.trainer_kms, _region(asked.trainer_kms))
        return keys.file_verifier(asked.trainer_key)
    except ModelError as error:
        raise RedTeamError(str(error)) from None


def _region(arn: str) -> str:
    return (arn.split(":") + [""] * 4)[3]
