"""Statements that only read: what rows hold, how connections are shared, and what is left when something breaks."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import Any

import asyncpg
import pytest
from asyncpg import connect_utils

from db import embedded, reading
from db.engine import DatabaseUnreachableError, NoFreeConnectionError, failure_of
from db.reading import Reads
from tests.postgres import connected

pytestmark = pytest.mark.anyio

Opening = Callable[..., AbstractAsyncContextManager[Reads]]

PID = "SELECT pg_backend_pid()"
SLEEP = "SELECT pg_sleep(32)"
OURS = "FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'catalograph'"
ACTIVE = f"SELECT count(*) {OURS} AND state = 'active' AND query LIKE '%pg_sleep(32)%'"
CONNECTIONS = f"SELECT count(*) {OURS}"
TERMINATE = f"SELECT count(pg_terminate_backend(pid, 5000)) {OURS}"


@pytest.fixture
def opened(database_url: str) -> Opening:
    @asynccontextmanager
    async def opened(**options: Any) -> AsyncIterator[Reads]:
        reads = Reads(database_url, **options)
        try:
            yield reads
        finally:
            await reads.close()

    return opened


@pytest.fixture
async def observer(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    async with connected(database_url) as connection:
        yield connection


@pytest.fixture
def folder() -> Iterator[Path]:
    """For an embedded Postgres; pytest's own folders are closed to the user that runs it."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def connects(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One entry for each connection that is begun."""
    begun: list[str] = []
    connect = asyncpg.connect

    async def counted(dsn: str, **options: Any) -> Any:
        begun.append(dsn)
        return await connect(dsn, **options)

    monkeypatch.setattr(asyncpg, "connect", counted)
    return begun


async def value(reads: Reads, text: str, *values: object, varying: bool = False) -> Any:
    """The only value of the only row."""
    ((found,),) = await reads.fetch(text, values, varying=varying)
    return found


async def all_at_once(reads: Reads, count: int) -> list[int]:
    """The backends that run this many statements side by side."""
    tasks = [value(reads, "SELECT pg_backend_pid() FROM pg_sleep(0.05)") for _ in range(count)]
    return list(await asyncio.gather(*tasks))


async def until(observer: asyncpg.Connection, text: str, expected: object) -> None:
    """Wait for a value; the test's own time limit ends this."""
    while await observer.fetchval(text) != expected:
        await asyncio.sleep(0.005)


async def cancelled(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(end) for end in ends] == [asyncio.CancelledError] * len(tasks)


# Rows


async def test_a_row_gives_its_columns_by_name_as_attribute_and_in_order(opened: Opening) -> None:
    async with opened() as reads:
        (row,) = await reads.fetch("SELECT 'component:default/a' AS ref, NULL AS title, 7 AS values", (), named=True)
    assert (row.ref, row["title"], row[2], row["values"]) == ("component:default/a", None, 7, 7)
    assert list(row) == ["component:default/a", None, 7]
    assert not hasattr(row, "owner")
    with pytest.raises(AttributeError, match=r"^owner$"):
        _ = row.owner


async def test_json_is_read_and_bound_with_numbers_of_any_length(opened: Opening) -> None:
    given = {"a": [1, 2.5, None, 2**64 + 1, "ü\U0001f642"]}
    async with opened() as reads:
        (row,) = await reads.fetch("SELECT $1::jsonb AS binary, $2::json AS text, NULL::jsonb AS none", [given, given])
    assert list(row) == [given, given, None]


async def test_times_are_aware_and_in_utc(opened: Opening) -> None:
    async with opened() as reads:
        found = await value(reads, "SELECT '2026-11-22T12:00:00+02:00'::timestamptz")
    assert (found, found.tzinfo) == (datetime(2026, 11, 22, 10, tzinfo=UTC), UTC)


async def test_arrays_are_bound_with_their_nulls_also_when_empty(opened: Opening) -> None:
    text = "SELECT id, ref FROM unnest($1::bigint[], $2::text[]) AS keys (id, ref)"
    async with opened() as reads:
        rows = await reads.fetch(text, [[2**62, None], ["a", "b"]])
        assert [tuple(row) for row in rows] == [(2**62, "a"), (None, "b")]
        assert await reads.fetch(text, [[], []]) == []


# What statements run under


@pytest.mark.parametrize("pgbouncer", [False, True])
@pytest.mark.parametrize(("varying", "plans", "mergejoin"), [(False, "generic", "off"), (True, "custom", "on")])
async def test_each_statement_has_its_limits_and_its_kind_of_plan(
    opened: Opening, *, pgbouncer: bool, varying: bool, plans: str, mergejoin: str
) -> None:
    expected = {
        "application_name": "catalograph",
        "client_connection_check_interval": "5s",
        "enable_mergejoin": mergejoin,
        "jit": "off",
        "plan_cache_mode": f"force_{plans}_plan",
        "random_page_cost": "1.1",
        "statement_timeout": "1500ms",
        "timezone": "UTC",
        "transaction_isolation": "read committed",
        "transaction_read_only": "on",
    }
    async with opened(statement_timeout=1.5, pgbouncer=pgbouncer) as reads:
        shown = "SELECT name, current_setting(name) FROM unnest($1::text[]) AS name"
        assert dict(await reads.fetch(shown, [list(expected)], varying=varying)) == expected


async def test_a_statement_is_planned_once_and_a_varying_one_each_time(opened: Opening) -> None:
    planned = "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement = $1"
    for varying, expected in ((False, (4, 0)), (True, (0, 4))):
        async with opened(pool_size=1) as reads:
            for number in range(4):
                await reads.fetch("SELECT $1::int", [number], varying=varying)
            (row,) = await reads.fetch(planned, ["SELECT $1::int"], varying=varying)
            assert tuple(row) == expected


@pytest.mark.parametrize("pgbouncer", [False, True])
async def test_what_would_write_is_refused_whatever_the_server_prefers(
    opened: Opening, observer: asyncpg.Connection, *, pgbouncer: bool
) -> None:
    name = await observer.fetchval("SELECT current_database()")
    await observer.execute(f"ALTER DATABASE {name} SET default_transaction_isolation TO 'serializable'")
    async with opened(pgbouncer=pgbouncer) as reads:
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError) as caught:
            await reads.fetch("INSERT INTO ref (ref) VALUES ('x') RETURNING id", ())
        assert failure_of(caught.value) is None
        assert await value(reads, "SHOW transaction_isolation") == "read committed"
    assert await observer.fetchval("SELECT count(*) FROM ref") == 0


async def test_prepared_statements_are_bounded_and_do_not_expire(
    opened: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    timers: list[float] = []
    loop = asyncio.get_running_loop()
    call_later = loop.call_later

    def noted(delay: float, *call: Any, **options: Any) -> asyncio.TimerHandle:
        timers.append(delay)
        return call_later(delay, *call, **options)

    monkeypatch.setattr(loop, "call_later", noted)
    async with opened(pool_size=1) as reads:
        for number in range(150):
            await reads.fetch(f"SELECT {number}", ())
        assert await value(reads, "SELECT count(*) FROM pg_prepared_statements") == 100
    assert [delay for delay in timers if delay > 10] == []


async def test_statements_that_were_cancelled_while_they_were_prepared_do_not_pile_up(opened: Opening) -> None:
    async with opened(pool_size=1) as reads:
        first = await value(reads, PID)
        for number in range(300):
            task = asyncio.create_task(reads.fetch(f"SELECT {number}", ()))
            await asyncio.sleep(0)  # it is sent, and no answer is read
            await cancelled([task])
            assert await value(reads, "SELECT count(*) FROM pg_prepared_statements") <= 201
        assert await value(reads, PID) != first


async def test_a_kept_statement_outlives_a_change_of_its_table(opened: Opening, observer: asyncpg.Connection) -> None:
    await observer.execute("CREATE TABLE thing (id int); INSERT INTO thing VALUES (1)")
    async with opened() as reads:
        assert [tuple(row) for row in await reads.fetch("SELECT * FROM thing", ())] == [(1,)]
        await observer.execute("ALTER TABLE thing ADD size text DEFAULT 'small'")
        assert [tuple(row) for row in await reads.fetch("SELECT * FROM thing", ())] == [(1, "small")]


# How connections are shared


async def test_nothing_is_connected_until_a_statement_runs(connects: list[str]) -> None:
    reads = Reads("postgresql://127.0.0.1:1/catalog")
    await reads.close()
    assert connects == []


@pytest.mark.parametrize("pgbouncer", [False, True])
async def test_one_connection_serves_both_kinds_of_plan(
    opened: Opening, connects: list[str], *, pgbouncer: bool
) -> None:
    async with opened(pool_size=1, pgbouncer=pgbouncer) as reads:
        shown = [await value(reads, "SHOW plan_cache_mode", varying=varying) for varying in (False, True, True, False)]
    assert shown == [f"force_{plans}_plan" for plans in ("generic", "custom", "custom", "generic")]
    assert len(connects) == 1


async def test_where_there_is_room_each_kind_of_plan_keeps_its_connection(opened: Opening) -> None:
    async with opened(pool_size=3) as reads:
        steady, varying = await value(reads, PID), await value(reads, PID, varying=True)
        again = [await value(reads, PID, varying=turn) for turn in (False, True, False, True)]
    assert again == [steady, varying, steady, varying]
    assert steady != varying


async def test_both_kinds_together_never_hold_more_than_the_size_of_the_pool(
    opened: Opening, observer: asyncpg.Connection
) -> None:
    async with opened(pool_size=3) as reads:
        found = await asyncio.gather(
            *(value(reads, f"SELECT ({CONNECTIONS}) FROM pg_sleep(0.01)", varying=turn % 3 == 0) for turn in range(30))
        )
        assert max(found) <= 3
        assert await observer.fetchval(CONNECTIONS) == 3


async def test_the_last_used_connection_is_used_next(opened: Opening) -> None:
    async with opened(pool_size=4) as reads:
        assert len(set(await all_at_once(reads, 4))) == 4
        last = await value(reads, PID)
        assert [await value(reads, PID) for _ in range(5)] == [last] * 5


async def test_statements_that_wait_have_their_turns_in_order(opened: Opening) -> None:
    done: list[int] = []

    async def noted(number: int) -> None:
        done.append(await value(reads, "SELECT $1::int FROM pg_sleep(0.001)", number))

    async with opened(pool_size=2) as reads:
        await asyncio.gather(*(value(reads, "SELECT pg_sleep(0.01)") for _ in range(2)))
        await asyncio.gather(value(reads, "SELECT pg_sleep(0.5)"), *(noted(number) for number in range(20)))
    assert done == list(range(20))


async def test_a_wait_for_a_connection_ends_as_unavailable_and_the_next_statement_runs(
    opened: Opening, observer: asyncpg.Connection
) -> None:
    async with opened(pool_size=1, pool_timeout=0.05) as reads:
        sleeping = asyncio.create_task(reads.fetch(SLEEP, ()))
        await until(observer, ACTIVE, 1)
        with pytest.raises(NoFreeConnectionError, match=r"^all 1 connections were in use for 0\.05 s$") as caught:
            await value(reads, PID)
        assert failure_of(caught.value) == "unavailable"
        await cancelled([sleeping])
        await until(observer, ACTIVE, 0)
        assert await value(reads, "SELECT 1") == 1


async def test_closing_waits_for_what_runs_and_turns_away_what_comes(
    opened: Opening, observer: asyncpg.Connection
) -> None:
    async with opened(pool_size=2) as reads:
        running = asyncio.create_task(value(reads, "SELECT 1 FROM pg_sleep(0.2)"))
        await until(observer, f"{CONNECTIONS} AND query LIKE '%pg_sleep(0.2)'", 1)
        await asyncio.gather(reads.close(), reads.close())
        with pytest.raises(NoFreeConnectionError, match=r"^the pool is closed$") as caught:
            await value(reads, PID)
    assert (await running, failure_of(caught.value)) == (1, "unavailable")
    await until(observer, CONNECTIONS, 0)


# Failures of a statement


@pytest.mark.parametrize("pgbouncer", [False, True])
@pytest.mark.parametrize(
    ("text", "values", "failure"),
    [
        ("SELECT pg_sleep(30)", (), "timeout"),
        ("SELECT 1 / $1::int", (0,), None),
        ("SELECT nothing", (), None),
        ("SELECT $1::int", ("x",), None),
        ("SELECT $1::int", (1, 2), None),
    ],
    ids=["slow", "fails", "malformed", "wrong value", "too many values"],
)
async def test_a_statement_that_fails_leaves_its_connection_whole(
    opened: Opening, text: str, values: tuple[object, ...], failure: str | None, *, pgbouncer: bool
) -> None:
    async with opened(pool_size=1, statement_timeout=0.1, pgbouncer=pgbouncer) as reads:
        before = await value(reads, PID)
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)) as caught:
            await reads.fetch(text, values)
        assert failure_of(caught.value) == failure
        assert await value(reads, PID) == before


# A database that goes away


async def test_a_server_that_is_not_there_is_unavailable_and_keeps_no_place() -> None:
    reads = Reads("postgresql://ada:hunter2@127.0.0.1:1/catalog", pool_size=1, pool_timeout=0.5)
    for _ in range(3):
        with pytest.raises(
            DatabaseUnreachableError, match=r"^DATABASE_URL: 127\.0\.0\.1:1 cannot be reached: "
        ) as caught:
            await value(reads, PID)
        assert failure_of(caught.value) == "unavailable"
        assert "hunter2" not in str(caught.value)
    await reads.close()


async def test_connections_that_the_server_closed_are_replaced_unseen(
    opened: Opening, observer: asyncpg.Connection
) -> None:
    async with opened(pool_size=3) as reads:
        before = await all_at_once(reads, 3)
        assert await observer.fetchval(TERMINATE) == 3
        after = await all_at_once(reads, 3)
        assert (len(set(after)), set(after) & set(before)) == (3, set())
        assert await observer.fetchval(CONNECTIONS) == 3
        shown = "SELECT concat_ws(' ', current_setting('plan_cache_mode'), current_setting('transaction_read_only'))"
        assert await value(reads, shown) == "force_generic_plan on"


@pytest.mark.parametrize("pgbouncer", [False, True])
async def test_a_connection_that_died_unnoticed_costs_no_statement(
    opened: Opening, database_url: str, connects: list[str], *, pgbouncer: bool
) -> None:
    async def terminate() -> None:
        async with connected(database_url) as connection:
            await connection.execute(TERMINATE)

    async with opened(pool_size=1, pgbouncer=pgbouncer) as reads:
        await value(reads, PID)
        connects.clear()
        thread = Thread(target=asyncio.run, args=[terminate()])
        thread.start()
        thread.join()  # without looking at any socket of this thread's loop
        assert await value(reads, "SELECT $1::int", 1) == 1
    assert len(connects) == 2  # one of them the thread's


@pytest.mark.parametrize(("is_new", "attempts"), [(True, 1), (False, 2)])
async def test_a_statement_that_kills_its_connection_is_run_again_once_where_that_was_not_new(
    opened: Opening, connects: list[str], *, is_new: bool, attempts: int
) -> None:
    async with opened(pool_size=1) as reads:
        if not is_new:
            await value(reads, PID)
        with pytest.raises(asyncpg.ConnectionDoesNotExistError) as caught:
            await value(reads, "SELECT pg_terminate_backend(pg_backend_pid())")
        assert failure_of(caught.value) == "unavailable"
        assert len(connects) == attempts
        assert await value(reads, "SELECT 1") == 1


async def test_a_restart_of_postgres_costs_only_the_statements_of_that_time(folder: Path) -> None:
    with embedded.running(folder, fsync=False) as server:
        reads = Reads(server.dsn, pool_size=3)
        await all_at_once(reads, 3)
        running = asyncio.create_task(reads.fetch(SLEEP, ()))
        async with connected(server.dsn) as observer:
            await until(observer, ACTIVE, 1)
    for lost in (running, reads.fetch(SLEEP, ())):
        with pytest.raises(Exception, match=r".") as caught:
            await lost
        assert failure_of(caught.value) == "unavailable"
    with embedded.running(folder, fsync=False):
        assert len(set(await all_at_once(reads, 3))) == 3
        assert await value(reads, CONNECTIONS) == 3
        await reads.close()


# Cancelling


@pytest.mark.parametrize("pgbouncer", [False, True])
async def test_a_cancelled_statement_ends_in_postgres_and_its_connection_is_used_again(
    opened: Opening, observer: asyncpg.Connection, *, pgbouncer: bool
) -> None:
    async with opened(pool_size=1, pgbouncer=pgbouncer) as reads:
        before = await value(reads, PID)
        sleeping = asyncio.create_task(reads.fetch(SLEEP, ()))
        await until(observer, ACTIVE, 1)
        await cancelled([sleeping])
        await until(observer, ACTIVE, 0)
        assert await value(reads, PID) == before


@pytest.mark.parametrize("pgbouncer", [False, True])
async def test_many_that_are_cancelled_at_once_running_and_waiting_leave_the_pool_whole(
    opened: Opening, observer: asyncpg.Connection, *, pgbouncer: bool
) -> None:
    async with opened(pool_size=4, pgbouncer=pgbouncer) as reads:
        tasks = [asyncio.create_task(reads.fetch(SLEEP, ())) for _ in range(12)]
        await until(observer, ACTIVE, 4)
        await cancelled(tasks)
        await until(observer, ACTIVE, 0)
        assert len(set(await all_at_once(reads, 4))) == 4
        assert await observer.fetchval(CONNECTIONS) == 4


async def test_one_that_is_cancelled_while_it_waits_takes_no_turn(
    opened: Opening, observer: asyncpg.Connection
) -> None:
    async with opened(pool_size=1) as reads:
        sleeping = asyncio.create_task(reads.fetch(SLEEP, ()))
        await until(observer, ACTIVE, 1)
        waiting, next_one = (asyncio.create_task(value(reads, "SELECT 1")) for _ in range(2))
        await asyncio.sleep(0)
        await cancelled([waiting])
        await cancelled([sleeping])
        assert await next_one == 1


@pytest.mark.parametrize("pgbouncer", [False, True])
async def test_cancelled_at_any_step_a_statement_disturbs_no_other(
    opened: Opening, observer: asyncpg.Connection, *, pgbouncer: bool
) -> None:
    """Two statements share one connection; the first is cancelled one step of the loop later in each round."""
    async with opened(pool_size=1, pgbouncer=pgbouncer) as reads:
        ended = 0
        for steps in range(60):
            first, second = (asyncio.create_task(value(reads, f"SELECT $1::int + {steps}", n)) for n in (1000, 2000))
            for _ in range(steps):
                await asyncio.sleep(0.0001)
            first.cancel()
            await asyncio.wait([first])
            if not first.cancelled():
                assert first.result() == 1000 + steps
                ended += 1
            assert await second == 2000 + steps
        assert 0 < ended < 60  # both before and after its end
        assert await observer.fetchval(CONNECTIONS) == 1


async def test_cancelled_while_its_connection_is_set_anew_a_statement_leaves_no_wrong_plans(opened: Opening) -> None:
    async with opened(pool_size=1) as reads:
        assert await value(reads, "SHOW plan_cache_mode") == "force_generic_plan"
        setting = asyncio.create_task(value(reads, PID, varying=True))
        await asyncio.sleep(0)  # it is sent, and no answer is read
        await cancelled([setting])
        assert await value(reads, "SHOW plan_cache_mode") == "force_generic_plan"


async def test_cancelled_while_it_connects_a_statement_leaves_no_connection_behind(
    opened: Opening, observer: asyncpg.Connection
) -> None:
    for steps in range(40):
        async with opened(pool_size=1) as reads:
            connecting = asyncio.create_task(value(reads, PID))
            for _ in range(steps):
                await asyncio.sleep(0.0002)
            connecting.cancel()
            await asyncio.gather(connecting, return_exceptions=True)
            assert await value(reads, "SELECT 1") == 1
            await until(observer, CONNECTIONS, 1)
    await until(observer, CONNECTIONS, 0)


async def test_a_cancellation_that_came_before_the_statement_had_begun_is_repeated(
    opened: Opening, observer: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancel, requests = connect_utils._cancel, 0

    async def first_in_vain(**options: Any) -> None:
        nonlocal requests
        requests += 1
        if requests > 1:
            await cancel(**options)

    monkeypatch.setattr(connect_utils, "_cancel", first_in_vain)
    monkeypatch.setattr(reading, "_CANCELLING", 0.1)
    async with opened(pool_size=1) as reads:
        before = await value(reads, PID)
        sleeping = asyncio.create_task(reads.fetch(SLEEP, ()))
        await until(observer, ACTIVE, 1)
        await cancelled([sleeping])
        await until(observer, ACTIVE, 0)
        assert await value(reads, PID) == before


async def test_a_connection_on_which_nothing_can_be_cancelled_is_replaced(
    opened: Opening, observer: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unheard(**_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(connect_utils, "_cancel", unheard)
    monkeypatch.setattr(reading, "_CANCELLING", 0.005)
    async with opened(pool_size=1) as reads:
        before = await value(reads, PID)
        sleeping = asyncio.create_task(reads.fetch(SLEEP, ()))
        await until(observer, ACTIVE, 1)
        await cancelled([sleeping])
        assert await value(reads, PID) != before


# Behind PgBouncer


async def test_behind_a_pooler_nothing_outlives_a_transaction(opened: Opening) -> None:
    async with opened(pgbouncer=True, pool_size=1) as reads:
        for number in range(3):
            assert await value(reads, "SELECT $1::int", number, varying=number == 1) == number
        with pytest.raises(asyncpg.DivisionByZeroError):
            await reads.fetch("SELECT 1 / $1::int", (0,))
        await value(reads, PID)
        session = reads._free[-1]._connection
        assert not session.is_in_transaction()
        names = ["statement_timeout", "plan_cache_mode", "transaction_read_only"]
        left = "SELECT name, current_setting(name) FROM unnest($1::text[]) AS name"
        assert [tuple(row) for row in await session.fetch(left, names)] == [
            ("statement_timeout", "0"),
            ("plan_cache_mode", "auto"),
            ("transaction_read_only", "off"),
        ]
        assert await session.fetchval("SELECT count(*) FROM pg_prepared_statements WHERE name <> ''") == 0
