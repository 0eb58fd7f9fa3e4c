"""One model that serves: what it is, and how a query of its kind becomes answers and findings."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from time import perf_counter
from typing import Any, NamedTuple, Protocol

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from services.gateway import messages
from services.gateway.batching import Batcher
from services.gateway.distances import text_features
from services.gateway.inference import Session, self_test
from services.gateway.messages import Message, Reading, messages_of
from services.gateway.screening import NOVELTY, SQUEEZING, Screens
from services.gateway.serving import TENSOR_SCREENS, TEXT, Mode, Serving
from services.gateway.tensors import Floats, rows_of
from services.modelchain.release import ModelError, Release
from services.modelchain.schema import Card, Digest, Privacy, Schema, TensorInput, TextInput, Verdict
from services.screens.findings import Finding

MOST_ROWS_A_RUN = 256
"""Of one run of a model, so that a query behind a full queue waits for a bounded run."""

MOST_TEXTS_A_RUN = 32
"""The same for texts, which are read in it: a long one takes milliseconds."""

QUICK_SECONDS = 0.003
"""A model whose largest run takes no longer needs no thread: to hand it over would cost more."""


class Row(NamedTuple):
    """One input, answered."""

    answer: NDArray[np.float32]
    """Probabilities, float32[classes]."""
    findings: Sequence[Finding]
    """What screens object to."""
    features: NDArray[Any]
    """The input as numbers, for the watch over extraction."""


class Kind(Protocol):
    """How inputs of one kind are read and answered."""

    def parsed(self, inputs: list[Any], *, most: int) -> Any:
        """Return the inputs of a query; raise ``Problem`` 422 naming the field."""

    def digest(self, parsed: Any, key: bytes) -> str:
        """Return a keyed digest of inputs: equal ones can be told, and what was in them cannot."""

    def is_slow(self, parsed: Any, /) -> bool:
        """Say whether an answer takes seconds."""

    async def answered(self, parsed: Any) -> list[Row]:
        """Return the answers."""

    def mode(self, serving: Serving, screen: str) -> Mode:
        """Return what becomes of an input that a screen objects to."""


@dataclass(frozen=True, kw_only=True)
class Served:
    """One model in memory."""

    schema: Schema
    card: Card
    privacy: Privacy
    verdict: Verdict
    digest: Digest
    fingerprint: str
    """Of the release in the store."""
    serving: Serving
    kind: Kind

    def expired(self, now: datetime) -> bool:
        """Say whether the red team's verdict holds no more."""
        return self.verdict.holds_until <= now


def served(release: Release, serving: Serving, fingerprint: str, reading: Reading) -> Served:
    """Load a release that was verified and tried.

    Raises:
        ModelError: the operator's modes are for other screens than it has.
        InferenceError: it does not load, or does not answer as it says.
        ValueError: the arrays of its screens do not fit together.
    """
    session = Session(release.graph, release.schema, threads=serving.threads)
    self_test(session)
    takes = release.schema.input
    _check_modes(takes, serving)
    kind: Kind
    if isinstance(takes, TensorInput):
        kind = _Numbers(Screens(session, takes, release.statistics, release.arrays), takes, serving)
    else:
        if takes.most_images:
            reading.prepare()
        kind = _Texts(session, takes, serving, reading)
    return Served(
        schema=release.schema,
        card=release.card,
        privacy=release.privacy,
        verdict=release.verdict,
        digest=release.digest,
        fingerprint=fingerprint,
        serving=serving,
        kind=kind,
    )


def _check_modes(takes: TensorInput | TextInput, serving: Serving) -> None:
    tensor = isinstance(takes, TensorInput)
    strangers = sorted(name for name in serving.screens if (name in TENSOR_SCREENS) != tensor)
    if strangers:
        raise ModelError(
            f"serving.yaml gives a mode to {strangers[0]}, which a model of {takes.kind}s has not"
        )


class _Numbers:
    """Inputs that are numbers."""

    def __init__(self, screens: Screens, takes: TensorInput, serving: Serving) -> None:
        self._takes, self._screens = takes, screens
        self._batcher = Batcher(
            screens.measured, most_rows=MOST_ROWS_A_RUN, most_waiting=serving.most_waiting
        )
        self._is_quick = _seconds(screens, takes, serving.most_rows) < QUICK_SECONDS

    def parsed(self, inputs: list[Any], *, most: int) -> Floats:
        return rows_of(inputs, self._takes, most=most)

    def digest(self, parsed: Floats, key: bytes) -> str:
        return hmac.new(key, parsed.tobytes(), hashlib.sha256).hexdigest()

    def is_slow(self, _parsed: Floats) -> bool:
        return False

    async def answered(self, parsed: Floats) -> list[Row]:
        answers, novel, deceiving = await self._batcher.run(parsed)
        return [
            Row(answer, [found for found, is_so in ((NOVELTY, new), (SQUEEZING, made)) if is_so], features)
            for answer, new, made, features in zip(
                answers, novel.tolist(), deceiving.tolist(), parsed, strict=True
            )
        ]

    def mode(self, serving: Serving, screen: str) -> Mode:
        return serving.mode(screen)


def _seconds(screens: Screens, takes: TensorInput, rows: int) -> float:
    """Return how long so many inputs take, at best of three."""
    batch = np.full((rows, *takes.shape), (takes.low + takes.high) / 2, np.float32)
    took = []
    for _ in range(3):
        began = perf_counter()
        screens.measured(batch, ort.RunOptions())
        took.append(perf_counter() - began)
    return min(took)


class _Texts:
    """Inputs that are texts, with images or without."""

    def __init__(self, session: Session, takes: TextInput, serving: Serving, reading: Reading) -> None:
        self._session, self._takes, self._reading = session, takes, reading
        self._batcher = Batcher(self._run, most_rows=MOST_TEXTS_A_RUN, most_waiting=serving.most_waiting)

    def parsed(self, inputs: list[Any], *, most: int) -> list[Message]:
        return messages_of(inputs, self._takes, most=most)

    def digest(self, parsed: list[Message], key: bytes) -> str:
        told = hmac.new(key, digestmod=hashlib.sha256)
        for message in parsed:
            # With numbers and lengths, so that no two queries are one.
            told.update(len(message.images).to_bytes(8, "big"))
            for part in (message.text.encode("utf-8", "surrogatepass"), *message.images):
                told.update(len(part).to_bytes(8, "big") + part)
        return told.hexdigest()

    def is_slow(self, parsed: list[Message]) -> bool:
        return any(message.images for message in parsed)

    async def answered(self, parsed: list[Message]) -> list[Row]:
        rows = np.empty(len(parsed), dtype=object)
        for place, message in enumerate(parsed):
            rows[place] = await self._reading.parts(message, f"inputs.{place}")
        answers, findings, features = await self._batcher.run(rows)
        return [Row(*each) for each in zip(answers, findings, features, strict=True)]

    def _run(self, rows: NDArray[Any], options: ort.RunOptions) -> tuple[NDArray[Any], ...]:
        """Read and answer a batch; findings and features come as objects, one a message."""
        read = [messages.read(parts, self._takes.most_characters) for parts in rows]
        answers = self._session.run(np.array([[each.text] for each in read], dtype=object), options)
        findings, features = np.empty(len(read), dtype=object), np.empty(len(read), dtype=object)
        for place, each in enumerate(read):
            findings[place], features[place] = each.findings, text_features(each.text)
        return answers, findings, features

    def mode(self, serving: Serving, screen: str) -> Mode:
        return serving.mode(screen, family=TEXT)
