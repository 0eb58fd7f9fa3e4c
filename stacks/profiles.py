"""What each legal regime asks of the settings, as data: a setting under its floor is an error.

The policy pack keeps its own table (``policies/machinery/profiles.py``) and shares none of this code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from components.detectors import Standard

LockMode = Literal["GOVERNANCE", "COMPLIANCE"]


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Floors in calendar days, what must be redundant, and the rule that the retention comes from."""

    log_days: int
    audit_days: int
    backup_days: int
    source: str
    lock_mode: LockMode = "GOVERNANCE"
    redundant: bool = True
    """Standby database, NAT per zone, replicated buckets."""
    standards: tuple[Standard, ...] = ("fsbp", "cis")
    """What Security Hub holds the account against."""
    classified: bool = True
    """Macie looks through the data bucket for personal data."""


_YEAR = Profile(
    log_days=365,
    audit_days=365,
    backup_days=30,
    source="PCI DSS 4.0, 10.5.1: twelve months of audit trail",
)

_WITH_NIST: tuple[Standard, ...] = ("fsbp", "cis", "nist")

PROFILES: Mapping[str, Profile] = {
    "baseline": Profile(
        log_days=90,
        audit_days=90,
        backup_days=7,
        redundant=False,
        classified=False,
        source="FSBP RDS.11 and CIS AWS Foundations",
    ),
    "hipaa": replace(
        _YEAR,
        log_days=2192,
        audit_days=2192,
        # NIST SP 800-66r2, appendix D: the Security Rule in terms of SP 800-53.
        standards=_WITH_NIST,
        source="45 CFR 164.316(b)(2)(i): six years",
    ),
    "pci": replace(_YEAR, standards=("fsbp", "cis", "pci")),
    "gdpr": replace(_YEAR, source="a year to look back on after a breach (GDPR article 33 names no number)"),
    "finance": replace(
        _YEAR,
        log_days=2192,
        audit_days=2192,
        lock_mode="COMPLIANCE",
        source="SEC 17a-4(b) and (f): six years, neither rewritable nor erasable",
    ),
    "education": replace(_YEAR, source="34 CFR 99.32: the record of disclosures"),
    "government": replace(
        _YEAR,
        log_days=1096,
        audit_days=1096,
        lock_mode="COMPLIANCE",
        # FedRAMP's baselines are those of SP 800-53.
        standards=_WITH_NIST,
        source="OMB M-21-31: thirty months",
    ),
    "energy": replace(
        _YEAR,
        log_days=1096,
        audit_days=1096,
        # What NERC CIP guards are systems, not persons.
        classified=False,
        source="NERC CIP: three calendar years of evidence",
    ),
}

PROD_ZONES = 3
PROD_KEY_DELETION_DAYS = 30
"""The longest waiting time that KMS knows (AWS KMS, "Deleting AWS KMS keys")."""
