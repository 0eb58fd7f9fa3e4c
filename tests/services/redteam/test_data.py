"""Examples to judge with: taken as the model takes them, and refused with the reason where they are none."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from services.modelchain.schema import Schema
from services.redteam import data
from services.redteam.errors import REFUSED, RedTeamError
from tests.services.redteam import messages, world

Array = np.ndarray[Any, np.dtype[Any]]


def arrays(**changes: Any) -> dict[str, Any]:
    digits = world.digits()
    return {
        "member_inputs": digits.members.inputs,
        "member_labels": digits.members.labels,
        "held_out_inputs": digits.held_out.inputs,
        "held_out_labels": digits.held_out.labels,
        **changes,
    }


def npz(tmp_path: Path, said: dict[str, Any]) -> Path:
    path = tmp_path / "judging.npz"
    np.savez(path, **{name: value for name, value in said.items() if value is not None})
    return path


def refusal(path: Path, schema: Schema | None = None) -> str:
    with pytest.raises(RedTeamError) as refused:
        data.read(path, schema or world.schema())
    assert refused.value.code == REFUSED
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_an_npz_is_read_as_it_was_written(tmp_path: Path) -> None:
    read = data.read(npz(tmp_path, arrays()), world.schema())
    assert np.array_equal(read.members.inputs, world.digits().members.inputs)
    assert np.array_equal(read.held_out.labels, world.digits().held_out.labels)
    assert read.left_out == 0


@pytest.mark.parametrize("stream", [True, False])
def test_an_arrow_file_says_the_same(tmp_path: Path, stream: bool) -> None:
    said, path = arrays(), tmp_path / "judging.arrow"
    inputs = np.concatenate([said["member_inputs"], said["held_out_inputs"]])
    labels = np.concatenate([said["member_labels"], said["held_out_labels"]])
    table = pa.table(
        {
            "member": np.arange(len(inputs)) < len(said["member_inputs"]),
            "label": [str(each) for each in labels],
            "input": inputs.tolist(),
        }
    )
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(str(path), table.schema) as writer:
        writer.write_table(table)
    read = data.read(path, world.schema())
    assert np.array_equal(read.members.inputs, said["member_inputs"])
    assert np.array_equal(read.held_out.labels, said["held_out_labels"])


def test_texts_are_read(tmp_path: Path) -> None:
    told = messages.messages()
    said = arrays(
        member_inputs=told.members.inputs.astype(str),
        member_labels=np.array(messages.CLASSES)[told.members.labels],
        held_out_inputs=told.held_out.inputs.astype(str),
        held_out_labels=told.held_out.labels,
    )
    read = data.read(npz(tmp_path, said), messages.good().schema)
    assert list(read.members.inputs) == list(told.members.inputs)
    assert np.array_equal(read.members.labels, told.members.labels)


def test_held_out_examples_that_are_members_are_left_out_and_many_are_refused(tmp_path: Path) -> None:
    said = arrays()
    mixed = said["held_out_inputs"].copy()
    mixed[:10] = said["member_inputs"][:10]
    read = data.read(npz(tmp_path, {**said, "held_out_inputs": mixed}), world.schema())
    assert (read.left_out, len(read.held_out)) == (10, 590)
    mixed[:20] = said["member_inputs"][:20]
    assert "20 of 600 are members too" in refusal(npz(tmp_path, {**said, "held_out_inputs": mixed}))


def changed(name: str, change: Any) -> dict[str, Any]:
    said = arrays()
    said[name] = change(said[name].copy())
    return said


def with_one(value: float) -> Any:
    def change(array: Array) -> Array:
        array[3, 0, 0, 0] = value
        return array

    return change


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (arrays(held_out_labels=None), "judging.npz: held_out_labels: is missing"),
        (changed("member_inputs", lambda a: a[:99]), "member: 99 inputs and 600 labels"),
        (
            {**arrays(), **{f"held_out_{x}": arrays()[f"held_out_{x}"][:99] for x in ("inputs", "labels")}},
            "held_out: 99 examples; 100 at least",
        ),
        (changed("held_out_inputs", with_one(np.nan)), "held_out_inputs: holds NaN or infinities"),
        (changed("member_inputs", with_one(np.inf)), "member_inputs: holds NaN or infinities"),
        (changed("member_inputs", with_one(1.5)), "goes from 0 to 1.5; the model takes 0 to 1"),
        (changed("member_inputs", with_one(-1)), "goes from -1 to 1; the model takes 0 to 1"),
        (changed("member_inputs", lambda a: a[:, 0]), "the model takes numbers [n, 1, 8, 8]"),
        (changed("member_inputs", lambda a: a.astype("U4")), "the model takes numbers"),
        (changed("member_labels", lambda a: a * 0), "member_labels: are all one class"),
        (changed("member_labels", lambda a: a + 5), "classes are 0 to 9"),
        (changed("member_labels", lambda a: a - 1), "classes are 0 to 9"),
        (changed("member_labels", lambda a: a + 0.5), "give numbers of classes, or their names"),
        (changed("member_labels", lambda a: a[:, None]), "give one label for each example"),
        (changed("held_out_labels", lambda a: np.array(["ten"] * len(a))), "'ten' is no class; 0, 1, 2"),
        (changed("held_out_labels", lambda a: a.astype(object)), "is not an .npz of numbers and texts"),
    ],
)
def test_what_the_model_does_not_take_is_refused(tmp_path: Path, said: dict[str, Any], message: str) -> None:
    assert message in refusal(npz(tmp_path, said))


def test_texts_for_a_model_of_texts_alone_and_none_too_long(tmp_path: Path) -> None:
    assert "the model takes texts" in refusal(npz(tmp_path, arrays()), messages.good().schema)
    long = arrays(member_inputs=np.array(["x" * 5000] * 600))
    assert "longer than the 4000 characters" in refusal(npz(tmp_path, long), messages.good().schema)


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "MOST_BYTES", 2**20)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("member_inputs.npy", bytes(2**21))
    path = tmp_path / "bomb.npz"
    path.write_bytes(packed.getvalue())
    assert "unpacks to more than" in refusal(path)


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"PK\x03\x04" + bytes(100), b"ARROW1", bytes(100), b"\x80\x04K\x01."]
)
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "judging"
    path.write_bytes(content)
    assert "is neither an .npz nor an Arrow file" in refusal(path) or "is not an .npz" in refusal(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "missing.npz: cannot be read: No such file" in refusal(tmp_path / "missing.npz")
