"""The application: who asks, for what, within which budget; screen, answer, write down, and only then say."""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Path, Request
from fastapi.security import HTTPBearer
from prometheus_client import Counter, Gauge
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from services.gateway.bodies import check_headers, inputs_of
from services.gateway.budget import Budget
from services.gateway.clients import Allowance, Clients
from services.gateway.extraction import Suspicion, Watch
from services.gateway.inference import InferenceError
from services.gateway.ledgers import SqliteLedger, dynamo
from services.gateway.marks import Marks
from services.gateway.messages import Reading
from services.gateway.models import Models, State
from services.gateway.outputs import LABEL_ONLY, hardened
from services.gateway.queries import KEY_PURPOSE, Queries, Unwritten
from services.gateway.served import Row, Served
from services.gateway.serving import read as read_serving
from services.gateway.settings import Settings, root_secret
from services.gateway.store import store_of
from services.modelchain.keys import Verifier, file_verifier, kms_verifier
from services.shared.entrance import Entrance, event, refusal
from services.shared.keys import derived
from services.shared.limits import Patience, Places, whole_body
from services.shared.log_group import log_group
from services.shared.problems import Problem, unavailable
from services.shared.shipping import Shipping
from services.shared.tokens import Caller
from services.shared.web import Counted, Metrics, add_common, problems

ModelName = Annotated[str, Path(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
_bearer = Depends(HTTPBearer(auto_error=False))


class Service:
    """Everything that a request needs, made once."""

    def __init__(self, settings: Settings, *, log: int = 1) -> None:
        """Read the operator's files, keys and secrets.

        Args:
            settings: What the environment says.
            log: File descriptor that the query log is shipped to.

        Raises:
            Exception: one of the kinds that ``__main__`` knows; nothing is served.
        """
        root = root_secret(settings)
        limits = settings.limits
        self.settings = settings
        self.declared = read_serving(settings.serving_file)
        self.clients = Clients(settings.clients_file)
        self.queries = Queries(
            derived(root, KEY_PURPOSE),
            Shipping(log, log_group(settings.query_log_group, settings.aws_region)),
            seconds=limits.log_seconds,
        )
        self.entrance = Entrance(settings, requests_per_second=limits.requests_per_second, burst=limits.burst)
        self.places = Places(limits.concurrent_queries)
        self.reading_places = Places(limits.concurrent_readings)
        self.budget = Budget(_ledger(settings))
        self.watch = Watch(self.clients.usual)
        self.digest_key = derived(root, "input digests")
        self.metrics = Metrics("gateway")
        registry = self.metrics.registry
        self.rows = Counter("gateway_rows", "Inputs that were answered", registry=registry)
        self.objections = Counter(
            "gateway_objections", "By screen and mode", ["screen", "mode"], registry=registry
        )
        self.state = State(settings.state_folder)
        self.models = Models(
            self.declared,
            store=store_of(settings),
            state=self.state,
            marks=Marks(self.state.marks, derived(root, "marks")),
            trainer=_verifier(settings, "trainer_key"),
            redteam=_verifier(settings, "verdict_key"),
            reading=Reading(),
            write=self.queries.write,
        )
        self._tell()

    def _tell(self) -> None:
        """Let the metrics say what serves, and for how long, at the time that they are asked."""
        version = Gauge(
            "gateway_model_version", "That serves; 0 if none", ["model"], registry=self.metrics.registry
        )
        holds = Gauge(
            "gateway_verdict_holds_seconds", "Until it ends", ["model"], registry=self.metrics.registry
        )
        for name in self.declared:
            version.labels(name).set_function(partial(self._version, name))
            holds.labels(name).set_function(partial(self._holds_seconds, name))

    def _version(self, name: str) -> float:
        served = self.models.served(name)
        return served.schema.version if served else 0

    def _holds_seconds(self, name: str) -> float:
        served = self.models.served(name)
        return max(0.0, (served.verdict.holds_until - datetime.now(UTC)).total_seconds()) if served else 0.0


def _ledger(settings: Settings) -> Any:
    if settings.budget_file is not None:
        return SqliteLedger(settings.budget_file)
    return dynamo(str(settings.budget_table), settings.aws_region)


def _verifier(settings: Settings, name: str) -> Verifier:
    file = getattr(settings, f"{name}_file")
    if file is not None:
        return file_verifier(file)
    return kms_verifier(getattr(settings, f"{name}_arn"), str(settings.aws_region))


class Query:
    """One request: who asks for what, and how long each part of the answer took."""

    def __init__(self, service: Service, request: Request, action: str, model: str | None) -> None:
        """Begin the clock."""
        self._service, self.request = service, request
        self.action, self.model = action, model
        self.request_id = secrets.token_hex(16)
        self.address = service.entrance.address(request)
        self.began = self._last = time.perf_counter()
        self.took: dict[str, float] = {}
        self.caller: Caller

    def lap(self, part: str) -> None:
        """Say that a part is done."""
        now = time.perf_counter()
        self.took[part] = (now - self._last) * 1000
        self._last = now

    async def sign_in(self) -> Caller:
        """Return the caller."""
        self.caller = await self._service.entrance.caller(
            self.request, self.action, self.address, self.request_id, refused=self._refused
        )
        return self.caller

    async def _refused(self, said: dict[str, Any]) -> None:
        await self._service.queries.write({**said, "model": self.model})

    def said(self, reason: str | None = None) -> dict[str, Any]:
        """Return what every line of this query says; a reason is one for refusing."""
        principal = self.caller.principal
        who = (self.request_id, principal, self.address, self.action)
        return {
            **(refusal(reason, *who) if reason else event(*who)),
            "model": self.model,
            "latency_ms": round((time.perf_counter() - self.began) * 1000, 3),
        }

    async def write(self, reason: str | None = None, **more: Any) -> None:
        """Write the line of this query; nothing is answered before."""
        await self._service.queries.write({**self.said(reason), **more})
        self.lap("log")

    def headers(self) -> dict[str, str]:
        """Return the headers of an answer."""
        timing = ", ".join(f"{part};dur={milliseconds:.3f}" for part, milliseconds in self.took.items())
        return {"X-Request-Id": self.request_id, "Server-Timing": timing, "Cache-Control": "no-store"}


async def _allowed(query: Query, service: Service, name: str) -> tuple[Served, Allowance]:
    """Return the model and what the caller may do with it; whoever may not does not learn whether it is there."""
    caller = await query.sign_in()
    allowance, declared = service.clients.of(caller.principal, name), name in service.declared
    if allowance is None or not declared:
        await query.write("not-allowed")
        raise Problem(403, "not-allowed", "You may not do this.")
    served = service.models.served(name)
    if served is None or served.expired(datetime.now(UTC)):
        reason = "no-model" if served is None else "verdict-ended"
        await query.write(reason)
        raise unavailable(
            "No good release of this model is at hand."
            if served is None
            else "The verdict about this model has ended; it has to be judged anew.",
            retry_after_seconds=60,
        )
    query.lap("auth")
    return served, allowance


router = APIRouter(
    prefix="/v1/models",
    dependencies=[_bearer],
    responses=problems(400, 401, 403, 404, 408, 413, 415, 422, 429, 503),
)


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


@router.get("", response_class=Response)
async def models(request: Request) -> Response:
    """List the models that the caller may ask."""
    service = _service(request)
    query = Query(service, request, "list", None)
    caller = await query.sign_in()
    query.lap("auth")
    seen = [
        {"name": name, "version": served.schema.version, "title": served.card.title}
        for name in service.declared
        if service.clients.of(caller.principal, name) and (served := service.models.served(name))
    ]
    await query.write(rows=len(seen))
    return _answer({"models": seen}, query.headers())


@router.get("/{model}", response_class=Response)
async def description(request: Request, model: ModelName) -> Response:
    """Describe a model: what it takes and gives, its card, its privacy, and what the red team found."""
    service = _service(request)
    query = Query(service, request, "describe", model)
    served, allowance = await _allowed(query, service, model)
    await query.write(model_digest=served.digest, model_version=served.schema.version)
    schema = served.schema.model_dump(mode="json", include={"name", "version", "input", "output"})
    told = {
        **schema,
        "digest": served.digest,
        "card": served.card.model_dump(mode="json", exclude={"components", "seed"}),
        "privacy": served.privacy.model_dump(mode="json", exclude_none=True),
        "verdict": {
            "judged_at": served.verdict.judged_at.isoformat(),
            "holds_until": served.verdict.holds_until.isoformat(),
            "checks": [check.name for check in served.verdict.checks],
        },
        "outputs": allowance.outputs.model_dump(mode="json"),
        "daily_queries": allowance.daily_queries,
        "most_rows": served.serving.most_rows,
        "body_bytes": served.serving.body_bytes,
    }
    return _answer(told, query.headers())


_INPUTS = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["inputs"],
                    "additionalProperties": False,
                    "properties": {
                        "inputs": {
                            "type": "array",
                            "minItems": 1,
                            "description": "Numbers nested as the model's shape says, or texts with images in base64.",
                            "items": {
                                "anyOf": [
                                    {"type": "array"},
                                    {
                                        "type": "object",
                                        "required": ["text"],
                                        "additionalProperties": False,
                                        "properties": {
                                            "text": {"type": "string"},
                                            "images": {"type": "array", "items": {"type": "string"}},
                                        },
                                    },
                                ]
                            },
                        }
                    },
                }
            }
        },
    }
}


@router.post("/{model}/predict", response_class=Response, openapi_extra=_INPUTS, responses=problems(504))
async def predict(request: Request, model: ModelName) -> Response:
    """Classify inputs."""
    service = _service(request)
    query = Query(service, request, "predict", model)
    served, allowance = await _allowed(query, service, model)
    about: dict[str, Any] = {
        "model_digest": served.digest,
        "model_version": served.schema.version,
        "flags": [],
    }
    try:
        with service.places.one(query.caller.principal):
            return await _predicted(query, service, served, allowance, about)
    except Unwritten:
        raise
    except Problem as problem:
        await query.write(problem.kind, **about)
        raise
    except (InferenceError, ValueError):
        await query.write("failed", **about)
        raise


async def _predicted(
    query: Query, service: Service, served: Served, allowance: Allowance, about: dict[str, Any]
) -> Response:
    """Answer a query; ``about`` gathers what its line in the log says, however it ends."""
    serving, kind, principal = served.serving, served.kind, query.caller.principal
    check_headers(query.request)
    body = await whole_body(
        query.request.receive, most=serving.body_bytes, seconds=service.settings.limits.slow_client_seconds
    )
    parsed = kind.parsed(inputs_of(body), most=serving.most_rows)
    about |= {"rows": len(parsed), "input_digest": kind.digest(parsed, service.digest_key)}
    query.lap("body")
    name, most = served.schema.name, allowance.daily_queries
    remaining = await service.budget.take(principal, name, len(parsed), most)
    query.lap("budget")
    try:
        with service.reading_places.one(principal) if kind.is_slow(parsed) else nullcontext():
            async with asyncio.timeout(serving.deadline_seconds):
                rows = await kind.answered(parsed)
    except TimeoutError:
        raise Problem(504, "deadline", "No answer was ready in time; it has been dropped.") from None
    query.lap("model")
    flags = _judged(service, served, rows, about)
    suspicion = _seen(service, principal, served, rows)
    if suspicion is not None and suspicion.news:
        await service.queries.write(_suspected(query, about, suspicion))
    if suspicion is not None and allowance.on_suspicion == "refuse":
        raise Problem(403, "suspended", "Your queries look like a copy of the model being made.")
    rule = allowance.outputs if suspicion is None else LABEL_ONLY
    classes = served.schema.output.classes
    outputs = [
        {**hardened(row.answer, classes, rule), "flags": told} for row, told in zip(rows, flags, strict=True)
    ]
    query.lap("outputs")
    await query.write(**about)
    service.rows.inc(len(outputs))
    told = {
        "model": name,
        "version": served.schema.version,
        "digest": served.digest,
        "outputs": outputs,
        "remaining_queries": remaining,
        "request_id": query.request_id,
    }
    return _answer(told, {**query.headers(), **_rate_limit(most, remaining)})


def _judged(
    service: Service, served: Served, rows: list[Row], about: dict[str, Any]
) -> list[list[dict[str, str]]]:
    """Return the flags that are told, by row; write all of them into ``about``.

    Raises:
        Problem: 422, a screen objects whose mode is to refuse.
    """
    if not any(row.findings for row in rows):
        return [[] for _ in rows]
    about["flags"] = sorted({found.screen for row in rows for found in row.findings})
    told: list[list[dict[str, str]]] = []
    for place, row in enumerate(rows):
        told.append([])
        for found in row.findings:
            mode = served.kind.mode(served.serving, found.screen)
            service.objections.labels(found.screen, mode).inc()
            if mode == "refuse":
                field = f"inputs.{place}"
                detail = f"{field}: {found.screen}: {found.reason}."
                raise Problem(422, "screened", detail, fields=[field], screen=found.screen)
            if mode == "answer-with-flag":
                told[-1].append({"screen": found.screen, "reason": found.reason})
    return told


def _seen(service: Service, principal: str, served: Served, rows: list[Row]) -> Suspicion | None:
    """Let the watch see every row, and return the suspicion that the caller is under, news first."""
    name, found = served.schema.name, None
    for row in rows:
        suspicion = service.watch.seen(principal, name, row.features, int(row.answer.argmax()))
        if suspicion is not None and (found is None or not found.news):
            found = suspicion
    return found


def _suspected(query: Query, about: Mapping[str, Any], suspicion: Suspicion) -> dict[str, Any]:
    return {
        **query.said(suspicion.test),
        **about,
        "event": "extraction-suspected",
        "statistic": round(suspicion.statistic, 4),
        "threshold": suspicion.threshold,
        "queries": suspicion.queries,
    }


def _rate_limit(most: int, remaining: int) -> dict[str, str]:
    """Return the day's budget as headers (draft-ietf-httpapi-ratelimit-headers-10)."""
    now = datetime.now(UTC)
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    left = int((midnight - now).total_seconds()) + 1
    return {"RateLimit-Policy": f'"day";q={most};w=86400', "RateLimit": f'"day";r={remaining};t={left}'}


_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode


def _answer(said: Any, headers: Mapping[str, str]) -> Response:
    return Response(_encode(said).encode(), headers=headers, media_type="application/json")


async def ready(request: Request) -> dict[str, str]:
    """Ready: models were looked for, one serves at least, and the query log takes lines.

    Not every model: a bad release of one would take all the others away, pod by pod.
    """
    service = _service(request)
    service.queries.check()
    if not service.models.is_ready():
        raise unavailable("No model is at hand.")
    return {"status": "ready"}


def create(settings: Settings, *, log: int = 1) -> FastAPI:
    """Return the application.

    Args:
        settings: What the environment says.
        log: File descriptor that the query log is shipped to; standard output.
    """
    service = Service(settings, log=log)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await service.models.begin()
        looking = asyncio.create_task(_look_for_ever(service))
        yield
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking
        await service.queries.close(10)
        service.state.close()

    app = FastAPI(title="Inference gateway", version="1", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.service = service
    app.include_router(router)
    app.add_api_route("/ready", ready, methods=["GET"], response_model=None, responses=problems(503))
    add_common(app, service.metrics, service.entrance)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_middleware(Patience, slow_client_seconds=settings.limits.slow_client_seconds, body_bytes=None)
    app.add_middleware(Counted, metrics=service.metrics)
    return app


async def _gone(_request: Request, _error: Exception) -> Response:
    """Answer nobody: the client left before its query had come."""
    return Response(status_code=400)


async def _look_for_ever(service: Service) -> None:
    """Look for new releases from time to time, and at once when told (SIGHUP)."""
    told = asyncio.Event()
    if threading.current_thread() is threading.main_thread():
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, told.set)
    while True:
        told.clear()
        try:
            await service.models.look()
        except Exception as error:
            # Whatever it was, the next look may succeed; what serves goes on.
            sys.stderr.write(f"gateway: looking for releases: {type(error).__name__}: {error}\n")
        with suppress(TimeoutError):
            async with asyncio.timeout(service.settings.reload_seconds):
                await told.wait()
