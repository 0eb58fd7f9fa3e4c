"""What looks for attacks and weak spots in one region: GuardDuty, Security Hub, Inspector, and Macie where asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_aws as aws

from components.documents import partition_of
from components.recorder import CLASSIFIED

Standard = Literal["fsbp", "cis", "nist", "pci"]

STANDARDS: Mapping[Standard, str] = {
    "fsbp": "aws-foundational-security-best-practices/v/1.0.0",
    "cis": "cis-aws-foundations-benchmark/v/3.0.0",
    "nist": "nist-800-53/v/5.0.0",
    "pci": "pci-dss/v/4.0.1",
}
"""Security Hub User Guide, "Standards reference for Security Hub CSPM"."""

_AGENTS = ("EKS_ADDON_MANAGEMENT", "ECS_FARGATE_AGENT_MANAGEMENT", "EC2_AGENT_MANAGEMENT")

FEATURES: Mapping[str, tuple[str, ...]] = {
    "S3_DATA_EVENTS": (),
    "EKS_AUDIT_LOGS": (),
    "EBS_MALWARE_PROTECTION": (),
    "RDS_LOGIN_EVENTS": (),
    "LAMBDA_NETWORK_LOGS": (),
    "RUNTIME_MONITORING": _AGENTS,
}
"""Features of GuardDuty, and what each of them sets up (GuardDuty API Reference, "DetectorFeatureConfiguration")."""

SCANNED = ("EC2", "ECR", "LAMBDA")
"""What Inspector looks for known weaknesses in: machines, images, functions."""


@dataclass(frozen=True, kw_only=True)
class Classification:
    """What Macie looks through for personal data, and where it tells what it found."""

    account_id: str
    bucket_names: Sequence[str]
    results_bucket_name: str
    results_key_arn: pulumi.Input[str]
    results_bucket: pulumi.Resource
    """What makes the bucket of results and its policy."""


class Detectors(pulumi.ComponentResource):
    """Everything that looks for attacks and weak spots in the provider's region."""

    def __init__(
        self,
        name: str,
        *,
        region: str,
        account_id: str,
        standards: Sequence[Standard],
        collects_from: Sequence[str] = (),
        classification: Classification | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Start looking.

        Args:
            name: Logical name.
            region: The provider's region.
            account_id: The account.
            standards: What Security Hub holds the account against.
            collects_from: Other regions whose findings are shown here too.
            classification: What Macie looks through; without it there is no Macie.
            opts: Options of the component.

        Raises:
            ValueError: no standard is named.
        """
        super().__init__("secureml:detectors:Detectors", name, None, opts)
        if not standards:
            raise ValueError(f"standards is empty; name some of {', '.join(STANDARDS)}")
        self._name = name
        self._under = pulumi.ResourceOptions(parent=self)
        self._threats()
        self._posture(region, standards, collects_from)
        aws.inspector2.Enabler(
            f"{name}-weaknesses", account_ids=[account_id], resource_types=list(SCANNED), opts=self._under
        )
        if classification:
            self._classify(classification)
        self.register_outputs({})

    def _threats(self) -> None:
        detector = aws.guardduty.Detector(
            f"{self._name}-threats",
            enable=True,
            # The shortest that there is: new findings come within minutes anyway, this is about repeated ones.
            finding_publishing_frequency="FIFTEEN_MINUTES",
            opts=self._under,
        )
        for feature, agents in FEATURES.items():
            aws.guardduty.DetectorFeature(
                f"{self._name}-threats-{feature.lower().replace('_', '-')}",
                detector_id=detector.id,
                name=feature,
                status="ENABLED",
                additional_configurations=[{"name": agent, "status": "ENABLED"} for agent in agents] or None,
                opts=self._under,
            )

    def _posture(self, region: str, standards: Sequence[Standard], collects_from: Sequence[str]) -> None:
        hub = aws.securityhub.Account(
            f"{self._name}-posture",
            # AWS's choice of standards changes with the years; ours is written below.
            enable_default_standards=False,
            auto_enable_controls=True,
            control_finding_generator="SECURITY_CONTROL",
            opts=self._under,
        )
        after = pulumi.ResourceOptions(parent=self, depends_on=[hub])
        for standard in standards:
            aws.securityhub.StandardsSubscription(
                f"{self._name}-posture-{standard}",
                standards_arn=f"arn:{partition_of(region)}:securityhub:{region}::standards/{STANDARDS[standard]}",
                opts=after,
            )
        if collects_from:
            aws.securityhub.FindingAggregator(
                f"{self._name}-posture-collected",
                linking_mode="SPECIFIED_REGIONS",
                specified_regions=list(collects_from),
                opts=after,
            )

    def _classify(self, classification: Classification) -> None:
        macie = aws.macie2.Account(
            f"{self._name}-personal-data",
            status="ENABLED",
            finding_publishing_frequency="FIFTEEN_MINUTES",
            opts=self._under,
        )
        # Macie keeps its results for ninety days (Macie User Guide, "Storing and retaining sensitive data
        # discovery results").
        results = aws.macie2.ClassificationExportConfiguration(
            f"{self._name}-personal-data",
            s3_destination={
                "bucket_name": classification.results_bucket_name,
                "key_prefix": f"{CLASSIFIED}/",
                "kms_key_arn": classification.results_key_arn,
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[macie, classification.results_bucket]),
        )
        # Each run looks at what is new since the last one, so an object is paid for once.
        aws.macie2.ClassificationJob(
            f"{self._name}-personal-data",
            name=f"{self._name}-personal-data",
            job_type="SCHEDULED",
            schedule_frequency={"weekly_schedule": "MONDAY"},
            initial_run=True,
            sampling_percentage=100,
            s3_job_definition={
                "bucket_definitions": [
                    {"account_id": classification.account_id, "buckets": list(classification.bucket_names)}
                ]
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[results]),
        )
