"""One job from start to end: read, check, screen, charge, train, sign; wherever it stops, it goes on from there."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import math
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np
import pyarrow as pa
import torch

from services.modelchain import signing
from services.modelchain.errors import ModelError
from services.modelchain.keys import Signer, Verifier
from services.shared.data_client import BUDGET_EXHAUSTED, DataApiClient, DataApiError
from services.trainer import bucket, candidate, checkpoints, manifest, training
from services.trainer import settings as environment
from services.trainer.checkpoints import State
from services.trainer.errors import NoBudget, Screened, TrainerError, TryAgain
from services.trainer.examples import (
    Declared,
    Examples,
    declared,
    examples,
    one_for_each_unit,
    several_classes,
)
from services.trainer.job import Job, within
from services.trainer.manifest import Manifest
from services.trainer.screening import quarantine
from services.trainer.screening.screen import screened
from services.trainer.settings import Settings
from services.trainer.split import held_out

QUARANTINE, WORK = "quarantine", "work"
"""Folders that a job writes into, beside the candidate."""

LIBRARIES = ("numpy", "opacus", "scipy", "torch")
"""Another version of these may add up otherwise: a checkpoint is good for those that it was made with."""

MOST_THREADS = 4

_AWAY = 500


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where a job comes from and goes to."""

    job: Path
    manifest: Path
    into: Path

    @property
    def work(self) -> Path:
        """Where the checkpoint is."""
        return self.into / WORK


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a job came to."""

    digest: str
    epsilon: float | None
    accuracy: float
    uploaded: str | None


def run(places: Places, job: Job, settings: Settings, tell: training.Tell) -> Result:
    """Run a job, or go on with it.

    Args:
        places: Where everything is.
        job: As it was read from ``places.job``.
        settings: What the environment says.
        tell: Is told after every step.

    Raises:
        TrainerError: with the exit code of what is wrong.
    """
    where = places.job.name
    within(job, where, most_epsilon=settings.most_epsilon, most_delta=settings.most_delta)
    training.network(job, 2)
    signer = environment.signer(settings)
    vouched = manifest.opened(places.manifest, environment.manifest_verifier(settings))
    tls = environment.trusted(settings)
    with _alone(places.work):
        checkpoints.tidy(places.work)
        found = checkpoints.read(places.work)
        # Before anything is added up.
        torch.set_num_threads(found[0].threads if found else min(MOST_THREADS, os.cpu_count() or 1))
        client = DataApiClient(settings.data_api_url, token=lambda: environment.token(settings), tls=tls)
        try:
            with answering():
                said, everything = read(client, job, vouched, where)
            _bounded(job, said, everything, where)
            state, tensors = _known(found, job, vouched) or _begun(places, job, everything, vouched)
            if (places.into / candidate.CANDIDATE).exists():
                _refuse_another(places.into, signer.verifier, job)
            with answering():
                _charge(client, job, state)
        finally:
            client.close()
        members, held = (
            everything[tensors["rows.train"].numpy()],
            everything[tensors["rows.held_out"].numpy()],
        )
        rows = training.rows(members, held, job.data.example_shape)
        learnt = training.Training(job, rows, len(said.classes), state, tensors)
        learnt.run(places.work, tell)
        made = candidate.Made(job, said, vouched, learnt, members, held, state)
        return _finished(places, settings, signer, made)


def read(client: DataApiClient, job: Job, vouched: Manifest, where: str) -> tuple[Declared, Examples]:
    """Return the declaration and the rows, each batch as it was vouched for.

    Raises:
        TrainerError: the data are not what the manifest or the declaration says.
        DataApiError: the API refused, or did not come back.
    """
    said = declared(client.schema(job.data.dataset), job.data, where)
    names = columns(job, said)
    batches = client.batches(job.data.dataset, purpose=job.data.purpose, columns=names)
    checked = manifest.checked(
        vouched, dataset=job.data.dataset, purpose=job.data.purpose, columns=names, read=batches
    )
    return said, examples(checked, job.data, said)


def columns(job: Job, said: Declared) -> list[str]:
    """Return everything that is read of a row, in order."""
    return list(dict.fromkeys((*said.extra, *job.data.columns, job.data.label)))


def vouch(client: DataApiClient, job: Job, where: str) -> Manifest:
    """Return the manifest of what a job reads now.

    Raises:
        TrainerError: the job names what the dataset has not.
        DataApiError: the API refused, or did not come back.
    """
    said = declared(client.schema(job.data.dataset), job.data, where)
    batches: Iterator[pa.RecordBatch] = client.batches(
        job.data.dataset, purpose=job.data.purpose, columns=columns(job, said)
    )
    return manifest.made(job.data.dataset, job.data.purpose, batches)


def _bounded(job: Job, said: Declared, everything: Examples, where: str) -> None:
    """Refuse a training that would not keep the privacy of those in the data."""
    budget = job.privacy.budget
    if budget is None:
        if not said.public:
            raise TrainerError(
                f"{where}: privacy.reason_for_none: columns of {job.data.dataset} are sensitive or identifying; "
                "write epsilon and delta instead"
            )
        return
    people = len(np.unique(everything.units))
    if budget[1] > 1 / people:
        raise TrainerError(
            f"{where}: privacy.delta: {budget[1]:g} is over 1/n for the n = {people} in the data, and would allow "
            f"publishing one of them whole; write less than {1 / people:.2g}"
        )


def _begun(
    places: Places, job: Job, everything: Examples, vouched: Manifest
) -> tuple[State, dict[str, torch.Tensor]]:
    """Screen, choose who trains, and keep both in a first checkpoint: what follows never chooses anew."""
    if (places.into / candidate.CANDIDATE).exists():
        raise TrainerError(f"{places.into}/{candidate.CANDIDATE}: is already there; name another --out")
    one_each = np.flatnonzero(one_for_each_unit(everything))
    outcome = screened(everything[one_each], job.screening, job.seed)
    shutil.rmtree(places.into / QUARANTINE, ignore_errors=True)
    quarantine.write(
        places.into / QUARANTINE,
        everything[one_each],
        outcome,
        dataset=job.data.dataset,
        manifest=vouched.digest,
    )
    if outcome.excess:
        raise Screened(
            f"{job.data.dataset}: the screens stopped the job: {'; '.join(outcome.excess)}; "
            f"see {places.into / QUARANTINE}"
        )
    stay = one_each[outcome.stays]
    held = held_out(everything.units[stay], job.seed, job.calibration.share)
    members = everything[stay[~held]]
    if len(members) < job.training.batch_size:
        raise TrainerError(
            f"{places.job.name}: training.batch_size: {job.training.batch_size} is over the {len(members)} rows that "
            "are left to train; write less"
        )
    several_classes(members, job.data)
    if held.sum() < 2 * math.ceil(1 / job.calibration.false_positive_rate):
        raise TrainerError(
            f"{places.job.name}: calibration: {held.sum()} rows are held out, and false_positive_rate needs "
            f"{2 * math.ceil(1 / job.calibration.false_positive_rate)}; hold out a larger share, or allow a higher rate"
        )
    fresh = State(
        job=identity(job, vouched),
        name=job.name,
        version=job.version,
        started_at=datetime.now(UTC).replace(microsecond=0),
        step=0,
        secret=secrets.token_hex(32),
        threads=torch.get_num_threads(),
    )
    state = training.begun(job, fresh, len(members))
    tensors = {"rows.train": torch.from_numpy(stay[~held]), "rows.held_out": torch.from_numpy(stay[held])}
    checkpoints.write(places.work, state, tensors)
    return state, tensors


def _known(
    found: tuple[State, dict[str, torch.Tensor]] | None, job: Job, vouched: Manifest
) -> tuple[State, dict[str, torch.Tensor]] | None:
    if found is not None and found[0].job != identity(job, vouched):
        raise TrainerError(
            f"{checkpoints.NAME}: is of another job ({found[0].name} {found[0].version}), of other data or of other "
            "libraries; name another --out for this one"
        )
    return found


def identity(job: Job, vouched: Manifest) -> str:
    """Return what a checkpoint belongs to: SHA-256 over job, data and libraries, in hex."""
    versions = [f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES]
    return hashlib.sha256("\n".join([job.digest(), vouched.digest, *versions]).encode()).hexdigest()


def release(state: State) -> str:
    """Return what is charged: a digest of the job and of its noise.

    The same digest is the same noise and so the same model, which costs once. Whoever starts over draws other noise,
    has another digest, and pays again.
    """
    return f"sha256:{hashlib.sha256(f'release {state.job} {state.secret}'.encode()).hexdigest()}"


def _charge(client: DataApiClient, job: Job, state: State) -> None:
    """Charge the budget before the first step."""
    budget = job.privacy.budget
    if budget is None:
        return
    asked = {
        "purpose": job.data.purpose,
        "release": release(state),
        "milli_epsilon": math.ceil(round(budget[0] * 1000, 6)),
        "pico_delta": math.ceil(round(budget[1] * 1e12, 6)),
    }
    client.release(job.data.dataset, asked)


def _finished(places: Places, settings: Settings, signer: Signer, made: candidate.Made) -> Result:
    target = places.into / candidate.CANDIDATE
    if target.exists():
        # It was killed after the candidate was whole.
        digest = _refuse_another(places.into, signer.verifier, made.job)
    else:
        digest = candidate.write(places.into, made, signer)
    uploaded = bucket.upload(settings, made.job.name, made.job.version, candidate.files(places.into))
    checkpoints.remove(places.work)
    last = made.training.curve[-1]
    return Result(digest=digest, epsilon=last.epsilon, accuracy=last.accuracy, uploaded=uploaded)


def _refuse_another(into: Path, verifier: Verifier, job: Job) -> str:
    try:
        there = signing.verify_candidate(into / candidate.CANDIDATE, verifier)
    except ModelError as error:
        raise TrainerError(f"{into}/{candidate.CANDIDATE}: is there and is not ours: {error}") from None
    if (there.schema.name, there.schema.version) != (job.name, job.version):
        raise TrainerError(f"{into}/{candidate.CANDIDATE}: is another model; name another --out")
    return there.digest


@contextmanager
def _alone(work: Path) -> Iterator[None]:
    """Hold a folder for one process; the system lets go of it when the process ends, however it ends."""
    try:
        work.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(work / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise TrainerError(f"{work}: cannot be written: {error.strerror}") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise TrainerError(
            f"{work}: another process trains here; wait for it, or name another --out"
        ) from None
    finally:
        os.close(handle)


@contextmanager
def answering() -> Iterator[None]:
    try:
        yield
    except DataApiError as error:
        if error.kind == BUDGET_EXHAUSTED:
            raise NoBudget(f"the privacy budget of the dataset is spent: {error}") from None
        if error.status >= _AWAY:
            raise TryAgain(f"DATA_API_URL: {error}") from None
        raise TrainerError(f"the data-access API refused: {error}") from None
    except httpx.HTTPError as error:
        raise TryAgain(f"DATA_API_URL: no answer ({type(error).__name__})") from None
