"""Recognises credentials that somebody wrote into a program, by their form and by their randomness."""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

MAX_CHARACTERS = 1 << 20

_FORMS = (
    re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),  # AWS access key ids
    re.compile(r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY"),
    re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36}"),  # GitHub
    re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}"),  # Slack
    re.compile(r"\bhf_[A-Za-z0-9]{30,}"),  # Hugging Face
    re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\."),  # JSON web tokens
    re.compile(r"[a-z][a-z0-9+]{2,15}://[^\s:/@]{1,64}:[^\s:/@$<{]{3,64}@"),  # user:password@ in a URL
)

_NAME_OF_ONE = r"(?:password|passwd|pwd|secret|token|api_?key|access_?key|private_?key|credential)s?"
_ASSIGNMENT = re.compile(
    rf"(?i)[\w.-]{{0,40}}{_NAME_OF_ONE}\w{{0,20}}[\"']?\s*[=:]\s*[\"']?([^\s\"',;]{{6,200}})"
)
_NAMED = re.compile(rf"(?i){_NAME_OF_ONE}")

# What stands where a secret would, and is none: a reference, a path, an ARN, a placeholder, a switch of sshd.
_NOT_A_SECRET = re.compile(
    r"^(?:arn:|\$|\{\{|<|/|https?://|resolve:|file:|true$|false$|no$|yes$|none$|null$)", re.I
)

_RANDOM_BITS = 3.0
"""Shannon entropy a character: English words have about 2.5 at such lengths, generated keys 3.5 to 5."""


def holds_credential(text: str, *, name: str = "") -> bool:
    """Say whether ``text`` holds a credential; ``name`` is what the program calls it (``DB_PASSWORD``).

    A text that is too long to be read counts as one that does.
    """
    if len(text) > MAX_CHARACTERS:
        return True
    for plain in map(_without_arns, _readings(text)):
        if any(form.search(plain) for form in _FORMS):
            return True
        if any(_looks_secret(found.group(1)) for found in _ASSIGNMENT.finditer(plain)):
            return True
    return bool(name and _NAMED.search(name) and _looks_secret(text))


def _looks_secret(value: str) -> bool:
    value = value.strip("\"'")
    if len(value) < 6 or _NOT_A_SECRET.match(value):
        return False
    kinds = sum(bool(re.search(kind, value)) for kind in (r"[a-z]", r"[A-Z]", r"\d", r"[^\w]"))
    return kinds >= 3 or (kinds >= 2 and entropy(value) >= _RANDOM_BITS)


def _without_arns(text: str) -> str:
    """Cut out ARNs: the one of a secret names it and does not tell it."""
    return re.sub(r"arn:aws[\w-]*:[\w:/.*+=@-]*", "arn:", text)


def entropy(text: str) -> float:
    """Return Shannon's entropy of a text, in bits a character."""
    counts = Counter(text)
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts.values())


def _readings(text: str) -> Iterator[str]:
    """Yield the text, and what it says when it is base64 (as EC2 takes user data)."""
    yield text
    try:
        yield base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError):
        return


def texts_in(value: Any, path: str = "", depth: int = 0) -> Iterator[tuple[str, str, str]]:
    """Yield ``(path, name, text)`` of every text inside a value."""
    if isinstance(value, str):
        yield path, path.rpartition(".")[2], value
    elif isinstance(value, dict) and depth < 32:
        for key, item in value.items():
            yield from texts_in(item, f"{path}.{key}" if path else str(key), depth + 1)
    elif isinstance(value, list) and depth < 32:
        for index, item in enumerate(value):
            yield from texts_in(item, f"{path}[{index}]", depth + 1)
