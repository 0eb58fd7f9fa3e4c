"""Who deploys: GitHub's provider of identities, the boundary, and the roles that workflows take on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from blueprint.bootstrap.cloud import Cloud, unless
from blueprint.bootstrap.documents import Document
from blueprint.bootstrap.target import GITHUB, Target
from blueprint.bootstrap.thing import Aspect, Thing, Whose, as_tags, document, only, tags_of

AUDIENCE = "sts.amazonaws.com"

SESSION_SECONDS = 3600

MAX_POLICY_VERSIONS = 5
"""Of a managed policy (IAM User Guide, "IAM and AWS STS quotas")."""

_ABSENT = ("NoSuchEntity",)


def _not_ours(at: Target, tags: dict[str, str]) -> str:
    """Return why a thing is not ours; empty where it is."""
    if tags.get("managed-by") != at.mark:
        return f"it does not carry the tag managed-by={at.mark}"
    if tags.get("environment", at.environment) != at.environment:
        return f"it is of environment {tags['environment']}"
    return ""


class Provider(Thing):
    """GitHub's OpenID Connect provider. An account has one at most, so one that is there already is used."""

    kind, name = "OpenID Connect provider", GITHUB

    def __init__(self, at: Target, cloud: Cloud) -> None:
        """Know where it would be."""
        self._at, self._iam = at, cloud.client("iam", at.region)

    def look(self) -> tuple[Whose, str]:
        """Return whose it is; somebody else's with our audience serves as well as ours."""
        found = self._found()
        if found is None:
            return "nobody's", ""
        if not _not_ours(self._at, tags_of(found.get("Tags"))):
            return "ours", ""
        if AUDIENCE in found["ClientIDList"]:
            return "shared", "somebody else made it; its audience serves"
        return "theirs", f"its audiences lack {AUDIENCE}: let its owner add it"

    def make(self) -> None:
        """Make it. AWS checks GitHub's certificate against its own authorities: no thumbprint is pinned."""
        self._iam.create_open_id_connect_provider(
            Url=f"https://{GITHUB}",
            ClientIDList=[AUDIENCE],
            # It is shared by the environments of the account, so it belongs to none of them.
            Tags=as_tags({"managed-by": self._at.mark}),
        )

    def aspects(self) -> Sequence[Aspect]:
        """Return its audiences."""
        return [
            Aspect(
                name="audience",
                wanted=[AUDIENCE],
                read=lambda: (self._found() or {}).get("ClientIDList"),
                write=self._set_audiences,
            )
        ]

    def _found(self) -> Any:
        arn = self._at.provider_arn
        return unless(_ABSENT, lambda: self._iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn))

    def _set_audiences(self) -> None:
        arn, there = self._at.provider_arn, (self._found() or {}).get("ClientIDList", [])
        if AUDIENCE not in there:
            self._iam.add_client_id_to_open_id_connect_provider(
                OpenIDConnectProviderArn=arn, ClientID=AUDIENCE
            )
        for other in set(there) - {AUDIENCE}:
            self._iam.remove_client_id_from_open_id_connect_provider(
                OpenIDConnectProviderArn=arn, ClientID=other
            )


class Boundary(Thing):
    """The boundary of who deploys and of who looks."""

    kind = "IAM policy"

    def __init__(self, at: Target, cloud: Cloud, policy: Document) -> None:
        """Know its name and what it says."""
        self._at, self._cloud, self._iam = at, cloud, cloud.client("iam", at.region)
        self._policy = policy
        self.name = at.boundary_arn.rpartition("/")[2]

    def look(self) -> tuple[Whose, str]:
        """Return whose it is."""
        found = unless(_ABSENT, lambda: self._iam.get_policy(PolicyArn=self._at.boundary_arn))
        if found is None:
            return "nobody's", ""
        why = _not_ours(self._at, tags_of(found["Policy"].get("Tags")))
        return ("theirs", why) if why else ("ours", "")

    def make(self) -> None:
        """Make it."""
        self._iam.create_policy(
            PolicyName=self.name,
            Description="The most that who deploys can be allowed",
            PolicyDocument=json.dumps(self._policy),
            Tags=as_tags(self._at.tags),
        )

    def aspects(self) -> Sequence[Aspect]:
        """Return what it says, and its tags."""
        arn = self._at.boundary_arn
        return [
            Aspect(name="document", wanted=self._policy, read=self._document, write=self._set_document),
            Aspect(
                name="tags",
                wanted=self._at.tags,
                read=lambda: only(self._at.tags, tags_of(self._iam.list_policy_tags(PolicyArn=arn)["Tags"])),
                write=lambda: self._iam.tag_policy(PolicyArn=arn, Tags=as_tags(self._at.tags)),
            ),
        ]

    def _document(self) -> Any:
        arn = self._at.boundary_arn
        version = self._iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        told = self._iam.get_policy_version(PolicyArn=arn, VersionId=version)
        return document(told["PolicyVersion"]["Document"])

    def _set_document(self) -> None:
        arn, region = self._at.boundary_arn, self._at.region
        versions = list(self._cloud.every("iam", "list_policy_versions", "Versions", region, PolicyArn=arn))
        if len(versions) >= MAX_POLICY_VERSIONS:
            oldest = min((v for v in versions if not v["IsDefaultVersion"]), key=lambda v: v["CreateDate"])
            self._iam.delete_policy_version(PolicyArn=arn, VersionId=oldest["VersionId"])
        self._iam.create_policy_version(
            PolicyArn=arn, PolicyDocument=json.dumps(self._policy), SetAsDefault=True
        )


class Role(Thing):
    """A role of workflows: whom it trusts, one policy, one boundary, and nothing else attached."""

    kind = "IAM role"

    def __init__(
        self,
        at: Target,
        cloud: Cloud,
        *,
        arn: str,
        about: str,
        trust: Document,
        policy: Callable[[], Document],
    ) -> None:
        """Know its name, what it is for, and whom it trusts; its policy may name what is made later."""
        self._at, self._cloud, self._iam = at, cloud, cloud.client("iam", at.region)
        self._about, self._trust, self._policy = about, trust, policy
        self.name = arn.rpartition("/")[2]

    def look(self) -> tuple[Whose, str]:
        """Return whose it is."""
        found = unless(_ABSENT, self._role)
        if found is None:
            return "nobody's", ""
        why = _not_ours(self._at, tags_of(found.get("Tags")))
        return ("theirs", why) if why else ("ours", "")

    def make(self) -> None:
        """Make it, under its boundary from the first moment."""
        self._iam.create_role(
            RoleName=self.name,
            Description=self._about,
            AssumeRolePolicyDocument=json.dumps(self._trust),
            MaxSessionDuration=SESSION_SECONDS,
            PermissionsBoundary=self._at.boundary_arn,
            Tags=as_tags(self._at.tags),
        )

    def aspects(self) -> Sequence[Aspect]:
        """Return the boundary and the trust first: without them the role would be anybody's."""
        name, iam, policy = self.name, self._iam, self._policy()
        return [
            Aspect(
                name="boundary",
                wanted=self._at.boundary_arn,
                read=lambda: self._role().get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
                write=lambda: iam.put_role_permissions_boundary(
                    RoleName=name, PermissionsBoundary=self._at.boundary_arn
                ),
            ),
            Aspect(
                name="trust",
                wanted=self._trust,
                read=lambda: document(self._role()["AssumeRolePolicyDocument"]),
                write=lambda: iam.update_assume_role_policy(
                    RoleName=name, PolicyDocument=json.dumps(self._trust)
                ),
            ),
            Aspect(name="other policies", wanted=[], read=self._others, write=self._remove_others),
            Aspect(
                name="policy",
                wanted=policy,
                read=self._inline,
                write=lambda: iam.put_role_policy(
                    RoleName=name, PolicyName=name, PolicyDocument=json.dumps(policy)
                ),
            ),
            Aspect(
                name="session length",
                wanted=SESSION_SECONDS,
                read=lambda: self._role()["MaxSessionDuration"],
                write=lambda: iam.update_role(
                    RoleName=name, Description=self._about, MaxSessionDuration=SESSION_SECONDS
                ),
            ),
            Aspect(
                name="tags",
                wanted=self._at.tags,
                read=lambda: only(self._at.tags, tags_of(iam.list_role_tags(RoleName=name)["Tags"])),
                write=lambda: iam.tag_role(RoleName=name, Tags=as_tags(self._at.tags)),
            ),
        ]

    def _role(self) -> Any:
        return self._iam.get_role(RoleName=self.name)["Role"]

    def _inline(self) -> Any:
        name = self.name
        found = unless(_ABSENT, lambda: self._iam.get_role_policy(RoleName=name, PolicyName=name))
        return document(found["PolicyDocument"]) if found else None

    def _others(self) -> list[str]:
        return [*self._attached(), *self._other_inline()]

    def _attached(self) -> list[str]:
        listed = self._cloud.every(
            "iam", "list_attached_role_policies", "AttachedPolicies", self._at.region, RoleName=self.name
        )
        return [str(each["PolicyArn"]) for each in listed]

    def _other_inline(self) -> list[str]:
        listed = self._cloud.every(
            "iam", "list_role_policies", "PolicyNames", self._at.region, RoleName=self.name
        )
        return [str(each) for each in listed if each != self.name]

    def _remove_others(self) -> None:
        for arn in self._attached():
            self._iam.detach_role_policy(RoleName=self.name, PolicyArn=arn)
        for other in self._other_inline():
            self._iam.delete_role_policy(RoleName=self.name, PolicyName=other)
