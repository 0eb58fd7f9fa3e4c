"""What runs a program: pods, tasks, functions and models, each with its environment, its arguments and its role.

A program is told what to do in its environment and its arguments, whatever starts it. Where a part of these stands
somewhere that is not in the graph, a workload is ``open``: what it lacks cannot be said then.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from machinery.authority import ASSOCIATION
from machinery.grants import ROLE
from machinery.manifests import Manifest, manifests, objects
from machinery.pods import Container, Pod, pods
from machinery.stack import Stack
from machinery.subject import (
    Malformed,
    Node,
    Outcome,
    Outcomes,
    Resource,
    Undecided,
    UnknownReference,
    UnknownSwitch,
    guarded,
)
from machinery.values import UNKNOWN

TASK = "aws:ecs/taskDefinition:TaskDefinition"
TASK_SERVICE = "aws:ecs/service:Service"
FUNCTION = "aws:lambda/function:Function"
MODEL = "aws:sagemaker/model:Model"

CLOUD_TYPES = (TASK, FUNCTION, MODEL)

_LASTING_KINDS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController")
_KSERVE = "serving.kserve.io"
_LASTING_GROUPS = (_KSERVE, "machinelearning.seldon.io", "serving.knative.dev", "ray.io")
_ROLE_ANNOTATION = "eks.amazonaws.com/role-arn"

_LONGEST_NAME = 256
_OFF = ("", "0", "false", "no", "off", "none", "disabled", "unlimited", "-1")

MOST_CHARACTERS = 1 << 20
"""Of container definitions in JSON; ECS takes 64 KiB of a whole task definition (Amazon ECS service quotas)."""


@dataclass(frozen=True, eq=False)
class Variable(Node):
    """One variable of an environment; its value is a text, ``UNKNOWN``, or ``None`` where it stands elsewhere."""

    name: str = ""

    @property
    def text(self) -> str:
        """The value, empty where it is not known or stands elsewhere."""
        return self.value if isinstance(self.value, str) else ""

    @property
    def off(self) -> bool:
        """Say whether the value turns off what the name speaks of; an empty one does."""
        return isinstance(self.value, str) and self.text.strip().lower() in _OFF

    def read(self) -> str:
        """Return the value as a text.

        Raises:
            UnknownReference: it is not known yet, or stands elsewhere.
        """
        if not isinstance(self.value, str):
            raise UnknownReference(self.path)
        return self.value


@dataclass(frozen=True, eq=False)
class Workload:
    """Something that runs: where violations of it are told, what it is told itself, and what it is."""

    resource: Resource
    at: Node
    variables: tuple[Variable, ...] = ()
    words: tuple[str, ...] = ()
    """Command and arguments, those split at blanks and equals signs."""
    lines: tuple[str, ...] = ()
    """The same as they are written, those of each container as one."""
    images: tuple[Any, ...] = ()
    """Texts, and ``UNKNOWN`` where one is not known yet."""
    labels: Mapping[str, Any] = field(default_factory=dict)
    lasting: bool = False
    """It answers until somebody stops it, and does not end by itself."""
    open: bool = False
    pod: Pod | None = None

    def told(self, pattern: re.Pattern[str]) -> list[Variable]:
        """Return the variables whose name is ``pattern``; nobody reads one whose name is a text of its own."""
        return [
            each
            for each in self.variables
            if len(each.name) <= _LONGEST_NAME and pattern.fullmatch(each.name)
        ]

    def says(self, pattern: re.Pattern[str]) -> bool:
        """Say whether one of its words is ``pattern``."""
        return any(pattern.fullmatch(word) for word in self.words)

    def after(self, pattern: re.Pattern[str]) -> str:
        """Return the word behind the first one that is ``pattern``; empty where there is none."""
        at = next(
            (place for place, word in enumerate(self.words) if pattern.fullmatch(word)), len(self.words)
        )
        return self.words[at + 1] if at + 1 < len(self.words) else ""

    def violation(self, path: str, problem: str) -> Outcome:
        """Return a violation at ``path`` below the workload."""
        return replace(self.at.violation(path, problem), urn=self.resource.urn)

    def undecided(self, waits_for: str) -> Outcome:
        """Return that it cannot be said yet."""
        return Undecided(waits_for, urn=self.resource.urn)

    def lacks(self, what: str, problem: str) -> Outcome:
        """Return the outcome of something that the workload is not told: undecided where it may be told elsewhere."""
        if self.open:
            return self.undecided(f"what {self.at.path or 'the environment'} is told elsewhere")
        return self.violation(what, problem)


Wanted = Callable[[Workload], bool]
"""Says whether a workload is meant; a function of a module, so that its answers are kept."""


class _Programs:
    """The workloads of a stack, each read once, and what could not be read of them."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.read = [
            _read(resource, stack) for resource in (*stack.matching("kubernetes:"), *stack.of(*CLOUD_TYPES))
        ]
        self._found: dict[Wanted, list[Workload]] = {}
        self._by_role: dict[Wanted, dict[str, list[Workload]]] = {}

    def found(self, wanted: Wanted) -> list[Workload]:
        if wanted not in self._found:
            readable = [workload for workloads, _ in self.read for workload in workloads]
            self._found[wanted] = [workload for workload in readable if _is(workload, wanted)]
        return self._found[wanted]

    def wearing(self, role: Resource, wanted: Wanted) -> list[Workload]:
        if wanted not in self._by_role:
            index: dict[str, list[Workload]] = {}
            for workload in self.found(wanted):
                for worn in _readable_roles(workload, self._stack):
                    index.setdefault(worn.urn, []).append(workload)
            self._by_role[wanted] = index
        return self._by_role[wanted].get(role.urn, [])


def _is(workload: Workload, wanted: Wanted) -> bool:
    try:
        return wanted(workload)
    except (UnknownSwitch, UnknownReference, Malformed):
        return False


def _read(resource: Resource, stack: Stack | None) -> tuple[list[Workload], list[Outcome]]:
    workloads: list[Workload] = []

    def note(reader: Callable[[], Iterator[Workload]]) -> Outcomes:
        workloads.extend(reader())
        return ()

    problems = [outcome for reader in _readers(resource, stack) for outcome in guarded(partial(note, reader))]
    return workloads, [replace(problem, urn=problem.urn or resource.urn) for problem in problems]


def each_workload(stack: Stack, wanted: Wanted, judge: Callable[[Workload], Outcomes]) -> Iterator[Outcome]:
    """Judge every workload that is wanted by itself, so that an unknown in one hides nothing in another."""
    for read in stack.once(_Programs).read:
        yield from _judged(read, wanted, judge)


def on_workloads(
    resource: Resource, wanted: Wanted, judge: Callable[[Workload], Outcomes]
) -> Iterator[Outcome]:
    """Judge every workload of one resource that is wanted; what a ConfigMap tells it is elsewhere."""
    yield from _judged(_read(resource, None), wanted, judge)


def _judged(
    read: tuple[list[Workload], list[Outcome]],
    wanted: Wanted,
    judge: Callable[[Workload], Outcomes],
) -> Iterator[Outcome]:
    workloads, problems = read
    yield from problems
    for workload in workloads:
        for outcome in guarded(partial(_if_wanted, workload, wanted, judge)):
            yield replace(outcome, urn=outcome.urn or workload.resource.urn)


def _if_wanted(workload: Workload, wanted: Wanted, judge: Callable[[Workload], Outcomes]) -> Outcomes:
    return judge(workload) if wanted(workload) else ()


def found(stack: Stack, wanted: Wanted) -> list[Workload]:
    """Return the workloads that are wanted, as far as they can be read: what cannot is each control's to report."""
    return stack.once(_Programs).found(wanted)


def _readers(resource: Resource, stack: Stack | None) -> Iterator[Callable[[], Iterator[Workload]]]:
    if resource.type == TASK:
        yield partial(_tasks, resource, stack)
    elif resource.type == FUNCTION:
        yield partial(_functions, resource)
    elif resource.type == MODEL:
        yield partial(_models, resource)
    else:
        for manifest in manifests(resource):
            yield partial(_of_manifest, manifest, stack)


# --- pods ------------------------------------------------------------------------------------------------


def _of_manifest(manifest: Manifest, stack: Stack | None) -> Iterator[Workload]:
    if manifest.group == _KSERVE:
        yield from _predictors(manifest, stack)
    for pod in pods(manifest):
        yield _of_pod(pod, list(pod.containers()), stack)


def _of_pod(pod: Pod, containers: list[Container], stack: Stack | None) -> Workload:
    told = [_told(container, pod.manifest, stack) for container in containers]
    return Workload(
        resource=pod.manifest,
        at=pod.spec,
        variables=tuple(variable for each, _ in told for variable in each),
        words=tuple(
            word
            for c in containers
            for place in _COMMANDS
            for word in _words(c.reference(place), f"{c.path}.{place}")
        ),
        lines=tuple(_line(c, _COMMANDS) for c in containers),
        images=tuple(map(_image, containers)),
        labels=pod.labels,
        lasting=_lasts(pod),
        open=pod.manifest.patch or any(elsewhere for _, elsewhere in told),
        pod=pod,
    )


def _lasts(pod: Pod) -> bool:
    manifest = pod.manifest
    if manifest.kind == "Pod" and manifest.group == "core":
        return bool(pod.spec.switch("restartPolicy", absent="Always") == "Always")
    return manifest.kind in _LASTING_KINDS or manifest.group in _LASTING_GROUPS


def _predictors(manifest: Manifest, stack: Stack | None) -> Iterator[Workload]:
    """Yield what KServe makes of a model that stands in no container (KServe, "InferenceService" API reference)."""
    spec = manifest.part("spec.predictor")
    if not isinstance(spec.value, Mapping):
        return
    for key, value in spec.value.items():
        if not isinstance(value, Mapping) or not (key == "model" or value.get("storageUri")):
            continue
        model = spec.part(key)
        pod = Pod(manifest, spec, Node(None))
        made = _of_pod(pod, [Container(model.value, model.path, pod)], stack)
        uri = Variable(model.reference("storageUri"), f"{model.path}.storageUri", name="STORAGE_URI")
        form = model.switch("modelFormat.name", absent=key)
        yield replace(
            made, variables=(*made.variables, uri), words=(*made.words, "--model-format", str(form))
        )


def _told(container: Container, manifest: Manifest, stack: Stack | None) -> tuple[list[Variable], bool]:
    """Return the variables of a container, and whether some of them stand where nobody can look."""
    variables: list[Variable] = []
    elsewhere = False
    for node in container.items("envFrom"):
        data = _config_map(node.reference("configMapRef.name"), manifest, stack)
        elsewhere = elsewhere or data is None
        prefix = str(node.switch("prefix", absent=""))
        variables += [
            Variable(value, node.path, name=f"{prefix}{key}") for key, value in (data or {}).items()
        ]
    for node in container.items("env"):
        name = str(node.switch("name", absent=""))
        variables.append(Variable(_value(node, manifest, stack), node.path, name=name))
    return variables, elsewhere


def _value(node: Node, manifest: Manifest, stack: Stack | None) -> Any:
    if not node.known("value"):
        return UNKNOWN
    literal = node.reference("value")
    if literal is not None or not node.has("valueFrom.configMapKeyRef"):
        return None if literal is None else str(literal)
    data = _config_map(node.reference("valueFrom.configMapKeyRef.name"), manifest, stack)
    return (data or {}).get(str(node.reference("valueFrom.configMapKeyRef.key")))


def _config_map(name: object, manifest: Manifest, stack: Stack | None) -> Mapping[str, Any] | None:
    """Return the data of a ConfigMap beside a manifest; none where it is not in the graph."""
    place = objects(stack).place(manifest) if stack else None
    if stack is None or place is None or not isinstance(name, str):
        return None
    for made in objects(stack).named("ConfigMap", place, name):
        data = made.reference("data", absent={})
        return data if isinstance(data, Mapping) else None
    return None


_COMMANDS, _ENTRIES = ("command", "args"), ("entryPoint", "command")


def _line(container: Node, places: tuple[str, ...]) -> str:
    return " ".join(text for place in places for text in _given(container.reference(place), place))


def _words(value: Any, place: str = "") -> list[str]:
    """Return the words of a command, ``--key=value`` as two."""
    return [
        word for text in _given(value, place) for word in re.split(r"[\s=]+", text[:MOST_CHARACTERS]) if word
    ]


def _given(value: Any, place: str) -> list[str]:
    """Return the texts of a command.

    Raises:
        UnknownReference: one of them is unknown.
    """
    members = value if isinstance(value, list) else [] if value is None else [value]
    if any(member is UNKNOWN for member in members):
        raise UnknownReference(place)
    return [member for member in members if isinstance(member, str)]


# --- tasks, functions, models ----------------------------------------------------------------------------


def _tasks(task: Resource, stack: Stack | None) -> Iterator[Workload]:
    containers = _definitions(task)
    variables = [
        Variable(_plain(one.reference("value")), one.path, name=str(one.reference("name", absent="")))
        for container in containers
        for one in container.items("environment")
    ]
    yield Workload(
        resource=task,
        at=Node(task.value),
        variables=tuple(variables),
        words=tuple(
            word
            for c in containers
            for place in _ENTRIES
            for word in _words(c.reference(place), f"{c.path}.{place}")
        ),
        lines=tuple(_line(c, _ENTRIES) for c in containers),
        images=tuple(map(_image, containers)),
        labels=_mapping(task.value, "tags"),
        lasting=bool(stack and stack.referrers(task, "taskDefinition", TASK_SERVICE)),
        open=any(container.has("environmentFiles") for container in containers),
    )


def _definitions(task: Resource) -> list[Node]:
    text = task.reference("containerDefinitions", absent="[]")
    if not isinstance(text, str) or len(text) > MOST_CHARACTERS:
        raise Malformed("containerDefinitions")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise Malformed("containerDefinitions") from None
    return Node({"containerDefinitions": value}).items("containerDefinitions")


def _functions(function: Resource) -> Iterator[Workload]:
    yield Workload(
        resource=function,
        at=Node(function.value),
        variables=tuple(_variables(function, "environment.variables")),
        images=(_image(function, "imageUri"),),
        labels=_mapping(function.value, "tags"),
        lasting=True,
    )


def _models(model: Resource) -> Iterator[Workload]:
    containers = [*model.items("primaryContainer"), *model.items("containers")]
    yield Workload(
        resource=model,
        at=Node(model.value),
        variables=tuple(each for container in containers for each in _variables(container, "environment")),
        images=tuple(map(_image, containers)),
        labels=_mapping(model.value, "tags"),
        lasting=True,
    )


def _variables(node: Node, path: str) -> Iterator[Variable]:
    told = node.reference(path, absent={})
    if not isinstance(told, Mapping):
        raise Malformed(path)
    at = f"{node.path}.{path}" if node.path else path
    for name, value in told.items():
        yield Variable(_plain(value), f"{at}.{name}", name=str(name))


def _image(node: Node, path: str = "image") -> Any:
    return str(node.reference(path, absent="")) if node.known(path) else UNKNOWN


def _plain(value: Any) -> Any:
    return value if value is None or value is UNKNOWN or isinstance(value, str) else str(value)


def _mapping(value: Any, key: str) -> Mapping[str, Any]:
    found_ = value.get(key) if isinstance(value, Mapping) else None
    return found_ if isinstance(found_, Mapping) else {}


# --- roles -----------------------------------------------------------------------------------------------

_ROLE_PATHS = {TASK: "taskRoleArn", FUNCTION: "role", MODEL: "executionRoleArn"}


def roles(workload: Workload, stack: Stack) -> list[Resource]:
    """Return the roles that a workload's program acts as.

    Raises:
        UnknownReference: it has one that is not in the graph, or which one it has cannot be said yet.
    """
    if workload.pod is not None:
        return list(_roles_of_pod(workload.pod, stack))
    path = _ROLE_PATHS[workload.resource.type]
    made = stack.targets(workload.resource, path, ROLE)
    if not made and workload.resource.has(path):
        raise UnknownReference(f"what {path} of another stack allows")
    return made


def _roles_of_pod(pod: Pod, stack: Stack) -> Iterator[Resource]:
    place = objects(stack).place(pod.manifest)
    account = pod.spec.reference("serviceAccountName", absent="default")
    if place is None:
        raise UnknownReference("metadata.namespace")
    for association in stack.of(ASSOCIATION):
        here = association.reference("namespace") == place.name
        if here and association.reference("serviceAccount") == account:
            yield from _made(association, "roleArn", stack)
    for made in objects(stack).named("ServiceAccount", place, str(account)):
        if made.annotations.get(_ROLE_ANNOTATION) is not None:
            yield from _made(made, "metadata", stack)


def _made(names: Resource, path: str, stack: Stack) -> list[Resource]:
    """Return the role that a resource names; the members of a list of manifests share one place in the index."""
    made = [] if names.path else stack.targets(names, path, ROLE)
    if not made:
        raise UnknownReference("what a role of another stack allows")
    return made


def wearers(role: Resource, stack: Stack, wanted: Wanted) -> list[Workload]:
    """Return the workloads that are wanted and may act as a role, as far as they can be read."""
    return stack.once(_Programs).wearing(role, wanted)


def _readable_roles(workload: Workload, stack: Stack) -> list[Resource]:
    try:
        return roles(workload, stack)
    except (UnknownReference, Malformed):
        return []
