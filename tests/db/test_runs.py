"""Sources and their runs: what is noted of them while several runs are under way, or somebody holds them up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import runs
from db.engine import create_engine
from db.runs import Run, Source
from tests.ingesting import Catalog

pytestmark = pytest.mark.anyio

SOURCE = Source(name="one", type="folder")
STATE = "SELECT state FROM source"
ENDS = "SELECT finished_at IS NOT NULL, error FROM source_run ORDER BY id"


@pytest.fixture(params=[False, True], ids=["direct", "as behind a pooler"])
async def catalog(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[Catalog]:
    """An empty catalog, of whose statements none may take longer than a tenth of a second."""
    engine = create_engine(database_url, statement_timeout=0.1, pgbouncer=request.param)
    yield Catalog(engine)
    await engine.dispose()


async def begun(catalog: Catalog) -> Run:
    async with catalog.engine.begin() as connection:
        return await runs.begin(connection, SOURCE)


async def fail(catalog: Catalog, run: Run) -> None:
    async with catalog.engine.begin() as connection:
        await runs.stop(connection, run, state="FAILED", error="It broke.")


async def test_an_older_run_that_fails_late_says_nothing_about_the_source(catalog: Catalog) -> None:
    older, newer = await begun(catalog), await begun(catalog)

    await fail(catalog, older)

    assert await catalog.rows(STATE) == ["RUNNING"]
    assert await catalog.rows(ENDS) == [(True, "It broke."), (False, None)]
    await fail(catalog, newer)
    assert await catalog.rows(STATE) == ["FAILED"]


async def test_a_source_that_was_never_read_is_not_found(catalog: Catalog) -> None:
    run = await begun(catalog)
    async with catalog.engine.begin() as connection:
        assert [await runs.find(connection, name) for name in ("one", "two")] == [run.source_id, None]


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(lambda connection, _: runs.begin(connection, SOURCE), id="begin"),
        pytest.param(lambda connection, run: runs.stop(connection, run, state="FAILED", error=""), id="stop"),
    ],
)
async def test_a_run_that_commits_slowly_does_not_make_another_fail(
    catalog: Catalog, step: Callable[[AsyncConnection, Run], Awaitable[object]]
) -> None:
    run = await begun(catalog)

    async def take_step() -> None:
        async with catalog.engine.begin() as connection:
            await step(connection, run)

    async with catalog.engine.begin() as committing:
        await committing.execute(text("UPDATE source SET state = 'IDLE'"))
        stepping = asyncio.create_task(take_step())
        await catalog.until(
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            " AND clock_timestamp() - query_start > interval '0.3 s'",
        )
        assert not stepping.done()
    await stepping
