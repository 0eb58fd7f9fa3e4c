"""What each legal regime asks of the settings, as data: a setting under its floor is an error.

The policy pack keeps its own table (``policies/machinery/profiles.py``) and shares none of this code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

LockMode = Literal["GOVERNANCE", "COMPLIANCE"]


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Floors in calendar days, what must be redundant, and the rule that the retention comes from."""

    log_days: int
    audit_days: int
    database_backup_days: int
    source: str
    lock_mode: LockMode = "GOVERNANCE"
    redundant: bool = True
    """Standby database, NAT per zone, replicated buckets."""


_YEAR = Profile(
    log_days=365,
    audit_days=365,
    database_backup_days=30,
    source="PCI DSS 4.0, 10.5.1: twelve months of audit trail",
)

PROFILES: Mapping[str, Profile] = {
    "baseline": Profile(
        log_days=90,
        audit_days=90,
        database_backup_days=7,
        redundant=False,
        source="FSBP RDS.11 and CIS AWS Foundations",
    ),
    "hipaa": replace(_YEAR, log_days=2192, audit_days=2192, source="45 CFR 164.316(b)(2)(i): six years"),
    "pci": _YEAR,
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
        source="OMB M-21-31: thirty months",
    ),
    "energy": replace(
        _YEAR, log_days=1096, audit_days=1096, source="NERC CIP: three calendar years of evidence"
    ),
}

PROD_ZONES = 3
PROD_KEY_DELETION_DAYS = 30
"""The longest waiting time that KMS knows (AWS KMS, "Deleting AWS KMS keys")."""
