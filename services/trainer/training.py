"""The training itself: step by step, a checkpoint now and then, and the same weights however often it was killed."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from services.shared import architectures
from services.shared.keys import derived
from services.shared.randomness import Keystream
from services.trainer import checkpoints
from services.trainer.adversarial import pgd
from services.trainer.checkpoints import Point, State
from services.trainer.errors import TrainerError
from services.trainer.examples import Examples
from services.trainer.job import Job
from services.trainer.private import Private, drawn, epsilon, noise_multiplier, refuse

LOW, HIGH = 0.0, 1.0
"""What inputs lie between, once their declared bounds have scaled them."""

Tell = Callable[["Training"], None]
"""Is told after every step."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """What is trained on and what is held out, as tensors."""

    inputs: torch.Tensor
    answers: torch.Tensor
    held_inputs: torch.Tensor
    held_answers: torch.Tensor


def rows(training: Examples, held_out: Examples, shape: tuple[int, ...]) -> Rows:
    """Return examples as tensors, float32[n, *shape] and int64[n]."""

    def tensors(examples: Examples) -> tuple[torch.Tensor, torch.Tensor]:
        values = np.ascontiguousarray(examples.values.reshape(-1, *shape))
        return torch.from_numpy(values), torch.from_numpy(examples.labels)

    inputs, answers = tensors(training)
    held_inputs, held_answers = tensors(held_out)
    return Rows(inputs=inputs, answers=answers, held_inputs=held_inputs, held_answers=held_answers)


def network(job: Job, classes: int) -> nn.Sequential:
    """Return the job's network with the weights that its seed says.

    Raises:
        TrainerError: there is no such network, or it does not fit the job.
    """
    torch.manual_seed(job.seed)
    try:
        made = architectures.build(
            job.model, shape=job.data.example_shape, classes=classes, low=LOW, high=HIGH
        )
    except architectures.ArchitectureError as error:
        raise TrainerError(f"model: {error}") from None
    if job.privacy.budget:
        refuse(made, job.model)
    return made


def steps_per_epoch(count: int, batch_size: int) -> int:
    """Return how many steps an epoch has; the sample rate is one over it."""
    return math.ceil(count / batch_size)


def begun(job: Job, state: State, count: int) -> State:
    """Return the state that a training begins from, with the noise that keeps its budget."""
    budget = job.privacy.budget
    if budget is None:
        # Nothing is hidden, so the seed says everything and the same job gives the same weights.
        return state.model_copy(update={"secret": hashlib.sha256(f"seed {job.seed}".encode()).hexdigest()})
    found = noise_multiplier(
        *budget,
        steps_per_epoch=steps_per_epoch(count, job.training.batch_size),
        epochs=job.training.epochs,
    )
    return state.model_copy(update={"noise_multiplier": found})


class Training:
    """One training under way."""

    def __init__(
        self, job: Job, data: Rows, classes: int, state: State, tensors: dict[str, torch.Tensor]
    ) -> None:
        """Begin, or go on from a checkpoint.

        Args:
            job: What is asked.
            data: What is trained on.
            classes: How many there are.
            state: Of ``begun`` or of a checkpoint.
            tensors: Of a checkpoint; of a beginning, those that stay with it.
        """
        self.job, self.data, self._classes = job, data, classes
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.steps_per_epoch = steps_per_epoch(len(data.answers), job.training.batch_size)
        self.steps = job.training.epochs * self.steps_per_epoch
        self.step = state.step
        self._begun = state
        self.curve = list(state.curve)
        self._kept = {name: tensor for name, tensor in tensors.items() if name.startswith("rows.")}
        secret = bytes.fromhex(state.secret)
        self._noise = Keystream(derived(secret, "noise"), state.noise_block)
        self._batches = Keystream(derived(secret, "batches"), state.batch_block)
        self.plain = network(job, classes).to(self.device)
        kinds = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
        self._optimiser = kinds[job.training.optimiser](self.plain.parameters(), job.training.learning_rate)
        self._private = self._made_private(state)
        if state.step:
            self._restore(tensors)

    def _made_private(self, state: State) -> Private | None:
        if state.noise_multiplier is None:
            return None
        made = Private(
            self.plain,
            self._optimiser,
            rows=len(self.data.answers),
            steps_per_epoch=self.steps_per_epoch,
            max_grad_norm=self.job.privacy.max_grad_norm,
            noise_multiplier=state.noise_multiplier,
            noise=self._noise,
        )
        made.history = list(state.history)
        return made

    def run(self, folder: Path, tell: Tell) -> None:
        """Go to the end, with a checkpoint after every ``checkpoint_steps`` steps.

        Raises:
            TrainerError: a weight is no number any more, or a checkpoint cannot be written.
        """
        inputs, answers = self.data.inputs.to(self.device), self.data.answers.to(self.device)
        while self.step < self.steps:
            which = drawn(self._batches, len(answers), self.steps_per_epoch).to(self.device)
            self._one_step(inputs[which], answers[which])
            self.step += 1
            if self.step % self.steps_per_epoch == 0:
                self.curve.append(self._measured())
            if self.step % self.job.training.checkpoint_steps == 0 or self.step == self.steps:
                self.save(folder)
            tell(self)
        if not all(bool(torch.isfinite(each).all()) for each in self.plain.parameters()):
            raise TrainerError("training.learning_rate: the weights grew without bound; write a smaller one")

    def _one_step(self, inputs: torch.Tensor, answers: torch.Tensor) -> None:
        self.plain.train()
        optimiser = self._private.optimiser if self._private else self._optimiser
        optimiser.zero_grad()
        if len(answers):
            inputs = self._attacked(inputs, answers)
            if self._private:
                self._private.backward(inputs, answers)
            else:
                nn.functional.cross_entropy(self.plain(inputs), answers).backward()  # type: ignore[no-untyped-call]
        elif self._private:
            self._private.nobody()
        else:
            return
        optimiser.step()

    def _attacked(self, inputs: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
        asked = self.job.robustness
        if asked is None:
            return inputs
        if self._private:
            self._private.network.disable_hooks()
        try:
            return pgd(self.plain, inputs, answers, epsilon=asked.epsilon, steps=asked.steps)
        finally:
            if self._private:
                self._private.network.enable_hooks()

    def _measured(self) -> Point:
        answers = self.data.held_answers
        logits = self.logits(self.data.held_inputs)
        return Point(
            epoch=self.step // self.steps_per_epoch,
            loss=float(nn.functional.cross_entropy(logits, answers)),
            accuracy=float((logits.argmax(1) == answers).double().mean()),
            epsilon=self.epsilon,
        )

    def logits(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return what the network says, float32[n, classes], without learning from it."""
        self.plain.eval()
        if self._private:
            self._private.network.disable_hooks()
        try:
            with torch.no_grad():
                said: torch.Tensor = self.plain(inputs.to(self.device)).cpu()
                return said
        finally:
            if self._private:
                self._private.network.enable_hooks()

    @property
    def epsilon(self) -> float | None:
        """What was revealed so far; none where nothing is bounded."""
        budget = self.job.privacy.budget
        return None if self._private is None or budget is None else epsilon(self._private.history, budget[1])

    @property
    def noise_multiplier(self) -> float | None:
        """Standard deviation of the noise, in ``max_grad_norm``."""
        return self._begun.noise_multiplier

    def finished(self) -> nn.Sequential:
        """Return the network as it was learnt, on the CPU and without anything of the training on it."""
        made = network(self.job, self._classes)
        made.load_state_dict(
            {name: tensor.detach().cpu().clone() for name, tensor in self.plain.state_dict().items()}
        )
        return made.eval()

    def save(self, folder: Path) -> None:
        """Write a checkpoint.

        Raises:
            TrainerError: it cannot be written.
        """
        held = self._optimiser.state_dict()["state"]
        state = self._begun.model_copy(
            update={
                "step": self.step,
                "noise_block": self._noise.block,
                "batch_block": self._batches.block,
                "history": tuple(self._private.history) if self._private else (),
                "curve": tuple(self.curve),
            }
        )
        checkpoints.write(
            folder,
            state,
            {
                **self._kept,
                **{f"weights.{name}": each for name, each in self.plain.state_dict().items()},
                **{
                    f"optimiser.{number}.{name}": each
                    for number, one in held.items()
                    for name, each in one.items()
                    if isinstance(each, torch.Tensor)
                },
                "generator": torch.random.get_rng_state(),
            },
        )

    def _restore(self, tensors: dict[str, torch.Tensor]) -> None:
        weights = {
            name.removeprefix("weights."): tensor
            for name, tensor in tensors.items()
            if name.startswith("weights.")
        }
        held: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith("optimiser."):
                _, number, field = name.split(".", 2)
                held.setdefault(int(number), {})[field] = tensor
        try:
            self.plain.load_state_dict(weights)
            groups = self._optimiser.state_dict()["param_groups"]
            self._optimiser.load_state_dict({"state": held, "param_groups": groups})
            torch.random.set_rng_state(tensors["generator"])
        except (RuntimeError, KeyError, ValueError, TypeError):
            raise TrainerError(f"{checkpoints.NAME}: does not fit the network of the job") from None
