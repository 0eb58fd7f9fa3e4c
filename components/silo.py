"""A silo of somebody else's federation: its data stay here, and what leaves goes through one private link, masked.

Its node calls out and is called by nobody. It knows the server by an authority's certificate and shows a key of its
own; it runs apps alone that somebody signed whom the silo trusts. It reads rows through the silo's own data-access
API, under the silo's own budget of privacy, and what it keeps of them lies under a key that its pod alone may use.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components.data_api import AUDIENCE
from components.documents import Statement, partition_of, policy_document
from components.federation import Surroundings
from components.keys import administration
from components.nodes import between_groups
from components.pod_network import Pods
from components.pods import TOKENS, Container
from components.workload import Rights, SoleWorkload

SUPERNODE = "supernode"
"""Name of the app."""

_HTTPS = 443


class FederationLink(pulumi.ComponentResource):
    """The endpoint of a federation in the silo's VPC, under the name that its certificate is for.

    The name is known inside the VPC alone: a private zone leads it to the endpoint.

    Attributes:
        endpoint_id: What the federation's operator accepts.
    """

    endpoint_id: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        service_name: str,
        service_region: str,
        domain_name: str,
        vpc_id: pulumi.Input[str],
        subnet_ids: Sequence[pulumi.Input[str]],
        node_security_group_id: pulumi.Input[str],
        region: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the endpoint.

        Args:
            name: Logical name.
            service_name: The federation's endpoint service, ``com.amazonaws.vpce.us-east-1.vpce-svc-…``.
            service_region: Its region.
            domain_name: The name of its certificate.
            vpc_id: The silo's VPC.
            subnet_ids: Where the endpoint stands: one private subnet a zone.
            node_security_group_id: Group of the machines that call.
            region: The silo's region.
            opts: Options of the component.
        """
        super().__init__("secureml:silo:FederationLink", name, None, opts)
        under = pulumi.ResourceOptions(parent=self)
        group = aws.ec2.SecurityGroup(
            f"{name}-group",
            description="The way to the federation: from the silo's machines, and from nobody back",
            vpc_id=vpc_id,
            tags={"Name": name},
            opts=under,
        )
        rules = between_groups(
            f"{name}-from-nodes",
            from_group_id=node_security_group_id,
            to_group_id=group.id,
            port=_HTTPS,
            about="The silo's node, to the federation",
            opts=under,
        )
        endpoint = aws.ec2.VpcEndpoint(
            f"{name}-endpoint",
            vpc_id=vpc_id,
            vpc_endpoint_type="Interface",
            service_name=service_name,
            service_region=service_region if service_region != region else None,
            subnet_ids=subnet_ids,
            security_group_ids=[group.id],
            # The zone below is the silo's own: nobody else says where the name leads.
            private_dns_enabled=False,
            tags={"Name": name},
            opts=pulumi.ResourceOptions(parent=self, depends_on=rules),
        )
        zone = aws.route53.Zone(
            f"{name}-zone",
            name=domain_name,
            comment="Where the federation is, inside this VPC alone",
            vpcs=[{"vpc_id": vpc_id}],
            opts=under,
        )
        entry = endpoint.dns_entries[0]
        aws.route53.Record(
            f"{name}-name",
            zone_id=zone.zone_id,
            name=domain_name,
            type="A",
            aliases=[
                {"name": entry.dns_name, "zone_id": entry.hosted_zone_id, "evaluate_target_health": False}
            ],
            opts=under,
        )
        self.endpoint_id = endpoint.id
        self.register_outputs({"endpoint_id": self.endpoint_id})


class SiloKey(pulumi.ComponentResource):
    """The key of what a silo's node keeps: its pod alone seals and opens with it, whatever other roles may.

    Attributes:
        arn: The key.
    """

    arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        cluster_name: pulumi.Input[str],
        namespace: str,
        administrator_arns: Sequence[pulumi.Input[str]],
        deletion_window_days: int,
        account_id: str,
        region: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the key.

        Args:
            name: Logical name; its alias is ``alias/<name>``.
            cluster_name: The silo's cluster.
            namespace: The namespace of the node.
            administrator_arns: Who administers the key, and cannot use it.
            deletion_window_days: 7 to 30.
            account_id: The silo's account.
            region: Its region.
            opts: Options of the component.

        Raises:
            ValueError: there is no administrator.
        """
        super().__init__("secureml:silo:SiloKey", name, None, opts)
        if not administrator_arns:
            raise ValueError(
                "administrator_arns is empty; name at least one role that may administer the key"
            )
        key = aws.kms.Key(
            f"{name}-key",
            description="What the silo's node keeps of its data",
            enable_key_rotation=True,
            deletion_window_in_days=deletion_window_days,
            policy=policy_document(
                *_key_statements(cluster_name, namespace, administrator_arns, account_id, region)
            ),
            tags={"data-domain": "data"},
            opts=pulumi.ResourceOptions(parent=self, protect=True),
        )
        aws.kms.Alias(
            f"{name}-key",
            name=f"alias/{name}",
            target_key_id=key.key_id,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.arn = key.arn
        self.register_outputs({"arn": self.arn})


def _key_statements(
    cluster_name: pulumi.Input[str],
    namespace: str,
    administrator_arns: Sequence[pulumi.Input[str]],
    account_id: str,
    region: str,
) -> list[Statement]:
    root = f"arn:{partition_of(region)}:iam::{account_id}:root"
    return [
        *administration(administrator_arns, root, never="Use"),
        Statement(
            # Not delegated to IAM. EKS puts the tags on each session (Amazon EKS User Guide, "Grant Pods access to
            # AWS resources based on tags").
            sid="OnlyTheNodeUses",
            actions=["kms:Decrypt", "kms:GenerateDataKey"],
            principals="*",
            resources=["*"],
            conditions={
                "StringEquals": {
                    "kms:CallerAccount": account_id,
                    "aws:PrincipalTag/eks-cluster-name": cluster_name,
                    "aws:PrincipalTag/kubernetes-namespace": namespace,
                    "aws:PrincipalTag/kubernetes-service-account": SUPERNODE,
                }
            },
        ),
    ]


@dataclass(frozen=True, kw_only=True)
class Membership:
    """Whose federation it is, as what, and on whose word."""

    domain_name: str
    silo: str
    """The name that the operator enrolled."""
    trusted_entities: Mapping[str, str]
    """Names to public keys (Ed25519, in OpenSSH's form) of whose signed apps the node runs."""
    terms: Mapping[str, Any]
    """What the silo agreed to; the node answers no run with others."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What the node asks of the silo's own data-access API."""

    data_api: Pods
    dataset: str
    purpose: str
    columns: Sequence[str]
    label: str


class SiloNode(pulumi.ComponentResource):
    """The node."""

    def __init__(
        self,
        name: str,
        *,
        surroundings: Surroundings,
        membership: Membership,
        store_key_arn: pulumi.Input[str],
        reading: Reading,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the node.

        Args:
            name: Logical name.
            surroundings: Where it runs. Of its secrets, ``node-key`` is the private key whose public one is enrolled,
                ``federation-ca`` the authority of the federation's certificate, ``data-api-ca`` that of the
                silo's data-access API.
            membership: Whose federation it is.
            store_key_arn: Key of what it keeps (``SiloKey``).
            reading: What it learns from.
            opts: Options of the component, with the providers of AWS and of the cluster.

        Raises:
            ValueError: nobody is trusted to write apps.
        """
        super().__init__("secureml:silo:SiloNode", name, None, opts)
        if not membership.trusted_entities:
            raise ValueError("trusted_entities is empty; without one the node would run whatever it is sent")
        secrets = surroundings.secrets
        SoleWorkload(
            SUPERNODE,
            namespace=surroundings.namespace,
            container=Container(
                image=surroundings.image,
                size=surroundings.size,
                arguments=("silo",),
                environment={
                    "AWS_REGION": surroundings.region,
                    "COLUMNS": ",".join(reading.columns),
                    "DATA_API_CA_SECRET_ID": secrets.name("data-api-ca"),
                    "DATA_API_TOKEN_FILE": f"{TOKENS}/{AUDIENCE}",
                    "DATA_API_URL": f"https://{reading.data_api.app}.{reading.data_api.namespace}.svc",
                    "DATASET": reading.dataset,
                    "FEDERATION_CA_SECRET_ID": secrets.name("federation-ca"),
                    "FEDERATION_ADDRESS": f"{membership.domain_name}:{_HTTPS}",
                    "LABEL": reading.label,
                    "NODE_KEY_SECRET_ID": secrets.name("node-key"),
                    "PURPOSE": reading.purpose,
                    "SILO_NAME": membership.silo,
                    "STORE_KEY_ARN": store_key_arn,
                    "TERMS": json.dumps(membership.terms, sort_keys=True),
                    "TRUSTED_ENTITIES": json.dumps(dict(sorted(membership.trusted_entities.items()))),
                },
                audiences=(AUDIENCE,),
            ),
            reaches=[reading.data_api, surroundings.aws_endpoints],
            rights=Rights(
                cluster_name=surroundings.cluster_name,
                about="Learns from the silo's data for a federation; its data leave it in no form",
                permissions_boundary_arn=surroundings.permissions_boundary_arn,
                statements=[
                    Statement(
                        sid="SealAndOpenItsStore",
                        actions=["kms:Decrypt", "kms:GenerateDataKey"],
                        resources=[store_key_arn],
                    ),
                    *secrets.readable(),
                ],
            ),
            needs=surroundings.needs,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
