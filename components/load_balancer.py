"""The public load balancer: the only thing that the internet meets, over TLS, and on its way to one target group."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from components.documents import Statement, partition_of

TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"
"""TLS 1.3 and 1.2 with forward secrecy and authenticated encryption only, key exchange hybrid post-quantum where
the client can (User Guide for Application Load Balancers, "Security policies": the one that AWS recommends)."""

HSTS = "max-age=31536000; includeSubDomains"
"""A year during which browsers do not even try plain HTTP (RFC 6797, section 6.1)."""

LOG_PREFIX = "load-balancer"

_HTTP, _HTTPS = 80, 443


def log_delivery(*, bucket_name: str, account_id: str, region: str) -> Statement:
    """Return the statement of a bucket policy that lets this account's load balancers deliver their logs.

    The bucket must be encrypted with S3's own key (User Guide for Application Load Balancers, "Enable access
    logs": the only encryption that is supported).
    """
    partition = partition_of(region)
    return Statement(
        sid="LoadBalancerLogsOfThisAccount",
        actions=["s3:PutObject"],
        principals={"Service": ["logdelivery.elasticloadbalancing.amazonaws.com"]},
        resources=[f"arn:{partition}:s3:::{bucket_name}/{LOG_PREFIX}/AWSLogs/{account_id}/*"],
        conditions={
            "ArnLike": {
                "aws:SourceArn": f"arn:{partition}:elasticloadbalancing:{region}:{account_id}:loadbalancer/*"
            }
        },
    )


class PublicLoadBalancer(pulumi.ComponentResource):
    """An Application Load Balancer with its security group, listeners and target group.

    Attributes:
        arn: ARN of the load balancer.
        dns_name: Its name in AWS's DNS; an alias of yours points here.
        zone_id: The hosted zone of that name.
        security_group_id: Its group: admit it at the targets, on the target port.
        target_group_arn: Where the service registers its pods (a ``TargetGroupBinding``).
    """

    arn: pulumi.Output[str]
    dns_name: pulumi.Output[str]
    zone_id: pulumi.Output[str]
    security_group_id: pulumi.Output[str]
    target_group_arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        vpc_id: pulumi.Input[str],
        public_subnet_ids: Sequence[pulumi.Input[str]],
        target_cidrs: Sequence[str],
        target_port: int,
        health_check_path: str,
        certificate_arn: pulumi.Input[str],
        log_bucket: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the load balancer.

        Args:
            name: Logical name, 24 characters at most: AWS takes 32, and seven are drawn.
            vpc_id: The VPC.
            public_subnet_ids: Where it stands, two zones at least.
            target_cidrs: Private ranges where the targets are: it talks to nothing else.
            target_port: Port of the targets, which speak TLS.
            health_check_path: What it asks of a target, over TLS, to see whether it is well.
            certificate_arn: Certificate of the public name.
            log_bucket: Name of the bucket that takes its access and connection logs (see ``log_delivery``).
            opts: Options of the component.

        Raises:
            ValueError: the name is too long, there is nowhere to stand or nothing to talk to, or a port or a
                path is none.
        """
        super().__init__("secureml:load_balancer:PublicLoadBalancer", name, None, opts)
        _check(name, public_subnet_ids, target_cidrs, target_port, health_check_path)
        self._name = name
        self._under = pulumi.ResourceOptions(parent=self)

        group, rules = self._group(vpc_id, target_cidrs, target_port)
        balancer = self._balancer(public_subnet_ids, group, rules, log_bucket)
        targets = self._targets(vpc_id, target_port, health_check_path)
        https = self._https(balancer, targets, certificate_arn)
        self._redirect(balancer)

        self.arn, self.dns_name, self.zone_id = balancer.arn, balancer.dns_name, balancer.zone_id
        self.security_group_id = group.id
        # Nothing can register usefully before a listener sends it requests.
        self.target_group_arn = pulumi.Output.all(targets.arn, https.id).apply(lambda known: str(known[0]))
        self.register_outputs(
            {
                "arn": self.arn,
                "dns_name": self.dns_name,
                "security_group_id": self.security_group_id,
                "target_group_arn": self.target_group_arn,
            }
        )

    def _group(
        self, vpc_id: pulumi.Input[str], target_cidrs: Sequence[str], target_port: int
    ) -> tuple[aws.ec2.SecurityGroup, list[pulumi.Resource]]:
        group = aws.ec2.SecurityGroup(
            f"{self._name}-group",
            description="The edge: TLS from the internet, on to the services inside",
            vpc_id=vpc_id,
            tags={"Name": self._name},
            opts=self._under,
        )
        from_anybody: list[pulumi.Resource] = [
            aws.vpc.SecurityGroupIngressRule(
                f"{self._name}-from-internet-{port}",
                security_group_id=group.id,
                description=description,
                ip_protocol="tcp",
                from_port=port,
                to_port=port,
                cidr_ipv4="0.0.0.0/0",
                opts=self._under,
            )
            for port, description in (
                (_HTTPS, "TLS from the internet"),
                (_HTTP, "Plain HTTP from the internet, to be redirected to TLS"),
            )
        ]
        to_targets: list[pulumi.Resource] = [
            aws.vpc.SecurityGroupEgressRule(
                f"{self._name}-to-{cidr}",
                security_group_id=group.id,
                description="TLS on to the services",
                ip_protocol="tcp",
                from_port=target_port,
                to_port=target_port,
                cidr_ipv4=cidr,
                opts=self._under,
            )
            for cidr in target_cidrs
        ]
        return group, [*from_anybody, *to_targets]

    def _balancer(
        self,
        subnet_ids: Sequence[pulumi.Input[str]],
        group: aws.ec2.SecurityGroup,
        rules: Sequence[pulumi.Resource],
        log_bucket: pulumi.Input[str],
    ) -> aws.lb.LoadBalancer:
        return aws.lb.LoadBalancer(
            self._name,
            load_balancer_type="application",
            internal=False,
            ip_address_type="ipv4",
            subnets=list(subnet_ids),
            security_groups=[group.id],
            # Two servers that read one request differently can be played off against each other (AWS,
            # "http-desync-guardian"): what is ambiguous, or no header at all, goes no further.
            desync_mitigation_mode="strictest",
            drop_invalid_header_fields=True,
            # The address that AWS saw comes last in X-Forwarded-For, after whatever the client wrote there.
            xff_header_processing_mode="append",
            preserve_host_header=True,
            # Where the web ACL does not answer, nobody gets through.
            enable_waf_fail_open=False,
            enable_deletion_protection=True,
            access_logs={"enabled": True, "bucket": log_bucket, "prefix": LOG_PREFIX},
            connection_logs={"enabled": True, "bucket": log_bucket, "prefix": LOG_PREFIX},
            tags={"Name": self._name},
            opts=pulumi.ResourceOptions(parent=self, depends_on=rules),
        )

    def _targets(self, vpc_id: pulumi.Input[str], port: int, health_check_path: str) -> aws.lb.TargetGroup:
        return aws.lb.TargetGroup(
            f"{self._name}-targets",
            vpc_id=vpc_id,
            target_type="ip",
            port=port,
            protocol="HTTPS",
            deregistration_delay=60,
            health_check={
                "enabled": True,
                "protocol": "HTTPS",
                "port": "traffic-port",
                "path": health_check_path,
                "matcher": "200",
                "interval": 15,
                "timeout": 5,
                "healthy_threshold": 2,
                "unhealthy_threshold": 3,
            },
            opts=self._under,
        )

    def _https(
        self,
        balancer: aws.lb.LoadBalancer,
        targets: aws.lb.TargetGroup,
        certificate_arn: pulumi.Input[str],
    ) -> aws.lb.Listener:
        return aws.lb.Listener(
            f"{self._name}-https",
            load_balancer_arn=balancer.arn,
            port=_HTTPS,
            protocol="HTTPS",
            ssl_policy=TLS_POLICY,
            certificate_arn=certificate_arn,
            default_actions=[{"type": "forward", "target_group_arn": targets.arn}],
            routing_http_response_strict_transport_security_header_value=HSTS,
            routing_http_response_x_content_type_options_header_value="nosniff",
            # Who serves is nobody's business.
            routing_http_response_server_enabled=False,
            opts=self._under,
        )

    def _redirect(self, balancer: aws.lb.LoadBalancer) -> None:
        aws.lb.Listener(
            f"{self._name}-http",
            load_balancer_arn=balancer.arn,
            port=_HTTP,
            protocol="HTTP",
            default_actions=[
                {
                    "type": "redirect",
                    "redirect": {"protocol": "HTTPS", "port": str(_HTTPS), "status_code": "HTTP_301"},
                }
            ],
            opts=self._under,
        )


def _check(
    name: str,
    public_subnet_ids: Sequence[pulumi.Input[str]],
    target_cidrs: Sequence[str],
    target_port: int,
    health_check_path: str,
) -> None:
    if len(name) > 24:
        raise ValueError(f"name is {name!r:.60}; write 24 characters or fewer")
    if len(public_subnet_ids) < 2:
        raise ValueError("public_subnet_ids names fewer than two subnets; name one in each of two zones")
    if not target_cidrs:
        raise ValueError("target_cidrs is empty; name the ranges of the private subnets")
    if not 1 <= target_port <= 65535:
        raise ValueError(f"target_port is {target_port}; write 1 to 65535")
    if not re.fullmatch(r"/[\w./-]*", health_check_path):
        raise ValueError(f"health_check_path is {health_check_path!r:.60}; write one like /healthz")
