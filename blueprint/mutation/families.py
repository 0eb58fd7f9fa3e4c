"""Which families of controls speak of which type: a mutant counts as killed only by one that should know of it."""

from __future__ import annotations

from collections.abc import Mapping

HOME: Mapping[str, tuple[str, ...]] = {
    "aws:accessanalyzer/": ("IAM",),
    "aws:acm/": ("EDG",),
    "aws:apigatewayv2/": ("EDG", "NET"),
    "aws:athena/": ("AUD", "KEY"),
    "aws:autoscaling/": ("ACC", "NET", "EKS"),
    "aws:backup/": ("RED", "IAM"),
    "aws:budgets/": ("GPU",),
    "aws:cfg/": ("AUD", "RES", "KEY"),
    "aws:cloudfront/": ("EDG", "NET", "AUD"),
    "aws:cloudtrail/": ("AUD", "MLS"),
    "aws:cloudwatch/": ("AUD", "ACC", "RED", "MLS", "NET", "EDG"),
    "aws:dynamodb/": ("DAT", "KEY", "RED"),
    "aws:ebs/": ("ACC", "KEY", "IAM", "DAT", "EKS"),
    "aws:ec2/launchTemplate:": ("ACC", "EKS", "GPU", "KEY", "NET"),
    "aws:ec2/instanceMetadataDefaults:": ("ACC", "IAM"),
    "aws:ec2/serialConsoleAccess:": ("ACC", "IAM"),
    "aws:ec2/flowLog:": ("NET", "AUD"),
    "aws:ec2/": ("NET", "ACC", "GPU", "DAT", "EKS", "EDG"),
    "aws:ecr/": ("EKS", "KEY", "IAM", "STO"),
    "aws:eks/": ("EKS", "GPU", "NET", "AUD"),
    "aws:efs/": ("KEY", "DAT"),
    "aws:elasticache/": ("KEY", "DAT", "NET"),
    "aws:glue/": ("AUD",),
    "aws:guardduty/": ("AUD",),
    "aws:iam/": ("IAM", "RES"),
    "aws:inspector2/": ("AUD", "EKS"),
    "aws:kinesis/": ("AUD", "KEY"),
    "aws:kms/": ("KEY", "MLS", "EKS", "RED"),
    "aws:lambda/": ("EDG", "ACC", "KEY", "IAM"),
    "aws:lb/": ("EDG", "NET", "AUD"),
    "aws:macie2/": ("AUD", "STO"),
    "aws:opensearch/": ("KEY", "NET", "DAT"),
    "aws:redshift/": ("KEY", "NET", "DAT"),
    "aws:rds/": ("DAT", "KEY", "NET", "AUD", "RED"),
    "aws:route53/": ("EDG", "AUD", "NET"),
    "aws:s3/": ("STO", "AUD", "RED", "MLS", "KEY", "RES"),
    "aws:sagemaker/": ("MLS", "NET", "ACC", "GPU", "KEY"),
    "aws:secretsmanager/": ("DAT", "KEY"),
    "aws:ssm/": ("ACC", "DAT", "KEY"),
    "tls:": ("ACC",),
    "aws:scheduler/": ("EDG",),
    "aws:securityhub/": ("AUD",),
    "aws:sns/": ("AUD", "KEY", "IAM"),
    "aws:sqs/": ("KEY", "IAM", "EDG", "AUD"),
    "aws:vpc/": ("NET", "ACC", "DAT", "EKS", "GPU", "EDG", "MLS"),
    "aws:wafv2/": ("EDG", "MLS", "AUD"),
    "kubernetes:": ("EKS", "GPU", "MLS", "RED", "EDG"),
    "pulumi:providers:": ("RES",),
}
"""By the beginning of a type; the longest that fits decides."""


def home(type_: str) -> frozenset[str]:
    """Return the families that speak of a type."""
    fitting = [prefix for prefix in HOME if type_.startswith(prefix)]
    return frozenset(HOME[max(fitting, key=len)]) if fitting else frozenset()
