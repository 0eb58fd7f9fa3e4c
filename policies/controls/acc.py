"""ACC: how people and machines get in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from machinery.addresses import (
    GROUPS,
    INGRESS_RULE,
    LEGACY_RULE,
    Network,
    Rule,
    groups_of,
    inbound_rules,
    is_wider_than_listed,
    meant,
    per_rule,
)
from machinery.control import CRITICAL, HIGH, MEDIUM, Catalogue, References
from machinery.credentials import PRIVATE_KEY, holds_credential, readings, texts_in
from machinery.stack import Stack
from machinery.subject import Node, Outcome, Outcomes, Resource, Undecided, guarded, per_item, remembered
from machinery.values import UNKNOWN, leaves

catalogue = Catalogue()

INSTANCE = "aws:ec2/instance:Instance"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
CONFIGURATION = "aws:ec2/launchConfiguration:LaunchConfiguration"
SPOT = "aws:ec2/spotInstanceRequest:SpotInstanceRequest"

SPOT_FLEET = "aws:ec2/spotFleetRequest:SpotFleetRequest"
NOTEBOOK = "aws:sagemaker/notebookInstance:NotebookInstance"
INTERFACE = "aws:ec2/networkInterface:NetworkInterface"
PARAMETER = "aws:ssm/parameter:Parameter"
PROJECT = "aws:codebuild/project:Project"

MACHINES = (INSTANCE, TEMPLATE, CONFIGURATION, SPOT)

SSH = 22


def is_bastion(resource: Resource) -> bool:
    """Say whether a group or a machine is declared to be the bastion, by its tag."""
    return bool(resource.switch("tags.role") == "bastion")


@catalogue.stack(
    "ACC-01",
    "SSH reaches only a bastion, only from approved addresses",
    severity=CRITICAL,
    on=(*GROUPS, LEGACY_RULE, INGRESS_RULE),
    remedy="Admit SSH at the bastion's group (tag role: bastion) from ranges of /24 (IPv6 /56) or narrower; elsewhere admit that group.",
    references=References(
        cis=["5.2", "5.3"], fsbp=["EC2.13"], nist=["AC-17", "SC-7"], hipaa=["164.312(e)(1)"], pci=["1.3.1"]
    ),
)
def ssh_reaches_only_a_bastion(carrier: Resource, stack: Stack) -> Outcomes:
    groups = groups_of(carrier, stack)
    at_bastion = any(is_bastion(group) for group in groups)

    def from_range(range_: Node, network: Network) -> Outcomes:
        if is_wider_than_listed(network):
            yield range_.violation("", "admits SSH from a wide range")
        if not at_bastion:
            yield range_.violation("", "admits SSH from addresses to something that is not the bastion")

    def from_list(listed: Node) -> Outcomes:
        # How wide it is, NET-17 asks.
        if not at_bastion:
            yield listed.violation("", "admits SSH from addresses to something that is not the bastion")

    def from_group(rule: Rule, member: Node) -> Outcomes:
        sources = [source for source in meant(rule, member, stack, *GROUPS) if source not in groups]
        strangers = [source for source in sources if not is_bastion(source)]
        if not strangers and (sources or meant(rule, member, stack, *GROUPS)):
            return
        if len(strangers) == len(sources) and sources:
            yield member.violation("", "admits SSH from a group that is not the bastion's")
        else:
            yield Undecided(member.path)

    def judge(rule: Rule) -> Outcomes:
        if rule.covers(SSH):
            yield from rule.per_range(from_range)
            yield from guarded(lambda: per_item(rule.prefix_lists(), from_list))
            yield from guarded(lambda: per_item(rule.groups(), partial(from_group, rule)))

    return per_rule(inbound_rules(carrier), judge)


_PUBLIC_KEY = re.compile(r"(ssh-|ecdsa-|sk-)[\w@.-]+ [A-Za-z0-9+/]+=*( .*)?")


_KEY_PAIR = "aws:ec2/keyPair:KeyPair"
_LIGHTSAIL_KEY_PAIR = "aws:lightsail/keyPair:KeyPair"


@catalogue.resource(
    "ACC-02",
    "Key pairs carry a public key, and nothing makes or holds a private one",
    severity=HIGH,
    remedy="Make the key pair on the user's own machine and write its public key; a private key in a state file is everybody's.",
    references=References(nist=["IA-5(2)", "SC-12"], pci=["8.3.1"]),
)
def no_private_key_is_made(resource: Resource) -> Outcomes:
    if resource.type == "tls:index/privateKey:PrivateKey":
        yield resource.violation("", "makes a private key that ends in the state file")
    elif resource.type == _LIGHTSAIL_KEY_PAIR and not resource.has("publicKey"):
        # Without one, Lightsail makes both and hands the private one over.
        yield resource.violation(
            "publicKey", "is missing, so a private key is made that ends in the state file"
        )
    elif resource.type in (_KEY_PAIR, _LIGHTSAIL_KEY_PAIR):
        if not _PUBLIC_KEY.fullmatch(str(resource.switch("publicKey", absent="")).strip()):
            yield resource.violation("publicKey", "is not a public key")
    else:
        yield from _private_keys(resource)


def _private_keys(resource: Resource) -> Outcomes:
    for path, text in leaves(resource.value):
        if isinstance(text, str) and PRIVATE_KEY.search(text):
            yield resource.violation(path, "is a private key")


# Where each kind of machine says how its metadata service answers.
_METADATA = {
    **dict.fromkeys(MACHINES, "metadataOptions"),
    "aws:imagebuilder/infrastructureConfiguration:InfrastructureConfiguration": "instanceMetadataOptions",
}
_NOTEBOOK_METADATA = "instanceMetadataServiceConfiguration.minimumInstanceMetadataServiceVersion"

HOP_REASON = "hop-limit-reason"
"""Tag that says why a machine's containers need its metadata service."""


@catalogue.resource(
    "ACC-03",
    "Machines require IMDSv2, one hop away",
    severity=HIGH,
    on=(*_METADATA, NOTEBOOK, SPOT_FLEET),
    remedy="Set metadata_options: http_tokens required and http_put_response_hop_limit 1 (2 with a tag hop-limit-reason).",
    references=References(cis=["5.6"], fsbp=["EC2.8", "EC2.170"], nist=["AC-6"], pci=["8.2.8"]),
)
def machines_require_imdsv2(machine: Resource) -> Outcomes:
    if machine.type == NOTEBOOK:
        if str(machine.switch(_NOTEBOOK_METADATA)) != "2":
            yield machine.violation(_NOTEBOOK_METADATA, _OPEN_METADATA)
    elif machine.type == SPOT_FLEET:
        # Only a launch template can say it.
        if machine.has("launchSpecifications"):
            yield machine.violation("launchSpecifications", _OPEN_METADATA)
    else:
        yield from _metadata_options(machine, _METADATA[machine.type])


_OPEN_METADATA = "lets any process fetch the machine's credentials (IMDSv1)"


def _metadata_options(machine: Resource, options: str) -> Outcomes:
    if machine.switch(f"{options}.httpEndpoint") == "disabled":
        return
    if machine.switch(f"{options}.httpTokens") != "required":
        yield machine.violation(f"{options}.httpTokens", _OPEN_METADATA)
    # Images may raise the default, so the limit must be written.
    limit = machine.number(f"{options}.httpPutResponseHopLimit")
    reason = str(machine.switch("tags", absent={}).get(HOP_REASON, "")) if limit == 2 else ""
    if limit != 1 and not reason.strip():
        yield machine.violation(
            f"{options}.httpPutResponseHopLimit", "lets containers reach the machine's credentials"
        )


@catalogue.resource(
    "ACC-04",
    "Machines have no public address but the bastion",
    severity=HIGH,
    on=(*MACHINES, SPOT_FLEET),
    remedy="Set associate_public_ip_address to False and reach the machine through the bastion.",
    references=References(fsbp=["EC2.9", "EC2.25"], nist=["SC-7"], pci=["1.3.1"]),
)
def machines_have_no_public_address(machine: Resource) -> Outcomes:
    if is_bastion(machine):
        return
    yield from _public_address(machine)
    for inside in ("networkInterfaces", "launchSpecifications"):
        yield from guarded(partial(_public_addresses, machine, inside))


def _public_addresses(machine: Resource, inside: str) -> Outcomes:
    return per_item(machine.items(inside), _public_address)


# What the provider reads as false (launch templates take a text).
_FALSE = ("", "false", "f", "0")


def _public_address(node: Node) -> Outcomes:
    if str(node.switch("associatePublicIpAddress", absent=False)).lower() not in _FALSE:
        yield node.violation("associatePublicIpAddress", "gives the machine a public address")
    for key in ("ipv6AddressCount", "ipv6PrefixCount"):
        if str(node.switch(key, absent=0)) != "0":
            yield node.violation(key, "gives the machine a public IPv6 address")
    for key in ("ipv6Addresses", "ipv6Prefixes"):
        if node.has(key):
            yield node.violation(key, "gives the machine a public IPv6 address")


@catalogue.resource(
    "ACC-05",
    "The bastion turns off sign-in by password and as root",
    severity=MEDIUM,
    on=MACHINES,
    remedy="Write PasswordAuthentication no and PermitRootLogin no into the bastion's user data.",
    references=References(nist=["AC-17", "IA-2"], pci=["2.2.4"]),
)
def the_bastion_takes_keys_only(machine: Resource) -> Outcomes:
    if not is_bastion(machine):
        return
    text = _script(machine)
    if not _says(text, _PASSWORDS_OFF, _PASSWORDS_ON):
        yield machine.violation("userData", "leaves sign-in by password on")
    if not _says(text, _ROOT_OFF, _ROOT_ON):
        yield machine.violation("userData", "leaves sign-in as root on")


_END = r"[\"']{0,8}[ \t]{0,16}[:= \t][ \t]{0,16}[\"']{0,8}"
_PASSWORDS_OFF = re.compile(rf"(?i)PasswordAuthentication{_END}no\b|ssh_pwauth{_END}(?:false|no|0)\b")
_PASSWORDS_ON = re.compile(
    rf"(?i)(?:Password|KbdInteractive|ChallengeResponse)Authentication{_END}yes\b|ssh_pwauth{_END}(?:true|yes|1)\b"
)
_ROOT_OFF = re.compile(rf"(?i)PermitRootLogin{_END}no\b|disable_root{_END}true\b")
# "prohibit-password" is a way in for root too.
_ROOT_ON = re.compile(rf"(?i)PermitRootLogin{_END}(?!no\b)\w|disable_root{_END}false\b")


def _says(text: str, off: re.Pattern[str], on: re.Pattern[str]) -> bool:
    """Say whether a script turns something off and nowhere on: which of two lines sshd takes is its affair."""
    return bool(off.search(text)) and not on.search(text)


def _script(machine: Resource) -> str:
    """Return what a machine's user data does, without comments and without what ``sed`` looks for.

    Raises:
        UnknownReference: it is unknown.
    """
    given = machine.reference("userData") or machine.reference("userDataBase64") or ""
    text = "\n".join(readings(str(given))).replace("\\n", "\n")
    text = re.sub(r"(?<=[\s'\";])s([/|,@])(?:(?!\1).){0,200}\1", "", text)
    return re.sub(r"(?m)(?:^|(?<=[\"']))[ \t]{0,200}#.*$", "", text)


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
    watched = {
        _metric(each, "metricTransformation.name", "metricTransformation.namespace")
        for each in stack.of("aws:cloudwatch/logMetricFilter:LogMetricFilter")
        if stack.targets(each, "logGroupName", "aws:cloudwatch/logGroup:LogGroup")
    }
    if not watched:
        yield machine.violation("", "has no log group whose sign-ins are counted")
    elif not any(
        _metric(alarm, "metricName", "namespace") in watched
        and alarm.has("alarmActions")
        and alarm.switch("actionsEnabled", absent=True)
        for alarm in stack.of("aws:cloudwatch/metricAlarm:MetricAlarm")
    ):
        yield machine.violation("", "has no alarm that tells somebody of failed sign-ins")


def _metric(resource: Resource, name: str, namespace: str) -> tuple[str, str]:
    return resource.word(name), resource.word(namespace)


_SCRIPTS = ("userData", "userDataBase64")

_PLACES: dict[str, tuple[str, ...]] = {
    INSTANCE: _SCRIPTS,
    TEMPLATE: _SCRIPTS,
    CONFIGURATION: _SCRIPTS,
    SPOT: _SCRIPTS,
    SPOT_FLEET: ("launchSpecifications",),
    "aws:lambda/function:Function": ("environment",),
    PARAMETER: ("value", "insecureValue"),
    "aws:ssm/document:Document": ("content",),
    "aws:ecs/taskDefinition:TaskDefinition": ("containerDefinitions",),
    "aws:batch/jobDefinition:JobDefinition": (
        "containerProperties",
        "nodeProperties",
        "ecsProperties",
        "eksProperties",
        "parameters",
    ),
    PROJECT: ("environment", "source", "secondarySources"),
    "aws:sagemaker/model:Model": ("primaryContainer", "containers"),
    "aws:sagemaker/notebookInstanceLifecycleConfiguration:NotebookInstanceLifecycleConfiguration": (
        "onCreate",
        "onStart",
    ),
    "aws:sagemaker/studioLifecycleConfig:StudioLifecycleConfig": ("studioLifecycleConfigContent",),
    "aws:glue/job:Job": ("defaultArguments", "nonOverridableArguments"),
    "aws:glue/connection:Connection": ("connectionProperties",),
    "aws:apprunner/service:Service": ("sourceConfiguration",),
    "aws:elasticbeanstalk/environment:Environment": ("settings",),
    "aws:amplify/app:App": ("environmentVariables", "buildSpec"),
    "aws:amplify/branch:Branch": ("environmentVariables",),
    "aws:cloudformation/stack:Stack": ("parameters", "templateBody"),
    "aws:imagebuilder/component:Component": ("data",),
    "aws:mwaa/environment:Environment": ("airflowConfigurationOptions",),
    "aws:apigateway/stage:Stage": ("variables",),
    "aws:appconfig/hostedConfigurationVersion:HostedConfigurationVersion": ("content",),
    "aws:lightsail/instance:Instance": ("userData",),
    "aws:sfn/stateMachine:StateMachine": ("definition",),
    "aws:emr/cluster:Cluster": ("bootstrapActions", "steps", "configurationsJson"),
}
"""Where programs put what machines and functions start with."""


@catalogue.resource(
    "ACC-07",
    "No user data, environment variable or parameter holds a credential",
    severity=HIGH,
    on=tuple(_PLACES),
    remedy="Put the secret into Secrets Manager and let the program fetch it with its own role.",
    references=References(
        fsbp=["ECS.8", "CodeBuild.2"],
        nist=["IA-5(7)"],
        pci=["8.6.2"],
        atlas=["AML.T0055"],
        aws_ai=["AISF-DATA-05"],
    ),
)
def nothing_holds_a_credential(resource: Resource) -> Outcomes:
    for place in _PLACES[resource.type]:
        yield from guarded(partial(_searched, resource, place))


def _searched(resource: Resource, place: str) -> Outcomes:
    waiting = ""
    for path, name, found in _named_texts(resource, place):
        if found is UNKNOWN:
            waiting = waiting or path
        elif holds_credential(str(found), name=name):
            yield resource.violation(path, "holds a credential")
    # What is not known yet may be one, and says nothing about the rest.
    if waiting:
        yield Undecided(waiting)


def _named_texts(resource: Resource, place: str) -> Iterator[tuple[str, str, Any]]:
    value = resource.reference(place)
    if resource.type == PARAMETER:
        yield place, _name_of(resource), value if value is not None else ""
        return
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        # The text itself is searched too: a reader that is stricter than AWS's misses what AWS takes.
        yield place, "", value
        value = _from_json(value)
    for path, name, found in texts_in(value, place):
        if not (resource.type == PROJECT and _refers_elsewhere(resource, path)):
            yield path, name, found


def _name_of(parameter: Resource) -> str:
    """Return what a parameter is called; whatever is literal in one that is to be kept secret is a password."""
    if parameter.switch("type", absent="") == "SecureString":
        return "password"
    return str(parameter.reference("name", absent="")) if parameter.known("name") else ""


def _refers_elsewhere(project: Resource, path: str) -> bool:
    """Say whether a variable of a build holds the name of a secret, which CodeBuild looks up."""
    variable, _, last = path.rpartition(".")
    return last == "value" and project.switch(f"{variable}.type", absent="PLAINTEXT") in (
        "PARAMETER_STORE",
        "SECRETS_MANAGER",
    )


def _from_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


_ADDRESS = "aws:ec2/eip:Eip"
_ADDRESS_ASSOCIATION = "aws:ec2/eipAssociation:EipAssociation"


@catalogue.stack(
    "ACC-08",
    "An Elastic IP stands on no machine but the bastion",
    severity=HIGH,
    on=(_ADDRESS, _ADDRESS_ASSOCIATION),
    remedy="Take the address off the machine; reach it through the bastion or the load balancer.",
    references=References(fsbp=["EC2.9"], nist=["SC-7"]),
)
def addresses_stand_on_the_bastion_alone(address: Resource, stack: Stack) -> Outcomes:
    # What AWS itself put there (a gateway, a machine of an auto-scaling group) is not in the program.
    for key in ("instance", "instanceId", "networkInterface", "networkInterfaceId"):
        for machine in stack.targets(address, key, INSTANCE, SPOT, INTERFACE):
            if not is_bastion(machine):
                yield address.violation(key, "gives a machine a public address")


@catalogue.stack(
    "ACC-09",
    "No output holds a private key",
    severity=HIGH,
    remedy="Make the key outside the program; export the public half, or the ARN of the secret that holds the other.",
    references=References(nist=["IA-5(7)", "SC-12"], atlas=["AML.T0055"]),
)
def no_output_holds_a_private_key(stack: Stack) -> Outcomes:
    return per_item(stack.resources, _private_keys_out)


def _private_keys_out(node: Node) -> Outcomes:
    return _found_out(node) if isinstance(node, Resource) else ()


@remembered
def _found_out(resource: Resource) -> Sequence[Outcome]:
    return list(_private_keys(resource))
