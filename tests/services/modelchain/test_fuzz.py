"""Whatever lies in a folder: a release with one byte changed never opens, and nothing but a refusal comes out."""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.modelchain import folder, graphs, scanner, signing, strict_json, tensors
from services.modelchain.errors import ModelError
from services.modelchain.keys import file_verifier
from services.modelchain.reading import MODEL_FILES
from services.modelchain.schema import (
    ARRAYS,
    CARD,
    GRAPH,
    MODEL,
    MODEL_SIGNATURE,
    SCHEMA,
    VERDICT,
    VERDICT_FILE,
    VERDICT_SIGNATURE,
    Card,
    Schema,
    Verdict,
)
from tests.services.modelchain import making
from tests.services.modelchain.conftest import People
from tests.services.modelchain.making import laid
from tests.services.modelchain.test_format import FORMAT_1

QUICK = settings(deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def test_a_release_with_any_one_byte_changed_is_refused(people: People, place: Path) -> None:
    """Every byte of every file, the signatures too, takes another value; and every file ends a byte early or late."""
    good = people.released()
    laid(place, good)
    chance = random.Random(7)  # noqa: S311 - so that it is the same every time
    opened = []
    for name, data in good.items():
        with (place / name).open("r+b") as file:
            for at, byte in enumerate(data):
                other = chance.choice(
                    [byte ^ 1 << chance.randrange(8), (byte + chance.randrange(1, 256)) % 256]
                )
                os.pwrite(file.fileno(), bytes([other]), at)
                opened += _opens(people, place, f"{name}, byte {at}: {byte} became {other}")
                os.pwrite(file.fileno(), bytes([byte]), at)
            os.pwrite(file.fileno(), b"\0", len(data))
            opened += _opens(people, place, f"{name}, a byte longer")
            file.truncate(len(data) - 1)
            opened += _opens(people, place, f"{name}, a byte shorter")
            os.pwrite(file.fileno(), data[-1:], len(data) - 1)
    assert opened == []
    people.open(place)


def _opens(people: People, place: Path, what: str) -> list[str]:
    try:
        people.open(place)
    except ModelError:
        return []
    return [what]


# A folder of anything

names = st.sampled_from(
    [
        MODEL,
        VERDICT,
        MODEL_SIGNATURE,
        VERDICT_SIGNATURE,
        *(f"{MODEL}/{name}" for name in MODEL_FILES),
        f"{VERDICT}/{VERDICT_FILE}",
        f"{MODEL}/{CARD}/x",
        "x",
        f"{MODEL}/\udcff",
    ]
)
kinds = st.sampled_from(["file", "folder", "link", "loop", "pipe", "nothing", "unreadable"])
spoils = st.lists(st.tuples(names, kinds, st.binary(max_size=60)), max_size=6)


@QUICK
@given(spoils=spoils)
def test_a_folder_of_anything_opens_only_if_it_is_the_release(people: People, spoils: Any) -> None:
    good = people.released()
    with tempfile.TemporaryDirectory() as home:
        place = laid(Path(home) / "release", good)
        for name, kind, data in spoils:
            _spoil(place / name, kind, data)
        try:
            opened = people.open(place)
        except ModelError:
            return
        assert {f"{MODEL}/{name}": data for name, data in opened.files.items()}.items() <= good.items()


def _spoil(path: Path, kind: str, data: bytes) -> None:
    try:
        if path.is_dir() and not path.is_symlink():
            path.rename(path.parent.parent / f"away-{time.monotonic_ns()}")
        else:
            path.unlink(missing_ok=True)
        makes: dict[str, Callable[[], object]] = {
            "file": lambda: path.write_bytes(data),
            "folder": path.mkdir,
            "link": lambda: path.symlink_to("/etc/passwd"),
            "loop": lambda: path.symlink_to(path),
            "pipe": lambda: os.mkfifo(path),
            "nothing": lambda: None,
            "unreadable": lambda: path.touch(0),
        }
        makes[kind]()
    except OSError:
        pass  # it cannot be spoilt in this way any more


# Parsers, when whoever holds the keys is hostile


def mutated(seed: bytes) -> st.SearchStrategy[bytes]:
    """Bytes that are nearly good."""
    edits = st.tuples(st.integers(0, len(seed)), st.integers(0, 4), st.binary(max_size=9))

    def apply(changes: list[tuple[int, int, bytes]]) -> bytes:
        data = seed
        for at, drop, insert in changes:
            data = data[:at] + insert + data[at + drop :]
        return data

    return st.lists(edits, min_size=1, max_size=4).map(apply)


FILES = making.files_of_numbers()
SIGNATURE = (FORMAT_1 / "release" / MODEL_SIGNATURE).read_bytes()

PARSERS: dict[str, tuple[bytes, Callable[[bytes], object]]] = {
    "graph": (FILES[GRAPH], lambda data: graphs.check(data, making.SCHEMA_OF_NUMBERS, "graph")),
    "graph of text": (
        making.files_of_text()[GRAPH],
        lambda data: graphs.check(data, making.SCHEMA_OF_TEXT, "graph"),
    ),
    "bare": (FILES[GRAPH], lambda data: graphs.bare(data, "graph")),
    "arrays": (FILES[ARRAYS], lambda data: tensors.arrays(data, "arrays")),
    "schema": (FILES[SCHEMA], lambda data: strict_json.parsed(Schema, data, "schema")),
    "card": (FILES[CARD], lambda data: strict_json.parsed(Card, data, "card")),
    "verdict": (
        strict_json.written(making.verdict("sha256:" + "0" * 64)),
        lambda data: strict_json.parsed(Verdict, data, "verdict"),
    ),
    "scanner": (
        b"\x80\x04\x95\x11\0\0\0\0\0\0\0\x8c\x02os\x8c\x06system\x93.",
        lambda data: scanner.check(data, "f"),
    ),
}


@pytest.mark.parametrize("parser", PARSERS)
def test_a_parser_answers_or_refuses(parser: str) -> None:
    seed, parse = PARSERS[parser]

    @QUICK
    @given(data=st.one_of(mutated(seed), st.binary(max_size=200)))
    def answers_or_refuses(data: bytes) -> None:
        assert _refusal(lambda: parse(data)).isprintable()

    answers_or_refuses()


def _refusal(parse: Callable[[], object]) -> str:
    try:
        parse()
    except ModelError as refused:
        return str(refused)
    return ""


@QUICK
@given(data=st.one_of(mutated(SIGNATURE), st.binary(max_size=200)))
def test_a_signature_answers_or_refuses(data: bytes) -> None:
    verifier = file_verifier(FORMAT_1 / "trainer.pub")
    assert _refusal(lambda: signing.verify(FILES, data, verifier, MODEL)).isprintable()


@QUICK
@given(data=mutated(making.files_of_numbers()[GRAPH]))
def test_a_release_that_both_signed_answers_or_refuses_whatever_the_graph_is(
    people: People, data: bytes
) -> None:
    files = {**making.files_of_numbers(), GRAPH: data}
    with tempfile.TemporaryDirectory() as home:
        laid(Path(home), {**people.signed(files), **people.judged(making.verdict(folder.digest(files)))})
        _opens(people, Path(home), "")
