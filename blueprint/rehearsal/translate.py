"""Writes the graph as Terraform JSON, driven by the provider's schema. Nothing is dropped silently.

While the program runs, every output is a token that names an attribute (``@@aws_vpc.main.id@@``). It flows
through f-strings and JSON like any text, and becomes a Terraform reference here.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from blueprint.errors import BlueprintError
from blueprint.graph import SECRET, SIGNATURE, UNKNOWN, Graph, Resource
from blueprint.outputs import resolve, together
from blueprint.rehearsal.archive import is_archive
from blueprint.rehearsal.schema import Block, Schema, camel

TOKEN = re.compile(r"@@([A-Za-z0-9_.*\[\]-]+)@@")

_ADDRESS = re.compile(r"(?<![\w.-])aws_\w+\.[\w-]+")

# Arguments that Pulumi calls otherwise than by rule: provider's type, Pulumi's name, provider's name.
_ARGUMENTS = {
    ("aws_cloudwatch_log_subscription_filter", "logGroup"): "log_group_name",
    ("aws_cloudwatch_metric_alarm", "name"): "alarm_name",
    ("aws_lambda_function", "code"): "filename",
    ("aws_lambda_function", "name"): "function_name",
    ("aws_lambda_permission", "function"): "function_name",
    ("aws_sns_topic_subscription", "topic"): "topic_arn",
}

# Outputs that Pulumi has in another form than by rule, and inside blocks: the provider's type, Pulumi's form.
_OUTPUTS: dict[str, dict[str, Any]] = {
    "aws_eks_cluster": {
        "certificateAuthority": {"data": "certificate_authority[0].data"},
        "identities": [{"oidcs": [{"issuer": "identity[0].oidc[0].issuer"}]}],
        "vpcConfig": {"clusterSecurityGroupId": "vpc_config[0].cluster_security_group_id"},
    },
    "aws_vpc_endpoint": {
        "dnsEntries": [
            {"dnsName": "dns_entry[0].dns_name", "hostedZoneId": "dns_entry[0].hosted_zone_id"},
        ],
    },
}

_ADVANCED_DNS = "DNS Firewall Advanced is newer than provider 5"

LEFT_OUT: dict[tuple[str, str], str] = {
    ("aws_route53_resolver_firewall_rule", "confidenceThreshold"): _ADVANCED_DNS,
    ("aws_route53_resolver_firewall_rule", "dnsThreatProtection"): _ADVANCED_DNS,
}
"""Arguments without a counterpart in some version of the provider: what they need is neither planned nor applied,
and the report says so. An argument that the provider at hand does know is passed on."""

# What Pulumi names by itself and the provider wants to be told.
_NAMES = ("name", "alarm_name", "function_name", "identifier", "analyzer_name")

_MAX_NAME = 64


class Untranslatable(BlueprintError):
    """The graph holds something that the provider has no counterpart for."""


def address(resource: Resource, type_: str) -> str:
    """Return the Terraform address of a resource: its logical name, in the letters that Terraform takes."""
    name = re.sub(r"[^A-Za-z0-9_-]", "_", resource.name)
    return f"{type_}.{name if name[:1].isalpha() else f'_{name}'}"


@dataclass(frozen=True)
class Answers:
    """Answers the program with tokens instead of values."""

    schema: Schema

    def __call__(self, resource: Resource, provider: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Return the id and outputs of a resource: what the program set, and tokens for all else."""
        if not resource.type.startswith("aws:"):
            return resolve(resource, provider)
        type_ = self.schema.type_of(resource.type)
        if type_ is None:
            raise Untranslatable(
                f"{resource.name} ({resource.type}): provider {self.schema.version} has no such resource type"
            )
        place = address(resource, type_)
        block = self.schema.block(type_)
        outputs: dict[str, Any] = {}
        for name, attribute in block.attributes.items():
            outputs.update(_answer(place, name, attribute["type"]))
        for (of, ours), theirs in _ARGUMENTS.items():
            if of == type_:
                outputs[ours] = f"@@{place}.{theirs}@@"
        outputs.update(_tokens(place, _OUTPUTS.get(type_, {})))
        return f"@@{place}.id@@", together(outputs, resource.inputs)


def _answer(place: str, name: str, type_: Any) -> dict[str, Any]:
    """Return an output under the names that Pulumi may give it."""
    if isinstance(type_, list) and type_[0] in ("list", "set") and isinstance(type_[1], list):
        fields = type_[1][1] if type_[1][0] == "object" else {}
        # A set has no first member; the list of what its members say has one.
        first = "{}.*.{}[0]" if type_[0] == "set" else "{}[0].{}"
        one = {camel(key): f"@@{place}.{first.format(name, key)}@@" for key in fields}
        return {camel(name): [one], f"{camel(name)}s": [one]}
    return {camel(name): f"@@{place}.{name}@@"}


def _tokens(place: str, shape: Any) -> Any:
    """Return a form of outputs with a token for each attribute that it names."""
    if isinstance(shape, dict):
        return {key: _tokens(place, item) for key, item in shape.items()}
    if isinstance(shape, list):
        return [_tokens(place, item) for item in shape]
    return f"@@{place}.{shape}@@"


@dataclass
class Configuration:
    """Terraform JSON for a graph, and which resource each address is."""

    resources: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Bodies by address."""
    sources: dict[str, Resource] = field(default_factory=dict)
    """Pulumi resources by address."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Addresses that the provider at hand cannot plan, and why."""
    archives: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """Archives of the graph's by the name of the file that the configuration asks for."""

    def document(self, addresses: Iterable[str], providers: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the configuration file for some of the resources."""
        kept = set(addresses)
        bodies: dict[str, dict[str, Any]] = {}
        for each in sorted(kept):
            type_, _, name = each.partition(".")
            body = dict(self.resources[each])
            body["depends_on"] = [other for other in body.get("depends_on", []) if other in kept]
            bodies.setdefault(type_, {})[name] = body
        return {
            "terraform": {"required_providers": {"aws": {"source": "hashicorp/aws"}}},
            "provider": {"aws": providers},
            "resource": bodies,
        }

    def references(self, each: str) -> set[str]:
        """Return the addresses that a resource refers to. It can do without what it only waits for."""
        body = {key: value for key, value in self.resources[each].items() if key != "depends_on"}
        named = _ADDRESS.findall(json.dumps(body))
        return {other for other in named if other in self.resources and other != each}


def translate(graph: Graph, schema: Schema) -> Configuration:
    """Return the configuration for every AWS resource of a graph recorded with ``Answers``.

    Raises:
        Untranslatable: a type or an argument has no counterpart; all of them are named.
    """
    configuration = Configuration()
    by_urn: dict[str, str] = {}
    problems: list[str] = []
    for resource in graph.resources:
        if not resource.custom or not resource.type.startswith("aws:"):
            continue
        type_ = schema.type_of(resource.type)
        if type_ is None:
            problems.append(f"{resource.name} ({resource.type}): no such resource type")
            continue
        place = address(resource, type_)
        if place in configuration.sources:
            problems.append(
                f"{resource.name} ({resource.type}): shares the address {place} with another resource"
            )
        by_urn[resource.urn] = place
        configuration.sources[place] = resource
        block = schema.block(type_)
        for key in resource.inputs:
            if block.names(key) is None and (type_, key) in LEFT_OUT:
                configuration.left_out[place] = LEFT_OUT[type_, key]
        body, missing = _body(resource, type_, block)
        for name, value in body.items():
            if is_archive(value):
                body[name] = f"{place}.zip"
                configuration.archives[f"{place}.zip"] = value
        problems += [f"{resource.name} ({resource.type}): {what}" for what in missing]
        provider = resource.provider_urn.rpartition("::")[2]
        body["provider"] = f"aws.{provider}"
        body["depends_on"] = sorted(
            {by_urn[urn] for urn in resource.needs() if urn in by_urn and by_urn[urn] != place}
        )
        configuration.resources[place] = body
    if problems:
        raise Untranslatable(
            f"provider {schema.version} has no counterpart for:\n  " + "\n  ".join(sorted(problems))
        )
    return configuration


def _body(resource: Resource, type_: str, block: Block) -> tuple[dict[str, Any], list[str]]:
    problems: list[str] = []
    body: dict[str, Any] = {}
    for key, value in resource.inputs.items():
        if value is None:
            continue
        name = _ARGUMENTS.get((type_, key)) or block.names(key)
        if name is None and (type_, key) not in LEFT_OUT:
            problems.append(f"argument {key} is unknown to the provider")
        elif name is not None:
            body[name] = _argument(block, name, value, key, problems)
    for name in block.invented():
        if name in _NAMES and name not in body and f"{name}_prefix" not in body:
            body[name] = resource.name[:_MAX_NAME]
    return body, problems


def _argument(block: Block, name: str, value: Any, path: str, problems: list[str]) -> Any:
    if name in block.blocks:
        return _nested(block.nested(name), value, path, problems)
    return _typed(block.attributes[name].get("type", "dynamic"), value, path, problems)


def _nested(block: Block, value: Any, path: str, problems: list[str]) -> Any:
    if isinstance(value, list):
        return [_nested(block, item, f"{path}[{index}]", problems) for index, item in enumerate(value)]
    if not isinstance(value, dict):
        problems.append(f"argument {path} is not an object")
        return None
    body = {}
    for key, item in value.items():
        name = block.names(key)
        if name is None:
            problems.append(f"argument {path}.{key} is unknown to the provider")
        elif item is not None:
            body[name] = _argument(block, name, item, f"{path}.{key}", problems)
    return body


def _typed(type_: Any, value: Any, path: str, problems: list[str]) -> Any:
    """Return a value for an attribute; an object in one must have all its fields, if only as null."""
    if is_archive(value):
        return value
    if value == UNKNOWN:
        problems.append(f"argument {path} refers to an output that the provider does not have")
        return None
    kind: str
    of: Any
    kind, of = (type_[0], type_[1]) if isinstance(type_, list) else (type_, None)
    if isinstance(value, list):
        member = of if kind in ("list", "set") else "dynamic"
        return [_typed(member, item, f"{path}[{index}]", problems) for index, item in enumerate(value)]
    if isinstance(value, dict) and value.get(SIGNATURE) == SECRET:
        return _typed(type_, value.get("value"), path, problems)
    if isinstance(value, dict) and kind == "object":
        known = Block({"attributes": {name: {"type": each} for name, each in of.items()}})
        fields: dict[str, Any] = dict.fromkeys(of)
        for key, item in value.items():
            name = known.names(key)
            if name is None:
                problems.append(f"argument {path}.{key} is unknown to the provider")
            else:
                fields[name] = _typed(of[name], item, f"{path}.{key}", problems)
        return fields
    if isinstance(value, dict) and kind in ("list", "set"):
        return [_typed(of, value, path, problems)]
    if isinstance(value, dict):
        return {key: _typed("dynamic", item, f"{path}.{key}", problems) for key, item in value.items()}
    return _text(value) if isinstance(value, str) else value


def _text(text: str) -> str:
    """Return a text as Terraform reads it: our tokens are references, and nothing else is."""
    inner = _from_base64(text)
    if inner is not None and TOKEN.search(inner):
        return f"${{base64encode({_quoted(inner)})}}"
    return TOKEN.sub(r"${\1}", _escaped(text))


def _escaped(text: str) -> str:
    return text.replace("${", "$${").replace("%{", "%%{")


def _quoted(text: str) -> str:
    """Return a text as a literal of Terraform's language, with its references."""
    return TOKEN.sub(r"${\1}", json.dumps(_escaped(text)))


def _from_base64(text: str) -> str | None:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError):
        return None


def with_dependants(configuration: Configuration, first: Iterable[str]) -> dict[str, str]:
    """Return ``first`` and all that leans on them: address to the one that it leans on."""
    leans = {each: each for each in first}
    needs = {each: configuration.references(each) for each in configuration.resources}
    changed = True
    while changed:
        changed = False
        for each, on in needs.items():
            if each not in leans and (reason := next(iter(sorted(on & leans.keys())), None)):
                leans[each] = leans[reason]
                changed = True
    return leans
