"""Manifests: rows that were put in, taken out, changed or reordered after somebody vouched for them stop the job."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from services.modelchain.keys import Verifier, file_signer, file_verifier, make_keys
from services.trainer import manifest
from services.trainer.errors import TrainerError
from services.trainer.manifest import Manifest
from tests.services.trainer.conftest import Refusal, Site

TABLE = pa.table(
    {
        "key": list(range(10)),
        "value": [0.5 * number for number in range(10)],
        "text": [None if number == 3 else f"é{number}" for number in range(10)],
        "flag": [number % 3 == 0 for number in range(10)],
    }
)


def read(table: pa.Table = TABLE, rows: int = 4) -> Iterator[pa.RecordBatch]:
    yield from table.to_batches(max_chunksize=rows)


def made(table: pa.Table = TABLE) -> Manifest:
    digests = tuple(manifest.digest(batch) for batch in manifest.batches(read(table), 4))
    return Manifest(
        dataset="d",
        purpose="p",
        columns=tuple(table.column_names),
        rows=table.num_rows,
        batch_rows=4,
        batches=digests,
    )


def checked(table: pa.Table, rows: int = 4) -> int:
    """Return how many rows were let through."""
    names = table.column_names
    passed = manifest.checked(made(), dataset="d", purpose="p", columns=names, read=read(table, rows))
    return sum(batch.num_rows for batch in passed)


@pytest.mark.parametrize("rows", [1, 3, 4, 7, 10])
def test_however_an_answer_is_cut_the_digests_are_the_same(rows: int) -> None:
    assert checked(TABLE, rows) == 10
    cut = [batch.num_rows for batch in manifest.batches(read(rows=rows), 4)]
    assert cut == [4, 4, 2]


def test_digests_do_not_depend_on_how_arrow_keeps_values() -> None:
    (whole,) = TABLE.combine_chunks().to_batches()
    (again,) = pa.Table.from_pylist(TABLE.to_pylist(), schema=TABLE.schema).slice(0).to_batches()
    assert manifest.digest(whole) == manifest.digest(again)
    assert manifest.digest(whole.slice(2, 3)) == manifest.digest(
        pa.Table.from_batches([whole.slice(2, 3)]).combine_chunks().to_batches()[0]
    )


def changed(column: str, row: int, value: object) -> pa.Table:
    rows = TABLE.to_pylist()
    rows[row][column] = value
    return pa.Table.from_pylist(rows, schema=TABLE.schema)


ATTACKS: dict[str, Callable[[], pa.Table]] = {
    "a number": lambda: changed("value", 5, 2.500001),
    "a text": lambda: changed("text", 9, "e9"),
    "a flag": lambda: changed("flag", 0, False),
    "nothing instead of something": lambda: changed("text", 0, None),
    "something instead of nothing": lambda: changed("text", 3, ""),
    "one more": lambda: pa.concat_tables([TABLE, TABLE.slice(0, 1)]),
    "one batch more": lambda: pa.concat_tables([TABLE.slice(0, 8), TABLE]),
    "one less": lambda: TABLE.slice(0, 9),
    "one batch less": lambda: TABLE.slice(0, 8),
    "the first less": lambda: TABLE.slice(1),
    "another order": lambda: TABLE.take([0, 1, 2, 3, 5, 4, 6, 7, 8, 9]),
    "batches swapped": lambda: TABLE.take([4, 5, 6, 7, 0, 1, 2, 3, 8, 9]),
    "nothing at all": lambda: TABLE.slice(0, 0),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_whatever_was_changed_after_the_signature_is_found(attack: str) -> None:
    with pytest.raises(TrainerError, match=r"^manifest\.json: "):
        checked(ATTACKS[attack]())


def test_texts_cannot_borrow_letters_from_each_other() -> None:
    one = pa.record_batch({"a": ["ab", "c"], "b": ["", ""]})
    other = pa.record_batch({"a": ["a", "bc"], "b": ["", ""]})
    assert manifest.digest(one) != manifest.digest(other)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    for who in ("steward", "stranger"):
        make_keys(tmp_path, who)
    return tmp_path


def opened(folder: Path, verifier: Verifier) -> str:
    with pytest.raises(TrainerError) as refused:
        manifest.opened(folder, verifier)
    return str(refused.value)


def test_only_who_vouches_for_data_is_believed(keys: Path) -> None:
    steward = file_verifier(keys / "steward.pub")
    manifest.write(keys / "good", made(), file_signer(keys / "steward.key"))
    assert manifest.opened(keys / "good", steward) == made()
    manifest.write(keys / "theirs", made(), file_signer(keys / "stranger.key"))
    assert "was made with another key" in opened(keys / "theirs", steward)
    file = keys / "good" / "manifest.json"
    said = json.loads(file.read_text())
    file.write_text(json.dumps(said | {"rows": 11}))
    assert "was changed after it was signed" in opened(keys / "good", steward)
    (keys / "good" / "manifest.sig").unlink()
    assert "make one with python -m services.trainer manifest" in opened(keys / "good", steward)


def test_a_manifest_is_of_one_dataset_purpose_and_columns() -> None:
    for what, dataset, purpose, names in (
        ("dataset", "other", "p", TABLE.column_names),
        ("purpose", "d", "other", TABLE.column_names),
        ("columns", "d", "p", ["key"]),
    ):
        with pytest.raises(TrainerError, match=f"manifest.json: {what}: was signed for something else"):
            list(manifest.checked(made(), dataset=dataset, purpose=purpose, columns=names, read=read()))


def test_a_row_that_was_changed_in_the_database_stops_the_job(
    trainer: Site, refused: Refusal, tmp_path: Path
) -> None:
    few = {"data__dataset": "digits_few", "training__epochs": 1}
    (tmp_path / "before").mkdir()
    folder = trainer.vouch(trainer.write(tmp_path / "before", **few))
    (was,) = trainer.world.sql("SELECT p33 FROM learning.digits WHERE sample = 123")
    trainer.world.sql("UPDATE learning.digits SET p33 = (p33 + 1) % 16 WHERE sample = 123")
    try:
        told = refused(**few, manifest=folder)
        assert told.startswith("manifest.json: batch 1 of 1 is not the one that was signed")
    finally:
        trainer.world.sql("UPDATE learning.digits SET p33 = $1 WHERE sample = 123", was[0])
