"""Projected gradient descent: the strongest first-order change within a bound (Madry et al., ICLR 2018)."""

from __future__ import annotations

import numpy as np
from art.attacks.evasion import ProjectedGradientDescent

from services.redteam import findings, pictures
from services.redteam.data import Part
from services.redteam.findings import Array, Chart, Exhibit, Line, Result
from services.redteam.subject import TensorModel
from services.redteam.thresholds import Pgd

_SHOWN = 8


def attack(model: TensorModel, examples: Part, asked: Pgd) -> Result:
    """Measure accuracy under attack at each epsilon; the weights show the way, ONNX is judged."""
    checks, found = [], {0.0: findings.accuracy(model.answers(examples.inputs), examples.labels)}
    changed: dict[float, Array] = {}
    for epsilon, threshold in sorted(asked.least_accuracy.items()):
        changed[epsilon] = adversarial(model, examples, epsilon, steps=asked.steps, restarts=asked.restarts)
        found[epsilon] = findings.accuracy(model.answers(changed[epsilon]), examples.labels)
        about = f"{len(examples)} examples, {asked.steps} steps, {findings.counted(asked.restarts, 'start')}"
        checks.append(findings.at_least(f"pgd-accuracy-at-{epsilon:g}", found[epsilon], threshold, about))
    return Result(measured=tuple(checks), exhibits=_exhibits(model, examples, found, changed, asked))


def adversarial(model: TensorModel, examples: Part, epsilon: float, *, steps: int, restarts: int) -> Array:
    """Return inputs changed by at most ``epsilon`` of the range, to be taken for another class.

    Raises:
        RedTeamError: on what was found, weights and graph disagree.
    """
    reach = epsilon * model.range.width
    found: Array = ProjectedGradientDescent(
        model.white_box(),
        norm=np.inf,
        eps=reach,
        eps_step=2.5 * reach / steps,
        max_iter=steps,
        num_random_init=restarts,
        batch_size=512,
        verbose=False,
    ).generate(examples.inputs, examples.labels)
    model.same(found, f"adversarial examples at {epsilon:g}")
    return found


def _exhibits(
    model: TensorModel, examples: Part, found: dict[float, float], changed: dict[float, Array], asked: Pgd
) -> tuple[Exhibit, ...]:
    thresholds = sorted(asked.least_accuracy.items())
    chart = Chart(
        title="Accuracy under projected gradient descent",
        about="How accuracy falls as an attacker may change more of each value, and the least that is asked.",
        x_name="epsilon, as a share of the input's range",
        y_name="accuracy",
        lines=(
            Line(name="measured", x=tuple(found), y=tuple(found.values())),
            Line(name="threshold", x=tuple(e for e, _ in thresholds), y=tuple(t for _, t in thresholds)),
        ),
    )
    if not model.image:
        return (chart,)
    return chart, pictures.beside(model, examples, changed, most=_SHOWN)
