"""The privacy budget: charged before the query runs, in one statement, and kept if the query fails."""

from __future__ import annotations

from services.data_api.database import Database
from services.data_api.declarations import Dataset
from services.shared.problems import Problem


class Ledger:
    """The ledger in the database. Pure epsilons add up (OpenDP's sequential composition), in whole thousandths."""

    def __init__(self, database: Database) -> None:
        """Take the database."""
        self._database = database

    async def charge(self, dataset: Dataset, principal: str, milli: int, request_id: str) -> int:
        """Charge, and return what remains for this caller, in thousandths of epsilon.

        Raises:
            Problem: 429, too little remains; nothing was charged.
        """
        async with self._database.connection() as connection:
            row = await connection.fetchrow(
                "SELECT charged, remaining FROM budget.spend($1, $2, $3, $4, $5, $6)",
                dataset.name,
                principal,
                milli,
                dataset.budget.caller_milli_epsilon,
                dataset.budget.dataset_milli_epsilon,
                request_id,
            )
        if row is None or not row["charged"]:
            remaining = 0 if row is None else int(row["remaining"])
            raise Problem(
                429,
                "budget-exhausted",
                "The privacy budget does not cover this query.",
                remaining_milli_epsilon=remaining,
                cost_milli_epsilon=milli,
            )
        return int(row["remaining"])

    async def remaining(self, dataset: Dataset, principal: str) -> int:
        """Return what this caller may still spend, in thousandths of epsilon."""
        async with self._database.connection() as connection:
            return int(
                await connection.fetchval(
                    "SELECT budget.remaining($1, $2, $3, $4)",
                    dataset.name,
                    principal,
                    dataset.budget.caller_milli_epsilon,
                    dataset.budget.dataset_milli_epsilon,
                )
            )
