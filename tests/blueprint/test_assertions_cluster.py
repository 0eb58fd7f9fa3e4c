"""What is asserted of a cluster in an account holds of a good one and not of a careless one beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from blueprint.rehearsal.account import Account, Applied
from blueprint.rehearsal.assertions.assertion import Outcome, ask
from blueprint.rehearsal.assertions.cluster import cluster as assertions
from blueprint.rehearsal.emulator import Emulator

ROLE = "arn:aws:iam::123456789012:role/some"
OURS = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    with Emulator(account_id="123456789012") as emulator:
        emulator.wait()
        empty = Account(
            endpoint=emulator.endpoint, home_region="us-east-1", backup_region="us-west-2", applied=()
        )
        isolated, public = subnets(empty)
        for name, good in (("good", True), ("careless", False)):
            make_cluster(empty, name, good=good, subnet_id=isolated if good else public)
            make_repository(empty, name, good=good)
        keys = tuple(make_key(empty, name, good=name == "good") for name in ("good", "careless"))
        empty.client("ecr").put_registry_scanning_configuration(scanType="BASIC", rules=[])
        yield Account(
            endpoint=emulator.endpoint, home_region="us-east-1", backup_region="us-west-2", applied=keys
        )


def subnets(account: Account) -> tuple[str, str]:
    """Return a subnet without a way out, and one with a route to the internet."""
    ec2 = account.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    made = [ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24")["Subnet"]["SubnetId"] for n in range(2)]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    for subnet, open_ in zip(made, (False, True), strict=True):
        table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
        if open_:
            ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    return made[0], made[1]


def make_cluster(account: Account, name: str, *, good: bool, subnet_id: str) -> None:
    eks = account.client("eks")
    vpc: dict[str, Any] = {"subnetIds": [subnet_id], "endpointPrivateAccess": good}
    vpc |= {"endpointPublicAccess": not good}
    kinds = ["api", "audit", "authenticator", "controllerManager", "scheduler"] if good else ["api"]
    more = {"encryptionConfig": [{"resources": ["secrets"], "provider": {"keyArn": OURS}}]} if good else {}
    eks.create_cluster(
        name=name,
        roleArn=ROLE,
        resourcesVpcConfig=vpc,
        logging={"clusterLogging": [{"types": kinds, "enabled": True}]},
        **more,
    )
    group = f"/aws/eks/{name}/cluster"
    account.client("logs").create_log_group(logGroupName=group, **({"kmsKeyId": OURS} if good else {}))
    if good:
        account.client("logs").put_retention_policy(logGroupName=group, retentionInDays=365)
    template = account.client("ec2").create_launch_template(
        LaunchTemplateName=name, LaunchTemplateData=template_of(good=good)
    )["LaunchTemplate"]["LaunchTemplateId"]
    eks.create_nodegroup(
        clusterName=name,
        nodegroupName="gpus",
        nodeRole=ROLE,
        subnets=[subnet_id],
        amiType="BOTTLEROCKET_x86_64_NVIDIA",
        scalingConfig={"minSize": 0 if good else 1, "maxSize": 2, "desiredSize": 1},
        taints=[{"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}] if good else [],
        launchTemplate={"id": template, "version": "1"},
    )
    if not good:
        # Without a template, EKS takes an SSH key and makes machines of its own choice.
        eks.create_nodegroup(
            clusterName=name,
            nodegroupName="open",
            nodeRole=ROLE,
            subnets=[subnet_id],
            remoteAccess={"ec2SshKey": "somebody"},
        )


def template_of(*, good: bool) -> dict[str, Any]:
    disk = {"Encrypted": True, "KmsKeyId": OURS} if good else {"Encrypted": True, "KmsKeyId": "alias/aws/ebs"}
    return {
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1 if good else 2},
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": disk}],
    }


def make_repository(account: Account, name: str, *, good: bool) -> None:
    ecr = account.client("ecr")
    ecr.create_repository(
        repositoryName=name,
        imageTagMutability="IMMUTABLE" if good else "MUTABLE",
        imageScanningConfiguration={"scanOnPush": good},
        encryptionConfiguration={"encryptionType": "KMS", "kmsKey": OURS}
        if good
        else {"encryptionType": "AES256"},
    )
    if good:
        refusal = {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "ecr:*",
            "Condition": {"StringNotEquals": {"aws:PrincipalAccount": "123456789012"}},
        }
        ecr.set_repository_policy(
            repositoryName=name, policyText=json.dumps({"Version": "2012-10-17", "Statement": [refusal]})
        )


def make_key(account: Account, name: str, *, good: bool) -> Applied:
    made = account.client("kms").create_key(
        KeyUsage="SIGN_VERIFY", KeySpec="ECC_NIST_P256" if good else "RSA_2048"
    )["KeyMetadata"]["KeyId"]
    return Applied(type="aws:kms/key:Key", name=name, attributes={"id": made, "key_usage": "SIGN_VERIFY"})


SCANNING = "The registry scans every image again and again"


def outcomes(account: Account) -> dict[str, Outcome]:
    return {each.sentence: ask("cluster", each, account) for each in assertions.found}


def test_each_sentence_holds_of_the_good_and_breaks_on_the_careless(account: Account) -> None:
    for sentence, outcome in outcomes(account).items():
        if sentence != SCANNING:
            assert outcome.looked_at >= 2, sentence
            assert {name.partition("/")[0] for name in outcome.broken} == {"careless"}, sentence


def test_the_registry_is_asked_how_it_scans(account: Account) -> None:
    assert not outcomes(account)[SCANNING].holds
    rule = {
        "scanFrequency": "CONTINUOUS_SCAN",
        "repositoryFilters": [{"filter": "*", "filterType": "WILDCARD"}],
    }
    account.client("ecr").put_registry_scanning_configuration(scanType="ENHANCED", rules=[rule])
    assert outcomes(account)[SCANNING].holds
