"""The file of thresholds: none can be left out, none can ask nothing, and a slip is one plain sentence."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.redteam import thresholds
from services.redteam.errors import REFUSED, RedTeamError

WHOLE: dict[str, Any] = yaml.safe_load(thresholds.EXAMPLE.read_text())

Said = dict[str, Any]


def written(tmp_path: Path, said: Any) -> Path:
    path = tmp_path / "thresholds.yaml"
    path.write_text(said if isinstance(said, str) else yaml.safe_dump(said))
    return path


def refusal(tmp_path: Path, said: Any) -> str:
    with pytest.raises(RedTeamError) as refused:
        thresholds.read(written(tmp_path, said))
    assert refused.value.code == REFUSED
    assert "\n" not in str(refused.value)
    return str(refused.value)


def leaves(said: Said, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key, value in said.items():
        if isinstance(value, dict):
            yield from leaves(value, (*path, key))
        yield (*path, key)


EVERY = sorted(leaves(WHOLE), key=str)
# Which epsilons are asked about is the operator's choice, as long as there are some; a kind may be left out.
CHOSEN = [
    each
    for each in EVERY
    if isinstance(each[-1], float) or (len(each) == 1 and each[0] in ("tensor", "text"))
]


def at(said: Said, path: tuple[Any, ...]) -> Said:
    for key in path[:-1]:
        said = said[key]
    return said


def test_the_one_that_is_handed_out_is_taken() -> None:
    read = thresholds.read(thresholds.EXAMPLE)
    assert read.thresholds.tensor
    assert read.thresholds.text
    assert read.digest.startswith("sha256:")


@pytest.mark.parametrize(
    "path", [each for each in EVERY if each not in CHOSEN], ids=lambda each: ".".join(map(str, each))
)
def test_none_can_be_left_out(tmp_path: Path, path: tuple[Any, ...]) -> None:
    said = copy.deepcopy(WHOLE)
    del at(said, path)[path[-1]]
    message = refusal(tmp_path, said)
    assert "is missing" in message
    assert message.startswith(f"thresholds.yaml: {'.'.join(map(str, path))}")


@pytest.mark.parametrize(
    "path", [each for each in EVERY if isinstance(at(WHOLE, each)[each[-1]], dict)] + [("x",)]
)
def test_a_name_that_is_none_is_refused(tmp_path: Path, path: tuple[Any, ...]) -> None:
    said = copy.deepcopy(WHOLE)
    inner = said if path == ("x",) else at(said, path)[path[-1]]
    inner["least_accurary"] = 0.5
    assert "least_accurary" in refusal(tmp_path, said)


VACUOUS: list[tuple[str, Callable[[Said], object]]] = [
    ("tensor.clean.least_accuracy", lambda said: said["tensor"]["clean"].update(least_accuracy=0.0)),
    ("tensor.pgd.steps", lambda said: said["tensor"]["pgd"].update(steps=0)),
    ("tensor.pgd.restarts", lambda said: said["tensor"]["pgd"].update(restarts=0)),
    ("tensor.pgd.least_accuracy", lambda said: said["tensor"]["pgd"].update(least_accuracy={})),
    ("tensor.pgd.least_accuracy.0.1", lambda said: said["tensor"]["pgd"]["least_accuracy"].update({0.1: 0})),
    ("tensor.pgd.least_accuracy.0.0", lambda said: said["tensor"]["pgd"]["least_accuracy"].update({0.0: 0.9})),
    ("tensor.autoattack.squares", lambda said: said["tensor"]["autoattack"].update(squares=0)),
    ("tensor.gradient_free.queries", lambda said: said["tensor"]["gradient_free"].update(queries=1)),
    ("tensor.gradient_free.most_lead", lambda said: said["tensor"]["gradient_free"].update(most_lead=1.0)),
    ("tensor.gradient_free.epsilon", lambda said: said["tensor"]["gradient_free"].update(epsilon=0.2)),
    ("tensor.trigger.least_area", lambda said: said["tensor"]["trigger"].update(least_area=0.0)),
    ("tensor.trigger.most_ratio", lambda said: said["tensor"]["trigger"].update(most_ratio=100)),
    ("tensor.trigger.most_turned", lambda said: said["tensor"]["trigger"].update(most_turned={})),
    ("tensor.membership.shadows", lambda said: said["tensor"]["membership"].update(shadows=1)),
    ("tensor.membership.most_auc", lambda said: said["tensor"]["membership"].update(most_auc=1.0)),
    ("tensor.membership.most_tpr_at_0_1_percent", lambda said: said["tensor"]["membership"].update(most_tpr_at_0_1_percent=1.0)),
    ("tensor.inversion.most_lead_to_records", lambda said: said["tensor"]["inversion"].update(most_lead_to_records=1.0)),
    ("tensor.extraction.most_agreement", lambda said: said["tensor"]["extraction"].update(most_agreement=1.0)),
    ("tensor.extraction.answers", lambda said: said["tensor"]["extraction"].update(answers="nothing")),
    ("tensor.examples", lambda said: said["tensor"].update(examples=1)),
    ("text.words.most_turned", lambda said: said["text"]["words"].update(most_turned=1.0)),
    ("text.evasion.classes", lambda said: said["text"]["evasion"].update(classes=[])),
    ("text.evasion.least_accuracy.bidi", lambda said: said["text"]["evasion"]["least_accuracy"].update(bidi=0)),
    ("holds_days", lambda said: said.update(holds_days=10_000)),
]  # fmt: skip


@pytest.mark.parametrize(("where", "change"), VACUOUS, ids=[name for name, _ in VACUOUS])
def test_a_threshold_that_asks_nothing_is_refused(
    tmp_path: Path, where: str, change: Callable[[Said], object]
) -> None:
    said = copy.deepcopy(WHOLE)
    change(said)
    assert where in refusal(tmp_path, said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no file of thresholds"),
        ("- 1", "is no file of thresholds"),
        ("format: 2", "format"),
        ("format: 1\nformat: 1", "a key stands twice"),
        ("tensor: {pgd: {least_accuracy: {0.1: 0.5, 0.10: 0.1}}}", "a key stands twice"),
        ("a: &a [1]\nb: *a", "write it out"),
        ("a: [", "is not the YAML that is taken"),
        ("format: !!python/object:os.system 1", "is not the YAML that is taken"),
        ("holds_days: .nan\nformat: 1", "holds_days"),
        ("#" * 70_000, "more than 65536 bytes"),
    ],
)
def test_what_is_no_file_of_thresholds_is_refused(tmp_path: Path, text: str, said: str) -> None:
    assert said in refusal(tmp_path, text)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RedTeamError, match=r"missing\.yaml: cannot be read: No such file"):
        thresholds.read(tmp_path / "missing.yaml")


def test_the_digest_is_of_every_byte(tmp_path: Path) -> None:
    one = thresholds.read(written(tmp_path, thresholds.EXAMPLE.read_text())).digest
    other = thresholds.read(written(tmp_path, thresholds.EXAMPLE.read_text() + "# laxer soon\n")).digest
    assert one == thresholds.read(thresholds.EXAMPLE).digest != other
