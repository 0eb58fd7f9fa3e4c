"""What the provider plans and the emulator cannot hold, and why: a short list, measured on moto 5.2.5.

Whatever refers to one of these follows along: it is planned too, and not applied.
"""

from __future__ import annotations

from collections.abc import Mapping

_NOT_THERE = "moto does not have this API"
_ZONE = "the zone is the account's own, and the emulated account begins without one"

PLANNED_ONLY: Mapping[str, str] = {
    "aws_accessanalyzer_analyzer": _NOT_THERE,
    "aws_backup_framework": _NOT_THERE,
    "aws_backup_region_settings": _NOT_THERE,
    "aws_backup_restore_testing_plan": _NOT_THERE,
    "aws_backup_restore_testing_selection": _NOT_THERE,
    "aws_backup_selection": _NOT_THERE,
    "aws_backup_vault_policy": _NOT_THERE,
    "aws_budgets_budget": "moto has no DescribeSubscribersForNotification",
    "aws_ebs_snapshot_block_public_access": _NOT_THERE,
    "aws_ec2_instance_metadata_defaults": _NOT_THERE,
    "aws_ec2_serial_console_access": _NOT_THERE,
    "aws_ecr_pull_through_cache_rule": _NOT_THERE,
    "aws_ecr_repository_creation_template": _NOT_THERE,
    "aws_eks_access_entry": _NOT_THERE,
    "aws_eks_access_policy_association": _NOT_THERE,
    "aws_eks_addon": _NOT_THERE,
    "aws_eks_pod_identity_association": _NOT_THERE,
    "aws_macie2_classification_export_configuration": _NOT_THERE,
    "aws_macie2_classification_job": _NOT_THERE,
    "aws_placement_group": _NOT_THERE,
    "aws_route53_record": _ZONE,
    "aws_route53_resolver_firewall_config": _NOT_THERE,
    "aws_route53_resolver_firewall_domain_list": _NOT_THERE,
    "aws_route53_resolver_firewall_rule": _NOT_THERE,
    "aws_route53_resolver_firewall_rule_group": _NOT_THERE,
    "aws_route53_resolver_firewall_rule_group_association": _NOT_THERE,
    "aws_route53_resolver_query_log_config": "moto makes it and cannot take it away again",
    "aws_s3_account_public_access_block": _NOT_THERE,
    "aws_securityhub_account": "moto makes it and cannot set it",
    "aws_securityhub_finding_aggregator": _NOT_THERE,
    "aws_securityhub_standards_subscription": _NOT_THERE,
}
"""Reason by the provider's type."""
