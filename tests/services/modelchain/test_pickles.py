"""Pickles under every name, and in every dress: the allow-list refuses what scanners let through."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import subprocess
import sys
import timeit
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from picklescan.scanner import scan_bytes

from services.modelchain import scanner, tensors
from services.modelchain.errors import ModelError
from services.modelchain.folder import inspect
from services.modelchain.schema import MODEL, WEIGHTS
from tests.services.modelchain import making
from tests.services.modelchain.making import laid, within

FILES = sorted(making.files_of_numbers())


class Calls:
    """An object whose pickle calls something when it is loaded."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._what = (function, arguments)

    def __reduce__(self) -> Any:
        return self._what


def _by_name(module: str, name: str, argument: str, protocol: int = 0) -> bytes:
    """Write a pickle by hand, for what cannot be imported here."""
    assert protocol == 0
    return f"c{module}\n{name}\n(V{argument}\ntR.".encode()


def _zip(name: str, data: bytes) -> bytes:
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w") as archive:
        archive.writestr(name, data)
    return into.getvalue()


def _joblib(compress: Any) -> bytes:
    into = io.BytesIO()
    joblib.dump(Calls(os.system, "true"), into, compress=compress)
    return into.getvalue()


def _numpy() -> bytes:
    into = io.BytesIO()
    np.save(into, np.array([Calls(os.system, "true")], dtype=object), allow_pickle=True)
    return into.getvalue()


SYSTEM = pickle.dumps(Calls(os.system, "true"))

PAYLOADS = {
    "os.system": SYSTEM,
    "os.system, protocol 0": pickle.dumps(Calls(os.system, "true"), protocol=0),
    "importlib": _by_name("importlib", "import_module", "antigravity"),
    "timeit": pickle.dumps(Calls(timeit.timeit, "1")),
    "pydoc": _by_name("pydoc", "locate", "os.system"),
    "builtins.exec": pickle.dumps(Calls(exec, "1")),
    "joblib": _joblib(0),
    "joblib, zlib": _joblib(("zlib", 3)),
    "joblib, lzma": _joblib(("lzma", 3)),
    "gzip": gzip.compress(SYSTEM),
    "bz2": bz2.compress(SYSTEM),
    "zlib": zlib.compress(SYSTEM),
    "xz": lzma.compress(SYSTEM),
    "zip, as torch saves": _zip("archive/data.pkl", SYSTEM),
    "zip within zip": _zip("a.zip", _zip("data.pkl", SYSTEM)),
    "numpy": _numpy(),
    "a pickle after JSON": b"{}" + SYSTEM,
}

LET_THROUGH = ["importlib", "joblib, zlib", "joblib, lzma", "gzip", "bz2", "zlib", "xz", "zip within zip"]
"""What the scanner alone, as it runs by itself, finds nothing dangerous in."""


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_pickle_is_refused_whatever_it_is_called(payload: str, tmp_path: Path) -> None:
    for name in FILES:
        place = laid(tmp_path / name, within(MODEL, {**making.files_of_numbers(), name: PAYLOADS[payload]}))
        with pytest.raises(ModelError, match=f"^{MODEL}/{name}: "):
            inspect(place)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_the_allow_list_needs_no_scanner(
    payload: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanner, "check", lambda *_: None)
    test_a_pickle_is_refused_whatever_it_is_called(payload, tmp_path)


@pytest.mark.parametrize("payload", LET_THROUGH)
def test_a_scanner_alone_would_not_do(payload: str) -> None:
    """Once a newer scanner finds these too, say so in the docs."""
    found = scan_bytes(io.BytesIO(PAYLOADS[payload]), "file")
    assert found.infected_files == 0


# Two things at once: the second line


def _polyglot(header_bytes: int, payload: bytes) -> bytes:
    """Return good safetensors with a header of so many bytes and a payload for its numbers."""
    about = {"w": {"dtype": "U8", "shape": [len(payload)], "data_offsets": [0, len(payload)]}}
    header = json.dumps(about, separators=(",", ":")).encode().ljust(header_bytes)
    assert len(header) == header_bytes
    return header_bytes.to_bytes(8, "little") + header + payload


RAN: list[str] = []


def _ran(what: str) -> str:
    RAN.append(what)
    return what


# The length of the header begins with V (a line of text, in a pickle) or with ( and V: the header is that line.
@pytest.mark.parametrize("header_bytes", [0x56, 0x5628])
def test_safetensors_that_are_a_pickle_too_are_refused(header_bytes: int, tmp_path: Path) -> None:
    payload = b"\n0c" + f"{__name__}\n_ran\n(Vit\ntR.".encode()
    data = _polyglot(header_bytes, payload)
    RAN.clear()
    pickle.loads(data)  # noqa: S301 - it is a working pickle, or the test would show nothing
    assert RAN == ["it"]
    tensors.check(data, "the first line lets it through")
    place = laid(tmp_path, within(MODEL, {**making.files_of_numbers(), WEIGHTS: data}))
    with pytest.raises(
        ModelError, match=f"^{MODEL}/{WEIGHTS}: is also a pickle, which calls {__name__}._ran"
    ):
        inspect(place)


def test_safetensors_that_are_a_zip_too_are_refused(tmp_path: Path) -> None:
    data = _polyglot(80, _zip("archive/data.pkl", SYSTEM))
    tensors.check(data, "the first line lets it through")
    place = laid(tmp_path, within(MODEL, {**making.files_of_numbers(), WEIGHTS: data}))
    with pytest.raises(ModelError, match=f"^{MODEL}/{WEIGHTS}: is also a zip archive"):
        inspect(place)


def test_a_pickle_that_never_ends_is_not_followed() -> None:
    for payload in (b"N0" * 5000, b"N." * 5000):
        with pytest.raises(ModelError, match="is also a pickle of more than 1000 steps"):
            scanner.check(_polyglot(0x56, b"\n0" + payload), "w")


def test_a_pickle_that_cannot_be_followed_is_refused() -> None:
    with pytest.raises(ModelError, match="cannot be followed"):
        scanner.check(b"\x93.", "w")


def test_an_archive_of_several_disks_is_an_archive() -> None:
    end = bytearray(_zip("a", b""))
    locator = b"PK\x06\x07" + bytes(12) + (2).to_bytes(4, "little")
    at = end.rindex(b"PK\x05\x06")
    with pytest.raises(ModelError, match="is also a zip archive"):
        scanner.check(bytes(end[:at] + locator + end[at:]), "w")


def test_what_is_taken_is_no_pickle_and_the_scanner_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    for files in (making.files_of_numbers(), making.files_of_text()):
        for name, data in files.items():
            scanner.check(data, name)
    assert capfd.readouterr() == ("", "")


def test_the_scanner_does_not_fill_the_log_of_a_service() -> None:
    program = "import logging; from services.modelchain import scanner; logging.basicConfig(); scanner.check(b'{}', 'f')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")
