"""One running pack for all tests of controls: starting it costs more than asking it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from blueprint.pack import RunningPack


@pytest.fixture(scope="session")
def pack() -> Iterator[RunningPack]:
    with RunningPack() as running:
        yield running
