"""Differentially private steps by Opacus, with noise and batches of our own generator, and an exact account.

Abadi et al., "Deep Learning with Differential Privacy" (CCS 2016): each person's gradient is cut to a norm, noise is
added to the sum. The account is by privacy random variables (Gopi, Lee and Wutschitz, "Numerical Composition of
Differential Privacy", NeurIPS 2021), which is an upper bound within 0.01.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from opacus import GradSampleModule, PrivacyEngine
from opacus.accountants import PRVAccountant
from opacus.accountants.utils import get_noise_multiplier
from opacus.optimizers import DPOptimizer
from opacus.optimizers.optimizer import _check_processed_flag, _mark_as_processed
from opacus.validators import ModuleValidator
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from services.shared.randomness import Keystream
from services.trainer.errors import TrainerError

ACCOUNTANT = "prv"


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep warnings back that tell nobody anything to do."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class Noisy(DPOptimizer):  # type: ignore[misc]
    """Opacus' optimiser, with noise from a keystream."""

    noise: Keystream

    def add_noise(self) -> None:
        """Add noise of ``noise_multiplier`` times ``max_grad_norm`` to each sum of gradients."""
        for parameter in self.params:
            _check_processed_flag(parameter.summed_grad)
            drawn = torch.from_numpy(self.noise.normals(parameter.numel())).view_as(parameter)
            scaled = (self.noise_multiplier * self.max_grad_norm * drawn).to(parameter.summed_grad)
            parameter.grad = (parameter.summed_grad + scaled).view_as(parameter)
            _mark_as_processed(parameter.summed_grad)


class _Engine(PrivacyEngine):  # type: ignore[misc]
    """Opacus' engine, which makes ``Noisy`` optimisers."""

    def __init__(self, noise: Keystream) -> None:
        # It warns that torch's generator is no cryptographic one; ours is used instead.
        with _quiet():
            super().__init__(accountant=ACCOUNTANT)
        self._noise = noise

    def _prepare_optimizer(self, **arguments: Any) -> Noisy:
        made = super()._prepare_optimizer(**arguments)
        noisy = Noisy(
            made.original_optimizer,
            noise_multiplier=made.noise_multiplier,
            max_grad_norm=made.max_grad_norm,
            expected_batch_size=made.expected_batch_size,
            loss_reduction=made.loss_reduction,
        )
        noisy.noise = self._noise
        return noisy


class Private:
    """A network whose steps are private, and what they have revealed so far."""

    def __init__(
        self,
        network: nn.Sequential,
        optimiser: torch.optim.Optimizer,
        *,
        rows: int,
        steps_per_epoch: int,
        max_grad_norm: float,
        noise_multiplier: float,
        noise: Keystream,
    ) -> None:
        """Wrap a network and its optimiser.

        Args:
            network: Without batch normalisation (``refuse``).
            optimiser: Of the network.
            rows: That train.
            steps_per_epoch: Each row is drawn with a probability of one over this, at every step.
            max_grad_norm: L2 norm that each row's gradient is cut to.
            noise_multiplier: Standard deviation of the noise, in ``max_grad_norm``.
            noise: Where it comes from.
        """
        self._engine = _Engine(noise)
        # The loader tells the engine how many rows and steps there are. Batches are drawn elsewhere, by Poisson sampling.
        loader = DataLoader(TensorDataset(torch.empty(rows)), batch_sampler=[[0]] * steps_per_epoch)
        self.network: GradSampleModule
        self.optimiser: Noisy
        self.network, self.optimiser, _ = self._engine.make_private(
            module=network,
            optimizer=optimiser,
            data_loader=loader,
            noise_multiplier=noise_multiplier,
            max_grad_norm=max_grad_norm,
            poisson_sampling=False,
        )
        self.network.forbid_grad_accumulation()

    @property
    def history(self) -> list[tuple[float, float, int]]:
        """Noise multiplier, sample rate and number of steps, as the accountant keeps them."""
        return [
            (float(noise), float(rate), int(steps)) for noise, rate, steps in self._engine.accountant.history
        ]

    @history.setter
    def history(self, history: list[tuple[float, float, int]]) -> None:
        self._engine.accountant.history = list(history)

    def epsilon(self, delta: float) -> float:
        """Return what was revealed so far."""
        return epsilon(self._engine.accountant.history, delta)

    def backward(self, inputs: torch.Tensor, answers: torch.Tensor) -> None:
        """Compute the gradient of each row."""
        # Torch warns that the first layer has no inputs to learn about, which is so.
        with _quiet():
            nn.functional.cross_entropy(self.network(inputs), answers).backward()  # type: ignore[no-untyped-call]

    def nobody(self) -> None:
        """Prepare a step for a batch that happened to be empty: it is noise alone, and is accounted for."""
        for parameter in self.network.parameters():
            parameter.grad_sample = parameter.new_zeros((0, *parameter.shape))


def epsilon(history: list[tuple[float, float, int]], delta: float) -> float:
    """Return the epsilon of a history of Poisson-subsampled Gaussian steps, at ``delta``."""
    if not history:
        return 0.0
    accountant = PRVAccountant()
    accountant.history = list(history)
    with _quiet():
        return float(accountant.get_epsilon(delta))


def noise_multiplier(epsilon: float, delta: float, *, steps_per_epoch: int, epochs: int) -> float:
    """Return the least noise that keeps a training within its budget.

    Raises:
        TrainerError: no noise does.
    """
    try:
        with _quiet():
            found = get_noise_multiplier(
                target_epsilon=epsilon,
                target_delta=delta,
                sample_rate=1 / steps_per_epoch,
                steps=epochs * steps_per_epoch,
                accountant=ACCOUNTANT,
            )
    except (ValueError, RuntimeError) as error:
        raise TrainerError(
            f"privacy.epsilon: {epsilon:g} cannot be kept over {epochs} epochs of {steps_per_epoch} steps "
            f"({error}); take fewer epochs or a larger epsilon"
        ) from None
    if not math.isfinite(found):
        raise TrainerError(f"privacy.epsilon: {epsilon:g} cannot be kept with any noise; take fewer epochs")
    return float(found)


def refuse(network: nn.Module, name: str) -> None:
    """Refuse a network whose layers mix the rows of a batch, as batch normalisation does.

    Raises:
        TrainerError: names the layer.
    """
    if ModuleValidator.validate(network, strict=False):
        layers = {type(layer).__name__ for layer in network.modules() if not list(layer.children())}
        wrong = sorted(layer for layer in layers if "BatchNorm" in layer) or sorted(layers)
        raise TrainerError(
            f"model: {name} cannot be trained privately: {wrong[0]} mixes the rows of a batch; use GroupNorm"
        )


def drawn(batches: Keystream, rows: int, steps_per_epoch: int) -> torch.Tensor:
    """Return the rows of one batch: each with a probability of one over ``steps_per_epoch``, whatever the others do."""
    return torch.from_numpy(np.flatnonzero(batches.uniforms(rows) < 1 / steps_per_epoch))
