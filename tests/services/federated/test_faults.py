"""What goes away in the middle: a silo, the server, the program that keeps them together."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from services.federated.errors import FederatedError
from tests.services.federated.conftest import SILOS
from tests.services.federated.world import World

Answers = list[list[dict[str, Any]]]


def test_a_silo_that_leaves_in_mid_round_is_missed_by_nobody_else(world: World, answers: Answers) -> None:
    rounds = world.run(rounds=2, dies=0, round=1, timeout=20)
    assert [sorted(each["silo"] for each in round_ if "silo" in each) for round_ in rounds] == [[1, 2]] * 2
    assert all(each["right"] for round_ in rounds for each in round_ if "silo" in each)


def test_a_silo_whose_app_died_comes_back(world: World, answers: Answers) -> None:
    world.running.stop("silo-0")
    times = world.log("silo-0").count("SuperNode ID")
    world.start_silo(0)
    world.until(lambda: world.log("silo-0").count("SuperNode ID") > times, "it does not come back")


def test_a_server_that_was_killed_comes_back_with_its_nodes_and_runs_again(
    world: World, answers: Answers
) -> None:
    before, known = world.control().nodes(), noticed(world)
    world.running.kill("server")
    with pytest.raises(FederatedError, match="does not answer"):
        world.control().nodes()
    # Its connections are accepted and closed again, as by a load balancer with no server behind it: the node gives up.
    world.until(lambda: noticed(world) > known, "nobody notices")
    world.start_server()
    # Nobody is enrolled again, and nobody else is.
    assert world.control().nodes() == before
    # To come back under its number it waits until the server has given up its former self: 2 heartbeats of 30 s.
    world.until(lambda: back(world), "the node does not come back", 150)
    rounds = world.run(rounds=1)
    assert sorted(str(answer.get("silo", answer)) for answer in rounds[0]) == [
        str(silo) for silo in range(SILOS)
    ]


LOST, IN = "handshake error detected", "SuperNode ID"


def noticed(world: World) -> int:
    """Return how often the node behind the relay lost the server."""
    return world.log(f"silo-{SILOS - 1}").count(LOST)


def back(world: World) -> bool:
    log = world.log(f"silo-{SILOS - 1}")
    return log.rfind(IN) > log.rfind(LOST)


def test_a_program_that_is_told_to_stop_leaves_nothing_behind(world: World, tmp_path: Path) -> None:
    other = World(tmp_path, 1)
    with other:
        other.start_server()
        process = other.start_silo(0)
        other.until(lambda: "Starting Flower SuperExec" in other.log("silo-0"), "it does not start")
        children = descendants(process.pid)
        assert len(children) >= 2
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        other.until(lambda: not any(alive(child) for child in children), "something is left")


def descendants(pid: int) -> list[int]:
    """Return the processes that one started, and theirs."""
    direct = [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]
    return direct + [each for child in direct for each in descendants(child)]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
