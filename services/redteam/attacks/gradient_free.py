"""Gradient masking: what is found without gradients shows whether the gradients tell the truth (Athalye et al., ICML 2018).

A model may withstand PGD only because its gradients vanish. So accuracy under PGD is held against attacks that ask the
graph alone: Square (images), random corners of the bound, and adversarial examples of a model that the attacker trained
on its answers (Papernot et al., "Practical Black-Box Attacks", AsiaCCS 2017). And PGD without a bound worth the name has
to succeed (Carlini et al., "On Evaluating Adversarial Robustness", 2019, section 3.7).
"""

from __future__ import annotations

import numpy as np
import torch

from services.redteam import findings
from services.redteam.attacks import autoattack, pgd
from services.redteam.copying import copied
from services.redteam.data import Part
from services.redteam.findings import Array, Result, Table, percent
from services.redteam.subject import TensorModel
from services.redteam.thresholds import Tensor

UNBOUNDED = 0.5
"""Half the range: every value can become grey."""


def attack(
    model: TensorModel, examples: Part, others: Part, asked: Tensor, chance: np.random.Generator
) -> Result:
    """Compare attacks with and without gradients; ``others`` are the attacker's own inputs."""
    limits, epsilon = asked.gradient_free, asked.gradient_free.epsilon
    effort = {"steps": asked.pgd.steps, "restarts": asked.pgd.restarts}
    by_gradient = findings.accuracy(
        model.answers(pgd.adversarial(model, examples, epsilon, **effort)), examples.labels
    )
    withstood = _withstood(model, examples, others, epsilon, limits.queries, chance)
    without = float(np.logical_and.reduce(list(withstood.values())).mean())
    unbounded = findings.accuracy(
        model.answers(pgd.adversarial(model, examples, UNBOUNDED, **effort)), examples.labels
    )
    about = (
        f"PGD leaves {percent(by_gradient)}, questions alone leave {percent(without)} at epsilon {epsilon:g}"
    )
    return Result(
        measured=(
            findings.at_most("gradient-free-lead", by_gradient - without, limits.most_lead, about),
            findings.at_most("pgd-accuracy-unbounded", unbounded, limits.most_accuracy_unbounded),
        ),
        exhibits=(
            Table(
                title="Attacks with and without gradients",
                about="Where questions alone do better than gradients, the gradients are a decoy.",
                head=("attack", f"accuracy at epsilon {epsilon:g}"),
                rows=(
                    ("PGD, by the weights' gradients", percent(by_gradient)),
                    *((name, percent(float(kept.mean()))) for name, kept in withstood.items()),
                ),
            ),
        ),
    )


def _withstood(
    model: TensorModel,
    examples: Part,
    others: Part,
    epsilon: float,
    queries: int,
    chance: np.random.Generator,
) -> dict[str, Array]:
    found = {
        "random corners": _corners(model, examples, epsilon, queries // 10, chance),
        "transfer from a copy": _right(model, _transferred(model, examples, others, epsilon), examples),
    }
    if autoattack.has_squares(model.shape):
        search = autoattack.squares(model.black_box(), epsilon * model.range.width, queries)
        found["Square"] = _right(model, search.generate(examples.inputs, examples.labels), examples)
    return found


def _right(model: TensorModel, changed: Array, examples: Part) -> Array:
    found: Array = model.labels(changed) == examples.labels
    return found


def _corners(
    model: TensorModel, examples: Part, epsilon: float, tries: int, chance: np.random.Generator
) -> Array:
    kept = np.ones(len(examples), dtype=bool)
    for _ in range(tries):
        signs = chance.choice(np.array([-1.0, 1.0], dtype=np.float32), examples.inputs.shape)
        kept &= _right(model, bounded(model, examples.inputs + signs * epsilon * model.range.width), examples)
    return kept


def bounded(model: TensorModel, batch: Array) -> Array:
    """Return inputs cut to the range that is taken."""
    return np.clip(batch, model.range.low, model.range.high).astype(np.float32)


def _transferred(model: TensorModel, examples: Part, others: Part, epsilon: float) -> Array:
    copy = copied(model, others.inputs, model.answers(others.inputs))
    reach, steps = epsilon * model.range.width, 40
    start = torch.from_numpy(examples.inputs)
    labels = torch.from_numpy(examples.labels)
    changed = start.clone()
    for _ in range(steps):
        changed.requires_grad_(True)
        loss = torch.nn.functional.cross_entropy(copy(changed), labels)
        (slope,) = torch.autograd.grad(loss, changed)
        moved = changed.detach() + 2.5 * reach / steps * slope.sign()
        changed = torch.clamp(moved, start - reach, start + reach).clamp(model.range.low, model.range.high)
    return changed.detach().numpy()
