"""Cases of the families NET, EDG and DAT about second lines: filters, endpoints, targets and what databases stand on."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pulumi_aws as aws

from tests.policies.cases import ACCOUNT, Case


def subnet(*, tier: str = "private", routed: bool = True, listed: bool = True) -> Callable[[], object]:
    def program() -> None:
        made = aws.ec2.Subnet("subnet", vpc_id="vpc-1", tags={"tier": tier} if tier else {})
        if routed:
            aws.ec2.RouteTableAssociation("routes", subnet_id=made.id, route_table_id="rtb-1")
        if listed:
            aws.ec2.NetworkAcl("acl", vpc_id="vpc-1", subnet_ids=[made.id])

    return program


def vpc(*, acl: bool = True, table: bool = True, rules: Any = ()) -> Callable[[], object]:
    def program() -> None:
        made = aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16")
        if acl:
            aws.ec2.DefaultNetworkAcl(
                "acl", default_network_acl_id=made.default_network_acl_id, ingress=list(rules), egress=[]
            )
        if table:
            aws.ec2.DefaultRouteTable("table", default_route_table_id=made.default_route_table_id, routes=[])

    return program


EVERYTHING = {
    "action": "allow",
    "cidr_block": "0.0.0.0/0",
    "from_port": 0,
    "to_port": 0,
    "protocol": "-1",
    "rule_no": 1,
}
ANSWERS = {**EVERYTHING, "from_port": 1024, "to_port": 65535, "protocol": "tcp", "rule_no": 20}
NO_DESKTOP = {**EVERYTHING, "action": "deny", "from_port": 3389, "to_port": 3389, "protocol": "tcp"}


def acl(*entries: Any) -> Callable[[], object]:
    return lambda: aws.ec2.NetworkAcl("acl", vpc_id="vpc-1", ingress=list(entries))


def names(*, rules: bool = True, closed: bool = True) -> Callable[[], object]:
    def program() -> None:
        made = aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16")
        if rules:
            aws.route53.ResolverFirewallRuleGroupAssociation(
                "rules", firewall_rule_group_id="g", priority=101, vpc_id=made.id
            )
        if closed:
            aws.route53.ResolverFirewallConfig("closed", resource_id=made.id)

    return program


def dns_rule(action: str) -> Callable[[], object]:
    return lambda: aws.route53.ResolverFirewallRule(
        "rule",
        action=action,
        firewall_rule_group_id="g",
        priority=1,
        dns_threat_protection="DGA",
        confidence_threshold="HIGH",
    )


def egress(port: int, cidr: str = "0.0.0.0/0") -> Callable[[], object]:
    return lambda: aws.vpc.SecurityGroupEgressRule(
        "out", security_group_id="sg-1", ip_protocol="tcp", from_port=port, to_port=port, cidr_ipv4=cidr
    )


def peering(**more: Any) -> Callable[[], object]:
    return lambda: aws.ec2.VpcPeeringConnection("peering", vpc_id="vpc-1", peer_vpc_id="vpc-2", **more)


WHO, WHOSE = {"aws:PrincipalAccount": ACCOUNT}, {"aws:ResourceAccount": ACCOUNT}


def endpoint(condition: dict[str, str], action: str = "s3:GetObject") -> Callable[[], object]:
    statement: dict[str, Any] = {"Effect": "Allow", "Principal": "*", "Action": action, "Resource": "*"}
    statement["Condition"] = {"StringEquals": condition}
    return lambda: aws.ec2.VpcEndpoint(
        "endpoint",
        vpc_id="vpc-1",
        service_name="com.amazonaws.eu-central-1.s3",
        policy=json.dumps({"Statement": [statement]}),
    )


def door(tier: str) -> Callable[[], object]:
    def program() -> None:
        made = aws.ec2.Subnet("subnet", vpc_id="vpc-1", tags={"tier": tier})
        aws.ec2.VpcEndpoint(
            "endpoint",
            vpc_id="vpc-1",
            service_name="com.amazonaws.eu-central-1.sts",
            vpc_endpoint_type="Interface",
            subnet_ids=[made.id],
        )

    return program


def targets(**more: Any) -> Callable[[], object]:
    settings = {"protocol": "HTTPS", "health_check": {"protocol": "HTTPS"}, "port": 443, **more}
    return lambda: aws.lb.TargetGroup("targets", vpc_id="vpc-1", **settings)


def balancer(**more: Any) -> Callable[[], object]:
    settings = {
        "enable_deletion_protection": True,
        "connection_logs": {"bucket": "b", "enabled": True},
        **more,
    }
    return lambda: aws.lb.LoadBalancer("balancer", load_balancer_type="application", **settings)


def route(authorization: str) -> Callable[[], object]:
    return lambda: aws.apigatewayv2.Route(
        "route", api_id="a", route_key="GET /", authorization_type=authorization
    )


def database(**more: Any) -> Callable[[], object]:
    settings = {
        "engine": "postgres",
        "engine_version": "17",
        "db_subnet_group_name": "g",
        "delete_automated_backups": False,
        **more,
    }
    return lambda: aws.rds.Instance("database", instance_class="db.t4g.micro", **settings)


CASES = [
    Case(control="NET-19", compliant=subnet(), violating=subnet(tier=""), mentions="says no tier"),
    Case(control="NET-19", compliant=subnet(), violating=subnet(routed=False), mentions="one route table"),
    Case(control="NET-19", compliant=subnet(), violating=subnet(listed=False), mentions="AWS made"),
    Case(control="NET-20", compliant=vpc(), violating=vpc(acl=False), mentions="network ACL"),
    Case(control="NET-20", compliant=vpc(), violating=vpc(table=False), mentions="route table"),
    Case(control="NET-20", compliant=vpc(), violating=vpc(rules=[EVERYTHING]), mentions="with rules"),
    Case(
        control="NET-21",
        compliant=acl({**EVERYTHING, "cidr_block": "10.0.0.0/16"}),
        violating=acl(EVERYTHING),
        mentions="every port",
    ),
    Case(
        control="NET-21",
        compliant=acl(NO_DESKTOP, ANSWERS),
        violating=acl(ANSWERS),
        mentions="remote desktop",
    ),
    Case(control="NET-22", compliant=names(), violating=names(rules=False), mentions="without a firewall"),
    Case(control="NET-22", compliant=names(), violating=names(closed=False), mentions="firewall of names"),
    Case(
        control="NET-22",
        compliant=lambda: aws.route53.ResolverFirewallConfig("c", resource_id="vpc-1"),
        violating=lambda: aws.route53.ResolverFirewallConfig(
            "c", resource_id="vpc-1", firewall_fail_open="ENABLED"
        ),
        mentions="firewallFailOpen",
    ),
    Case(control="NET-22", compliant=dns_rule("BLOCK"), violating=dns_rule("ALERT"), mentions="an attack"),
    Case(control="NET-23", compliant=egress(443), violating=egress(8443), mentions="not the web's"),
    Case(
        control="NET-23",
        compliant=egress(8443, "10.0.0.0/16"),
        violating=egress(25),
        mentions="not the web's",
    ),
    Case(
        control="NET-24",
        compliant=peering(),
        violating=peering(peer_owner_id="999999999999"),
        mentions="another account",
    ),
    Case(
        control="NET-25",
        compliant=endpoint({**WHO, **WHOSE}),
        violating=endpoint(WHO),
        mentions="resources of other accounts",
    ),
    Case(
        control="NET-25",
        compliant=endpoint({**WHO, **WHOSE}),
        violating=endpoint(WHOSE),
        mentions="credentials of other accounts",
    ),
    Case(control="NET-26", compliant=door("private"), violating=door("public"), mentions="public subnet"),
    Case(control="EDG-10", compliant=targets(), violating=targets(protocol="HTTP"), mentions="in clear"),
    Case(
        control="EDG-10",
        compliant=targets(),
        violating=targets(health_check={"protocol": "HTTP"}),
        mentions="anything may answer",
    ),
    Case(
        control="EDG-11",
        compliant=balancer(),
        violating=balancer(enable_waf_fail_open=True),
        mentions="lets everything in",
    ),
    Case(
        control="EDG-11",
        compliant=balancer(),
        violating=balancer(enable_deletion_protection=False),
        mentions="is off",
    ),
    Case(
        control="EDG-11", compliant=balancer(), violating=balancer(connection_logs=None), mentions="whose TLS"
    ),
    Case(control="EDG-12", compliant=route("AWS_IAM"), violating=route("NONE"), mentions="is NONE"),
    Case(
        control="EDG-12",
        compliant=lambda: aws.apigatewayv2.Api("api", protocol_type="HTTP"),
        violating=lambda: aws.apigatewayv2.Api("api", protocol_type="HTTP", target="https://example.org"),
        mentions="asks nobody",
    ),
    Case(
        control="DAT-16",
        compliant=database(),
        violating=database(db_subnet_group_name=None),
        mentions="default network",
    ),
    Case(
        control="DAT-16",
        compliant=database(),
        violating=database(delete_automated_backups=True),
        mentions="backups away",
    ),
    Case(
        control="DAT-16",
        compliant=database(),
        violating=database(engine_version="9.6.24"),
        mentions="no updates",
    ),
    Case(
        control="DAT-16",
        compliant=database(manage_master_user_password=True, master_user_secret_kms_key_id="arn:k"),
        violating=database(manage_master_user_password=True),
        mentions="masterUserSecretKmsKeyId",
    ),
]
