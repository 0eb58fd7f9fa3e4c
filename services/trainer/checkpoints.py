"""Checkpoints: everything that a training goes on from, in one file, whole or not at all.

A checkpoint of a private training holds the key that its noise comes from. Whoever reads it can take the noise off the
weights, so it is for the trainer alone (mode 0600) and goes when the candidate is made. Numbers are safetensors and the
rest is JSON: opening a file runs nothing in it.
"""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Annotated

import torch
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from services.trainer.errors import TrainerError

NAME = "checkpoint.safetensors"
_STATE = "state"


class Point(BaseModel):
    """After one epoch: how the model does on rows that were held out, and what it has revealed."""

    model_config = ConfigDict(frozen=True)
    epoch: int
    loss: float
    accuracy: float
    epsilon: float | None


class State(BaseModel):
    """What is no tensor."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    format: int = 1
    job: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Digest of job, data and libraries: another job's checkpoint is refused."""
    name: str
    version: int
    started_at: AwareDatetime
    step: Annotated[int, Field(ge=0)]
    secret: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", repr=False)]
    """The key of noise and batches."""
    noise_block: Annotated[int, Field(ge=0)] = 0
    batch_block: Annotated[int, Field(ge=0)] = 0
    noise_multiplier: float | None = None
    history: tuple[tuple[float, float, int], ...] = ()
    """The accountant's."""
    curve: tuple[Point, ...] = ()


def write(folder: Path, state: State, tensors: dict[str, torch.Tensor]) -> None:
    """Write a checkpoint in place of the last one.

    Raises:
        TrainerError: it cannot be written.
    """
    data = save(
        {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()},
        {_STATE: state.model_dump_json()},
    )
    path, beside = folder / NAME, folder / f".{NAME}.{secrets.token_hex(8)}"
    try:
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        _to_disk(folder)
    except OSError as error:
        raise TrainerError(f"{path}: cannot be written: {error.strerror}") from None
    finally:
        beside.unlink(missing_ok=True)


def read(folder: Path) -> tuple[State, dict[str, torch.Tensor]] | None:
    """Return the checkpoint of a folder, if there is one.

    Raises:
        TrainerError: it is damaged.
    """
    path = folder / NAME
    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            state = State.model_validate(json.loads((file.metadata() or {})[_STATE]))
            return state, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (OSError, SafetensorError, ValidationError, KeyError, ValueError):
        raise TrainerError(
            f"{path}: is no checkpoint, or is damaged; without it training begins anew and is charged anew"
        ) from None


def tidy(folder: Path) -> None:
    """Remove what a process left that was killed while it wrote; nobody else may be writing."""
    for left in folder.glob(f".{NAME}.*"):
        left.unlink()


def remove(folder: Path) -> None:
    """Remove the checkpoint, and with it the key of the noise."""
    (folder / NAME).unlink(missing_ok=True)
    _to_disk(folder)


def _to_disk(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
