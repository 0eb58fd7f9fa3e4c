"""The gate itself: five models come, one may serve; and nothing that anybody writes by hand opens it for another."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from services.modelchain import folder, keys, release, signing, strict_json
from services.modelchain.schema import VERDICT_FILE, VERDICT_SIGNATURE, Verdict
from services.redteam import thresholds
from services.redteam.__main__ import main
from services.redteam.errors import FAILED, PASSED, REFUSED
from tests.services.modelchain import emulated
from tests.services.redteam import messages, world
from tests.services.redteam.conftest import Keys

MODELS: dict[str, tuple[Callable[[], world.Made], Callable[[], world.Examples], str]] = {
    "good": (world.good, world.digits, ""),
    "fragile": (world.fragile, world.digits, "pgd autoattack"),
    "backdoored": (world.backdoored, world.digits, "trigger"),
    "overfitted": (world.overfitted, world.few, "membership"),
}
"""What is made, what it is judged with, and which gates have to fail it; the unsigned one needs no judging."""


@dataclass(frozen=True)
class Judged:
    """A candidate, and what a run wrote of it."""

    candidate: Path
    data: Path
    out: Path
    code: int

    @property
    def verdict(self) -> Verdict:
        return strict_json.parsed(Verdict, (self.out / VERDICT_FILE).read_bytes(), "verdict.json")

    @property
    def failed(self) -> set[str]:
        return {check.name for check in self.verdict.checks if not check.passed}


Words = list[str | Path]


def words(pair: Keys, candidate: Path, **changes: Any) -> Words:
    """Return the words of a run."""
    given: dict[str, Any] = {
        "thresholds": thresholds.EXAMPLE,
        "trainer-key": pair.public("trainer"),
        "key": pair.private("redteam"),
        **changes,
    }
    return [
        candidate,
        *(word for name, value in given.items() if value is not None for word in (f"--{name}", value)),
    ]


def called(*given: object) -> int:
    return main([str(each) for each in given])


@pytest.fixture(scope="session")
def judged(pair: Keys, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Judged]:
    """Judge a model once, as the command line does."""
    known: dict[str, Judged] = {}

    def judge(name: str) -> Judged:
        if name not in known:
            place = tmp_path_factory.mktemp(name)
            make, examples, _ = MODELS[name]
            candidate = pair.sign(make().write(place / "candidate"))
            data = world.saved(examples(), place / "judging.npz")
            code = called("run", *words(pair, candidate, data=data, out=place / "out"))
            known[name] = Judged(candidate, data, place / "out", code)
        return known[name]

    return judge


Judge = Callable[[str], Judged]


def test_the_good_model_withstands(judged: Judge) -> None:
    good = judged("good")
    assert (good.code, good.failed) == (PASSED, set())
    assert good.verdict.passed
    assert len(good.verdict.checks) == 17


@pytest.mark.parametrize("name", [name for name in MODELS if name != "good"])
def test_each_bad_model_fails_at_its_own_gate_and_no_other(judged: Judge, name: str) -> None:
    bad = judged(name)
    assert bad.code == FAILED
    assert not bad.verdict.passed
    assert {check.partition("-")[0] for check in bad.failed} == set(MODELS[name][2].split())


def test_a_model_that_nobody_signed_is_refused_before_it_is_loaded(
    pair: Keys, judged: Judge, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unsigned = world.good().write(tmp_path / "candidate")
    code = called("run", *words(pair, unsigned, data=judged("good").data, out=tmp_path / "out"))
    assert code == FAILED
    assert "model.sig: is missing; nobody vouches for model/" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_model_that_a_stranger_signed_or_that_was_changed_is_refused(
    pair: Keys, judged: Judge, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = judged("good").data
    strange = pair.sign(world.good().write(tmp_path / "strange"), "stranger")
    assert called("run", *words(pair, strange, data=data, out=tmp_path / "out")) == FAILED
    assert "was made with another key" in capsys.readouterr().err
    changed = shutil.copytree(judged("good").candidate, tmp_path / "changed")
    (changed / "model" / "model.onnx").write_bytes(world.backdoored().graph)
    assert called("run", *words(pair, changed, data=data, out=tmp_path / "out")) == FAILED
    assert "was changed after it was signed" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_verdict_says_which_model_by_which_thresholds_and_until_when(pair: Keys, judged: Judge) -> None:
    verdict = judged("good").verdict
    candidate = folder.inspect(judged("good").candidate)
    assert (verdict.model, verdict.version, verdict.model_digest) == ("digits", 1, candidate.digest)
    assert verdict.thresholds_digest == thresholds.read(thresholds.EXAMPLE).digest
    assert verdict.holds_until - verdict.judged_at == timedelta(days=90)
    assert datetime.now(UTC) - verdict.judged_at < timedelta(minutes=30)


def promoted(pair: Keys, candidate: Path, verdict: Path, into: Path, **changes: Any) -> int:
    return called("promote", *words(pair, candidate, verdict=verdict, into=into, **changes))


def test_what_withstood_is_released_and_opens_as_a_gateway_would_open_it(
    pair: Keys, judged: Judge, tmp_path: Path
) -> None:
    good = judged("good")
    assert promoted(pair, good.candidate, good.out, tmp_path / "release") == PASSED
    opened = release.open_release(
        tmp_path / "release",
        trainer=keys.file_verifier(pair.public("trainer")),
        redteam=keys.file_verifier(pair.public("redteam")),
        now=datetime.now(UTC),
    )
    assert opened.verdict == good.verdict


@pytest.mark.parametrize("name", [name for name in MODELS if name != "good"])
def test_what_failed_cannot_be_released(
    pair: Keys, judged: Judge, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    bad = judged(name)
    assert promoted(pair, bad.candidate, bad.out, tmp_path / "release") == FAILED
    assert "the red team found against the model" in capsys.readouterr().err
    assert not (tmp_path / "release").exists()


def favourable(verdict: Verdict) -> bytes:
    checks = tuple(check.model_copy(update={"passed": True}) for check in verdict.checks)
    return strict_json.written(verdict.model_copy(update={"passed": True, "checks": checks}))


def test_a_verdict_that_was_edited_to_passed_is_not_believed(
    pair: Keys, judged: Judge, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = judged("backdoored")
    edited = shutil.copytree(bad.out, tmp_path / "edited")
    (edited / VERDICT_FILE).write_bytes(favourable(bad.verdict))
    assert promoted(pair, bad.candidate, edited, tmp_path / "release") == FAILED
    assert "verdict/verdict.json: was changed after it was signed" in capsys.readouterr().err
    assert not (tmp_path / "release").exists()


def test_a_verdict_that_another_signed_is_not_believed(
    pair: Keys, judged: Judge, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = judged("backdoored")
    forged = shutil.copytree(bad.out, tmp_path / "forged")
    said = favourable(bad.verdict)
    (forged / VERDICT_FILE).write_bytes(said)
    for who in ("trainer", "stranger"):
        signature = signing.signature({VERDICT_FILE: said}, pair.signer(who), "verdict")
        (forged / VERDICT_SIGNATURE).write_bytes(signature)
        assert promoted(pair, bad.candidate, forged, tmp_path / "release") == FAILED
        assert "was made with another key" in capsys.readouterr().err
    (forged / VERDICT_SIGNATURE).unlink()
    assert promoted(pair, bad.candidate, forged, tmp_path / "release") == REFUSED
    assert not (tmp_path / "release").exists()


def test_a_verdict_about_another_model_releases_nothing(
    pair: Keys, judged: Judge, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = judged("good"), judged("backdoored")
    assert promoted(pair, bad.candidate, good.out, tmp_path / "release") == FAILED
    assert "and this model is sha256:" in capsys.readouterr().err
    assert not (tmp_path / "release").exists()


def test_a_model_judged_by_laxer_thresholds_is_not_released_by_these(
    pair: Keys, judged: Judge, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = yaml.safe_load(thresholds.EXAMPLE.read_text())
    said["tensor"]["pgd"]["least_accuracy"] = {0.05: 0.05, 0.1: 0.05}
    said["tensor"]["autoattack"]["least_accuracy"] = {0.1: 0.05}
    lax = tmp_path / "lax.yaml"
    lax.write_text(yaml.safe_dump(said))
    fragile = judged("fragile")
    assert (
        called(
            "run", *words(pair, fragile.candidate, data=fragile.data, out=tmp_path / "out", thresholds=lax)
        )
        == PASSED
    )
    assert promoted(pair, fragile.candidate, tmp_path / "out", tmp_path / "release") == FAILED
    assert "was judged by other thresholds" in capsys.readouterr().err
    assert not (tmp_path / "release").exists()


def test_one_key_cannot_train_and_judge(
    pair: Keys, judged: Judge, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = judged("good")
    own = words(pair, good.candidate, data=good.data, out=tmp_path / "out", key=pair.private("trainer"))
    assert called("run", *own) == REFUSED
    assert "nobody judges their own model" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_same_seed_finds_the_same_and_another_does_not(pair: Keys, judged: Judge, tmp_path: Path) -> None:
    good = judged("good")
    found = []
    for place, seed in (("again", 0), ("other", 1)):
        called("run", *words(pair, good.candidate, data=good.data, out=tmp_path / place, seed=seed))
        found.append(Judged(good.candidate, good.data, tmp_path / place, 0).verdict.checks)
    assert found[0] == good.verdict.checks
    assert found[1] != good.verdict.checks


def test_a_model_of_texts_is_judged_by_its_own_attacks(
    pair: Keys, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = world.saved(messages.messages(), tmp_path / "judging.npz")
    candidate = pair.sign(messages.good().write(tmp_path / "candidate"))
    code = called("run", *words(pair, candidate, data=data, out=tmp_path / "out", format="json"))
    said = capsys.readouterr()
    assert code == PASSED, said
    verdict = json.loads(said.out)
    assert {check["name"].partition("-")[0] for check in verdict["checks"]} == {
        "clean", "evasion", "trigger", "membership", "extraction"
    }  # fmt: skip


def test_thresholds_without_the_models_kind_judge_nothing(
    pair: Keys, judged: Judge, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = yaml.safe_load(thresholds.EXAMPLE.read_text())
    del said["tensor"]
    path = tmp_path / "texts.yaml"
    path.write_text(yaml.safe_dump(said))
    good = judged("good")
    code = called("run", *words(pair, good.candidate, data=good.data, out=tmp_path / "out", thresholds=path))
    assert code == REFUSED
    assert "texts.yaml: tensor: is missing, and digits is a model of that kind" in capsys.readouterr().err


def test_json_is_the_verdict_and_junit_has_a_case_for_each_check(
    pair: Keys, judged: Judge, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad, junit = judged("backdoored"), tmp_path / "junit.xml"
    capsys.readouterr()
    given = words(pair, bad.candidate, data=bad.data, out=tmp_path / "out", format="json", junit=junit)
    assert called("run", *given) == FAILED
    said = json.loads(capsys.readouterr().out)
    assert said == json.loads((tmp_path / "out" / VERDICT_FILE).read_bytes())
    cases = list(ElementTree.parse(junit).iter("testcase"))  # noqa: S314 - our own
    assert [case.attrib["name"] for case in cases] == [check["name"] for check in said["checks"]]
    failed = {case.attrib["name"] for case in cases if case.find("failure") is not None}
    assert failed == bad.failed


def test_an_attack_that_breaks_has_not_been_withstood(
    pair: Keys,
    judged: Judge,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("somewhere in a library")

    monkeypatch.setattr("services.redteam.attacks.autoattack.attack", broken)
    good = judged("good")
    assert called("run", *words(pair, good.candidate, data=good.data, out=tmp_path / "out")) == REFUSED
    assert "autoattack: could not be run: ZeroDivisionError" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_key_in_kms_signs_the_verdict(pair: Keys, judged: Judge, tmp_path: Path) -> None:
    good = judged("good")
    with emulated.kms() as client:
        arn = emulated.key(client)
        own = {"key": None, "kms": arn}
        assert (
            called("run", *words(pair, good.candidate, data=good.data, out=tmp_path / "out", **own)) == PASSED
        )
        assert promoted(pair, good.candidate, tmp_path / "out", tmp_path / "release", **own) == PASSED
        release.open_release(
            tmp_path / "release",
            trainer=keys.file_verifier(pair.public("trainer")),
            redteam=keys.kms_verifier(arn, emulated.REGION),
            now=datetime.now(UTC),
        )


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no candidate": ({"candidate": "missing"}, "missing: there is no such folder"),
    "no data": ({"data": "missing.npz"}, "missing.npz: cannot be read: No such file"),
    "no thresholds": ({"thresholds": "missing.yaml"}, "missing.yaml: cannot be read: No such file"),
    "no key": ({"key": "missing.key"}, "missing.key: cannot be read: No such file"),
    "no trainer's key": ({"trainer-key": "missing.pub"}, "missing.pub: cannot be read: No such file"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_plain_line(
    pair: Keys, judged: Judge, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    changes, message = BAD[name]
    good = judged("good")
    capsys.readouterr()
    given = {"data": good.data, "out": tmp_path / "out", **changes}
    candidate = given.pop("candidate", good.candidate)
    assert called("run", *words(pair, candidate, **given)) == REFUSED
    said = capsys.readouterr()
    assert said.err.startswith("redteam: ")
    assert message in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""


def test_what_is_already_there_is_not_overwritten(
    pair: Keys, judged: Judge, capsys: pytest.CaptureFixture[str]
) -> None:
    good = judged("good")
    before = (good.out / VERDICT_FILE).read_bytes()
    assert called("run", *words(pair, good.candidate, data=good.data, out=good.out)) == REFUSED
    assert "is already there" in capsys.readouterr().err
    assert (good.out / VERDICT_FILE).read_bytes() == before


@pytest.mark.parametrize("given", [[], ["run"], ["run", "x"], ["judge", "x"], ["run", "x", "--seed", "-1"]])
def test_words_that_are_none_are_refused_with_the_usage(
    given: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(given)
    assert ended.value.code == REFUSED
    assert "usage: redteam" in capsys.readouterr().err


def test_as_a_program_it_says_its_verdict_and_nothing_else(pair: Keys, judged: Judge, tmp_path: Path) -> None:
    bad = judged("overfitted")
    given = words(pair, bad.candidate, data=bad.data, out=tmp_path / "out")
    ran = subprocess.run(
        [sys.executable, "-m", "services.redteam", "run", *map(str, given)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={"PATH": os.environ["PATH"], "COLUMNS": "100"},
    )
    assert ran.returncode == FAILED
    assert "must not serve: 1" in ran.stdout
    assert "Membership inference" in ran.stderr
    for library in ("Warning", "Traceback", "art.", "picklescan", "torch"):
        assert library not in ran.stderr
