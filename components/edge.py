"""The edge: one name, one certificate, one load balancer, and a web ACL that every request passes first.

The internet meets nothing else. Behind it stands a target group, where the service that answers registers itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

import pulumi
import pulumi_aws as aws

from components.load_balancer import PublicLoadBalancer
from components.waf_rules import BotControl, Limits, ManagedGroup
from components.web_acl import WebAcl

Shield = Literal["standard", "advanced"]


@dataclass(frozen=True, kw_only=True)
class PublicName:
    """The name that clients ask for, and the certificate of it: one that is there, or a zone to prove it in."""

    domain_name: str
    certificate_arn: str | None = None
    """A certificate of AWS Certificate Manager, in the region of the load balancer."""
    hosted_zone_id: str | None = None
    """A public zone of Route 53: the certificate is made, proved and renewed, and the name leads here."""


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What stands behind the load balancer."""

    cidrs: Sequence[str]
    """Private ranges where the pods are."""
    port: int
    """Where they speak TLS."""
    health_check_path: str


@dataclass(frozen=True, kw_only=True)
class Guard:
    """What the web ACL asks of a request; see ``WebAcl``."""

    limits: Limits
    own_cidrs: Sequence[str] = ()
    monitor_cidrs: Sequence[str] = ()
    counted_until: Mapping[ManagedGroup, date] = field(default_factory=dict)
    bot_control: BotControl = "none"


class Edge(pulumi.ComponentResource):
    """The public entrance.

    Attributes:
        url: Where clients call.
        target_group_arn: Where the service registers its pods (a ``TargetGroupBinding``).
        security_group_id: Group of the load balancer: admit it at the pods, on the port of the targets.
        web_acl: The web ACL, with the sets and the log that the IP blocker works on.
    """

    url: str
    target_group_arn: pulumi.Output[str]
    security_group_id: pulumi.Output[str]
    web_acl: WebAcl

    def __init__(
        self,
        name: str,
        *,
        public_name: PublicName,
        vpc_id: pulumi.Input[str],
        public_subnet_ids: Sequence[pulumi.Input[str]],
        targets: Targets,
        guard: Guard,
        log_bucket: pulumi.Input[str],
        logs_key_arn: pulumi.Input[str],
        log_retention_days: int,
        account_id: str,
        region: str,
        resource_prefix: str,
        shield: Shield = "standard",
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the entrance.

        Args:
            name: Logical name, 24 characters at most.
            public_name: The name, and where its certificate comes from.
            vpc_id: The VPC.
            public_subnet_ids: Where the load balancer stands, two zones at least.
            targets: What stands behind it.
            guard: What the web ACL asks of a request.
            log_bucket: Name of the bucket that takes the load balancer's logs.
            logs_key_arn: Key of the web ACL's log.
            log_retention_days: How long that log stays; a period that CloudWatch Logs knows.
            account_id: The account.
            region: The region.
            resource_prefix: How names begin that must be unique in account and region.
            shield: ``advanced`` puts the load balancer under Shield Advanced, which the account must have
                subscribed to.
            opts: Options of the component.

        Raises:
            ValueError: the certificate comes from nowhere or from two places, or a part refuses its arguments.
        """
        super().__init__("secureml:edge:Edge", name, None, opts)
        if (public_name.certificate_arn is None) is (public_name.hosted_zone_id is None):
            raise ValueError("public_name: give certificate_arn or hosted_zone_id, one of the two")
        self._name = name
        self._under = pulumi.ResourceOptions(parent=self)

        balancer = PublicLoadBalancer(
            name,
            vpc_id=vpc_id,
            public_subnet_ids=public_subnet_ids,
            target_cidrs=targets.cidrs,
            target_port=targets.port,
            health_check_path=targets.health_check_path,
            certificate_arn=self._certificate(public_name),
            log_bucket=log_bucket,
            opts=self._under,
        )
        self.web_acl = WebAcl(
            f"{resource_prefix}-{name}",
            resource_arn=balancer.arn,
            limits=guard.limits,
            own_cidrs=guard.own_cidrs,
            monitor_cidrs=guard.monitor_cidrs,
            counted_until=guard.counted_until,
            bot_control=guard.bot_control,
            logs_key_arn=logs_key_arn,
            log_retention_days=log_retention_days,
            account_id=account_id,
            region=region,
            opts=self._under,
        )
        if public_name.hosted_zone_id:
            self._alias(public_name.domain_name, public_name.hosted_zone_id, balancer)
        if shield == "advanced":
            aws.shield.Protection(f"{name}-shield", resource_arn=balancer.arn, opts=self._under)

        self.url = f"https://{public_name.domain_name}"
        self.target_group_arn = balancer.target_group_arn
        self.security_group_id = balancer.security_group_id
        self.register_outputs(
            {
                "url": self.url,
                "target_group_arn": self.target_group_arn,
                "security_group_id": self.security_group_id,
                "dns_name": balancer.dns_name,
            }
        )

    def _certificate(self, public_name: PublicName) -> pulumi.Input[str]:
        if public_name.certificate_arn:
            return public_name.certificate_arn
        certificate = aws.acm.Certificate(
            f"{self._name}-certificate",
            domain_name=public_name.domain_name,
            validation_method="DNS",
            key_algorithm="EC_prime256v1",
            opts=self._under,
        )
        proof = certificate.domain_validation_options[0]
        record = aws.route53.Record(
            f"{self._name}-certificate-proof",
            zone_id=str(public_name.hosted_zone_id),
            name=proof.resource_record_name,
            type=proof.resource_record_type,
            records=[proof.resource_record_value],
            ttl=300,
            # One proof serves every certificate of the name, an earlier one's too.
            allow_overwrite=True,
            opts=self._under,
        )
        valid = aws.acm.CertificateValidation(
            f"{self._name}-certificate",
            certificate_arn=certificate.arn,
            validation_record_fqdns=[record.fqdn],
            opts=self._under,
        )
        return valid.certificate_arn

    def _alias(self, domain_name: str, zone_id: str, balancer: PublicLoadBalancer) -> None:
        aws.route53.Record(
            f"{self._name}-name",
            zone_id=zone_id,
            name=domain_name,
            type="A",
            aliases=[
                {"name": balancer.dns_name, "zone_id": balancer.zone_id, "evaluate_target_health": True}
            ],
            opts=self._under,
        )
