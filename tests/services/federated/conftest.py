"""One federation for all tests: a server and three silos, real processes over real TLS, one of them through a relay."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.services.federated.relay import Relay
from tests.services.federated.world import World

SILOS = 3

ROUNDS = 2


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("federation"), SILOS)
    with made:
        made.start_server()
        made.enrol()
        relay = made.relay = Relay(made.ports["nodes"])
        for number in range(SILOS):
            # The last one's traffic is kept.
            last = {"FEDERATION_ADDRESS": f"127.0.0.1:{relay.port}"} if number == SILOS - 1 else {}
            made.start_silo(number, **last)
        made.until(lambda: len(made.control().online()) == SILOS, "silos do not come")
        yield made
        relay.close()


@pytest.fixture(scope="session")
def answers(world: World) -> list[list[dict[str, Any]]]:
    """What silos answered to the signed app, by round."""
    return world.run(rounds=ROUNDS)
