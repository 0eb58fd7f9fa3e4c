"""Patterns of IAM mean what all texts that they match mean: compared with every text of two letters."""

from __future__ import annotations

import itertools
import random
import re

import pytest

from machinery.patterns import LONGEST, covers, overlap
from machinery.subject import Malformed

# Two patterns of five letters have a text in common of ten letters at most, where they have any.
TEXTS = ["".join(letters) for length in range(11) for letters in itertools.product("ab", repeat=length)]


def some_patterns(seed: int, count: int) -> list[str]:
    draw = random.Random(seed)  # noqa: S311 - patterns to try, no secret
    return ["".join(draw.choices("ab*?", k=draw.randint(0, 5))) for _ in range(count)]


def meant(pattern: str) -> frozenset[str]:
    found = re.compile("".join({"*": ".*", "?": "."}.get(letter, letter) for letter in pattern))
    return frozenset(text for text in TEXTS if found.fullmatch(text))


@pytest.mark.parametrize("seed", range(4))
def test_patterns_overlap_exactly_where_they_share_a_text(seed: int) -> None:
    means = {pattern: meant(pattern) for pattern in some_patterns(seed, 50)}
    for (one, of_one), (other, of_other) in itertools.product(means.items(), repeat=2):
        assert overlap(one, other) is bool(of_one & of_other), (one, other)


@pytest.mark.parametrize("seed", range(4))
def test_a_pattern_covers_only_what_it_means(seed: int) -> None:
    means = {pattern: meant(pattern) for pattern in some_patterns(seed, 50)}
    for (outer, of_outer), (inner, of_inner) in itertools.product(means.items(), repeat=2):
        if covers(outer, inner):
            assert of_inner <= of_outer, (outer, inner)


@pytest.mark.parametrize(
    ("outer", "inner", "covered"),
    [
        ("*", "arn:aws:s3:::models/*", True),
        ("arn:aws:s3:::models/*", "arn:aws:s3:::models/released/*", True),
        ("arn:aws:s3:::models/released/*", "arn:aws:s3:::models/*", False),
        ("arn:aws:s3:::models/released/*", "arn:aws:s3:::models/released/digits", True),
        ("arn:aws:s3:::models/*", "arn:aws:s3:::models", False),
    ],
)
def test_what_roles_write_is_covered_or_not(outer: str, inner: str, covered: bool) -> None:
    assert covers(outer, inner) is covered


def test_a_pattern_that_is_no_arn_is_not_walked() -> None:
    with pytest.raises(Malformed):
        overlap("*a" * LONGEST, "a")
