"""A web ACL as WAF reads it: which rule of a recorded one decides about a request, and how."""

from __future__ import annotations

import ipaddress
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from blueprint.graph import Graph
from tests.components.support import one

ACL = "aws:wafv2/webAcl:WebAcl"
IP_SET = "aws:wafv2/ipSet:IpSet"

INSPECTED_BYTES = 8192
"""What an Application Load Balancer shows WAF of a body (AWS WAF Developer Guide)."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request, with what WAF knows of it besides."""

    address: str = "203.0.113.7"
    path: str = "/v1/predict"
    body_bytes: int = 0
    asked_before: int = 0
    """Requests of this address in the last five minutes, on any path: the count of each rate rule."""
    attack: str = ""
    """The managed group that knows it."""


def decision(graph: Graph, request: Request, *, blocked: Sequence[str] = ()) -> tuple[str, str, int | None]:
    """Return the rule that decides (``default`` if none does), its action, and the status of an answer.

    ``blocked`` is what a program wrote into the block sets meanwhile.
    """
    acl = one(graph, ACL).inputs
    sets = _sets(graph, blocked)
    for rule in sorted(acl["rules"], key=lambda rule: int(rule["priority"])):
        if _meets(rule["statement"], request, sets):
            (action,) = rule.get("action") or rule["overrideAction"]
            if "overrideAction" in rule:
                action = {"none": "block", "count": "count"}[action]
            if action != "count":
                answer = rule.get("action", {}).get(action, {}).get("customResponse", {})
                return rule["name"], action, answer.get("responseCode")
    (action,) = acl["defaultAction"]
    return "default", action, None


def _sets(graph: Graph, blocked: Sequence[str]) -> dict[str, list[str]]:
    return {
        made.outputs["arn"]: list(blocked) if "-blocked-" in made.name else made.inputs["addresses"]
        for made in graph.of(IP_SET)
    }


def _meets(statement: Mapping[str, Any], request: Request, sets: Mapping[str, list[str]]) -> bool:
    ((kind, of),) = statement.items()
    match kind:
        case "ipSetReferenceStatement":
            return any(_holds(text, request.address) for text in sets[of["arn"]])
        case "andStatement":
            assert len(of["statements"]) >= 2, "WAF takes no and of one"
            return all(_meets(each, request, sets) for each in of["statements"])
        case "notStatement":
            return not _meets(of["statement"], request, sets)
        case "rateBasedStatement":
            scope = of.get("scopeDownStatement")
            counts = scope is None or _meets(scope, request, sets)
            return counts and request.asked_before >= int(of["limit"])
        case "byteMatchStatement":
            return _read(request.path, of["textTransformations"]).startswith(str(of["searchString"]))
        case "sizeConstraintStatement":
            oversize: bool = of["fieldToMatch"]["body"]["oversizeHandling"] == "MATCH"
            if request.body_bytes > INSPECTED_BYTES:
                return oversize
            assert of["comparisonOperator"] == "GT"
            return request.body_bytes > int(of["size"])
        case "managedRuleGroupStatement":
            return bool(of["name"] == request.attack)
        case _:
            raise AssertionError(f"a statement that nobody reads: {kind}")


def _holds(text: str, address: str) -> bool:
    network, found = ipaddress.ip_network(text), ipaddress.ip_address(address)
    return network.version == found.version and found in network


def _read(path: str, transformations: Sequence[Mapping[str, Any]]) -> str:
    for each in sorted(transformations, key=lambda each: int(each["priority"])):
        match each["type"]:
            case "URL_DECODE":
                path = unquote(path)
            case "NORMALIZE_PATH":
                path = posixpath.normpath(path)
            case other:
                raise AssertionError(f"a transformation that nobody reads: {other}")
    return path
