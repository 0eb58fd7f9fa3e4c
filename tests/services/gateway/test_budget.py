"""The daily budget: exact under company, kept over restarts, refused while the ledger is away, and cheap to ask."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from services.gateway import budget, ledgers
from services.gateway.budget import Budget
from services.gateway.ledgers import DynamoLedger, Lease, Ledger, LedgerError, SqliteLedger, dynamo, row_id
from services.shared.problems import Problem

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC).timestamp()
TODAY = date(2026, 11, 27)
WHO, MODEL = "ward/triage", "digits"
KEYS = {"aws_access_key_id": "x", "aws_secret_access_key": "x", "region_name": "us-east-1"}


@pytest.fixture(params=["dynamodb", "sqlite"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """Both ledgers, empty: calls to an emulated DynamoDB, and a file."""
    if request.param == "sqlite":
        yield SqliteLedger(tmp_path / "ledger.sqlite")
        return
    with mock_aws():
        yield DynamoLedger(table(), "budgets")


def table() -> Any:
    client = boto3.client("dynamodb", **KEYS)
    client.create_table(
        TableName="budgets",
        KeySchema=[{"AttributeName": "account", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "account", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    update, one_at_a_time = client.update_item, threading.Lock()

    def atomic(**arguments: Any) -> Any:
        # DynamoDB's updates are atomic; two threads in the emulator both find the same count.
        with one_at_a_time:
            return update(**arguments)

    client.update_item = atomic
    return client


LONGEST_WAIT_SECONDS = budget.LONGEST_WAIT_SECONDS


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a ledger on a machine that is busy; how long is too long is tried where it is the question."""
    monkeypatch.setattr(budget, "LONGEST_WAIT_SECONDS", 60)


class Counting:
    """A ledger that counts its calls, and does what a test wants of it before it answers or after."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger, self.calls = ledger, 0
        self.before: Exception | threading.Event | None = None
        self.after: Exception | None = None

    def lease(self, day: date, principal: str, model: str, *, least: int, share: int, most: int) -> Lease:
        self.calls += 1
        if isinstance(self.before, threading.Event):
            self.before.wait(10)
        elif self.before:
            raise self.before
        given = self._ledger.lease(day, principal, model, least=least, share=share, most=most)
        if self.after:
            raise self.after
        return given


class Clock:
    """A clock that stands where it is put."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def replica(ledger: Ledger, clock: Clock | None = None) -> Budget:
    return Budget(ledger, clock=clock or Clock())


async def served(by: Budget, tries: int, most: int, who: str = WHO, n: int = 1) -> int:
    """Return how many of so many queries are served."""

    async def one() -> int:
        try:
            await by.take(who, MODEL, n, most)
        except Problem as problem:
            if problem.status != 429:
                raise
            return 0
        return n

    return sum(await asyncio.gather(*(one() for _ in range(tries))))


def test_a_client_has_so_many_and_no_more(ledger: Ledger) -> None:
    async def run() -> None:
        one = replica(ledger)
        assert [await one.take(WHO, MODEL, 1, 5) for _ in range(5)] == [4, 3, 2, 1, 0]
        with pytest.raises(Problem) as refused:
            await one.take(WHO, MODEL, 1, 5)
        assert (refused.value.status, refused.value.kind) == (429, "budget-exhausted")
        assert refused.value.headers == {"Retry-After": str(12 * 3600)}
        assert refused.value.extra == {"remaining_queries": 0}

    asyncio.run(run())


def test_clients_and_models_have_each_their_own(ledger: Ledger) -> None:
    async def run() -> None:
        one = replica(ledger)
        assert await served(one, 9, 5) == 5
        assert await one.take("ward/other", MODEL, 1, 5) == 4
        assert await one.take(WHO, "spam", 1, 5) == 4

    asyncio.run(run())


def test_several_replicas_at_once_give_the_day_once(ledger: Ledger) -> None:
    """Four replicas are asked for far more than there is; what lies unused is no more than a share at each."""

    async def run() -> None:
        most = 1000
        replicas = [replica(ledger) for _ in range(4)]
        given = sum(await asyncio.gather(*(served(each, 400, most) for each in replicas)))
        share = most // budget.SHARES
        assert most - 4 * share < given <= most
        assert sum([await served(each, share, most) for each in replicas]) <= most - given

    asyncio.run(run())


def test_a_last_share_is_as_large_as_what_is_left(ledger: Ledger) -> None:
    """A day that shares do not divide is given to its end."""

    async def run() -> None:
        assert await served(replica(ledger), 600, 451) == 451

    asyncio.run(run())


def test_no_lease_is_larger_than_the_day(ledger: Ledger) -> None:
    assert ledger.lease(TODAY, WHO, MODEL, least=1, share=50, most=10) == Lease(10, 10)
    assert ledger.lease(TODAY, WHO, MODEL, least=1, share=50, most=12) == Lease(2, 12)
    assert ledger.lease(TODAY, WHO, MODEL, least=2, share=50, most=13) == Lease(0, 12)


def test_a_batch_is_taken_whole_or_not_at_all(ledger: Ledger) -> None:
    async def run() -> None:
        one = replica(ledger)
        assert await one.take(WHO, MODEL, 7, 10) == 3
        with pytest.raises(Problem) as refused:
            await one.take(WHO, MODEL, 4, 10)
        assert refused.value.extra == {"remaining_queries": 3}
        assert await one.take(WHO, MODEL, 3, 10) == 0
        # What can never be covered costs nobody anything.
        with pytest.raises(Problem):
            await one.take("ward/other", MODEL, 11, 10)
        assert await one.take("ward/other", MODEL, 10, 10) == 0

    asyncio.run(run())


def test_a_restart_is_no_new_budget(ledger: Ledger) -> None:
    async def run() -> None:
        assert await served(replica(ledger), 60, 100) == 60
        assert await served(replica(ledger), 60, 100) <= 40

    asyncio.run(run())


def test_what_a_replica_had_taken_is_lost_with_it_and_never_gained(ledger: Ledger) -> None:
    async def run() -> None:
        most = 1000
        for _ in range(5):
            assert await served(replica(ledger), 1, most) == 1
        # Five shares of ten are gone, five queries of them were used.
        assert await served(replica(ledger), 2000, most) == most - 50

    asyncio.run(run())


def test_an_answer_that_was_lost_is_not_counted_as_given(ledger: Ledger) -> None:
    async def run() -> None:
        counting, monotonic = Counting(ledger), Clock(0)
        counting.after = TimeoutError()
        one = Budget(counting, clock=Clock(), monotonic=monotonic)
        for _ in range(3):
            with pytest.raises(Problem) as refused:
                await one.take(WHO, MODEL, 1, 100)
            assert refused.value.status == 503
            monotonic.now += budget.PAUSE_SECONDS
        counting.after = None
        assert await served(one, 200, 100) == 97

    asyncio.run(run())


def test_while_the_ledger_is_away_nobody_is_served(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    async def run() -> None:
        counting, monotonic = Counting(ledger), Clock(0)
        one = Budget(counting, clock=Clock(), monotonic=monotonic)
        counting.before = LedgerError("the table of ward/triage is gone")
        for _ in range(50):
            with pytest.raises(Problem) as refused:
                await one.take(WHO, MODEL, 1, 100)
            assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "2"})
        assert counting.calls == 1, "a ledger that is away is not asked by everybody"
        counting.before = None
        # One client's trouble is not another's.
        assert await one.take("ward/other", MODEL, 1, 100) == 99
        monotonic.now += budget.PAUSE_SECONDS
        assert await one.take(WHO, MODEL, 1, 100) == 99

    asyncio.run(run())
    assert capsys.readouterr().err == "budget: LedgerError; nobody is served on a guess\n"


def test_a_table_that_is_not_there_serves_nobody() -> None:
    async def run() -> None:
        with pytest.raises(Problem) as refused:
            await replica(DynamoLedger(boto3.client("dynamodb", **KEYS), "budgets")).take(WHO, MODEL, 1, 100)
        assert refused.value.status == 503

    with mock_aws():
        asyncio.run(run())


def test_a_file_that_was_taken_away_is_not_a_new_budget(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    ledger = SqliteLedger(path)
    path.unlink()

    async def run() -> None:
        with pytest.raises(Problem) as refused:
            await replica(ledger).take(WHO, MODEL, 1, 100)
        assert refused.value.status == 503

    asyncio.run(run())
    assert not path.exists()


def test_a_ledger_that_hangs_is_asked_once_and_waited_for_no_longer_than_so(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "LONGEST_WAIT_SECONDS", 0.05)
    hanging = threading.Event()

    async def run() -> None:
        counting, monotonic = Counting(ledger), Clock(0)
        counting.before = hanging
        one = Budget(counting, clock=Clock(), monotonic=monotonic)

        async def refused() -> bool:
            with pytest.raises(Problem) as problem:
                await one.take(WHO, MODEL, 1, 100)
            return problem.value.status == 503

        assert all(await asyncio.gather(*(refused() for _ in range(100))))
        monotonic.now += budget.PAUSE_SECONDS
        assert all(await asyncio.gather(*(refused() for _ in range(100))))
        assert counting.calls == 1
        hanging.set()
        monotonic.now += budget.PAUSE_SECONDS
        monkeypatch.setattr(budget, "LONGEST_WAIT_SECONDS", 5)
        # What came late is there for whoever asks next.
        assert await one.take(WHO, MODEL, 1, 100) == 99
        assert counting.calls == 1

    try:
        asyncio.run(run())
    finally:
        hanging.set()


def test_whoever_leaves_does_not_take_along_what_comes_for_the_others(ledger: Ledger) -> None:
    async def run() -> None:
        counting, holding = Counting(ledger), threading.Event()
        counting.before = holding
        one = Budget(counting, clock=Clock())
        first, second = (asyncio.create_task(one.take(WHO, MODEL, 1, 1000)) for _ in range(2))
        await asyncio.sleep(0.01)
        first.cancel()
        await asyncio.sleep(0.01)
        holding.set()
        assert await second == 999
        assert counting.calls == 1
        with pytest.raises(asyncio.CancelledError):
            await first

    asyncio.run(run())


def test_most_queries_cost_no_call(ledger: Ledger) -> None:
    async def run() -> None:
        counting = Counting(ledger)
        one = replica(counting)
        assert await served(one, 5000, 100_000) == 5000
        assert counting.calls <= 5000 // budget.MOST_SHARE + 1
        # Nor does a client who has nothing left, however often he asks.
        await served(one, 20, 10, who="ward/other")
        calls = counting.calls
        assert await served(one, 500, 10, who="ward/other") == 0
        assert counting.calls == calls

    asyncio.run(run())


def test_at_midnight_everybody_begins_anew_and_takes_nothing_along(ledger: Ledger) -> None:
    async def run() -> None:
        clock = Clock(datetime(2026, 11, 27, 23, 59, 59, 400_000, tzinfo=UTC).timestamp())
        one = replica(ledger, clock)
        assert await served(one, 12, 10) == 10
        with pytest.raises(Problem) as refused:
            await one.take(WHO, MODEL, 1, 10)
        assert refused.value.headers["Retry-After"] == "1"
        clock.now += 1
        # A share of yesterday is not added to today's.
        assert await one.take("ward/other", MODEL, 1, 1000) == 999
        assert await served(one, 12, 10) == 10
        # A clock that is put back finds yesterday as it was.
        clock.now -= 1
        assert await served(one, 12, 10) == 0
        assert await served(replica(ledger, clock), 12, 10) == 0

    asyncio.run(run())


def test_a_share_that_arrives_after_midnight_belongs_to_yesterday(ledger: Ledger) -> None:
    async def run() -> None:
        clock = Clock(datetime(2026, 11, 27, 23, 59, 59, tzinfo=UTC).timestamp())
        counting, holding = Counting(ledger), threading.Event()
        counting.before = holding
        one = replica(counting, clock)
        late = asyncio.create_task(one.take(WHO, MODEL, 1, 1000))
        await asyncio.sleep(0.01)
        clock.now += 2
        holding.set()
        assert await late == 999
        assert counting.calls == 2
        assert await served(one, 1100, 1000) == 999

    asyncio.run(run())


HOSTILE = [
    "a/b",
    "a/b#digits",
    'a","b',
    "a\x00b",
    "a\nb",
    "A/B",
    "a/b ",
    "\N{CYRILLIC SMALL LETTER A}/b",
    "\ud800",
    "x" * 100_000,
    "x" * 100_001,
    "",
    "'; DROP TABLE taken; --",
]


def test_no_name_reaches_into_the_budget_of_another(ledger: Ledger) -> None:
    async def run() -> None:
        one = replica(ledger)
        for who in HOSTILE:
            assert await one.take(who, MODEL, 3, 3) == 0, who[:20]
        for who in HOSTILE:
            with pytest.raises(Problem):
                await one.take(who, MODEL, 1, 3)

    asyncio.run(run())
    names = {row_id(day, who, model) for day in (TODAY,) for who in HOSTILE for model in ("a", 'a", "a')}
    assert len(names) == 2 * len(HOSTILE)
    assert {len(name) for name in names} == {64}


def test_a_budget_that_is_lowered_holds_at_once(ledger: Ledger) -> None:
    async def run() -> None:
        one = replica(ledger)
        await one.take(WHO, MODEL, 1, 100_000)
        # A share of a thousand lies here, of which one was used; twenty are allowed now.
        assert await served(one, 50, 20) == 19
        assert await served(replica(ledger), 50, 20) == 0

    asyncio.run(run())


def test_what_is_remembered_is_bounded(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "MOST_KEPT", 20)

    async def run() -> None:
        one = replica(ledger)
        for number in range(100):
            await one.take(f"ward/{number}", MODEL, 1, 2)
        assert len(one._shares) == 20
        # Forgotten is not forgiven: the ledger knows.
        assert await served(one, 5, 2, who="ward/0") == 1

    asyncio.run(run())


def test_no_queries_are_no_query(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="are none"):
        asyncio.run(replica(ledger).take(WHO, MODEL, -5, 10))


def test_rows_in_the_table_say_when_they_may_go() -> None:
    with mock_aws():
        client = table()
        DynamoLedger(client, "budgets").lease(TODAY, WHO, MODEL, least=1, share=10, most=100)
        (row,) = client.scan(TableName="budgets")["Items"]
    forget_at = datetime.fromtimestamp(int(row["forget_at"]["N"]), UTC)
    assert forget_at == datetime(2026, 11, 30, tzinfo=UTC), "two whole days after its own"
    assert {name: row[name]["S"] for name in ("day", "model", "principal")} == {
        "day": "2026-11-27",
        "model": MODEL,
        "principal": WHO,
    }
    assert row["account"]["S"] == row_id(TODAY, WHO, MODEL)


def test_rows_in_the_file_go_when_they_are_old(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.sqlite")
    for back in (9, 3, 2, 0):
        ledger.lease(TODAY - timedelta(days=back), WHO, MODEL, least=1, share=1, most=1)
    connection = sqlite3.connect(tmp_path / "ledger.sqlite")
    days = {day for (day,) in connection.execute("SELECT day FROM taken")}
    connection.close()
    assert days == {"2026-11-25", "2026-11-27"}


def test_the_file_is_its_owners_alone_and_must_be_a_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    SqliteLedger(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    odd = tmp_path / "notes.txt"
    odd.write_text("no database, and no budget either" * 99)
    for wrong in (odd, tmp_path, tmp_path / "nowhere" / "ledger.sqlite"):
        with pytest.raises(LedgerError, match=r"cannot hold the budget: [^\n]+$"):
            SqliteLedger(wrong)


SPENDS = """
import sqlite3, sys
from datetime import date
from pathlib import Path
from services.gateway.ledgers import SqliteLedger

def granted(ledger):
    while True:
        try:
            return ledger.lease(date(2026, 11, 27), "ward/triage", "digits", least=1, share=3, most=500).granted
        except sqlite3.OperationalError:  # the disk was slow and others were first: its caller asks again
            pass

ledger = SqliteLedger(Path(sys.argv[1]))
print(sum(granted(ledger) for _ in range(100)))
"""


def test_processes_that_share_a_file_give_the_day_once(tmp_path: Path) -> None:
    spend = [sys.executable, "-c", SPENDS, str(tmp_path / "ledger.sqlite")]
    with ThreadPoolExecutor(3) as workers:
        runs = workers.map(
            lambda _: subprocess.run(spend, capture_output=True, text=True, timeout=300), range(3)
        )
        ended = list(runs)
    assert [run.stderr for run in ended] == ["", "", ""]
    assert sum(int(run.stdout) for run in ended) == 500


def test_a_start_waits_for_the_files_other_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledgers, "_CALL_SECONDS", 0)
    path = tmp_path / "ledger.sqlite"
    ledger = SqliteLedger(path)
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            ledger.lease(TODAY, "ward/triage", "digits", least=1, share=3, most=500)
        leaves = threading.Timer(0.3, other.execute, ["COMMIT"])
        leaves.start()
        SqliteLedger(path)
        leaves.join()


def test_the_client_of_the_table_waits_for_no_longer_than_a_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setitem(os.environ, name, "x")
    config = dynamo("budgets", "us-east-1")._client.meta.config
    assert config.connect_timeout <= LONGEST_WAIT_SECONDS
    assert config.read_timeout <= LONGEST_WAIT_SECONDS
    assert config.retries["total_max_attempts"] == 2


def test_the_file_is_waited_for_no_longer_than_a_caller_waits() -> None:
    assert ledgers._CALL_SECONDS <= LONGEST_WAIT_SECONDS
