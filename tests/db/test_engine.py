"""The way to Postgres: every spelling of its URL, its limits, and what happens when it goes away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import asyncpg
import pytest
from sqlalchemy import JSON, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncEngine

from db import engine as engine_module
from db import jsonb
from db.engine import (
    DatabaseUnreachableError,
    DatabaseURLError,
    NoFreeConnectionError,
    ServerTooOldError,
    check_server,
    connection_url,
    create_engine,
    failure_of,
)

pytestmark = pytest.mark.anyio

Opening = Callable[..., AbstractAsyncContextManager[AsyncEngine]]


@pytest.fixture
def opened(database_url: str) -> Opening:
    @asynccontextmanager
    async def opened(**options: Any) -> AsyncIterator[AsyncEngine]:
        engine = create_engine(database_url, **options)
        try:
            yield engine
        finally:
            await engine.dispose()

    return opened


async def scalar(engine: AsyncEngine, sql: str, **values: object) -> Any:
    async with engine.connect() as connection:
        return (await connection.execute(text(sql), values)).scalar_one()


# The URL


@pytest.mark.parametrize(
    ("given", "understood"),
    [
        ("postgres://ada@db/catalog", "postgresql://ada@db/catalog"),
        ("postgresql+asyncpg://ada@db:6432/catalog", "postgresql://ada@db:6432/catalog"),
        ("postgresql+psycopg://db", "postgresql://db/"),
        ("postgresql://a:p%40ss%23@db/c", "postgresql://a:p%40ss%23@db/c"),
        ("postgresql:///c?host=/run/pg&user=ada", "postgresql:///c?host=%2Frun%2Fpg&user=ada"),
        ("postgresql://one:5432,two:5433/c", "postgresql://one:5432,two:5433/c"),
        ("postgresql://[::1]:5432/c", "postgresql://[::1]:5432/c"),
        (
            "postgresql://db/c?sslmode=verify-full&sslrootcert=/ca.pem&channel_binding=require",
            "postgresql://db/c?sslmode=verify-full&sslrootcert=%2Fca.pem",
        ),
        ("postgresql://db/c?connect_timeout=10&gssencmode=disable", "postgresql://db/c"),
    ],
)
def test_every_spelling_of_the_url_is_understood(given: str, understood: str) -> None:
    assert connection_url(given) == understood


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "it must begin with"),
        ("sqlite:///x", "it must begin with"),
        ("postgresql://db:port/c", "the host or the port is malformed"),
        ("postgresql://one:5432,two:x/c", "the host or the port is malformed"),
        ("postgresql://[::1/c", "the host or the port is malformed"),
        ("postgresql://ada:se#cret@db/c", "it has an unescaped '#'"),
        ("postgresql://db/c?sslmode=on", "sslmode is one of"),
        ("postgresql://db/c?schema=x", "the parameter 'schema' is not known"),
        ("postgresql://db/c?pgbouncer=true", "CATALOGRAPH_PGBOUNCER"),
    ],
)
def test_a_url_that_cannot_work_says_why_and_keeps_its_password(url: str, reason: str) -> None:
    with pytest.raises(DatabaseURLError) as caught:
        connection_url(url)
    assert reason in str(caught.value)
    assert "cret" not in str(caught.value)


# The session


async def test_each_connection_has_its_limits_and_its_name(opened: Opening) -> None:
    async with opened(statement_timeout=1.5) as engine:
        values = {
            name: await scalar(engine, f"SHOW {name}")
            for name in ("statement_timeout", "client_connection_check_interval", "timezone", "application_name")
        }
    assert values == {
        "statement_timeout": "1500ms",
        "client_connection_check_interval": "5s",
        "timezone": "UTC",
        "application_name": "catalograph",
    }


async def test_a_slow_statement_is_a_timeout(opened: Opening) -> None:
    async with opened(statement_timeout=0.05) as engine:
        with pytest.raises(Exception, match="statement timeout") as caught:
            await scalar(engine, "SELECT pg_sleep(30)")
    assert failure_of(caught.value) == "timeout"


async def test_an_exhausted_pool_is_unavailable_after_its_time_and_then_recovers(opened: Opening) -> None:
    async with opened(pool_size=1, pool_timeout=0.05) as engine:
        async with engine.connect():
            with pytest.raises(Exception, match="QueuePool limit") as caught:
                await scalar(engine, "SELECT 1")
        assert failure_of(caught.value) == "unavailable"
        assert await scalar(engine, "SELECT 1") == 1


async def test_a_cancelled_request_cancels_its_statement_in_postgres(opened: Opening) -> None:
    running = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(31)' AND state = 'active'"
    async with opened() as engine, opened() as observer:
        sleeping = asyncio.create_task(scalar(engine, "SELECT pg_sleep(31)"))
        while not await scalar(observer, running):
            assert not sleeping.done()
        sleeping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sleeping
        while await scalar(observer, running):
            pass  # the test's own time limit ends this


async def test_a_connection_that_the_server_closed_is_replaced_unseen(opened: Opening) -> None:
    async with opened(pool_size=1) as engine, opened() as other:
        first = await scalar(engine, "SELECT pg_backend_pid()")
        await scalar(other, "SELECT pg_terminate_backend(:pid, 5000)", pid=first)
        assert await scalar(engine, "SELECT pg_backend_pid()") != first


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    engine = create_engine("postgresql://ada:hunter2@127.0.0.1:1/catalog")
    with pytest.raises(DatabaseUnreachableError) as caught:
        await scalar(engine, "SELECT 1")
    assert failure_of(caught.value) == "unavailable"
    assert "hunter2" not in str(caught.value)


async def test_a_database_that_is_not_there_is_unavailable(database_url: str) -> None:
    engine = create_engine(database_url.replace("/catalograph_test", "/no_such"))
    with pytest.raises(DatabaseUnreachableError, match='refuses the connection: database "no_such'):
        await scalar(engine, "SELECT 1")


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql://ada:hunter2@127.0.0.1:1/catalog", "127.0.0.1:1"),
        ("postgresql://ada:hunter2@127.0.0.1:1,127.0.0.1:2/catalog", "127.0.0.1:1,127.0.0.1:2"),
        ("postgresql:///catalog?host=/nowhere&user=ada&password=hunter2", "/nowhere:5432"),
        ("postgresql://ada:hunter2@/catalog?host=127.0.0.1&port=1", "127.0.0.1:1"),
    ],
)
async def test_a_server_that_is_away_is_told_by_its_host_and_never_by_its_password(url: str, place: str) -> None:
    with pytest.raises(DatabaseUnreachableError) as caught:
        await scalar(create_engine(url), "SELECT 1")
    assert str(caught.value).startswith(f"DATABASE_URL: {place} cannot be reached: ")
    assert not any(secret in str(caught.value) for secret in ("ada", "hunter2"))


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (asyncpg.QueryCanceledError("canceling statement due to statement timeout"), "timeout"),
        (asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"), "unavailable"),
        (asyncpg.AdminShutdownError("terminating connection due to administrator command"), "unavailable"),
        (asyncpg.CannotConnectNowError("the database system is starting up"), "unavailable"),
        (asyncpg.TooManyConnectionsError("sorry, too many clients already"), "unavailable"),
        (asyncpg.InterfaceError("connection is closed"), "unavailable"),
        (asyncpg.InterfaceError("cannot perform operation: connection is closed"), "unavailable"),
        (NoFreeConnectionError("x"), "unavailable"),
        (DatabaseUnreachableError("x"), "unavailable"),
        (asyncpg.InterfaceError("the server expects 1 argument for this query, 2 were passed"), None),
        (asyncpg.InterfaceError("cannot perform operation: another operation is in progress"), None),
        (asyncpg.UniqueViolationError("x"), None),
        (asyncpg.DeadlockDetectedError("x"), None),
        (asyncpg.ReadOnlySQLTransactionError("x"), None),
        (RuntimeError("x"), None),
        (OSError("x"), None),
    ],
)
def test_errors_of_the_driver_are_told_apart(error: Exception, failure: str | None) -> None:
    assert failure_of(error) == failure


async def test_an_old_server_is_refused_by_its_version(opened: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened() as engine:
        await check_server(engine)
        monkeypatch.setattr(engine_module, "OLDEST_SERVER", 99)
        with pytest.raises(ServerTooOldError, match=r"^Postgres \d\d is too old: 99 or later is needed$"):
            await check_server(engine)


# Behind PgBouncer


async def test_behind_a_pooler_nothing_outlives_a_transaction(opened: Opening) -> None:
    async with opened(pgbouncer=True, statement_timeout=1.5, pool_size=1) as engine:
        async with engine.connect() as connection:
            for number in range(3):
                assert (await connection.execute(text("SELECT CAST(:n AS int)"), {"n": number})).scalar_one() == number
            assert (await connection.execute(text("SHOW statement_timeout"))).scalar_one() == "1500ms"
        async with engine.connect() as connection:
            raw = await connection.get_raw_connection()
            assert raw.driver_connection
            assert await raw.driver_connection.fetchval("SHOW statement_timeout") == "0"
            kept = "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE '%catalograph%'"
            assert await raw.driver_connection.fetchval(kept) == 0


async def test_writing_is_read_committed_whatever_the_server_prefers(database_url: str, opened: Opening) -> None:
    admin = await asyncpg.connect(database_url)
    name = await admin.fetchval("SELECT current_database()")
    await admin.execute(f"ALTER DATABASE {name} SET default_transaction_isolation TO 'serializable'")
    await admin.close()
    async with opened() as engine, engine.begin() as connection:
        shown = await connection.execute(text("SHOW transaction_isolation"))
        assert shown.scalar_one() == "read committed"


# JSON


@pytest.mark.parametrize(
    "value", [{"a": [1, 2.5, None, True, "ü\U0001f642"]}, 2**63, 2**64 + 1, -(10**40), "1" * 40, [], 1.0, 0.1]
)
async def test_json_comes_back_as_it_was(opened: Opening, value: object) -> None:
    async with opened() as engine, engine.connect() as connection:
        for type_ in (JSON, JSONB):
            statement = text("SELECT CAST(:v AS jsonb)").bindparams(bindparam("v", type_=type_)).columns(v=JSONB)
            returned = (await connection.execute(statement, {"v": value})).scalar_one()
            assert (returned, type(returned)) == (value, type(value))


@pytest.mark.parametrize(
    "text_", ["NaN", "Infinity", "1e999", '"\\ud800"', "[" * 2_000, "[" * 1_010 + "9" * 20 + "]" * 1_010]
)
def test_foreign_json_that_is_none_is_a_value_error(text_: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        jsonb.decode_foreign(text_)
