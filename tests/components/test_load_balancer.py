"""The load balancer: TLS and nothing else, no doubtful request, and one way on."""

from __future__ import annotations

from typing import Any

import pytest

from blueprint.graph import Graph
from components.load_balancer import PublicLoadBalancer, log_delivery
from components.storage import AccessLogBucket
from tests.components.support import ACCOUNT, HOME, built, named, one, statement

BALANCER = "aws:lb/loadBalancer:LoadBalancer"
LISTENER = "aws:lb/listener:Listener"
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
CERTIFICATE = f"arn:aws:acm:{HOME}:{ACCOUNT}:certificate/1"


def balancer(**changed: Any) -> Graph:
    arguments: dict[str, Any] = {
        "vpc_id": "vpc-1",
        "public_subnet_ids": ["subnet-1", "subnet-2"],
        "target_cidrs": ["10.0.32.0/20", "10.0.48.0/20"],
        "target_port": 8443,
        "health_check_path": "/healthz",
        "certificate_arn": CERTIFICATE,
        "log_bucket": "smlp-test-logs",
        **changed,
    }
    return built(lambda opts, _: PublicLoadBalancer("edge", **arguments, opts=opts))


@pytest.fixture(scope="module")
def graph() -> Graph:
    return balancer()


def test_the_internet_is_let_in_on_two_ports(graph: Graph) -> None:
    rules = [rule.inputs for rule in graph.of(INGRESS)]
    assert {rule["cidrIpv4"] for rule in rules} == {"0.0.0.0/0"}
    assert sorted((rule["fromPort"], rule["toPort"]) for rule in rules) == [(80, 80), (443, 443)]
    assert {rule["ipProtocol"] for rule in rules} == {"tcp"}


def test_nothing_goes_anywhere_but_to_the_targets(graph: Graph) -> None:
    # A load balancer that is taken over, or told a foreign target, must not reach the database or the internet.
    rules = [rule.inputs for rule in graph.of(EGRESS)]
    assert {rule["cidrIpv4"] for rule in rules} == {"10.0.32.0/20", "10.0.48.0/20"}
    assert {(rule["fromPort"], rule["toPort"], rule["ipProtocol"]) for rule in rules} == {(8443, 8443, "tcp")}
    group = one(graph, "aws:ec2/securityGroup:SecurityGroup").inputs
    assert "egress" not in group
    assert "ingress" not in group


def test_plain_http_gets_nothing_but_the_way_to_tls(graph: Graph) -> None:
    listener = named(graph, LISTENER, "-http").inputs
    assert (listener["port"], listener["protocol"]) == (80, "HTTP")
    assert listener["defaultActions"] == [
        {"type": "redirect", "redirect": {"protocol": "HTTPS", "port": "443", "statusCode": "HTTP_301"}}
    ]


def test_tls_is_modern_and_its_keys_outlive_a_quantum_computer(graph: Graph) -> None:
    listener = named(graph, LISTENER, "-https").inputs
    assert (listener["port"], listener["protocol"]) == (443, "HTTPS")
    assert listener["sslPolicy"] == "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"
    assert listener["certificateArn"] == CERTIFICATE


def test_browsers_stay_with_tls_and_take_answers_for_what_they_say_they_are(graph: Graph) -> None:
    listener = named(graph, LISTENER, "-https").inputs
    header = "routingHttpResponse{}HeaderValue".format
    assert listener[header("StrictTransportSecurity")].startswith("max-age=31536000")
    assert listener[header("XContentTypeOptions")] == "nosniff"
    assert listener["routingHttpResponseServerEnabled"] is False


def test_what_two_servers_could_read_differently_goes_no_further(graph: Graph) -> None:
    made = one(graph, BALANCER).inputs
    assert made["desyncMitigationMode"] == "strictest"
    assert made["dropInvalidHeaderFields"] is True


def test_where_the_web_acl_does_not_answer_nobody_gets_through(graph: Graph) -> None:
    assert one(graph, BALANCER).inputs["enableWafFailOpen"] is False


def test_requests_and_handshakes_are_written_down(graph: Graph) -> None:
    made = one(graph, BALANCER).inputs
    for kind in ("accessLogs", "connectionLogs"):
        assert (made[kind]["enabled"], made[kind]["bucket"]) == (True, "smlp-test-logs")


def test_one_careless_call_does_not_take_the_entrance_away(graph: Graph) -> None:
    assert one(graph, BALANCER).inputs["enableDeletionProtection"] is True


def test_it_opens_after_its_group_is_complete(graph: Graph) -> None:
    rules = {rule.urn for rule in (*graph.of(INGRESS), *graph.of(EGRESS))}
    assert rules <= set(one(graph, BALANCER).dependencies)


def test_targets_are_pods_that_speak_tls_and_answer(graph: Graph) -> None:
    targets = one(graph, "aws:lb/targetGroup:TargetGroup").inputs
    assert (targets["targetType"], targets["protocol"], targets["port"]) == ("ip", "HTTPS", 8443)
    check = targets["healthCheck"]
    assert (check["protocol"], check["path"], check["matcher"]) == ("HTTPS", "/healthz", "200")


def test_only_load_balancers_of_this_account_deliver_and_only_under_its_own_prefix() -> None:
    bucket = "smlp-test-logs"
    graph = built(
        lambda opts, _: AccessLogBucket(
            "logs",
            bucket_name=bucket,
            account_id=ACCOUNT,
            noncurrent_days=30,
            retention_days=90,
            extra_statements=[log_delivery(bucket_name=bucket, account_id=ACCOUNT, region=HOME)],
            opts=opts,
        )
    )
    said = statement(one(graph, "aws:s3/bucketPolicy:BucketPolicy"), "LoadBalancerLogsOfThisAccount")
    assert said["Principal"] == {"Service": ["logdelivery.elasticloadbalancing.amazonaws.com"]}
    assert said["Action"] == ["s3:PutObject"]
    assert said["Resource"] == [f"arn:aws:s3:::{bucket}/load-balancer/AWSLogs/{ACCOUNT}/*"]
    assert said["Condition"] == {
        "ArnLike": {"aws:SourceArn": f"arn:aws:elasticloadbalancing:{HOME}:{ACCOUNT}:loadbalancer/*"}
    }


def test_the_logs_have_a_place_before_they_are_turned_on() -> None:
    # AWS tries to write when it is told of the bucket, and refuses a load balancer whose logs go nowhere.
    def program(opts: Any, _: Any) -> None:
        bucket = AccessLogBucket(
            "logs",
            bucket_name="smlp-test-logs",
            account_id=ACCOUNT,
            noncurrent_days=30,
            retention_days=90,
            opts=opts,
        )
        PublicLoadBalancer(
            "edge",
            vpc_id="vpc-1",
            public_subnet_ids=["subnet-1", "subnet-2"],
            target_cidrs=["10.0.32.0/20"],
            target_port=8443,
            health_check_path="/healthz",
            certificate_arn=CERTIFICATE,
            log_bucket=bucket.bucket,
            opts=opts,
        )

    graph = built(program)
    made = one(graph, BALANCER)
    assert made.inputs["accessLogs"]["bucket"] == "smlp-test-logs"
    assert one(graph, "aws:s3/bucketPolicy:BucketPolicy").urn in made.dependencies


def test_the_target_group_is_handed_on_once_it_is_listened_for(graph: Graph) -> None:
    handed = one(graph, "secureml:load_balancer:PublicLoadBalancer").outputs
    assert handed["target_group_arn"] == one(graph, "aws:lb/targetGroup:TargetGroup").outputs["arn"]
    assert handed["security_group_id"] == one(graph, "aws:ec2/securityGroup:SecurityGroup").id


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"public_subnet_ids": ["subnet-1"]}, "public_subnet_ids"),
        ({"target_cidrs": []}, "target_cidrs"),
        ({"target_port": 0}, "target_port is 0"),
        ({"health_check_path": "healthz"}, "health_check_path"),
    ],
)
def test_a_wrong_argument_is_named(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        balancer(**changed)


def test_a_name_that_aws_would_refuse_is_refused_here() -> None:
    with pytest.raises(ValueError, match="24 characters"):
        built(
            lambda opts, _: PublicLoadBalancer(
                "x" * 25,
                vpc_id="vpc-1",
                public_subnet_ids=["subnet-1", "subnet-2"],
                target_cidrs=["10.0.32.0/20"],
                target_port=8443,
                health_check_path="/healthz",
                certificate_arn=CERTIFICATE,
                log_bucket="smlp-test-logs",
                opts=opts,
            )
        )
