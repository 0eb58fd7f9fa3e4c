"""Cases of the family RES."""

from __future__ import annotations

from tests.policies.cases import Case

CASES: list[Case] = []
