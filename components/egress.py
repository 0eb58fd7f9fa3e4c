"""The way out by name: a network firewall that lets the private tier reach listed domains and nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pulumi
import pulumi_aws as aws

MAX_DOMAINS = 500
"""Capacity of the rule group, one unit a domain. AWS cannot change it later, so it has room from the start."""

_DOMAIN = re.compile(r"\.?(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")
"""A name of two labels or more; a leading dot takes in its subdomains (Network Firewall Developer Guide,
"Stateful domain list rule groups")."""


class EgressFirewall(pulumi.ComponentResource):
    """AWS Network Firewall with an allow-list of TLS server names.

    It reads the name that the client asks for and does not open the encryption, so whoever holds both ends may
    lie about the name: list few domains, and none where anybody can rent a host.

    Attributes:
        endpoint_ids: Endpoint to route through, in the order of ``subnet_ids_by_zone``.
    """

    endpoint_ids: list[pulumi.Output[str]]

    def __init__(
        self,
        name: str,
        *,
        vpc_id: pulumi.Input[str],
        subnet_ids_by_zone: Mapping[str, pulumi.Input[str]],
        allowed_domains: Sequence[str],
        log_group_name: pulumi.Input[str],
        log_delivery: pulumi.Resource,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the firewall.

        Args:
            name: Logical name.
            vpc_id: The VPC.
            subnet_ids_by_zone: Full name of a zone to a subnet there that holds nothing else.
            allowed_domains: Names in lower case, ``pypi.org``; ``.example.org`` takes in its subdomains.
            log_group_name: Encrypted log group where accepted and refused connections are recorded.
            log_delivery: The policy that lets AWS write to the log group.
            opts: Options of the component.

        Raises:
            ValueError: no domain, too many, or something that is not one.
        """
        domains = _checked(allowed_domains)
        super().__init__("secureml:egress:EgressFirewall", name, None, opts)
        self._name = name
        self._under = pulumi.ResourceOptions(parent=self)
        firewall = aws.networkfirewall.Firewall(
            f"{name}-firewall",
            description="Lets the private tier reach listed domains only",
            vpc_id=vpc_id,
            subnet_mappings=[
                aws.networkfirewall.FirewallSubnetMappingArgs(subnet_id=subnet_id)
                for subnet_id in subnet_ids_by_zone.values()
            ],
            firewall_policy_arn=self._policy(self._allow_list(domains)).arn,
            tags={"Name": name},
            opts=self._under,
        )
        self._log(firewall, log_group_name, log_delivery)
        self.endpoint_ids = [_endpoint_id(firewall, zone) for zone in subnet_ids_by_zone]
        self.register_outputs({"endpoint_ids": self.endpoint_ids})

    def _allow_list(self, domains: Sequence[str]) -> aws.networkfirewall.RuleGroup:
        source = aws.networkfirewall.RuleGroupRuleGroupRulesSourceArgs(
            rules_source_list=aws.networkfirewall.RuleGroupRuleGroupRulesSourceRulesSourceListArgs(
                generated_rules_type="ALLOWLIST", target_types=["TLS_SNI"], targets=list(domains)
            )
        )
        return aws.networkfirewall.RuleGroup(
            f"{self._name}-domains",
            description="Domains that the private tier may reach",
            type="STATEFUL",
            capacity=MAX_DOMAINS,
            rule_group=aws.networkfirewall.RuleGroupRuleGroupArgs(
                rules_source=source,
                stateful_rule_options=aws.networkfirewall.RuleGroupRuleGroupStatefulRuleOptionsArgs(
                    rule_order="STRICT_ORDER"
                ),
            ),
            opts=self._under,
        )

    def _policy(self, allow_list: aws.networkfirewall.RuleGroup) -> aws.networkfirewall.FirewallPolicy:
        return aws.networkfirewall.FirewallPolicy(
            f"{self._name}-policy",
            description="Everything is inspected; what no rule lets pass is dropped and recorded",
            firewall_policy=aws.networkfirewall.FirewallPolicyFirewallPolicyArgs(
                stateless_default_actions=["aws:forward_to_sfe"],
                stateless_fragment_default_actions=["aws:forward_to_sfe"],
                # Established: the handshake must pass, because the name comes after it.
                stateful_default_actions=["aws:drop_established", "aws:alert_established"],
                stateful_engine_options=aws.networkfirewall.FirewallPolicyFirewallPolicyStatefulEngineOptionsArgs(
                    rule_order="STRICT_ORDER", stream_exception_policy="DROP"
                ),
                stateful_rule_group_references=[
                    aws.networkfirewall.FirewallPolicyFirewallPolicyStatefulRuleGroupReferenceArgs(
                        resource_arn=allow_list.arn, priority=1
                    )
                ],
            ),
            opts=self._under,
        )

    def _log(
        self,
        firewall: aws.networkfirewall.Firewall,
        group_name: pulumi.Input[str],
        log_delivery: pulumi.Resource,
    ) -> None:
        destinations = [
            aws.networkfirewall.LoggingConfigurationLoggingConfigurationLogDestinationConfigArgs(
                log_type=log_type,
                log_destination_type="CloudWatchLogs",
                log_destination={"logGroup": group_name},
            )
            for log_type in ("ALERT", "FLOW")
        ]
        aws.networkfirewall.LoggingConfiguration(
            f"{self._name}-log",
            firewall_arn=firewall.arn,
            logging_configuration=aws.networkfirewall.LoggingConfigurationLoggingConfigurationArgs(
                log_destination_configs=destinations
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[log_delivery]),
        )


def _checked(domains: Sequence[str]) -> Sequence[str]:
    if not domains:
        raise ValueError("allowed_domains: names no domain; list one, or leave the list out for no firewall")
    if len(domains) > MAX_DOMAINS:
        raise ValueError(f"allowed_domains: {len(domains)} domains; list {MAX_DOMAINS} at most")
    for index, domain in enumerate(domains):
        if not _DOMAIN.fullmatch(domain):
            raise ValueError(
                f"allowed_domains[{index}]: {domain!r:.80} is not a domain; "
                "write pypi.org, or .example.org with its subdomains"
            )
    return domains


def _endpoint_id(firewall: aws.networkfirewall.Firewall, zone: str) -> pulumi.Output[str]:
    """Return the endpoint that AWS put into a zone; only the firewall's status tells it."""
    return firewall.firewall_statuses.apply(lambda statuses: _endpoint_in(statuses, zone))


def _endpoint_in(statuses: Sequence[aws.networkfirewall.outputs.FirewallFirewallStatus], zone: str) -> str:
    for status in statuses:
        for state in status.sync_states or ():
            for attachment in state.attachments or ():
                if state.availability_zone == zone and attachment.endpoint_id:
                    return attachment.endpoint_id
    raise ValueError(f"the network firewall has no endpoint in {zone}; refresh the stack and run again")
