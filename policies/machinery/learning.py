"""Recognises what learns, what judges, what serves and what is federated, by what it is told and how it is called."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from machinery.manifests import mapping
from machinery.pods import Pod
from machinery.stack import Stack
from machinery.subject import Resource, UnknownReference, UnknownSwitch
from machinery.values import UNKNOWN
from machinery.workloads import MODEL, Variable, Workload

TRAINING_GROUPS = ("kubeflow.org", "trainer.kubeflow.org")

_GPU_RESOURCE = re.compile(
    r"(?:nvidia\.com/(?:gpu|mig-.*)|amd\.com/gpu|aws\.amazon\.com/neuron.*|habana\.ai/gaudi)"
)
_TRAINING = re.compile(r"train(?:ing|er)?", re.IGNORECASE)
_LABELS = (
    "workload",
    "app.kubernetes.io/component",
    "app.kubernetes.io/part-of",
    "component",
    "purpose",
    "tier",
)
_NAMES = ("app", "app.kubernetes.io/name", "name", "Name")
"""Labels that say how something is called, not what it is: they count where nothing else tells."""


def is_training(pod: Pod) -> bool:
    """Say whether a pod trains: it asks for a GPU, tolerates the taint of one, or is labelled so.

    Raises:
        UnknownSwitch: what tells it is not in the program.
    """
    if pod.manifest.group in TRAINING_GROUPS or asks_for_gpus(pod):
        return True
    return any(_TRAINING.fullmatch(str(pod.labels.get(key, ""))) for key in _LABELS)


def asks_for_gpus(pod: Pod) -> bool:
    """Say whether a pod asks for a GPU, or tolerates the taint of one.

    Raises:
        UnknownSwitch: what tells it is not in the program.
    """
    if any(_GPU_RESOURCE.fullmatch(name) for name in _asked_for(pod)):
        return True
    return any(
        _GPU_RESOURCE.fullmatch(str(t.switch("key", absent=""))) for t in pod.spec.items("tolerations")
    )


def _asked_for(pod: Pod) -> Iterator[str]:
    for node in (pod.spec, *pod.containers()):
        for way in ("limits", "requests"):
            yield from map(str, mapping(node, f"resources.{way}"))


# --- what a workload is, by its words --------------------------------------------------------------------

_LEARNS = re.compile(
    r"(?:[a-z0-9]+[-_.])*(?:train|training|trainer|finetune|fine-tuning)(?:[-_](?:job|model))?", re.IGNORECASE
)
_JUDGES = re.compile(
    r"(?:[a-z0-9]+[-_.])*(?:red-?team|robustness|eval|evaluat[a-z]+|benchmark|gate|judge|attacks?)(?:[-_]job)?",
    re.IGNORECASE,
)
_SERVES = re.compile(
    r"(?:[a-z0-9]+[-_.])*(?:serving|inference|predictor|prediction|model-server|modelserver|scoring)(?:[-_][a-z0-9]+)*",
    re.IGNORECASE,
)
_AGGREGATES = re.compile(
    r"(?:[a-z0-9]+[-_.])*(?:superlink|aggregator|federat[a-z]+[-_](?:server|aggregator)|fl[-_]server)(?:[-_][a-z0-9]+)*",
    re.IGNORECASE,
)
_IS_A_SILO = re.compile(
    r"(?:[a-z0-9]+[-_.])*(?:supernode|silo|collaborator|federat[a-z]+[-_](?:client|node)|fl[-_]client)(?:[-_][a-z0-9]+)*",
    re.IGNORECASE,
)
_SERVER_IMAGES = re.compile(
    r"(?:tritonserver|torchserve|tensorflow[-_]serving|tf-serving|vllm\S*|text-generation-inference|mlserver|"
    r"seldon\S*|kserve\S*|bentoml\S*|ollama|onnxruntime-server|openvino\S*model_server|lmdeploy|sglang)",
    re.IGNORECASE,
)

_OF_SOMETHING_ELSE = r"(?!.*(?:PGD|FGSM|ATTACK|ADV|ROBUST|EVASION|ADAM|OPTIM|NORM|HUBER|EARLY|MIN))"
"""Attacks, optimisers and losses have an epsilon or a delta too."""

EPSILON = re.compile(rf"{_OF_SOMETHING_ELSE}(?:\w+_)??EPSILON", re.IGNORECASE)
DELTA = re.compile(rf"{_OF_SOMETHING_ELSE}(?:\w+_)??DELTA", re.IGNORECASE)
MODEL_STORE = re.compile(
    r"(?:\w+_)??MODELS?_(?:BUCKET|URI|URL|STORE|STORAGE|REPOSITORY|REPO|PREFIX|PATH|DIR|LOCATION|REGISTRY|S3\w*)"
    r"|STORAGE_URI|HF_MODEL_ID|MODEL_SERVER_\w+"
)
DATA_STORE = re.compile(r"(?:\w+_)??(?:DATA|DATASETS?|FEATURES?|TRAINING_DATA)_(?:BUCKET|URI|S3\w*)")
_FEDERATED = re.compile(r"(?:FLWR|FLOWER|FEDERATED|FEDERATION|SUPERLINK|SUPERNODE|NVFLARE|OPENFL)_\w+")


def trains(workload: Workload) -> bool:
    """Say whether a workload makes models: it is called so, states a privacy budget, or is a job with GPUs.

    A job with GPUs that is called after a trial of models (an evaluation, a red team) is none.

    Raises:
        UnknownSwitch: what tells it is not in the program.
    """
    if workload.pod is not None and workload.pod.manifest.group in TRAINING_GROUPS:
        return True
    if workload.told(EPSILON) and not workload.lasting:
        return True
    if judges(workload) or _federates(workload):
        return False
    if _called(workload, _LEARNS):
        return True
    return not workload.lasting and workload.pod is not None and asks_for_gpus(workload.pod)


def judges(workload: Workload) -> bool:
    """Say whether a workload tries models and makes none."""
    return _called(workload, _JUDGES) and not workload.told(EPSILON)


def serves(workload: Workload) -> bool:
    """Say whether a workload answers with a model: it stays, and is called so or told where models are.

    Raises:
        UnknownSwitch: what tells it is not in the program.
    """
    if workload.resource.type == MODEL:
        return True
    if not workload.lasting or _is_something_else(workload):
        return False
    if workload.pod is not None and workload.pod.manifest.group in (
        "serving.kserve.io",
        "machinelearning.seldon.io",
    ):
        return True
    if workload.told(MODEL_STORE) or _labelled(workload, _SERVES):
        return True
    return _runs(workload, lambda image: _SERVER_IMAGES.search(image) is not None)


def _is_something_else(workload: Workload) -> bool:
    """Say whether a workload that stays trains or federates; an image that is not known yet says neither."""
    try:
        return trains(workload) or _federates(workload)
    except UnknownReference:
        return False


def aggregates(workload: Workload) -> bool:
    """Say whether a workload puts together what the silos of a federation learned."""
    return _called(workload, _AGGREGATES)


def is_silo(workload: Workload) -> bool:
    """Say whether a workload learns inside a silo of a federation."""
    if aggregates(workload):
        return False
    return _called(workload, _IS_A_SILO) or bool(workload.told(_FEDERATED))


def _federates(workload: Workload) -> bool:
    return aggregates(workload) or is_silo(workload)


def _called(workload: Workload, pattern: re.Pattern[str]) -> bool:
    """Say whether a label, a name, an image or a program that is started is called so."""
    if _labelled(workload, pattern) or any(pattern.fullmatch(_label(workload, key)) for key in _NAMES):
        return True
    started = (
        word.rpartition("/")[2].removesuffix(".py").rpartition(".")[2]
        for word in workload.words[:_FIRST_WORDS]
    )
    if any(map(pattern.fullmatch, started)):
        return True
    return _runs(workload, lambda image: pattern.fullmatch(image) is not None)


def _runs(workload: Workload, matches: Callable[[str], bool]) -> bool:
    """Say whether one of the images matches.

    Raises:
        UnknownReference: none of those that are known does, and one is not.
    """
    if any(matches(_repository(image)) for image in workload.images if image is not UNKNOWN):
        return True
    if any(image is UNKNOWN for image in workload.images):
        raise UnknownReference(f"{workload.at.path}.image".strip("."))
    return False


_FIRST_WORDS = 4
"""``python -m services.trainer``: what is started stands among the first words, what it is told behind."""


def _labelled(workload: Workload, pattern: re.Pattern[str]) -> bool:
    return any(pattern.fullmatch(_label(workload, key)) for key in _LABELS)


def _label(workload: Workload, key: str) -> str:
    """Return a label.

    Raises:
        UnknownSwitch: it is unknown.
    """
    found = workload.labels.get(key)
    if found is UNKNOWN:
        raise UnknownSwitch(f"{workload.at.path} {key}".strip())
    return "" if found is None else str(found)


def _repository(image: str) -> str:
    """Return the last part of an image's name, without tag and digest."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0]


# --- what the variables of a workload mean ---------------------------------------------------------------


def meant(variable: Variable, workload: Workload, stack: Stack, *types: str) -> list[Resource]:
    """Return the resources of ``types`` that a variable names: by an identifier, or inside a URI.

    One that is not known yet may name whatever the workload depends on.
    """
    if isinstance(variable.value, str):
        names = {variable.value, *_URI.findall(variable.value), variable.value.removeprefix("awskms:///")}
        return [one for name in sorted(names) for one in stack.named(name) if one.type in types]
    if variable.value is None:
        return []
    needs = {urn for urns in workload.resource.property_dependencies.values() for urn in urns}
    made = (stack.by_urn[urn] for urn in sorted(needs) if urn in stack.by_urn)
    return [one for one in made if one.type in types]


_URI = re.compile(r"^s3://([\w.-]+)")
