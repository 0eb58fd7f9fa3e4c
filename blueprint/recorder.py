"""Runs a Pulumi program in process and keeps every registration whole: no engine, no CLI, no account."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import pulumi
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime import mocks as pulumi_mocks
from pulumi.runtime.proto import resource_pb2

from blueprint import outputs as aws_outputs
from blueprint.errors import BadInput
from blueprint.graph import PROVIDER_PREFIX, STACK_TYPE, UNKNOWN, Graph, Resource, engine_values, in_order

_SETTLED_SECONDS = 60.0
"""Nothing is asked over a network here, so what is not done by then waits for itself."""

Program = Callable[[], object]

Answer = Callable[[Resource, Mapping[str, Any]], tuple[str, dict[str, Any]]]
"""Gives a resource (and the inputs of its provider) its id and its outputs."""


def record(
    program: Program,
    *,
    project: str = "secure-ml-platform",
    stack: str = "test",
    config: Mapping[str, str] | None = None,
    unknowns: bool = False,
    root: Path | None = None,
    answer: Answer = aws_outputs.resolve,
) -> Graph:
    """Run ``program`` and return the graph of everything that it registered.

    ``config`` maps full keys (``project:key``) to text, as the engine hands it over. With ``unknowns`` the
    outputs that only AWS can give stay unknown, as at ``pulumi preview``; without, each resolves to a
    plausible value that is the same at every run, or to what ``answer`` gives. Source positions are
    relative to ``root`` (the working folder where it is not given).

    Raises whatever the program raises.
    """
    recorder = _Recorder(
        project=project, stack=stack, unknowns=unknowns, root=root or Path.cwd(), answer=answer
    )
    # A context of its own: the SDK keeps the root resource and the configuration in context variables.
    contextvars.copy_context().run(_run, program, recorder, dict(config or {}))
    return Graph(stack=stack, resources=in_order(recorder.recorded.values()))


def _run(program: Program, recorder: _Recorder, config: dict[str, str]) -> None:
    pulumi.runtime.set_all_config(config)
    pulumi.runtime.settings.reset_options()
    pulumi.runtime.configure(
        pulumi_mocks.MockSettings(  # type: ignore[no-untyped-call]
            monitor=recorder,
            monitor_features=set(
                recorder.GetDeploymentInfo(empty_pb2.Empty()).supportedFeatures  # type: ignore[no-untyped-call]
            ),
            engine=pulumi_mocks.MockEngine(logging.getLogger("pulumi")),
            project=recorder.project,
            stack=recorder.stack,
            organization="organization",
            # Always a dry run: an output that nobody resolved is then unknown, never a silent None.
            dry_run=True,
            callbacks=None,
        )
    )
    loop = asyncio.new_event_loop()
    try:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(pulumi.runtime.run_in_stack(lambda: _settled(program)))
    finally:
        asyncio.set_event_loop(None)
        loop.close()


async def _settled(program: Program) -> None:
    """Run the program, and wait for what it began.

    The SDK waits too, but for one of thousands at a time, which it counts anew each time: more than half of the time of a
    whole platform. Where something fails, or takes longer than anything in one process should, the waiting is left to it.
    """
    program()
    while begun := asyncio.all_tasks() - {asyncio.current_task()}:
        done, waiting = await asyncio.wait(
            begun, timeout=_SETTLED_SECONDS, return_when=asyncio.FIRST_EXCEPTION
        )
        if waiting or any(each.cancelled() or each.exception() for each in done):
            return


class _NoMocks(pulumi_mocks.Mocks):
    """The monitor needs one; the recorder answers everything itself."""

    def call(self, args: pulumi_mocks.MockCallArgs) -> tuple[dict[str, Any], None]:
        raise NotImplementedError(args.token)

    def new_resource(self, args: pulumi_mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        raise NotImplementedError(args.typ)


class _Recorder(pulumi_mocks.MockMonitor):
    """Stands where the engine's resource monitor stands; RPC threads call it side by side."""

    def __init__(self, *, project: str, stack: str, unknowns: bool, root: Path, answer: Answer) -> None:
        super().__init__(_NoMocks())
        self.project = project
        self.stack = stack
        self.unknowns = unknowns
        self.recorded: dict[str, Resource] = {}
        self._lock = threading.Lock()
        self._root = root
        self._give = answer

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """Return the URN that the engine would make: children of the stack itself carry no parent type."""
        parent_type = parent.split("::")[2] if parent else ""
        qualified = type_ if parent_type in ("", STACK_TYPE) else f"{parent_type}${type_}"
        return f"urn:pulumi:{self.stack}::{self.project}::{qualified}::{name}"

    def RegisterResource(self, request: Any) -> resource_pb2.RegisterResourceResponse:  # noqa: N802 - the protocol's name
        """Keep the request whole and answer with the outputs that AWS would give, or with unknowns."""
        asked = self._resource(request)
        made = self._answer(asked)
        with self._lock:
            if made.urn in self.recorded:
                raise BadInput(
                    f"{made.source or 'the program'}: two resources are named {made.name!r} ({made.type}); "
                    "give one of them another name"
                )
            self.recorded[made.urn] = made
        return resource_pb2.RegisterResourceResponse(
            urn=made.urn, id=made.id, object=_struct(made.outputs) if made.custom else None
        )

    def RegisterResourceOutputs(self, request: Any) -> empty_pb2.Empty:  # noqa: N802
        """Keep what a component (or the stack) exposes."""
        with self._lock:
            self.recorded[request.urn] = replace(self.recorded[request.urn], outputs=_plain(request.outputs))
        return empty_pb2.Empty()

    def Invoke(self, request: Any) -> resource_pb2.ResourceInvokeResponse:  # noqa: N802
        """Refuse: a preview reaches no cloud, so what the program needs to know belongs in its settings."""
        raise BadInput(
            f"the program calls {request.tok} while it runs, which needs the cloud; "
            "write the value into the stack's settings instead"
        )

    def ReadResource(self, request: Any) -> resource_pb2.ReadResourceResponse:  # noqa: N802
        """Refuse reads of existing resources for the same reason."""
        raise BadInput(
            f"the program reads the existing {request.type} {request.id!r} while it runs, which needs the cloud; "
            "write its values into the stack's settings instead"
        )

    def _resource(self, request: Any) -> Resource:
        return Resource(
            urn=self.make_urn(request.parent, request.type, request.name),
            type=request.type,
            custom=request.custom,
            inputs=_plain(request.object),
            parent=request.parent,
            provider=request.provider,
            protect=request.protect,
            dependencies=tuple(sorted(request.dependencies)),
            property_dependencies={
                key: tuple(sorted(value.urns))
                for key, value in sorted(request.propertyDependencies.items())
                if value.urns
            },
            ignore_changes=tuple(request.ignoreChanges),
            source=_source(request, self._root),
        )

    def _answer(self, asked: Resource) -> Resource:
        if not asked.custom:
            return asked
        if asked.type.startswith(PROVIDER_PREFIX):
            known_id = str(uuid.uuid5(uuid.NAMESPACE_URL, asked.urn))
            return replace(asked, id=UNKNOWN if self.unknowns else known_id, outputs=dict(asked.inputs))
        if self.unknowns:
            return replace(asked, outputs=aws_outputs.known_before(asked))
        with self._lock:
            provider = self.recorded.get(asked.provider_urn)
        made_id, made_outputs = self._give(asked, provider.inputs if provider else {})
        return replace(asked, id=made_id, outputs=made_outputs)


def _plain(struct: struct_pb2.Struct) -> dict[str, Any]:
    """Return a protobuf struct as the graph keeps values."""
    values: dict[str, Any] = engine_values(json_format.MessageToDict(struct))
    return values


def _struct(values: Mapping[str, Any]) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(values)
    return struct


def _source(request: Any, root: Path) -> str:
    """Return ``file:line`` of the program's own line that made the resource, the SDKs' frames left out."""
    for frame in request.stackTrace.frames:
        path = Path(unquote(urlparse(frame.pc.uri).path))
        if path.is_relative_to(root) and "site-packages" not in path.parts:
            return f"{path.relative_to(root).as_posix()}:{frame.pc.line}"
    return ""
