"""Tokens: forged in every way that is known, each refused, each refusal an event."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from services.shared.local import ISSUER
from services.shared.problems import Problem
from services.shared.tokens import KeySet, TokenVerifier
from tests.services.data_api.conftest import World
from tests.services.support import run


def encoded(part: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def claims(**other: Any) -> dict[str, Any]:
    now = int(time.time())
    usual = {"iss": ISSUER, "aud": "data-api", "sub": "system:serviceaccount:training:trainer"}
    return {**usual, "iat": now, "nbf": now, "exp": now + 600, **other}


def unsigned(world: World) -> str:
    return f"{encoded({'alg': 'none', 'kid': 'dev'})}.{encoded(claims())}."


def signed_with_the_public_key_as_a_secret(world: World) -> str:
    public = world.issuer.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    text = f"{encoded({'alg': 'HS256', 'kid': 'dev'})}.{encoded(claims())}"
    mac = hmac.new(public, text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def signed_with_another_key(world: World) -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return jwt.encode(claims(), key, "RS256", headers={"kid": "dev"})


def signed_with_a_key_of_its_own_header(world: World) -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    own = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    return jwt.encode(
        claims(), key, "RS256", headers={"kid": "mine", "jwk": own, "jku": "https://evil.example"}
    )


def another_kind_of_key(world: World) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return jwt.encode(claims(), key, "ES256", headers={"kid": "dev"})


def with_changed_claims(world: World) -> str:
    head, _, signature = world.issuer.token().split(".")
    return f"{head}.{encoded(claims(sub='system:serviceaccount:redteam:redteam'))}.{signature}"


def for_another_service(world: World) -> str:
    return world.issuer.token(aud="gateway")


def of_another_issuer(world: World) -> str:
    return world.issuer.token(iss="https://issuer.example")


def expired(world: World) -> str:
    return world.issuer.token(exp=int(time.time()) - 31, nbf=int(time.time()) - 3600)


def not_yet_valid(world: World) -> str:
    return world.issuer.token(nbf=int(time.time()) + 300)


def without_an_end(world: World) -> str:
    return jwt.encode(
        {k: v for k, v in claims().items() if k != "exp"}, world.issuer.key, "RS256", {"kid": "dev"}
    )


def good_for_years(world: World) -> str:
    return world.issuer.token(exp=int(time.time()) + 10**8)


def of_a_person(world: World) -> str:
    return jwt.encode(claims(sub="alice"), world.issuer.key, "RS256", headers={"kid": "dev"})


def of_an_unknown_key(world: World) -> str:
    return jwt.encode(claims(), world.issuer.key, "RS256", headers={"kid": "../../dev"})


def with_a_critical_extension(world: World) -> str:
    return jwt.encode(
        claims(), world.issuer.key, "RS256", headers={"kid": "dev", "crit": ["b64"], "b64": False}
    )


FORGERIES = [
    unsigned,
    signed_with_the_public_key_as_a_secret,
    signed_with_another_key,
    signed_with_a_key_of_its_own_header,
    another_kind_of_key,
    with_changed_claims,
    for_another_service,
    of_another_issuer,
    expired,
    not_yet_valid,
    without_an_end,
    good_for_years,
    of_a_person,
    of_an_unknown_key,
    with_a_critical_extension,
]


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda f: f.__name__)
def test_a_forged_token_is_refused(world: World, forgery: Any) -> None:
    answer = world.call("GET", "/v1/datasets", token=forgery(world))
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_the_genuine_token_is_taken(world: World) -> None:
    assert world.call("GET", "/v1/datasets").status_code == 200


class Publisher:
    """An issuer's keys that can be rotated and be away, and a clock."""

    def __init__(self) -> None:
        self.now, self.fetched, self.away = 1000.0, 0, False
        self.keys: dict[str, rsa.RSAPrivateKey] = {}
        self.add("one")

    def add(self, kid: str) -> None:
        self.keys[kid] = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    async def fetch(self) -> Mapping[str, Any]:
        self.fetched += 1
        if self.away:
            raise OSError("away")
        to_jwk = jwt.algorithms.RSAAlgorithm.to_jwk
        return {"keys": [{**json.loads(to_jwk(k.public_key())), "kid": kid} for kid, k in self.keys.items()]}

    def verifier(self) -> TokenVerifier:
        return TokenVerifier(KeySet(self.fetch, clock=lambda: self.now), issuer=ISSUER, audience="data-api")

    def header(self, kid: str) -> str:
        return f"Bearer {jwt.encode(claims(), self.keys[kid], 'RS256', headers={'kid': kid})}"


def test_keys_are_kept_rotated_and_withdrawn() -> None:
    async def story() -> None:
        publisher = Publisher()
        verifier = publisher.verifier()
        for _ in range(5):
            await verifier.caller(publisher.header("one"))
        assert publisher.fetched == 1
        publisher.add("two")
        publisher.now += 6
        await verifier.caller(publisher.header("two"))
        old = publisher.header("one")
        del publisher.keys["one"]
        publisher.now += 301
        with pytest.raises(Problem, match="401"):
            await verifier.caller(old)

    run(story())


def test_a_token_that_was_taken_once_is_refused_when_its_key_has_changed() -> None:
    async def story() -> None:
        publisher = Publisher()
        verifier = publisher.verifier()
        shown = publisher.header("one")
        for _ in range(2):
            await verifier.caller(shown)
        # The same name, another key: what was checked with the old one is worth nothing.
        publisher.add("one")
        publisher.now += 301
        with pytest.raises(Problem, match="401"):
            await verifier.caller(shown)

    run(story())


def test_a_token_that_was_taken_once_is_refused_after_its_end() -> None:
    async def story() -> None:
        publisher = Publisher()
        keys = KeySet(publisher.fetch, clock=lambda: publisher.now)
        verifier = TokenVerifier(keys, issuer=ISSUER, audience="data-api", leeway_seconds=0)
        ends = int(time.time()) + 2
        token = jwt.encode(claims(exp=ends), publisher.keys["one"], "RS256", headers={"kid": "one"})
        for _ in range(2):
            await verifier.caller(f"Bearer {token}")
        await asyncio.sleep(ends - time.time() + 0.01)
        with pytest.raises(Problem, match="401"):
            await verifier.caller(f"Bearer {token}")

    run(story())


def test_forged_key_names_do_not_flood_the_issuer() -> None:
    async def story() -> None:
        publisher = Publisher()
        verifier = publisher.verifier()
        for number in range(50):
            token = jwt.encode(claims(), publisher.keys["one"], "RS256", headers={"kid": f"k{number}"})
            with pytest.raises(Problem, match="401"):
                await verifier.caller(f"Bearer {token}")
        assert publisher.fetched == 1

    run(story())


def test_keys_serve_while_the_issuer_is_away_but_not_for_ever() -> None:
    async def story() -> None:
        publisher = Publisher()
        verifier = publisher.verifier()
        await verifier.caller(publisher.header("one"))
        publisher.away = True
        publisher.now += 3600
        await verifier.caller(publisher.header("one"))
        publisher.now += 6 * 3600
        with pytest.raises(Problem, match="503"):
            await verifier.caller(publisher.header("one"))
        publisher.away = False
        publisher.now += 6
        await verifier.caller(publisher.header("one"))

    run(story())


def test_without_any_keys_nobody_is_served() -> None:
    async def story() -> None:
        publisher = Publisher()
        publisher.away = True
        with pytest.raises(Problem, match="503"):
            await publisher.verifier().caller(publisher.header("one"))

    run(story())
