"""The bootstrap against an emulated AWS: what it makes, whom it refuses, and that it always ends the same."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError
from moto import mock_aws
from moto.core.responses import ActionResult, EmptyResult
from moto.iam.models import iam_backends
from moto.iam.responses import IamResponse
from moto.kms.models import kms_backends
from moto.s3.models import s3_backends
from moto.s3.responses import S3Response
from policy_sentry.querying.actions import get_action_data
from rich.console import Console

from blueprint.bootstrap import command, documents, run, target
from blueprint.bootstrap.cloud import Cloud, Refused, plainly
from blueprint.bootstrap.identity import AUDIENCE
from blueprint.bootstrap.target import GITHUB, Target
from blueprint.errors import BadInput, BlueprintError
from blueprint.graph import Graph

pytestmark = pytest.mark.usefixtures("account")

ACCOUNT, REGION = "123456789012", "eu-central-1"
"""moto's own account."""

ADMINISTRATOR = f"arn:aws:sts::{ACCOUNT}:user/moto"
"""Whom moto takes anybody for who has no key of its own making."""

AT = Target(
    environment="dev",
    project="secure-ml-platform",
    account_id=ACCOUNT,
    region=REGION,
    backup_region="eu-west-1",
    prefix="secure-ml-platform-dev",
    bucket_prefix="smlp-dev",
    platform_boundary_arn=f"arn:aws:iam::{ACCOUNT}:policy/secure-ml-platform-dev-boundary",
    owner="team@example.org",
    administrator_arns=(ADMINISTRATOR,),
    repository="example-org/platform",
)

BUCKET = "smlp-dev-state-123456789012-eu-central-1"
DEPLOY, PREVIEW = "secure-ml-platform-dev-deploy", "secure-ml-platform-dev-preview"
ALIASES = ("alias/secure-ml-platform-dev-state", "alias/secure-ml-platform-dev-stack-secrets")

_put = S3Response._bucket_response_put


def put_with_tags(response: Any, request: Any, bucket_name: str, querystring: dict[str, Any]) -> Any:
    """Heed tags at the birth of a bucket (S3 API Reference, "CreateBucket"), which moto leaves out."""
    body = "" if querystring else bytes(response.body).decode()
    answer = _put(response, request, bucket_name, querystring)
    tags = dict(re.findall("<Key>(.*?)</Key><Value>(.*?)</Value>", body))
    if tags:
        response.backend.put_bucket_tagging(bucket_name, tags)
    return answer


def add_audience(response: Any) -> ActionResult:
    """Answer AddClientIDToOpenIDConnectProvider, which moto has not."""
    arn = response._get_param("OpenIDConnectProviderArn")
    provider = response.backend.get_open_id_connect_provider(arn)
    provider.client_id_list.append(response._get_param("ClientID"))
    return EmptyResult()


def remove_audience(response: Any) -> ActionResult:
    """Answer RemoveClientIDFromOpenIDConnectProvider, which moto has not."""
    arn = response._get_param("OpenIDConnectProviderArn")
    provider = response.backend.get_open_id_connect_provider(arn)
    provider.client_id_list.remove(response._get_param("ClientID"))
    return EmptyResult()


@contextlib.contextmanager
def mended() -> Iterator[None]:
    """Mend what moto lacks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(S3Response, "_bucket_response_put", put_with_tags)
        for name, answer in (("add_client_id_to", add_audience), ("remove_client_id_from", remove_audience)):
            patch.setattr(IamResponse, f"{name}_open_id_connect_provider", answer, raising=False)
        yield


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty account, and credentials that are nobody's outside of it."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws(), mended():
        yield


SESSION = boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing")
CLOUD = Cloud(SESSION)
"""Clients take long to make, and moto's account is behind any of them."""


def cloud_of(kind: type[Cloud] = Cloud) -> Any:
    """Return a cloud with a memory of its own and the clients of all."""
    made = kind(SESSION)
    for service in ("iam", "kms", "s3", "sts"):
        made.client(service, REGION)
    return made


def aws(service: str) -> Any:
    return CLOUD.client(service, REGION)


def is_read(call: str) -> bool:
    return call.partition(":")[2].startswith(("Describe", "Get", "Head", "List"))


def bootstrap(
    at: Target = AT, *, cloud: Cloud | None = None, plan: bool = False, yes: bool = True, form: str = "json"
) -> int:
    options = argparse.Namespace(plan=plan, yes=yes and not plan, format=form)
    return command.bootstrap(at, cloud or cloud_of(), options, Console(stderr=True, highlight=False))


def states(at: Target = AT) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return the state of each thing by its name, and what differs."""
    planned = run.plan(run.things(at, cloud_of()))
    return {step.thing.name: (step.state, step.differences) for step in planned.steps}


def snapshot() -> Any:
    """Return everything that there is, without what AWS makes up."""
    iam, kms, s3 = aws("iam"), aws("kms"), aws("s3")
    names = {kms.describe_key(KeyId=alias)["KeyMetadata"]["KeyId"]: alias for alias in ALIASES}
    seen = {
        "keys": sorted(names.get(each["KeyId"], "?") for each in kms.list_keys()["Keys"]),
        "aliases": [
            [
                kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"],
                kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"],
                kms.list_resource_tags(KeyId=key)["Tags"],
            ]
            for key in sorted(names, key=lambda key: names[key])
        ],
        "roles": [
            [
                role["RoleName"],
                role["AssumeRolePolicyDocument"],
                role["PermissionsBoundary"],
                iam.get_role_policy(RoleName=role["RoleName"], PolicyName=role["RoleName"])["PolicyDocument"],
                iam.list_role_tags(RoleName=role["RoleName"])["Tags"],
            ]
            for role in (iam.get_role(RoleName=name)["Role"] for name in (DEPLOY, PREVIEW))
        ],
        "all roles": sorted(role["RoleName"] for role in iam.list_roles()["Roles"]),
        "boundary": [
            iam.get_policy_version(PolicyArn=p["Arn"], VersionId=p["DefaultVersionId"])["PolicyVersion"][
                "Document"
            ]
            for p in iam.list_policies(Scope="Local")["Policies"]
        ],
        "providers": [
            iam.get_open_id_connect_provider(OpenIDConnectProviderArn=p["Arn"])["ClientIDList"]
            for p in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
        ],
        "buckets": [b["Name"] for b in s3.list_buckets()["Buckets"]],
        "bucket": [
            s3.get_bucket_policy(Bucket=BUCKET)["Policy"],
            s3.get_bucket_versioning(Bucket=BUCKET)["Status"],
            s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"],
            s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"],
            s3.get_bucket_ownership_controls(Bucket=BUCKET)["OwnershipControls"],
            s3.get_object_lock_configuration(Bucket=BUCKET)["ObjectLockConfiguration"],
            s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"],
            s3.get_bucket_tagging(Bucket=BUCKET)["TagSet"],
        ],
    }
    text = json.dumps(seen, sort_keys=True, default=str)
    for key, alias in names.items():
        text = text.replace(key, alias)
    return json.loads(text)


def statement(document: Any, sid: str) -> dict[str, Any]:
    """Return the statement of this sid."""
    document = json.loads(document) if isinstance(document, str) else document
    (found,) = [each for each in document["Statement"] if each["Sid"] == sid]
    return dict(found)


def test_the_bucket_is_private_versioned_encrypted_and_locked() -> None:
    assert bootstrap() == 0
    s3, key = aws("s3"), aws("kms").describe_key(KeyId=ALIASES[0])["KeyMetadata"]["Arn"]
    block = s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"]
    assert list(block.values()) == [True] * 4
    rules = s3.get_bucket_ownership_controls(Bucket=BUCKET)["OwnershipControls"]["Rules"]
    assert rules == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    assert s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    (rule,) = s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    lock = s3.get_object_lock_configuration(Bucket=BUCKET)["ObjectLockConfiguration"]
    retention = lock["Rule"]["DefaultRetention"]
    assert (retention["Mode"], retention["Days"]) == ("GOVERNANCE", 30)
    lifecycle = {r["ID"]: r for r in s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]}
    assert lifecycle["expire-old-versions"]["NoncurrentVersionExpiration"]["NoncurrentDays"] == 365
    assert s3.get_bucket_location(Bucket=BUCKET)["LocationConstraint"] == REGION
    assert_only_some_reach_the_state(s3.get_bucket_policy(Bucket=BUCKET)["Policy"], key)


def assert_only_some_reach_the_state(policy: str, key: str) -> None:
    plain = statement(policy, "RefusePlainHttp")
    assert (plain["Effect"], plain["Principal"], plain["Action"]) == ("Deny", "*", ["s3:*"])
    assert plain["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert plain["Resource"] == [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]
    break_glass = f"arn:aws:iam::{ACCOUNT}:role/secure-ml-platform-dev-break-glass"
    roles = [AT.deploy_role_arn, break_glass, AT.preview_role_arn]
    reach = statement(policy, "OnlyWhoDeploysReachesTheState")
    assert reach["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": roles}}
    assert {"s3:GetObject*", "s3:PutObject*", "s3:DeleteObject*", "s3:ListBucket*"} <= set(reach["Action"])
    history = statement(policy, "OnlyBreakGlassDeletesHistory")
    assert {"s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"} <= set(history["Action"])
    assert history["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": break_glass}}
    other = statement(policy, "RefuseOtherKeys")["Condition"]["StringNotEquals"]
    assert list(other.values()) == [key]
    # A policy that only refuses opens nothing by itself.
    assert {each["Effect"] for each in json.loads(policy)["Statement"]} == {"Deny"}


@pytest.mark.parametrize("alias", ALIASES)
def test_who_administers_a_key_does_not_use_it_and_the_other_way_round(alias: str) -> None:
    bootstrap()
    kms = aws("kms")
    key = kms.describe_key(KeyId=alias)["KeyMetadata"]["KeyId"]
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is True
    policy = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    uses = ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncrypt", "kms:CreateGrant", "kms:*")
    for granted in policy["Statement"]:
        who = granted["Condition"]["ArnEquals"]["aws:PrincipalArn"]
        may_use = any(action.startswith(uses) for action in granted["Action"])
        if ADMINISTRATOR in who:
            assert not may_use
        else:
            assert may_use
            assert who in (AT.deploy_role_arn, AT.preview_role_arn)
            assert "kms:PutKeyPolicy" not in granted["Action"]
    looks = statement(policy, "WhoLooksMayRead")
    assert "kms:Encrypt" not in looks["Action"]
    via = {"StringEquals": {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}}
    assert (via.items() <= looks["Condition"].items()) == (alias == ALIASES[0])


@pytest.mark.parametrize(("role", "subject"), [(DEPLOY, "dev"), (PREVIEW, "dev-preview")])
def test_a_role_trusts_one_deployment_environment_of_one_repository(role: str, subject: str) -> None:
    bootstrap()
    made = aws("iam").get_role(RoleName=role)["Role"]
    trust = statement(made["AssumeRolePolicyDocument"], "OneEnvironmentOfOneRepository")
    assert trust["Principal"] == {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{GITHUB}"}
    assert trust["Condition"] == {
        "StringEquals": {
            f"{GITHUB}:aud": "sts.amazonaws.com",
            f"{GITHUB}:sub": f"repo:example-org/platform:environment:{subject}",
        }
    }
    assert made["PermissionsBoundary"]["PermissionsBoundaryArn"] == AT.boundary_arn
    assert made["MaxSessionDuration"] == 3600


def test_administrators_deploy_with_a_second_factor_and_nobody_else_looks() -> None:
    center = f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/{REGION}/AWSReservedSSO_Admin_0a1b"
    trust = documents.deploy_trust(dataclasses.replace(AT, administrator_arns=(ADMINISTRATOR, center)))
    assert statement(trust, "AdministratorsWithASecondFactor")["Condition"] == {
        "ArnEquals": {"aws:PrincipalArn": [ADMINISTRATOR]},
        "Bool": {"aws:MultiFactorAuthPresent": "true"},
    }
    # Its own sign-in asked for it, and its sessions do not say so.
    assert statement(trust, "AdministratorsFromIdentityCenter")["Condition"] == {
        "ArnEquals": {"aws:PrincipalArn": [center]}
    }
    assert len(documents.preview_trust(AT)["Statement"]) == 1


def test_without_a_repository_no_workflow_deploys() -> None:
    at = dataclasses.replace(AT, repository=None)
    assert bootstrap(at) == 0
    assert aws("iam").list_open_id_connect_providers()["OpenIDConnectProviderList"] == []
    assert [role["RoleName"] for role in aws("iam").list_roles()["Roles"]] == [DEPLOY]
    trust = aws("iam").get_role(RoleName=DEPLOY)["Role"]["AssumeRolePolicyDocument"]
    assert [each["Sid"] for each in trust["Statement"]] == ["AdministratorsWithASecondFactor"]


def test_twice_changes_nothing_the_second_time() -> None:
    bootstrap()
    before, cloud = snapshot(), cloud_of()
    assert bootstrap(cloud=cloud) == 0
    assert snapshot() == before
    assert [call for call in cloud.calls if not is_read(call)] == []
    assert {state for state, _ in states().values()} == {"right"}


def test_a_plan_only_looks(capsys: pytest.CaptureFixture[str]) -> None:
    cloud = cloud_of()
    assert bootstrap(cloud=cloud, plan=True) == 0
    assert cloud.calls
    assert all(is_read(call) for call in cloud.calls), cloud.calls
    told = json.loads(capsys.readouterr().out)
    assert [each["state"] for each in told["plan"]] == ["to be made"] * 7
    assert (told["done"], told["commands"], told["complete"]) == ([], [], False)


class Stopped(Exception):
    """What a killed process does: nothing more."""


class OneWrite(Cloud):
    """Lets one change through, and stops at the next."""

    def _note(self, model: Any, **others: Any) -> None:
        super()._note(model, **others)
        if len([call for call in self.calls if not is_read(call)]) > 1:
            raise Stopped


def test_killed_after_each_step_it_goes_on_and_ends_the_same() -> None:
    whole = cloud_of()
    bootstrap(cloud=whole)
    wanted, writes = snapshot(), [call for call in whole.calls if not is_read(call)]
    for backends in (iam_backends, kms_backends, s3_backends):
        backends.reset()
    made = []
    # Each run is stopped before its second change, so each finds what one more step has left.
    for _ in writes:
        cloud = cloud_of(OneWrite)
        with contextlib.suppress(Stopped):
            bootstrap(cloud=cloud)
        made += [call for call in cloud.calls if not is_read(call)][:1]
    assert made == writes
    assert {state for state, _ in states().values()} == {"right"}
    assert snapshot() == wanted


def foreign_bucket() -> None:
    aws("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    aws("s3").put_object(Bucket=BUCKET, Key="theirs", Body=b"theirs")


def foreign_role() -> None:
    aws("iam").create_role(RoleName=DEPLOY, AssumeRolePolicyDocument=TRUST_OF_ACCOUNT)


def foreign_boundary() -> None:
    aws("iam").create_policy(PolicyName=f"{DEPLOY}-boundary", PolicyDocument=EVERYTHING)


def foreign_key() -> None:
    # It says what it is for as ours does, and not that it is ours.
    tags = [{"TagKey": "key", "TagValue": ALIASES[0].removeprefix("alias/")}]
    key = aws("kms").create_key(Tags=tags)["KeyMetadata"]["KeyId"]
    aws("kms").create_alias(AliasName=ALIASES[0], TargetKeyId=key)


def foreign_provider() -> None:
    aws("iam").create_open_id_connect_provider(
        Url=f"https://{GITHUB}", ClientIDList=["somebody"], ThumbprintList=["0" * 40]
    )


def of_another_environment() -> None:
    bootstrap(dataclasses.replace(AT, environment="staging"))


TRUST_OF_ACCOUNT = json.dumps(
    documents.written({"Effect": "Allow", "Principal": {"AWS": AT.root_arn}, "Action": "sts:AssumeRole"})
)
EVERYTHING = json.dumps(documents.written({"Effect": "Allow", "Action": "*", "Resource": "*"}))


@pytest.mark.parametrize(
    ("plant", "name"),
    [
        (foreign_bucket, BUCKET),
        (foreign_role, DEPLOY),
        (foreign_boundary, f"{DEPLOY}-boundary"),
        (foreign_key, ALIASES[0]),
        (foreign_provider, GITHUB),
        (of_another_environment, DEPLOY),
    ],
)
def test_what_is_somebody_elses_is_left_alone(
    plant: Callable[[], None], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    plant()
    capsys.readouterr()
    cloud = cloud_of()
    assert bootstrap(cloud=cloud) == 1
    assert [call for call in cloud.calls if not is_read(call)] == []
    seen = capsys.readouterr()
    (theirs,) = [s for s in json.loads(seen.out)["plan"] if s["name"] == name]
    assert theirs["state"] == "somebody else's"
    assert theirs["reason"]
    assert "nothing was changed" in seen.err


def test_a_bucket_of_that_name_in_another_account_is_told_apart() -> None:
    class Elsewhere(Cloud):
        def _note(self, model: Any, **others: Any) -> None:
            super()._note(model, **others)
            if self.calls[-1] == "s3:GetBucketTagging":
                raise refusal("AccessDenied", "Access Denied", "GetBucketTagging")

    (step,) = [s for s in run.plan(run.things(AT, cloud_of(Elsewhere))).steps if s.thing.name == BUCKET]
    assert (step.state, step.reason) == (
        "somebody else's",
        "the name is taken by a bucket of another account",
    )


def test_a_provider_of_the_account_with_our_audience_is_used_and_not_touched() -> None:
    aws("iam").create_open_id_connect_provider(
        Url=f"https://{GITHUB}", ClientIDList=[AUDIENCE, "another"], ThumbprintList=["0" * 40]
    )
    assert bootstrap() == 0
    found = aws("iam").get_open_id_connect_provider(OpenIDConnectProviderArn=AT.provider_arn)
    assert sorted(found["ClientIDList"]) == ["another", AUDIENCE]
    assert states()[GITHUB] == ("used as it is", ())


def test_two_environments_of_one_account_share_the_provider() -> None:
    staging = dataclasses.replace(
        AT, environment="staging", prefix="secure-ml-platform-staging", bucket_prefix="smlp-staging"
    )
    assert (bootstrap(), bootstrap(staging)) == (0, 0)
    assert {state for state, _ in (*states().values(), *states(staging).values())} == {"right"}


def drifts() -> dict[str, tuple[str, Callable[[], Any]]]:
    """Return what somebody may do to what we made: the thing, and the deed, by the property that it changes."""
    iam, kms, s3 = aws("iam"), aws("kms"), aws("s3")
    everybody = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{BUCKET}"}
    opened = json.dumps({"Version": "2012-10-17", "Statement": [everybody]})

    def key() -> str:
        return str(kms.describe_key(KeyId=ALIASES[1])["KeyMetadata"]["KeyId"])

    def stranger() -> None:
        iam.put_role_policy(RoleName=DEPLOY, PolicyName="more", PolicyDocument=EVERYTHING)
        arn = iam.create_policy(PolicyName="most", PolicyDocument=EVERYTHING)["Policy"]["Arn"]
        iam.attach_role_policy(RoleName=DEPLOY, PolicyArn=arn)

    return {
        # Before versions are given up: a lock needs them.
        "lock": (
            BUCKET,
            lambda: s3.put_object_lock_configuration(
                Bucket=BUCKET,
                ObjectLockConfiguration={
                    "ObjectLockEnabled": "Enabled",
                    "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}},
                },
            ),
        ),
        "policy": (BUCKET, lambda: s3.put_bucket_policy(Bucket=BUCKET, Policy=opened)),
        "public access block": (BUCKET, lambda: s3.delete_public_access_block(Bucket=BUCKET)),
        "object ownership": (BUCKET, lambda: s3.delete_bucket_ownership_controls(Bucket=BUCKET)),
        "versioning": (
            BUCKET,
            lambda: s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"}),
        ),
        "encryption": (BUCKET, lambda: s3.delete_bucket_encryption(Bucket=BUCKET)),
        "lifecycle": (BUCKET, lambda: s3.delete_bucket_lifecycle(Bucket=BUCKET)),
        "rotation": (ALIASES[1], lambda: kms.disable_key_rotation(KeyId=key())),
        "alias": (ALIASES[1], lambda: kms.delete_alias(AliasName=ALIASES[1])),
        "enabled": (
            ALIASES[0],
            lambda: kms.schedule_key_deletion(
                KeyId=kms.describe_key(KeyId=ALIASES[0])["KeyMetadata"]["KeyId"], PendingWindowInDays=7
            ),
        ),
        "trust": (
            DEPLOY,
            lambda: iam.update_assume_role_policy(RoleName=DEPLOY, PolicyDocument=TRUST_OF_ACCOUNT),
        ),
        "boundary": (PREVIEW, lambda: iam.delete_role_permissions_boundary(RoleName=PREVIEW)),
        "other policies": (DEPLOY, stranger),
        "session length": (DEPLOY, lambda: iam.update_role(RoleName=DEPLOY, MaxSessionDuration=43200)),
        "document": (
            f"{DEPLOY}-boundary",
            lambda: iam.create_policy_version(
                PolicyArn=AT.boundary_arn, PolicyDocument=EVERYTHING, SetAsDefault=True
            ),
        ),
        "audience": (
            GITHUB,
            lambda: iam.add_client_id_to_open_id_connect_provider(
                OpenIDConnectProviderArn=AT.provider_arn, ClientID="anybody"
            ),
        ),
    }


def test_what_has_drifted_is_named_and_repaired() -> None:
    bootstrap()
    wanted, drifted = snapshot(), drifts()
    for _, deed in drifted.values():
        deed()
    seen = states()
    named = {(name, aspect) for name, (_, differences) in seen.items() for aspect in differences}
    assert named == {(name, aspect) for aspect, (name, _) in drifted.items()}
    assert {state for state, _ in seen.values()} == {"to be repaired"}
    assert bootstrap() == 0
    assert {state for state, _ in states().values()} == {"right"}
    aws("iam").delete_policy(PolicyArn=f"arn:aws:iam::{ACCOUNT}:policy/most")
    assert snapshot() == wanted


def test_a_boundary_that_has_all_the_versions_it_may_have_is_mended() -> None:
    bootstrap()
    for _ in range(4):
        aws("iam").create_policy_version(
            PolicyArn=AT.boundary_arn, PolicyDocument=EVERYTHING, SetAsDefault=True
        )
    assert bootstrap() == 0
    assert states()[f"{DEPLOY}-boundary"] == ("right", ())


def test_tags_of_other_people_stay() -> None:
    bootstrap()
    tags = aws("s3").get_bucket_tagging(Bucket=BUCKET)["TagSet"]
    aws("s3").put_bucket_tagging(
        Bucket=BUCKET, Tagging={"TagSet": [*tags, {"Key": "cost-center", "Value": "7"}]}
    )
    assert states()[BUCKET] == ("right", ())
    assert bootstrap(dataclasses.replace(AT, owner="new@example.org")) == 0
    assert {"Key": "cost-center", "Value": "7"} in aws("s3").get_bucket_tagging(Bucket=BUCKET)["TagSet"]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"account_id": "999999999999"}, r"of account 123456789012, and .*dev.yaml: account_id: says 9{12}"),
        ({"administrator_arns": (f"{ADMINISTRATOR}-2",)}, f"does not name you.*add {ADMINISTRATOR}"),
        ({"administrator_arns": ()}, "administrator_arns: is missing"),
    ],
)
def test_the_wrong_caller_is_refused_before_anything_is_looked_at(changed: Any, says: str) -> None:
    cloud = cloud_of()
    with pytest.raises(BadInput, match=says):
        bootstrap(dataclasses.replace(AT, **changed), cloud=cloud)
    assert {call.partition(":")[0] for call in cloud.calls} <= {"sts"}


def test_a_session_is_known_by_its_role() -> None:
    role = aws("iam").create_role(
        RoleName="people", Path="/signed-in/", AssumeRolePolicyDocument=TRUST_OF_ACCOUNT
    )["Role"]["Arn"]
    keys = aws("sts").assume_role(RoleArn=role, RoleSessionName="alice")["Credentials"]
    session = boto3.Session(
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    assert Cloud(session).caller(REGION) == f"arn:aws:iam::{ACCOUNT}:role/signed-in/people"


def refusal(code: str, message: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


class Denied(Cloud):
    """Refuses to make a role, as AWS does."""

    def _note(self, model: Any, **others: Any) -> None:
        super()._note(model, **others)
        if model.name == "CreateRole":
            who = f"User: {ADMINISTRATOR} is not authorized to perform: iam:CreateRole on resource: role"
            raise refusal("AccessDenied", who, "CreateRole")


def test_a_refusal_of_aws_names_the_action_and_what_was_done_stays_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(Refused, match="AWS refuses iam:CreateRole: allow it") as caught:
        bootstrap(cloud=cloud_of(Denied))
    assert caught.value.exit_code == 1
    assert f"made KMS key {ALIASES[0]}" in capsys.readouterr().err
    assert bootstrap() == 0
    assert {state for state, _ in states().values()} == {"right"}


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (NoCredentialsError(), BadInput, "no credentials of AWS"),
        (refusal("ExpiredToken", "old", "GetCallerIdentity"), BadInput, "sign in again"),
        (refusal("Throttling", "Rate exceeded", "GetCallerIdentity"), Refused, "Rate exceeded"),
        (EndpointConnectionError(endpoint_url="https://sts"), Refused, "no answer"),
    ],
)
def test_every_failure_is_one_sentence(error: Exception, kind: type[BlueprintError], says: str) -> None:
    with pytest.raises(kind, match=says) as caught, plainly(Cloud()):
        raise error
    assert "\n" not in str(caught.value)


def test_without_credentials_it_says_so_and_ends_with_status_2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(BadInput, match="no credentials of AWS") as caught:
        bootstrap(cloud=Cloud())
    assert caught.value.exit_code == 2


def test_nobody_there_to_agree_is_no_agreement() -> None:
    with pytest.raises(BadInput, match="nobody is there to agree"):
        bootstrap(yes=False, cloud=(cloud := cloud_of()))
    assert all(is_read(call) for call in cloud.calls)


@pytest.mark.parametrize(("word", "made"), [("yes", True), ("y", False), ("", False)])
def test_a_person_is_asked(word: str, made: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal(f"{word}\n"))
    with contextlib.nullcontext() if made else pytest.raises(BadInput, match="nothing was changed"):
        bootstrap(yes=False, form="text")
    assert ([b["Name"] for b in aws("s3").list_buckets()["Buckets"]] == [BUCKET]) is made


def test_the_lines_that_come_next_are_exact(capsys: pytest.CaptureFixture[str]) -> None:
    bootstrap(form="text")
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert "export AWS_PROFILE=secure-ml-platform-dev-deploy" in lines
    assert f'pulumi login "s3://{BUCKET}?region={REGION}"' in lines
    provider = f"awskms://{ALIASES[1]}?region={REGION}"
    assert f'pulumi stack init dev --secrets-provider "{provider}"' in lines
    assert f"aws configure set role_arn {AT.deploy_role_arn} --profile {DEPLOY}" in lines


def test_a_user_with_a_device_is_asked_for_its_code() -> None:
    user = f"arn:aws:iam::{ACCOUNT}:user/people/alice"
    aws("iam").create_user(UserName="alice", Path="/people/")
    device = aws("iam").create_virtual_mfa_device(VirtualMFADeviceName="alice")["VirtualMFADevice"]
    serial = device["SerialNumber"]
    codes = {"AuthenticationCode1": "234567", "AuthenticationCode2": "987654"}
    aws("iam").enable_mfa_device(UserName="alice", SerialNumber=serial, **codes)
    lines = run.commands(AT, run.second_factor(AT, cloud_of(), user))
    assert f"aws configure set mfa_serial {serial} --profile {DEPLOY}" in lines
    (session,) = [line for line in lines if line.startswith("eval")]
    assert "export-credentials" in session
    role = f"arn:aws:iam::{ACCOUNT}:role/administrator"
    assert run.second_factor(AT, cloud_of(), role) == ""


def test_in_the_first_region_of_aws_it_works_as_well() -> None:
    at = dataclasses.replace(AT, region="us-east-1", backup_region="us-west-2")
    assert bootstrap(at) == 0
    assert {state for state, _ in states(at).values()} == {"right"}


# What the documents say, held against each other and against what the platform builds.


@pytest.fixture(scope="module")
def dev() -> tuple[Graph, Target]:
    from blueprint.environments import configuration, project_name
    from blueprint.program import run as program

    graph = program("dev")
    return graph, target.read(graph, configuration("dev"), "dev", project_name())


def test_names_are_those_that_the_stack_refers_to(dev: tuple[Graph, Target]) -> None:
    graph, at = dev
    assert (at.account_id, at.region, at.backup_region) == ("111122223333", "us-east-1", "us-west-2")
    assert at.repository == "example-org/secure-ml-platform"
    deployer = [r for r in graph.of("aws:eks/accessEntry:AccessEntry") if r.name.endswith("-deployer")]
    assert [r.inputs["principalArn"] for r in deployer] == [at.deploy_role_arn]
    (boundary,) = [p for p in graph.of("aws:iam/policy:Policy") if p.name.endswith("-boundary")]
    assert boundary.outputs["arn"] == at.platform_boundary_arn
    glass = [r.inputs.get("name") for r in graph.of("aws:iam/role:Role")]
    assert at.break_glass_arn.rpartition("/")[2] in glass
    (pipeline,) = [r for r in graph.of("aws:iam/role:Role") if r.name.endswith("-pipeline")]
    assert at.provider_arn in pipeline.inputs["assumeRolePolicy"]


MODULES = {
    "accessanalyzer": "access-analyzer",
    "alb": "elasticloadbalancing",
    "cfg": "config",
    "cloudwatch": "cloudwatch events logs",
    "ebs": "ec2",
    "inspector": "inspector2",
    "kinesis": "firehose",
    "lb": "elasticloadbalancing",
    "networkfirewall": "network-firewall",
    "vpc": "ec2",
}
"""Modules of Pulumi that are not called as AWS calls the service."""


def test_who_deploys_may_meet_every_service_of_the_platform(dev: tuple[Graph, Target]) -> None:
    graph, _ = dev
    modules = {
        r.type.split("/")[0].removeprefix("aws:") for r in graph.resources if r.type.startswith("aws:")
    }
    needed = {service for m in modules for service in MODULES.get(m, m).split()}
    assert needed - set(documents.SERVICES) == set()


def test_the_boundary_holds_who_deploys() -> None:
    boundary = documents.boundary(AT)
    roles = statement(boundary, "NoRoleOutsideThePlatformsBoundary")
    assert roles["Condition"] == {"StringNotEquals": {"iam:PermissionsBoundary": AT.platform_boundary_arn}}
    assert {"iam:CreateRole", "iam:PutRolePolicy"} <= set(roles["Action"])
    ours = statement(boundary, "NoTouchingWhoDeploys")
    assert {AT.deploy_role_arn, AT.preview_role_arn, AT.provider_arn} <= set(ours["Resource"])
    assert AT.boundary_arn in statement(boundary, "NoTouchingTheBoundaries")["Resource"]
    state = statement(boundary, "NoTouchingTheState")
    assert {"s3:PutBucketPolicy", "s3:DeleteObjectVersion"} <= set(state["Action"])
    keys = statement(boundary, "NoTouchingItsKeys")
    assert keys["Condition"] == {"StringEquals": {"aws:ResourceTag/managed-by": AT.mark}}
    assert {"iam:CreateUser", "iam:CreateAccessKey"} <= set(
        statement(boundary, "NoOtherWayToSignIn")["Action"]
    )
    assert [s["Sid"] for s in boundary["Statement"] if s["Effect"] == "Allow"] == ["AsAllowed"]


def test_who_looks_changes_nothing_and_reads_no_data() -> None:
    policy = documents.preview_policy(AT, "state-key", "secrets-key")
    looking = statement(policy, "LookAtTheSetUp")["Action"]
    assert all(re.fullmatch(r"[a-z0-9-]+:(Describe|Get|List)\*", action) for action in looking)
    assert statement(policy, "LockTheState")["Resource"] == f"arn:aws:s3:::{BUCKET}/.pulumi/locks/*"
    assert statement(policy, "NoObjectsButTheState")["NotResource"] == f"arn:aws:s3:::{BUCKET}/*"
    assert "secretsmanager:GetSecretValue" in statement(policy, "NoneOfTheData")["Action"]


def test_policies_fit_into_what_aws_takes() -> None:
    # IAM quotas: 6,144 characters a managed policy, 10,240 for a role's own, 2,048 for its trust without a raise;
    # 32 kB a key policy; 20 kB a bucket policy.
    at = dataclasses.replace(
        AT,
        prefix="secure-ml-platform-staging",
        bucket_prefix="smlp-staging",
        region="ap-southeast-1",
        administrator_arns=tuple(f"arn:aws:iam::{ACCOUNT}:role/people/administrator-{n}" for n in range(5)),
    )
    key = f"arn:aws:kms:{at.region}:{ACCOUNT}:key/0a1b2c3d-1111-4111-8111-0123456789ab"
    for document, most in (
        (documents.boundary(at), 6144),
        (documents.deploy_policy(), 10240),
        (documents.preview_policy(at, key, key), 10240),
        (documents.deploy_trust(at), 2048),
        (documents.key_policy(at, through_s3=True), 32 * 1024),
        (documents.bucket_policy(at, key), 20 * 1024),
    ):
        assert len("".join(json.dumps(document).split())) <= most


def test_every_action_that_is_named_exists() -> None:
    key = "arn"
    for document in (
        documents.boundary(AT),
        documents.preview_policy(AT, key, key),
        documents.deploy_trust(AT),
        documents.key_policy(AT, through_s3=True),
        documents.bucket_policy(AT, key),
    ):
        for each in document["Statement"]:
            actions = each.get("Action", [])
            for action in [actions] if isinstance(actions, str) else actions:
                service, _, verb = action.partition(":")
                if "*" not in action:
                    assert get_action_data(service, verb), action
