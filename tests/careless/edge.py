"""Careless entrances, trails that see half, and backups that nobody can restore."""

from __future__ import annotations

import json
from typing import Any

import pulumi_aws as aws
import pulumi_kubernetes as k8s

from tests.careless.mistakes import mistake
from tests.policies.cases import ACCOUNT, REGION

SUBNETS = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
DAILY: Any = {"rule_name": "daily", "target_vault_name": "vault", "schedule": "cron(0 3 * * ? *)"}
VISIBLE: Any = {"metric_name": "m", "cloudwatch_metrics_enabled": True, "sampled_requests_enabled": True}


def balancer(name: str, **more: Any) -> aws.lb.LoadBalancer:
    return aws.lb.LoadBalancer(name, load_balancer_type="application", subnets=SUBNETS, **more)


def web_acl(name: str, *rules: dict[str, Any]) -> aws.wafv2.WebAcl:
    said: Any = [
        {"priority": place, "visibility_config": VISIBLE, **each} for place, each in enumerate(rules)
    ]
    return aws.wafv2.WebAcl(
        name, scope="REGIONAL", default_action={"allow": {}}, rules=said, visibility_config=VISIBLE
    )


@mistake("EDG-01")
def balancer_that_faces_the_world_alone(name: str) -> None:
    balancer(name, internal=False)


@mistake("EDG-02")
def rate_rule_that_only_counts(name: str) -> None:
    often = {"rate_based_statement": {"limit": 500, "aggregate_key_type": "IP"}}
    web_acl(name, {"name": "often", "statement": often, "action": {"count": {}}})


@mistake("EDG-03")
def managed_rules_left_in_count_mode(name: str) -> None:
    common = {"managed_rule_group_statement": {"vendor_name": "AWS", "name": "AWSManagedRulesCommonRuleSet"}}
    web_acl(name, {"name": "common", "statement": common, "override_action": {"count": {}}})


@mistake("EDG-04")
def web_acl_that_records_nothing(name: str) -> None:
    web_acl(name)


@mistake("EDG-05")
def listener_in_clear(name: str) -> None:
    aws.lb.Listener(
        name,
        load_balancer_arn=balancer(f"{name}-balancer").arn,
        port=80,
        protocol="HTTP",
        default_actions=[
            {
                "type": "forward",
                "target_group_arn": f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/t/0123456789abcdef",
            }
        ],
    )


@mistake("EDG-06")
def balancer_that_takes_any_header(name: str) -> None:
    balancer(name, drop_invalid_header_fields=False)


@mistake("EDG-07")
def partners_let_in_before_the_blocked(name: str) -> None:
    partners = {"ip_set_reference_statement": {"arn": "arn:aws:wafv2:::ipset/partners"}}
    web_acl(name, {"name": "partners", "statement": partners, "action": {"allow": {}}})


@mistake("EDG-08")
def country_that_may_do_anything(name: str) -> None:
    home = {"geo_match_statement": {"country_codes": ["DE"]}}
    web_acl(name, {"name": "home", "statement": home, "action": {"allow": {}}})


@mistake("AUD-01")
def trail_of_one_region(name: str) -> None:
    aws.cloudtrail.Trail(name, s3_bucket_name="trail", is_multi_region_trail=False)


@mistake("AUD-02")
def trail_into_a_bucket_that_anybody_writes(name: str) -> None:
    made = aws.s3.Bucket(f"{name}-bucket")
    aws.cloudtrail.Trail(name, s3_bucket_name=made.bucket)


@mistake("AUD-03")
def trail_blind_to_what_is_read(name: str) -> None:
    aws.cloudtrail.Trail(name, s3_bucket_name="trail")


@mistake("AUD-04")
def log_group_that_keeps_for_a_day(name: str) -> None:
    aws.cloudwatch.LogGroup(name, retention_in_days=1)


@mistake("AUD-05", on="")
def detector_without_its_features(name: str) -> None:
    aws.guardduty.Detector(name, enable=True)


@mistake("AUD-06", on="")
def recorder_that_is_switched_off(name: str) -> None:
    aws.cfg.RecorderStatus(name, name="default", is_enabled=False)


@mistake("AUD-07")
def trail_whose_alarm_wakes_nobody(name: str) -> None:
    aws.cloudtrail.Trail(name, s3_bucket_name="trail")
    aws.cloudwatch.LogMetricFilter(
        f"{name}-filter",
        log_group_name="trail",
        pattern='{ $.userIdentity.type = "Root" }',
        metric_transformation={"name": "root", "namespace": "cis", "value": "1"},
    )
    aws.cloudwatch.MetricAlarm(
        f"{name}-alarm",
        namespace="cis",
        metric_name="root",
        comparison_operator="GreaterThanOrEqualToThreshold",
        evaluation_periods=1,
    )


@mistake("AUD-23")
def break_glass_that_nobody_hears_of(name: str) -> None:
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": ACCOUNT}}
    aws.iam.Role(
        name,
        name=f"{name}-breaks-glass",
        assume_role_policy=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        tags={"persona": "break-glass"},
    )


@mistake("AUD-08")
def findings_that_reach_nobody(name: str) -> None:
    aws.guardduty.Detector(name, enable=True)
    pattern = json.dumps({"source": ["aws.guardduty"]})
    aws.cloudwatch.EventRule(f"{name}-rule", event_pattern=pattern)


@mistake("AUD-10")
def answers_about_the_trail_in_clear(name: str) -> None:
    results: Any = {"result_configuration": {"output_location": "s3://answers/"}}
    aws.athena.Workgroup(name, configuration=results)


@mistake("RED-01", on="a-database-that-no-plan-names")
def a_database_that_no_plan_names(name: str) -> None:
    aws.rds.Instance(name, instance_class="db.m7g.large", storage_encrypted=True)


@mistake("RED-02")
def backups_next_to_what_they_back_up(name: str) -> None:
    aws.backup.Plan(name, rules=[DAILY])


@mistake("RED-03")
def vault_that_an_intruder_may_empty(name: str) -> None:
    aws.backup.Vault(name)


@mistake("RED-04")
def backups_of_which_no_restore_is_tried(name: str) -> None:
    aws.backup.Plan(name, rules=[DAILY])
    aws.backup.RestoreTestingPlan(
        f"{name}-tests",
        name="tests",
        schedule_expression="cron(0 6 ? * MON *)",
        recovery_point_selection={
            "algorithm": "LATEST_WITHIN_WINDOW",
            "include_vaults": ["*"],
            "recovery_point_types": ["SNAPSHOT"],
        },
    )


@mistake("RED-05")
def backups_with_only_good_news(name: str) -> None:
    aws.backup.Plan(name, rules=[DAILY])
    pattern = json.dumps({"source": ["aws.backup"], "detail": {"state": ["COMPLETED"]}})
    rule = aws.cloudwatch.EventRule(f"{name}-rule", event_pattern=pattern)
    aws.cloudwatch.EventTarget(f"{name}-told", rule=rule.name, arn=f"arn:aws:sns:{REGION}:{ACCOUNT}:alerts")


@mistake("RED-06")
def service_of_a_single_pod(name: str) -> None:
    labels = {"app": "api"}
    spec: Any = {
        "replicas": 1,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "api", "image": "x"}]}},
    }
    k8s.apps.v1.Deployment(name, metadata={"name": name, "namespace": "careless"}, spec=spec)


@mistake("RED-07")
def objectives_that_nobody_wrote_down(name: str) -> None:
    aws.backup.Plan(name, rules=[DAILY])


@mistake("AUD-11")
def patients_in_a_bucket_that_nobody_searches(name: str) -> None:
    aws.s3.Bucket(name, tags={"data-domain": "data"})


@mistake("EDG-09")
def address_of_a_function_for_everybody(name: str) -> None:
    aws.lambda_.FunctionUrl(name, function_name="f", authorization_type="NONE")


@mistake("EDG-09")
def route_for_everybody(name: str) -> None:
    aws.apigatewayv2.Route(name, api_id="api", route_key="POST /v1/predict")


@mistake("AUD-12")
def api_that_writes_nothing_down(name: str) -> None:
    aws.apigatewayv2.Stage(name, api_id="api")
