"""The numbering of the frameworks that controls refer to: enough to tell an id from a slip of the pen.

CIS AWS 3.0 and the services of FSBP as in Prowler's compliance files; MITRE ATLAS 5.6.0.
"""

from __future__ import annotations

import re

_CIS = (
    *(f"1.{n}" for n in range(1, 23)),
    *(f"2.1.{n}" for n in range(1, 5)),
    "2.2.1",
    *(f"2.3.{n}" for n in range(1, 4)),
    "2.4.1",
    *(f"3.{n}" for n in range(1, 10)),
    *(f"4.{n}" for n in range(1, 17)),
    *(f"5.{n}" for n in range(1, 7)),
)

_SERVICES = [
    "APIGateway",
    "Athena",
    "Backup",
    "CloudFront",
    "CloudTrail",
    "CloudWatch",
    "CodeBuild",
    "Config",
    "DynamoDB",
    "EC2",
    "ECR",
    "ECS",
    "EKS",
    "ELB",
    "GuardDuty",
    "IAM",
    "Inspector",
    "KMS",
    "Lambda",
    "Macie",
    "RDS",
    "S3",
    "SageMaker",
    "SecretsManager",
    "SNS",
    "SQS",
    "SSM",
    "WAF",
]

_NIST_FAMILIES = [
    "AC",
    "AT",
    "AU",
    "CA",
    "CM",
    "CP",
    "IA",
    "IR",
    "MA",
    "MP",
    "PE",
    "PL",
    "PM",
    "PS",
    "PT",
    "RA",
    "SA",
    "SC",
    "SI",
    "SR",
]

_HIPAA = (
    r"164\.308\(a\)\([1-8]\)(?:\(i{1,3}\)|\(i{1,3}\)\([A-D]\))?",
    r"164\.308\(b\)\([1-3]\)",
    r"164\.31[02]\([a-e]\)(?:\([12]\)(?:\(i{1,3}v?|iv\))?)?",
    r"164\.312\(a\)\(2\)\(iv\)",
    r"164\.316\(b\)\(2\)\(i{1,3}\)",
)

FORMS: dict[str, re.Pattern[str]] = {
    "cis": re.compile("|".join(map(re.escape, _CIS))),
    "fsbp": re.compile(rf"(?:{'|'.join(_SERVICES)})\.[1-9]\d{{0,2}}"),
    "nist": re.compile(rf"(?:{'|'.join(_NIST_FAMILIES)})-[1-9]\d?(?:\([1-9]\d?\))?"),
    "hipaa": re.compile("|".join(_HIPAA)),
    "pci": re.compile(r"(?:[1-9]|1[0-2])\.[1-9]\d?\.[1-9]\d?(?:\.[1-9])?"),
    "atlas": re.compile(r"AML\.(?:M00(?:[0-2]\d|3[0-4])|T0(?:0\d\d|1[01]\d)(?:\.00\d)?)"),
    "owasp_ml": re.compile(r"ML(?:0[1-9]|10)"),
    "kubernetes": re.compile(r"5\.[1-7]\.[1-9]\d?"),
    "aws_ai": re.compile(r"AISF-(?:INFRA|IAM|DATA|AI|AGENT|ML|DETECT|GOV|RUNTIME|MODEL)-\d\d"),
    "ml_lens": re.compile(r"MLSEC-?\d\d(?:-BP\d\d)?"),
}
