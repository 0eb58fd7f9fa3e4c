"""The stages of a model's way, in order: what each does, what it shows, and what must not be possible on it.

Nothing is imported from a service, and none knows of another: they meet over TLS, in signed folders, and by exit codes,
as they do on the cluster. Keys and tokens are made anew and go with the folder.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, Protocol

from blueprint.training.asking import Service, free_port
from blueprint.training.programs import ROOT, ChainError, Programs, Words, python

HERE = Path(__file__).parent
JOB, SERVING = HERE / "job.yaml", HERE / "serving.yaml"
DECLARED = ROOT / "services" / "trainer" / "samples" / "digits.yaml"
THRESHOLDS = ROOT / "services" / "redteam" / "thresholds.yaml"

SERVICES = ("data_api", "trainer", "redteam", "gateway")
"""Whose environments are needed."""

ASKED = 40
"""Digits that the gateway is asked about."""

FEWEST_RIGHT = 0.8
"""Of their answers: the model was measured long before; here something else went wrong if it falls below."""

MOST_EPSILON, MOST_DELTA = "10", "0.001"
"""What the trainer's environment allows."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One that is done."""

    name: str
    found: str
    seconds: float


@dataclass
class Way:
    """What became of each stage, and where everything lies."""

    folder: Path
    stages: list[Stage] = field(default_factory=list)

    def as_json_value(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            "schema": 1,
            "stages": [
                {"name": each.name, "found": each.found, "seconds": round(each.seconds, 1)}
                for each in self.stages
            ],
        }


class Progress(Protocol):
    """Is told what goes on."""

    def stage(self, name: str) -> None:
        """Hear of a stage that begins."""

    def line(self, text: str) -> None:
        """Hear a line of a program that runs."""

    def done(self, stage: Stage) -> None:
        """Hear of a stage that is done."""


def walk(folder: Path, programs: Programs, progress: Progress) -> Way:
    """Take a model all the way.

    Args:
        folder: Empty; everything goes there.
        programs: Starts the services.
        progress: Is told of everything.

    Raises:
        BadInput: an environment is missing.
        ChainError: a stage did not do what it must.
    """
    for service in SERVICES:
        python(service)
    way = Way(folder)
    chain = _Chain(folder, programs, progress)
    for name, stage in chain.stages():
        progress.stage(name)
        begun = monotonic()
        found = stage()
        way.stages.append(Stage(name=name, found=found, seconds=monotonic() - begun))
        progress.done(way.stages[-1])
    return way


class _Chain:
    """The stages over one folder."""

    def __init__(self, folder: Path, programs: Programs, progress: Progress) -> None:
        self._folder, self._programs, self._hears = folder, programs, progress.line
        self._data, self._gateway = folder / "data-api", folder / "gateway"
        self._out, self._judged = folder / "training", folder / "judged"
        self._release = self._gateway / "releases" / "digits" / "1"
        self._api = Service(
            port=free_port(), authority=self._data / "service-ca.pem", token=self._data / "trainer.token"
        )
        self._serving = Service(
            port=free_port(), authority=self._gateway / "service-ca.pem", token=self._gateway / "token"
        )

    def stages(self) -> Iterator[tuple[str, Callable[[], str]]]:
        """Yield names and what to do."""
        yield "keys", self._keys
        yield "data-access API", self._serve_data
        yield "manifest", self._manifest
        yield "private training", self._train
        yield "red team", self._judge
        yield "what must not pass", self._forbidden
        yield "release", self._promote
        yield "gateway", self._serve_model
        yield "question", self._question
        yield "audit", self._audit

    def _keys(self) -> str:
        for place in (self._data, self._gateway, self._gateway / "releases" / "digits"):
            place.mkdir(parents=True)
        # Each by the environment of who owns it.
        for owner, service in (("steward", "trainer"), ("trainer", "trainer"), ("redteam", "redteam")):
            (self._folder / owner).mkdir()
            words: Words = ["services.modelchain", "keys", owner, "--into", self._folder / owner]
            self._programs.run(service, words)
        for owner in ("trainer", "redteam"):
            shutil.copy(self._public(owner), self._gateway)
        return "of the data's steward, the trainer and the red team: EC P-256, each in a folder of its own"

    def _serve_data(self) -> str:
        self._programs.serve(
            "data_api",
            ["services.data_api.local", "--folder", self._data, "--digits", DECLARED],
            environment={"PORT": str(self._api.port)},
            ready=self._api.ready,
        )
        described = self._api.ask("/v1/datasets/digits")
        if described.status != 200 or self._api.ask("/v1/datasets/digits", anonymous=True).status != 401:
            raise ChainError(f"data_api: {described.body[:200]!r}")
        return f"{described.json['title']}: {len(described.json['columns'])} columns; 401 without a token"

    def _manifest(self) -> str:
        words: Words = [
            "services.trainer",
            "manifest",
            JOB,
            "--key",
            self._folder / "steward" / "steward.key",
        ]
        self._programs.run(
            "trainer",
            [*words, "--out", self._folder / "manifest"],
            environment=self._trainer,
            hears=self._hears,
        )
        said = _read(self._folder / "manifest" / "manifest.json")
        return f"{said['rows']} rows in {len(said['batches'])} batches, each with its digest, signed"

    def _train(self) -> str:
        words: Words = [
            "services.trainer",
            "run",
            JOB,
            "--manifest",
            self._folder / "manifest",
            "--out",
            self._out,
        ]
        self._programs.run("trainer", words, environment=self._trainer, hears=self._hears)
        model = self._out / "candidate" / "model"
        card, privacy = _read(model / "card.json"), _read(model / "privacy.json")
        screened = _read(self._out / "quarantine" / "report.json")
        suspects = sum(screened["suspects"].values())
        accuracy = card["figures"]["accuracy on held-out rows"]
        return (
            f"{suspects} rows suspect to the screens; epsilon {privacy['epsilon']:.2f} at delta {privacy['delta']:g}; "
            f"accuracy {accuracy:.1%}; signed"
        )

    def _judge(self) -> str:
        words: Words = [
            "services.redteam",
            "run",
            self._out / "candidate",
            "--job",
            JOB,
            "--out",
            self._judged,
        ]
        output = self._programs.run(
            "redteam",
            [*words, *self._redteam_keys, "--thresholds", THRESHOLDS, "--format", "json"],
            environment={**self._reads_data, "DATA_API_TOKEN_FILE": str(self._data / "redteam.token")},
            hears=self._hears,
        )
        checks = {check["name"]: check for check in json.loads(output)["checks"]}
        shown = ", ".join(
            f"{name} {checks[check]['value']:.{digits}f}"
            for name, check, digits in (
                ("accuracy under PGD", "pgd-accuracy-at-0.1", 2),
                ("membership area", "membership-auc", 2),
                ("trigger ratio", "trigger-ratio", 1),
            )
        )
        return f"{len(checks)} of {len(checks)} checks passed: {shown}"

    def _forbidden(self) -> str:
        refused = []
        with self._copied(self._judged, "edited") as edited:
            said = _read(edited / "verdict.json")
            said["checks"][0]["value"] = 1.0
            (edited / "verdict.json").write_text(json.dumps(said))
            self._programs.run("redteam", self._promoting(self._out / "candidate", edited), expected=1)
            refused.append("an edited verdict")
        with self._copied(self._out / "candidate", "changed") as changed:
            card = _read(changed / "model" / "card.json")
            card["title"] = "Another model"
            (changed / "model" / "card.json").write_text(json.dumps(card))
            self._programs.run("redteam", self._promoting(changed, self._judged), expected=1)
            refused.append("a model that was changed after it was signed")
        with self._copied(self._out / "candidate", "unsigned") as unsigned:
            (unsigned / "model.sig").unlink()
            self._programs.run("redteam", self._promoting(unsigned, self._judged), expected=1)
            refused.append("one that nobody signed")
        return f"refused: {', '.join(refused)}"

    def _promote(self) -> str:
        self._programs.run("redteam", self._promoting(self._out / "candidate", self._judged))
        verdict = _read(self._release / "verdict" / "verdict.json")
        return f"digits 1, {verdict['model_digest'][:19]}…, until {verdict['holds_until'][:10]}"

    def _serve_model(self) -> str:
        self._programs.serve(
            "gateway",
            ["services.gateway.local", "--folder", self._gateway],
            environment={"PORT": str(self._serving.port), "SERVING_FILE": str(SERVING)},
            ready=self._serving.ready,
        )
        if self._serving.ask("/v1/models/digits/predict", {"inputs": []}, anonymous=True).status != 401:
            raise ChainError("gateway: answers somebody who shows no token")
        return "both signatures verified before the model was loaded; 401 without a token"

    def _question(self) -> str:
        columns = [f"p{row}{column}" for row in range(8) for column in range(8)]
        asked = {"purpose": "model-training", "columns": [*columns, "digit"], "limit": ASKED}
        rows = self._api.ask("/v1/datasets/digits/records", asked)
        if rows.status != 200:
            raise ChainError(f"data_api: {rows.body[:200]!r}")
        digits = [row for row in rows.lines if "digit" in row]
        pictures = [
            [[[row[f"p{line}{column}"] / 16 for column in range(8)] for line in range(8)]] for row in digits
        ]
        answer = self._serving.ask("/v1/models/digits/predict", {"inputs": pictures})
        if answer.status != 200:
            raise ChainError(f"gateway: {answer.status}: {answer.body[:200]!r}")
        said = [each["label"] for each in answer.json["outputs"]]
        right = sum(label == str(row["digit"]) for label, row in zip(said, digits, strict=True))
        if right < FEWEST_RIGHT * len(digits) or not digits:
            raise ChainError(f"gateway: {right} of {len(digits)} digits read rightly")
        return f"{right} of {len(digits)} digits read rightly; the first: {', '.join(said[:10])}"

    def _audit(self) -> str:
        settings = {**_read(self._data / "settings.json"), "DATABASE_USER": "auditor"}
        output = self._programs.run("data_api", ["services.data_api.audit", "verify"], environment=settings)
        return output.strip().splitlines()[-1]

    @property
    def _reads_data(self) -> dict[str, str]:
        return {
            "DATA_API_URL": self._api.address,
            "DATA_API_CA_FILE": str(self._data / "service-ca.pem"),
            "DATA_API_TOKEN_FILE": str(self._data / "trainer.token"),
        }

    @property
    def _trainer(self) -> dict[str, str]:
        return {
            **self._reads_data,
            "DP_EPSILON": MOST_EPSILON,
            "DP_DELTA": MOST_DELTA,
            "MANIFEST_KEY_FILE": str(self._public("steward")),
            "SIGNING_KEY_FILE": str(self._folder / "trainer" / "trainer.key"),
        }

    @property
    def _redteam_keys(self) -> Words:
        own = self._folder / "redteam" / "redteam.key"
        return ["--trainer-key", self._public("trainer"), "--key", own]

    def _public(self, owner: str) -> Path:
        return self._folder / owner / f"{owner}.pub"

    def _promoting(self, candidate: Path, verdict: Path) -> Words:
        words: Words = [
            "services.redteam",
            "promote",
            candidate,
            "--verdict",
            verdict,
            "--into",
            self._release,
        ]
        return [*words, "--thresholds", THRESHOLDS, *self._redteam_keys]

    @contextmanager
    def _copied(self, what: Path, name: str) -> Iterator[Path]:
        copy = self._folder / name
        shutil.copytree(what, copy)
        try:
            yield copy
        finally:
            shutil.rmtree(copy)
        if self._release.exists():
            raise ChainError(f"redteam: released a model out of the {name} folder")


def _read(path: Path) -> Any:
    return json.loads(path.read_text())
