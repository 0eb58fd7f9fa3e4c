"""Account-wide defaults that catch what a single resource forgets."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws


class AccountGuardrails(pulumi.ComponentResource):
    """Password policy, encrypted volumes, no public buckets or snapshots, IMDSv2, and an eye on outside access."""

    def __init__(
        self,
        name: str,
        *,
        ebs_key_arn: pulumi.Input[str],
        account_id: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Set the account's defaults in the provider's region; ``ebs_key_arn`` encrypts volumes that name no key."""
        super().__init__("secureml:guardrails:AccountGuardrails", name, None, opts)
        self._name = name
        self._under = pulumi.ResourceOptions(parent=self)
        self._passwords()
        self._volumes(ebs_key_arn)
        self._nothing_public(account_id)
        aws.ec2.InstanceMetadataDefaults(
            f"{name}-metadata",
            http_tokens="required",
            http_put_response_hop_limit=1,
            http_endpoint="enabled",
            instance_metadata_tags="disabled",
            opts=self._under,
        )
        aws.accessanalyzer.Analyzer(
            f"{name}-analyzer", analyzer_name=f"{name}-external-access", type="ACCOUNT", opts=self._under
        )
        self.register_outputs({})

    def _passwords(self) -> None:
        """CIS AWS Foundations 1.8 and 1.9, and what PCI DSS 8.3.6 adds."""
        aws.iam.AccountPasswordPolicy(
            f"{self._name}-passwords",
            minimum_password_length=14,
            password_reuse_prevention=24,
            max_password_age=90,
            require_lowercase_characters=True,
            require_uppercase_characters=True,
            require_numbers=True,
            require_symbols=True,
            allow_users_to_change_password=True,
            opts=self._under,
        )

    def _volumes(self, ebs_key_arn: pulumi.Input[str]) -> None:
        aws.ebs.EncryptionByDefault(f"{self._name}-volumes", enabled=True, opts=self._under)
        aws.ebs.DefaultKmsKey(f"{self._name}-volumes", key_arn=ebs_key_arn, opts=self._under)

    def _nothing_public(self, account_id: str) -> None:
        aws.s3.AccountPublicAccessBlock(
            f"{self._name}-buckets",
            account_id=account_id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=self._under,
        )
        aws.ebs.SnapshotBlockPublicAccess(
            f"{self._name}-snapshots", state="block-all-sharing", opts=self._under
        )
