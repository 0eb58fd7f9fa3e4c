"""Figures of a federation, side by side in one run: ``make bench-federated``, or ``python -m tests.services.federated.bench``.

Accuracy beside centralised training, bytes, and time as a ratio to plain Flower; growth to 30 silos. All of that is one
process that plays server and silos in turn, with the real apps and without transport: ratios are of computing alone.
``--processes`` adds rounds of real processes over TLS, in which starting Flower's processes is most of the time.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from services.federated import local, models, samples
from services.federated.apps import client
from services.federated.homomorphic import make_key
from services.federated.rounds import Outcome, Round
from tests.services.federated.inprocess import Examples, Silos, privacy, settings
from tests.services.federated.test_poisoned import flipped, lying

ROUNDS, RATE = 20, 2.0

EVEN = 50.0

DP = privacy(noise_multiplier=4.0)

KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "+ SecAgg+": {"protection": "secure-aggregation"},
    "+ SecAgg+ and DP of a record": {"protection": "secure-aggregation", "privacy": DP},
    "+ local DP of a record": {"privacy": {**DP, "mode": "local"}},
    "+ homomorphic": {"protection": "homomorphic"},
}


def table(title: str, columns: Sequence[str], rows: Mapping[str, Sequence[str]]) -> None:
    """Print a table."""
    width = max(map(len, rows)) + 2
    sys.stdout.write(f"\n{title}\n{'':{width}}" + "".join(f"{each:>16}" for each in columns) + "\n")
    for name, cells in rows.items():
        sys.stdout.write(f"{name:{width}}" + "".join(f"{each:>16}" for each in cells) + "\n")
    sys.stdout.flush()


def outcome(silos: int = 3, examples: Callable[[int], Examples] | None = None, **changed: Any) -> Outcome:
    """Return what comes of so many silos' federation."""
    said = {"rounds": ROUNDS, "learning_rate": RATE, "threshold": silos // 2 + 1, **changed}
    return Silos(settings(silos=silos, **said), examples).federate()


def seconds(rounds: Sequence[Round]) -> float:
    """Return the median time of a round."""
    return median(done.seconds for done in rounds)


def centralised(rounds: int, rate: float) -> float:
    """Return the accuracy of as many steps on all rows in one place."""
    agreed = settings(rounds=1)
    net = models.network(agreed)
    (x, y), arrays = samples.training(), models.initial(net, 0)
    for _ in range(rounds):
        step = models.shaped(-rate * models.gradient_sum(arrays, x, y) / len(y), net.shapes)
        arrays = [array + change for array, change in zip(arrays, step, strict=True)]
    return models.loss_and_accuracy(arrays, *samples.held_out())[1]


def kinds() -> None:
    """Print accuracy, epsilon, bytes and time of each protection."""
    rows: dict[str, Sequence[str]] = {"centralised": [f"{centralised(ROUNDS, RATE):.3f}", "", "", ""]}
    plain = 0.0
    for name, changed in KINDS.items():
        came = outcome(**changed)
        last = came.rounds[-1]
        plain = plain or seconds(came.rounds)
        rows[name] = [
            f"{last.accuracy:.3f}",
            f"{last.epsilon:.2f}" if last.epsilon else "-",
            f"{last.bytes:,}",
            f"{seconds(came.rounds) / plain:.1f}",
        ]
    title = f"Three silos, split unevenly, {ROUNDS} rounds (in one process)"
    table(title, ("accuracy", "epsilon", "bytes a round", "time / plain"), rows)


def robust() -> None:
    """Print what one lying silo of six does to each aggregation."""

    def even(number: int) -> Examples:
        return samples.partition(number, 6, concentration=EVEN)

    rows = {}
    for aggregation in ("mean", "median", "trimmed-mean", "krum", "multi-krum"):
        said = {
            "rounds": ROUNDS,
            "learning_rate": RATE,
            "silos": 6,
            "threshold": 5,
            "aggregation": aggregation,
        }
        agreed = settings(**said, poisoned=0 if aggregation == "mean" else 1)
        cells = []
        for lie in (None, flipped):
            silos = Silos(agreed, even, changed=lying(lie)) if lie else Silos(agreed, even)
            cells.append(f"{silos.federate().rounds[-1].accuracy:.3f}")
        unlike = Silos(agreed).federate().rounds[-1].accuracy
        rows[aggregation] = [*cells, f"{unlike:.3f}"]
    title = f"Six silos in clear, {ROUNDS} rounds: accuracy (in one process)"
    table(title, ("alike, honest", "alike, one lies", "uneven, honest"), rows)


def growth() -> None:
    """Print how bytes and time grow with silos."""
    rows: dict[str, Sequence[str]] = {}
    first: dict[str, float] = {}
    for silos in (3, 10, 30):
        for name in ("plain", "+ SecAgg+"):
            rounds = outcome(silos, rounds=3, **KINDS[name]).rounds
            first.setdefault(name, seconds(rounds))
            rows[f"{silos} silos, {name}"] = [
                f"{rounds[-1].bytes / silos:,.0f}",
                f"{seconds(rounds) / first[name]:.1f}",
                f"{seconds(rounds) / first['plain']:.1f}",
            ]
    columns = ("bytes a silo", "time / 3 silos", "time / plain, 3")
    table("Growth (simulated: all silos in one process, one after the other)", columns, rows)


def processes() -> None:
    """Print the time of a round of real processes."""
    rows: dict[str, Sequence[str]] = {}
    plain = 0.0
    for mode in ("plain", "secagg", "secagg-dp", "homomorphic"):
        with tempfile.TemporaryDirectory() as name:
            agreed = local.terms(mode, silos=3, rounds=2)
            with local.Federation(Path(name), agreed) as federation:
                federation.serve()
                federation.join()
                rounds = federation.learn(lambda _: None)
        took = float(np.median([done["seconds"] for done in rounds]))
        plain = plain or took
        rows[mode] = [f"{took / plain:.1f}", f"{rounds[-1]['bytes']:,}"]
    table("Three silos and a server, real processes over TLS", ("time / plain", "bytes a round"), rows)


def main() -> None:
    """Print all figures."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        os.environ[client.HOMOMORPHIC_KEY] = f"{name}/silos.ckks"
        make_key(Path(os.environ[client.HOMOMORPHIC_KEY]))
        kinds()
        robust()
        growth()
    if "--processes" in sys.argv:
        processes()
    sys.stdout.write(f"\n{time.monotonic() - began:.0f} s in all\n")


if __name__ == "__main__":
    main()
