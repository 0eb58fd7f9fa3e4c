"""The data-access API's place in the network: the only identity that the database admits."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws


class DataApiBoundary(pulumi.ComponentResource):
    """The security group of the data-access API's pods.

    The database adds the rule that lets this group reach it (``components/database.py``); nothing here admits
    anybody yet.

    Attributes:
        security_group_id: The group.
    """

    security_group_id: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        vpc_id: pulumi.Input[str],
        endpoint_security_group_id: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the group; besides the database it reaches AWS through the VPC's endpoints, and nothing else."""
        super().__init__("secureml:data_api:DataApiBoundary", name, None, opts)
        under = pulumi.ResourceOptions(parent=self)
        group = aws.ec2.SecurityGroup(
            f"{name}-group", description="Pods of the data-access API", vpc_id=vpc_id, opts=under
        )
        aws.vpc.SecurityGroupEgressRule(
            f"{name}-to-endpoints",
            security_group_id=group.id,
            referenced_security_group_id=endpoint_security_group_id,
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            description="TLS to the endpoints of AWS services",
            opts=under,
        )
        self.security_group_id = group.id
        self.register_outputs({"security_group_id": self.security_group_id})
