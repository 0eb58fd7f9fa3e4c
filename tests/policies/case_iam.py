"""Cases of the family IAM."""

from __future__ import annotations

from tests.policies.cases import Case

CASES: list[Case] = []
