"""Has mutants judged by the pack: a process of its own for each core, which asks again only what an edit can change."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from blueprint.errors import PackFailure
from blueprint.graph import Graph, Resource
from blueprint.mutation.mutant import Mutant
from blueprint.pack import PACK
from blueprint.verdict import Finding, Undecided, read_message


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What the pack says more of a mutant than of the graph that it was made from, and what no more."""

    mutant: Mutant
    more: frozenset[Finding]
    gone: frozenset[Finding]

    @property
    def killed_by(self) -> frozenset[str]:
        """The controls that see the edit, of whatever family."""
        return frozenset(f.control for f in self.more if not isinstance(f, Undecided))

    @property
    def killed(self) -> bool:
        """Say whether a control of a family that should know of it sees the edit."""
        return any(control.partition("-")[0] in self.mutant.families for control in self.killed_by)


class Judge:
    """A process of the pack that judges edits of one graph; use it as a context manager."""

    def __init__(self, folder: Path = PACK) -> None:
        self._folder = folder

    def __enter__(self) -> Judge:
        self._stderr = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [sys.executable, "-u", "-m", "edits"],
            cwd=self._folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._stderr):
            if stream is not None:
                stream.close()

    def open(self, graph: Graph) -> frozenset[Finding]:
        """Show a graph, and return all that the pack finds in it."""
        answer = self._ask({"resources": [_shown(resource) for resource in graph.resources]})
        return _findings(answer["found"])

    def judge(self, mutant: Mutant) -> Judgement:
        """Return what an edit of the last graph would change."""
        answer = self._ask(
            {
                "changed": [_shown(resource) for resource in mutant.edit.changed],
                "dropped": list(mutant.edit.dropped),
            }
        )
        return Judgement(mutant=mutant, more=_findings(answer["more"]), gone=_findings(answer["gone"]))

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None  # noqa: S101 - opened with PIPE
        assert self._process.stdout is not None  # noqa: S101
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
            answer: dict[str, Any] = json.loads(line)
        except (OSError, ValueError):
            raise PackFailure(f"the policy pack gave up on an edit: {self._last_words()}") from None
        return answer

    def _last_words(self) -> str:
        self._stderr.seek(0)
        lines = self._stderr.read()[-4096:].decode(errors="replace").strip().split("\n")
        return lines[-1][:300]


def judged(
    graphs: Sequence[tuple[Graph, Sequence[Mutant]]],
    *,
    processes: int | None = None,
    done: Callable[[int], None] = lambda _: None,
) -> list[Judgement]:
    """Judge the mutants of each graph, side by side on every core; ``done`` hears of each that is through."""
    count = processes or os.cpu_count() or 1

    def share(number: int) -> list[Judgement]:
        found: list[Judgement] = []
        with Judge() as judge:
            for graph, mutants in graphs:
                own = mutants[number::count]
                if own:
                    judge.open(graph)
                for mutant in own:
                    found.append(judge.judge(mutant))
                    done(1)
        return found

    with ThreadPoolExecutor(max_workers=count) as pool:
        parts = list(pool.map(share, range(count)))
    order = {mutant.key: place for place, mutant in enumerate(m for _, ms in graphs for m in ms)}
    return sorted((each for part in parts for each in part), key=lambda j: order[j.mutant.key])


def _shown(resource: Resource) -> dict[str, Any]:
    return {
        "urn": resource.urn,
        "type": resource.type,
        "name": resource.name,
        "inputs": resource.inputs,
        "outputs": resource.outputs,
        "protect": resource.protect,
        "parent": resource.parent,
        "provider": resource.provider_urn,
        "dependencies": list(resource.dependencies),
        "propertyDependencies": {key: list(urns) for key, urns in resource.property_dependencies.items()},
    }


def _findings(told: Iterable[Sequence[str]]) -> frozenset[Finding]:
    found = [read_message(text, urn=urn, mandatory=False) for urn, text in told]
    if None in found:
        raise PackFailure("the policy pack reported something that none of its controls says")
    return frozenset(each for each in found if each is not None)
