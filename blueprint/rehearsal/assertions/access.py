"""Who may come in and act: the bastion, the roles and what they trust."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from blueprint.rehearsal.account import Account
from blueprint.rehearsal.assertions.assertion import Assertions, Seen

access = Assertions("access")

ROLE = "aws:iam/role:Role"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
BASTION = "aws:autoscaling/group:Group"
WIDEST_SSH = {4: 24, 6: 56}
"""Prefix lengths: an approved range is no wider."""


def _roles(account: Account) -> list[Any]:
    ours = {each.attributes["name"] for each in account.of(ROLE)}
    return [role for role in account.every("iam", "list_roles", "Roles") if role["RoleName"] in ours]


def _documents(account: Account, role: str) -> Iterator[Any]:
    """Yield every policy document that a role acts under: its own, and those attached."""
    iam = account.client("iam")
    for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        yield iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
    for attached in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
        version = iam.get_policy(PolicyArn=attached["PolicyArn"])["Policy"]["DefaultVersionId"]
        yield iam.get_policy_version(PolicyArn=attached["PolicyArn"], VersionId=version)["PolicyVersion"][
            "Document"
        ]


def _statements(document: Any) -> list[Any]:
    parsed = json.loads(document) if isinstance(document, str) else document
    found = parsed["Statement"]
    return found if isinstance(found, list) else [found]


def _texts(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())


@access("Every role acts under a permissions boundary", about=ROLE)
def roles_have_a_boundary(account: Account) -> Iterator[Seen]:
    for role in _roles(account):
        told = account.client("iam").get_role(RoleName=role["RoleName"])["Role"]
        yield role["RoleName"], bool(told.get("PermissionsBoundary"))


@access("No role allows every action on every resource", about=ROLE)
def no_role_may_do_everything(account: Account) -> Iterator[Seen]:
    for role in _roles(account):
        wide = [
            statement
            for document in _documents(account, role["RoleName"])
            for statement in _statements(document)
            if statement["Effect"] == "Allow"
            and "*" in _texts(statement.get("Action"))
            and "*" in _texts(statement.get("Resource"))
        ]
        yield role["RoleName"], not wide


@access("No role allows what it does not name (NotAction)", about=ROLE)
def no_role_allows_by_exception(account: Account) -> Iterator[Seen]:
    for role in _roles(account):
        yield (
            role["RoleName"],
            not any(
                statement["Effect"] == "Allow" and "NotAction" in statement
                for document in _documents(account, role["RoleName"])
                for statement in _statements(document)
            ),
        )


@access("No trust policy admits everyone", about=ROLE)
def trust_names_someone(account: Account) -> Iterator[Seen]:
    for role in _roles(account):
        principals = [s.get("Principal") for s in _statements(role["AssumeRolePolicyDocument"])]
        yield (
            role["RoleName"],
            all(isinstance(each, dict) and "*" not in _texts(each.get("AWS")) for each in principals),
        )


@access("Who takes on a persona carries a second factor", about=ROLE)
def people_carry_a_second_factor(account: Account) -> Iterator[Seen]:
    for role in _roles(account):
        for statement in _statements(role["AssumeRolePolicyDocument"]):
            if statement["Effect"] == "Allow" and "AWS" in statement.get("Principal", {}):
                told = json.dumps(statement.get("Condition", {}))
                yield role["RoleName"], "aws:MultiFactorAuthPresent" in told


@access("A pipeline's trust names its repository and the audience", about=ROLE)
def pipelines_are_named(account: Account) -> Iterator[Seen]:
    for role in _roles(account):
        for statement in _statements(role["AssumeRolePolicyDocument"]):
            if "Federated" in statement.get("Principal", {}):
                told = json.dumps(statement.get("Condition", {}))
                yield role["RoleName"], ":aud" in told and ":sub" in told and "repo:*" not in told


@access("SSH reaches the bastion only, from approved ranges", about=BASTION)
def ssh_comes_from_approved_ranges(account: Account) -> Iterator[Seen]:
    import ipaddress

    for group in account.every("ec2", "describe_security_groups", "SecurityGroups"):
        for rule in group["IpPermissions"]:
            # A rule for every protocol has no ports.
            if not rule.get("FromPort", 0) <= 22 <= rule.get("ToPort", 65535):
                continue
            ranges = [each["CidrIp"] for each in rule["IpRanges"]]
            ranges += [each["CidrIpv6"] for each in rule["Ipv6Ranges"]]
            for cidr in ranges:
                network = ipaddress.ip_network(cidr)
                yield (
                    f"{group['GroupName']} from {cidr}",
                    network.prefixlen >= WIDEST_SSH[network.version] and "bastion" in group["GroupName"],
                )


@access("Launch templates ask for IMDSv2 with one hop", about=TEMPLATE)
def templates_ask_for_imdsv2(account: Account) -> Iterator[Seen]:
    for template in account.of(TEMPLATE):
        versions = account.client("ec2").describe_launch_template_versions(
            LaunchTemplateId=template.id, Versions=["$Latest"]
        )["LaunchTemplateVersions"]
        for version in versions:
            options = version["LaunchTemplateData"].get("MetadataOptions", {})
            yield (
                template.name,
                options.get("HttpTokens") == "required" and options.get("HttpPutResponseHopLimit") == 1,
            )


@access("Launch templates encrypt every disk", about=TEMPLATE)
def templates_encrypt_disks(account: Account) -> Iterator[Seen]:
    for template in account.of(TEMPLATE):
        versions = account.client("ec2").describe_launch_template_versions(
            LaunchTemplateId=template.id, Versions=["$Latest"]
        )["LaunchTemplateVersions"]
        for version in versions:
            disks = version["LaunchTemplateData"].get("BlockDeviceMappings", [])
            yield (
                template.name,
                bool(disks) and all(d["Ebs"]["Encrypted"] and d["Ebs"].get("KmsKeyId") for d in disks),
            )


@access("The bastion is one machine, replaced when it fails", about=BASTION)
def the_bastion_is_one(account: Account) -> Iterator[Seen]:
    for group in account.every("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups"):
        if "bastion" in group["AutoScalingGroupName"]:
            yield group["AutoScalingGroupName"], group["MinSize"] == group["MaxSize"] == 1


@access(
    "The account's password policy is at CIS strength",
    about="aws:iam/accountPasswordPolicy:AccountPasswordPolicy",
)
def passwords_are_strong(account: Account) -> Iterator[Seen]:
    policy = account.client("iam").get_account_password_policy()["PasswordPolicy"]
    yield "the account", policy["MinimumPasswordLength"] >= 14 and policy["PasswordReusePrevention"] >= 24


@access("Nobody in the account has an access key", about=ROLE)
def nobody_has_access_keys(account: Account) -> Iterator[Seen]:
    users = account.every("iam", "list_users", "Users")
    yield "the account", not users
