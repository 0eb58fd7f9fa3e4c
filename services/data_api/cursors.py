"""Cursors: the place to go on from, sealed so that nobody reads it, changes it, or uses another's."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.shared.problems import Problem

LIFE_SECONDS = 24 * 3600


class Cursors:
    """Seals and opens places with AES-256-GCM; whom and what a place is for is bound into the seal."""

    def __init__(self, key: bytes, clock: Callable[[], float] = time.time) -> None:
        """Take a 32-byte key."""
        self._cipher, self._clock = AESGCM(key), clock

    def sealed(self, key: Sequence[Any], kinds: Sequence[str], bound_to: str) -> str:
        """Return the cursor after the row of this key."""
        place = [v.isoformat() if isinstance(v, date | datetime) else v for v in key]
        text = json.dumps({"at": int(self._clock()), "key": place, "kinds": list(kinds)}).encode()
        nonce = os.urandom(12)
        return base64.urlsafe_b64encode(nonce + self._cipher.encrypt(nonce, text, bound_to.encode())).decode()

    def opened(self, cursor: str, bound_to: str) -> list[Any]:
        """Return the key to go on from.

        Raises:
            Problem: 400, the cursor is not ours, was changed, is another caller's or query's, or is too old.
        """
        wrong = Problem(
            400, "bad-cursor", "The cursor is not one that this query was given, or it is too old."
        )
        try:
            sent = base64.b64decode(cursor, altchars=b"-_", validate=True)
            place = json.loads(self._cipher.decrypt(sent[:12], sent[12:], bound_to.encode()))
        except (InvalidTag, ValueError):
            raise wrong from None
        if not 0 <= self._clock() - place["at"] + 60 <= LIFE_SECONDS:
            raise wrong
        return [_typed(value, kind) for value, kind in zip(place["key"], place["kinds"], strict=True)]


def _typed(value: Any, kind: str) -> Any:
    if kind == "date":
        return date.fromisoformat(value)
    return datetime.fromisoformat(value) if kind == "timestamp" else value
