"""A client whose queries look like a copy being made is written down, and sees less from then on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.services.gateway.world import CLIENTS, World, digits_model


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, people: Any) -> Any:
    """A gateway whose novelty screen flags, so that what is made up is answered."""
    made = World.made(tmp_path_factory.mktemp("watched"), people)
    (made.folder / "serving.yaml").write_text(
        "models: {digits: {screens: {novelty: flag, squeezing: flag}}}\n"
    )
    (made.folder / "clients.yaml").write_text(
        CLIENTS.replace(
            "  poor:",
            "  strict:\n    digits:\n      outputs: {kind: rounded, decimals: 2}\n"
            "      daily_queries: 10000\n      on_suspicion: refuse\n  poor:",
        )
        + "  web/strict: strict\n"
    )
    made.release(digits_model())
    made.start()
    yield made
    made.stop()


def noise(count: int) -> list[Any]:
    """Return queries that nobody sends who wants to know about digits."""
    return np.random.default_rng(0).uniform(0, 16, (count, 8, 8)).round(3).tolist()  # type: ignore[no-any-return]


def asked(world: World, token: str) -> list[Any]:
    queries = noise(448)
    return [world.predict(queries[start : start + 64], token=token) for start in range(0, 448, 64)]


def test_whoever_copies_sees_labels_alone_from_then_on(watched: World) -> None:
    answers = asked(watched, watched.issuer.token())
    assert {answer.status_code for answer in answers} == {200}
    first, last = answers[0].json()["outputs"][0], answers[-1].json()["outputs"][0]
    assert len(first["scores"]) == 10
    assert last["scores"] == {}
    (event,) = [
        each for each in watched.events("extraction-suspected") if each["principal"] == "training/trainer"
    ]
    assert (event["model"], event["decision"], event["source_address"]) == ("digits", "deny", "127.0.0.1")
    assert event["reason"] in ("prada", "spread")


def test_or_nothing_where_the_client_s_class_says_so(watched: World) -> None:
    answers = asked(watched, watched.issuer.token("web:strict"))
    assert answers[0].status_code == 200
    assert (answers[-1].status_code, answers[-1].json()["type"]) == (403, "urn:problem:suspended")
    assert watched.line_of_last("suspended")["principal"] == "web/strict"
