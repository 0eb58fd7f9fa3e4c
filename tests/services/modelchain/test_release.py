"""Releases: a model and a verdict by two who are not one, about each other, and not stale; each lie is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from services.modelchain import folder, release, signing, strict_json
from services.modelchain.errors import ModelError, Unreadable
from services.modelchain.folder import ModelError as FromFolder
from services.modelchain.keys import Signer
from services.modelchain.release import open_release, promote
from services.modelchain.schema import (
    CARD,
    GRAPH,
    MODEL,
    MODEL_SIGNATURE,
    VERDICT,
    VERDICT_FILE,
    VERDICT_SIGNATURE,
    Check,
)
from tests.services.modelchain import making
from tests.services.modelchain.conftest import People
from tests.services.modelchain.making import NOW, everything, laid, verdict, within


def now_verdict(digest: str, **changes: Any) -> Any:
    """A verdict for the clock of this machine, which ``promote`` reads."""
    now = datetime.now(UTC)
    return verdict(
        digest, **{"judged_at": now - timedelta(hours=1), "holds_until": now + timedelta(days=1), **changes}
    )


def never_signs(signer: Signer) -> Signer:
    """Return the signer of a key that must not be used: what is refused is not signed first."""

    class Key:
        def public_key(self) -> ec.EllipticCurvePublicKey:
            return signer.private_key.public_key()

        def sign(self, data: bytes, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
            pytest.fail("the red team's key signed")

    return Signer(Key(), signer.name)


@pytest.fixture
def candidate(people: People, place: Path, files: dict[str, bytes]) -> Path:
    return laid(place, people.signed(files))


def test_one_error_serves_all() -> None:
    assert FromFolder is ModelError is release.ModelError


def test_a_promoted_candidate_opens_and_answers(people: People, candidate: Path, tmp_path: Path) -> None:
    digest = folder.digest(making.files_of_numbers())
    said = now_verdict(digest)
    into = tmp_path / "releases" / "tiny-3"
    promote(candidate, said, into=into, trainer=people.trainer.verifier, redteam=people.redteam)
    opened = open_release(
        into, trainer=people.trainer.verifier, redteam=people.redteam.verifier, now=datetime.now(UTC)
    )
    assert (opened.digest, opened.verdict) == (digest, said)
    assert opened.schema == making.SCHEMA_OF_NUMBERS
    run = onnxruntime.InferenceSession(opened.graph).run
    (scores,) = run(None, {"image": np.zeros((2, 2, 2), np.float32)})
    assert scores.shape == (2, 3)
    for name in (MODEL, MODEL_SIGNATURE):
        source = candidate / name
        if source.is_file():
            assert (into / name).read_bytes() == source.read_bytes()
    assert [path.name for path in into.parent.iterdir()] == ["tiny-3"]


def test_what_was_released_can_be_judged_and_released_anew(
    people: People, place: Path, tmp_path: Path
) -> None:
    files = making.files_of_numbers()
    old = verdict(
        folder.digest(files), judged_at=NOW - timedelta(days=200), holds_until=NOW - timedelta(days=100)
    )
    laid(place, {**people.signed(files), **people.judged(old)})
    with pytest.raises(ModelError, match="the model has to be judged anew"):
        people.open(place)
    into = tmp_path / "again"
    promote(
        place,
        now_verdict(folder.digest(files)),
        into=into,
        trainer=people.trainer.verifier,
        redteam=people.redteam,
    )
    assert folder.inspect(into).digest == folder.digest(files)


# What may not be released


PROMOTED: dict[str, tuple[dict[str, Any], str]] = {
    "failed": (
        {"passed": False, "checks": (Check(name="pgd accuracy", value=0.1, threshold=0.5, passed=False),)},
        "the red team found against the model: pgd accuracy",
    ),
    "another model": (
        {"model_digest": "sha256:" + "1" * 64},
        "is about sha256:1+, and this model is sha256:",
    ),
    "another name": ({"model": "other"}, "is about other 3, and this model is tiny 3"),
    "another version": ({"version": 2}, "is about tiny 2, and this model is tiny 3"),
    "stale": (
        {"judged_at": datetime(2020, 1, 1, tzinfo=UTC), "holds_until": datetime(2020, 1, 2, tzinfo=UTC)},
        "held until 2020-01-02",
    ),
    "judged tomorrow": (
        {"judged_at": datetime(2100, 1, 1, tzinfo=UTC), "holds_until": datetime(2100, 1, 2, tzinfo=UTC)},
        "was judged at 2100-01-01.*, which is yet to come",
    ),
}


@pytest.mark.parametrize("how", PROMOTED)
def test_nothing_is_released_against_its_verdict(
    people: People, candidate: Path, tmp_path: Path, how: str
) -> None:
    changes, says = PROMOTED[how]
    digest = folder.digest(making.files_of_numbers())
    with pytest.raises(ModelError, match=says):
        promote(
            candidate,
            now_verdict(digest, **changes),
            into=tmp_path / "release",
            trainer=people.trainer.verifier,
            redteam=never_signs(people.redteam),
        )
    assert not (tmp_path / "release").exists()


def test_what_its_trainer_did_not_sign_is_not_released(people: People, place: Path, tmp_path: Path) -> None:
    files = making.files_of_numbers()
    for laid_files, says in [
        (within(MODEL, files), "model.sig: is missing"),
        (people.signed(files, people.stranger), "was made with another key"),
        ({**people.signed(files), f"{MODEL}/{CARD}": files[CARD] + b" "}, "was changed after it was signed"),
    ]:
        with pytest.raises(ModelError, match=says):
            promote(
                laid(place, laid_files),
                now_verdict(folder.digest(files)),
                into=tmp_path / "release",
                trainer=people.trainer.verifier,
                redteam=people.redteam,
            )
    assert not (tmp_path / "release").exists()


def test_an_unsound_graph_is_not_released_although_it_was_signed(
    people: People, place: Path, files: dict[str, bytes], tmp_path: Path
) -> None:
    model = making.graph_of_numbers()
    model.graph.node[0].input[0] = "nowhere"
    files[GRAPH] = model.SerializeToString()
    with pytest.raises(ModelError, match="is not a sound graph"):
        promote(
            laid(place, people.signed(files)),
            now_verdict(folder.digest(files)),
            into=tmp_path / "release",
            trainer=people.trainer.verifier,
            redteam=people.redteam,
        )


def test_nobody_releases_their_own_model(people: People, candidate: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nobody judges their own model"):
        promote(
            candidate,
            now_verdict(folder.digest(making.files_of_numbers())),
            into=tmp_path / "release",
            trainer=people.trainer.verifier,
            redteam=never_signs(people.trainer),
        )


@pytest.mark.parametrize("there", ["folder", "full folder", "file", "dangling link"])
def test_nothing_is_overwritten(people: People, candidate: Path, tmp_path: Path, there: str) -> None:
    into = tmp_path / "release"
    if there == "file":
        into.write_bytes(b"precious")
    elif there == "dangling link":
        into.symlink_to(tmp_path / "nowhere")
    else:
        into.mkdir()
        if there == "full folder":
            (into / "precious").write_bytes(b"")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(Unreadable, match="release: is already there, and nothing is overwritten"):
        promote(
            candidate,
            now_verdict(folder.digest(making.files_of_numbers())),
            into=into,
            trainer=people.trainer.verifier,
            redteam=people.redteam,
        )
    assert sorted(tmp_path.rglob("*")) == before


def test_whoever_releases_second_at_the_same_time_overwrites_nothing(
    people: People, candidate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    into = tmp_path / "release"
    real = release.open_release

    def first_one_wins(*arguments: Any, **more: Any) -> Any:
        laid(into, {"model/of": b"the other"})
        return real(*arguments, **more)

    monkeypatch.setattr(release, "open_release", first_one_wins)
    with pytest.raises(Unreadable, match="cannot be written"):
        promote(
            candidate,
            now_verdict(folder.digest(making.files_of_numbers())),
            into=into,
            trainer=people.trainer.verifier,
            redteam=people.redteam,
        )
    assert everything(into) == {"model/of": b"the other"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["place", "release"]


def test_a_full_disk_leaves_nothing_half_released(
    people: People, candidate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest, seen = folder.digest(making.files_of_numbers()), []
    real = os.fsync

    def full(handle: int) -> None:
        seen.append(handle)
        if len(seen) > 4:
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unreadable, match="release: cannot be written: No space left on device"):
        promote(
            candidate,
            now_verdict(digest),
            into=tmp_path / "release",
            trainer=people.trainer.verifier,
            redteam=people.redteam,
        )
    assert [path.name for path in tmp_path.iterdir()] == ["place"]


def test_whoever_is_killed_while_releasing_leaves_no_release(
    people: People, candidate: Path, tmp_path: Path
) -> None:
    """Killed when everything is written, and has not got its name yet."""
    program = f"""
import os, signal, sys
from pathlib import Path
from services.modelchain import keys, release, writing
from tests.services.modelchain import test_release
real = release.open_release
def killed(*a, **b):
    real(*a, **b)
    os.kill(os.getpid(), signal.SIGKILL)
release.open_release = killed
home = Path({str(people.folder)!r})
release.promote(
    Path({str(candidate)!r}),
    test_release.now_verdict({folder.digest(making.files_of_numbers())!r}),
    into=Path({str(tmp_path / "release")!r}),
    trainer=keys.file_verifier(home / "trainer.pub"),
    redteam=keys.file_signer(home / "redteam.key"),
)
"""
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True)
    assert done.returncode == -9, done.stderr
    assert not (tmp_path / "release").exists()
    promote(
        candidate,
        now_verdict(folder.digest(making.files_of_numbers())),
        into=tmp_path / "release",
        trainer=people.trainer.verifier,
        redteam=people.redteam,
    )


# What may not be opened


def test_a_good_release_opens(people: People, place: Path) -> None:
    """Otherwise the attacks below would show nothing."""
    assert people.open(laid(place, people.released())).schema.name == "tiny"


def _swapped(people: People) -> dict[str, bytes]:
    """Another model that the same trainer signed, under the verdict of the first."""
    files = {
        **making.files_of_numbers(),
        CARD: strict_json.written(making.CARD_OF_ALL.model_copy(update={"seed": 1})),
    }
    return {**people.released(), **people.signed(files)}


def _other_verdict(**changes: Any) -> Callable[[People], dict[str, bytes]]:
    """A verdict that the red team signed, and that does not fit."""

    def attack(people: People) -> dict[str, bytes]:
        digest = folder.digest(making.files_of_numbers())
        return {**people.released(), **people.judged(verdict(digest, **changes))}

    return attack


def _edited(people: People) -> dict[str, bytes]:
    files = people.released()
    said = json.loads(files[f"{VERDICT}/{VERDICT_FILE}"])
    said["holds_until"] = "2099-01-01T00:00:00Z"
    return {**files, f"{VERDICT}/{VERDICT_FILE}": json.dumps(said).encode()}


def _by(who: str) -> Callable[[People], dict[str, bytes]]:
    def attack(people: People) -> dict[str, bytes]:
        said = verdict(folder.digest(making.files_of_numbers()))
        return {**people.released(), **people.judged(said, getattr(people, who))}

    return attack


def _resigned(people: People) -> dict[str, bytes]:
    return {**people.released(), **people.signed(making.files_of_numbers(), people.stranger)}


def _resigned_by_the_red_team(people: People) -> dict[str, bytes]:
    return {**people.released(), **people.signed(making.files_of_numbers(), people.redteam)}


def _without(*names: str) -> Callable[[People], dict[str, bytes]]:
    def attack(people: People) -> dict[str, bytes]:
        return {name: data for name, data in people.released().items() if not name.startswith(names)}

    return attack


def _signatures_exchanged(people: People) -> dict[str, bytes]:
    files = people.released()
    return {
        **files,
        MODEL_SIGNATURE: files[VERDICT_SIGNATURE],
        VERDICT_SIGNATURE: files[MODEL_SIGNATURE],
    }


def _model_as_verdict(people: People) -> dict[str, bytes]:
    """The red team signed some folder of files; it is passed off as its verdict."""
    files = making.files_of_numbers()
    return {**people.released(), VERDICT_SIGNATURE: signing.signature(files, people.redteam, VERDICT)}


def _verdict_that_is_none(data: bytes) -> Callable[[People], dict[str, bytes]]:
    return lambda people: {**people.released(), **people.judged(data)}


def _contradiction(people: People) -> dict[str, bytes]:
    said = json.loads(people.released()[f"{VERDICT}/{VERDICT_FILE}"])
    said["checks"][0]["passed"] = False
    return {**people.released(), **people.judged(json.dumps(said).encode())}


def _extra(name: str) -> Callable[[People], dict[str, bytes]]:
    return lambda people: {**people.released(), name: b""}


def _not_taken(people: People) -> dict[str, bytes]:
    """Both signed it, and it is not of the kind that is taken."""
    model = making.graph_of_numbers()
    model.graph.node[0].op_type = "Loop"
    files = {**making.files_of_numbers(), GRAPH: model.SerializeToString()}
    return {**people.signed(files), **people.judged(verdict(folder.digest(files)))}


FAILING = Check(name="pgd accuracy", value=0.1, threshold=0.5, passed=False)

ATTACKS: dict[str, tuple[Callable[[People], dict[str, bytes]], str]] = {
    "a swapped model": (_swapped, "^verdict/verdict.json: is about sha256:.*, and this model is sha256:"),
    "a verdict about another model": (
        _other_verdict(model_digest="sha256:" + "2" * 64),
        "^verdict/verdict.json: is about sha256:2",
    ),
    "a verdict about another name": (
        _other_verdict(model="other"),
        "is about other 3, and this model is tiny 3",
    ),
    "a verdict about another version": (
        _other_verdict(version=4),
        "is about tiny 4, and this model is tiny 3",
    ),
    "a verdict against it": (
        _other_verdict(passed=False, checks=(FAILING,)),
        "found against the model: pgd accuracy",
    ),
    "a stale verdict": (
        _other_verdict(holds_until=NOW),
        "held until 2026-11-27T12:00:00.00:00; the model has to",
    ),
    "a verdict of tomorrow": (
        _other_verdict(judged_at=NOW + timedelta(seconds=1)),
        "was judged at 2026-11-27T12:00:01.00:00, which is yet to come",
    ),
    "an edited verdict": (_edited, "^verdict/verdict.json: was changed after it was signed"),
    "a verdict by the trainer": (_by("trainer"), "^verdict.sig: was made with another key"),
    "a verdict by a stranger": (_by("stranger"), "^verdict.sig: was made with another key"),
    "a model signed by a stranger": (_resigned, "^model.sig: was made with another key"),
    "a model signed by the red team": (_resigned_by_the_red_team, "^model.sig: was made with another key"),
    "no verdict": (_without(VERDICT), "^verdict.sig: is missing; nobody vouches for verdict/"),
    "no signature of the verdict": (_without(VERDICT_SIGNATURE), "^verdict.sig: is missing"),
    "no file of the verdict": (_without(f"{VERDICT}/"), "verdict.json: was signed, and is missing"),
    "no signature of the model": (_without(MODEL_SIGNATURE), "^model.sig: is missing"),
    "signatures exchanged": (_signatures_exchanged, "^model.sig: was made with another key"),
    "another signature of the red team": (
        _model_as_verdict,
        "^verdict/card.json: was signed, and is missing",
    ),
    "a verdict that is none": (
        _verdict_that_is_none(b"{}"),
        "^verdict/verdict.json: format|model: Field required",
    ),
    "a verdict that is a pickle": (
        _verdict_that_is_none(b"\x80\x04N."),
        "verdict.json: is not a JSON object",
    ),
    "a verdict that contradicts itself": (_contradiction, "passed: does not follow from the checks"),
    "a file beside": (_extra("notes.txt"), "'notes.txt' does not belong there"),
    "a file beside the verdict": (_extra("verdict/notes.txt"), "'notes.txt' does not belong there"),
    "a graph that is not taken": (_not_taken, "operator 'Loop' of ai.onnx is not on the list"),
}


@pytest.mark.parametrize("how", ATTACKS)
def test_a_release_that_is_not_genuine_is_refused_in_one_sentence(
    people: People, place: Path, how: str
) -> None:
    attack, says = ATTACKS[how]
    laid(place, attack(people))
    with pytest.raises(ModelError, match=says) as refused:
        people.open(place)
    assert "\n" not in str(refused.value)


def test_a_signed_empty_verdict_is_no_verdict(people: People, place: Path) -> None:
    files = _without(f"{VERDICT}/")(people)
    laid(place, {**files, VERDICT_SIGNATURE: signing.signature({}, people.redteam, VERDICT)})
    with pytest.raises(ModelError, match=r"verdict.json: is missing; nobody judged the model"):
        people.open(place)


def test_two_keys_that_are_one_are_refused_before_anything_is_read(people: People, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nobody judges their own model"):
        open_release(
            tmp_path / "nowhere", trainer=people.trainer.verifier, redteam=people.trainer.verifier, now=NOW
        )


def test_a_time_without_a_zone_is_a_mistake_of_the_program(people: People, place: Path) -> None:
    laid(place, people.released())
    with pytest.raises(ValueError, match="now: has no time zone"):
        open_release(
            place,
            trainer=people.trainer.verifier,
            redteam=people.redteam.verifier,
            now=NOW.replace(tzinfo=None),
        )


def test_a_verdict_holds_until_its_last_moment(people: People, place: Path) -> None:
    laid(place, people.released())
    until = NOW + timedelta(days=90)
    roles = {"trainer": people.trainer.verifier, "redteam": people.redteam.verifier}
    open_release(place, **roles, now=until - timedelta(microseconds=1))
    with pytest.raises(ModelError, match="the model has to be judged anew"):
        open_release(place, **roles, now=until)
    open_release(place, **roles, now=NOW - timedelta(hours=1))
    with pytest.raises(ModelError, match="which is yet to come"):
        open_release(place, **roles, now=NOW - timedelta(hours=1, microseconds=1))


@pytest.mark.parametrize("swapped", ["model", "verdict"])
def test_nothing_is_parsed_before_both_signatures_are_right(
    people: People, place: Path, monkeypatch: pytest.MonkeyPatch, swapped: str
) -> None:
    laid(place, _resigned(people) if swapped == "model" else _by("stranger")(people))
    monkeypatch.setattr(folder, "inspected", lambda _: pytest.fail("the model was parsed"))
    monkeypatch.setattr(strict_json, "parsed", lambda *_: pytest.fail("the verdict was parsed"))
    with pytest.raises(ModelError, match="was made with another key"):
        people.open(place)


def test_what_was_verified_is_what_is_loaded_whoever_swaps_the_files_meanwhile(
    people: People, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    laid(place, people.released())
    real = signing.verify

    def verify_and_swap(*arguments: Any) -> None:
        real(*arguments)
        for path in [each for each in place.rglob("*") if each.is_file()]:
            path.write_bytes(b"evil")

    monkeypatch.setattr(signing, "verify", verify_and_swap)
    opened = people.open(place)
    assert (place / MODEL / GRAPH).read_bytes() == b"evil"
    assert dict(opened.files) == making.files_of_numbers()
    assert (opened.arrays["whitening"] == making.ARRAYS_OF_NUMBERS["whitening"]).all()
