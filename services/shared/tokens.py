"""Tokens of workloads: JWTs checked against the issuer's published keys (RFC 7519, RFC 8725)."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from services.shared.problems import unauthenticated, unavailable

ALGORITHMS = ("RS256", "ES256")
"""Asymmetric only: with a published key nobody can sign, so no algorithm confusion."""

LEAST_RSA_BITS = 2048

MOST_TOKEN_BYTES = 16_384

MOST_REMEMBERED = 1000
"""Tokens whose signature need not be checked again."""

FetchKeys = Callable[[], Awaitable[Mapping[str, Any]]]


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who calls: a service account of a namespace."""

    namespace: str
    service_account: str

    @property
    def principal(self) -> str:
        """The one name under which the caller is written down."""
        return f"{self.namespace}/{self.service_account}"


@dataclass(frozen=True, kw_only=True)
class _Verified:
    """A token that was checked: whose it is, by which key, and until when (seconds since 1970)."""

    caller: Caller
    kid: str
    key: jwt.PyJWK
    ends: float


class KeySet:
    """The issuer's keys, kept for a while, fetched again when an unknown key is named, and not too often."""

    def __init__(
        self,
        fetch: FetchKeys,
        *,
        fresh_seconds: float = 300,
        usable_seconds: float = 6 * 3600,
        pause_seconds: float = 5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin without keys.

        Args:
            fetch: Gets the JWK set.
            fresh_seconds: Age from which it is fetched again: a withdrawn key is refused from then on.
            usable_seconds: How long it serves when the issuer cannot be reached.
            pause_seconds: Least time between two attempts, so that forged key names do not flood the issuer.
            clock: Seconds, never running backwards.
        """
        self._fetch, self._clock = fetch, clock
        self._fresh, self._usable, self._pause = fresh_seconds, usable_seconds, pause_seconds
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = self._tried_at = -float("inf")
        self._lock = asyncio.Lock()

    async def key(self, kid: str) -> jwt.PyJWK | None:
        """Return the key of that name, or None if the issuer has none.

        Raises:
            Problem: 503, no usable keys are at hand.
        """
        if kid not in self._keys or self._age() > self._fresh:
            async with self._lock:
                if kid not in self._keys or self._age() > self._fresh:
                    await self._refresh()
        if self._age() > self._usable:
            raise unavailable("The issuer's keys cannot be had.")
        return self._keys.get(kid)

    def _age(self) -> float:
        return self._clock() - self._fetched_at

    async def _refresh(self) -> None:
        if self._clock() - self._tried_at < self._pause:
            return
        self._tried_at = self._clock()
        try:
            published = await self._fetch()
            keys = {key["kid"]: _usable_key(key) for key in published["keys"] if "kid" in key}
        except Exception:
            return
        self._keys = {kid: key for kid, key in keys.items() if key is not None}
        self._fetched_at = self._clock()


def _usable_key(published: Mapping[str, Any]) -> jwt.PyJWK | None:
    """Return a public signature key of a kind that we take; never a shared secret."""
    kinds = {"RSA": "RS256", "EC": "ES256"}
    algorithm = kinds.get(published.get("kty", ""))
    if algorithm is None or published.get("use", "sig") != "sig":
        return None
    if published.get("alg", algorithm) != algorithm or published.get("crv", "P-256") != "P-256":
        return None
    try:
        key = jwt.PyJWK({name: published[name] for name in published if name != "d"}, algorithm=algorithm)
    except jwt.PyJWTError:
        return None
    return None if getattr(key.key, "key_size", 256) < LEAST_RSA_BITS and algorithm == "RS256" else key


class TokenVerifier:
    """Turns a bearer token into a caller, or refuses it."""

    def __init__(
        self,
        keys: KeySet,
        *,
        issuer: str,
        audience: str,
        leeway_seconds: int = 30,
        most_life_seconds: int = 86_400,
    ) -> None:
        """Say what to accept.

        Args:
            keys: The issuer's keys.
            issuer: The one issuer.
            audience: Us: a token for another service is none for us.
            leeway_seconds: How far clocks may differ.
            most_life_seconds: Longest life of a token; Kubernetes gives an hour, a day where it extends them.
        """
        self._verified: OrderedDict[bytes, _Verified] = OrderedDict()
        self._keys, self._issuer, self._audience = keys, issuer, audience
        self._leeway, self._most_life = leeway_seconds, most_life_seconds

    async def caller(self, authorization: str | None) -> Caller:
        """Return who shows this header.

        Raises:
            Problem: 401, the token is missing or bad; 503, the issuer's keys cannot be had.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise unauthenticated("Show a bearer token.")
        if len(token) > MOST_TOKEN_BYTES:
            raise unauthenticated("The token is too long.")
        # A caller shows one token for an hour: its signature is checked once, its key and its end every time.
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        seen = self._verified.get(digest)
        if seen is not None and time.time() < seen.ends and await self._keys.key(seen.kid) is seen.key:
            return seen.caller
        self._verified.pop(digest, None)
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError) as error:
            raise unauthenticated("The token is not a JWT.") from error
        # RFC 8725, 3.1: the algorithm is ours to choose; the key's kind decides it, not the header.
        if header.get("alg") not in ALGORITHMS or "crit" in header:
            raise unauthenticated("The token is not signed with RS256 or ES256.")
        kid = header.get("kid")
        key = await self._keys.key(kid) if isinstance(kid, str) else None
        if key is None:
            raise unauthenticated("The token is signed with a key that the issuer does not publish.")
        caller, ends = self._claims(token, key)
        self._verified[digest] = _Verified(caller=caller, kid=str(kid), key=key, ends=ends)
        if len(self._verified) > MOST_REMEMBERED:
            self._verified.popitem(last=False)
        return caller

    def _claims(self, token: str, key: jwt.PyJWK) -> tuple[Caller, float]:
        try:
            claims = jwt.decode(
                token,
                key.key,
                algorithms=[key.algorithm_name],
                issuer=self._issuer,
                audience=self._audience,
                leeway=self._leeway,
                options={"require": ["exp", "nbf", "iat", "iss", "aud", "sub"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as error:
            raise unauthenticated(
                "The token is forged, expired, not yet valid, or for somebody else."
            ) from error
        if claims["exp"] - claims["nbf"] > self._most_life + self._leeway:
            raise unauthenticated("The token lives too long.")
        return _service_account(claims["sub"]), float(claims["exp"])


def _service_account(subject: object) -> Caller:
    parts = subject.split(":") if isinstance(subject, str) else []
    if len(parts) != 4 or parts[:2] != ["system", "serviceaccount"] or not all(parts):
        raise unauthenticated("The token's subject is not a service account.")
    return Caller(namespace=parts[2], service_account=parts[3])
