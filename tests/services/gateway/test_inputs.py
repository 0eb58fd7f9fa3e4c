"""Bad input: each gets one plain answer that names the field, costs no budget, and the service goes on."""

from __future__ import annotations

import gzip
import json
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from services.gateway.bodies import inputs_of
from services.gateway.tensors import rows_of
from services.modelchain.schema import TensorInput
from services.shared.problems import Problem
from tests.services.gateway.world import World, image

TAKES = TensorInput(name="x", shape=(2, 3), low=-1, high=1)
GOOD = [[[0.0, 0.5, 1.0], [-1.0, 0.0, 1]]]


def altered(place: tuple[int, ...], value: Any) -> list[Any]:
    made = json.loads(json.dumps(GOOD))
    inner = made
    for each in place[:-1]:
        inner = inner[each]
    inner[place[-1]] = value
    return list(made)


@pytest.mark.parametrize(
    ("inputs", "field"),
    [
        (altered((0, 1, 2), 1.5), "inputs.0.1.2"),
        (altered((0, 1, 2), -1e308), "inputs.0.1.2"),
        (altered((0, 1, 2), float("inf")), "inputs.0.1.2"),  # what 1e999 is read as
        (altered((0, 0, 1), float("nan")), "inputs.0.0.1"),
        (altered((0, 0, 1), "0.5"), "inputs.0.0.1"),
        (altered((0, 0, 1), None), "inputs.0.0.1"),
        (altered((0, 0, 1), True), "inputs.0.0.1"),
        (altered((0, 0, 1), 10**400), "inputs.0.0.1"),
        (altered((0, 0, 1), {}), "inputs.0.0.1"),
        (altered((0, 0, 1), [0.5]), "inputs.0.0.1"),
        (altered((0, 0), [0.5]), "inputs.0.0"),
        (altered((0, 0), 0.5), "inputs.0.0"),
        (altered((0,), [[0.0, 0.5, 1.0]]), "inputs.0"),
        ([*GOOD, *altered((0, 1), [])], "inputs.1.1"),
        (GOOD * 5, "inputs"),
        ([[[]]], "inputs.0"),
        (["x"], "inputs.0"),
        ([{"text": "x"}], "inputs.0"),
        ([True], "inputs.0"),
    ],
)
def test_numbers_that_do_not_fit_are_named(inputs: list[Any], field: str) -> None:
    with pytest.raises(Problem) as refused:
        rows_of(inputs, TAKES, most=4)
    assert (refused.value.status, refused.value.extra["fields"]) == (422, [field])
    assert field in refused.value.detail


def test_numbers_that_fit_come_as_they_are() -> None:
    rows = rows_of(GOOD * 4, TAKES, most=4)
    assert (rows.dtype.name, rows.shape) == ("float32", (4, 2, 3))
    assert rows[3].tolist() == GOOD[0]
    assert rows_of([[[0] * 3] * 2], TAKES, most=4).dtype == np.float32


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b'{"inputs": [NaN]}', 400),
        (b'{"inputs": [Infinity]}', 400),
        (b'{"inputs": [-Infinity]}', 400),
        (b'{"inputs": [1], "inputs": [2]}', 400),
        (b'{"inputs": [{"text": "a", "text": "b"}]}', 400),
        (b'{"inputs": ' + b"[" * 100_000, 400),
        (b'{"inputs": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, 400),
        (b'{"inputs": [' + b"9" * 10_000 + b"]}", 400),
        (b'\xff\xfe{"inputs": [1]}', 400),
        ('{"inputs": [1]}'.encode("utf-16"), 400),
        (b"[1]", 422),
        (b'{"inputs": []}', 422),
        (b'{"inputs": {}}', 422),
        (b'{"inputs": [1], "screens": "off"}', 422),
        (b"null", 422),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bodies_that_are_not_the_json_that_is_taken_are_refused(body: bytes, status: int) -> None:
    with pytest.raises(Problem) as refused:
        inputs_of(body)
    assert refused.value.status == status


def test_a_refused_input_is_a_problem_that_does_not_echo_it(world: World) -> None:
    answer = world.predict([[[999.125] * 8] * 8])
    assert (answer.status_code, answer.json()["fields"]) == (422, ["inputs.0.0.0"])
    assert "999" not in answer.text
    line = world.line_of_last("invalid")
    assert (line["decision"], line["model"], line["flags"]) == ("deny", "digits", [])


def test_ten_megabytes_are_not_read(world: World) -> None:
    answer = world.call(
        "POST",
        "/v1/models/digits/predict",
        content=b'{"inputs": [' + b"0," * 5_000_000 + b"0]}",
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 413
    assert world.line_of_last("too-large")["decision"] == "deny"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "GZIP", "identity, gzip"])
def test_what_is_compressed_is_refused_and_never_unpacked(world: World, encoding: str) -> None:
    bomb = gzip.compress(b"0" * 50_000_000)
    answer = world.call(
        "POST",
        "/v1/models/digits/predict",
        content=bomb,
        headers={"Content-Type": "application/json", "Content-Encoding": encoding},
    )
    assert answer.status_code == 415


def test_what_is_not_said_to_be_json_is_refused(world: World) -> None:
    body = json.dumps({"inputs": [image()]}).encode()
    for media in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        answer = world.call(
            "POST", "/v1/models/digits/predict", content=body, headers={"Content-Type": media}
        )
        assert answer.status_code == 415, media


@pytest.mark.parametrize(
    ("inputs", "field"),
    [
        ([{"text": "x" * 501}], "inputs.0.text"),
        ([{"text": 5}], "inputs.0.text"),
        ([{"text": "x", "images": ["aGk=", "aGk="]}], "inputs.0.images"),
        ([{"text": "x", "images": "aGk="}], "inputs.0.images"),
        ([{"text": "x", "images": ["a-b_"]}], "inputs.0.images.0"),
        ([{"text": "x", "images": ["é"]}], "inputs.0.images.0"),
        ([{"text": "x", "images": [7]}], "inputs.0.images.0"),
        ([{"text": "x", "html": "<b>"}], "inputs.0"),
        ([{"images": []}], "inputs.0"),
        (["x"], "inputs.0"),
        ([[0.5]], "inputs.0"),
        ([{"text": "x"}] * 65, "inputs"),
    ],
)
def test_messages_that_do_not_fit_are_named(world: World, inputs: list[Any], field: str) -> None:
    answer = world.predict(inputs, "spam")
    assert (answer.status_code, answer.json()["fields"]) == (422, [field])
    assert answer.json()["type"] == "urn:problem:invalid"


def test_text_that_utf8_cannot_hold_is_answered(world: World) -> None:
    answer = world.call(
        "POST",
        "/v1/models/spam/predict",
        content=b'{"inputs": [{"text": "lunch \\ud800 noon \\u0000"}]}',
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 200, answer.text


def sent(world: World, head: str, body: bytes) -> ssl.SSLSocket:
    """Return a connection on which the beginning of a query was sent."""
    plain = socket.create_connection(("localhost", world.port))
    connection = world.context().wrap_socket(plain, server_hostname="localhost")
    connection.settimeout(30)
    lines = ["POST /v1/models/digits/predict HTTP/1.1", "Host: x", "Content-Length: 1000", head]
    connection.sendall("\r\n".join([*lines, "Content-Type: application/json", "", ""]).encode() + body)
    return connection


@pytest.fixture(scope="module", autouse=True)
def slow(world: World) -> Iterator[ssl.SSLSocket]:
    """A client that begins a query, and leaves it at that, while all these tests run."""
    with sent(world, f"Authorization: Bearer {world.issuer.token()}", b'{"inputs"') as connection:
        yield connection


def test_whoever_is_not_known_is_answered_before_the_body_has_come(world: World) -> None:
    with sent(world, "X-Nothing: 1", b"{") as stranger:
        assert b" 401 " in stranger.recv(1000)


def test_bad_input_costs_no_budget_and_the_service_goes_on(world: World) -> None:
    before = world.predict([image()]).json()["remaining_queries"]
    assert world.predict([[1]]).status_code == 422
    assert world.predict([image()]).json()["remaining_queries"] == before - 1
    assert world.answers("/ready")


def test_a_client_that_does_not_send_its_body_is_left(slow: ssl.SSLSocket) -> None:
    assert b" 408 " in slow.recv(1000)
