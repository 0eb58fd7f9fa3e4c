"""The identity in the network of the data-access API: the one security group that a database admits."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws


class DataApiBoundary(pulumi.ComponentResource):
    """Security group of the data-access API's pods: out to AWS's endpoints only, and nothing comes in.

    ``Database`` adds the one rule from here to itself; the service adds its own callers.

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
        """Make the group.

        Args:
            name: Logical name.
            vpc_id: The VPC of the pods and the database.
            endpoint_security_group_id: Group of the VPC's interface endpoints.
            opts: Options of the component.
        """
        super().__init__("secureml:data_api:DataApiBoundary", name, None, opts)
        under = pulumi.ResourceOptions(parent=self)
        group = aws.ec2.SecurityGroup(
            f"{name}-group",
            description="Pods of the data-access API: the only clients of the database",
            vpc_id=vpc_id,
            tags={"Name": name},
            opts=under,
        )
        aws.vpc.SecurityGroupEgressRule(
            f"{name}-to-endpoints",
            security_group_id=group.id,
            description="AWS services over the endpoints of the VPC",
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            referenced_security_group_id=endpoint_security_group_id,
            opts=under,
        )
        self.security_group_id = group.id
        self.register_outputs({"security_group_id": self.security_group_id})
