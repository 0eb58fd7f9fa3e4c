"""Queries: who may ask, what an answer looks like, what it costs, and what is told of it."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.services.gateway.world import DIGITS, World, digits, digits_model, image


def test_digits_are_read(world: World) -> None:
    images, targets = digits()
    answer = world.predict(images[1200:1250].tolist())
    assert answer.status_code == 200, answer.text
    labels = [each["label"] for each in answer.json()["outputs"]]
    assert sum(label == str(target) for label, target in zip(labels, targets[1200:1250], strict=True)) >= 45


def test_messages_are_read(world: World) -> None:
    answer = world.predict([{"text": "win a free prize"}, {"text": "Lunch at noon?", "images": []}], "spam")
    assert [each["label"] for each in answer.json()["outputs"]] == ["spam", "ham"]


def test_an_answer_says_what_answered_what_remains_and_how_long_it_took(world: World) -> None:
    first, second = world.predict([image()]), world.predict([image(), image(1)])
    said = second.json()
    assert set(said) == {"model", "version", "digest", "outputs", "remaining_queries", "request_id"}
    assert (said["model"], said["version"]) == ("digits", 1)
    assert first.json()["remaining_queries"] - said["remaining_queries"] == 2
    assert said["request_id"] == second.headers["x-request-id"]
    assert second.headers["cache-control"] == "no-store"
    parts = dict(re.findall(r"([a-z]+);dur=([0-9.]+)", second.headers["server-timing"]))
    assert {"auth", "body", "budget", "model", "outputs", "log"} <= set(parts)
    assert second.headers["ratelimit-policy"] == '"day";q=1000000;w=86400'
    told = re.fullmatch(r'"day";r=(\d+);t=(\d+)', second.headers["ratelimit"])
    assert told is not None
    assert int(told[1]) == said["remaining_queries"]
    assert 0 < int(told[2]) <= 86_400


def test_an_answer_has_one_shape_whatever_the_class_and_never_finer_scores(world: World) -> None:
    images, _ = digits()
    outputs = world.predict(images[1200:1260].tolist()).json()["outputs"]
    assert len({each["label"] for each in outputs}) == 10
    for each in outputs:
        assert set(each) == {"label", "scores", "flags"}
        assert list(each["scores"]) == list(DIGITS)
        assert all(round(score, 2) == score and 0 <= score <= 1 for score in each["scores"].values())


def test_what_a_client_sees_is_its_class_s(world: World) -> None:
    token = world.issuer.token("web:poor")
    (output,) = world.predict([image()], token=token).json()["outputs"]
    assert output["scores"] == {}


def test_the_budget_ends_and_says_when_there_is_more(world: World) -> None:
    token = world.issuer.token("web:poor")
    answers = [world.predict([image()], token=token) for _ in range(4)]
    assert answers[-1].status_code == 429
    assert answers[-1].json()["type"] == "urn:problem:budget-exhausted"
    assert 0 < int(answers[-1].headers["retry-after"]) <= 86_400
    assert world.line_of_last("budget-exhausted")["decision"] == "deny"


def test_models_are_listed_and_described_for_who_may_ask_them(world: World) -> None:
    assert {each["name"] for each in world.call("GET", "/v1/models").json()["models"]} == {"digits", "spam"}
    poor = world.call("GET", "/v1/models", token=world.issuer.token("web:poor")).json()["models"]
    assert [each["name"] for each in poor] == ["digits"]
    told = world.call("GET", "/v1/models/digits").json()
    assert told["input"] == {"kind": "tensor", "name": "image", "shape": [8, 8], "low": 0, "high": 16}
    assert told["output"]["classes"] == list(DIGITS)
    assert told["card"]["title"] == "Digits"
    assert told["privacy"] == {"reason_for_none": "The data is public."}
    assert told["verdict"]["checks"] == ["pgd-accuracy"]
    assert told["outputs"]["kind"] == "rounded"
    assert re.fullmatch("sha256:[0-9a-f]{64}", told["digest"])


def without_what_differs(answer: httpx.Response) -> tuple[int, Any, set[str]]:
    return answer.status_code, answer.json(), set(answer.headers)


@pytest.mark.parametrize(
    "body", [{"inputs": [[0]]}, {"inputs": 0}, "x" * 300_000, {}], ids=lambda b: str(b)[:20]
)
def test_a_model_that_is_not_there_and_one_that_is_not_yours_are_the_same(world: World, body: Any) -> None:
    token = world.issuer.token("web:poor")
    asked = [
        world.call("POST", f"/v1/models/{name}/predict", token=token, content=json.dumps(body))
        for name in ("spam", "nowhere")
    ]
    assert without_what_differs(asked[0]) == without_what_differs(asked[1])
    assert asked[0].status_code == 403
    described = [world.call("GET", f"/v1/models/{name}", token=token) for name in ("spam", "nowhere")]
    assert without_what_differs(described[0]) == without_what_differs(described[1])
    assert world.line_of_last("not-allowed")["model"] == "nowhere"


def test_whoever_is_not_named_may_ask_nothing(world: World) -> None:
    token = world.issuer.token("web:stranger")
    assert world.predict([image()], token=token).status_code == 403
    assert world.call("GET", "/v1/models", token=token).json() == {"models": []}


def forged(world: World) -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    claims = jwt.decode(world.issuer.token(), options={"verify_signature": False})
    return jwt.encode(claims, key, "RS256", headers={"kid": "dev"})


def for_another_service(world: World) -> str:
    return world.issuer.token(aud="data-api")


@pytest.mark.parametrize("bad", [forged, for_another_service], ids=lambda f: f.__name__)
def test_a_bad_token_is_refused_and_written_down(world: World, bad: Any) -> None:
    answer = world.predict([image()], token=bad(world))
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    line = world.line_of_last("unauthenticated")
    assert (line["principal"], line["decision"], line["model"]) == ("unauthenticated", "deny", "digits")


def test_a_caller_cannot_choose_the_address_that_is_written_down(world: World) -> None:
    answer = world.predict([image()], headers={"X-Forwarded-For": "203.0.113.7, 127.0.0.1"})
    assert world.line_of(answer)["source_address"] == "127.0.0.1"
    assert "203.0.113.7" not in world.log.read_text()


def test_no_principal_address_or_input_is_in_the_metrics(world: World) -> None:
    world.predict([image()])
    with httpx.Client(base_url=world.address, verify=world.context()) as client:
        text = client.get("/metrics").text
    assert 'gateway_model_version{model="digits"} 1.0' in text
    assert 'gateway_requests_total{status="200"}' in text
    assert not re.search(r"trainer|127\.0\.0\.1|prize", text)


def test_behind_a_load_balancer_its_word_on_the_address_counts_and_metrics_are_not_for_the_world(
    own: World,
) -> None:
    own.environment["TRUSTED_PROXIES"] = "127.0.0.0/8, 10.0.0.0/16"
    own.release(digits_model())
    own.start()
    answer = own.predict([image()], headers={"X-Forwarded-For": "198.51.100.9, 203.0.113.7"})
    assert own.line_of(answer)["source_address"] == "203.0.113.7"
    assert own.call("GET", "/metrics").status_code == 404
    assert own.call("GET", "/health").status_code == 200
