"""The inventory of an emulated account: whose is what, and what is nobody's."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws
from rich.console import Console

from blueprint import deployment
from blueprint.bootstrap import run
from blueprint.bootstrap.cloud import Cloud
from blueprint.cli import main
from blueprint.errors import BadInput
from blueprint.graph import Graph, Resource
from blueprint.inventory import account, command
from blueprint.inventory.ownership import Owned, Ownership
from tests.blueprint.test_bootstrap import ACCOUNT, AT, EVERYTHING, REGION, SESSION, TRUST_OF_ACCOUNT, mended

CLOUD = Cloud(SESSION)


def aws(service: str, region: str = REGION) -> Any:
    return CLOUD.client(service, region)


def made(kind: str, id_: str, **outputs: Any) -> Resource:
    return Resource(
        urn=f"urn:pulumi:dev::secure-ml-platform::{kind}::{id_}",
        type=kind,
        custom=True,
        id=id_,
        outputs=outputs,
    )


def bucket(name: str) -> str:
    aws("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    return name


def role(name: str, path: str = "/") -> str:
    told = aws("iam").create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=TRUST_OF_ACCOUNT)
    return str(told["Role"]["Arn"])


def machine(**tags: str) -> str:
    told = aws("ec2").run_instances(
        ImageId="ami-12345678",
        MinCount=1,
        MaxCount=1,
        TagSpecifications=[
            {"ResourceType": "instance", "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}
        ],
    )
    return str(told["Instances"][0]["InstanceId"])


@pytest.fixture(scope="module")
def stack() -> Iterator[Graph]:
    """An account with a bootstrap, a small stack, what AWS brings along, and what somebody has planted."""
    with mock_aws(), mended():
        run.carry_out(run.plan(run.things(AT, CLOUD)), lambda _: None)
        ec2, kms, iam = aws("ec2"), aws("kms"), aws("iam")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        group = ec2.create_security_group(GroupName="ours", Description="ours", VpcId=vpc)["GroupId"]
        key = kms.create_key()["KeyMetadata"]
        aws("logs").create_log_group(logGroupName="/ours", tags={"a": "b"})
        log = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/ours"
        resources = (
            made("aws:s3/bucket:Bucket", bucket("ours"), bucket="ours"),
            made("aws:iam/role:Role", "ours", name="ours", arn=role("ours")),
            made("aws:ec2/vpc:Vpc", vpc),
            made("aws:ec2/securityGroup:SecurityGroup", group),
            made("aws:kms/key:Key", key["KeyId"], arn=key["Arn"], keyId=key["KeyId"]),
            made("aws:ec2/eip:Eip", ec2.allocate_address()["AllocationId"]),
            made("aws:autoscaling/group:Group", "machines", name="machines"),
            made("aws:cloudwatch/logGroup:LogGroup", "/ours", name="/ours", arn=log),
            # A name that many kinds have.
            made("aws:cloudwatch/logGroup:LogGroup", "planted", name="planted"),
        )
        role("AWSServiceRoleForSupport", "/aws-service-role/support.amazonaws.com/")
        iam.create_user(UserName="alice", Path="/people/")
        iam.create_access_key(UserName="alice")
        machine(**{"aws:autoscaling:groupName": "machines"})
        plant()
        yield Graph(stack="dev", resources=resources)


def plant() -> None:
    aws("iam").create_user(UserName="planted")
    aws("iam").create_access_key(UserName="planted")
    aws("iam").create_policy(PolicyName="planted", PolicyDocument=EVERYTHING)
    role("planted")
    bucket("planted")
    for region in (AT.region, AT.backup_region):
        ec2 = aws("ec2", region)
        opened = ec2.create_security_group(GroupName="planted", Description="planted")["GroupId"]
        ssh = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
        ec2.authorize_security_group_ingress(GroupId=opened, IpPermissions=[ssh])
    # Says of itself that it belongs to a cluster: anybody can.
    machine(**{"eks:cluster-name": "machines"})
    aws("ec2").allocate_address()
    aws("kms").create_key()
    aws("sqs").create_queue(QueueName="planted", tags={"cost-center": "7"})


ALICE = f"arn:aws:iam::{ACCOUNT}:user/people/alice"


@pytest.fixture(scope="module")
def found(stack: Graph) -> list[Owned]:
    import dataclasses

    at = dataclasses.replace(AT, people_arns=(ALICE,))
    ownership = Ownership(at, [stack])
    return [ownership.of(item) for item in account.take(CLOUD, (AT.region, AT.backup_region))]


def of(found: list[Owned], owner: str) -> list[tuple[str, str]]:
    return [(each.item.kind, each.item.name) for each in found if each.owner == owner]


def test_what_was_planted_is_nobodys_and_nothing_else_is(found: list[Owned]) -> None:
    nobodys = [each for each in found if each.owner == "nobody"]
    assert sorted((each.item.kind, each.item.region) for each in nobodys) == [
        ("EC2 instance", REGION),
        ("IAM policy", "global"),
        ("IAM role", "global"),
        ("IAM user", "global"),
        ("KMS key", REGION),
        ("S3 bucket", "global"),
        ("access key", "global"),
        ("public address", REGION),
        ("security group", REGION),
        ("security group", AT.backup_region),
        ("sqs", REGION),
    ]


def test_what_is_dangerous_is_said(found: list[Owned]) -> None:
    told = {(each.item.kind, each.item.warning) for each in found if each.owner == "nobody"}
    assert ("IAM user", "has an access key") in told
    assert ("access key", "of planted, active") in told
    assert ("security group", "open to the world: 22") in told


def test_whose_everything_else_is(found: list[Owned]) -> None:
    assert {kind for kind, _ in of(found, "a stack")} == {
        "EC2 instance",
        "IAM role",
        "KMS key",
        "S3 bucket",
        "VPC",
        "logs log-group",
        "public address",
        "security group",
    }
    assert sorted(of(found, "the bootstrap")) == [
        ("IAM policy", "secure-ml-platform-dev-deploy-boundary"),
        ("IAM role", "secure-ml-platform-dev-deploy"),
        ("IAM role", "secure-ml-platform-dev-preview"),
        ("KMS key", AT.secrets_alias),
        ("KMS key", AT.state_alias),
        ("S3 bucket", AT.bucket),
        ("identity provider", "token.actions.githubusercontent.com"),
    ]
    assert {kind for kind, _ in of(found, "the settings")} == {"IAM user", "access key"}
    amazons = {each.because for each in found if each.owner == "AWS"}
    assert amazons == {"a service-linked role", "a VPC's default group", "the region's default VPC"}


def test_a_default_group_that_was_opened_is_nobodys() -> None:
    anybody = {"IpPermissions": [{"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}]}
    assert account._open_to_the_world(anybody) == "every port"
    some = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 9, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    near = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
    assert account._open_to_the_world({"IpPermissions": [some, near]}) == "1-9"


def judged(stack: Graph, form: str = "json", known: list[str] | None = None, **changed: Any) -> int:
    import dataclasses

    at = dataclasses.replace(AT, people_arns=(ALICE,), **changed)
    options = argparse.Namespace(format=form)
    errors = Console(stderr=True)
    return command.judge(at, CLOUD, Ownership(at, [stack], known or []), options, errors)


def test_a_table_for_people_and_status_1(stack: Graph, capsys: pytest.CaptureFixture[str]) -> None:
    assert judged(stack, "text") == 1
    told = capsys.readouterr().out
    assert "planted" in told
    assert told.strip().splitlines()[-1].endswith("11 nobody's")


def test_what_is_known_is_named_and_the_rest_stays_nobodys(
    stack: Graph, capsys: pytest.CaptureFixture[str]
) -> None:
    assert judged(stack, known=["IAM role/planted", "S3 bucket/planted"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert len(told["unowned"]) == 9
    assert told["counts"]["known"] == 2


def test_another_account_is_refused(stack: Graph) -> None:
    with pytest.raises(BadInput, match="the credentials are of account 123456789012"):
        judged(stack, account_id="999999999999")


def test_an_export_says_what_the_stack_owns(stack: Graph, tmp_path: Path) -> None:
    path = tmp_path / "dev.json"
    path.write_text(deployment.write(stack))
    ownership = Ownership(AT, [deployment.read(path)])
    (ours,) = [each for each in account._buckets(CLOUD, REGION) if each.name == "ours"]
    assert ownership.of(ours).owner == "a stack"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--stack", "nowhere.json"], "nowhere.json: cannot be read"),
        (["--stack", "FILE", "--known", "nobody"], "--known: 'nobody' is not KIND/NAME"),
    ],
)
def test_bad_input_gets_one_sentence(
    arguments: list[str], says: str, stack: Graph, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "dev.json"
    path.write_text(deployment.write(stack))
    told = [str(path) if each == "FILE" else each for each in arguments]
    assert main(["inventory", "dev", *told]) == 2
    assert says in capsys.readouterr().err
