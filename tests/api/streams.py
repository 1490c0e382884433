"""A small graph with subscriptions, served on a real socket, for the tests of both ways to follow it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import strawberry
import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route, WebSocketRoute
from starlette.types import Scope
from strawberry import Info

from api.graphiql import graphiql_routes
from api.graphql import GraphQLEndpoint
from api.log import RequestLog
from api.operation import Operations
from api.server import _Server, listen, uvicorn_config
from api.settings import Settings
from api.websocket import GraphQLSocket
from schema.caller import Caller
from schema.errors import BadUserInput
from schema.limits import Limits
from tests.callers import ANYBODY, anybody
from tests.postgres import connected

SECRET = "postgresql://catalog:hunter2@db/catalog"

Log = list[MutableMapping[str, Any]]


class Stage:
    """What the operations of a test are seen to do, and what lets them go on."""

    def __init__(self) -> None:
        self.made = 0  # ticks
        self.touched = 0
        self.contexts = 0  # that were made
        self.entered = 0  # of these, those that have not been left
        self.begun = asyncio.Event()
        self.go = asyncio.Event()
        self.closed = asyncio.Event()

    async def is_empty(self) -> bool:
        """Whether all contexts have been left."""
        return self.entered == 0


@dataclass
class Numbered:
    """A context with a number, which has run a statement."""

    stage: Stage
    number: int
    scope: Scope = field(default_factory=dict)
    statements: int = 1
    caller: Caller = ANYBODY


@strawberry.type
class Tick:
    number: int
    size: strawberry.Private[int] = 0

    @strawberry.field
    def text(self) -> str:
        return "ü" * self.size

    @strawberry.field
    def context(self, info: Info[Numbered, None]) -> int:
        return info.context.number

    @strawberry.field
    def broken(self) -> int | None:
        raise RuntimeError(SECRET)

    @strawberry.field
    async def slow(self, info: Info[Numbered, None]) -> int:
        await _going(info.context.stage)
        return self.number


@strawberry.type
class Query:
    @strawberry.field
    def hello(self, name: str = "world") -> str:
        return f"hello {name}"

    @strawberry.field
    def broken(self) -> str | None:
        raise RuntimeError(SECRET)

    @strawberry.field
    async def slow(self, info: Info[Numbered, None]) -> str:
        await _going(info.context.stage)
        return "at last"

    @strawberry.field
    def greeting(self, info: Info[Numbered, None]) -> strawberry.scalars.JSON | None:
        return info.context.scope["state"]["connection_init"]  # type: ignore[no-any-return]


@strawberry.type
class Mutation:
    @strawberry.mutation
    def touch(self, info: Info[Numbered, None]) -> int:
        info.context.stage.touched += 1
        return info.context.stage.touched

    @strawberry.mutation
    async def go(self, info: Info[Numbered, None]) -> bool:
        info.context.stage.go.set()
        return True


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def ticks(self, info: Info[Numbered, None], to: int = 3, size: int = 0) -> AsyncGenerator[Tick, None]:
        stage = info.context.stage
        try:
            for number in range(1, to + 1):
                stage.made += 1
                yield Tick(number=number, size=size)
        finally:
            stage.closed.set()

    @strawberry.subscription
    async def waiting(self, info: Info[Numbered, None]) -> AsyncGenerator[int, None]:
        stage = info.context.stage
        try:
            yield 1
            await _going(stage)
            yield 2
        finally:
            stage.closed.set()

    @strawberry.subscription
    async def failing(self) -> AsyncGenerator[int, None]:
        yield 1
        raise RuntimeError(SECRET)

    @strawberry.subscription
    async def refused(self, since: int = 1) -> AsyncGenerator[int, None]:
        if since > 0:
            raise BadUserInput("The cursor is too old")
        yield since

    @strawberry.subscription
    def unmade(self) -> AsyncGenerator[int, None]:
        raise RuntimeError(SECRET)


async def _going(stage: Stage) -> None:
    stage.begun.set()
    await stage.go.wait()


SCHEMA = strawberry.Schema(Query, Mutation, Subscription)


def streaming_app(stage: Stage, settings: Settings) -> Starlette:
    @contextmanager
    def context(scope: Scope, _caller: Caller) -> Iterator[Numbered]:
        stage.contexts += 1
        stage.entered += 1
        try:
            yield Numbered(stage, stage.contexts, scope)
        finally:
            stage.entered -= 1

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, Any]]:
        yield {"stopping": asyncio.Event()}

    parts = Operations(SCHEMA, Limits()), context, settings, anybody
    routes = [Route("/graphql", GraphQLEndpoint(*parts)), WebSocketRoute("/graphql", GraphQLSocket(*parts))]
    return Starlette(routes=[*routes, *graphiql_routes()], middleware=[Middleware(RequestLog)], lifespan=lifespan)


class Serving:
    """A server that runs; `address` is its host and port."""

    def __init__(self, app: Starlette, settings: Settings) -> None:
        self._listener = listen(settings, insecure=False)
        self._server = _Server(uvicorn_config(app, settings))
        self.address = self._listener.url.removeprefix("http://")
        self.task = asyncio.create_task(self._server.serve(sockets=[self._listener.socket]))

    def stop(self) -> None:
        """As SIGTERM does."""
        self._server.should_exit = True


@asynccontextmanager
async def running(app: Starlette, settings: Settings) -> AsyncIterator[Serving]:
    """Serve an app until the block ends."""
    thresholds = gc.get_threshold()
    serving = Serving(app, settings)
    try:
        yield serving
    finally:
        serving.stop()
        await serving.task
        gc.unfreeze()
        gc.set_threshold(*thresholds)


@asynccontextmanager
async def served(stage: Stage, **given: Any) -> AsyncIterator[Serving]:
    """Serve the small graph until the block ends."""
    settings = Settings(port=0, **given)
    async with running(streaming_app(stage, settings), settings) as serving:
        yield serving


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not await true():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def locked(url: str, table: str) -> AsyncIterator[Callable[[int], Awaitable[bool]]]:
    """Nobody can read the table in the block, which can ask whether so many statements wait for it."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with connected(url) as locking, connected(url) as looking, locking.transaction():
        await locking.execute(f"LOCK TABLE {table}")

        async def is_awaited(count: int) -> bool:
            return bool(await looking.fetchval(waiting) == count)

        yield is_awaited


async def stopped(count: Callable[[], int]) -> int:
    """Wait until something that is counted has begun, and then has not gone on for half a second; the count."""
    still, last = 0, 0
    async with asyncio.timeout(60):
        while still < 20:
            await asyncio.sleep(0.025)
            still = still + 1 if last and last == count() else 0
            last = count()
    return last


@contextmanager
def logged() -> Iterator[Log]:
    """What is logged in the block."""
    with structlog.testing.capture_logs() as lines:
        yield lines


def lines_of(log: Log, event: str) -> list[dict[str, Any]]:
    """The lines of one kind, without the time that they tell."""
    return [{key: value for key, value in line.items() if key != "ms"} for line in log if line["event"] == event]
