"""Processes share declared sources by these rows: one takes each, and a declaration that changed is not taken."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from db import schedules
from db.engine import create_engine
from db.schedules import Declaration, Due, Taken

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(database_url)
    yield engine
    await engine.dispose()


def declared(name: str, **definition: str) -> Declaration:
    return Declaration(name=name, type="folder", definition=dict(definition))


async def declare(engine: AsyncEngine, *declarations: Declaration) -> list[str]:
    async with engine.begin() as connection:
        return await schedules.declare(connection, declarations)


async def due(engine: AsyncEngine) -> list[Due]:
    async with engine.connect() as connection:
        return await schedules.due(connection)


async def take(engine: AsyncEngine, one: Due) -> Taken | None:
    async with engine.begin() as connection:
        return await schedules.take(connection, one, after=HOUR)


async def test_a_source_that_another_process_has_just_taken_is_not_taken_again(engine: AsyncEngine) -> None:
    await declare(engine, declared("a"))
    (seen_by_both,) = await due(engine)

    async with engine.begin() as connection:
        assert await schedules.take(connection, seen_by_both, after=HOUR)
        assert await take(engine, seen_by_both) is None, "not yet committed"
    assert await take(engine, seen_by_both) is None, "committed"
    assert await due(engine) == []


async def test_a_source_that_is_declared_otherwise_by_now_is_not_taken(engine: AsyncEngine) -> None:
    await declare(engine, declared("a", folder="/one"))
    (seen,) = await due(engine)
    await declare(engine, declared("a", folder="/two"))

    assert await take(engine, seen) is None
    (seen,) = await due(engine)
    assert await take(engine, seen)


async def test_the_longest_waiting_comes_first(engine: AsyncEngine) -> None:
    await declare(engine, declared("b"))
    await declare(engine, declared("b"), declared("a"))
    assert [one.name for one in await due(engine)] == ["b", "a"]


async def test_an_older_file_drops_the_schedule_of_what_it_does_not_declare(engine: AsyncEngine) -> None:
    assert await declare(engine, declared("a"), declared("b")) == []
    assert await declare(engine, declared("b")) == ["a"]
    assert await declare(engine, declared("b")) == []
    assert [one.name for one in await due(engine)] == ["b"]


async def test_a_mutation_takes_no_source_from_the_settings_but_they_may_take_one_from_it(engine: AsyncEngine) -> None:
    await declare(engine, declared("a"))
    async with engine.begin() as connection:
        assert not await schedules.register(connection, declared("a", folder="/other"))
        assert await schedules.register(connection, declared("b"))
        assert await schedules.register(connection, declared("b", folder="/other"))
    await declare(engine, declared("a"), declared("b"))
    async with engine.connect() as connection:
        assert await schedules.held(connection, "b") == ("b", schedules.SETTINGS, True)


async def test_what_a_mutation_declared_no_file_drops(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await schedules.register(connection, declared("mine"))
    assert await declare(engine) == []
    assert [one.name for one in await due(engine)] == ["mine"]


async def test_removing_what_is_not_there_is_told(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        assert await schedules.remove(connection, "none") is None
