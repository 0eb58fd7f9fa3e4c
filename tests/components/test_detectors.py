"""Detectors: every feature on, the standards that the profile names, and nothing that can be left out."""

from __future__ import annotations

from typing import Any

import pytest

from blueprint.graph import Graph
from components.detectors import FEATURES, Classification, Detectors
from components.storage import SecureBucket
from tests.components.support import ACCOUNT, BACKUP, HOME, built, key, one

DETECTOR = "aws:guardduty/detector:Detector"
FEATURE = "aws:guardduty/detectorFeature:DetectorFeature"
STANDARD = "aws:securityhub/standardsSubscription:StandardsSubscription"
AGGREGATOR = "aws:securityhub/findingAggregator:FindingAggregator"
MACIE = "aws:macie2/account:Account"
JOB = "aws:macie2/classificationJob:ClassificationJob"


def detectors(**changed: Any) -> Graph:
    arguments: dict[str, Any] = {
        "region": HOME,
        "account_id": ACCOUNT,
        "standards": ["fsbp", "cis"],
        **changed,
    }
    return built(lambda opts, _: Detectors("d", **arguments, opts=opts))


@pytest.fixture(scope="module")
def graph() -> Graph:
    return detectors()


def test_threats_are_looked_for_with_every_feature(graph: Graph) -> None:
    assert one(graph, DETECTOR).inputs["enable"] is True
    features = {feature.inputs["name"]: feature.inputs for feature in graph.of(FEATURE)}
    assert {
        "S3_DATA_EVENTS",
        "EKS_AUDIT_LOGS",
        "RDS_LOGIN_EVENTS",
        "EBS_MALWARE_PROTECTION",
        "RUNTIME_MONITORING",
    } <= set(features)
    assert {feature["status"] for feature in features.values()} == {"ENABLED"}
    assert set(features) == set(FEATURES)


def test_runtime_monitoring_installs_its_agents_itself(graph: Graph) -> None:
    (runtime,) = [f.inputs for f in graph.of(FEATURE) if f.inputs["name"] == "RUNTIME_MONITORING"]
    assert {agent["status"] for agent in runtime["additionalConfigurations"]} == {"ENABLED"}
    assert "EKS_ADDON_MANAGEMENT" in {agent["name"] for agent in runtime["additionalConfigurations"]}


@pytest.mark.parametrize(("region", "partition"), [(HOME, "aws"), ("us-gov-west-1", "aws-us-gov")])
def test_the_account_is_held_against_the_named_standards_only(region: str, partition: str) -> None:
    graph = detectors(region=region, standards=["fsbp", "cis", "nist", "pci"])
    assert one(graph, "aws:securityhub/account:Account").inputs["enableDefaultStandards"] is False
    assert {subscription.inputs["standardsArn"] for subscription in graph.of(STANDARD)} == {
        f"arn:{partition}:securityhub:{region}::standards/{standard}"
        for standard in (
            "aws-foundational-security-best-practices/v/1.0.0",
            "cis-aws-foundations-benchmark/v/3.0.0",
            "nist-800-53/v/5.0.0",
            "pci-dss/v/4.0.1",
        )
    }


def test_nothing_subscribes_before_the_hub_is_there(graph: Graph) -> None:
    hub = one(graph, "aws:securityhub/account:Account").urn
    assert all(hub in subscription.dependencies for subscription in graph.of(STANDARD))


def test_findings_of_the_other_region_are_collected_where_asked() -> None:
    assert detectors().of(AGGREGATOR) == []
    collected = one(detectors(collects_from=[BACKUP]), AGGREGATOR).inputs
    assert (collected["linkingMode"], collected["specifiedRegions"]) == ("SPECIFIED_REGIONS", [BACKUP])


def test_machines_images_and_functions_are_searched_for_weaknesses(graph: Graph) -> None:
    found = one(graph, "aws:inspector2/enabler:Enabler").inputs
    assert set(found["resourceTypes"]) == {"EC2", "ECR", "LAMBDA"}


def classifying() -> Graph:
    def build(opts: Any, _: Any) -> None:
        bucket = SecureBucket(
            "reports",
            bucket_name="smlp-test-reports",
            key_arn=key("reports"),
            data_domain="reports",
            access_log_bucket="smlp-test-logs",
            noncurrent_days=30,
            opts=opts,
        )
        classification = Classification(
            account_id=ACCOUNT,
            bucket_names=["smlp-test-data"],
            results_bucket_name="smlp-test-reports",
            results_key_arn=key("reports"),
            results_bucket=bucket,
        )
        Detectors(
            "d",
            region=HOME,
            account_id=ACCOUNT,
            standards=["fsbp"],
            classification=classification,
            opts=opts,
        )

    return built(build)


def test_all_of_the_data_is_classified_again_and_again() -> None:
    job = one(classifying(), JOB).inputs
    assert job["jobType"] == "SCHEDULED"
    assert job["samplingPercentage"] == 100
    assert job["s3JobDefinition"]["bucketDefinitions"] == [
        {"accountId": ACCOUNT, "buckets": ["smlp-test-data"]}
    ]


def test_what_was_found_outlives_macies_ninety_days() -> None:
    graph = classifying()
    results = one(graph, "aws:macie2/classificationExportConfiguration:ClassificationExportConfiguration")
    assert results.inputs["s3Destination"] == {
        "bucketName": "smlp-test-reports",
        "keyPrefix": "macie/",
        "kmsKeyArn": key("reports"),
    }
    assert results.urn in one(graph, JOB).dependencies
    assert one(graph, "aws:s3/bucketPolicy:BucketPolicy").urn in results.dependencies


def test_without_classification_there_is_no_macie(graph: Graph) -> None:
    assert graph.of(MACIE) == []


def test_a_hub_without_a_standard_is_refused() -> None:
    with pytest.raises(ValueError, match="standards is empty"):
        detectors(standards=[])
