"""A job that is killed, again and again, ends in the same weights at the same epsilon, charged once."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from services.modelchain.folder import Candidate
from services.modelchain.keys import file_verifier
from services.modelchain.signing import verify_candidate
from services.trainer import checkpoints
from services.trainer import job as jobs
from services.trainer.__main__ import main
from services.trainer.run import Places, run
from services.trainer.settings import read
from services.trainer.training import Training
from tests.services.support import until
from tests.services.trainer.conftest import Site

CHANGES = {
    "data__dataset": "digits_poor",
    "training__epochs": 5,
    "training__batch_size": 48,
    "training__checkpoint_steps": 1,
    "robustness": {"epsilon": 0.1, "steps": 2},
}
"""Attacks start at random places, so torch's own generator counts too."""


def start(site: Site, path: Path, out: Path) -> subprocess.Popen[bytes]:
    words = [str(path), "--manifest", str(path.parent / "manifest"), "--out", str(out)]
    return subprocess.Popen(
        [sys.executable, "-m", "services.trainer", "run", *words],
        env={**os.environ, **site.environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    _, told = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL, f"it ended before it was killed: {told.decode()}"


def killed_at(site: Site, path: Path, out: Path, step: int) -> int:
    """Start the job, kill it at a step or soon after, and return the step of the checkpoint that is left."""
    process = start(site, path, out)

    def far_enough() -> bool:
        found = checkpoints.read(out / "work") if out.exists() else None
        return process.poll() is not None or (found is not None and found[0].step >= step)

    until(far_enough, seconds=60)
    kill(process)
    found = checkpoints.read(out / "work")
    assert found is not None
    return found[0].step


def candidate(site: Site, out: Path) -> Candidate:
    return verify_candidate(out / "candidate", file_verifier(site.folder / "trainer.pub"))


def test_a_job_that_is_killed_at_any_point_gives_the_same_and_is_charged_once(
    trainer: Site, tmp_path: Path
) -> None:
    path = trainer.write(tmp_path, **CHANGES)
    trainer.vouch(path)
    before = trainer.spent("digits_poor")
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    # Where it was killed the first time, another goes on undisturbed: the same draw of noise.
    assert killed_at(trainer, path, killed, 0) < 10
    whole.mkdir()
    shutil.copytree(killed / "work", whole / "work")
    assert killed_at(trainer, path, killed, 15) >= 15
    # And at the end, while the candidate is written.
    process = start(trainer, path, killed)
    until(lambda: process.poll() is not None or (killed / ".candidate").exists(), seconds=60)
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    for out in (killed, whole):
        assert trainer.run(path, manifest=tmp_path / "manifest", out=out) == 0
    first, second = candidate(trainer, killed), candidate(trainer, whole)
    assert first.weights == second.weights
    assert first.digest == second.digest, "every file of the model is the same, to the byte"
    assert first.privacy.epsilon == second.privacy.epsilon
    assert trainer.spent("digits_poor") - before == 3000
    # Started over, it draws other noise, would be another model, and is charged again.
    again = tmp_path / "again"
    with pytest.raises(KeyboardInterrupt):
        run(
            Places(job=path, manifest=tmp_path / "manifest", into=again),
            jobs.read(path),
            read(os.environ),
            stop,
        )
    assert trainer.spent("digits_poor") - before == 6000


def stop(_: Training) -> None:
    raise KeyboardInterrupt


@pytest.fixture
def unfinished(trainer: Site, tmp_path: Path) -> Path:
    """Return a job's file, beside a checkpoint of it in ``out``."""
    path = trainer.write(tmp_path, **CHANGES, version=2)
    trainer.vouch(path)
    killed_at(trainer, path, tmp_path / "out", 2)
    return path


def test_checkpoints_that_are_not_the_jobs_are_refused(
    trainer: Site, unfinished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spent = trainer.spent("digits_poor")
    checkpoint = tmp_path / "out" / "work" / checkpoints.NAME
    assert checkpoint.stat().st_mode & 0o077 == 0

    def said(path: Path) -> str:
        capsys.readouterr()
        assert trainer.run(path, manifest=tmp_path / "manifest", out=tmp_path / "out") == 2
        return capsys.readouterr().err

    # Another job.
    (tmp_path / "other").mkdir()
    other = trainer.write(tmp_path / "other", **CHANGES, version=3)
    assert "checkpoint.safetensors: is of another job (digits 2)" in said(other)
    # Two at once.
    process = start(trainer, unfinished, tmp_path / "out")
    before = checkpoints.read(tmp_path / "out" / "work")
    assert before is not None

    def further() -> bool:
        now = checkpoints.read(tmp_path / "out" / "work")
        return now is not None and now[0].step > before[0].step

    until(lambda: process.poll() is not None or further(), seconds=60)
    process.send_signal(signal.SIGSTOP)
    try:
        assert "another process trains here" in said(unfinished)
    finally:
        kill(process)
    # What it holds is told, and its secret is not.
    kept = checkpoints.read(tmp_path / "out" / "work")
    assert kept is not None
    assert main(["inspect-checkpoint", str(tmp_path / "out"), "--delta", "1e-4"]) == 0
    told = capsys.readouterr().out
    assert '"epsilon": ' in told
    assert kept[0].secret not in told
    # A damaged one.
    checkpoint.write_bytes(checkpoint.read_bytes()[:-7])
    assert "is no checkpoint, or is damaged" in said(unfinished)
    assert trainer.spent("digits_poor") == spent
