"""Cases of what others reach by a private link, and of who starts what a federation runs."""

from __future__ import annotations

from typing import Any

import pulumi_aws as aws

from tests.policies.case_eks_pods import LABELS
from tests.policies.case_mls import deployed
from tests.policies.cases import Case, Program, k8s

ALPHA = "arn:aws:iam::333344445555:root"


def linked(
    *,
    principals: tuple[str, ...] = (ALPHA,),
    more: str | None = None,
    cidr: str = "10.80.0.0/16",
    group: bool = True,
    enforced: str | None = "on",
    kept: bool = True,
    **changed: Any,
) -> Program:
    """Share a network load balancer with somebody."""

    def program() -> None:
        wall = aws.ec2.SecurityGroup("wall", description="Of silos")
        aws.vpc.SecurityGroupIngressRule(
            "rule",
            security_group_id=wall.id,
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            cidr_ipv4=cidr,
            description="A silo",
        )
        balancer = aws.lb.LoadBalancer(
            "balancer",
            load_balancer_type="network",
            internal=True,
            enable_deletion_protection=kept,
            security_groups=[wall.id] if group else None,
            enforce_security_group_inbound_rules_on_private_link_traffic=enforced,
        )
        said: dict[str, Any] = {
            "acceptance_required": True,
            "allowed_principals": list(principals),
            **changed,
        }
        service = aws.ec2.VpcEndpointService("service", network_load_balancer_arns=[balancer.arn], **said)
        if more:
            aws.ec2.VpcEndpointServiceAllowedPrinciple(
                "more", vpc_endpoint_service_id=service.id, principal_arn=more
            )

    return program


BLOCK = {"ipBlock": {"cidr": "10.0.0.0/20"}}
OPERATOR = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "operator"}},
    "podSelector": {"matchLabels": {"app": "operator"}},
}


def rule(*peers: dict[str, Any], port: int | str | None = None, **more: Any) -> dict[str, Any]:
    said: dict[str, Any] = {"from": list(peers)} if peers else {}
    return {**said, "ports": [{"protocol": "TCP", "port": port, **more}]} if port else said


def coordinated(*rules: dict[str, Any], **variables: Any) -> Program:
    """Make a server of a federation, and say who comes to it."""

    def program() -> None:
        deployed({"CONTROL_PORT": "9093", **variables}, account="superlink", command=["flower-superlink"])
        k8s.networking.v1.NetworkPolicy(
            "policy",
            metadata={"name": "superlink", "namespace": "ml"},
            spec={
                "podSelector": {"matchLabels": LABELS},
                "policyTypes": ["Ingress", "Egress"],
                "ingress": list(rules),
            },
        )

    return program


NODES, STARTS = rule(BLOCK, port=9092), rule(OPERATOR, port=9093)
GOOD = coordinated(NODES, STARTS)


def started(violating: Program, mentions: str) -> Case:
    return Case(control="MLS-16", compliant=GOOD, violating=violating, mentions=mentions)


def shared(violating: Program, mentions: str) -> Case:
    return Case(control="NET-27", compliant=linked(), violating=violating, mentions=mentions)


CASES = [
    shared(linked(acceptance_required=False), "who asks is in"),
    shared(linked(principals=(ALPHA, "*")), "allowedPrincipals[1]: lets anybody ask"),
    shared(linked(principals=("arn:aws:iam::*:root",)), "lets anybody ask"),
    shared(linked(more="*"), "principalArn: lets anybody ask"),
    shared(linked(group=False), "securityGroups: are missing"),
    shared(linked(enforced="off"), "is off, so the link admits"),
    shared(linked(cidr="0.0.0.0/0"), "admits every address"),
    Case(
        control="EDG-11",
        compliant=linked(),
        violating=linked(kept=False),
        mentions="enableDeletionProtection: is off",
    ),
    started(coordinated(NODES, rule(port=9093)), "everybody comes"),
    started(coordinated(rule(BLOCK), STARTS), "who comes to one port comes to the operator's"),
    started(coordinated(NODES, rule(BLOCK, port=9093)), "admits addresses to the port"),
    started(coordinated(rule(BLOCK, port=9000, endPort=9100)), "admits addresses to the port"),
    started(coordinated(NODES, rule(BLOCK, port="control")), "admits addresses to the port"),
    started(coordinated(NODES, rule({"namespaceSelector": {}}, port=9093)), "admits every pod there"),
    Case(
        control="MLS-16",
        compliant=coordinated(rule(BLOCK, port=9093), CONTROL_PORT="7000"),
        violating=coordinated(rule(BLOCK, port=9093)),
        mentions="admits addresses to the port",
    ),
    Case(
        control="RES-01",
        compliant=lambda: aws.ec2.VpcEndpoint(
            "e", vpc_id="v", service_name="com.amazonaws.vpce.eu-west-1.vpce-svc-0a1b2c3d4e5f60718"
        ),
        violating=lambda: aws.ec2.VpcEndpoint(
            "e", vpc_id="v", service_name="com.amazonaws.vpce.us-east-1.vpce-svc-0a1b2c3d4e5f60718"
        ),
        mentions="serviceName: names a place",
    ),
]
