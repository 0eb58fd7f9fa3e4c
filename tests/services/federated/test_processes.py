"""The app that runs is one that a trusted entity signed, in a process that is not the node's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from services.federated import certificates, signed_app
from services.federated.errors import FederatedError
from services.federated.signed_app import SignedApp
from tests.services.federated.conftest import ROUNDS, SILOS
from tests.services.federated.world import APP, ENTITY, World

Answers = list[list[dict[str, Any]]]


def ran(world: World) -> list[str]:
    """Return which runs the app ran in, silo by silo: it writes that down itself."""
    marks = [world.folder / f"silo-{number}" / "store" / "ran" for number in range(SILOS)]
    return [mark.read_text() if mark.exists() else "" for mark in marks]


def refusals(world: World, app: SignedApp) -> list[str]:
    """Return what silos answer to an app, once."""
    (round_,) = world.run(app, rounds=1)
    return [str(answer.get("error")) for answer in round_]


def test_silos_answer_to_an_app_that_their_entity_signed(world: World, answers: Answers) -> None:
    assert [sorted(answer["silo"] for answer in round_) for round_ in answers] == [[0, 1, 2]] * ROUNDS
    assert all(answer["right"] for round_ in answers for answer in round_)
    assert all(ran(world))


def test_an_app_that_nobody_signed_runs_nowhere(world: World, answers: Answers) -> None:
    before = ran(world)
    control = world.control()
    (world.results / "said.json").unlink()
    run = control.start_unsigned(signed_app.built(APP), world.config())
    assert control.finished(run, seconds=90)[0] == "finished:completed"
    (round_,) = json.loads((world.results / "said.json").read_text())
    assert len(round_) == SILOS
    assert all("verif" in answer["error"].lower() for answer in round_)
    assert ran(world) == before


def test_an_app_that_a_stranger_signed_or_that_was_changed_runs_nowhere(
    world: World, answers: Answers, tmp_path: Path
) -> None:
    before = ran(world)
    good = world.signed()
    # Named as silos know the entity, by a key that they do not.
    forged = signed_app.signed(good.content, certificates.entity_key(tmp_path / "stranger"), ENTITY)
    # The entity's own signature, over another app.
    changed = tmp_path / "changed"
    changed.mkdir()
    for path in APP.glob("*.*"):
        (changed / path.name).write_text(path.read_text().replace("(silo + 1)", "(silo + 2)"))
    moved = SignedApp(content=signed_app.built(changed), signatures=good.signatures)
    for app in (forged, moved):
        said = refusals(world, app)
        assert len(said) == SILOS
        assert all("verif" in each.lower() for each in said), said
    assert ran(world) == before


def test_the_node_and_the_app_are_processes_apart(world: World) -> None:
    log = world.log("silo-0")
    assert "Start `flwr-clientapp` process" in log or "SuperExec" in log
    home = world.folder / "silo-0" / "state"
    assert (home / "client" / "apps").is_dir()
    assert not (home / "node" / "apps").exists()


def test_keys_and_secrets_are_their_owners_alone(world: World) -> None:
    private = [*world.node_keys, world.entity_key, world.tls, world.operator_tls]
    private += list(world.folder.glob("*/runtime-secret"))
    private += list(world.folder.glob("silo-*/state/runtime*"))
    assert len(private) > 8
    assert [path for path in private if path.stat().st_mode & 0o077] == []


@pytest.mark.parametrize("spoiled", [b"", b"PK\x03\x04 nonsense", b"\0" * 100], ids=["empty", "cut", "zeros"])
def test_what_is_no_app_is_refused_plainly(world: World, spoiled: bytes) -> None:
    app = SignedApp(content=spoiled, signatures={})
    with pytest.raises(FederatedError, match="the server answered 422: is no app with signatures"):
        world.control().bring(app)


def test_the_app_that_is_shipped_holds_no_code() -> None:
    content = signed_app.built()
    assert content == signed_app.built()
    app = SignedApp(content=content, signatures={})
    assert app.app_id == "@secure-ml-platform/federated"
    assert len(content) < 2_000
