"""The application: authenticate, decide, write down, and only then answer."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Path, Request
from fastapi.security import HTTPBearer
from prometheus_client import Counter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from services.data_api import dummy, private, query
from services.data_api.audit import KEY_PURPOSE, Audit
from services.data_api.authorisation import Policies
from services.data_api.budget import Ledger
from services.data_api.cursors import Cursors
from services.data_api.database import Database
from services.data_api.declarations import Dataset, load
from services.data_api.masking import Masker
from services.data_api.settings import Settings, root_secret
from services.data_api.streaming import ARROW, JSON_LINES, ArrowLines, Block, JsonLines, Read, Reader
from services.shared.audit_chain import canonical
from services.shared.entrance import Entrance, event, refusal
from services.shared.keys import derived
from services.shared.limits import Patience, Places
from services.shared.log_group import log_group
from services.shared.problems import Problem
from services.shared.tokens import Caller
from services.shared.web import Counted, Metrics, add_common, problems

Purpose = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}$", examples=["research"])]
DatasetName = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
_bearer = Depends(HTTPBearer(auto_error=False))


class RecordsQuery(BaseModel):
    """Which rows and columns, for which purpose, from where on."""

    model_config = ConfigDict(extra="forbid")
    purpose: Purpose
    columns: (
        Annotated[list[Annotated[str, Field(max_length=63)]], Field(min_length=1, max_length=256)] | None
    ) = None
    filters: Annotated[list[query.Filter], Field(max_length=32)] = []
    limit: Annotated[int, Field(ge=1)] = 1000
    cursor: Annotated[str, Field(max_length=4096)] | None = None


class AggregateQuery(private.Aggregate):
    """An aggregate, and its purpose."""

    purpose: Purpose


class Release(BaseModel):
    """A model that is about to be trained privately: which, and what it may reveal."""

    model_config = ConfigDict(extra="forbid")
    purpose: Purpose
    release: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    """A digest of data, job and noise: the same digest is the same model and is charged once."""
    milli_epsilon: Annotated[int, Field(ge=1, le=1_000_000)]
    pico_delta: Annotated[int, Field(ge=1, lt=10**12)]


class DummyQuery(BaseModel):
    """How many made-up rows, and an aggregate to try on them."""

    model_config = ConfigDict(extra="forbid")
    rows: Annotated[int, Field(ge=1, le=1000)] = 10
    aggregate: private.Aggregate | None = None


@dataclass(frozen=True, kw_only=True)
class Access:
    """One access that was allowed, or is about to be refused."""

    caller: Caller
    address: str
    request_id: str
    dataset: Dataset
    action: str
    purpose: str | None

    def event(self, phase: str, **more: Any) -> dict[str, Any]:
        """Return its event."""
        return {
            "phase": phase,
            **event(self.request_id, self.caller.principal, self.address, self.action),
            "dataset": self.dataset.name,
            "purpose": self.purpose,
            **more,
        }


class Service:
    """Everything that a request needs, made once."""

    def __init__(self, settings: Settings, *, log: int = 1) -> None:
        """Read declarations, policies and secrets.

        Args:
            settings: What the environment says.
            log: File descriptor that audit events are shipped to.
        """
        root = root_secret(settings)
        audit_key = derived(root, KEY_PURPOSE)
        self.settings = settings
        self.datasets = load(settings.datasets_folder)
        self.policies = Policies(settings.policies_folder)
        self.database = Database(settings)
        self.audit = Audit(
            self.database, audit_key, log, log_group=log_group(settings.audit_log_group, settings.aws_region)
        )
        self.ledger = Ledger(self.database)
        self.cursors = Cursors(derived(root, "cursors"))
        self.reader = Reader(self.database, Masker(root), self.cursors)
        limits = settings.limits
        self.entrance = Entrance(settings, requests_per_second=limits.requests_per_second, burst=limits.burst)
        self.places = Places(limits.concurrent_queries)
        self._digest_key = audit_key
        self.metrics = Metrics("data_api")
        self.rows = Counter("data_api_rows", "Rows that were sent", registry=self.metrics.registry)

    def digest(self, filters: list[query.Filter]) -> str:
        """Return a keyed digest of filters: equal ones can be told, and their values cannot."""
        text = canonical({"filters": [f.model_dump(mode="json") for f in filters]})
        return hmac.new(self._digest_key, text.encode(), hashlib.sha256).hexdigest()

    async def access(self, request: Request, action: str, name: str, *, purpose: str | None = None) -> Access:
        """Return an access that may go on.

        Raises:
            Problem: 401, 403, 429 or 503; a refusal is written down first.
        """
        caller, address, request_id = await self.signed_in(request, action)
        dataset = self.datasets.get(name)
        allowed = self.policies.allows(caller, action, name, dataset, purpose=purpose, address=address)
        if not allowed or dataset is None:
            refused = refusal("not-allowed", request_id, caller.principal, address, action)
            await self._refused({**refused, "dataset": name, "purpose": purpose})
            raise Problem(403, "not-allowed", "You may not do this.")
        return Access(
            caller=caller,
            address=address,
            request_id=request_id,
            dataset=dataset,
            action=action,
            purpose=purpose,
        )

    async def signed_in(self, request: Request, action: str) -> tuple[Caller, str, str]:
        """Return the caller, their address and the request's id."""
        address, request_id = self.entrance.address(request), secrets.token_hex(16)
        caller = await self.entrance.caller(request, action, address, request_id, refused=self._refused)
        return caller, address, request_id

    async def _refused(self, refused: dict[str, Any]) -> None:
        await self.audit.write({"phase": "refused", **refused})


_USUAL = problems(400, 401, 403, 408, 413, 422, 429, 503)
router = APIRouter(prefix="/v1/datasets", dependencies=[_bearer], responses=_USUAL)


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


@router.get("", response_model=None)
async def datasets(request: Request) -> dict[str, Any]:
    """List the datasets that the caller may see."""
    service = _service(request)
    caller, address, request_id = await service.signed_in(request, "list")
    seen = [
        {"name": d.name, "title": d.title, "purposes": d.purposes}
        for d in service.datasets.values()
        if service.policies.allows(caller, "list", d.name, d, purpose=None, address=address)
    ]
    opened = event(request_id, caller.principal, address, "list")
    await service.audit.write({"phase": "opened", **opened, "rows": len(seen)})
    return {"datasets": seen}


@router.get("/{dataset}", response_model=None)
async def schema(request: Request, dataset: DatasetName) -> dict[str, Any]:
    """Describe a dataset: columns, types, masks, key, bounds."""
    service = _service(request)
    access = await service.access(request, "schema", dataset)
    await service.audit.write(access.event("opened"))
    d = access.dataset
    return {
        "name": d.name,
        "title": d.title,
        "purposes": d.purposes,
        "key": d.key,
        "privacy_unit": d.privacy.unit,
        "columns": {
            name: {
                "type": c.type,
                "classification": c.classification,
                "mask": c.mask.kind if c.mask else None,
                "nullable": c.nullable,
                "bounds": c.bounds,
                "categories": c.categories,
            }
            for name, c in d.columns.items()
        },
    }


_STREAMS = {
    "content": {
        ARROW: {"schema": {"type": "string", "format": "binary"}},
        JSON_LINES: {"schema": {"type": "string"}},
    }
}


@router.post(
    "/{dataset}/records",
    response_class=Response,
    responses={**problems(406), 200: {"description": "Rows, masked", **_STREAMS}},
)
async def records(request: Request, dataset: DatasetName, asked: RecordsQuery) -> Response:
    """Stream rows as JSON lines or as an Arrow IPC stream, as Accept says."""
    service = _service(request)
    access = await service.access(request, "records", dataset, purpose=asked.purpose)
    media = _media(request)
    if asked.limit > service.settings.limits.rows:
        raise Problem(
            413, "too-much", f"Ask for {service.settings.limits.rows} rows at most, and go on by cursor."
        )
    d = access.dataset
    columns = query.chosen(d, asked.columns)
    digest = service.digest(asked.filters)
    bound_to = canonical(
        {"p": access.caller.principal, "d": d.name, "c": columns, "f": digest, "u": asked.purpose}
    )
    read = Read(
        dataset=d,
        columns=columns,
        conditions=query.checked(d, asked.filters),
        after=service.cursors.opened(asked.cursor, bound_to) if asked.cursor else None,
        limit=asked.limit,
        bound_to=bound_to,
    )
    held = ExitStack()
    held.enter_context(service.places.one(access.caller.principal))
    try:
        await service.audit.write(access.event("opened", columns=columns, filter_digest=digest))
        blocks = service.reader.blocks(read)
        # The first block is here before the answer begins: until then an error has its own status.
        first = await anext(blocks)
    except BaseException as error:
        held.close()
        service.audit.write_later(access.event("completed", rows=0, outcome=type(error).__name__))
        raise
    return Stream(service, access, read, first, blocks, media, held.close)


def _media(request: Request) -> str:
    accepted = [part.split(";")[0].strip() for part in request.headers.get("accept", "*/*").split(",")]
    for media in accepted:
        if media in (ARROW, JSON_LINES):
            return media
        # What asks for JSON (curl --json does) gets it line by line.
        if media in ("*/*", "application/*", "application/json"):
            return JSON_LINES
    raise Problem(406, "not-acceptable", f"Accept {ARROW} or {JSON_LINES}.")


class Stream(Response):
    """Sends blocks as they come, and completes the event whatever happens."""

    def __init__(
        self,
        service: Service,
        access: Access,
        read: Read,
        first: Block,
        blocks: AsyncIterator[Block],
        media: str,
        release: Callable[[], None],
    ) -> None:
        """Take what is under way."""
        self._service, self._access, self._read = service, access, read
        self._first, self._blocks, self._release = first, blocks, release
        self._lines: ArrowLines | JsonLines = ArrowLines() if media == ARROW else JsonLines()
        self.media_type, self.status_code, self.background = media, 200, None
        self.body = b""
        self.init_headers({"X-Request-Id": access.request_id, "Cache-Control": "no-store"})
        del self.headers["content-length"]

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send."""
        gone = asyncio.create_task(_gone(receive))
        outcome = "cut off"
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            # One block is held back, so that a short answer goes out in one piece with its end. It is counted
            # when it is made: where a client leaves, the event says a block more than was sent, never less.
            held = await self._block(self._first)
            async for made in self._blocks:
                if gone.done():
                    return
                if self._read.sent >= self._service.settings.limits.bytes_sent:
                    break
                await send({"type": "http.response.body", "body": held, "more_body": True})
                held = await self._block(made)
            held += self._lines.end(self._read)
            await send({"type": "http.response.body", "body": held, "more_body": False})
            outcome = "sent"
        finally:
            gone.cancel()
            self._release()
            self._service.rows.inc(self._read.rows)
            self._service.audit.write_later(
                self._access.event("completed", rows=self._read.rows, bytes=self._read.sent, outcome=outcome)
            )
            await self._blocks.aclose()  # type: ignore[attr-defined]

    async def _block(self, made: Block) -> bytes:
        rows = made.batch.num_rows
        data = await asyncio.to_thread(self._lines.block, made) if rows > 4096 else self._lines.block(made)
        self._read.rows += rows
        self._read.sent += len(data)
        return data


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


@router.post("/{dataset}/aggregates", response_model=None)
async def aggregates(request: Request, dataset: DatasetName, asked: AggregateQuery) -> dict[str, Any]:
    """Answer an aggregate privately; its cost is charged before the query runs, and kept if it fails."""
    service = _service(request)
    access = await service.access(request, "aggregate", dataset, purpose=asked.purpose)
    d = access.dataset
    private.check(d, asked)
    conditions = query.checked(d, asked.filters)
    cost = await asyncio.to_thread(private.cost_milli, d, asked)
    detail = {
        "columns": [asked.column] if asked.column else [],
        "aggregate": asked.kind,
        "filter_digest": service.digest(asked.filters),
        "milli_epsilon": cost,
    }
    outcome = "failed"
    with service.places.one(access.caller.principal):
        await service.audit.write(access.event("opened", **detail))
        try:
            remaining = await service.ledger.charge(d, access.caller.principal, cost, access.request_id)
            most = service.settings.limits.aggregate_rows
            text, arguments = query.values(d, asked.column, conditions, most + 1)
            async with service.database.connection() as connection:
                values = await connection.fetchval(text, *arguments) or []
            # The truth must not decide about the error: too many rows are cut, with the noise as it was.
            answer = await asyncio.to_thread(private.answer, d, asked, values[:most])
            outcome = "sent"
        except Problem as problem:
            outcome = problem.kind
            raise
        finally:
            if outcome == "budget-exhausted":
                detail |= {"decision": "deny", "reason": outcome}
            service.audit.write_later(access.event("completed", outcome=outcome, **detail))
    return {**answer, "cost_milli_epsilon": cost, "remaining_milli_epsilon": remaining}


@router.post("/{dataset}/releases", response_model=None, responses=problems(409))
async def releases(request: Request, dataset: DatasetName, asked: Release) -> dict[str, Any]:
    """Charge a model before it is trained; the same release again costs nothing."""
    service = _service(request)
    access = await service.access(request, "release", dataset, purpose=asked.purpose)
    detail: dict[str, Any] = asked.model_dump(exclude={"purpose"})
    outcome = "failed"
    await service.audit.write(access.event("opened", **detail))
    try:
        charged, remaining = await service.ledger.release(
            access.dataset,
            access.caller.principal,
            asked.release,
            milli=asked.milli_epsilon,
            pico_delta=asked.pico_delta,
            request_id=access.request_id,
        )
        outcome = "charged" if charged else "charged before"
    except Problem as problem:
        outcome = problem.kind
        raise
    finally:
        if outcome in ("budget-exhausted", "another-release"):
            detail |= {"decision": "deny", "reason": outcome}
        service.audit.write_later(access.event("completed", outcome=outcome, **detail))
    return {"charged": charged, "remaining_milli_epsilon": remaining}


@router.post("/{dataset}/estimates", response_model=None)
async def estimates(request: Request, dataset: DatasetName, asked: private.Aggregate) -> dict[str, Any]:
    """Tell what an aggregate would cost and what remains, at no cost."""
    service = _service(request)
    access = await service.access(request, "estimate", dataset)
    private.check(access.dataset, asked)
    query.checked(access.dataset, asked.filters)
    await service.audit.write(access.event("opened", aggregate=asked.kind))
    cost = await asyncio.to_thread(private.cost_milli, access.dataset, asked)
    remaining = await service.ledger.remaining(access.dataset, access.caller.principal)
    return {"cost_milli_epsilon": cost, "remaining_milli_epsilon": remaining, "affordable": cost <= remaining}


@router.post("/{dataset}/dummy", response_model=None)
async def dummies(request: Request, dataset: DatasetName, asked: DummyQuery) -> dict[str, Any]:
    """Make up rows from the declaration alone, to try queries on."""
    service = _service(request)
    access = await service.access(request, "dummy", dataset)
    await service.audit.write(access.event("opened", rows=asked.rows))
    rows = dummy.rows(access.dataset, asked.rows)
    answer: dict[str, Any] = {"rows": rows}
    if asked.aggregate is not None:
        private.check(access.dataset, asked.aggregate)
        name = asked.aggregate.column
        values = [row[name] for row in rows if row[name] is not None] if name else [1] * len(rows)
        answer["aggregate"] = await asyncio.to_thread(private.answer, access.dataset, asked.aggregate, values)
    return answer


async def ready(request: Request) -> dict[str, str]:
    """Ready: the database answers."""
    async with _service(request).database.connection() as connection:
        await connection.fetchval("SELECT 1")
    return {"status": "ready"}


def create(settings: Settings, *, log: int = 1) -> FastAPI:
    """Return the application.

    Args:
        settings: What the environment says.
        log: File descriptor that audit events are shipped to; standard output.
    """
    service = Service(settings, log=log)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await service.audit.close(10)
        await service.database.close()

    app = FastAPI(title="Data-access API", version="1", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.service = service
    app.include_router(router)
    add_common(app, service.metrics, service.entrance)
    app.add_api_route("/ready", ready, methods=["GET"], response_model=None, responses=problems(503))
    limits = settings.limits
    app.add_middleware(Patience, slow_client_seconds=limits.slow_client_seconds, body_bytes=limits.body_bytes)
    app.add_middleware(Counted, metrics=service.metrics)
    return app
