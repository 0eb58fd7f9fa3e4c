"""Two who vouch and one who must not, a signed candidate and a release."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.modelchain import folder, keys, release, signing, strict_json
from services.modelchain.keys import Signer
from services.modelchain.release import Release
from services.modelchain.schema import (
    MODEL,
    MODEL_SIGNATURE,
    VERDICT,
    VERDICT_FILE,
    VERDICT_SIGNATURE,
    Verdict,
)
from tests.services.modelchain import making


@dataclass(frozen=True)
class People:
    """Whose keys there are."""

    folder: Path
    trainer: Signer
    redteam: Signer
    stranger: Signer

    def signed(self, files: Mapping[str, bytes], by: Signer | None = None) -> dict[str, bytes]:
        """Return a candidate's files, whatever they are."""
        return {
            **making.within(MODEL, files),
            MODEL_SIGNATURE: signing.signature(files, by or self.trainer, MODEL),
        }

    def judged(self, verdict: Verdict | bytes, by: Signer | None = None) -> dict[str, bytes]:
        """Return a verdict's files, whatever it says."""
        files = {VERDICT_FILE: verdict if isinstance(verdict, bytes) else strict_json.written(verdict)}
        return {
            **making.within(VERDICT, files),
            VERDICT_SIGNATURE: signing.signature(files, by or self.redteam, VERDICT),
        }

    def released(self) -> dict[str, bytes]:
        """Return the files of a good release."""
        files = making.files_of_numbers()
        return {**self.signed(files), **self.judged(making.verdict(folder.digest(files)))}

    def open(self, path: Path) -> Release:
        return release.open_release(
            path, trainer=self.trainer.verifier, redteam=self.redteam.verifier, now=making.NOW
        )


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    home = tmp_path_factory.mktemp("keys")
    made = {name: keys.make_keys(home, name)[0] for name in ("trainer", "redteam", "stranger")}
    return People(folder=home, **{name: keys.file_signer(path) for name, path in made.items()})


@pytest.fixture
def files() -> dict[str, bytes]:
    """The files of a good model, to be broken."""
    return making.files_of_numbers()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder to lay a candidate or release into; removed at once, since some are large."""
    yield tmp_path / "place"
    shutil.rmtree(tmp_path / "place", ignore_errors=True)
