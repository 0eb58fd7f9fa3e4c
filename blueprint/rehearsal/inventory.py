"""What there is in the account, counted over boto3: before the apply, after it, and after the destroy."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from blueprint.rehearsal.account import Account


def _never(_: Any) -> bool:
    return False


@dataclass(frozen=True)
class Row:
    """One operation that lists: service, operation, field of the answer, and the key that names an item (none where
    the items are names)."""

    service: str
    operation: str
    field: str
    key: str
    gone: Callable[[Any], bool] = _never
    """Says of an item that it is on its way out."""
    everywhere: bool = False
    """The service is global: asked once."""
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def _state_is(*words: str) -> Callable[[Any], bool]:
    def gone(item: Any) -> bool:
        state = item.get("State") or item.get("Status")
        return (state.get("Name") if isinstance(state, dict) else state) in words

    return gone


def _terminated(reservation: Any) -> bool:
    return all(each["State"]["Name"] == "terminated" for each in reservation["Instances"])


def _is_default(acl: Any) -> bool:
    """Say so of the ACL that comes and goes with its VPC; moto leaves it behind (AWS deletes it)."""
    return bool(acl["IsDefault"])


def _amazons(alias: Any) -> bool:
    return str(alias["AliasName"]).startswith("alias/aws/")


ROWS = (
    Row("ec2", "describe_vpcs", "Vpcs", "VpcId"),
    Row("ec2", "describe_subnets", "Subnets", "SubnetId"),
    Row("ec2", "describe_route_tables", "RouteTables", "RouteTableId"),
    Row("ec2", "describe_internet_gateways", "InternetGateways", "InternetGatewayId"),
    Row("ec2", "describe_nat_gateways", "NatGateways", "NatGatewayId", _state_is("deleted")),
    Row("ec2", "describe_addresses", "Addresses", "AllocationId"),
    Row("ec2", "describe_network_acls", "NetworkAcls", "NetworkAclId", _is_default),
    Row("ec2", "describe_security_groups", "SecurityGroups", "GroupId"),
    Row("ec2", "describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId", _state_is("deleted")),
    Row("ec2", "describe_flow_logs", "FlowLogs", "FlowLogId"),
    Row("ec2", "describe_launch_templates", "LaunchTemplates", "LaunchTemplateId"),
    Row("ec2", "describe_key_pairs", "KeyPairs", "KeyPairId"),
    Row("ec2", "describe_instances", "Reservations", "ReservationId", _terminated),
    Row("ec2", "describe_volumes", "Volumes", "VolumeId"),
    Row("acm", "list_certificates", "CertificateSummaryList", "CertificateArn"),
    Row("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", "AutoScalingGroupName"),
    Row("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    Row("ecr", "describe_repositories", "repositories", "repositoryName"),
    Row("eks", "list_clusters", "clusters", ""),
    Row("dynamodb", "list_tables", "TableNames", ""),
    Row("elbv2", "describe_load_balancers", "LoadBalancers", "LoadBalancerArn"),
    Row("elbv2", "describe_target_groups", "TargetGroups", "TargetGroupArn"),
    Row("athena", "list_work_groups", "WorkGroups", "Name"),
    Row("backup", "list_backup_plans", "BackupPlansList", "BackupPlanId"),
    Row("backup", "list_backup_vaults", "BackupVaultList", "BackupVaultName"),
    Row("cloudtrail", "describe_trails", "trailList", "TrailARN", everywhere=True),
    Row("config", "describe_configuration_recorders", "ConfigurationRecorders", "name"),
    Row("config", "describe_delivery_channels", "DeliveryChannels", "name"),
    Row("events", "list_rules", "Rules", "Name"),
    Row("firehose", "list_delivery_streams", "DeliveryStreamNames", ""),
    Row("glue", "get_databases", "DatabaseList", "Name"),
    Row("guardduty", "list_detectors", "DetectorIds", ""),
    Row("iam", "list_roles", "Roles", "RoleName", everywhere=True),
    Row("iam", "list_policies", "Policies", "Arn", everywhere=True, arguments={"Scope": "Local"}),
    Row("iam", "list_instance_profiles", "InstanceProfiles", "InstanceProfileName", everywhere=True),
    Row("iam", "list_open_id_connect_providers", "OpenIDConnectProviderList", "Arn", everywhere=True),
    Row("kms", "list_aliases", "Aliases", "AliasName", _amazons),
    Row("lambda", "list_functions", "Functions", "FunctionName"),
    Row("logs", "describe_log_groups", "logGroups", "logGroupName"),
    Row("logs", "describe_resource_policies", "resourcePolicies", "policyName"),
    Row("logs", "describe_metric_filters", "metricFilters", "filterName"),
    Row("rds", "describe_db_instances", "DBInstances", "DBInstanceIdentifier"),
    Row("rds", "describe_db_snapshots", "DBSnapshots", "DBSnapshotIdentifier"),
    Row("rds", "describe_db_subnet_groups", "DBSubnetGroups", "DBSubnetGroupName"),
    Row("rds", "describe_db_parameter_groups", "DBParameterGroups", "DBParameterGroupName"),
    Row("s3", "list_buckets", "Buckets", "Name", everywhere=True),
    Row("scheduler", "list_schedule_groups", "ScheduleGroups", "Arn"),
    Row("scheduler", "list_schedules", "Schedules", "Arn"),
    Row("secretsmanager", "list_secrets", "SecretList", "Name"),
    Row("sns", "list_topics", "Topics", "TopicArn"),
    Row("sns", "list_subscriptions", "Subscriptions", "SubscriptionArn"),
    Row("sqs", "list_queues", "QueueUrls", ""),
    Row("ssm", "describe_parameters", "Parameters", "Name"),
    Row("route53resolver", "list_resolver_endpoints", "ResolverEndpoints", "Id"),
    Row("wafv2", "list_ip_sets", "IPSets", "ARN", arguments={"Scope": "REGIONAL"}),
    Row("wafv2", "list_web_acls", "WebACLs", "ARN", arguments={"Scope": "REGIONAL"}),
)
"""What is counted. A component with a new kind of resource adds its row here."""

Inventory = Mapping[tuple[str, str, str], frozenset[str]]
"""Names by region, service and field."""


def take(account: Account) -> Inventory:
    """Return what there is now."""
    found = {
        (region, row.service, row.field): frozenset(_names(row, account, region))
        for row in ROWS
        for region in (account.regions[:1] if row.everywhere else account.regions)
    }
    return found | {(region, "kms", "Keys"): frozenset(_keys(account, region)) for region in account.regions}


def _names(row: Row, account: Account, region: str) -> Iterator[str]:
    for item in account.every(row.service, row.operation, row.field, region, **row.arguments):
        if not row.gone(item):
            yield str(item[row.key] if row.key else item)


def _keys(account: Account, region: str) -> Iterator[str]:
    """Yield the keys that are in use: a deleted one waits, and AWS's own come with the first use of a service."""
    aliases = account.every("kms", "list_aliases", "Aliases", region)
    amazons = {alias.get("TargetKeyId") for alias in aliases if _amazons(alias)}
    for key in account.every("kms", "list_keys", "Keys", region):
        if key["KeyId"] in amazons:
            continue
        known = account.client("kms", region).describe_key(KeyId=key["KeyId"])["KeyMetadata"]
        if known["KeyState"] != "PendingDeletion" and known["KeyManager"] != "AWS":
            yield str(key["KeyId"])


SETTINGS = frozenset(
    {
        "aws:ebs/defaultKmsKey:DefaultKmsKey",
        "aws:ebs/encryptionByDefault:EncryptionByDefault",
        "aws:ecr/registryScanningConfiguration:RegistryScanningConfiguration",
        "aws:iam/accountPasswordPolicy:AccountPasswordPolicy",
        "aws:inspector2/enabler:Enabler",
        "aws:macie2/account:Account",
    }
)
"""Settings of the account: they go back to AWS's own, and there is nothing that could be left."""


def uncounted(after: Inventory, before: Inventory, account: Account) -> list[str]:
    """Return the applied types of which the inventory sees none: neither themselves nor what they are a part of."""
    names = {name for key, found in after.items() for name in found - before[key]}
    seen = {each.type for each in account.applied if names & set(map(str, each.attributes.values()))}
    return sorted({each.type for each in account.applied} - seen - SETTINGS)


def more(after: Inventory, before: Inventory) -> list[str]:
    """Return what is there after and was not before: region, service, kind and name."""
    return sorted(
        f"{region} {service} {kind} {name}"
        for (region, service, kind), names in after.items()
        for name in names - before[region, service, kind]
    )
