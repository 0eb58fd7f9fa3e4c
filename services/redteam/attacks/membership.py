"""Membership inference: who was in the training data, told with few false alarms (Carlini et al., "LiRA", IEEE S&P 2022).

The attacker trains shadow models on random halves of all examples and learns for each one how confident models are that
saw it, and those that did not. The target's own confidence says which is likelier: the online attack, with one variance
for all examples, which the paper takes where shadows are few (section VI.B). The attacker does not know how the target
was trained, so its confidences are brought to the level and spread of the shadows' first: on ten models of digits that
was as good as the best of six ways to compare, where the plain way lost most on robust ones. What counts is how many
members are named at almost no false alarm: an average hides the few whose records stand open. The attack by loss alone
(Yeom et al., CSF 2018) is the floor beside it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.func import functional_call, stack_module_state

from services.redteam import findings
from services.redteam.data import Examples, Part
from services.redteam.findings import Array, Chart, Line, Result, percent
from services.redteam.subject import TensorModel, TextModel
from services.redteam.thresholds import Membership
from services.shared.architectures import build

EPOCHS, BATCH, RATE = 60, 64, 0.01
"""Of a shadow model at most: it stops where it fits its examples as well as the target fits its own."""

SMALLEST = 1e-30
"""A probability that is rounded to nothing has at least this much."""


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What an attack scores, member by member."""

    member: Array
    """bool[n]."""
    scores: Array
    """float[n]; higher is likelier a member."""
    losses: Array
    """The same by loss alone."""


def attack(model: TensorModel, examples: Examples, asked: Membership, chance: np.random.Generator) -> Result:
    """Measure both attacks on a model of numbers."""
    both, member = _pool(examples, asked, chance)
    fitted = _cross_entropy(model.answers(both.inputs[member]), both.labels[member])

    def shadows(halves: Array) -> Array:
        return _networks(model, both, halves, fitted)

    return _result(_audit(model.answers(both.inputs), both, member, shadows, asked, chance), asked)


def attack_text(
    model: TextModel, examples: Examples, asked: Membership, chance: np.random.Generator
) -> Result:
    """Measure both attacks on a model of texts."""
    both, member = _pool(examples, asked, chance)
    answers = model.answers(both.inputs)
    fitted = _cross_entropy(answers[member], both.labels[member])

    def shadows(halves: Array) -> Array:
        return np.stack([_by_words(both, half, fitted, model.classes) for half in halves])

    return _result(_audit(answers, both, member, shadows, asked, chance), asked)


def _pool(examples: Examples, asked: Membership, chance: np.random.Generator) -> tuple[Part, Array]:
    each = min(asked.examples // 2, len(examples.members), len(examples.held_out))
    parts = [part.sample(each, chance) for part in (examples.members, examples.held_out)]
    both = Part(
        inputs=np.concatenate([part.inputs for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
    )
    return both, np.arange(2 * each) < each


def _audit(
    answers: Array,
    both: Part,
    member: Array,
    shadows: Callable[[Array], Array],
    asked: Membership,
    chance: np.random.Generator,
) -> Audit:
    own = confidence(answers, both.labels)
    halves = _halves(len(both), asked.shadows, chance)
    return Audit(member=member, scores=likelihood_ratio(own, shadows(halves), halves), losses=own)


def confidence(answers: Array, labels: Array) -> Array:
    """Return log p/(1-p) of the right class, float[n]: what is nearly normal over models (Carlini et al., section V.A)."""
    answers = np.asarray(answers, dtype=np.float64)
    right = answers[np.arange(len(labels)), labels]
    others = answers.sum(axis=1) - right
    exact = np.where(others > 1e-6, others, _without(answers, labels))
    found: Array = np.log(np.maximum(right, SMALLEST)) - np.log(np.maximum(exact, SMALLEST))
    return found


def _without(answers: Array, labels: Array) -> Array:
    # Summed anew: taken from one by subtraction, what is left of a sure answer is rounding.
    rest = answers.copy()
    rest[np.arange(len(labels)), labels] = 0
    found: Array = rest.sum(axis=1)
    return found


def likelihood_ratio(own: Array, shadows: Array, halves: Array) -> Array:
    """Return how much likelier the target's confidence is among models that saw the example, float[n].

    Args:
        own: Of the target, float[n].
        shadows: Of each shadow model, float[shadows, n].
        halves: Which examples each shadow saw, bool[shadows, n]; each example by some and not by others.
    """
    own = (own - own.mean()) / max(float(own.std()), 1e-6) * shadows.std() + shadows.mean()
    seen, unseen = (np.ma.masked_array(shadows, mask=~which) for which in (halves, ~halves))
    scores = []
    for group in (seen, unseen):
        centre = group.mean(axis=0)
        scores.append(stats.norm.logpdf(own, centre.data, max(float((group - centre).std()), 1e-6)))
    found: Array = scores[0] - scores[1]
    return found


def _halves(count: int, shadows: int, chance: np.random.Generator) -> Array:
    # Each example is seen by exactly half of the shadows, as in the paper's experiments.
    order = chance.random((shadows, count)).argsort(axis=0)
    found: Array = order < shadows // 2
    return found


def _networks(model: TensorModel, both: Part, halves: Array, fitted: float) -> Array:
    """Train all shadows at once, and return their confidence, float[shadows, n]."""
    architecture = model.schema.architecture or ""
    networks: list[nn.Module] = [
        build(
            architecture,
            shape=model.shape,
            classes=model.classes,
            low=model.range.low,
            high=model.range.high,
        )
        for _ in halves
    ]
    weights, _ = stack_module_state(networks)
    weights = {name: each.detach().requires_grad_() for name, each in weights.items()}
    base = copy.deepcopy(networks[0]).to("meta")
    together = torch.vmap(lambda own, batch: functional_call(base, own, (batch,)))
    optimiser = torch.optim.Adam(weights.values(), RATE)
    inputs, labels = torch.from_numpy(both.inputs), torch.from_numpy(both.labels)
    fewest = int(halves.sum(axis=1).min())
    seen = [torch.from_numpy(np.flatnonzero(half)) for half in halves]
    for _ in range(EPOCHS):
        order = torch.stack([each[torch.randperm(len(each))[:fewest]] for each in seen])
        losses = []
        for batch in order.split(BATCH, dim=1):  # type: ignore[no-untyped-call]
            optimiser.zero_grad()
            answers = together(weights, inputs[batch])
            loss = nn.functional.cross_entropy(answers.flatten(0, 1), labels[batch].flatten())
            (loss * len(halves)).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            losses.append(float(loss.detach()) * batch.shape[1])
        if sum(losses) / fewest <= fitted:
            break
    with torch.no_grad():
        answers = together(weights, inputs.expand(len(halves), *inputs.shape))
        found = torch.softmax(answers.double(), dim=2).numpy()
    return np.stack([confidence(each, both.labels) for each in found])


def _by_words(both: Part, half: Array, fitted: float, classes: int) -> Array:
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    seen = words.fit_transform(both.inputs[half])
    for strength in (1.0, 10.0, 100.0, 1000.0):
        fit = LogisticRegression(C=strength, max_iter=500).fit(seen, both.labels[half])
        if _cross_entropy(_spread(fit, seen, classes), both.labels[half]) <= fitted:
            break
    return confidence(_spread(fit, words.transform(both.inputs), classes), both.labels)


def _spread(fit: LogisticRegression, inputs: object, classes: int) -> Array:
    found = np.zeros((inputs.shape[0], classes))  # type: ignore[attr-defined]
    found[:, fit.classes_] = fit.predict_proba(inputs)
    return found


def _cross_entropy(answers: Array, labels: Array) -> float:
    right = answers[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.maximum(right, SMALLEST)).mean())


def curve(scores: Array, member: Array) -> tuple[Array, Array]:
    """Return false and true positive rates, each float[n + 1], from the strictest threshold to the laxest."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    # Equal scores are told apart by no threshold.
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    true = np.cumsum(member[order])[last] / max(1, member.sum())
    false = np.cumsum(~member[order])[last] / max(1, (~member).sum())
    return np.append(0.0, false), np.append(0.0, true)


def area(scores: Array, member: Array) -> float:
    """Return the area under the ROC curve."""
    false, true = curve(scores, member)
    return float(np.trapezoid(true, false))


def named(scores: Array, member: Array, false_rate: float) -> float:
    """Return the share of members that are named while at most that share of others is."""
    false, true = curve(scores, member)
    return float(true[false <= false_rate].max())


def _result(audit: Audit, asked: Membership) -> Result:
    checks = [
        findings.at_most("membership-auc", area(audit.scores, audit.member), asked.most_auc, _counted(audit)),
        *(
            findings.at_most(f"membership-tpr-at-{name}-fpr", *_at(audit, rate, most))
            for name, rate, most in (
                ("1%", 0.01, asked.most_tpr_at_1_percent),
                ("0.1%", 0.001, asked.most_tpr_at_0_1_percent),
            )
        ),
        findings.at_most("membership-loss-auc", _either(audit), asked.most_loss_auc),
    ]
    return Result(measured=tuple(checks), exhibits=(_roc(audit),))


def _either(audit: Audit) -> float:
    # Members that stand out by a higher loss stand out as well.
    found = area(audit.losses, audit.member)
    return max(found, 1 - found)


def _counted(audit: Audit) -> str:
    return f"{int(audit.member.sum())} members, {int((~audit.member).sum())} others"


def _at(audit: Audit, rate: float, most: float) -> tuple[float, float, str]:
    members, others = int(audit.member.sum()), int((~audit.member).sum())
    share = named(audit.scores, audit.member, rate)
    low, high = _interval(round(share * members), members)
    honest = (
        f"; with {others} others the least rate above zero is {1 / others:.2%}" if rate * others < 1 else ""
    )
    return share, most, f"95% interval {percent(low)} to {percent(high)}{honest}"


def _interval(hits: int, of: int) -> tuple[float, float]:
    # Clopper and Pearson, Biometrika 1934.
    low = stats.beta.ppf(0.025, hits, of - hits + 1) if hits else 0.0
    high = stats.beta.ppf(0.975, hits + 1, of - hits) if hits < of else 1.0
    return float(low), float(high)


def _roc(audit: Audit) -> Chart:
    def line(name: str, scores: Array) -> Line:
        false, true = curve(scores, audit.member)
        return Line(name=name, x=tuple(map(float, false)), y=tuple(map(float, true)))

    return Chart(
        title="Membership inference",
        about="How many members an attacker names (upwards), and how many others wrongly with them. Both axes are "
        "logarithmic: what matters is the left end, where nobody is named by mistake.",
        x_name="false positive rate",
        y_name="true positive rate",
        lines=(line("likelihood ratio", audit.scores), line("loss", audit.losses)),
        logarithmic=True,
    )
