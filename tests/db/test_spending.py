"""What callers have spent, over all processes: whose sum it is, and of which hour."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from db import spending
from db.engine import create_engine
from db.spending import Spent
from tests.asserts import sql_queries

pytestmark = pytest.mark.anyio


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(database_url)
    yield engine
    await engine.dispose()


async def add(engine: AsyncEngine, *spent: tuple[str, float, int]) -> dict[str, tuple[int, float]]:
    """Points, and what is left of the hour to a tenth of a minute."""
    totals = await spending.add(engine, [Spent(*each) for each in spent])
    return {identity: (points, round(left / 6)) for identity, (points, left) in totals.items()}


async def pass_time(engine: AsyncEngine, minutes: int) -> None:
    async with engine.begin() as connection:
        await connection.execute(text(f"UPDATE spending SET since = since - interval '{minutes} minutes'"))


async def kept(engine: AsyncEngine) -> list[tuple[str, int]]:
    async with engine.connect() as connection:
        rows = await connection.execute(text("SELECT identity, points FROM spending ORDER BY identity"))
        return [(row.identity, row.points) for row in rows]


async def test_what_processes_add_is_summed_by_caller_in_one_statement(engine: AsyncEngine) -> None:
    with sql_queries(engine, 1):
        assert await add(engine, ("ada", 0, 3), ("bob", 0, 5)) == {"ada": (3, 600), "bob": (5, 600)}
    assert await add(engine, ("bob", 0, 1), ("cyd", 0, 2)) == {"bob": (6, 600), "cyd": (2, 600)}
    assert await kept(engine) == [("ada", 3), ("bob", 6), ("cyd", 2)]


async def test_an_hour_began_when_the_process_says(engine: AsyncEngine) -> None:
    assert await add(engine, ("ada", 60, 3)) == {"ada": (3, 590)}


async def test_an_hour_that_is_known_does_not_begin_anew(engine: AsyncEngine) -> None:
    await add(engine, ("ada", 0, 3))
    await pass_time(engine, 59)
    assert await add(engine, ("ada", 0, 4)) == {"ada": (7, 10)}


async def test_an_hour_that_has_ended_counts_no_more(engine: AsyncEngine) -> None:
    await add(engine, ("ada", 0, 3), ("bob", 0, 5))
    await pass_time(engine, 60)
    assert await add(engine, ("ada", 6, 4)) == {"ada": (4, 599)}


async def test_only_hours_that_have_ended_are_forgotten(engine: AsyncEngine) -> None:
    await add(engine, ("ada", 0, 3))
    await pass_time(engine, 1)
    await add(engine, ("bob", 0, 5))
    await pass_time(engine, 59)
    assert await spending.forget(engine) == 1
    assert await kept(engine) == [("bob", 5)]


async def test_processes_that_add_to_the_same_sums_do_not_block_each_other_for_ever(engine: AsyncEngine) -> None:
    names = [f"caller {number}" for number in range(200)]
    ways = [names, names[::-1]] * 10
    await asyncio.gather(*(add(engine, *((name, 0, 1) for name in way)) for way in ways))
    assert await kept(engine) == sorted((name, 20) for name in names)
