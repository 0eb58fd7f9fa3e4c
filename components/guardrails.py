"""Account-wide defaults that catch what a single resource forgets."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws


class AccountGuardrails(pulumi.ComponentResource):
    """Password policy and no public buckets for the whole account, and the defaults of its home region."""

    def __init__(
        self,
        name: str,
        *,
        ebs_key_arn: pulumi.Input[str],
        account_id: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Set the account's defaults; ``ebs_key_arn`` encrypts the home region's volumes that name no key."""
        super().__init__("secureml:guardrails:AccountGuardrails", name, None, opts)
        under = pulumi.ResourceOptions(parent=self)
        _passwords(name, under)
        aws.s3.AccountPublicAccessBlock(
            f"{name}-buckets",
            account_id=account_id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=under,
        )
        _region(name, ebs_key_arn, under)
        self.register_outputs({})


class RegionGuardrails(pulumi.ComponentResource):
    """The same defaults in one more region: what AWS keeps by region protects no other one."""

    def __init__(
        self, name: str, *, ebs_key_arn: pulumi.Input[str], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Set the defaults of the provider's region; ``ebs_key_arn`` is a key there."""
        super().__init__("secureml:guardrails:RegionGuardrails", name, None, opts)
        _region(name, ebs_key_arn, pulumi.ResourceOptions(parent=self))
        self.register_outputs({})


def _passwords(name: str, under: pulumi.ResourceOptions) -> None:
    """CIS AWS Foundations 1.8 and 1.9, and what PCI DSS 8.3.6 adds."""
    aws.iam.AccountPasswordPolicy(
        f"{name}-passwords",
        minimum_password_length=14,
        password_reuse_prevention=24,
        max_password_age=90,
        require_lowercase_characters=True,
        require_uppercase_characters=True,
        require_numbers=True,
        require_symbols=True,
        allow_users_to_change_password=True,
        opts=under,
    )


def _region(name: str, ebs_key_arn: pulumi.Input[str], under: pulumi.ResourceOptions) -> None:
    """Encrypted volumes, no public snapshots, IMDSv2, no serial console, and an eye on outside access."""
    aws.ebs.EncryptionByDefault(f"{name}-volumes", enabled=True, opts=under)
    aws.ebs.DefaultKmsKey(f"{name}-volumes", key_arn=ebs_key_arn, opts=under)
    aws.ebs.SnapshotBlockPublicAccess(f"{name}-snapshots", state="block-all-sharing", opts=under)
    aws.ec2.InstanceMetadataDefaults(
        f"{name}-metadata",
        http_tokens="required",
        http_put_response_hop_limit=1,
        http_endpoint="enabled",
        instance_metadata_tags="disabled",
        opts=under,
    )
    aws.ec2.SerialConsoleAccess(f"{name}-serial-console", enabled=False, opts=under)
    aws.accessanalyzer.Analyzer(
        f"{name}-analyzer", analyzer_name=f"{name}-external-access", type="ACCOUNT", opts=under
    )
