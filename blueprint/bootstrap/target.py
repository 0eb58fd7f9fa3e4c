"""The account, the names and the people of one bootstrap, read from what the environment would build."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blueprint.environments import ROOT, configuration, project_name
from blueprint.errors import BadInput
from blueprint.graph import Graph

GITHUB = "token.actions.githubusercontent.com"


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a bootstrap is for. Names follow the stack's own, which refers to what is made here."""

    environment: str
    project: str
    account_id: str
    region: str
    """Home region: state and keys live there."""
    backup_region: str
    prefix: str
    """How the stack's names begin: ``secure-ml-platform-dev``."""
    bucket_prefix: str
    """How its buckets' names begin: ``smlp-dev``."""
    platform_boundary_arn: str
    """The boundary that every role of the stack carries."""
    owner: str
    administrator_arns: tuple[str, ...]
    """Users and roles that administer state and keys, and may take on the role that deploys."""
    people_arns: tuple[str, ...] = ()
    """Users and roles that may take on a persona."""
    repository: str | None
    """``owner/name`` on GitHub; without it no workflow deploys."""

    @property
    def partition(self) -> str:
        """``aws``, ``aws-us-gov`` or ``aws-cn``."""
        if self.region.startswith("us-gov-"):
            return "aws-us-gov"
        return "aws-cn" if self.region.startswith("cn-") else "aws"

    @property
    def root_arn(self) -> str:
        """The account: as a principal everybody in it, as ``aws:PrincipalArn`` its root user alone."""
        return self.iam("root")

    @property
    def provider_arn(self) -> str:
        """The OpenID Connect provider of GitHub; an account can have one, so environments in it share it."""
        return self.iam(f"oidc-provider/{GITHUB}")

    @property
    def deploy_role_arn(self) -> str:
        """The role that runs ``pulumi up``."""
        return self.iam(f"role/{self.prefix}-deploy")

    @property
    def preview_role_arn(self) -> str:
        """The role that looks: ``pulumi preview``, and whether anything has drifted."""
        return self.iam(f"role/{self.prefix}-preview")

    @property
    def boundary_arn(self) -> str:
        """The boundary of these two roles."""
        return self.iam(f"policy/{self.prefix}-deploy-boundary")

    @property
    def break_glass_arn(self) -> str:
        """The stack's role for incidents; it need not exist yet."""
        return self.iam(f"role/{self.prefix}-break-glass")

    @property
    def bucket(self) -> str:
        """Name of the bucket of the state: nobody else has it, for account and region are in it."""
        return f"{self.bucket_prefix}-state-{self.account_id}-{self.region}"

    @property
    def state_alias(self) -> str:
        """Alias of the key of the state bucket."""
        return f"alias/{self.prefix}-state"

    @property
    def secrets_alias(self) -> str:
        """Alias of the key of the stack's secrets."""
        return f"alias/{self.prefix}-stack-secrets"

    @property
    def mark(self) -> str:
        """Value of the tag ``managed-by`` of everything that a bootstrap made."""
        return f"{self.project}-bootstrap"

    @property
    def tags(self) -> dict[str, str]:
        """Tags of everything that belongs to this environment alone."""
        return {
            "managed-by": self.mark,
            "environment": self.environment,
            "owner": self.owner,
            "data-domain": "state",
        }

    @property
    def subject(self) -> str:
        """Whose tokens of GitHub deploy: jobs of this deployment environment, which may ask for an approval."""
        return f"repo:{self.repository}:environment:{self.environment}"

    @property
    def preview_subject(self) -> str:
        """Whose tokens of GitHub look: jobs of a deployment environment beside it, which waits for nobody."""
        return f"{self.subject}-preview"

    def iam(self, resource: str) -> str:
        """Return the ARN of a resource of IAM."""
        return f"arn:{self.partition}:iam::{self.account_id}:{resource}"


def of(environment: str, root: Path = ROOT) -> Target:
    """Return the target of an environment; its settings are checked as every preview checks them.

    Raises:
        BadInput: a setting is wrong, or nobody is named who administers.
    """
    from blueprint import program

    config = configuration(environment, root)
    return read(program.run(environment, root=root), config, environment, project_name(root))


def read(graph: Graph, config: Mapping[str, str], environment: str, project: str) -> Target:
    """Return the target that a graph and its configuration describe."""
    account_id = config[f"{project}:account_id"]
    residency = json.loads(config[f"{project}:residency"])
    identity = json.loads(config[f"{project}:identity"])
    operator = _only(graph, "aws:iam/role:Role", "name", r"(?P<prefix>.+)-operator")
    region = residency["home_region"]
    data = _only(graph, "aws:s3/bucket:Bucket", "bucket", rf"(?P<prefix>.+)-data-{account_id}-{region}")
    administrators = tuple(identity.get("administrator_arns", ()))
    return Target(
        environment=environment,
        project=project,
        account_id=account_id,
        region=region,
        backup_region=residency["backup_region"],
        prefix=operator[0],
        bucket_prefix=data[0],
        platform_boundary_arn=str(operator[1]["permissionsBoundary"]),
        owner=config[f"{project}:owner"],
        administrator_arns=administrators,
        people_arns=tuple(identity["people_principal_arns"]),
        repository=identity.get("github_repository"),
    )


def _only(graph: Graph, type_: str, key: str, pattern: str) -> tuple[str, dict[str, Any]]:
    """Return the prefix, and the inputs, of the resource whose name is made so."""
    for resource in graph.of(type_):
        if found := re.fullmatch(pattern, str(resource.inputs.get(key, ""))):
            return found["prefix"], resource.inputs
    raise BadInput(
        f"the program makes no {type_} whose {key} is {pattern}; the names of what is made first follow from it"
    )
