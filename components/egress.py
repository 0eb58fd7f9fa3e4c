"""A firewall on the way out: the private tier reaches the domains on a list, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_aws as aws


class EgressFirewall(pulumi.ComponentResource):
    """An AWS Network Firewall that reads the domain in TLS handshakes and HTTP requests."""

    def __init__(
        self,
        name: str,
        *,
        vpc_id: pulumi.Input[str],
        subnet_ids: Sequence[pulumi.Input[str]],
        source_cidrs: Sequence[str],
        allowed_domains: Sequence[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the firewall, with one endpoint in each of ``subnet_ids``.

        Args:
            name: Logical name.
            vpc_id: The VPC.
            subnet_ids: Subnets for the firewall alone, one a zone.
            source_cidrs: Whose traffic is judged: the private subnets.
            allowed_domains: ``.example.org`` admits every name below it, ``pypi.org`` that name only.

        Raises:
            ValueError: the list is empty.
        """
        super().__init__("secureml:network:EgressFirewall", name, None, opts)
        if not allowed_domains:
            raise ValueError(
                "allowed_domains is empty; name the domains that may be reached, or leave it out"
            )
        under = pulumi.ResourceOptions(parent=self)
        rules = aws.networkfirewall.RuleGroup(
            f"{name}-domains",
            type="STATEFUL",
            capacity=max(100, len(allowed_domains) * 2),
            rule_group={
                "rule_variables": {
                    "ip_sets": [{"key": "HOME_NET", "ip_set": {"definitions": list(source_cidrs)}}]
                },
                "rules_source": {
                    "rules_source_list": {
                        "generated_rules_type": "ALLOWLIST",
                        "target_types": ["TLS_SNI", "HTTP_HOST"],
                        "targets": list(allowed_domains),
                    }
                },
                "stateful_rule_options": {"rule_order": "STRICT_ORDER"},
            },
            opts=under,
        )
        policy = aws.networkfirewall.FirewallPolicy(
            f"{name}-policy",
            firewall_policy={
                "stateless_default_actions": ["aws:forward_to_sfe"],
                "stateless_fragment_default_actions": ["aws:forward_to_sfe"],
                "stateful_engine_options": {"rule_order": "STRICT_ORDER"},
                # What no rule admits is dropped, and an alert says so.
                "stateful_default_actions": ["aws:drop_established", "aws:alert_established"],
                "stateful_rule_group_references": [{"resource_arn": rules.arn, "priority": 1}],
            },
            opts=under,
        )
        firewall = aws.networkfirewall.Firewall(
            f"{name}-firewall",
            vpc_id=vpc_id,
            firewall_policy_arn=policy.arn,
            subnet_mappings=[{"subnet_id": subnet_id} for subnet_id in subnet_ids],
            delete_protection=True,
            subnet_change_protection=True,
            opts=under,
        )
        self._statuses = firewall.firewall_statuses
        self.register_outputs({"arn": firewall.arn})

    def endpoint_id(self, zone: str) -> pulumi.Output[str]:
        """Return the endpoint to route to from ``zone``."""

        def of_zone(statuses: Sequence[Any]) -> str:
            states = statuses[0].sync_states if statuses else []
            found = [state.attachments[0].endpoint_id for state in states if state.availability_zone == zone]
            return str(found[0])

        return self._statuses.apply(of_zone)
