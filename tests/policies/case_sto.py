"""Cases of the family STO."""

from __future__ import annotations

from tests.policies.cases import Case

CASES: list[Case] = []
