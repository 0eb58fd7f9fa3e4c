"""Names that carry data: a subnet without a route to the internet can still ask a resolver, and so talk out.

Route 53 Resolver answers every tier of the VPC, and what is written into the names of queries reaches whoever
runs the asked domain (MITRE ATT&CK T1048). DNS Firewall Advanced refuses queries that look like it.
"""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

THREATS = ("DNS_TUNNELING", "DGA", "DICTIONARY_DGA")
"""Data in names, and names that malware makes up to find its master (Route 53 Developer Guide, "Resolver DNS
Firewall Advanced")."""

_PRIORITY = 101
"""The first that is not AWS's own (Route 53 Developer Guide, "VPC association": 100 to 9900, both exclusive)."""


class DnsFirewall(pulumi.ComponentResource):
    """Refuses suspicious queries of one VPC with NXDOMAIN. It fails closed: no verdict, no answer."""

    def __init__(
        self, name: str, *, vpc_id: pulumi.Input[str], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Guard the resolver of ``vpc_id``."""
        super().__init__("secureml:dns_firewall:DnsFirewall", name, None, opts)
        under = pulumi.ResourceOptions(parent=self)
        group = aws.route53.ResolverFirewallRuleGroup(f"{name}-rules", opts=under)
        rules = [self._rule(name, group, threat, priority) for priority, threat in enumerate(THREATS, 1)]
        aws.route53.ResolverFirewallConfig(
            f"{name}-fails-closed", resource_id=vpc_id, firewall_fail_open="DISABLED", opts=under
        )
        aws.route53.ResolverFirewallRuleGroupAssociation(
            f"{name}-vpc",
            firewall_rule_group_id=group.id,
            vpc_id=vpc_id,
            priority=_PRIORITY,
            opts=pulumi.ResourceOptions(parent=self, depends_on=rules),
        )
        self.register_outputs({})

    def _rule(
        self, name: str, group: aws.route53.ResolverFirewallRuleGroup, threat: str, priority: int
    ) -> aws.route53.ResolverFirewallRule:
        return aws.route53.ResolverFirewallRule(
            f"{name}-{threat.lower().replace('_', '-')}",
            firewall_rule_group_id=group.id,
            priority=priority,
            action="BLOCK",
            block_response="NXDOMAIN",
            dns_threat_protection=threat,
            # Fewer false alarms: a refused lookup stops a training run.
            confidence_threshold="HIGH",
            opts=pulumi.ResourceOptions(parent=self),
        )
