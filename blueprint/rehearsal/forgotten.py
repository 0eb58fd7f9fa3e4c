"""The second plan: what would change although nothing was changed, less what the emulator forgets.

A difference here is what a user would see on every ``pulumi up`` for ever, so the list is by attribute.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

FORGOTTEN: Mapping[str, Mapping[str, str]] = {
    "aws_autoscaling_group": {"max_instance_lifetime": "moto does not keep it"},
    "aws_db_instance": {
        "performance_insights_enabled": "moto does not tell it",
        "performance_insights_kms_key_id": "moto does not tell it",
        "performance_insights_retention_period": "moto does not tell it",
    },
    "aws_db_parameter_group": {"parameter": "moto does not tell which parameters were set by the user"},
    "aws_eks_cluster": {"access_config": "moto does not keep it", "upgrade_policy": "moto does not keep it"},
    "aws_eks_node_group": {
        "node_repair_config": "moto takes it with an update alone",
        "remote_access": "moto makes up an SSH key that nobody asked for",
        "update_config": "moto takes it with an update alone",
    },
    "aws_kms_key": {"rotation_period_in_days": "moto tells that a key rotates, and not how often"},
    "aws_lambda_function": {
        "dead_letter_config": "moto does not keep it",
        "logging_config": "moto does not keep it",
    },
    "aws_launch_template": {
        "tag_specifications": "moto tells a template's own tags as those of its machines"
    },
    "aws_network_acl": {
        f"{way}.{field}": why
        for way in ("ingress", "egress")
        for field, why in {
            "icmp_code": "moto does not keep it",
            "icmp_type": "moto does not keep it",
            "protocol": "the provider is told tcp and reads 6",
        }.items()
    },
    "aws_s3_bucket_replication_configuration": {
        "rule.delete_marker_replication": "moto answers Disabled, whatever was set",
        "rule.source_selection_criteria": "moto does not keep it",
    },
    "aws_vpc_security_group_egress_rule": {
        "description": "moto does not keep it",
        "referenced_security_group_id": "moto puts the account before it",
    },
    "aws_vpc_security_group_ingress_rule": {
        "description": "moto does not keep it",
        "referenced_security_group_id": "moto puts the account before it",
    },
}
"""Reason by the provider's type and attribute (``block.attribute`` inside a block), measured on moto 5.2.5."""


def differences(plan: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield address and attribute of everything that a plan (``terraform show -json``) would change.

    A value that is known only after another change is that change's consequence, and not told by itself.
    """
    for each in plan.get("resource_changes", []):
        change = each["change"]
        if change["actions"] in (["no-op"], ["read"]):
            continue
        before, after, unknown = change["before"], change["after"], change.get("after_unknown") or {}
        if before is None or after is None:
            yield each["address"], "/".join(change["actions"])
            continue
        forgotten = FORGOTTEN.get(each["type"], {})
        for name in sorted(before.keys() | after.keys()):
            if name in forgotten or _holds_unknown(unknown.get(name)):
                continue
            if _plain(before.get(name), name, forgotten) != _plain(after.get(name), name, forgotten):
                yield each["address"], name


def _holds_unknown(told: Any) -> bool:
    """Say whether anything in ``after_unknown`` is unknown; known blocks leave empty ones there, and ``false``."""
    if isinstance(told, dict):
        return any(map(_holds_unknown, told.values()))
    if isinstance(told, list):
        return any(map(_holds_unknown, told))
    return bool(told)


def _plain(value: Any, name: str, forgotten: Mapping[str, str]) -> Any:
    """Return a value to compare: what is empty or forgotten left out, blocks in no order."""
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        kept = [
            {key: item for key, item in block.items() if item and f"{name}.{key}" not in forgotten}
            for block in value
        ]
        return sorted(kept, key=repr)
    return value or None
