"""Small models that are signed and released as real ones are, and the real gateway in a process of its own."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from services.gateway.settings import AUDIENCE
from services.modelchain import folder, keys
from services.modelchain.keys import Signer
from services.modelchain.release import promote
from services.modelchain.schema import (
    BitDepth,
    Card,
    Check,
    Median,
    Output,
    Privacy,
    Schema,
    Statistics,
    TensorInput,
    TextInput,
    Verdict,
)
from services.modelchain.signing import sign_candidate
from services.screens import novelty, squeezing
from services.shared.local import ISSUER, Issuer, certificates, free_port
from tests.services.modelchain import making
from tests.services.support import until

DIGITS = tuple(map(str, range(10)))

CLIENTS = """
classes:
  scientist:
    digits:
      outputs: {kind: rounded, decimals: 2}
      daily_queries: 1000000
      on_suspicion: label-only
    spam:
      outputs: {kind: top-k, k: 1, decimals: 1}
      daily_queries: 1000000
      on_suspicion: refuse
  poor:
    digits:
      outputs: {kind: label}
      daily_queries: 3
      on_suspicion: label-only
principals:
  training/trainer: scientist
  web/poor: poor
"""

SERVING = """
models:
  digits:
    screens: {novelty: refuse, squeezing: answer-with-flag}
  spam:
    body_bytes: 4194304
    deadline_seconds: 60
    screens: {text: answer-with-flag, homoglyph: refuse}
"""


def graph(
    nodes: Sequence[Any],
    takes: tuple[str, Sequence[int]],
    gives: tuple[str, int],
    weights: Mapping[str, np.ndarray],
) -> bytes:
    """Return a graph of numbers with one input and one output, batch open."""
    made = making.model(
        list(nodes),
        [helper.make_tensor_value_info(takes[0], TensorProto.FLOAT, ["batch", *takes[1]])],
        [helper.make_tensor_value_info(gives[0], TensorProto.FLOAT, ["batch", gives[1]])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return bytes(made.SerializeToString())


@cache
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Return scikit-learn's digits, float32[1797, 8, 8] from 0 to 16, and what they are."""
    found = load_digits()
    return found.images.astype(np.float32), found.target


def image(number: int = 0) -> list[list[float]]:
    """Return one digit as the body of a query has it."""
    return [[float(value) for value in row] for row in digits()[0][number]]


@cache
def _classifier() -> tuple[np.ndarray, np.ndarray]:
    images, targets = digits()
    fitted = LogisticRegression(max_iter=200, C=0.01).fit(images[:1200].reshape(-1, 64) / 16, targets[:1200])
    return fitted.coef_.T.astype(np.float32) / 16, fitted.intercept_.astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a candidate is written from."""

    schema: Schema
    graph: bytes
    statistics: Statistics
    arrays: Mapping[str, np.ndarray]
    weights: bytes | None = None

    def as_version(self, version: int) -> Made:
        return replace(self, schema=self.schema.model_copy(update={"version": version}))


@cache
def digits_model() -> Made:
    """A linear model of digits, with both screens calibrated as they are in earnest."""
    weights, bias = _classifier()
    schema = Schema(
        name="digits",
        version=1,
        input=TensorInput(name="image", shape=(8, 8), low=0, high=16),
        output=Output(name="probabilities", classes=DIGITS),
    )
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weights", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    made = graph(
        nodes,
        ("image", (8, 8)),
        ("probabilities", 10),
        {"weights": weights, "bias": bias},
    )

    def predict(batch: np.ndarray) -> np.ndarray:
        logits = batch.reshape(len(batch), -1) @ weights + bias
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    images, _ = digits()
    seen, held_out = images[:1200], images[1200:]
    calibrated, arrays = novelty.calibrated(seen, held_out, false_positive_rate=0.01)
    kinds = (BitDepth(bits=3), Median(window=2))
    squeeze = squeezing.calibrated(predict, held_out, kinds, 0, 16, false_positive_rate=0.05)
    statistics = Statistics(examples=len(seen), novelty=calibrated, squeezing=squeeze)
    return Made(schema=schema, graph=made, statistics=statistics, arrays=arrays)


@cache
def spam_model() -> Made:
    """A classifier of messages by two words: hello is ham, free is spam."""
    schema = Schema(
        name="spam",
        version=1,
        input=TextInput(name="message", most_characters=500, most_images=1),
        output=Output(name="scores", classes=("ham", "spam")),
    )
    return Made(
        schema=schema,
        graph=making.graph_of_text().SerializeToString(),
        statistics=Statistics(examples=8),
        arrays={"counts": np.ones(2, dtype=np.float32)},
    )


@dataclass(frozen=True)
class People:
    """Whose keys there are."""

    folder: Path
    trainer: Signer
    redteam: Signer
    stranger: Signer

    @classmethod
    def made(cls, into: Path) -> People:
        signers = {
            name: keys.file_signer(keys.make_keys(into, name)[0])
            for name in ("trainer", "redteam", "stranger")
        }
        return cls(folder=into, **signers)

    def released(
        self,
        made: Made,
        into: Path,
        *,
        trainer: Signer | None = None,
        redteam: Signer | None = None,
        holds: timedelta = timedelta(days=90),
    ) -> Path:
        """Make a release as the trainer and the red team do; return its folder, ``into/<name>/<version>``."""
        trainer, redteam = trainer or self.trainer, redteam or self.redteam
        # To look at a graph takes a second: each release is made once, and then copied.
        told = (made.schema, made.graph, made.statistics, made.weights, trainer.name, redteam.name, holds)
        kept = self.folder / f"release-{hashlib.sha256(repr(told).encode()).hexdigest()}"
        if not kept.exists():
            _release(made, kept, trainer, redteam, holds)
        place = into / made.schema.name / str(made.schema.version)
        beside = into / made.schema.name / f".{made.schema.version}"
        shutil.copytree(kept, beside)
        beside.rename(place)
        return place


def _release(made: Made, into: Path, trainer: Signer, redteam: Signer, holds: timedelta) -> None:
    schema, candidate = made.schema, into.with_suffix(".candidate")
    folder.write(
        candidate,
        graph=made.graph,
        schema=schema,
        statistics=made.statistics,
        arrays=dict(made.arrays),
        card=Card(
            title=schema.name.capitalize(),
            intended_use="Tests",
            limits="Knows little",
            dataset="scikit-learn",
            trained_at=datetime.now(UTC),
        ),
        privacy=Privacy(reason_for_none="The data is public."),
        weights=made.weights,
    )
    digest = sign_candidate(candidate, trainer)
    now = datetime.now(UTC)
    verdict = Verdict(
        model=schema.name,
        version=schema.version,
        model_digest=digest,
        passed=True,
        checks=(Check(name="pgd-accuracy", value=0.7, threshold=0.5, passed=True),),
        judged_at=now - timedelta(seconds=1),
        holds_until=now + holds,
        thresholds_digest="sha256:" + "0" * 64,
    )
    promote(candidate, verdict, into=into, trainer=trainer.verifier, redteam=redteam)
    shutil.rmtree(candidate)


@dataclass
class World:
    """One gateway, with everything that it needs."""

    folder: Path
    people: People
    issuer: Issuer
    port: int
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    started: int = field(default=0)

    @classmethod
    def made(cls, folder: Path, people: People, **settings: str) -> World:
        """Prepare one; nothing is released and nothing runs."""
        for name in ("releases", "state"):
            (folder / name).mkdir(mode=0o700)
        issuer, port = Issuer(folder, AUDIENCE), free_port()
        certificate, key = certificates(folder / "service-ca.pem")
        (folder / "service.pem").write_bytes(certificate + key)
        (folder / "secret").write_bytes(os.urandom(32).hex().encode())
        (folder / "clients.yaml").write_text(CLIENTS)
        (folder / "serving.yaml").write_text(SERVING)
        environment = {
            "CALLER_ISSUER": ISSUER,
            "CALLER_KEYS_FILE": str(issuer.keys_file),
            "TLS_FILE": str(folder / "service.pem"),
            "PORT": str(port),
            "MODEL_FOLDER": str(folder / "releases"),
            "TRAINER_KEY_FILE": str(people.folder / "trainer.pub"),
            "VERDICT_KEY_FILE": str(people.folder / "redteam.pub"),
            "BUDGET_FILE": str(folder / "budget.sqlite"),
            "QUERY_SECRET_FILE": str(folder / "secret"),
            "SERVING_FILE": str(folder / "serving.yaml"),
            "CLIENTS_FILE": str(folder / "clients.yaml"),
            "STATE_FOLDER": str(folder / "state"),
            "RELOAD_SECONDS": "0.2",
        }
        return cls(folder, people, issuer, port, environment | settings)

    @property
    def releases(self) -> Path:
        return self.folder / "releases"

    @property
    def log(self) -> Path:
        return self.folder / "queries.jsonl"

    @property
    def address(self) -> str:
        return f"https://localhost:{self.port}"

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.folder / "service-ca.pem")

    def release(self, made: Made, **more: Any) -> Path:
        return self.people.released(made, self.releases, **more)

    def lines(self) -> list[dict[str, Any]]:
        """Return what the query log says."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.lines() if line["event"] == name]

    def line_of(self, answer: httpx.Response) -> dict[str, Any]:
        """Return the one line about an answered request."""
        (line,) = [each for each in self.lines() if each.get("request_id") == answer.headers["x-request-id"]]
        return line

    def line_of_last(self, reason: str) -> dict[str, Any]:
        """Return the last line with a reason."""
        return [each for each in self.lines() if each.get("reason") == reason][-1]

    def call(self, method: str, path: str, *, token: str | None = None, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token or self.issuer.token()}", **more.pop("headers", {})}
        with httpx.Client(base_url=self.address, verify=self.context(), timeout=60) as client:
            return client.request(method, path, headers=headers, **more)

    def predict(self, inputs: Any, model: str = "digits", **more: Any) -> httpx.Response:
        return self.call("POST", f"/v1/models/{model}/predict", json={"inputs": inputs}, **more)

    def start(self, *, ready: bool = True, before: Sequence[str] = ()) -> None:
        """Start the gateway, and wait until it is ready, or at least alive."""
        with self.log.open("ab") as log:
            self.start_into(log.fileno(), ready=ready, before=before)

    def start_into(self, log: int, *, ready: bool = True, before: Sequence[str] = ()) -> None:
        """Start the gateway with its log going to a file descriptor."""
        with (self.folder / "errors").open("ab") as errors:
            self.process = subprocess.Popen(
                [*before, sys.executable, "-m", "services.gateway"],
                env={"PATH": os.environ["PATH"], **self.environment},
                stdout=log,
                stderr=errors,
            )
        process = self.process
        until(lambda: self.answers("/ready" if ready else "/health") or process.poll() is not None)
        assert process.poll() is None, (self.folder / "errors").read_text()

    def answers(self, path: str) -> bool:
        try:
            return self.call("GET", path).status_code == 200
        except httpx.TransportError:
            return False

    def stop(self, *, kill: bool = False) -> None:
        if self.process is not None:
            self.process.kill() if kill else self.process.terminate()
            self.process.wait(30)
            self.process = None
