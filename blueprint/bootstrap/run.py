"""Plans a bootstrap and carries it out: nothing twice, nothing of somebody else's, on from where it stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from blueprint.bootstrap import documents
from blueprint.bootstrap.bucket import StateBucket
from blueprint.bootstrap.cloud import Cloud, unless
from blueprint.bootstrap.identity import Boundary, Provider, Role
from blueprint.bootstrap.keys import Key
from blueprint.bootstrap.target import Target
from blueprint.bootstrap.thing import Thing
from blueprint.errors import BadInput

State = Literal["to be made", "right", "to be repaired", "somebody else's", "used as it is"]


@dataclass(frozen=True, kw_only=True)
class Step:
    """What is to be done about one thing."""

    thing: Thing
    state: State
    differences: tuple[str, ...] = ()
    """Names of the properties that are not as they should be."""
    reason: str = ""

    def as_json_value(self) -> dict[str, Any]:
        """Return the step as JSON."""
        return {
            "kind": self.thing.kind,
            "name": self.thing.name,
            "state": self.state,
            "differences": list(self.differences),
            "reason": self.reason,
        }


@dataclass(frozen=True)
class Plan:
    """All steps, in the order in which they are taken."""

    steps: tuple[Step, ...]

    @property
    def refused(self) -> bool:
        """Say whether something there is somebody else's: then nothing at all is done."""
        return any(step.state == "somebody else's" for step in self.steps)

    @property
    def pending(self) -> bool:
        """Say whether there is anything to do."""
        return any(step.state in ("to be made", "to be repaired") for step in self.steps)


def check_caller(at: Target, cloud: Cloud) -> str:
    """Return who calls; refuse whoever is in another account, or could lock themselves out of what they make.

    Raises:
        BadInput: the credentials are of another account, or their bearer is no administrator.
    """
    place = f"stacks/Pulumi.{at.environment}.yaml"
    if (account := cloud.account(at.region)) != at.account_id:
        raise BadInput(
            f"the credentials are of account {account}, and {place}: account_id: says {at.account_id}; "
            "use credentials of that account"
        )
    caller = cloud.caller(at.region)
    if caller == at.root_arn:
        raise BadInput("the credentials are the account's root user; use a role of an administrator")
    if caller not in at.administrator_arns:
        raise BadInput(
            f"{place}: identity.administrator_arns: does not name you; who bootstraps administers the keys of "
            f"the state: add {caller}"
        )
    return caller


def things(at: Target, cloud: Cloud) -> list[Thing]:
    """Return what is to be there, in the order in which one needs the other."""
    state_key = Key(
        at,
        cloud,
        alias=at.state_alias,
        about=f"State of {at.prefix}",
        policy=documents.key_policy(at, through_s3=True),
    )
    secrets_key = Key(
        at,
        cloud,
        alias=at.secrets_alias,
        about=f"Secrets in the state of {at.prefix}",
        policy=documents.key_policy(at, through_s3=False),
    )
    deploy = Role(
        at,
        cloud,
        arn=at.deploy_role_arn,
        about=f"Runs pulumi up for {at.prefix}",
        trust=documents.deploy_trust(at),
        policy=documents.deploy_policy,
    )
    preview = Role(
        at,
        cloud,
        arn=at.preview_role_arn,
        about=f"Runs pulumi preview for {at.prefix}",
        trust=documents.preview_trust(at),
        policy=lambda: documents.preview_policy(at, state_key.arn, secrets_key.arn),
    )
    workflows = [Provider(at, cloud)] if at.repository else []
    looking = [preview] if at.repository else []
    boundary = Boundary(at, cloud, documents.boundary(at))
    bucket = StateBucket(at, cloud, lambda: state_key.arn)
    return [*workflows, boundary, state_key, secrets_key, deploy, *looking, bucket]


def plan(wanted: Sequence[Thing]) -> Plan:
    """Return what is to be done about each; only looks."""
    return Plan(tuple(_step(thing) for thing in wanted))


def _step(thing: Thing) -> Step:
    whose, reason = thing.look()
    if whose == "theirs":
        return Step(thing=thing, state="somebody else's", reason=reason)
    if whose == "shared":
        return Step(thing=thing, state="used as it is", reason=reason)
    if whose == "nobody's":
        return Step(thing=thing, state="to be made")
    differences = tuple(aspect.name for aspect in thing.aspects() if not aspect.right())
    return Step(thing=thing, state="to be repaired" if differences else "right", differences=differences)


def carry_out(planned: Plan, did: Callable[[str], None]) -> None:
    """Do what is planned; ``did`` is told of each change when AWS has taken it.

    What is there is looked at again: somebody may have changed it while the plan was read.
    """
    for step in planned.steps:
        if step.state != "used as it is":
            for sentence in _put_right(step.thing):
                did(sentence)


def _put_right(thing: Thing) -> Iterator[str]:
    whose, reason = thing.look()
    if whose == "theirs":
        raise BadInput(f"{thing.kind} {thing.name} became somebody else's meanwhile: {reason}")
    if whose == "nobody's":
        thing.make()
        yield f"made {thing.kind} {thing.name}"
    for aspect in thing.aspects():
        if not aspect.right():
            aspect.write()
            yield f"set {aspect.name} of {thing.kind} {thing.name}"


def second_factor(at: Target, cloud: Cloud, caller: str) -> str:
    """Return the device of a user who calls; empty for a role, whose session has its factor or not."""
    if ":user/" not in caller:
        return ""
    name = caller.rpartition("/")[2]
    # Only a line to be typed depends on it: who may not look is told the line without a device.
    devices = unless(
        ("AccessDenied", "NoSuchEntity"),
        lambda: list(cloud.every("iam", "list_mfa_devices", "MFADevices", at.region, UserName=name)),
    )
    return str(devices[0]["SerialNumber"]) if devices else ""


def commands(at: Target, device: str = "") -> list[str]:
    """Return the lines that come next, to be typed as they are; ``device`` gives the code of a second factor."""
    profile = f"{at.prefix}-deploy"
    # Pulumi cannot ask for a code; AWS's own command line can.
    session = (
        [
            f"aws configure set mfa_serial {device} --profile {profile}",
            f'eval "$(aws configure export-credentials --profile {profile} --format env)" && unset AWS_PROFILE',
        ]
        if device
        else [f"export AWS_PROFILE={profile}"]
    )
    return [
        f"aws configure set role_arn {at.deploy_role_arn} --profile {profile}",
        f'aws configure set source_profile "${{AWS_PROFILE:-default}}" --profile {profile}',
        f"aws configure set region {at.region} --profile {profile}",
        *session,
        f'pulumi login "s3://{at.bucket}?region={at.region}"',
        f'pulumi stack init {at.environment} --secrets-provider "awskms://{at.secrets_alias}?region={at.region}"',
    ]
