"""The run: which attacks a model's kind asks for, in order, and the verdict that follows."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module

import numpy as np

from services.modelchain.folder import Candidate
from services.modelchain.schema import Check, Verdict
from services.redteam import chance, findings
from services.redteam.attacks import (
    accuracy,
    autoattack,
    evasion,
    extraction,
    gradient_free,
    inversion,
    membership,
    pgd,
    trigger,
    words,
)
from services.redteam.data import Examples, Part
from services.redteam.errors import RedTeamError
from services.redteam.findings import Result
from services.redteam.subject import TensorModel, TextModel
from services.redteam.thresholds import Read, Tensor, Text


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One of the run."""

    name: str
    title: str
    do: Callable[[np.random.Generator], Result]

    @property
    def idea(self) -> str:
        """What it does, and whose idea that was: the first line of its module."""
        return (import_module(f"services.redteam.attacks.{self.name}").__doc__ or "").splitlines()[0]


@dataclass(frozen=True, kw_only=True)
class Done:
    """An attack that ran."""

    attack: Attack
    result: Result
    seconds: float


Watch = Callable[[Attack, Done | None], None]
"""Is told of each attack before, and after with what came of it."""


def plan(model: TensorModel | TextModel, examples: Examples, read: Read, seed: int) -> list[Attack]:
    """Return the attacks that this kind of model has to withstand: all of them, and nobody chooses.

    Raises:
        RedTeamError: the file has no thresholds for this kind.
    """
    kind = model.schema.input.kind
    asked = read.thresholds.tensor if isinstance(model, TensorModel) else read.thresholds.text
    if asked is None:
        raise RedTeamError(
            f"{read.where}: {kind}: is missing, and {model.schema.name} is a model of that kind"
        )
    attacked, others = _split(examples.held_out, asked.examples, seed)
    if isinstance(model, TensorModel):
        assert isinstance(asked, Tensor)  # noqa: S101 - for the type checker
        return _of_tensors(model, examples, attacked, others, asked)
    assert isinstance(asked, Text)  # noqa: S101 - the same
    return _of_texts(model, examples, attacked, others, asked)


def _split(held_out: Part, most: int, seed: int) -> tuple[Part, Part]:
    # What is attacked, and what the attacker has of their own, are never the same.
    order = chance.begin(seed, "split").permutation(len(held_out))
    count = min(most, len(held_out) // 2)
    return held_out[order[:count]], held_out[order[count:]]


def _of_tensors(
    model: TensorModel, examples: Examples, attacked: Part, others: Part, asked: Tensor
) -> list[Attack]:
    return [
        Attack(
            name="accuracy",
            title="Clean accuracy",
            do=lambda _: accuracy.attack(model, examples, asked.clean),
        ),
        Attack(
            name="pgd",
            title="Projected gradient descent",
            do=lambda _: pgd.attack(model, attacked, asked.pgd),
        ),
        Attack(
            name="autoattack",
            title="AutoAttack",
            do=lambda _: autoattack.attack(model, attacked, asked.autoattack),
        ),
        Attack(
            name="gradient_free",
            title="Gradient masking",
            do=lambda drawn: gradient_free.attack(model, attacked, others, asked, drawn),
        ),
        Attack(
            name="trigger",
            title="Backdoor triggers",
            do=lambda _: trigger.attack(model, attacked, asked.trigger),
        ),
        Attack(
            name="membership",
            title="Membership inference",
            do=lambda drawn: membership.attack(model, examples, asked.membership, drawn),
        ),
        Attack(
            name="inversion",
            title="Model inversion",
            do=lambda drawn: inversion.attack(model, examples, asked.inversion, drawn),
        ),
        Attack(
            name="extraction",
            title="Extraction",
            do=lambda drawn: extraction.attack(model, attacked, others, asked.extraction, drawn),
        ),
    ]


def _of_texts(
    model: TextModel, examples: Examples, attacked: Part, others: Part, asked: Text
) -> list[Attack]:
    return [
        Attack(
            name="accuracy",
            title="Clean accuracy",
            do=lambda _: accuracy.attack(model, examples, asked.clean),
        ),
        Attack(
            name="evasion",
            title="Evasion",
            do=lambda drawn: evasion.attack(model, attacked, asked.evasion, drawn),
        ),
        Attack(
            name="words",
            title="Trigger words",
            do=lambda drawn: words.attack(model, attacked, examples.members, asked.words, drawn),
        ),
        Attack(
            name="membership",
            title="Membership inference",
            do=lambda drawn: membership.attack_text(model, examples, asked.membership, drawn),
        ),
        Attack(
            name="extraction",
            title="Extraction",
            do=lambda drawn: extraction.attack_text(model, attacked, others, asked.extraction, drawn),
        ),
    ]


def judge(
    model: TensorModel | TextModel, examples: Examples, read: Read, *, seed: int, watch: Watch
) -> list[Done]:
    """Run every attack, each from its own chance.

    Raises:
        RedTeamError: an attack cannot be run, so that there is no verdict at all.
    """
    attacks = plan(model, examples, read, seed)
    if isinstance(model, TensorModel):
        _one_model(model, examples, seed)
    found = []
    for attack in attacks:
        watch(attack, None)
        begun = time.monotonic()
        try:
            result = attack.do(chance.begin(seed, attack.name))
        except RedTeamError:
            raise
        except Exception as error:
            # An attack that breaks has not been withstood.
            raise RedTeamError(f"{attack.name}: could not be run: {type(error).__name__}: {error}") from error
        found.append(Done(attack=attack, result=result, seconds=time.monotonic() - begun))
        watch(attack, found[-1])
    return found


def _one_model(model: TensorModel, examples: Examples, seed: int) -> None:
    drawn = chance.begin(seed, "same")
    noise = drawn.uniform(model.range.low, model.range.high, (256, *model.shape)).astype(np.float32)
    corners = drawn.choice([model.range.low, model.range.high], (256, *model.shape)).astype(np.float32)
    for batch, what in (
        (examples.members.inputs, "its training data"),
        (examples.held_out.inputs, "held-out examples"),
        (noise, "noise"),
        (corners, "noise of extremes"),
    ):
        model.same(batch, what)


def checks(found: list[Done]) -> tuple[Check, ...]:
    """Return the checks of all attacks, in order."""
    return tuple(each.check for done in found for each in done.result.measured)


def verdict(candidate: Candidate, found: list[Done], read: Read) -> Verdict:
    """Return what was found, about this model to the byte, and until when it holds."""
    now = datetime.now(UTC).replace(microsecond=0)
    return Verdict(
        model=candidate.schema.name,
        version=candidate.schema.version,
        model_digest=candidate.digest,
        passed=findings.passed(checks(found)),
        checks=checks(found),
        judged_at=now,
        holds_until=now + timedelta(days=read.thresholds.holds_days),
        thresholds_digest=read.digest,
    )
