"""API tokens as requests bring them: kept while a revocation would be heard of, and no longer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from operator import eq
from typing import Any, cast

import asyncpg
import httpx2
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from api.app import State, create_app
from api.auth import tokens as tokens_module
from api.auth.tokens import ApiTokens
from api.live import LiveFeed
from api.settings import Settings
from db import tokens
from db.audit import Author
from db.engine import DatabaseUnreachableError, create_engine
from db.reading import Reads
from db.rules import scopes
from db.rules.refs import Ref
from db.rules.tokens import TokenCreateInput
from schema.build import create_schema
from schema.caller import Caller
from schema.errors import Unauthenticated, Unavailable
from tests.asserts import sql_queries
from tests.ingesting import ANN, Catalog, Tree

pytestmark = pytest.mark.anyio

one_schema = cache(create_schema)  # it takes a second to make

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
READ = frozenset({scopes.Scope.CATALOG_READ})


@dataclass
class Counted:
    """Reads that are counted, and may wait for a word before they answer."""

    reads: Reads
    statements: int = 0
    away: bool = False
    held: asyncio.Event | None = None
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    async def fetch(self, text: str, values: Sequence[Any]) -> list[Any]:
        self.statements += 1
        if self.away:
            raise DatabaseUnreachableError("it is away")
        rows = await self.reads.fetch(text, values)
        self.begun.set()
        if self.held is not None:
            await self.held.wait()
        return rows


@dataclass
class World:
    """The tokens of one process, what it hears, and its clock."""

    engine: AsyncEngine
    reads: Counted
    heard: int | None = 1
    now: datetime = NOON

    def __post_init__(self) -> None:
        self.tokens = ApiTokens(cast("Reads", self.reads), lambda: self.heard, lambda: self.now)
        self.catalog = Catalog(self.engine)

    async def create(self, name: str = "ci", **wanted: Any) -> str:
        given = TokenCreateInput(**{"name": name, "scopes": ("catalog:read",), **wanted})
        async with self.engine.begin() as connection:
            return (await tokens.create(connection, given, Author("test"))).secret

    async def revoke(self, name: str = "ci") -> None:
        async with self.engine.begin() as connection:
            await tokens.revoke(connection, name, Author("test"))

    async def ask(self, token: str) -> Caller:
        return await self.tokens.caller(token)

    async def refusal(self, token: str) -> str:
        with pytest.raises(Unauthenticated) as refused:
            await self.ask(token)
        assert refused.value.refused
        return refused.value.message


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    engine, reads = create_engine(database_url), Reads(database_url)
    yield World(engine, Counted(reads))
    await reads.close()
    await engine.dispose()


async def test_a_token_is_looked_up_once(world: World) -> None:
    token = await world.create(user=Ref.parse("user:ada"))
    callers = [await world.ask(token) for _ in range(3)]
    assert callers == [Caller("token:ci", READ, Ref.parse("user:default/ada"))] * 3
    assert world.reads.statements == 1


async def test_the_scope_admin_brings_all_others(world: World) -> None:
    assert (await world.ask(await world.create(scopes=("admin",)))).scopes == scopes.EVERYTHING


async def test_an_unknown_token_is_looked_up_each_time_and_fills_nothing(world: World) -> None:
    for n in range(5):
        assert await world.refusal(f"cg_{n:043}") == "There is no such token"
    assert (world.reads.statements, world.tokens._kept, world.tokens._used) == (5, {}, {})


async def test_junk_costs_no_statement(world: World) -> None:
    token = await world.create()
    for junk in ("cg_", token[:-1], token + "A", token + "\n", token.upper(), "cg_" + "é" * 43, "cg_" + "\ud800" * 43):
        assert (await world.refusal(junk)).startswith("This is no API token")
    assert world.reads.statements == 0


async def test_a_token_expires_also_while_it_is_kept(world: World) -> None:
    token = await world.create(expires_at=datetime.now(UTC) + timedelta(days=1))
    (expires_at,) = await world.catalog.rows("SELECT expires_at FROM api_token")
    world.now = expires_at - timedelta(microseconds=1)
    assert (await world.ask(token)).subject == "token:ci"
    world.now = expires_at
    assert await world.refusal(token) == "The token has expired"
    assert world.reads.statements == 1


async def test_after_a_revocation_of_any_token_each_is_looked_up_anew(world: World) -> None:
    token, other = await world.create(), await world.create("other")
    await world.ask(token)
    await world.ask(other)
    await world.revoke()
    world.heard = 2
    assert await world.refusal(token) == "The token is revoked"
    assert await world.refusal(token) == "The token is revoked"
    await world.ask(other)
    await world.ask(other)
    assert world.reads.statements == 2 + 2 + 1, "the revoked one is not kept, the other one is"


async def test_a_name_that_is_given_again_does_not_bring_the_revoked_token_back(world: World) -> None:
    old = await world.create()
    await world.ask(old)
    await world.revoke()
    world.heard = 2
    new = await world.create(scopes=("kpis:write",))
    assert await world.refusal(old) == "The token is revoked"
    assert (await world.ask(new)).scopes == {scopes.Scope.KPIS_WRITE}


async def test_while_a_revocation_would_not_be_heard_of_nothing_is_kept(world: World) -> None:
    token = await world.create()
    await world.ask(token)
    world.heard = None
    for statements in (2, 3):
        await world.ask(token)
        assert (world.reads.statements, world.tokens._kept) == (statements, {})
    await world.revoke()
    assert await world.refusal(token) == "The token is revoked"


@pytest.mark.parametrize("then", [2, None])
async def test_what_was_read_before_a_revocation_is_not_kept_after_it(world: World, then: int | None) -> None:
    token, other = await world.create(), await world.create("other")
    world.reads.held = asyncio.Event()
    asking = asyncio.create_task(world.ask(token))
    await world.reads.begun.wait()  # it is read, and good
    await world.revoke()
    world.heard = then
    another = asyncio.create_task(world.ask(other))
    await asyncio.sleep(0)  # whatever it begins with
    world.reads.held.set()
    assert (await asking).subject == "token:ci", "it was good when it was asked for"
    await another
    assert await world.refusal(token) == "The token is revoked"


async def test_what_was_read_while_nothing_was_heard_is_not_kept(world: World) -> None:
    token, other = await world.create(), await world.create("other")
    world.heard, world.reads.held = None, asyncio.Event()
    asking = asyncio.create_task(world.ask(token))
    await world.reads.begun.wait()
    await world.revoke()
    world.heard = 2
    world.reads.held.set()
    await world.ask(other)
    await asking
    assert await world.refusal(token) == "The token is revoked"


async def test_a_scope_that_a_later_version_dropped_allows_nothing(world: World) -> None:
    token = await world.create()
    await world.catalog.rows("UPDATE api_token SET scopes = '{pets:read,catalog:read}'")
    assert (await world.ask(token)).scopes == READ
    await world.catalog.rows("UPDATE api_token SET scopes = '{pets:read}'")
    world.heard = 2
    assert (await world.ask(token)).scopes == frozenset()


async def test_the_token_of_a_user_who_is_gone_still_works(world: World, tmp_path: Any) -> None:
    people = Tree(tmp_path).write("people.yaml", ANN)
    await world.catalog.ingest(people, name="people")
    token = await world.create(user=Ref.parse("user:ann"))
    people.write_text("")
    await world.catalog.ingest(people, name="people", allow_removals=True)
    assert await world.catalog.refs() == []
    assert (await world.ask(token)).user == Ref.parse("user:default/ann")


async def test_without_its_database_nobody_is_taken_for_a_stranger(world: World) -> None:
    token = await world.create()
    await world.ask(token)

    world.reads.away = True
    assert (await world.ask(token)).subject == "token:ci", "it is kept"
    world.heard = None
    with pytest.raises(Unavailable):
        await world.ask(token)


# When they were last used


async def used(world: World) -> list[datetime | None]:
    rows: list[datetime | None] = await world.catalog.rows("SELECT last_used_at FROM api_token ORDER BY name")
    return rows


async def test_a_request_writes_nothing_and_a_note_tells_of_all(world: World) -> None:
    token, other, _ = await world.create("a"), await world.create("b"), await world.create("c")
    world.now = NOON + timedelta(seconds=59)
    await world.ask(token)
    world.now = NOON + timedelta(seconds=61)
    await world.ask(other)
    assert await used(world) == [None, None, None]
    await world.tokens._note(world.engine)
    assert await used(world) == [NOON, NOON + timedelta(minutes=1), None]
    with sql_queries(world.engine, 0):
        await world.tokens._note(world.engine)


async def test_a_use_during_a_note_is_told_by_the_next(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    token, note = await world.create(), tokens.note_uses

    async def slow(*arguments: Any) -> None:
        world.now = NOON + timedelta(minutes=1)
        await world.ask(token)
        await note(*arguments)

    await world.ask(token)
    with monkeypatch.context() as patched:
        patched.setattr(tokens, "note_uses", slow)
        await world.tokens._note(world.engine)
    assert await used(world) == [NOON]
    await world.tokens._note(world.engine)
    assert await used(world) == [NOON + timedelta(minutes=1)]


async def test_a_refused_token_was_not_used(world: World) -> None:
    token = await world.create(expires_at=datetime.now(UTC) + timedelta(days=1))
    world.now = NOON + timedelta(days=40_000)
    await world.refusal(token)
    await world.tokens._note(world.engine)
    assert await used(world) == [None]


async def test_a_note_that_fails_is_made_later(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    token, other = await world.create("a"), await world.create("b")
    await world.ask(token)
    await world.ask(other)

    async def away(*_: object) -> None:
        raise DatabaseUnreachableError("it is away")

    with monkeypatch.context() as patched, capture_logs() as logged:
        patched.setattr(tokens, "note_uses", away)
        await world.tokens._note(world.engine)
    (line,) = logged
    assert (line["event"], line["reason"]) == ("the last use of tokens is not noted for now", "it is away")
    world.now = NOON + timedelta(minutes=5)
    await world.ask(other)
    await world.tokens._note(world.engine)
    assert await used(world) == [NOON, NOON + timedelta(minutes=5)]


async def test_what_was_used_last_is_noted_at_the_end(world: World) -> None:
    noting = asyncio.create_task(world.tokens.note_uses(world.engine))
    await asyncio.sleep(0)
    await world.ask(await world.create())
    noting.cancel()
    with suppress(asyncio.CancelledError):
        await noting
    assert await used(world) == [NOON]


async def test_a_database_that_hangs_does_not_keep_a_process_from_its_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens_module, "_PATIENCE", 0.1)
    await world.ask(await world.create())
    async with world.engine.begin() as connection:
        await connection.exec_driver_sql("LOCK TABLE api_token")
        async with asyncio.timeout(10):
            await world.tokens._note(world.engine)
    assert await used(world) == [None]


# In the process


@dataclass
class Process:
    """An application in this process, and what it answers."""

    client: httpx2.AsyncClient
    state: State

    @property
    def live(self) -> LiveFeed:
        return self.state["live"]

    async def ask(self, token: str | None, query: str = "{entities{totalCount}}", **variables: Any) -> Any:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        body = {"query": query, "variables": variables}
        return await self.client.post("/graphql", json=body, headers=headers)

    async def status(self, token: str | None) -> int:
        return int((await self.ask(token)).status_code)

    async def until(self, is_so: Callable[[int | None], bool]) -> None:
        """Wait until it has heard of so many revocations."""
        async with asyncio.timeout(30):
            while not is_so(self.live.revocations()):
                await asyncio.sleep(0.001)

    async def hears(self) -> int:
        """Wait until it would hear of revocations; gives how many it has heard of."""
        await self.until(lambda heard: heard is not None)
        return self.live.revocations() or 0


@asynccontextmanager
async def process(url: str, **settings: str) -> AsyncIterator[Process]:
    app = create_app(Settings.from_environ({"DATABASE_URL": url, **settings}), schema=one_schema())

    async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": dict(state or {})}, receive, send)

    transport = httpx2.ASGITransport(with_state)
    async with (
        app.router.lifespan_context(app) as state,
        httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        yield Process(client, cast("State", state))


GUARDED = {"CATALOGRAPH_ANONYMOUS_SCOPES": "catalog:read"}
CREATE = """mutation($input: TokenCreateInput!) { tokenCreate(input: $input) { secret userErrors { message } } }"""
REVOKE = """mutation($name: String!) { tokenRevoke(input: {name: $name}) { userErrors { message } } }"""


async def test_a_token_that_one_process_revokes_is_refused_by_all_at_once(world: World, database_url: str) -> None:
    boss, token = await world.create("boss", scopes=("admin",)), await world.create()
    async with process(database_url, **GUARDED) as one, process(database_url, **GUARDED) as other:
        before = [await each.hears() for each in (one, other)]
        assert [await one.status(token), await other.status(token)] == [200, 200]
        assert len(other.state["authenticator"]._tokens._kept) == 1  # type: ignore[attr-defined]

        revoked = await one.ask(boss, REVOKE, name="ci")
        assert revoked.json()["data"] == {"tokenRevoke": {"userErrors": []}}
        for each, heard in zip((one, other), before, strict=True):
            await each.until(partial(eq, heard + 1))
            answer = await each.ask(token)
            assert (answer.status_code, answer.json()["errors"][0]["message"]) == (401, "The token is revoked")
            told = 'Bearer realm="catalograph", error="invalid_token", error_description="The token is revoked"'
            assert answer.headers["www-authenticate"] == told
        assert await other.status(None) == 200, "who says nothing may still read"


async def test_a_process_that_lost_its_ear_keeps_nothing_until_it_hears_again(
    world: World, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = await world.create()
    async with process(database_url, **GUARDED) as one:
        before = await one.hears()
        assert await one.status(token) == 200
        connect, again = one.live._connect, asyncio.Event()

        async def later() -> Any:
            await again.wait()
            return await connect()

        monkeypatch.setattr(one.live, "_connect", later)
        await world.catalog.rows(f"SELECT pg_terminate_backend({one.live._ear.get_server_pid()})")
        await one.until(lambda heard: heard is None)
        await world.revoke()
        assert await one.status(token) == 401, "nobody could tell, and it was looked up"
        again.set()
        assert await one.hears() > before


async def test_a_connection_through_which_nothing_comes_any_more_is_not_relied_on(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("api.live.monotonic", lambda: clock[0])
    monkeypatch.setattr("api.live.LOOKED_AT", 3600)
    async with process(database_url) as one:
        known = await one.hears()
        clock[0] = 4.999
        assert one.live.revocations() == known
        clock[0] = 5.0
        assert one.live.revocations() is None


async def test_behind_a_pooler_nothing_is_relied_on(database_url: str) -> None:
    class Pooled(asyncpg.Connection):  # type: ignore[misc] # it comes without types
        """A pooler tells its clients numbers of its own."""

        def get_server_pid(self) -> int:
            return int(super().get_server_pid()) + 1

    reads = Reads(database_url)
    feed = LiveFeed(lambda: asyncpg.connect(database_url, connection_class=Pooled), reads)
    following = asyncio.create_task(feed.run())
    async with asyncio.timeout(30):
        while not feed.is_known:
            await asyncio.sleep(0.001)
    assert feed.revocations() is None
    following.cancel()
    with suppress(asyncio.CancelledError):
        await following
    await reads.close()


@pytest.mark.parametrize("settings", [{}, GUARDED], ids=["nobody-is-asked", "anonymous-may-read"])
async def test_a_wrong_token_is_never_taken_for_none(database_url: str, settings: dict[str, str]) -> None:
    async with process(database_url, **settings) as one:
        assert await one.status(None) == 200
        for wrong in ("cg_" + "A" * 43, "cg_", "odd", ""):
            assert await one.status(wrong) == 401


async def test_no_log_line_and_no_answer_but_the_first_has_the_secret(
    world: World, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    boss = await world.create("boss", scopes=("admin",))
    answers = []
    with capture_logs() as logged, caplog.at_level(logging.DEBUG):
        async with process(database_url, **GUARDED) as one:
            new = {"name": "ci", "scopes": ["catalog:read"]}
            token = (await one.ask(boss, CREATE, input=new)).json()["data"]["tokenCreate"]["secret"]
            asked = ("{entities{totalCount}}", "{odd}", "{tokens{totalCount}}", "{entities(first: -1){totalCount}}")
            answers += [await one.ask(token, query) for query in asked]
            answers.append(await one.ask(boss, "{tokens{nodes{name prefix}} auditEntries{nodes{before after}}}"))
            answers.append(await one.ask(boss, CREATE, input=new))
            before = await one.hears()
            answers.append(await one.ask(boss, REVOKE, name="ci"))
            await one.until(partial(eq, before + 1))
            answers.append(await one.ask(token))
    said = [str(line) for line in logged] + caplog.messages + [f"{a.headers}{a.text}" for a in answers]
    assert any("token:ci" in line for line in said), "it was listened to"
    assert ["errors" in answer.json() for answer in answers] == [False, True, True, True, False, False, False, True]
    for secret in (boss, token):
        assert [line for line in said if secret[11:] in line] == []
