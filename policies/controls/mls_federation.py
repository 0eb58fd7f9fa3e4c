"""MLS: who starts what a federation runs: whoever does has every silo run it, and comes from where was named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from machinery.control import HIGH, Catalogue, References
from machinery.database_ways import ways_out
from machinery.learning import aggregates
from machinery.manifests import mapping
from machinery.stack import Stack
from machinery.subject import Node, Outcome, Outcomes, per_item
from machinery.workloads import Workload, each_workload

catalogue = Catalogue()

_CONTROL = re.compile(r"(?:\w+_)??(?:CONTROL|ADMIN|OPERATOR|EXEC)_(?:API_)?PORT")

_NAMED = re.compile(r"control|admin|operator|exec", re.IGNORECASE)


@catalogue.stack(
    "MLS-16",
    "What coordinates a federation is told from named places what to run",
    severity=HIGH,
    remedy="Let each ingress rule of its network policy name callers and a port, and the port where runs are started (CONTROL_PORT, say) pods by their labels: no addresses, no whole namespace.",
    references=References(
        nist=["AC-3", "AC-6", "SC-7(5)"],
        pci=["1.3.1"],
        atlas=["AML.M0005", "AML.M0019"],
        owasp_ml=["ML06", "ML10"],
        aws_ai=["AISF-ML-03"],
    ),
)
def runs_are_started_from_named_places(stack: Stack) -> Outcomes:
    return each_workload(stack, aggregates, lambda workload: _is_reached_by_name(workload, stack))


def _is_reached_by_name(workload: Workload, stack: Stack) -> Outcomes:
    if workload.pod is None:
        return
    ports = {int(each.text) for each in workload.told(_CONTROL) if each.text.isdecimal()}
    for policy in ways_out(stack, workload.pod):
        for outcome in per_item(policy.items("spec.ingress"), partial(_names, ports)):
            yield replace(outcome, urn=policy.urn)


def _names(control: set[int], rule: Node) -> Outcomes:
    if not rule.items("from"):
        yield rule.violation("from", "is missing, so everybody comes to what coordinates a federation")
    if not rule.items("ports"):
        yield rule.violation("ports", "are missing, so who comes to one port comes to the operator's")
    elif any(_covers(port, control) for port in rule.items("ports")):
        for peer in rule.items("from"):
            yield from _is_a_pod(peer)


def _is_a_pod(peer: Node) -> Iterator[Outcome]:
    if peer.has("ipBlock"):
        yield peer.violation("ipBlock", "admits addresses to the port where runs are started")
    elif not mapping(peer, "podSelector.matchLabels") and not peer.items("podSelector.matchExpressions"):
        yield peer.violation("podSelector", "admits every pod there to the port where runs are started")


def _covers(port: Node, control: set[int]) -> bool:
    if isinstance(name := port.switch("port"), str):
        return _NAMED.search(name) is not None
    first = port.number("port", 0)
    last = port.number("endPort", first or 65535)
    return any(first <= each <= last for each in control)
