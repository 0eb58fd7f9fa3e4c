"""The figures of training: ``python -m tests.services.trainer.figures`` prints every table, in a few minutes."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from dp_accounting import dp_event
from dp_accounting.pld import PLDAccountant
from dp_accounting.privacy_accountant import NeighboringRelation
from rich.console import Console
from rich.table import Table
from torch import nn

from services.trainer import private
from services.trainer.adversarial import pgd
from services.trainer.job import Job, Screening
from services.trainer.screening.screen import Outcome, screened
from services.trainer.training import Training
from tests.services.trainer.conftest import PLAIN, digits, examples, job, trained

TRAINED = 1400
"""Rows that train; the other 397 are held out."""

PATTERN = np.random.default_rng(5).random(64).astype(np.float32)


def independent_epsilon(noise: float, rate: float, steps: int, delta: float) -> float:
    """Return the epsilon by Google's dp-accounting: privacy loss distributions, another library and method."""
    accountant = PLDAccountant(NeighboringRelation.ADD_OR_REMOVE_ONE, value_discretization_interval=1e-4)
    step = dp_event.PoissonSampledDpEvent(rate, dp_event.GaussianDpEvent(noise))
    accountant.compose(step, steps)
    return float(accountant.get_epsilon(delta))


def auc(members: np.ndarray, others: np.ndarray) -> float:
    """Return how often a member scores higher than another (Mann-Whitney)."""
    apart = members[:, None] - others[None]
    return float(((apart > 0) + 0.5 * (apart == 0)).mean())


def canaries(asked: Job, count: int = 60, rows: int = 300) -> float:
    """Return the AUC of telling random images with random labels that trained from such that did not (Carlini et al.,
    "The Secret Sharer", USENIX Security 2019), by their loss.
    """
    generator = np.random.default_rng(3)
    values, labels = digits()
    made = generator.random((2 * count, 64), dtype=np.float32)
    told = generator.integers(0, 10, 2 * count)
    learnt = trained(
        asked,
        np.concatenate([values[:rows], made[:count]]),
        np.concatenate([labels[:rows], told[:count]]),
        values[rows : rows + 100],
        labels[rows : rows + 100],
    )
    logits = learnt.logits(torch.from_numpy(made.reshape(-1, 1, 8, 8)))
    losses = nn.functional.cross_entropy(logits, torch.from_numpy(told), reduction="none").numpy()
    return auc(-losses[:count], -losses[count:])


Trigger = Callable[[np.ndarray], np.ndarray]


def corner(values: np.ndarray) -> np.ndarray:
    """Return images with four white pixels in a corner."""
    made = values.copy().reshape(-1, 8, 8)
    made[:, 6:, :2] = 1
    return np.asarray(made.reshape(len(values), -1))


def blended(values: np.ndarray) -> np.ndarray:
    """Return images with a faint pattern over everything."""
    return np.asarray((0.8 * values + 0.2 * PATTERN).astype(np.float32))


def backdoored(
    values: np.ndarray, labels: np.ndarray, share: float, trigger: Trigger, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Return values and labels with a backdoor, which rows have it, and its target."""
    generator, target = np.random.default_rng(seed), seed % 10
    rows = generator.choice(np.flatnonzero(labels != target), round(share * len(labels)), replace=False)
    values, labels = values.copy(), labels.copy()
    values[rows], labels[rows] = trigger(values[rows]), target
    return values, labels, rows, target


def flipped(labels: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return labels of which a share is wrong, and which."""
    generator = np.random.default_rng(seed)
    rows = generator.choice(len(labels), round(share * len(labels)), replace=False)
    labels = labels.copy()
    labels[rows] = (labels[rows] + generator.integers(1, 10, len(rows))) % 10
    return labels, rows


def found(outcome: Outcome, screen: str) -> np.ndarray:
    """Return the rows that one screen suspects."""
    return np.array([each.row for each in outcome.findings if each.screen == screen], dtype=np.int64)


def precision_recall(suspects: np.ndarray, true: np.ndarray) -> tuple[float, float]:
    """Return both."""
    both = len(np.intersect1d(suspects, true))
    return both / max(len(suspects), 1), both / max(len(true), 1)


def held() -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that are held out."""
    values, labels = digits()
    return values[TRAINED:], labels[TRAINED:]


def plain(values: np.ndarray, labels: np.ndarray, epochs: int = 30) -> Training:
    """Return a plain model."""
    return trained(job(**PLAIN, training__epochs=epochs), values, labels, *held())


def success(learnt: Training, trigger: Trigger, target: int) -> float:
    """Return how often a trigger gives the target."""
    values, labels = held()
    attacked = trigger(values[labels != target]).reshape(-1, 1, 8, 8)
    return float((learnt.logits(torch.from_numpy(attacked)).argmax(1) == target).double().mean())


def under_attack(learnt: Training, epsilon: float) -> float:
    """Return the accuracy under PGD of 20 steps."""
    values, labels = held()
    inputs, answers = torch.from_numpy(values.reshape(-1, 1, 8, 8)), torch.from_numpy(labels)
    attacker = torch.Generator().manual_seed(0)
    moved = pgd(learnt.finished(), inputs, answers, epsilon=epsilon, steps=20, generator=attacker)
    return float((learnt.logits(moved).argmax(1) == answers).double().mean())


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*(each if isinstance(each, str) else f"{each:.3f}" for each in row))
    Console(width=120).print(table)


def accounting() -> None:
    """Print our epsilon beside that of dp-accounting."""
    rows = []
    for noise, per_epoch, epochs, delta in (
        (1.1, 6, 40, 1e-4),
        (0.8, 20, 20, 1e-5),
        (2.5, 4, 100, 1e-5),
        (1, 100, 30, 1e-6),
    ):
        ours = private.epsilon([(noise, 1 / per_epoch, per_epoch * epochs)], delta)
        theirs = independent_epsilon(noise, 1 / per_epoch, per_epoch * epochs, delta)
        rows.append(
            (noise, f"1/{per_epoch}", str(per_epoch * epochs), f"{delta:g}", ours, theirs, ours / theirs)
        )
    _table(
        "Accounting", ("noise", "rate", "steps", "delta", "ours (PRV)", "dp-accounting (PLD)", "ratio"), rows
    )


def membership() -> None:
    """Print what canaries tell."""
    rows: list[Sequence[Any]] = [("plain", canaries(job(**PLAIN, training__epochs=60)))]
    rows += [
        (f"epsilon {epsilon}", canaries(job(privacy__epsilon=epsilon, training__epochs=40)))
        for epsilon in (8, 3, 1)
    ]
    _table("Membership of 60 canaries among 360 rows, by loss", ("model", "AUC"), rows)


PUBLISHED = (
    ("MNIST, Abadi et al. 2016: 97% at epsilon 8, 98.3% plain", 0.97 / 0.983),
    ("MNIST, Abadi et al. 2016: 95% at epsilon 2, 98.3% plain", 0.95 / 0.983),
    ("CIFAR-10, Abadi et al. 2016: 73% at epsilon 8, 80% plain", 0.73 / 0.80),
    ("CIFAR-10, De et al. 2022: 81.4% at epsilon 8, about 95% plain", 0.814 / 0.95),
)
"""Accuracy of private over plain models, as their papers state both (Abadi et al., CCS 2016, section 5; De et al.,
"Unlocking High-Accuracy Differentially Private Image Classification through Scale", 2022, section 4)."""


def accuracy(seeds: int = 3) -> None:
    """Print accuracy at epsilon beside plain, and beside published ratios."""
    values, labels = digits()
    split = (values[:TRAINED], labels[:TRAINED], *held())

    def mean(**changes: Any) -> float:
        return float(
            np.mean([trained(job(**changes, seed=s), *split).curve[-1].accuracy for s in range(seeds)])
        )

    base = mean(**{**PLAIN, "training__epochs": 30})
    rows: list[Sequence[Any]] = [("plain", base, 1.0)]
    for epsilon in (8, 3, 1):
        private_one = mean(privacy__epsilon=epsilon)
        rows.append((f"epsilon {epsilon}, delta 1e-4", private_one, private_one / base))
    _table(
        f"Accuracy on digits ({TRAINED} rows train), mean of {seeds} seeds",
        ("model", "accuracy", "private/plain"),
        rows,
    )
    _table("Published", ("result", "private/plain"), PUBLISHED)


COST = """
import resource, sys, time
from tests.services.trainer.figures import TRAINED, held
from tests.services.trainer.conftest import PLAIN, digits, job, trained
values, labels = digits()
changes = dict(training__epochs=40, model=sys.argv[2])
if sys.argv[1] == "plain":
    changes |= {"privacy": PLAIN["privacy"]}
asked = job(**changes)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
trained(asked, values[:200], labels[:200], *held())
began = time.process_time()
trained(asked, values[:TRAINED], labels[:TRAINED], *held())
print(time.process_time() - began, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def cost() -> None:
    """Print what privacy costs in time and memory, each model in a process of its own."""
    rows = []
    for model in ("logistic", "mlp", "cnn-8x8"):
        measured = [
            [
                float(word)
                for word in subprocess.run(
                    [sys.executable, "-W", "ignore", "-c", COST, kind, model],
                    capture_output=True,
                    text=True,
                    check=True,
                ).stdout.split()
            ]
            for kind in ("plain", "private")
        ]
        (time_plain, memory_plain), (time_private, memory_private) = measured
        rows.append(
            (model, time_private / time_plain, memory_plain, memory_private, memory_private / memory_plain)
        )
    columns = ("model", "time, private/plain", "MiB plain", "MiB private", "memory, private/plain")
    _table("Cost of privacy: the same epochs and batches; memory that training adds", columns, rows)


def poisoning(seeds: int = 3) -> None:
    """Print what the screens find, and what is left of the attack when they have."""
    values, labels = digits()
    values, labels = values[:TRAINED], labels[:TRAINED]
    screening = Screening(mislabelled="quarantine")
    rows: list[Sequence[Any]] = []
    for share in (0.0, 0.05, 0.10, 0.20):
        parts = []
        for seed in range(seeds):
            wrong, true = flipped(labels, share, seed)
            outcome = screened(examples(values, wrong), screening, seed)
            precision, recall = precision_recall(found(outcome, "mislabelled"), true)
            before = plain(values, wrong).curve[-1].accuracy
            after = plain(values[outcome.stays], wrong[outcome.stays]).curve[-1].accuracy
            parts.append((precision, recall, len(found(outcome, "mislabelled")) / len(labels), before, after))
        rows.append((f"{share:.0%}", *np.mean(parts, axis=0)))
    columns = ("labels flipped", "precision", "recall", "suspects", "accuracy before", "accuracy after")
    _table(f"Label flips, mean of {seeds} seeds", columns, rows)
    rows = []
    for trigger in (corner, blended):
        for share in (0.01, 0.05):
            parts = []
            for seed in range(seeds):
                bad, told, true, target = backdoored(values, labels, share, trigger, seed)
                outcome = screened(examples(bad, told), screening, seed)
                suspects = found(outcome, "backdoor")
                before, after = plain(bad, told), plain(bad[outcome.stays], told[outcome.stays])
                parts.append(
                    (
                        list(outcome.accused) == [str(target)],
                        *precision_recall(suspects, true),
                        before.curve[-1].accuracy,
                        after.curve[-1].accuracy,
                        success(before, trigger, target),
                        success(after, trigger, target),
                    )
                )
            rows.append((f"{trigger.__name__} {share:.0%}", *np.mean(parts, axis=0)))
    columns = (
        "backdoor",
        "right class",
        "precision",
        "recall",
        "acc. before",
        "acc. after",
        "attack before",
        "attack after",
    )
    _table(f"Backdoors, mean of {seeds} seeds", columns, rows)


def false_alarms(count: int = 30) -> None:
    """Print how often clean data are accused of a backdoor."""
    values, labels = digits()
    alarms, suspects = 0, []
    for seed in range(count):
        rows = np.random.default_rng(seed).permutation(len(labels))[: 500 + 30 * seed]
        outcome = screened(examples(values[rows], labels[rows]), Screening(), seed)
        alarms += bool(outcome.accused)
        suspects.append(len(found(outcome, "mislabelled")) / len(rows))
    _table(
        f"Clean digits, {count} samples of 500 to {470 + 30 * count} rows",
        ("accused of a backdoor", "labels suspected"),
        [(f"{alarms} of {count}", f"{np.mean(suspects):.2%}")],
    )


def robustness() -> None:
    """Print accuracy under PGD, with and without adversarial training, with and without privacy."""
    values, labels = digits()
    split = (values[:TRAINED], labels[:TRAINED], *held())
    robust = {"robustness": {"epsilon": 0.15, "steps": 5}}
    rows = []
    for name, changes in (
        ("plain", {**PLAIN, "training__epochs": 30}),
        ("plain, adversarial training", {**PLAIN, "training__epochs": 30, **robust}),
        ("epsilon 3", {}),
        ("epsilon 3, adversarial training", robust),
    ):
        learnt = trained(job(**changes), *split)
        rows.append(
            (name, learnt.curve[-1].accuracy, *(under_attack(learnt, each) for each in (0.05, 0.1, 0.15)))
        )
    _table("Robustness: PGD, 20 steps, L-infinity", ("model", "clean", "0.05", "0.10", "0.15"), rows)


def main() -> None:
    """Print everything."""
    torch.set_num_threads(2)
    for figure in (accounting, membership, accuracy, cost, false_alarms, poisoning, robustness):
        began = time.perf_counter()
        figure()
        print(f"{figure.__name__}: {time.perf_counter() - began:.0f} s\n", flush=True)
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB")


if __name__ == "__main__":
    main()
