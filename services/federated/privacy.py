"""How much noise hides whom, where it is added, and what has been revealed after so many rounds.

The Gaussian mechanism on a Poisson sample, as in DP-SGD (Abadi et al., 2016) and DP-FedAvg (McMahan et al., 2018),
accounted for by privacy loss distributions (dp-accounting) for adding or removing one record, or one silo.

Under secure aggregation and homomorphic encryption nobody can add central noise but the silos. Each adds a part such
that the parts of ``threshold`` silos, the fewest that are ever added up, make the whole: the noise in a sum is never less
than what is accounted for, and more when more answer. A silo that drops out takes its part along and is not missed. Silos
that pool what they added know their own part of the noise, and are no strangers to be hidden from: with k of them in
league the others' parts are ``(threshold - k) / threshold`` of the variance. Secure aggregation rounds noisy values to
one part in 2^22 of their range; that rounding is not in the account.
"""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from services.federated.errors import FederatedError
from services.federated.models import Arrays, Network, gradient_sum, shaped
from services.federated.settings import Privacy, Settings
from services.federated.updates import allowed, cut
from services.shared.randomness import Keystream

if TYPE_CHECKING:
    from dp_accounting import dp_event

ACCOUNTANT = "pld"

KEY_BYTES = 32


def keystream() -> Keystream:
    """Return noise that nobody can foretell, with a key that is kept nowhere."""
    return Keystream(secrets.token_bytes(KEY_BYTES))


@dataclass(frozen=True)
class Ledger:
    """What a federation has revealed after so many rounds, and whether it can afford another."""

    settings: Settings

    def epsilon(self, rounds: int) -> float | None:
        """Return epsilon at the agreed delta; none where nothing is accounted for."""
        privacy = self.settings.privacy
        return None if privacy is None else spent(privacy, rounds * self.settings.local_steps)

    def affords(self, rounds: int) -> bool:
        """Return whether so many rounds in all stay within the budget."""
        after = self.epsilon(rounds)
        return self.settings.privacy is None or (after is not None and after <= self.settings.privacy.epsilon)


@lru_cache(maxsize=4096)
def spent(privacy: Privacy, steps: int) -> float:
    """Return epsilon at the agreed delta after so many steps."""
    if steps == 0:
        return 0.0
    # A silo starts a program for every message, and this import is half of its start: only who accounts pays for it.
    from dp_accounting.pld import PLDAccountant

    accountant = PLDAccountant()
    accountant.compose(event(privacy), steps)
    return float(accountant.get_epsilon(privacy.delta))


def event(privacy: Privacy) -> dp_event.DpEvent:
    """Return one step, in dp-accounting's terms."""
    from dp_accounting import dp_event

    gaussian = dp_event.GaussianDpEvent(privacy.noise_multiplier)
    # A silo always takes part, so nothing is gained by sampling.
    if privacy.of == "silo" or privacy.sample_rate == 1:
        return gaussian
    return dp_event.PoissonSampledDpEvent(privacy.sample_rate, gaussian)


def step_scale(settings: Settings) -> float:
    """Return by what a sum of clipped gradients over one silo's rows is multiplied to be its update.

    All silos' sums together are divided by the rows that are expected in all of them, so that what one silo sends does not
    tell how many rows it has. The updates' mean is taken, hence the number of silos.
    """
    privacy = settings.privacy
    if privacy is None or privacy.rows is None:
        raise FederatedError("privacy.rows: is not set, and no record is to be hidden")
    return settings.learning_rate * settings.silos / (privacy.sample_rate * privacy.rows)


def deviation(settings: Settings) -> float:
    """Return the standard deviation of the noise on what one silo sends, in each value."""
    privacy = settings.privacy
    if privacy is None or (privacy.mode == "central" and settings.protection == "clear"):
        return 0.0
    noise = _sensitivity(settings) * privacy.noise_multiplier
    if privacy.mode == "local":
        return noise * math.sqrt(settings.local_steps if privacy.of == "record" else 1)
    return noise / math.sqrt(settings.threshold)


def server_deviation(settings: Settings) -> float:
    """Return the standard deviation of the noise that the server adds to a sum of updates, in each value."""
    privacy = settings.privacy
    if privacy is None or privacy.mode == "local" or settings.protection != "clear":
        return 0.0
    return _sensitivity(settings) * privacy.noise_multiplier


def honest(settings: Settings, size: int) -> float:
    """Return the largest L2 norm of what an honest silo sends, in so many values."""
    privacy = settings.privacy
    if privacy is not None and (privacy.mode, privacy.of) == ("local", "record"):
        # Here the noise is cut along with the rest.
        return allowed(settings.update_norm, deviation=0, size=size)
    return allowed(settings.update_norm, deviation=deviation(settings), size=size)


def update(settings: Settings, net: Network, arrays: Arrays, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return float64[size]: what one silo sends, before it is hidden; within the norm, and with noise as agreed.

    Args:
        settings: What was agreed.
        net: The network.
        arrays: The parameters that the round begins with.
        x: The silo's rows, float[n, inputs].
        y: Their classes, int[n].

    Raises:
        FederatedError: training ran away.
    """
    noise = keystream()
    if settings.privacy is not None and settings.privacy.of == "record":
        return _of_records(settings, settings.privacy, net, arrays, x, y, noise)
    moved = cut(_descended(settings, net, arrays, x, y), settings.update_norm)
    return moved + deviation(settings) * noise.normals(net.size)


def _descended(settings: Settings, net: Network, arrays: Arrays, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    moved = np.zeros(net.size)
    now = arrays
    for _ in range(settings.local_steps):
        with np.errstate(over="ignore", invalid="ignore"):
            moved = moved - settings.learning_rate * gradient_sum(now, x, y) / len(y)
            now = [array + change for array, change in zip(arrays, shaped(moved, net.shapes), strict=True)]
    return moved


def _of_records(
    settings: Settings,
    privacy: Privacy,
    net: Network,
    arrays: Arrays,
    x: np.ndarray,
    y: np.ndarray,
    noise: Keystream,
) -> np.ndarray:
    """Return an update in which each row's part is cut to a norm, and hidden by noise."""
    scale = step_scale(settings)
    local = privacy.mode == "local"
    each = _sensitivity(settings) * privacy.noise_multiplier if local else 0.0
    moved = np.zeros(net.size)
    now = arrays
    for _ in range(settings.local_steps):
        taken = noise.uniforms(len(y)) < privacy.sample_rate
        moved = moved - scale * gradient_sum(now, x[taken], y[taken], record_norm=privacy.record_norm)
        moved = moved + each * noise.normals(net.size)
        now = [array + change for array, change in zip(arrays, shaped(moved, net.shapes), strict=True)]
    if local:
        # What is private stays so, whatever is done to it.
        return cut(moved, settings.update_norm)
    # Cutting moves two vectors no further apart, so the sum's sensitivity is still one row's; the noise comes after it.
    return cut(moved, settings.update_norm) + deviation(settings) * noise.normals(net.size)


def _sensitivity(settings: Settings) -> float:
    """Return by how much one record, or one silo, moves a sum of updates at most, in L2 norm."""
    privacy = settings.privacy
    if privacy is None:
        return 0.0
    if privacy.of == "silo":
        return settings.update_norm
    return privacy.record_norm * step_scale(settings)
