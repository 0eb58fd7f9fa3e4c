"""Cases of the family ACC."""

from __future__ import annotations

from tests.policies.cases import Case

CASES: list[Case] = []
