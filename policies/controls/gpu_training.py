"""GPU: what training jobs may reach, and when they end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from controls.eks_machines import NODE_GROUP, TEMPLATE
from controls.gpu import has_gpus
from machinery.addresses import is_world, network_of
from machinery.control import HIGH, MEDIUM, Catalogue, References
from machinery.database_ways import admitted_groups, ways_out, ways_to_databases
from machinery.learning import TRAINING_GROUPS, is_training
from machinery.manifests import Manifest, each, objects
from machinery.pods import Pod, each_pod, pods
from machinery.stack import Stack
from machinery.subject import Node, Outcomes, Resource, Violation, per_item

catalogue = Catalogue()


def each_training_pod(stack: Stack, judge: Callable[[Pod], Outcomes]) -> Outcomes:
    """Judge every pod that trains by itself."""
    return each_pod(stack, lambda pod: judge(pod) if is_training(pod) else ())


@catalogue.stack(
    "GPU-03",
    "Training reaches data through the data-access API alone: no credential, no group and no way of the database's",
    severity=HIGH,
    remedy="Take database variables, secrets and groups off the training pods; let their network policies name pods and ports, not the database's.",
    references=References(nist=["AC-4", "AC-6"], hipaa=["164.312(a)(1)"], atlas=["AML.M0005"]),
)
def training_has_no_way_to_the_database(stack: Stack) -> Outcomes:
    yield from each_training_pod(stack, partial(_holds_nothing, stack))
    yield from per_item(stack.of(NODE_GROUP), partial(_machines_wear_none, stack))


def _holds_nothing(stack: Stack, pod: Pod) -> Outcomes:
    yield from ways_to_databases(stack, pod, "training")
    for policy in ways_out(stack, pod):
        for outcome in per_item(policy.items("spec.egress"), _leads_into_the_world):
            yield replace(outcome, urn=policy.urn)


def _leads_into_the_world(rule: Node) -> Outcomes:
    peers = rule.items("to")
    # Without a peer a rule is about everybody.
    if not peers:
        yield rule.violation("to", "is missing, so training may talk to everybody")
    for peer in peers:
        if peer.has("ipBlock") and is_world(network_of(peer.part("ipBlock.cidr"))):
            yield peer.violation("ipBlock.cidr", "lets training talk to the whole internet")


def _machines_wear_none(stack: Stack, node: Node) -> Outcomes:
    if not isinstance(node, Resource) or not has_gpus(node, stack):
        return
    for template in stack.targets(node, "launchTemplate", TEMPLATE):
        for path in ("vpcSecurityGroupIds", "networkInterfaces"):
            if admitted_groups(stack) & stack.referred(template, path):
                yield Violation(
                    path, "gives the machines a group that the database lets in", urn=template.urn
                )


@catalogue.stack(
    "GPU-04",
    "Training jobs end, and go when they have ended",
    severity=MEDIUM,
    remedy="Set active_deadline_seconds and ttl_seconds_after_finished on the Job.",
    references=References(nist=["SC-5"], atlas=["AML.T0034"]),
)
def training_ends(stack: Stack) -> Outcomes:
    yield from each(objects(stack).all, _ends)


_JOBS = {"Job": "spec", "CronJob": "spec.jobTemplate.spec"}


def _ends(made: Manifest) -> Outcomes:
    if not any(is_training(pod) for pod in pods(made)):
        return
    if made.group in TRAINING_GROUPS:
        path = "spec.runPolicy"
    elif made.group == "batch" and made.kind in _JOBS:
        path = _JOBS[made.kind]
    else:
        return
    for key, problem in (
        ("activeDeadlineSeconds", "is missing, so a job that hangs keeps its GPUs"),
        ("ttlSecondsAfterFinished", "is missing, so what has ended stays"),
    ):
        if made.switch(f"{path}.{key}") is None and not made.patch:
            yield made.violation(f"{path}.{key}", problem)
