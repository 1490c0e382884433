"""What clients are told while Postgres is away, slow or busy, and that all is well again soon after."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import asyncpg
import pytest

from db.embedded import EmbeddedPostgres
from tests.faults.world import (
    FINE,
    GRACE,
    OPERATION_TIMEOUT,
    POOL,
    TIMEOUT,
    UNAVAILABLE,
    Told,
    World,
    followed,
    until,
    world_of,
)

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("faults")]

RECOVERY = 5.0  # seconds
TIDYING = 5.0  # seconds at most, after what was accepted has been answered
LATE = 1.5  # seconds that an answer may be late on a busy machine
AWAY, SLOW = Told(503, "unavailable"), Told(503, "slow")


@asynccontextmanager
async def refused(world: World) -> AsyncIterator[None]:
    world.line.refuse()
    world.line.cut()
    try:
        yield
    finally:
        await world.line.mend()


@asynccontextmanager
async def silent(world: World) -> AsyncIterator[None]:
    world.line.hold()
    try:
        yield
    finally:
        await world.line.mend()


@asynccontextmanager
async def two_seconds_away(world: World) -> AsyncIterator[None]:
    world.line.delay = 1.0  # there, and back
    try:
        yield
    finally:
        await world.line.mend()


@asynccontextmanager
async def busy(world: World) -> AsyncIterator[None]:
    """All connections for reading are in use."""
    async with world.locked("entity"):
        waiting = [asyncio.create_task(world.query()) for _ in range(POOL)]
        await until(5, lambda: world.has_statements(POOL))
        yield
        assert [await query for query in waiting] == [TIMEOUT] * POOL


@dataclass(frozen=True)
class State:
    begun: Callable[[World], AbstractAsyncContextManager[None]]
    query: Told
    register: Told
    ready: Told


STATES = {
    "refused": State(refused, UNAVAILABLE, UNAVAILABLE, AWAY),
    "silent": State(silent, TIMEOUT, TIMEOUT, SLOW),
    "two seconds away": State(two_seconds_away, FINE, TIMEOUT, SLOW),  # one round trip, several, and with a new one
    "busy": State(busy, UNAVAILABLE, TIMEOUT, FINE),
}


async def recover(world: World, name: str) -> None:
    """Wait until everything works."""
    async with asyncio.timeout(RECOVERY):
        await until(RECOVERY, lambda: world.tells(FINE, world.query))
        await until(RECOVERY, lambda: world.tells(FINE, world.ready))
        await until(RECOVERY, lambda: world.tells(FINE, lambda: world.register(name)))


async def test_an_outage_is_a_few_lines_in_the_log_however_many_ask(world: World) -> None:
    """The first outage of its server: of another within a minute, the line about requests would be missing."""
    start = len(world.served.lines())
    async with refused(world):
        told = await asyncio.gather(*(world.query() for _ in range(50)))
        assert told == [UNAVAILABLE] * 50
        await until(10, partial(has_warned, world, start, "the change log is not followed"))
        await until(10, partial(has_warned, world, start, "sources wait"))
        assert await world.query() == UNAVAILABLE
        mended = len(world.served.lines())
    await recover(world, "told")
    await until(RECOVERY, partial(world.has_read, mended))
    warned = world.warned(start)
    of_runs = {event: warned.pop(event) for event in ("source not read", "next run not noted") if event in warned}
    assert warned == {
        "no answer from the database": 1,
        "the change log is not followed": 1,
        "sources wait": 1,
    }
    assert max(of_runs.values(), default=0) <= 2  # of each source, if it was read just then


async def has_warned(world: World, start: int, event: str) -> bool:
    return event in world.warned(start)


@pytest.mark.parametrize("name", STATES)
async def test_clients_are_told_what_it_is_and_all_recovers(world: World, name: str) -> None:
    state, entity = STATES[name], name.replace(" ", "-")
    async with followed(world.served, entity) as followers:
        assert await world.query() == FINE
        async with state.begun(world):
            async with asyncio.timeout(0.5):
                assert await world.probe("/healthz") == FINE
            async with asyncio.timeout(OPERATION_TIMEOUT + LATE):
                told = await asyncio.gather(world.query(), world.register(f"{entity}-not"), world.ready())
            assert [*told] == [state.query, state.register, state.ready]
        await recover(world, entity)
        for follower in followers:
            await until(RECOVERY, partial(follower.has_heard, "SYNCED", "CREATED"))


async def test_a_line_that_was_cut_is_no_clients_concern(world: World) -> None:
    async with followed(world.served, "cut") as followers:
        before = await world.connections()
        world.line.cut()
        await until(RECOVERY, partial(are_new, world, before))  # the server has seen it, and follows the log again
        assert [await world.query(), await world.register("cut"), await world.ready()] == [FINE] * 3
        for follower in followers:
            await until(RECOVERY, partial(follower.has_heard, "SYNCED", "CREATED"))


async def are_new(world: World, before: set[int]) -> bool:
    now = await world.connections()
    return bool(now) and not now & before


async def test_a_restart_in_the_midst_of_statements_costs_only_these(world: World) -> None:
    async with followed(world.served, "restarted") as followers, asyncio.timeout(30):
        locking = await asyncpg.connect(world.url)
        await locking.execute("BEGIN; LOCK TABLE entity")
        queries = [asyncio.create_task(world.query()) for _ in range(POOL)]
        writing = asyncio.create_task(world.register("restarted-not"))
        await until(5, partial(world.has_statements, POOL + 1))
        world.restart()
        assert await asyncio.gather(*queries, writing) == [UNAVAILABLE] * (POOL + 1)
        await recover(world, "restarted")
        for follower in followers:
            await until(RECOVERY, partial(follower.has_heard, "SYNCED", "CREATED"))
        locking.terminate()


async def test_the_end_comes_in_time_though_sources_are_read_and_postgres_is_silent(world: World) -> None:
    """The last of its server."""
    async with world.locked("entity"):
        assert await world.run_sources() == FINE
        await until(5, partial(world.has_runs, 2))
        async with silent(world):
            asking = await world.begun(world.query(), world.register("stopped"))
            code, seconds = await world.served.end()
            assert (code, seconds < GRACE + TIDYING) == (0, True)
            assert [await one for one in asking] == [TIMEOUT, TIMEOUT]


@pytest.mark.long
@pytest.mark.parametrize("name", STATES)
async def test_the_end_comes_in_time_in_every_state(lonely: EmbeddedPostgres, tmp_path: Path, name: str) -> None:
    async with world_of(lonely, tmp_path) as world:
        await stop_in(world, name)


async def stop_in(world: World, name: str) -> None:
    """End the server while clients ask and follow, and Postgres is in a state."""
    start = len(world.served.lines())
    async with followed(world.served, "stopped") as followers:
        assert await world.query() == FINE
        async with STATES[name].begun(world):
            asking = await world.begun(world.query(), world.register("stopped"))
            code, seconds = await world.served.end()
            assert (code, seconds < GRACE + TIDYING) == (0, True)
            assert [await one for one in asking] == [STATES[name].query, STATES[name].register]
        assert [follower.end for follower in followers] == [1012, "complete"]
        assert world.warned(start)["Cancel 1 running task(s), timeout graceful shutdown exceeded"] == 0
