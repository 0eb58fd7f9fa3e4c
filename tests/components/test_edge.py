"""The edge as a whole: one name, proved or brought along, in front of what is guarded."""

from __future__ import annotations

from typing import Any

import pytest

from blueprint.graph import Graph
from components.edge import Edge, Guard, PublicName, Targets
from components.waf_rules import Limits
from tests.components.support import ACCOUNT, HOME, built, key, named, one

NAME = "api.example.org"
CERTIFICATE = f"arn:aws:acm:{HOME}:{ACCOUNT}:certificate/1"
ZONE = "Z0123456789ABCDEFGHIJ"
LISTENER = "aws:lb/listener:Listener"
RECORD = "aws:route53/record:Record"
TARGETS = Targets(cidrs=["10.0.32.0/20"], port=8443, health_check_path="/healthz")


def edge(unknowns: bool = False, **changed: Any) -> Graph:
    arguments: dict[str, Any] = {
        "public_name": PublicName(domain_name=NAME, certificate_arn=CERTIFICATE),
        "vpc_id": "vpc-1",
        "public_subnet_ids": ["subnet-1", "subnet-2"],
        "targets": TARGETS,
        "guard": Guard(limits=Limits(max_requests_per_5min=1000)),
        "log_bucket": "smlp-test-logs",
        "logs_key_arn": key("logs"),
        "log_retention_days": 365,
        "account_id": ACCOUNT,
        "region": HOME,
        "resource_prefix": "platform-test",
        **changed,
    }
    return built(lambda opts, _: Edge("edge", **arguments, opts=opts), unknowns=unknowns)


@pytest.fixture(scope="module")
def brought() -> Graph:
    return edge()


@pytest.fixture(scope="module")
def proved() -> Graph:
    return edge(public_name=PublicName(domain_name=NAME, hosted_zone_id=ZONE))


def test_every_request_meets_the_web_acl_first(brought: Graph) -> None:
    balancer = one(brought, "aws:lb/loadBalancer:LoadBalancer")
    association = one(brought, "aws:wafv2/webAclAssociation:WebAclAssociation")
    assert association.inputs["resourceArn"] == balancer.outputs["arn"]


def test_a_certificate_that_is_there_is_used_and_no_other_is_made(brought: Graph) -> None:
    assert named(brought, LISTENER, "-https").inputs["certificateArn"] == CERTIFICATE
    assert brought.of("aws:acm/certificate:Certificate") == []
    assert brought.of(RECORD) == []


def test_a_certificate_is_proved_in_the_zone_before_it_is_used(proved: Graph) -> None:
    certificate = one(proved, "aws:acm/certificate:Certificate")
    assert (certificate.inputs["domainName"], certificate.inputs["validationMethod"]) == (NAME, "DNS")
    proof = named(proved, RECORD, "-proof").inputs
    option = certificate.outputs["domainValidationOptions"][0]
    assert (proof["zoneId"], proof["name"]) == (ZONE, option["resourceRecordName"])
    assert proof["records"] == [option["resourceRecordValue"]]
    validation = one(proved, "aws:acm/certificateValidation:CertificateValidation")
    https = named(proved, LISTENER, "-https")
    assert validation.urn in https.property_dependencies["certificateArn"]
    assert https.inputs["certificateArn"] == certificate.outputs["arn"]


def test_the_name_leads_to_the_load_balancer(proved: Graph) -> None:
    (alias,) = named(proved, RECORD, "-name").inputs["aliases"]
    assert alias["name"] == one(proved, "aws:lb/loadBalancer:LoadBalancer").outputs["dnsName"]


def test_at_the_engines_preview_nothing_has_to_be_known() -> None:
    graph = edge(unknowns=True, public_name=PublicName(domain_name=NAME, hosted_zone_id=ZONE))
    assert len(graph.of(RECORD)) == 2


@pytest.mark.parametrize("more", [{}, {"certificate_arn": CERTIFICATE, "hosted_zone_id": ZONE}])
def test_a_certificate_comes_from_one_place(more: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="certificate_arn or hosted_zone_id"):
        edge(public_name=PublicName(domain_name=NAME, **more))


def test_shield_advanced_costs_money_and_comes_only_when_asked_for(brought: Graph) -> None:
    protection = "aws:shield/protection:Protection"
    assert brought.of(protection) == []
    asked = edge(shield="advanced")
    assert (
        one(asked, protection).inputs["resourceArn"]
        == one(asked, "aws:lb/loadBalancer:LoadBalancer").outputs["arn"]
    )


def test_the_edge_hands_on_what_the_service_needs(brought: Graph) -> None:
    handed = one(brought, "secureml:edge:Edge").outputs
    assert handed["url"] == f"https://{NAME}"
    assert handed["target_group_arn"] == one(brought, "aws:lb/targetGroup:TargetGroup").outputs["arn"]
    assert handed["security_group_id"] == one(brought, "aws:ec2/securityGroup:SecurityGroup").id
