"""Runs the policy pack as the engine does: a process of its own that speaks the Analyzer protocol.

Whatever goes wrong with the pack (it does not start, dies, hangs, answers what is not an answer) is a
``PackFailure``: nothing has passed unless the pack said so.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import grpc
import yaml
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

from blueprint.errors import BadInput, PackFailure
from blueprint.graph import STACK_TYPE, Graph, Resource
from blueprint.verdict import Finding, Undecided, Verdict, Violation, Waived, ordered, read_message

PACK = Path(__file__).resolve().parent.parent / "policies"

START_SECONDS = 60.0
"""A cold start imports the SDK and the IAM database; it takes about two seconds on two cores."""
CALL_SECONDS = 120.0
"""Bound on one call; AnalyzeStack over 10,000 resources is the longest."""
_MAX_MESSAGE_BYTES = 400 * 1024 * 1024
"""The engine's own bound (sdk/go/common/util/rpcutil of pulumi/pulumi)."""

Answer = TypeVar("Answer")


class RunningPack:
    """A started policy pack; use it as a context manager, so that its process always ends."""

    def __init__(
        self, folder: Path = PACK, *, start_seconds: float = START_SECONDS, call_seconds: float = CALL_SECONDS
    ) -> None:
        self._folder = folder
        self._start_seconds = start_seconds
        self._call_seconds = call_seconds

    def __enter__(self) -> RunningPack:
        self._stderr = tempfile.TemporaryFile()
        self._process = self._spawn()
        try:
            port = self._port()
            self._channel = grpc.insecure_channel(
                f"127.0.0.1:{port}",
                options=[
                    ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
                    ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
                    # The pack is on this machine, whatever proxy the environment names.
                    ("grpc.enable_http_proxy", 0),
                ],
            )
            self._stub = analyzer_pb2_grpc.AnalyzerStub(self._channel)
            self.info = self._call("GetAnalyzerInfo", self._stub.GetAnalyzerInfo, empty_pb2.Empty())
            self.controls = self._controls()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.close()
        self._end()

    def judge(self, graph: Graph, *, config: Mapping[str, str] | None = None) -> Verdict:
        """Show every resource to the pack, then the stack as a whole, and return what it found."""
        self._configure(config or {})
        by_urn = graph.by_urn()
        try:
            requests = [_analyze_request(resource, by_urn) for resource in graph.resources]
            with ThreadPoolExecutor(max_workers=4) as calls:
                answers = list(calls.map(lambda r: self._call("Analyze", self._stub.Analyze, r), requests))
        except (PackFailure, RecursionError):
            _refuse_what_is_too_deep(graph)
            raise
        stack = self._call("AnalyzeStack", self._stub.AnalyzeStack, _stack_request(graph, by_urn))
        findings = [
            self._finding(diagnostic, default_urn, by_urn)
            for default_urn, answer in [*zip(by_urn, answers, strict=True), (_root(graph), stack)]
            for diagnostic in answer.diagnostics
        ]
        return Verdict(
            stack=graph.stack,
            pack=f"{self.info.name}@{self._version()}",
            controls=self.controls,
            resource_count=len(graph.resources),
            violations=ordered(findings, Violation),
            undecided=ordered(findings, Undecided),
            waived=ordered(findings, Waived),
        )

    def _spawn(self) -> subprocess.Popen[bytes]:
        # The command line and the folder of pulumi-language-python for an analyzer (RunPlugin); the engine's
        # address is not used by Python packs.
        command = [sys.executable, "-u", "-m", "pulumi.policy", "127.0.0.1:0", str(self._folder)]
        try:
            return subprocess.Popen(  # noqa: S603 - our own interpreter on our own folder
                command,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
            )
        except OSError as error:
            raise PackFailure(f"the policy pack {self._folder} cannot be started: {error}") from None

    def _port(self) -> int:
        line = self._first_line()
        if not line.strip().isdigit() or not 0 < int(line) < 65536:
            raise self._failure("answered with something that is not a port")
        return int(line)

    def _first_line(self) -> bytes:
        assert self._process.stdout is not None  # noqa: S101 - opened with PIPE
        deadline = time.monotonic() + self._start_seconds
        line = b""
        while not line.endswith(b"\n") and len(line) < 64:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._process.stdout], [], [], left)[0]:
                raise self._failure(f"did not start within {self._start_seconds:.0f} s")
            byte = os.read(self._process.stdout.fileno(), 1)
            if not byte:
                self._process.wait(timeout=5)
                raise self._failure(f"ended with status {self._process.returncode} before it answered")
            line += byte
        return line

    def _version(self) -> str:
        """Return the version in ``PulumiPolicy.yaml``, which the engine takes over the SDK's own word."""
        declared = yaml.safe_load((self._folder / "PulumiPolicy.yaml").read_text(encoding="utf-8"))
        return str(declared.get("version") or self.info.version)

    def _controls(self) -> tuple[str, ...]:
        mandatory = [p for p in self.info.policies if p.enforcementLevel == analyzer_pb2.MANDATORY]
        controls = tuple(sorted({tag for policy in self.info.policies for tag in policy.tags}))
        if not mandatory or not controls:
            raise self._failure("names no mandatory policy, so a pass would mean nothing")
        return controls

    def _configure(self, config: Mapping[str, str]) -> None:
        properties = struct_pb2.Struct()
        properties.update(dict(config))
        request = analyzer_pb2.ConfigureAnalyzerRequest(
            policyConfig={
                policy.name: analyzer_pb2.PolicyConfig(
                    enforcementLevel=policy.enforcementLevel, properties=properties
                )
                for policy in self.info.policies
            }
        )
        self._call("Configure", self._stub.Configure, request)

    def _call(self, name: str, method: Callable[..., Answer], request: Any) -> Answer:
        try:
            return method(request, timeout=self._call_seconds)
        except grpc.RpcError as error:
            code = error.code().name if hasattr(error, "code") else "UNKNOWN"
            if code == "DEADLINE_EXCEEDED":
                raise self._failure(f"did not answer {name} within {self._call_seconds:.0f} s") from None
            raise self._failure(f"failed in {name} ({code})") from None

    def _finding(self, diagnostic: Any, default_urn: str, by_urn: Mapping[str, Resource]) -> Finding:
        text = diagnostic.message.removeprefix(f"{diagnostic.description}\n")
        urn = diagnostic.urn or default_urn
        mandatory = diagnostic.enforcementLevel != analyzer_pb2.ADVISORY
        finding = read_message(text, urn=urn, mandatory=mandatory)
        if finding is None or finding.control not in self.controls or (by_urn and urn not in by_urn):
            raise self._failure("reported something that none of its controls says")
        return finding

    def _failure(self, what: str) -> PackFailure:
        """Return the error, with the last line that the pack wrote: its traceback stays in the pack."""
        self._stderr.seek(0)
        lines = self._stderr.read()[-4096:].decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        said = f"; it last said: {last[:300]}" if last else ""
        return PackFailure(f"the policy pack {self._folder} {what}{said}; nothing was passed")

    def _end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._stderr.close()


_DEEPEST = 100
"""Levels that protobuf reads of a message inside a message; a provider's own schemas have about ten."""


def _refuse_what_is_too_deep(graph: Graph) -> None:
    """Say which resource the protocol cannot carry, where that is why the pack failed.

    Raises:
        BadInput: a property is nested too deeply.
    """
    for resource in graph.resources:
        waiting = [(0, value) for value in (resource.inputs, resource.outputs)]
        while waiting:
            depth, value = waiting.pop()
            if depth > _DEEPEST:
                raise BadInput(
                    f"{resource.source or resource.urn}: {resource.name} has a property that is nested more than "
                    f"{_DEEPEST} levels deep, which no provider takes; nothing was passed"
                )
            inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
            waiting += [(depth + 1, each) for each in inside]


def _root(graph: Graph) -> str:
    return next((resource.urn for resource in graph.of(STACK_TYPE)), "")


def _analyze_request(resource: Resource, by_urn: Mapping[str, Resource]) -> analyzer_pb2.AnalyzeRequest:
    return analyzer_pb2.AnalyzeRequest(
        urn=resource.urn,
        type=resource.type,
        name=resource.name,
        properties=_struct(resource.inputs),
        options=_options(resource),
        provider=_provider(resource, by_urn),
    )


def _stack_request(graph: Graph, by_urn: Mapping[str, Resource]) -> analyzer_pb2.AnalyzeStackRequest:
    return analyzer_pb2.AnalyzeStackRequest(
        resources=[
            analyzer_pb2.AnalyzerResource(
                urn=resource.urn,
                type=resource.type,
                name=resource.name,
                properties=_struct(resource.outputs),
                options=_options(resource),
                provider=_provider(resource, by_urn),
                parent=resource.parent,
                dependencies=resource.dependencies,
                propertyDependencies={
                    key: analyzer_pb2.AnalyzerPropertyDependencies(urns=urns)
                    for key, urns in resource.property_dependencies.items()
                },
            )
            for resource in graph.resources
        ]
    )


def _options(resource: Resource) -> analyzer_pb2.AnalyzerResourceOptions:
    return analyzer_pb2.AnalyzerResourceOptions(
        protect=resource.protect, ignoreChanges=resource.ignore_changes, parent=resource.parent
    )


def _provider(
    resource: Resource, by_urn: Mapping[str, Resource]
) -> analyzer_pb2.AnalyzerProviderResource | None:
    provider = by_urn.get(resource.provider_urn)
    if provider is None:
        return None
    return analyzer_pb2.AnalyzerProviderResource(
        urn=provider.urn, type=provider.type, name=provider.name, properties=_struct(provider.inputs)
    )


def _struct(values: Mapping[str, Any]) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(dict(values))
    return struct
