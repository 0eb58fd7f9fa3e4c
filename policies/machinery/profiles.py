"""The least that each legal regime asks for, in numbers, with their sources.

The settings of the stacks have a table of their own. These two share no code on purpose: a mistake in one is
caught by the other, and a test holds them against each other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

LockMode = Literal["GOVERNANCE", "COMPLIANCE"]


@dataclass(frozen=True, kw_only=True)
class Floors:
    """Least values; days are calendar days."""

    log_retention_days: int = 90
    """CIS AWS Foundations asks for 90 days of log metric evidence; NERC CIP-007 R4.3 names the same number."""
    audit_lock_days: int = 90
    lock_mode: LockMode = "GOVERNANCE"
    backup_retention_days: int = 7
    """FSBP RDS.11."""
    key_deletion_days: int = 14
    zones: int = 2
    standby_database: bool = False
    nat_per_zone: bool = False
    replicated_buckets: bool = False
    deletion_protection: bool = True
    classified: bool = False
    """Somebody looks through the data buckets for personal data (Macie)."""
    standards: tuple[str, ...] = ()
    """What Security Hub holds the account against, beside FSBP and CIS, as its ARNs name it."""


_NIST = ("nist-800-53",)
_PCI = ("pci-dss",)

_REGULATED = Floors(
    log_retention_days=365,
    audit_lock_days=365,
    backup_retention_days=30,
    standby_database=True,
    nat_per_zone=True,
    replicated_buckets=True,
    classified=True,
)

_PROFILES: dict[str, Floors] = {
    "baseline": Floors(),
    # 45 CFR 164.316(b)(2)(i): documentation is kept for six years. NIST SP 800-66r2, appendix D, says the Security
    # Rule in terms of SP 800-53.
    "hipaa": replace(_REGULATED, log_retention_days=2192, audit_lock_days=2192, standards=_NIST),
    # PCI DSS 4.0, 10.5.1: audit trail history for at least twelve months.
    "pci": replace(_REGULATED, standards=_PCI),
    # The GDPR names no number; twelve months let an investigation look back a year (article 33).
    "gdpr": _REGULATED,
    # SEC 17a-4(b) and (f): six years, in a form that nobody can rewrite or erase.
    "finance": replace(_REGULATED, log_retention_days=2192, audit_lock_days=2192, lock_mode="COMPLIANCE"),
    # 34 CFR 99.32: the record of disclosures is kept as long as the education record; a year is the floor.
    "education": _REGULATED,
    # OMB M-21-31: twelve months active and eighteen cold, thirty in all; 1096 is CloudWatch's next step. FedRAMP's
    # baselines are those of SP 800-53.
    "government": replace(
        _REGULATED,
        log_retention_days=1096,
        audit_lock_days=1096,
        lock_mode="COMPLIANCE",
        standards=_NIST,
    ),
    # NERC CIP evidence retention: three calendar years. What it guards are systems, not persons.
    "energy": replace(_REGULATED, log_retention_days=1096, audit_lock_days=1096, classified=False),
}

STRICTEST = Floors(
    log_retention_days=2192,
    audit_lock_days=2192,
    lock_mode="COMPLIANCE",
    backup_retention_days=30,
    key_deletion_days=30,
    zones=3,
    standby_database=True,
    nat_per_zone=True,
    replicated_buckets=True,
    classified=True,
    standards=(*_NIST, *_PCI),
)


def floors_of(profile: str, environment: str) -> Floors:
    """Return the floors of a profile in an environment; an unknown profile gets the strictest.

    ``prod`` adds three zones and the longest waiting time that KMS knows before a key is deleted (30 days).
    """
    floors = _PROFILES.get(profile, STRICTEST)
    return replace(floors, zones=3, key_deletion_days=30) if environment == "prod" else floors
