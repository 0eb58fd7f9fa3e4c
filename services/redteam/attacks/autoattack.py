"""AutoAttack: attacks that tune themselves, so that nobody's choice of steps flatters a model (Croce and Hein, ICML 2020).

The list is cut to what takes seconds: projected gradient descent with its own step sizes, by cross-entropy and by the
difference of logits ratio (which does not care how large logits are, and needs three classes), then Square (Andriushchenko
et al., ECCV 2020), which asks and needs no gradient. On digits that found what the whole list did (430 s against 6 s).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from art.attacks.evasion import AutoAttack as Ensemble
from art.attacks.evasion import AutoProjectedGradientDescent, SquareAttack
from art.estimators.classification import PyTorchClassifier

from services.redteam import findings
from services.redteam.data import Part
from services.redteam.findings import Array, Result
from services.redteam.subject import TensorModel
from services.redteam.thresholds import AutoAttack


def attack(model: TensorModel, examples: Part, asked: AutoAttack) -> Result:
    """Measure accuracy under the ensemble at each epsilon."""
    checks = []
    for epsilon, threshold in sorted(asked.least_accuracy.items()):
        changed = adversarial(model, examples, epsilon, asked)
        found = findings.accuracy(model.answers(changed), examples.labels)
        about = f"{len(examples)} examples, {asked.steps} steps, {asked.squares} squares"
        checks.append(findings.at_least(f"autoattack-accuracy-at-{epsilon:g}", found, threshold, about))
    return Result(measured=tuple(checks))


def adversarial(model: TensorModel, examples: Part, epsilon: float, asked: AutoAttack) -> Array:
    """Return inputs changed by at most ``epsilon`` of the range.

    Raises:
        RedTeamError: on what was found, weights and graph disagree.
    """
    white_box = model.white_box()
    reach = epsilon * model.range.width
    ensemble = Ensemble(
        white_box, norm=np.inf, eps=reach, attacks=_attacks(model, white_box, reach, asked), batch_size=512
    )
    found: Array = ensemble.generate(examples.inputs, examples.labels)
    model.same(found, f"adversarial examples at {epsilon:g}")
    return found


def _attacks(
    model: TensorModel, white_box: PyTorchClassifier, reach: float, asked: AutoAttack
) -> list[object]:
    losses = ["cross_entropy", *(["difference_logits_ratio"] if model.classes > 2 else [])]
    by_gradient = [
        AutoProjectedGradientDescent(
            white_box,
            norm=np.inf,
            eps=reach,
            eps_step=2 * reach,
            max_iter=asked.steps,
            nb_random_init=1,
            batch_size=512,
            loss_type=loss,
            verbose=False,
        )
        for loss in losses
    ]
    return [*by_gradient, *([squares(white_box, reach, asked.squares)] if has_squares(model.shape) else [])]


def has_squares(shape: Sequence[int]) -> bool:
    """Return whether inputs are images on which the search's first square, of 80% of the area, has a place."""
    return len(shape) == 3 and round(math.sqrt(0.8 * shape[1] * shape[2])) < min(shape[1:])


def squares(estimator: object, reach: float, queries: int) -> SquareAttack:
    """Return the search by squares; inputs are ``[channels, rows, columns]``."""
    return SquareAttack(
        estimator, norm=np.inf, eps=reach, max_iter=queries, nb_restarts=1, batch_size=2048, verbose=False
    )
