"""Terms: what is agreed is whole and does not contradict itself; what is refused is refused in one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from services.federated import protections, settings
from services.federated.errors import FederatedError
from tests.services.federated.inprocess import privacy

GOOD: dict[str, Any] = {"rounds": 3, "silos": 7, "threshold": 5, "protection": "secure-aggregation"}

CONTRADICTIONS: list[tuple[dict[str, Any], str]] = [
    ({"threshold": 8}, "there are 7"),
    ({"threshold": 1}, "greater than or equal to 2"),
    ({"threshold": 3}, "no majority"),
    ({"silos": 2, "threshold": 2}, "each can subtract itself"),
    ({"aggregation": "krum", "poisoned": 1}, "secure aggregation shows to nobody"),
    ({"aggregation": "median", "poisoned": 1}, "secure aggregation shows to nobody"),
    ({"aggregation": "trimmed-mean", "poisoned": 1}, "secure aggregation shows to nobody"),
    (
        {"protection": "homomorphic", "aggregation": "multi-krum", "poisoned": 1},
        "homomorphic encryption shows",
    ),
    ({"protection": "homomorphic", "model": "mlp"}, "not linear"),
    ({"protection": "homomorphic", "inputs": 500, "held_out": None}, "do not fit into a ciphertext"),
    ({"protection": "clear", "aggregation": "krum", "poisoned": 1, "privacy": privacy()}, "take local"),
    ({"protection": "clear", "aggregation": "median"}, "1 or more"),
    ({"poisoned": 1}, "withstands none"),
    ({"protection": "clear", "aggregation": "median", "poisoned": 3}, "half or more"),
    ({"protection": "clear", "aggregation": "krum", "poisoned": 2}, "only among 7"),
    ({"local_steps": 2, "privacy": privacy()}, "one step's sum"),
    ({"privacy": privacy(rows=None)}, "about how many rows"),
    ({"inputs": 30}, "digits have 64 values"),
    ({"rounds": "3"}, "valid integer"),
    ({"clipping": False}, "not permitted"),
    ({"update_norm": 0}, "greater than 0"),
    ({"privacy": privacy(noise_multiplier=0)}, "greater than 0"),
    ({"protection": "none"}, "'clear', 'secure-aggregation' or 'homomorphic'"),
]


def test_terms_are_read_as_they_are_written() -> None:
    agreed = settings.read(json.dumps({**GOOD, "privacy": privacy()}))
    assert settings.read(agreed.model_dump_json()) == agreed


@pytest.mark.parametrize(("changed", "sentence"), CONTRADICTIONS, ids=[said for _, said in CONTRADICTIONS])
def test_what_contradicts_itself_is_refused_in_one_sentence(changed: dict[str, Any], sentence: str) -> None:
    with pytest.raises(FederatedError) as refused:
        settings.read(json.dumps({**GOOD, **changed}))
    said = str(refused.value)
    assert sentence in said
    assert said.startswith("settings.")
    assert "\n" not in said
    assert len(said) < 250


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"rounds": NaN}', " " * 20_000])
def test_what_is_no_terms_is_refused(text: str) -> None:
    with pytest.raises(FederatedError, match=r"^settings"):
        settings.read(text)


def test_the_table_has_every_combination_once() -> None:
    kinds = protections.combinations()
    assert len({kind.model_dump_json() for kind in kinds}) == len(kinds) == 27
    assert protections.table().count("\n") == len(protections.grouped()) + 2


def test_the_page_is_what_the_code_says() -> None:
    page = Path(__file__).parents[3] / "docs" / "federated-protections.md"
    assert page.read_text() == protections.page()


@pytest.mark.parametrize(
    ("changed", "said", "not_said"),
    [
        ({}, "sums of 5 or more", "saw each silo's"),
        ({"protection": "clear"}, "saw each silo's update", "sums"),
        ({"protection": "homomorphic"}, "a silo that holds the key opened", "sums"),
        ({"privacy": privacy()}, "hides one record from whoever has the model", "trusted"),
        ({"privacy": privacy(), "protection": "clear"}, "the server itself is trusted", "sums"),
        ({"privacy": privacy(mode="local", of="silo")}, "hides one silo from the server", "trusted"),
    ],
)
def test_the_card_says_who_saw_what(changed: dict[str, Any], said: str, not_said: str) -> None:
    sentence = protections.statement(settings.read(json.dumps({**GOOD, **changed})))
    assert said in sentence
    assert not_said not in sentence
    assert len(sentence) < 500
