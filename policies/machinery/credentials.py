"""Recognises credentials that somebody wrote into a program: by their form, their name and their randomness."""

from __future__ import annotations

import base64
import binascii
import itertools
import math
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

MAX_CHARACTERS = 1 << 20
_MAX_NESTING = 4

PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z0-9 ]{0,20}PRIVATE KEY(?: BLOCK)?-----[\s\S]{16}")

_FORMS = (
    PRIVATE_KEY,
    re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),  # AWS access key ids
    re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{22,})"),
    re.compile(r"\bglpat-[\w-]{20,}"),
    re.compile(r"\bx(?:ox[abeprs]|app)-[A-Za-z0-9-]{10,}"),  # Slack
    re.compile(r"\bhf_[A-Za-z0-9]{30,}"),  # Hugging Face
    re.compile(r"\bsk-(?:[a-z]{2,12}-)?[A-Za-z0-9_-]{20,}"),  # OpenAI, Anthropic
    re.compile(r"\bAIza[\w-]{35}"),  # Google
    re.compile(r"\b[rs]k_live_[A-Za-z0-9]{16,}"),  # Stripe
    re.compile(
        r"\b(?:npm_[A-Za-z0-9]{36}|pypi-[\w-]{50,}|dapi[0-9a-f]{32}|pul-[0-9a-f]{40}|hvs\.[\w-]{24,})"
    ),
    re.compile(r"(?<![\w-])eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\."),  # JSON web tokens
    re.compile(r"[a-z][a-z0-9+]{2,15}://[^\s:/@]{0,64}:[^\s:/@$<{]{3,64}@"),  # user:password@ in a URL
    re.compile(
        r"\$(?:1|2[abxy]|5|6|7|y)\$[./A-Za-z0-9$=,]{12,}"
    ),  # crypt(3): a hash that can be guessed offline
)

_AWS_SECRET = re.compile(r"(?<![\w/+=-])[A-Za-z0-9/+]{40}(?![\w/+=-])")

# Where a text says that what follows is a secret. The group is the secret.
_SPOKEN = (
    re.compile(r"(?<![\w.-])[\w.-]{1,64}:([^\s\"'|$]{4,64})[\"']?\s{0,8}\|\s{0,8}(?:sudo\s{1,8})?chpasswd"),
    re.compile(r"(?:\s-u|--user)[ =][\"']?[\w.@-]+:([^\s\"'$]{4,200})"),
    re.compile(r"(?i)\b(?:bearer|basic)\s+([A-Za-z0-9+/._~-]{16,200}=*)"),
)
_ASSIGNED = re.compile(
    r"(?<![\w.])([A-Za-z][\w.-]{0,60})[\"'\\]{0,8}\s{0,16}[=:>]\s{0,16}[\"'\\]{0,8}([^\s\"',;\\]{4,200})"
)
_FLAG = re.compile(r"(?<!\S)--?([A-Za-z][\w-]{0,60})[ =]{1,16}[\"'\\]{0,8}([^\s\"'\\-][^\s\"'\\]{3,200})")

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_PASSWORDS = frozenset({"password", "passwd", "pwd", "pass", "passphrase", "pgpassword"})
_SECRETS = _PASSWORDS | {"secret", "token", "credential", "apikey", "accesskey", "secretkey"}
_KEYS = frozenset(
    {"api", "access", "secret", "private", "account", "shared", "license", "signing", "auth", "master"}
)
# A name that ends so tells something about a secret (its name, its age), not the secret.
_ABOUT = frozenset(
    [
        "name",
        "arn",
        "id",
        "path",
        "file",
        "dir",
        "url",
        "uri",
        "endpoint",
        "issuer",
        "audience",
        "type",
        "policy",
        "version",
        "region",
        "header",
        "field",
        "length",
        "size",
        "count",
        "limit",
        "min",
        "max",
        "ttl",
        "age",
        "second",
        "minute",
        "day",
        "expiry",
        "enabled",
        "required",
        "rotation",
    ]
)

# What stands where a secret would, and is none: a reference, a path, an ARN, a placeholder, a switch.
_NOT_A_SECRET = re.compile(
    r"(?:arn:|\$[A-Za-z_({]|\$\d?$|%\w+%|\{\{|<|!|https?://|resolve:|file:|ssm:)"
    r"|(?:/[a-z][\w.-]*)(?:/[\w.-]+)*$"
    r"|(?:true|false|no|yes|on|off|none|null|enabled|disabled|required|optional|placeholder|unset|tbd)$",
    re.I,
)
_LOWER_CASE_PATH = re.compile(r"[a-z0-9._:-]+(?:/[a-z0-9._:-]+)+")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.I)

_RANDOM_BITS = 3.0
"""Shannon entropy a character: English words have about 2.5 at such lengths, generated keys 3.5 to 5."""
_VERY_RANDOM_BITS = 4.3
"""A secret access key of AWS has about 4.7 over its 40 characters, a path or a digest under 4."""

# A run of base64: wrapped in lines as MIME has it, or in one piece.
_BASE64 = re.compile(
    r"(?:[A-Za-z0-9+/]{60,76}\r?\n[ \t]*)+[A-Za-z0-9+/]{1,76}={0,2}|[A-Za-z0-9+/_-]{16,}={0,2}"
)


def holds_credential(text: str, *, name: str = "") -> bool:
    """Say whether ``text`` holds a credential; ``name`` is what the program calls it (``DB_PASSWORD``).

    Base64 and gzip inside the text are read as well. A text that is too long to be read counts as one that does.
    """
    for reading in readings(text):
        if len(reading) > MAX_CHARACTERS or _tells_one(_without_arns(reading)):
            return True
    return bool(name) and is_secret(name, text)


def _tells_one(text: str) -> bool:
    if any(form.search(text) for form in _FORMS):
        return True
    if any(_mixed(found) and entropy(found) >= _VERY_RANDOM_BITS for found in _AWS_SECRET.findall(text)):
        return True
    if any(_looks_secret(found) for spoken in _SPOKEN for found in spoken.findall(text)):
        return True
    return any(is_secret(name, value) for spelt in (_ASSIGNED, _FLAG) for name, value in spelt.findall(text))


def is_secret(name: str, value: str) -> bool:
    """Say whether ``value`` is a secret, going by what it is called and what it looks like."""
    words = [_singular(word.lower()) for word in _WORDS.findall(name)]
    paired = any(word == "key" and before in _KEYS for before, word in itertools.pairwise(words))
    if not words or not (paired or _SECRETS.intersection(words)):
        return False
    if words[-1] in _ABOUT:
        return _mixed(value) and not _UUID.fullmatch(value) and "/" not in value and _looks_secret(value)
    return _looks_secret(value, password=words[-1] in _PASSWORDS)


def _singular(word: str) -> str:
    return word if word.endswith("ss") else word.removesuffix("s")


def _looks_secret(value: str, *, password: bool = False) -> bool:
    value = value.strip("\"'")
    if len(value) < (4 if password else 6) or _NOT_A_SECRET.match(value):
        return False
    # Whatever is written behind the name of a password is one, however weak.
    if password:
        return True
    if _LOWER_CASE_PATH.fullmatch(value):
        return False
    kinds = sum(bool(re.search(kind, value)) for kind in (r"[a-z]", r"[A-Z]", r"\d", r"[^\w]"))
    return kinds >= 3 or (kinds >= 2 and entropy(value) >= _RANDOM_BITS)


def _mixed(text: str) -> bool:
    return all(re.search(kind, text) for kind in (r"[a-z]", r"[A-Z]", r"\d"))


def _without_arns(text: str) -> str:
    """Cut out ARNs: the one of a secret names it and does not tell it."""
    return re.sub(r"arn:aws[\w-]*:[\w:/.*+=@-]*", "arn:", text)


def entropy(text: str) -> float:
    """Return Shannon's entropy of a text, in bits a character."""
    counts = Counter(text)
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts.values())


def readings(text: str, nesting: int = _MAX_NESTING) -> Iterator[str]:
    """Yield the text, and every text that is hidden in it as base64, gzipped or not (user data, ``write_files``)."""
    yield text
    if nesting and len(text) <= MAX_CHARACTERS:
        for run in _BASE64.findall(text):
            inner = _decoded(run)
            if inner:
                yield from readings(inner, nesting - 1)


def _decoded(run: str) -> str:
    """Return what a run of base64 says; empty where it says nothing that is text."""
    run = re.sub(r"\s|=", "", run).replace("-", "+").replace("_", "/")
    try:
        data = base64.b64decode(run + "=" * (-len(run) % 4), validate=True)
        if data[:2] == b"\x1f\x8b":
            # Bounded: what is too long to be read is not read, and counts as a credential.
            data = zlib.decompressobj(wbits=31).decompress(data, MAX_CHARACTERS + 1)
        # PowerShell takes its encoded commands as UTF-16.
        return data.decode("utf-16-le" if data[1:2] == b"\0" else "utf-8")
    except (binascii.Error, zlib.error, ValueError):
        return ""


def texts_in(value: Any, path: str = "") -> Iterator[tuple[str, str, Any]]:
    """Yield ``(path, name, scalar)`` of everything inside a value, unknowns included.

    ``{name: DB_USER, value: …}`` calls its value ``DB_USER``, in any letter case (the provider's JSON is
    lenient). The texts of a list are yielded once more as one line, as a command is read.
    """
    waiting: list[tuple[str, str, Any]] = [(path, path.rpartition(".")[2], value)]
    while waiting:
        at, name, found = waiting.pop()
        if isinstance(found, dict):
            called = {str(key).lower(): item for key, item in found.items()}
            label = next((called[key] for key in ("name", "key") if isinstance(called.get(key), str)), "")
            for key, item in found.items():
                is_value = str(key).lower() == "value" and label
                waiting.append((f"{at}.{key}" if at else str(key), label if is_value else str(key), item))
        elif isinstance(found, list):
            waiting += [(f"{at}[{index}]", name, item) for index, item in enumerate(found)]
            words = [item for item in found if isinstance(item, str)]
            if len(words) > 1:
                yield at, "", " ".join(words)
        elif found is not None:
            yield at, name, found
