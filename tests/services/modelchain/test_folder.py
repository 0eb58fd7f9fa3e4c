"""What lies in a model's folder: links, special files, sizes, strangers, and JSON that is not what it seems."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.modelchain import folder, graphs, strict_json, tensors
from services.modelchain.errors import LONGEST, ModelError, Unreadable
from services.modelchain.folder import inspect
from services.modelchain.reading import MODEL_FILES
from services.modelchain.schema import ARRAYS, CARD, GRAPH, MODEL, PRIVACY, SCHEMA, STATISTICS, WEIGHTS
from tests.services.modelchain import making
from tests.services.modelchain.making import laid, within


@pytest.mark.parametrize(
    "files", [making.files_of_numbers(), making.files_of_text()], ids=["numbers", "text"]
)
def test_a_good_model_is_taken_and_its_bytes_are_those_of_the_files(
    files: dict[str, bytes], place: Path
) -> None:
    found = inspect(laid(place, within(MODEL, files)))
    assert dict(found.files) == files
    assert found.graph == files[GRAPH]
    assert found.weights == files.get(WEIGHTS)


def test_what_is_written_is_read_again(place: Path) -> None:
    arrays = making.ARRAYS_OF_NUMBERS
    folder.write(
        place,
        graph=making.graph_of_numbers().SerializeToString(),
        schema=making.SCHEMA_OF_NUMBERS,
        statistics=making.STATISTICS_OF_NUMBERS,
        arrays=arrays,
        card=making.CARD_OF_ALL,
        privacy=making.PRIVACY_OF_ALL,
        weights=None,
    )
    found = inspect(place)
    assert found.schema == making.SCHEMA_OF_NUMBERS
    assert found.statistics == making.STATISTICS_OF_NUMBERS
    assert found.card == making.CARD_OF_ALL
    assert found.privacy == making.PRIVACY_OF_ALL
    assert found.weights is None
    assert folder.arrays(place).keys() == arrays.keys()
    assert all((folder.arrays(place)[name] == arrays[name]).all() for name in arrays)
    assert sorted(path.name for path in place.iterdir()) == [MODEL]


def test_what_would_not_be_taken_is_not_written(place: Path) -> None:
    with pytest.raises(ModelError, match="'mean' holds numbers that are not finite"):
        folder.write(
            place,
            graph=making.graph_of_numbers().SerializeToString(),
            schema=making.SCHEMA_OF_NUMBERS,
            statistics=making.STATISTICS_OF_NUMBERS,
            arrays={**making.ARRAYS_OF_NUMBERS, "mean": np.full(4, np.nan, dtype=np.float32)},
            card=making.CARD_OF_ALL,
            privacy=making.PRIVACY_OF_ALL,
            weights=None,
        )
    assert not place.exists()


def test_the_digest_is_what_sha256sum_says(files: dict[str, bytes], place: Path) -> None:
    found = inspect(laid(place, within(MODEL, files)))
    said = subprocess.check_output("LC_ALL=C sha256sum * | sha256sum", cwd=place / MODEL, shell=True)  # noqa: S602, S607
    assert f"sha256:{said.split()[0].decode()}" == found.digest


def test_the_digest_knows_which_file_is_which() -> None:
    assert folder.digest({"a": b"1", "b": b"2"}) != folder.digest({"a": b"1", "c": b"2"})


def test_nobody_can_write_to_the_arrays(files: dict[str, bytes], place: Path) -> None:
    found = inspect(laid(place, within(MODEL, files)))
    with pytest.raises(ValueError, match="read-only"):
        found.arrays["mean"][0] = 1


# What lies there


def _symbolic(path: Path) -> None:
    path.rename(path.parent.parent.parent / "outside")
    path.symlink_to(path.parent.parent.parent / "outside")


def _hard(path: Path) -> None:
    os.link(path, path.parent.parent.parent / "outside")


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _socket(path: Path) -> None:
    path.unlink()
    with socket.socket(socket.AF_UNIX) as opened:
        here = Path.cwd()
        os.chdir(path.parent)  # the path of a socket is bounded
        opened.bind(path.name)
        os.chdir(here)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _large(path: Path) -> None:
    os.truncate(path, MODEL_FILES[path.name] + 1)


SPOILED: dict[str, tuple[Callable[[Path], None], str]] = {
    "symbolic link": (_symbolic, "is a symbolic link"),
    "hard link": (_hard, "has another name elsewhere"),
    "pipe": (_pipe, "is not a plain file"),
    "socket": (_socket, "is not a plain file"),
    "folder": (_folder, "is not a plain file"),
    "large": (_large, "bytes; [0-9]+ at most"),
}


@pytest.mark.parametrize("name", [GRAPH, CARD, WEIGHTS])
@pytest.mark.parametrize("how", SPOILED)
def test_a_file_is_a_plain_file_with_one_name_and_a_bounded_size(
    files: dict[str, bytes], place: Path, how: str, name: str
) -> None:
    spoil, says = SPOILED[how]
    laid(place, within(MODEL, files))
    spoil(place / MODEL / name)
    with pytest.raises(ModelError, match=f"^{MODEL}/{name}: .*{says}"):
        inspect(place)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
def test_a_device_is_not_opened(files: dict[str, bytes], place: Path) -> None:
    laid(place, within(MODEL, files))
    (place / MODEL / CARD).unlink()
    try:
        os.mknod(place / MODEL / CARD, 0o20666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("this machine lets nobody make devices")
    with pytest.raises(ModelError, match="is not a plain file"):
        inspect(place)


def test_too_much_together_is_refused_before_any_of_it_is_read(
    files: dict[str, bytes], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    laid(place, within(MODEL, files))
    for name in (GRAPH, WEIGHTS):
        os.truncate(place / MODEL / name, MODEL_FILES[name])
    os.truncate(place / MODEL / ARRAYS, MODEL_FILES[ARRAYS])
    monkeypatch.setattr(os, "fdopen", lambda *_: pytest.fail("a file was read"))
    with pytest.raises(ModelError, match="all files together"):
        inspect(place)


@pytest.mark.parametrize(
    "stranger", ["model.pkl", "weights.pt", ".git", "MODEL.ONNX", "model.onnx ", "a\nb", "..."]
)
@pytest.mark.parametrize("where", [".", MODEL])
def test_nothing_lies_there_that_is_not_on_the_list(
    files: dict[str, bytes], place: Path, stranger: str, where: str
) -> None:
    laid(place, within(MODEL, files))
    (place / where / stranger).write_bytes(b"")
    with pytest.raises(ModelError, match="does not belong there"):
        inspect(place)


def test_a_name_that_is_no_text_is_refused_and_can_be_shown(files: dict[str, bytes], place: Path) -> None:
    laid(place, within(MODEL, files))
    (place / MODEL / os.fsdecode(b"\xff\x1b[2J")).write_bytes(b"")
    with pytest.raises(ModelError, match="does not belong there") as refused:
        inspect(place)
    assert str(refused.value).isprintable()
    assert str(refused.value).encode()


def test_many_files_are_not_listed_to_the_end(
    files: dict[str, bytes], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    laid(place, within(MODEL, files))
    (place / MODEL / "a").write_bytes(b"")
    seen: list[str] = []

    class Entry:
        @property
        def name(self) -> str:
            seen.append("a")
            return "a"

    class Endless:
        def __enter__(self) -> Any:
            return iter(Entry, None)

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(os, "scandir", lambda _: Endless())
    with pytest.raises(ModelError, match="does not belong there"):
        inspect(place)
    assert len(seen) < 10


@pytest.mark.parametrize("name", sorted(MODEL_FILES.keys() - {WEIGHTS}))
def test_a_missing_file_is_named(files: dict[str, bytes], place: Path, name: str) -> None:
    del files[name]
    with pytest.raises(ModelError, match=f"^{MODEL}/{name}: is missing"):
        inspect(laid(place, within(MODEL, files)))


def test_the_folder_of_the_model_is_a_folder(files: dict[str, bytes], place: Path) -> None:
    laid(place, {f"elsewhere/{name}": data for name, data in files.items()})
    laid(place / "root", {MODEL: b""})
    with pytest.raises(ModelError, match=r"^model: is not a folder"):
        inspect(place / "root")
    (place / "root" / MODEL).unlink()
    (place / "root" / MODEL).symlink_to(place / "elsewhere")
    with pytest.raises(ModelError, match=r"^model: is not a folder"):
        inspect(place / "root")
    (place / "root" / MODEL).unlink()
    with pytest.raises(ModelError, match="holds no folder model/"):
        inspect(place / "root")


@pytest.mark.parametrize("name", ["nowhere", "a file", "a\0b", "x" * 5000])
def test_a_place_that_is_no_folder_is_said_to_be_unreadable(tmp_path: Path, name: str) -> None:
    (tmp_path / "a file").write_bytes(b"")
    with pytest.raises(Unreadable):
        inspect(tmp_path / name)


# What changes while it is read


def _swap_after_the_look(monkeypatch: pytest.MonkeyPatch, name: str, swap: Callable[[], None]) -> None:
    """Let a file be swapped right after ``os.stat`` found it good."""
    real = os.stat

    def look(path: Any, **more: Any) -> os.stat_result:
        found = real(path, **more)
        if path == name:
            swap()
        return found

    monkeypatch.setattr(os, "stat", look)


@pytest.mark.parametrize("how", ["symbolic link", "hard link", "pipe"])
def test_a_file_that_is_swapped_between_look_and_open_is_refused(
    files: dict[str, bytes], place: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    laid(place, within(MODEL, files))
    spoil, _ = SPOILED[how]
    target = place / MODEL / CARD
    done: list[bool] = []

    def once() -> None:
        if not done:
            done.append(True)
            spoil(target)

    _swap_after_the_look(monkeypatch, CARD, once)
    with pytest.raises(ModelError, match=f"{MODEL}/{CARD}: "):
        inspect(place)


def test_a_file_that_grows_while_it_is_read_is_refused(
    files: dict[str, bytes], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    laid(place, within(MODEL, files))
    target = place / MODEL / CARD

    def grow() -> None:
        with target.open("ab") as file:
            file.write(b" ")

    _swap_after_the_look(monkeypatch, CARD, grow)
    with pytest.raises(ModelError, match="changed while it was read"):
        inspect(place)


# JSON

BAD_JSON: dict[str, tuple[bytes, str]] = {
    "not an object": (b"[]", "is not a JSON object"),
    "empty": (b"", "is not a JSON object"),
    "a pickle": (b"\x80\x04N.", "is not a JSON object"),
    "byte order mark": (b"\xef\xbb\xbf{}", "is not a JSON object"),
    "utf-16": ('{"a": 1}'.encode("utf-16-le"), "is not the JSON that is taken"),
    "not utf-8": (b'{"a": "\xff"}', "is not the JSON that is taken"),
    "after the end": (b"{} {}", "is not the JSON that is taken"),
    "twice": (b'{"name": "a", "name": "b"}', "stands twice"),
    "twice, by an escape": (b'{"name": 1, "n\\u0061me": 2}', "stands twice"),
    "twice, within": (b'{"input": {"low": 0, "low": 1}}', "stands twice"),
    "nan": (b'{"a": NaN}', "NaN is no number"),
    "infinite": (b'{"a": -Infinity}', "-Infinity is no number"),
    "overflowing": (b'{"a": 1e999}', "too large"),
    "a long number": (b'{"a": ' + b"9" * 5000 + b"}", "is not the JSON that is taken"),
    "deep": (b'{"a": ' * 20 + b"1" + b"}" * 20, "nested more than 16 deep"),
    "very deep": (b'{"a": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", "nested more than 16 deep"),
}


@pytest.mark.parametrize("how", BAD_JSON)
def test_json_says_each_thing_once_and_within_bounds(files: dict[str, bytes], place: Path, how: str) -> None:
    data, says = BAD_JSON[how]
    with pytest.raises(ModelError, match=f"^{MODEL}/{CARD}: .*{says}"):
        inspect(laid(place, within(MODEL, {**files, CARD: data})))


def test_json_is_bounded_wherever_it_comes_from() -> None:
    strict_json.loaded(b"{}".ljust(strict_json.MOST_BYTES), "here")
    with pytest.raises(ModelError, match=r"^here: has 1048577 bytes; 1048576 at most"):
        strict_json.loaded(b"{}".ljust(strict_json.MOST_BYTES + 1), "here")


CHANGED: dict[str, tuple[str, Callable[[Any], Any], str]] = {
    "stranger": (CARD, lambda said: {**said, "extra\x1b[2J": 1}, "Extra inputs are not permitted"),
    "missing": (PRIVACY, lambda said: {**said, "delta": None}, "delta: state it"),
    "text for a number": (SCHEMA, lambda said: {**said, "version": "3"}, "version: .*valid integer"),
    "true for one": (SCHEMA, lambda said: {**said, "version": True}, "version: .*valid integer"),
    "another format": (SCHEMA, lambda said: {**said, "format": 2}, "format: "),
    "classes of one name": (
        SCHEMA,
        lambda said: {**said, "output": {"name": "scores", "classes": ["cat", "dog", "cat"]}},
        "two have one name",
    ),
    "a name with a path": (SCHEMA, lambda said: {**said, "name": "../tiny"}, "name: "),
    "no time zone": (CARD, lambda said: {**said, "trained_at": "2026-11-27T12:00:00"}, "trained_at: "),
    "half a character": (CARD, lambda said: {**said, "title": "\ud800"}, "Invalid JSON"),
}


@pytest.mark.parametrize("how", CHANGED)
def test_json_has_the_shape_that_is_declared(files: dict[str, bytes], place: Path, how: str) -> None:
    name, change, says = CHANGED[how]
    files[name] = json.dumps(change(json.loads(files[name]))).encode()
    with pytest.raises(ModelError, match=f"^{MODEL}/{name}: .*{says}") as refused:
        inspect(laid(place, within(MODEL, files)))
    assert str(refused.value).isprintable()


def test_what_is_said_of_a_refusal_is_bounded(files: dict[str, bytes], place: Path) -> None:
    files[CARD] = json.dumps({**json.loads(files[CARD]), "x" * 100_000: 1}).encode()
    with pytest.raises(ModelError) as refused:
        inspect(laid(place, within(MODEL, files)))
    assert len(str(refused.value)) <= LONGEST + 1


# safetensors


def _safetensors(header: Any, data: bytes = b"") -> bytes:
    encoded = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(encoded).to_bytes(8, "little") + encoded + data


ONE = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}

BAD_TENSORS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is not safetensors with a header"),
    "a huge header": ((2**62).to_bytes(8, "little") + b"{}", "is not safetensors with a header"),
    "a large header": (
        _safetensors(b"{" + b" " * tensors.HEADER_BYTES + b"}"),
        "is not safetensors with a header",
    ),
    "not an object": (_safetensors(b"[]      "), "is not safetensors with a header"),
    "twice": (_safetensors(b'{"a": 1, "a": 2}'), "stands twice"),
    "a stranger type": (_safetensors({"a": {**ONE, "dtype": "C64"}}, bytes(8)), "a type that is not taken"),
    "not about a tensor": (_safetensors({"a": 1}), "a type that is not taken"),
    "notes": (_safetensors({"__metadata__": {"run": "x"}, "a": ONE}, bytes(4)), "says more than the format"),
    "a long name": (_safetensors({"a" * 300: ONE}, bytes(4)), "longer than 256"),
    "many": (_safetensors({f"{n}": {**ONE, "shape": [0]} for n in range(4097)}), "holds 4097 tensors"),
    "bytes that belong to none": (_safetensors({"a": ONE}, bytes(40)), "is not safetensors: "),
    "fewer bytes": (_safetensors({"a": ONE}, bytes(3)), "is not safetensors: "),
    "overlapping": (_safetensors({"a": ONE, "b": ONE}, bytes(4)), "is not safetensors: "),
    "another size": (_safetensors({"a": {**ONE, "shape": [2]}}, bytes(4)), "is not safetensors: "),
    "overflowing": (_safetensors({"a": {**ONE, "shape": [2**33, 2**33]}}, bytes(4)), "is not safetensors: "),
}


@pytest.mark.parametrize("name", [ARRAYS, WEIGHTS])
@pytest.mark.parametrize("how", BAD_TENSORS)
def test_tensors_are_tensors_to_the_last_byte(
    files: dict[str, bytes], place: Path, how: str, name: str
) -> None:
    data, says = BAD_TENSORS[how]
    with pytest.raises(ModelError, match=f"^{MODEL}/{name}: .*{says}"):
        inspect(laid(place, within(MODEL, {**files, name: data})))


def test_statistics_are_finite(files: dict[str, bytes], place: Path) -> None:
    files[ARRAYS] = tensors.written({**making.ARRAYS_OF_NUMBERS, "residual": np.array([np.inf], np.float32)})
    with pytest.raises(ModelError, match="'residual' holds numbers that are not finite"):
        inspect(laid(place, within(MODEL, files)))


def test_a_type_that_numpy_has_not_is_refused_in_statistics(files: dict[str, bytes], place: Path) -> None:
    files[ARRAYS] = _safetensors({"a": {**ONE, "dtype": "BF16", "shape": [2]}}, bytes(4))
    with pytest.raises(ModelError, match=f"^{MODEL}/{ARRAYS}: "):
        inspect(laid(place, within(MODEL, files)))


@pytest.mark.parametrize(
    "changed",
    [
        {"mean": np.zeros(3, np.float32)},
        {"mean": np.zeros((4, 1), np.float32)},
        {"whitening": np.zeros((2, 4), np.float32)},
        {"whitening": np.zeros(4, np.float32)},
        {"residual": np.ones(2, np.float32)},
        {"residual": np.ones((1, 1), np.float32)},
    ],
)
def test_the_arrays_of_a_screen_fit_the_input(
    files: dict[str, bytes], place: Path, changed: tensors.Arrays
) -> None:
    files[ARRAYS] = tensors.written({**making.ARRAYS_OF_NUMBERS, **changed})
    with pytest.raises(ModelError, match=r"not of [14] values for an input of 4"):
        inspect(laid(place, within(MODEL, files)))


@pytest.mark.parametrize("name", sorted(making.ARRAYS_OF_NUMBERS))
def test_the_arrays_of_a_screen_are_there(files: dict[str, bytes], place: Path, name: str) -> None:
    others = {each: array for each, array in making.ARRAYS_OF_NUMBERS.items() if each != name}
    files[ARRAYS] = tensors.written(others)
    with pytest.raises(ModelError, match=f"'{name}' is not there"):
        inspect(laid(place, within(MODEL, files)))


def test_a_screen_of_numbers_does_not_go_with_text(place: Path) -> None:
    files = making.files_of_text()
    files[STATISTICS] = making.files_of_numbers()[STATISTICS]
    with pytest.raises(ModelError, match="screens of numbers for a model of text"):
        inspect(laid(place, within(MODEL, files)))


# Notes of the exporter


def test_notes_of_the_exporter_are_taken_out_and_nothing_else_changes() -> None:
    noted = making.graph_of_numbers()
    noted.doc_string = noted.graph.doc_string = noted.graph.node[1].doc_string = (
        "File /home/somebody/train.py"
    )
    for bearer in (noted, noted.graph.node[0], noted.graph.input[0], noted.graph.initializer[0]):
        bearer.metadata_props.add(key="stack", value="/home/somebody")
    plain = graphs.bare(noted.SerializeToString(), "graph")
    assert b"somebody" not in plain
    assert plain == graphs.bare(making.graph_of_numbers().SerializeToString(), "graph")
    graphs.check(plain, making.SCHEMA_OF_NUMBERS, "graph")
