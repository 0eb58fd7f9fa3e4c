"""GPU: the machines that models are trained on. What trains on them is judged in ``gpu_training``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from controls.eks_machines import NODE_GROUP, SUBNETS, TEMPLATE
from controls.net import is_isolated
from machinery.control import HIGH, MEDIUM, Catalogue, References, stack_violation
from machinery.stack import Stack
from machinery.subject import (
    Malformed,
    Node,
    Outcomes,
    Resource,
    Undecided,
    UnknownReference,
    UnknownSwitch,
)

catalogue = Catalogue()

INSTANCE = "aws:ec2/instance:Instance"
SCALING_GROUP = "aws:autoscaling/group:Group"
BUDGET = "aws:budgets/budget:Budget"

# --- machines --------------------------------------------------------------------------------------------

_GPU_TYPE = re.compile(r"(?:p|g|gr|trn|inf|dl)\d")
"""Accelerated computing (Amazon EC2 Instance Types, "Accelerated computing"): NVIDIA's and AWS's own chips."""
_GPU_IMAGES = ("GPU", "NVIDIA", "NEURON")


def has_gpus(group: Resource, stack: Stack) -> bool:
    """Say whether the machines of a node group, an auto-scaling group or an instance have GPUs."""
    if any(word in str(group.switch("amiType", absent="")).upper() for word in _GPU_IMAGES):
        return True
    types = [group.switch("instanceType"), *_list(group, "instanceTypes")]
    types += [override.switch("instanceType") for override in group.items(_OVERRIDES)]
    for path in ("launchTemplate", "mixedInstancesPolicy"):
        types += [template.switch("instanceType") for template in stack.targets(group, path, TEMPLATE)]
    return any(_GPU_TYPE.match(str(type_)) for type_ in types if type_ is not None)


_OVERRIDES = "mixedInstancesPolicy.launchTemplate.overrides"


def _gpu_groups(stack: Stack, *types: str) -> Iterator[Resource]:
    for group in stack.of(*types):
        try:
            if has_gpus(group, stack):
                yield group
        except (UnknownSwitch, UnknownReference, Malformed):
            # What cannot be told apart is held to what GPUs are held to.
            yield group


@catalogue.stack(
    "GPU-01",
    "Machines with GPUs stand in isolated subnets",
    severity=HIGH,
    on=(NODE_GROUP, SCALING_GROUP, INSTANCE),
    remedy="Place the machines in subnets of the isolated tier (tag tier: isolated), which have no route to the internet.",
    references=References(nist=["SC-7"], atlas=["AML.T0025"]),
)
def gpus_are_isolated(group: Resource, stack: Stack) -> Outcomes:
    if not has_gpus(group, stack):
        return
    path = _SUBNETS[group.type]
    subnets = stack.targets(group, path, *SUBNETS)
    for subnet in subnets:
        if not is_isolated(subnet, stack):
            yield group.violation(path, "names a subnet that is not isolated")
    if not group.has(path):
        yield group.violation(path, "is missing, so AWS chooses a subnet")
    elif len(subnets) < len(_references(group, path)):
        yield Undecided(f"the tier of {path} of another stack")


_SUBNETS = {NODE_GROUP: "subnetIds", SCALING_GROUP: "vpcZoneIdentifiers", INSTANCE: "subnetId"}


def _references(node: Node, path: str) -> list[Any]:
    found = node.value.get(path) if isinstance(node.value, Mapping) else None
    return found if isinstance(found, list) else [found]


MOST_MACHINES = 100
"""A bound that is higher bounds nothing: 100 of the largest machines are 800 GPUs, and the default quota of a
managed node group is 450 machines (Amazon EKS service quotas)."""


@catalogue.stack(
    "GPU-02",
    "Machines with GPUs are kept for training, vanish when nobody trains, and cannot become many",
    severity=HIGH,
    on=NODE_GROUP,
    remedy=f"Give the node group labels, a taint nvidia.com/gpu NO_SCHEDULE, min_size 0 and max_size at most {MOST_MACHINES}.",
    references=References(nist=["SC-6"], atlas=["AML.T0034"]),
)
def gpus_are_reserved_and_bounded(group: Resource, stack: Stack) -> Outcomes:
    if not has_gpus(group, stack):
        return
    effects = [taint.switch("effect", absent="") for taint in group.items("taints")]
    if not {"NO_SCHEDULE", "NO_EXECUTE"}.intersection(map(str, effects)):
        yield group.violation("taints", "keeps nobody away who needs no GPU")
    if not group.has("labels"):
        yield group.violation("labels", "is missing, so a job cannot ask for these machines")
    if group.number("scalingConfig.minSize", 1) > 0:
        yield group.violation("scalingConfig.minSize", "keeps machines that nobody uses")
    if group.number("scalingConfig.maxSize", MOST_MACHINES + 1) > MOST_MACHINES:
        yield group.violation("scalingConfig.maxSize", f"is more than {MOST_MACHINES}")


@catalogue.stack(
    "GPU-05",
    "Somebody is told when GPUs cost more than was planned",
    severity=MEDIUM,
    remedy="Add an aws.budgets.Budget of type COST with a notification that has a subscriber.",
    references=References(nist=["SC-6"], atlas=["AML.T0034"]),
)
def gpus_have_a_budget(stack: Stack) -> Outcomes:
    if any(_gpu_groups(stack, NODE_GROUP, SCALING_GROUP, INSTANCE)) and not any(
        map(_tells_somebody, stack.of(BUDGET))
    ):
        yield stack_violation("has GPUs and no budget that tells somebody")


def _tells_somebody(budget: Resource) -> bool:
    return budget.switch("budgetType", absent="") == "COST" and any(
        told.has("subscriberEmailAddresses") or told.has("subscriberSnsTopicArns")
        for told in budget.items("notifications")
    )


def _list(node: Node, path: str) -> list[Any]:
    found = node.switch(path, absent=[])
    return found if isinstance(found, list) else [found]
