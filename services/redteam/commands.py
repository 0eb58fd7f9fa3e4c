"""The commands that attack: a candidate in a folder, or one in the bucket of models that is released if it withstands."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import torch
from threadpoolctl import threadpool_limits

from services.modelchain import signing, strict_json
from services.modelchain.errors import ModelError, Unreadable
from services.modelchain.folder import Candidate
from services.modelchain.keys import Signer, Verifier
from services.modelchain.schema import Verdict
from services.redteam import (
    data,
    dataset,
    judgement,
    named,
    page,
    settings,
    subject,
    terminal,
    thresholds,
    verdicts,
)
from services.redteam.bucket import JUDGED, Bucket
from services.redteam.errors import FAILED, PASSED, RedTeamError, Unfit
from services.redteam.judgement import Done, Watch


def run(asked: argparse.Namespace) -> int:
    """Attack a candidate; return the exit code.

    Raises:
        RedTeamError: something is wrong, and there is no verdict.
    """
    own, trainer = named.signer(asked), named.trainer(asked)
    verdict = _run(asked, asked.candidate, asked.out, own, trainer)
    return PASSED if verdict.passed else FAILED


def _run(asked: argparse.Namespace, folder: Path, out: Path, own: Signer, trainer: Verifier) -> Verdict:
    read = thresholds.read(asked.thresholds)
    _absent(out)
    candidate = _genuine(folder, trainer)
    if own.verifier.fingerprint == trainer.fingerprint:
        raise RedTeamError("the trainer's key and the red team's are one; nobody judges their own model")
    with _quiet():
        model = subject.opened(candidate)
        examples = _examples(asked, candidate)
        found = _judged(model, examples, read, asked)
    verdict = judgement.verdict(candidate, found, read)
    verdicts.write(out, verdict, page.written(candidate, verdict, found, examples), own)
    if asked.junit:
        _junit(asked.junit, verdict, found)
    if asked.format == "json":
        sys.stdout.write(strict_json.written(verdict).decode())
    else:
        terminal.report(verdict, found, str(out))
    sys.stdout.flush()
    return verdict


def _examples(asked: argparse.Namespace, candidate: Candidate) -> data.Examples:
    if asked.job is None:
        return data.read(asked.data, candidate.schema)
    return dataset.read(settings.read(os.environ), dataset.job(asked.job), candidate)


def gate(asked: argparse.Namespace) -> int:
    """Fetch a candidate from the bucket of models, attack it, and release it if it withstands; return the exit code.

    The verdict goes to the bucket whichever way it went, with its page.

    Raises:
        RedTeamError: something is wrong, and nothing is released.
    """
    told = settings.read(os.environ)
    own, trainer, bucket = settings.signer(told), settings.trainer(told), Bucket(told)
    with tempfile.TemporaryDirectory() as name:
        candidate, out, released = (Path(name) / each for each in ("candidate", "out", "release"))
        bucket.fetch(asked.name, asked.version, candidate)
        verdict = _run(asked, candidate, out, own, trainer)
        about = f"{verdict.model}/{verdict.version}"
        if about != f"{asked.name}/{asked.version}":
            raise Unfit(f"{asked.name} {asked.version}: is {about} by its own word")
        place = bucket.put(out, f"{JUDGED}/{about}/{verdict.judged_at:%Y%m%dT%H%M%SZ}")
        if verdict.passed:
            digest = thresholds.read(asked.thresholds).digest
            verdicts.promote(
                candidate, out, thresholds_digest=digest, into=released, trainer=trainer, own=own
            )
            place = bucket.put(released, about)
    sys.stderr.write(f"redteam: {'released into' if verdict.passed else 'not released; see'} {place}\n")
    return PASSED if verdict.passed else FAILED


def _judged(
    model: subject.TensorModel | subject.TextModel,
    examples: data.Examples,
    read: thresholds.Read,
    asked: argparse.Namespace,
) -> list[Done]:
    count = len(judgement.plan(model, examples, read, asked.seed))
    with terminal.Watched(count) as watched:
        watch: Watch = watched
        return judgement.judge(model, examples, read, seed=asked.seed, watch=watch)


def _genuine(path: Path, trainer: Verifier) -> Candidate:
    try:
        return signing.verify_candidate(path, trainer)
    except Unreadable as error:
        raise RedTeamError(str(error)) from None
    except ModelError as error:
        raise Unfit(f"{path}: {error}") from None


def _absent(path: Path) -> None:
    # Said now rather than after the attacks.
    if os.path.lexists(path):
        raise RedTeamError(f"{path}: is already there, and nothing is overwritten")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the libraries' own remarks off the terminal, and their threads from adding up in another order each time."""
    torch.set_num_threads(1)
    logging.getLogger("art").setLevel(logging.ERROR)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _junit(path: Path, verdict: Verdict, found: list[Done]) -> None:
    suites = ElementTree.Element("testsuites", name=f"{verdict.model} {verdict.version}")
    for done in found:
        failures = sum(not each.check.passed for each in done.result.measured)
        suite = ElementTree.SubElement(
            suites,
            "testsuite",
            name=done.attack.name,
            tests=str(len(done.result.measured)),
            failures=str(failures),
            time=f"{done.seconds:.3f}",
        )
        for each in done.result.measured:
            case = ElementTree.SubElement(suite, "testcase", classname=done.attack.name, name=each.check.name)
            if not each.check.passed:
                side = "at least" if each.least else "at most"
                said = f"found {each.check.value:.4g}, {side} {each.check.threshold:.4g} is asked; {each.check.about}"
                ElementTree.SubElement(case, "failure", message=said)
    try:
        ElementTree.ElementTree(suites).write(path, encoding="utf-8", xml_declaration=True)
    except OSError as error:
        raise RedTeamError(f"{path}: cannot be written: {error.strerror}") from None
