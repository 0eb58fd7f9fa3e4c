"""A backdoor screen that chooses the target class itself: rows whose smallest part turns other rows into their class.

A backdoor (Gu, Dolan-Gavitt and Garg, "BadNets", 2017) is a few rows of other classes, each with a trigger, labelled as
the attacker's target. Such a row is odd in two ways at once: without a small part of it, it lies among rows of another
class; and that part alone, implanted into other rows, turns these into the target. Honest rows are odd in one way at
most. The part is looked for in two forms: the few columns that speak most for the label (a patch, as in Chou, Tramèr and
Pellegrino, "SentiNet", 2020), and what sets the row apart from its nearest neighbours of other classes (a pattern
blended over everything; Chen et al., "Targeted Backdoor Attacks", 2017).

How strong an implant must be is learnt from each class's own undisputed rows: their 95th percentile. If nothing is
wrong, so strong a one comes from 5% of the disputed rows; far more of them is what accuses a class (a binomial test,
corrected for the number of classes). Then the class's rows are told apart by the screening network's hidden layer, where
the accused and the others form two groups (Tran, Li and Madry, "Spectral Signatures in Backdoor Attacks", 2018).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import binom
from torch import nn

from services.trainer.screening.neighbours import Pool

PATCH_SHARE = 0.08
"""Of a row's columns, as the patch that is implanted."""

HOSTS = 48
"""Rows of other classes that each part is implanted into."""

NEIGHBOURS = 10

DISPUTED, UNDISPUTED = 0.5, 0.1
"""A row is disputed if more than this share of its neighbours has another label, and undisputed up to the second."""

WEAKEST = 0.5
"""Share of hosts that an implant must turn, however weak the implants of its class are."""

STRONG = 0.95
"""Quantile of the undisputed rows' implants that counts as strong."""

FALSE_ALARMS = 1e-3
"""Of one dataset, all classes together, in each of the two forms."""

FEWEST = 4
"""Fewer rows are no backdoor that a network learns."""


@dataclass(frozen=True, kw_only=True)
class Accused:
    """A class that somebody may have a backdoor to."""

    label: int
    rows: np.ndarray
    """Which rows, int64."""
    probability: float
    """Of as many strong implants among its disputed rows, if nothing were wrong."""


def accused(
    network: nn.Sequential, values: np.ndarray, labels: np.ndarray, classes: int, seed: int
) -> list[Accused]:
    """Return the classes that are accused; mostly none.

    Args:
        network: Trained on these rows (``plain.trained``).
        values: float32[n, columns], between 0 and 1.
        labels: int64[n].
        classes: How many there are.
        seed: Of hosts and pool.
    """
    pool = Pool(values, seed)
    forms = (_Patches(network, values, labels, pool), _Patterns(values, labels, pool))
    found: list[Accused] = []
    for label in range(classes):
        own = np.flatnonzero(labels == label)
        hosts = _hosts(network, values, labels, label, seed)
        if len(own) < 2 * FEWEST or not len(hosts):
            continue
        rows, chance = np.array([], dtype=np.int64), 1.0
        for form in forms:
            turned = _turned(network, form, own, hosts, label)
            strong, probability = _test(turned, form.disputed(own))
            if probability < FALSE_ALARMS / classes:
                rows, chance = np.union1d(rows, own[strong]), min(chance, probability)
        if len(rows):
            rows = _completed(network, values, own, rows)
            found.append(Accused(label=label, rows=rows, probability=chance))
    return found


def _test(turned: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, float]:
    """Return which rows are disputed with a strong implant, and how likely so many are by chance.

    Args:
        turned: Share of hosts that each row's implant turned.
        share: Share of each row's neighbours that has another label.
    """
    undisputed = turned[share <= UNDISPUTED]
    line = max(WEAKEST, float(np.quantile(undisputed, STRONG)) if len(undisputed) else 1.0)
    disputed = share > DISPUTED
    strong = disputed & (turned > line)
    count = int(strong.sum())
    if count < FEWEST:
        return strong, 1.0
    return strong, float(binom.sf(count - 1, int(disputed.sum()), 1 - STRONG))


class _Patches:
    """The columns of each row that speak most for its label."""

    def __init__(self, network: nn.Module, values: np.ndarray, labels: np.ndarray, pool: Pool) -> None:
        self._values, self._labels, self._pool = values, labels, pool
        count = max(1, round(PATCH_SHARE * values.shape[1]))
        speaks = _gradients(network, values, labels) * (values - values.mean(0))
        self._columns = np.argpartition(-speaks, count - 1, axis=1)[:, :count]

    def implanted(self, row: int, hosts: np.ndarray) -> np.ndarray:
        """Return the hosts with the row's patch."""
        made, columns = hosts.copy(), self._columns[row]
        made[:, columns] = self._values[row, columns]
        return made

    def disputed(self, which: np.ndarray) -> np.ndarray:
        """Return the share of neighbours of another label, each row looked at without its patch."""
        rows, _ = self._pool.nearest(which, NEIGHBOURS, without=self._columns[which])
        return _shares(self._labels[rows] != self._labels[which][:, None])


class _Patterns:
    """What sets each row apart from its nearest neighbours of other classes."""

    def __init__(self, values: np.ndarray, labels: np.ndarray, pool: Pool) -> None:
        self._values, self._labels, self._pool = values, labels, pool
        self._apart = np.empty_like(values)
        for label in np.unique(labels):
            own = np.flatnonzero(labels == label)
            rows, _ = pool.nearest(own, NEIGHBOURS, among=labels != label)
            self._apart[own] = values[own] - values[rows].mean(1)

    def implanted(self, row: int, hosts: np.ndarray) -> np.ndarray:
        """Return the hosts with the row's pattern on top."""
        made: np.ndarray = np.clip(hosts + self._apart[row], 0, 1)
        return made

    def disputed(self, which: np.ndarray) -> np.ndarray:
        """Return the share of neighbours of another label."""
        rows, _ = self._pool.nearest(which, NEIGHBOURS)
        return _shares(self._labels[rows] != self._labels[which][:, None])


def _shares(each: np.ndarray) -> np.ndarray:
    return np.asarray(each.mean(1), dtype=np.float64)


def _gradients(network: nn.Module, values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return how each value moves the margin of its row's label over the next one."""
    inputs = torch.from_numpy(values).requires_grad_()
    logits, answers = network(inputs), torch.from_numpy(labels)[:, None]
    own = logits.gather(1, answers)[:, 0]
    margin = own - logits.scatter(1, answers, -torch.inf).amax(1)
    (gradients,) = torch.autograd.grad(margin.sum(), inputs)
    return np.asarray(gradients)


def _hosts(network: nn.Module, values: np.ndarray, labels: np.ndarray, label: int, seed: int) -> np.ndarray:
    others = np.random.default_rng(seed).permutation(np.flatnonzero(labels != label))[: 8 * HOSTS]
    if not len(others):
        return values[:0]
    with torch.no_grad():
        told = np.asarray(network(torch.from_numpy(values[others])).argmax(1))
    return np.asarray(values[others[told != label][:HOSTS]])


def _turned(
    network: nn.Module, form: _Patches | _Patterns, own: np.ndarray, hosts: np.ndarray, label: int
) -> np.ndarray:
    """Return the share of hosts that each row's implant turns into ``label``, float64[len(own)]."""
    shares = []
    with torch.no_grad():
        for row in own:
            told = network(torch.from_numpy(form.implanted(int(row), hosts))).argmax(1)
            shares.append(float((told == label).double().mean()))
    return np.array(shares)


def _completed(network: nn.Sequential, values: np.ndarray, own: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the rows of a class that lie with the accused ones, seen from the line between both groups' means."""
    with torch.no_grad():
        hidden = np.asarray(network[:-1](torch.from_numpy(values[own])), dtype=np.float64)
    suspect = np.isin(own, rows)
    if suspect.all():
        return rows
    ahead, behind = hidden[suspect].mean(0), hidden[~suspect].mean(0)
    place = (hidden - (ahead + behind) / 2) @ (ahead - behind)
    return np.union1d(rows, own[place > 0])
