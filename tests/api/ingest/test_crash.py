"""A run that is killed, or whose Postgres is: the catalog is as it was, and the next run puts things right.

The runs are stopped in their last step, with all rows written and not yet committed: the test holds the lock for which
they wait there.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from db import embedded, locks, revisions
from db.engine import DatabaseUnreachableError, create_engine, failure_of
from db.runs import DIED
from tests.ingesting import Catalog, Tree, component

pytestmark = pytest.mark.anyio

A, ANN_REF = "component:default/a", "user:default/ann"
RUNS = "SELECT finished_at IS NOT NULL, error FROM source_run ORDER BY id"


@pytest.fixture
def folder() -> Iterator[Path]:
    """For an embedded Postgres; pytest's own folders are closed to the user that runs it."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


async def test_a_run_that_is_killed_before_its_commit_leaves_the_catalog_as_it_was(
    catalog: Catalog, database_url: str, tree: Tree
) -> None:
    await catalog.ingest(tree.root)
    before = [await catalog.refs(), await catalog.changes()]
    tree.write("a.yaml", component("a"))
    async with _last_step_held(catalog.engine):
        process = _start(tree.root, database_url)
        await catalog.until_one_waits_for_a_lock()
        process.kill()
        process.wait()
    await catalog.until(
        "SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_stat_activity"
        " WHERE datname = current_database() AND state <> 'idle' AND pid <> pg_backend_pid())",
    )

    assert [await catalog.refs(), await catalog.changes()] == before
    assert await catalog.rows("SELECT state FROM source") == ["RUNNING"], "nobody could say otherwise"
    assert await catalog.rows(RUNS) == [(True, None), (False, None)]

    assert (await catalog.ingest(tree.root)).counts.added == 1
    assert await catalog.rows("SELECT state FROM source") == ["IDLE"]
    assert await catalog.rows(RUNS) == [(True, None), (True, DIED), (True, None)]


async def test_a_run_that_is_interrupted_says_so(catalog: Catalog, database_url: str, tree: Tree) -> None:
    async with _last_step_held(catalog.engine):
        process = _start(tree.root, database_url)
        await catalog.until_one_waits_for_a_lock()
        process.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(process.wait) == 1

    assert await catalog.refs() == []
    assert await catalog.rows("SELECT state FROM source") == ["FAILED"]
    assert await catalog.rows(RUNS) == [(True, "It was interrupted.")]


async def test_a_postgres_that_is_killed_before_the_commit_leaves_the_catalog_as_it_was(
    tree: Tree, folder: Path
) -> None:
    with embedded.running(folder) as server:
        catalog = Catalog(create_engine(server.dsn))
        await revisions.upgrade(catalog.engine)
        await catalog.ingest(tree.root)
        tree.write("a.yaml", component("a"))
        await _kill_during_run(catalog, server.data, tree)

        await _wait_until_it_answers(catalog)
        assert await catalog.refs() == [ANN_REF]
        assert (await catalog.ingest(tree.root)).counts.added == 1
        assert await catalog.refs() == [A, ANN_REF]
        assert await catalog.rows(RUNS) == [(True, None), (True, DIED), (True, None)]
        await catalog.engine.dispose()


async def test_when_both_are_killed_the_next_start_recovers_and_no_process_is_left(tree: Tree, folder: Path) -> None:
    with embedded.running(folder) as server:
        catalog = Catalog(create_engine(server.dsn))
        await revisions.upgrade(catalog.engine)
        await catalog.ingest(tree.root)
        tree.write("a.yaml", component("a"))
        postmaster = int((server.data / "postmaster.pid").read_text().splitlines()[0])
        with suppress(DBAPIError, DatabaseUnreachableError):  # the lock's own transaction ends with its server
            async with _last_step_held(catalog.engine):
                process = _start(tree.root, server.dsn)
                await catalog.until_one_waits_for_a_lock()
                process.kill()
                os.kill(postmaster, signal.SIGKILL)
                process.wait()
        await catalog.engine.dispose()

    with embedded.running(folder) as server:
        catalog = Catalog(create_engine(server.dsn))
        assert await catalog.refs() == [ANN_REF]
        assert (await catalog.ingest(tree.root)).counts.added == 1
        await catalog.engine.dispose()
    assert [place for place in Path("/proc").glob("[0-9]*/cwd") if _leads_into(place, folder)] == []  # noqa: ASYNC240


def _leads_into(place: Path, folder: Path) -> bool:
    try:
        return place.readlink().is_relative_to(folder)
    except OSError:  # it has ended meanwhile, or is another user's
        return False


async def _kill_during_run(catalog: Catalog, data: Path, tree: Tree) -> None:
    postmaster = int((data / "postmaster.pid").read_text().splitlines()[0])
    try:
        async with _last_step_held(catalog.engine):
            ingesting = asyncio.create_task(catalog.ingest(tree.root))
            await catalog.until_one_waits_for_a_lock()
            os.kill(postmaster, signal.SIGKILL)
            await ingesting
    except Exception as failure:  # noqa: BLE001 - whichever it is, it is to say that Postgres was away
        assert failure_of(failure) == "unavailable"  # noqa: PT017
    else:
        pytest.fail("it was told that all is written")


def _start(root: Path, database_url: str) -> subprocess.Popen[bytes]:
    """`catalograph ingest` as a process of its own."""
    command = [sys.executable, "-c", "from api.cli import main; main()", "ingest", str(root)]
    environ = {**os.environ, "DATABASE_URL": database_url}
    return subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@asynccontextmanager
async def _last_step_held(engine: AsyncEngine) -> AsyncIterator[None]:
    async with engine.begin() as connection:
        await locks.lock(connection, locks.CHANGES)
        yield


async def _wait_until_it_answers(catalog: Catalog) -> None:
    while True:
        try:
            async with catalog.engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
        except Exception as error:
            if failure_of(error) != "unavailable":
                raise
            await asyncio.sleep(0.05)
        else:
            return
