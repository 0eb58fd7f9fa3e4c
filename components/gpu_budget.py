"""What GPUs may cost a month, and who is told before they have: a stolen job pays for itself with your account."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

WARNINGS: Sequence[tuple[str, int]] = (("ACTUAL", 50), ("ACTUAL", 100), ("FORECASTED", 100))
"""Percent of the amount: half of it spent, all of it, and on the way to it."""


class GpuBudget(pulumi.ComponentResource):
    """A monthly amount for the instance types of the pools; it warns, and stops nothing.

    What stops is the quota of each namespace and the most machines of each pool.
    """

    def __init__(
        self,
        name: str,
        *,
        monthly_usd: int,
        instance_types: Sequence[str],
        email: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the budget.

        Args:
            name: Its name in the account.
            monthly_usd: US dollars a month, 1 or more.
            instance_types: What counts.
            email: Who is told.
            opts: Options of the component.

        Raises:
            ValueError: there is no amount, or nothing that counts.
        """
        super().__init__("secureml:gpu_budget:GpuBudget", name, None, opts)
        if monthly_usd < 1:
            raise ValueError(f"monthly_usd is {monthly_usd}; write how many US dollars a month, 1 or more")
        if not instance_types:
            raise ValueError("instance_types is empty; name the types that count")
        aws.budgets.Budget(
            f"{name}-budget",
            name=name,
            budget_type="COST",
            time_unit="MONTHLY",
            limit_amount=f"{monthly_usd}.0",
            limit_unit="USD",
            cost_filters=[{"name": "InstanceType", "values": sorted(set(instance_types))}],
            notifications=[
                {
                    "notification_type": kind,
                    "comparison_operator": "GREATER_THAN",
                    "threshold": percent,
                    "threshold_type": "PERCENTAGE",
                    "subscriber_email_addresses": [email],
                }
                for kind, percent in WARNINGS
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
