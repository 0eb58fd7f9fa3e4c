"""Models that are trained once, keys, and the thresholds that the repository hands out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from threadpoolctl import threadpool_limits

from services.modelchain import keys, signing
from services.modelchain.keys import Signer
from services.redteam import subject, thresholds
from services.redteam.subject import TensorModel, TextModel
from services.redteam.thresholds import Tensor, Text
from tests.services.redteam.world import Made


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """As the command does: sums are the same each time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tensor() -> Tensor:
    asked = thresholds.read(thresholds.EXAMPLE).thresholds.tensor
    assert asked is not None
    return asked


@pytest.fixture(scope="session")
def text() -> Text:
    asked = thresholds.read(thresholds.EXAMPLE).thresholds.text
    assert asked is not None
    return asked


Opened = Callable[[Made], TensorModel]
OpenedText = Callable[[Made], TextModel]


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    """Open what was made as the red team does."""

    def open_(made: Made) -> TensorModel:
        model = subject.opened(made.candidate(tmp_path / f"candidate-{len(list(tmp_path.iterdir()))}"))
        assert isinstance(model, TensorModel)
        return model

    return open_


@pytest.fixture
def opened_text(tmp_path: Path) -> OpenedText:
    def open_(made: Made) -> TextModel:
        model = subject.opened(made.candidate(tmp_path / f"candidate-{len(list(tmp_path.iterdir()))}"))
        assert isinstance(model, TextModel)
        return model

    return open_


class Keys:
    """Of the trainer, the red team and a stranger."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("trainer", "redteam", "stranger"):
            keys.make_keys(folder, name)

    def private(self, name: str) -> Path:
        return self.folder / f"{name}.key"

    def public(self, name: str) -> Path:
        return self.folder / f"{name}.pub"

    def signer(self, name: str) -> Signer:
        return keys.file_signer(self.private(name))

    def sign(self, candidate: Path, name: str = "trainer") -> Path:
        signing.sign_candidate(candidate, self.signer(name))
        return candidate


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys(tmp_path_factory.mktemp("keys"))
