"""The application: its routes, and what lives as long as it does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypedDict

import strawberry
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from api.auth.authenticator import Authenticator
from api.auth.issuer import issuer_of
from api.auth.tokens import ApiTokens
from api.database import engine_of, listener_of, reads_of
from api.documents import Documents
from api.graphiql import graphiql_routes
from api.graphql import GraphQLEndpoint
from api.health import health_routes
from api.ingest.declared import Sources
from api.live import LiveFeed
from api.log import RequestLog, request_id
from api.loopback import OwnNamesOnly, is_loopback
from api.manifests import check, trusted_documents
from api.operation import Admit, Operations, limits_of
from api.outages import told_seldom
from api.rate import RateLimit, share
from api.settings import Settings
from api.sources import sources_of
from api.websocket import GraphQLSocket
from api.workers.indexing import index_paths
from api.workers.retention import forget_old_changes
from api.workers.sources import CONNECTIONS, SourceWorker
from api.workers.watching import Watcher
from db import revisions
from db.engine import check_server, failure_of
from db.reading import Reads
from db.rules.scopes import EVERYTHING
from schema.build import create_schema
from schema.caller import ANONYMOUS, Caller
from schema.context import Context, Writes

_log = structlog.get_logger("catalograph.app")

_RETRY_SECONDS = 1.0  # between two tries to reach a database that was away at the start
_TIDYING_SECONDS = 2.0  # for what runs beside requests to end in order; without a database that cannot be done
_HURRY_SECONDS = 0.1  # for each further step of that


class State(TypedDict):
    """What every request can reach through `request.state`."""

    engine: AsyncEngine
    reads: Reads
    sources: Sources
    live: LiveFeed
    authenticator: Authenticator
    started: asyncio.Event  # set once the database was reached and is on the newest revision
    stopping: asyncio.Event  # set by the server when it stops: streams without an end are ended then


Startup = Callable[[AsyncEngine], Awaitable[None]]


async def _nothing_more(_engine: AsyncEngine) -> None:
    pass


def create_app(
    settings: Settings,
    *,
    schema: strawberry.Schema | None = None,
    sources: Sources | None = None,
    on_start: Startup = _nothing_more,
    guest: Caller | None = None,
    local: bool = False,
) -> Starlette:
    """The application on the database that `settings` name, which reads `sources` by itself: those of the settings.

    It starts without that database too, answers UNAVAILABLE meanwhile, and goes on trying. `on_start` runs once,
    after the revisions; a database that is there delays the start until it is done. `guest` is who asks without a
    token, where that is not what the settings say. With `local` it answers only to names of this machine, if
    others cannot reach it and somebody may ask without a token. Raises DocumentsError.
    """
    rate = RateLimit(0 if is_loopback(settings.host) and settings.guest_scopes == EVERYTHING else settings.rate_limit)
    operations = _operations(settings, schema or create_schema(), rate.admit)
    endpoint = GraphQLEndpoint(operations, _make_context, settings, _who, allowance=rate.headers)
    graph = Route("/graphql", endpoint)
    socket = WebSocketRoute("/graphql", GraphQLSocket(operations, _make_context, settings, _who))
    return Starlette(
        routes=[Route("/", _to_explorer, methods=["GET"]), graph, socket, *graphiql_routes(), *health_routes()],
        middleware=[
            Middleware(RequestLog),
            *([Middleware(OwnNamesOnly)] if local and is_loopback(settings.host) and settings.guest_scopes else []),
            *_cors(settings),
            Middleware(_Shortcut, graph),
        ],
        lifespan=_lifespan(settings, sources or sources_of(settings), on_start, guest or _guest(settings), rate),
    )


class _Shortcut:
    """Middleware: what asks for exactly the path of `route` goes straight to its endpoint.

    All others are routed, inside a frame for exceptions that this endpoint never raises; for a small request that is a
    tenth of all that it costs.
    """

    def __init__(self, app: ASGIApp, route: Route) -> None:
        self._app = app
        self._route = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; other scopes pass through."""
        straight = scope["type"] == "http" and scope["path"] == scope.get("root_path", "") + self._route.path
        await (self._route.app if straight else self._app)(scope, receive, send)


def _cors(settings: Settings) -> Iterator[Middleware]:
    """Leave for the pages of some origins to ask. No credentials: there are none, and a token is a header."""
    if settings.cors_origins:
        yield Middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type", "x-request-id"],
            expose_headers=["etag", "ratelimit", "ratelimit-policy", "retry-after", "www-authenticate", "x-request-id"],
        )


def _operations(settings: Settings, schema: strawberry.Schema, admit: Admit) -> Operations:
    """What clients may ask. Raises DocumentsError, if a trusted document is not fit to be asked."""
    found = trusted_documents(settings)
    documents = Documents(
        found.documents,
        required=settings.documents_mode == "required",
        automatic=settings.automatic_persisted_queries,
    )
    operations = Operations(
        schema,
        limits_of(settings),
        token_limit=settings.token_limit,
        admit=admit,
        documents=documents,
        introspection=settings.introspection,
        report_only=settings.report_only,
    )
    check(found, lambda one: operations.all_in(one.text))
    if settings.documents_mode != "off":
        _log.info("trusted documents", mode=settings.documents_mode, number=len(found.documents))
    if settings.report_only:
        _log.warning("limits are reported, not enforced")
    return operations


def _guest(settings: Settings) -> Caller | None:
    """Who asks without a token; None where that is not allowed."""
    return Caller(ANONYMOUS, settings.guest_scopes) if settings.guest_scopes else None


async def _who(scope: Scope) -> Caller:
    state: State = scope["state"]
    return await state["authenticator"].who(scope)


def _make_context(scope: Scope, caller: Caller) -> Context:
    state: State = scope["state"]
    writes = Writes(state["engine"], state["sources"])
    return Context(reads=state["reads"], caller=caller, live=state["live"], writes=writes, request_id=request_id(scope))


async def _to_explorer(request: Request) -> RedirectResponse:
    return RedirectResponse(request.scope.get("root_path", "") + "/graphiql")


def _lifespan(
    settings: Settings, sources: Sources, on_start: Startup, guest: Caller | None, rate: RateLimit
) -> Callable[[Starlette], AbstractAsyncContextManager[State]]:
    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[State]:
        engine, reads = engine_of(settings), reads_of(settings)
        reading = engine_of(settings, connections=CONNECTIONS)  # sources: connections that nobody else waits for
        live = LiveFeed(listener_of(settings), reads)
        tokens, issuer = ApiTokens(reads, live.revocations), issuer_of(settings)
        state = State(
            engine=engine,
            reads=reads,
            sources=sources,
            live=live,
            authenticator=Authenticator(guest=guest, tokens=tokens, issuer=issuer),
            started=asyncio.Event(),
            stopping=asyncio.Event(),
        )
        work = (
            live.run(),
            tokens.note_uses(engine),
            share(rate, engine),
            forget_old_changes(engine, days=settings.change_retention),
            SourceWorker(reading, sources).run(),
            Watcher(reading, sources).run(),
            _index_paths(settings),
        )
        workers = [asyncio.create_task(_once_started(state, each)) for each in work]
        if issuer:
            workers.append(asyncio.create_task(issuer.run()))
        reaching = None
        if away := await _reach(state, on_start):
            _log.warning("database not reached", reason=away, retry_seconds=_RETRY_SECONDS)
            reaching = asyncio.create_task(_keep_reaching(state, on_start))
        try:
            with told_seldom("catalograph.graphql"):
                yield state
        finally:
            await _stopped(*workers, *filter(None, [reaching]))
            await asyncio.gather(reads.close(), engine.dispose(), reading.dispose())

    return lifespan


async def _stopped(*tasks: asyncio.Task[None]) -> None:
    """Cancel the tasks, and those again that wait too long for an answer while they tidy up, until all have ended."""
    left: Collection[asyncio.Task[None]] = tasks
    patience = _TIDYING_SECONDS
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=patience)
        patience = _HURRY_SECONDS


async def _index_paths(settings: Settings) -> None:
    """Index the paths of the settings, on connections that nobody else waits for."""
    engine = engine_of(settings, connections=2, patient=True)
    try:
        await index_paths(engine, settings.indexed_paths)
    finally:
        await engine.dispose()


async def _once_started(state: State, work: Coroutine[Any, Any, None]) -> None:
    """Do work that needs the database's tables, from when they are there."""
    try:
        await state["started"].wait()
    except asyncio.CancelledError:
        work.close()
        raise
    await work


async def _reach(state: State, on_start: Startup) -> str | None:
    """Try once to make the database ready. Why it is away, if it is; raises when it is there and will not do."""
    engine = state["engine"]
    try:
        await check_server(engine)
        await revisions.upgrade(engine)
        await on_start(engine)
        await state["live"].look()
    except Exception as error:
        if failure_of(error) != "unavailable":
            raise
        return str(error)
    state["started"].set()
    return None


async def _keep_reaching(state: State, on_start: Startup) -> None:
    """Try until the database is ready: one that comes late may still be starting, or be replaced."""
    told = ""
    while not state["started"].is_set():
        await asyncio.sleep(_RETRY_SECONDS)
        try:
            await _reach(state, on_start)
        except Exception as error:  # noqa: BLE001 - whatever it is, the operator may mend it while the server runs
            if told != (told := str(error)):
                _log.exception("database cannot be used")
    _log.info("database reached")
