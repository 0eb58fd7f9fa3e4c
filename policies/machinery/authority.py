"""Who may do what: the statements of each role, and which pods wear it.

Only what is allowed counts. Refusals, boundaries and conditions make it less, never more, so a right that is found
here may be smaller than it looks; one that is not found is not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from machinery.documents import Condition, Principal, Statement, statements
from machinery.grants import ROLE
from machinery.patterns import overlap
from machinery.stack import Stack
from machinery.subject import Malformed, Node, Resource, UnknownReference

ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
POLICY = "aws:iam/policy:Policy"
ATTACHMENTS: dict[str, tuple[str, str]] = {
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": ("role", "policyArn"),
    "aws:iam/policyAttachment:PolicyAttachment": ("roles", "policyArn"),
    "aws:iam/rolePolicyAttachmentsExclusive:RolePolicyAttachmentsExclusive": ("roleName", "policyArns"),
}
"""What attaches managed policies to a role, and where it names both."""

_WIDE: dict[str, tuple[str, ...]] = {
    "AdministratorAccess": ("*",),
    "PowerUserAccess": ("*",),
    "AmazonS3FullAccess": ("s3:*",),
    "AmazonDynamoDBFullAccess": ("dynamodb:*",),
    "CloudWatchLogsFullAccess": ("logs:*",),
    "CloudWatchFullAccess": ("cloudwatch:*", "logs:*"),
    "AmazonRDSFullAccess": ("rds:*",),
    "SecretsManagerReadWrite": ("secretsmanager:*",),
}
"""What AWS's widest managed policies allow, on everything (AWS Managed Policy Reference Guide)."""

ASSOCIATION = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
SIGNING = "SIGN_VERIFY"
KEY = "aws:kms/key:Key"


@dataclass(frozen=True)
class Right:
    """One statement that allows something, and the resource that it stands in."""

    statement: Statement
    urn: str

    def allows(self, *actions: str) -> bool:
        """Say whether one of the actions is among those allowed, on whatever resource."""
        return any(map(self.statement.grants, actions))

    def reaches(self, pattern: str) -> bool:
        """Say whether it is about something that ``pattern`` means: an ARN, or one with wildcards."""
        return bool(self.statement.not_resources) or any(
            overlap(resource, pattern) for resource in self.statement.resources
        )


class Authority:
    """The rights of the roles of a stack, each read once."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._rights: dict[str, list[Right] | UnknownReference | Malformed] = {}
        self._holders: dict[tuple[str, ...], list[tuple[Resource, Right]]] = {}
        self._signers: dict[str, frozenset[str]] = {}

    def rights(self, role: Resource) -> list[Right]:
        """Return what a role may do, by policies inside it, beside it and attached to it.

        Raises:
            UnknownReference: one of its policies is unknown.
            Malformed: one of them is no policy.
        """
        if role.urn not in self._rights:
            try:
                self._rights[role.urn] = list(self._read(role))
            except (UnknownReference, Malformed) as problem:
                self._rights[role.urn] = problem
        found = self._rights[role.urn]
        if isinstance(found, Exception):
            raise found
        return found

    def _read(self, role: Resource) -> Iterator[Right]:
        for node in documents(role, self._stack):
            urn = node.urn if isinstance(node, Resource) else role.urn
            yield from (Right(each, urn) for each in statements(node, "policy") if each.allows)
        for attachment, path, arn in _of_aws(role, self._stack):
            if actions := _WIDE.get(arn.rpartition("/")[2]):
                yield Right(_everywhere(path, actions), attachment.urn)

    def may(self, role: Resource, actions: Iterable[str], pattern: str) -> Right | None:
        """Return the first right of a role to one of the actions on what ``pattern`` means.

        Raises:
            UnknownReference: one of its policies is unknown.
        """
        wanted = tuple(actions)
        return next((r for r in self.rights(role) if r.allows(*wanted) and r.reaches(pattern)), None)

    def holders(self, *actions: str) -> list[tuple[Resource, Right]]:
        """Return the roles that may do one of the actions on something, each with the right that says so.

        A role whose policy is none is left out: other controls refuse it.

        Raises:
            UnknownReference: the policies of one of them are unknown, so nobody knows all who may.
        """
        if actions not in self._holders:
            found: list[tuple[Resource, Right]] = []
            for role in self._stack.of(ROLE):
                with suppress(Malformed):
                    found += [(role, right) for right in self.rights(role) if right.allows(*actions)]
            self._holders[actions] = found
        return self._holders[actions]

    def who_may(self, actions: Iterable[str], pattern: str) -> list[Resource]:
        """Return the roles that may do one of the actions on what ``pattern`` means.

        Raises:
            UnknownReference: the policies of some role are unknown.
        """
        found = {role.urn: role for role, right in self.holders(*actions) if right.reaches(pattern)}
        return list(found.values())

    def signers(self, arn: str, key: Resource | None = None) -> frozenset[str]:
        """Return the URNs of the roles that may sign with a key.

        ``key`` is the key where the stack makes it: its policy counts, and the roles' own as far as it leaves
        signing to IAM. Of another's nobody knows the policy: the roles' own count.

        Raises:
            UnknownReference: the key's policy, or that of some role, is unknown.
        """
        if arn not in self._signers:
            self._signers[arn] = frozenset(self._may_sign(arn, key))
        return self._signers[arn]

    def _may_sign(self, arn: str, key: Resource | None) -> Iterator[str]:
        if key is not None:
            yield from (role.urn for role in self._stack.of(ROLE) if self.is_let_in_by_key(role, key))
        if key is None or _leaves_signing_to_iam(key):
            yield from (role.urn for role in self.who_may(("kms:Sign",), arn))

    def is_let_in_by_key(self, role: Resource, key: Resource) -> bool:
        """Say whether the policy of a key lets a role sign, whatever the role's own policies say.

        Raises:
            UnknownReference: the policy is unknown.
        """
        return any(
            self._is_let_in(role, statement)
            for statement in statements(key, "policy")
            if statement.grants("kms:Sign")
        )

    def _is_let_in(self, role: Resource, statement: Statement) -> bool:
        arn = role.reference("arn")
        if any(principal.name == arn for principal in statement.principals):
            return True
        return statement.everyone and all(self._meets(role, arn, each) for each in statement.binding())

    def _meets(self, role: Resource, arn: object, condition: Condition) -> bool:
        """Say whether a session of the role may meet a condition; one that cannot be judged from here may be."""
        if condition.negated:
            return True
        if condition.key == "aws:principalarn":
            return any(overlap(value, str(arn)) for value in condition.values)
        # EKS tags the sessions of pods (Amazon EKS User Guide, "Grant Pods access to AWS resources based on tags").
        tag = condition.key.removeprefix("aws:principaltag/")
        if path := _SESSION_TAGS.get(tag):
            worn = self._stack.referrers(role, "roleArn", ASSOCIATION)
            return any(str(each.reference(path)) in condition.values for each in worn)
        return True


def _leaves_signing_to_iam(key: Resource) -> bool:
    """Say whether a key's policy lets the account decide (AWS KMS Developer Guide, "Default key policy")."""
    found = statements(key, "policy")
    return not found or any(
        statement.grants("kms:Sign") and any(is_account(principal) for principal in statement.principals)
        for statement in found
    )


def is_account(principal: Principal) -> bool:
    """Say whether a principal is an account as a whole."""
    return principal.name == principal.account or principal.name.endswith(":root")


_SESSION_TAGS = {
    "eks-cluster-name": "clusterName",
    "kubernetes-namespace": "namespace",
    "kubernetes-service-account": "serviceAccount",
}


def authority(stack: Stack) -> Authority:
    """Return the rights of the roles of a stack; they are read once."""
    return stack.once(Authority)


def documents(role: Resource, stack: Stack) -> Iterator[Node]:
    """Yield what holds the policies of a role, each at ``policy``: blocks inside it, and other resources."""
    yield from role.items("inlinePolicies")
    yield from stack.referrers(role, "role", ROLE_POLICY)
    yield from stack.targets(role, "managedPolicyArns", POLICY)
    for type_, (to, what) in ATTACHMENTS.items():
        for attachment in stack.referrers(role, to, type_):
            yield from stack.targets(attachment, what, POLICY)


def rests_elsewhere(role: Resource, stack: Stack) -> bool:
    """Say whether a role has policies that are not in the graph, and are none of those that are known by name."""
    return any(
        not stack.targets(attachment, path.partition("[")[0], POLICY) and arn.rpartition("/")[2] not in _WIDE
        for attachment, path, arn in _attached(role, stack)
    )


def _of_aws(role: Resource, stack: Stack) -> Iterator[tuple[Resource, str, str]]:
    return ((on, path, arn) for on, path, arn in _attached(role, stack) if ":iam::aws:policy/" in arn)


def _attached(role: Resource, stack: Stack) -> Iterator[tuple[Resource, str, str]]:
    """Yield what attaches a managed policy, the property that names it, and its ARN."""
    places = [(role, "managedPolicyArns")]
    for type_, (to, what) in ATTACHMENTS.items():
        places += [(attachment, what) for attachment in stack.referrers(role, to, type_)]
    for attachment, what in places:
        try:
            yield from ((attachment, path, arn) for path, arn in attachment.texts(what))
        except UnknownReference:
            # Made by this stack, and read as what it is.
            continue


def _everywhere(path: str, actions: tuple[str, ...]) -> Statement:
    return Statement(
        path=path,
        sid="",
        allows=True,
        actions=actions,
        not_actions=(),
        resources=("*",),
        not_resources=(),
        principals=(),
        not_principals=(),
        conditions=(),
    )


def signing_keys(stack: Stack) -> list[Resource]:
    """Return the keys that sign."""
    return [key for key in stack.of(KEY) if key.switch("keyUsage") == SIGNING]


def principals_but(statement: Statement, arns: Iterable[str]) -> list[Principal]:
    """Return whom a statement names, but for these ARNs and AWS's services."""
    known = set(arns)
    return [each for each in statement.principals if each.kind != "Service" and each.name not in known]
