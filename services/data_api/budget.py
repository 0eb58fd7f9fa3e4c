"""The privacy budget: charged before the query or training runs, in one statement, and kept if that fails."""

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

    async def release(
        self, dataset: Dataset, principal: str, release: str, *, milli: int, pico_delta: int, request_id: str
    ) -> tuple[bool, int]:
        """Charge a model that is about to be trained, once; say whether now, and what remains for this caller.

        Args:
            dataset: What it is trained on.
            principal: Who trains.
            release: Names the model: the same name is the same model, to the bit.
            milli: Thousandths of epsilon.
            pico_delta: Trillionths of delta.
            request_id: Of the request.

        Raises:
            Problem: 429, too little remains, or 409, the name was charged for something else; nothing was charged.
        """
        async with self._database.connection() as connection:
            row = await connection.fetchrow(
                "SELECT outcome, remaining FROM budget.spend_release($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                dataset.name,
                principal,
                release,
                milli,
                pico_delta,
                dataset.budget.caller_milli_epsilon,
                dataset.budget.dataset_milli_epsilon,
                dataset.budget.dataset_pico_delta,
                request_id,
            )
        outcome = None if row is None else row["outcome"]
        if row is not None and outcome in ("charged", "already"):
            return outcome == "charged", int(row["remaining"])
        if outcome == "different":
            raise Problem(409, "another-release", "That release was charged before, for something else.")
        raise Problem(
            429,
            "budget-exhausted",
            "The privacy budget does not cover this training.",
            remaining_milli_epsilon=0 if row is None else int(row["remaining"]),
            cost_milli_epsilon=milli,
        )

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
