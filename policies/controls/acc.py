"""ACC: how people and machines get in."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from functools import partial
from typing import Any

from machinery.addresses import (
    DEFAULT_GROUP,
    GROUP,
    INGRESS_RULE,
    LEGACY_RULE,
    inbound_rules,
    is_wider_than_listed,
)
from machinery.control import CRITICAL, HIGH, MEDIUM, Catalogue, References
from machinery.credentials import holds_credential, texts_in
from machinery.stack import Stack
from machinery.subject import Malformed, Outcomes, Resource, UnknownReference, guarded
from machinery.values import UNKNOWN

catalogue = Catalogue()

INSTANCE = "aws:ec2/instance:Instance"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
CONFIGURATION = "aws:ec2/launchConfiguration:LaunchConfiguration"
SPOT = "aws:ec2/spotInstanceRequest:SpotInstanceRequest"

MACHINES = (INSTANCE, TEMPLATE, CONFIGURATION, SPOT)

SSH = 22


def is_bastion(resource: Resource) -> bool:
    """Say whether a group or a machine is declared to be the bastion, by its tag."""
    return bool(resource.switch("tags.role") == "bastion")


@catalogue.stack(
    "ACC-01",
    "SSH reaches only a bastion, only from approved addresses",
    severity=CRITICAL,
    on=(GROUP, DEFAULT_GROUP, LEGACY_RULE, INGRESS_RULE),
    remedy="Admit SSH at the bastion's group (tag role: bastion) from ranges of /24 (IPv6 /56) or narrower; elsewhere admit that group.",
    references=References(cis=["5.2", "5.3"], fsbp=["EC2.13"], pci=["1.3.1"], hipaa=["164.312(e)(1)"]),
)
def ssh_reaches_only_a_bastion(carrier: Resource, stack: Stack) -> Outcomes:
    if carrier.type in (GROUP, DEFAULT_GROUP):
        groups = [carrier]
    else:
        groups = stack.targets(carrier, "securityGroupId", GROUP, DEFAULT_GROUP)
    for rule in inbound_rules(carrier):
        if not rule.covers(SSH):
            continue
        for path, network in rule.ranges():
            if is_wider_than_listed(network):
                yield carrier.violation(path, "admits SSH from a wide range")
            if not any(is_bastion(group) for group in groups):
                yield carrier.violation(
                    path, "admits SSH from addresses to something that is not the bastion"
                )


_PUBLIC_KEY = re.compile(r"(ssh-|ecdsa-|sk-)[\w@.-]+ [A-Za-z0-9+/]+=*( .*)?")


@catalogue.resource(
    "ACC-02",
    "Key pairs carry a public key, and nothing makes or outputs a private one",
    severity=HIGH,
    on=("aws:ec2/keyPair:KeyPair", "tls:index/privateKey:PrivateKey"),
    remedy="Make the key pair on the user's own machine and write its public key; a private key in a state file is everybody's.",
)
def no_private_key_is_made(resource: Resource) -> Outcomes:
    if resource.type.startswith("tls:"):
        yield resource.violation("", "makes a private key that ends in the state file")
    elif not _PUBLIC_KEY.fullmatch(str(resource.switch("publicKey", absent="")).strip()):
        yield resource.violation("publicKey", "is not a public key")


@catalogue.resource(
    "ACC-03",
    "Machines require IMDSv2, one hop away",
    severity=HIGH,
    on=MACHINES,
    remedy="Set metadata_options: http_tokens required and http_put_response_hop_limit 1.",
    references=References(cis=["5.6"], fsbp=["EC2.8", "EC2.170"], pci=["8.2.8"]),
)
def machines_require_imdsv2(machine: Resource) -> Outcomes:
    options = "metadataOptions"
    if machine.switch(f"{options}.httpEndpoint") == "disabled":
        return
    if machine.switch(f"{options}.httpTokens") != "required":
        yield machine.violation(
            f"{options}.httpTokens", "lets any process fetch the machine's credentials (IMDSv1)"
        )
    # Images may raise the default, so the limit must be written.
    if machine.switch(f"{options}.httpPutResponseHopLimit") != 1:
        yield machine.violation(
            f"{options}.httpPutResponseHopLimit", "lets containers reach the machine's credentials"
        )


@catalogue.resource(
    "ACC-04",
    "Machines have no public address but the bastion",
    severity=HIGH,
    on=MACHINES,
    remedy="Set associate_public_ip_address to False and reach the machine through the bastion.",
    references=References(fsbp=["EC2.9", "EC2.25"]),
)
def machines_have_no_public_address(machine: Resource) -> Outcomes:
    if is_bastion(machine):
        return
    for node in (machine, *machine.items("networkInterfaces")):
        if str(node.switch("associatePublicIpAddress", absent=False)).lower() == "true":
            yield node.violation("associatePublicIpAddress", "gives the machine a public address")
        if node.switch("ipv6AddressCount", absent=0) or node.has("ipv6Addresses"):
            yield node.violation("ipv6AddressCount", "gives the machine a public IPv6 address")


@catalogue.resource(
    "ACC-05",
    "The bastion turns off sign-in by password and as root",
    severity=MEDIUM,
    on=MACHINES,
    remedy="Write PasswordAuthentication no and PermitRootLogin no into the bastion's user data.",
)
def the_bastion_takes_keys_only(machine: Resource) -> Outcomes:
    if not is_bastion(machine):
        return
    text = _user_data(machine)
    if not re.search(r"PasswordAuthentication\s+no|ssh_pwauth\"?:\s*(?:false|no)", text, re.I):
        yield machine.violation("userData", "leaves sign-in by password on")
    if not re.search(r"PermitRootLogin\s+no|disable_root\"?:\s*true", text, re.I):
        yield machine.violation("userData", "leaves sign-in as root on")


def _user_data(machine: Resource) -> str:
    text = str(machine.reference("userData", absent="") or machine.reference("userDataBase64", absent=""))
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError):
        return text


@catalogue.stack(
    "ACC-06",
    "The bastion's sign-ins are recorded, and somebody is told of failed ones",
    severity=MEDIUM,
    on=MACHINES,
    remedy="Add a metric filter on the bastion's log group and an alarm on its metric with an action.",
    references=References(nist=["AU-6", "AC-7"]),
)
def the_bastion_is_watched(machine: Resource, stack: Stack) -> Outcomes:
    if not is_bastion(machine):
        return
    filters = stack.of("aws:cloudwatch/logMetricFilter:LogMetricFilter")
    watched = {
        each.word("metricTransformation.name")
        for each in filters
        if stack.targets(each, "logGroupName", "aws:cloudwatch/logGroup:LogGroup")
    }
    if not watched:
        yield machine.violation("", "has no log group whose sign-ins are counted")
    elif not any(
        alarm.word("metricName") in watched and alarm.has("alarmActions")
        for alarm in stack.of("aws:cloudwatch/metricAlarm:MetricAlarm")
    ):
        yield machine.violation("", "has no alarm that tells somebody of failed sign-ins")


_PLACES: dict[str, tuple[str, ...]] = {
    INSTANCE: ("userData", "userDataBase64"),
    TEMPLATE: ("userData",),
    CONFIGURATION: ("userData", "userDataBase64"),
    SPOT: ("userData", "userDataBase64"),
    "aws:lambda/function:Function": ("environment.variables",),
    "aws:ssm/parameter:Parameter": ("value", "insecureValue"),
    "aws:ecs/taskDefinition:TaskDefinition": ("containerDefinitions",),
    "aws:batch/jobDefinition:JobDefinition": ("containerProperties",),
    "aws:codebuild/project:Project": ("environment.environmentVariables",),
    "aws:sagemaker/model:Model": ("primaryContainer.environment", "containers"),
    "aws:glue/job:Job": ("defaultArguments",),
    "aws:apprunner/service:Service": ("sourceConfiguration",),
}
"""Where programs put what machines and functions start with."""


@catalogue.resource(
    "ACC-07",
    "No user data, environment variable or parameter holds a credential",
    severity=HIGH,
    on=tuple(_PLACES),
    remedy="Put the secret into Secrets Manager and let the program fetch it with its own role.",
    references=References(fsbp=["ECS.8", "CodeBuild.2"], nist=["IA-5(7)"], pci=["8.6.2"]),
)
def nothing_holds_a_credential(resource: Resource) -> Outcomes:
    for place in _PLACES[resource.type]:
        yield from guarded(partial(_searched, resource, place))


def _searched(resource: Resource, place: str) -> Outcomes:
    value = resource.reference(place)
    if isinstance(value, str) and value[:1] in "[{":
        value = _from_json(value, place)
    if isinstance(value, (dict, list)) and _holds_unknown(value):
        raise UnknownReference(place)
    for path, name, text in _pairs(value, place):
        label = str(resource.reference("name", absent="")) if place in ("value", "insecureValue") else name
        if holds_credential(text, name=label):
            yield resource.violation(path, "holds a credential")


def _from_json(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        if place == "userData":
            return text
        raise Malformed(place) from None


def _pairs(value: Any, place: str) -> Iterator[tuple[str, str, str]]:
    """Yield every text with what it is called; a list of ``{name, value}`` calls its values so."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _pairs(item, f"{place}[{index}]")
    elif (
        isinstance(value, dict) and isinstance(value.get("name"), str) and isinstance(value.get("value"), str)
    ):
        yield f"{place}.value", value["name"], value["value"]
    elif isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, str):
                yield f"{place}.{key}", str(key), item
            else:
                yield from _pairs(item, f"{place}.{key}")
    else:
        yield from texts_in(value, place)


def _holds_unknown(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_holds_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(_holds_unknown(item) for item in value)
    return value is UNKNOWN
