"""What becomes of an operation, and of all that come after it, when its client leaves or its database fails.

A statement is slow here because another session holds a lock on its table: it waits for exactly as long as the test
wants.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import strawberry
from starlette.types import Message, Scope

from api.app import create_app
from api.operation import Operations
from api.settings import Settings
from db.engine import create_engine
from db.reading import Reads
from schema import ids
from schema.context import Context
from schema.errors import for_client
from schema.levels.reading import STATEMENTS_AT_ONCE
from schema.limits import Limits
from tests.callers import ANYBODY
from tests.ingesting import Catalog
from tests.postgres import connected

pytestmark = pytest.mark.anyio

POOL = 5
OURS = "FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'catalograph'"
WAITING = f"SELECT count(*) {OURS} AND state = 'active' AND wait_event_type = 'Lock'"
CUT = f"SELECT pg_terminate_backend(pid, 5000) {OURS} AND state = 'active' AND wait_event_type = 'Lock'"
GATE = "SELECT pg_backend_pid() FROM (SELECT pg_advisory_xact_lock_shared(7)) AS passed"

# Which table is locked, what is asked, and how many statements then wait for the lock.
UNDER_WAY = {
    "one statement": ("entity", '{component(ref:"player"){name}}', 1),
    "a statement of the second level": ("problem", "{components{nodes{name problems{totalCount}}}}", 1),
    "a statement that the types of an interface share": (
        "problem",
        "{entities{nodes{problems{totalCount} ...on Component{type} ...on Group{email}}}}",
        1,
    ),
    "several side by side": (
        "problem",
        "{components{nodes{problems{totalCount}}} groups{nodes{problems{totalCount}}} problems{totalCount}}",
        3,
    ),
    "more than run side by side": (
        "entity",
        "{apis{totalCount} components{totalCount} domains{totalCount} groups{totalCount} systems{totalCount} users{totalCount}}",
        STATEMENTS_AT_ONCE,
    ),
    "a lookup by id": ("entity", '{node(id:"%s"){id}}', 1),
    "a lookup beside a list": ("entity", '{node(id:"%s"){id} components{totalCount}}', 2),
}

Answer = tuple[Any, list[tuple[str, list[str | int]]]]


@dataclass
class World:
    """The graph of `company.yaml` over a pool of five connections, a session in its way, and one that looks on."""

    schema: strawberry.Schema
    reads: Reads
    other: asyncpg.Connection
    observer: asyncpg.Connection  # within a transaction Postgres would tell the same again and again
    player: str = ""  # the id of a component

    async def answer(self, query: str) -> Answer:
        """The data, and the code and path of each error."""
        operation = Operations(self.schema, Limits()).ready(query)
        with Context(caller=ANYBODY, reads=self.reads, request_id="test") as context:
            result = await operation.run({}, context)
        return result.data, [(for_client(error, "test").code, error.path or []) for error in result.errors or []]

    @asynccontextmanager
    async def locked(self, table: str) -> AsyncIterator[None]:
        """Whoever reads the table waits meanwhile."""
        async with self.other.transaction():
            await self.other.execute(f"LOCK TABLE {table}")
            yield

    async def until_waiting(self, statements: int) -> None:
        """Wait until so many of our statements wait for a lock; the test's own time limit ends this."""
        while await self.observer.fetchval(WAITING) != statements:
            await asyncio.sleep(0.005)

    async def is_whole(self) -> bool:
        """Whether the pool runs as many statements at once as it has connections, each on its own."""
        async with self.other.transaction():
            await self.other.execute("SELECT pg_advisory_xact_lock(7)")
            passing = [asyncio.create_task(self.reads.fetch(GATE, ())) for _ in range(POOL)]
            await self.until_waiting(POOL)
        return len({pid for task in passing for (pid,) in await task}) == POOL


@pytest.fixture
async def company_url(database_url: str) -> str:
    """The URL of a database with `company.yaml`."""
    engine = create_engine(database_url)
    await Catalog(engine).ingest(Path(__file__).parent / "company.yaml")
    await engine.dispose()
    return database_url


@asynccontextmanager
async def world_of(url: str, schema: strawberry.Schema, **options: Any) -> AsyncIterator[World]:
    reads = Reads(url, pool_size=POOL, **{"statement_timeout": 60.0, **options})
    async with connected(url) as other, connected(url) as observer:
        world = World(schema, reads, other, observer)
        try:
            data, _ = await world.answer('{component(ref:"player"){id}}')
            world.player = data["component"]["id"]
            yield world
        finally:
            await reads.close()


@pytest.fixture
async def world(company_url: str, schema: strawberry.Schema) -> AsyncIterator[World]:
    """A statement may take a minute: none ends here because of its time."""
    async with world_of(company_url, schema) as world:
        yield world


@pytest.fixture
async def hurried(company_url: str, schema: strawberry.Schema) -> AsyncIterator[World]:
    """A statement may take a fifth of a second."""
    async with world_of(company_url, schema, statement_timeout=0.2) as world:
        yield world


async def none_left(before: set[asyncio.Task[Any]]) -> None:
    """Wait until no task is left that was not there before."""
    while asyncio.all_tasks() - before:
        await asyncio.sleep(0.005)


# The client leaves


@pytest.mark.parametrize("case", UNDER_WAY)
async def test_an_operation_that_is_cancelled_ends_in_postgres_and_leaves_no_task(world: World, case: str) -> None:
    table, query, statements = UNDER_WAY[case]
    query = query.replace("%s", world.player)
    before = asyncio.all_tasks()
    async with world.locked(table):
        asking = asyncio.create_task(world.answer(query))
        await world.until_waiting(statements)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await world.until_waiting(0)  # while the lock is held
        await none_left(before)
    assert await world.is_whole()
    _, errors = await world.answer(query)
    assert errors == []


class Client:
    """A client of the app that leaves when it is told to."""

    def __init__(self, query: str) -> None:
        self.body = [b'{"query": "%s"}' % query.replace('"', '\\"').encode()]
        self.gone = asyncio.Event()
        self.sent: list[Message] = []

    async def receive(self) -> Message:
        if self.body:
            return {"type": "http.request", "body": self.body.pop(), "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)


@pytest.mark.parametrize("case", UNDER_WAY)
async def test_a_client_that_leaves_takes_its_statements_along(
    company_url: str, schema: strawberry.Schema, case: str
) -> None:
    table, query, statements = UNDER_WAY[case]
    settings = Settings.from_environ(
        {"DATABASE_URL": company_url, "CATALOGRAPH_POOL_SIZE": str(POOL), "CATALOGRAPH_STATEMENT_TIMEOUT": "60"}
    )
    app = create_app(settings, schema=schema)
    async with (
        app.router.lifespan_context(app) as state,
        connected(company_url) as other,
        connected(company_url) as observer,
    ):
        assert state is not None
        world = World(schema, state["reads"], other, observer)
        data, _ = await world.answer('{component(ref:"player"){id}}')
        client = Client(query.replace("%s", data["component"]["id"]))
        scope: Scope = {
            "type": "http", "method": "POST", "path": "/graphql", "query_string": b"", "state": dict(state),
            "headers": [(b"content-type", b"application/json")],
        }  # fmt: skip
        before = asyncio.all_tasks()
        async with world.locked(table):
            serving = asyncio.create_task(app(scope, client.receive, client.send))
            await world.until_waiting(statements)
            client.gone.set()
            await serving
            await world.until_waiting(0)
            await none_left(before)
        assert client.sent == []
        assert await world.is_whole()


# A statement takes too long


async def test_a_statement_that_takes_too_long_fails_its_own_field_only(hurried: World) -> None:
    async with hurried.locked("problem"):
        data, errors = await hurried.answer("{problems{totalCount} groups(first:1){nodes{name}} systems{totalCount}}")
    assert (data, errors) == (None, [("TIMEOUT", ["problems"])])  # `problems` is never null, so all is
    assert await hurried.is_whole()


async def test_of_objects_that_may_be_null_only_the_one_above_the_failure_is(hurried: World) -> None:
    query = '{player: component(ref:"player"){name} broken: component(ref:"index"){name problems{totalCount} relations{totalCount}} group(ref:"players"){name}}'
    async with hurried.locked("problem"):
        data, errors = await hurried.answer(query)
    assert data == {"player": {"name": "Player"}, "broken": None, "group": {"name": "players"}}
    assert errors == [("TIMEOUT", ["broken"])]  # the list rode on its statement
    assert await hurried.is_whole()


async def test_a_failure_of_one_level_is_told_at_each_of_its_objects(hurried: World) -> None:
    query = '{component(ref:"player"){relations(first:3 type:["providesApi","consumesApi"]){nodes{type target{name problems{totalCount}}}}}}'
    async with hurried.locked("problem"):
        data, errors = await hurried.answer(query)
    nodes = data["component"]["relations"]["nodes"]
    assert nodes == [{"type": "consumesApi", "target": None}, {"type": "providesApi", "target": None}]
    path = ["component", "relations", "nodes"]
    assert errors == [
        ("TIMEOUT", [*path, 0, "target", "problems"]),
        ("TIMEOUT", [*path, 1, "target", "problems"]),
    ]
    assert await hurried.is_whole()


# A connection is lost


async def test_a_statement_whose_new_connection_is_cut_fails_its_own_field(
    company_url: str, schema: strawberry.Schema
) -> None:
    async with world_of(company_url, schema) as world:
        query = '{broken: component(ref:"index"){problems{totalCount}} group(ref:"players"){name} entity(ref:"system:playback"){name}}'
        async with world.locked("problem"):
            answering = asyncio.create_task(world.answer(query))
            for _ in range(2):  # one that was open is tried again on a new connection, once
                await world.until_waiting(1)
                assert await world.observer.fetchval(CUT) is True
            data, errors = await answering
        assert data == {"broken": None, "group": {"name": "players"}, "entity": {"name": "playback"}}
        assert errors == [("UNAVAILABLE", ["broken"])]
        assert await world.is_whole()


async def test_a_statement_whose_old_connection_is_cut_is_answered_by_a_new_one(world: World) -> None:
    async with world.locked("problem"):
        answering = asyncio.create_task(world.answer('{component(ref:"index"){problems{totalCount}}}'))
        await world.until_waiting(1)
        assert await world.observer.fetchval(CUT) is True
        await world.until_waiting(1)
    assert await answering == ({"component": {"problems": {"totalCount": 0}}}, [])


async def test_where_no_more_connections_are_given_what_has_one_is_answered(world: World, postgres: str) -> None:
    name = await world.other.fetchval("SELECT current_database()")
    query = '{player: component(ref:"player"){name} index: component(ref:"index"){name} users{totalCount}}'
    async with connected(postgres) as elsewhere:
        await elsewhere.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        data, errors = await world.answer(query.replace(" users{totalCount}", ""))
        assert data == {"player": {"name": "Player"}, "index": None}  # the pool had made one connection
        assert errors == [("UNAVAILABLE", ["index"])]
        assert await world.answer(query) == (None, [("UNAVAILABLE", ["users"])])
        await elsewhere.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    assert await world.is_whole()
    assert await world.answer(query) == (
        {"player": {"name": "Player"}, "index": {"name": "index"}, "users": {"totalCount": 2}},
        [],
    )


async def test_a_server_that_is_not_there_fails_each_root_field(schema: strawberry.Schema) -> None:
    reads = Reads("postgresql://nobody@127.0.0.1:1/nothing", pool_size=POOL)
    node = ids.encode(ids.Sort.ENTITY, "component:default/a")
    operation = Operations(schema, Limits()).ready(f'{{component(ref:"a"){{name}} node(id:"{node}"){{id}}}}')
    with Context(caller=ANYBODY, reads=reads, request_id="test") as context:
        result = await operation.run({}, context)
    await reads.close()
    assert result.data == {"component": None, "node": None}
    assert [(for_client(error, "test").code, error.path) for error in result.errors or []] == [
        ("UNAVAILABLE", ["component"]),
        ("UNAVAILABLE", ["node"]),
    ]
