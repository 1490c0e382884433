"""Declared sources are read when their time comes: by one process, again after a failure, and never all at once."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from api.ingest.declared import Sources
from api.workers.sources import RUNS_AT_ONCE, SourceWorker, delay
from db import locks, schedules
from db.engine import create_engine
from db.runs import DIED
from tests.api.workers.declaring import look, make_due, runs, seconds_until_next, sources_in, worker_of
from tests.asserts import sql_queries
from tests.ingesting import Catalog, Tree, component

pytestmark = pytest.mark.anyio

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("every", "failures", "chance", "seconds"),
    [
        (MINUTE, 0, 0.0, 54),
        (MINUTE, 0, 0.5, 60),
        (MINUTE, 0, 1.0, 66),
        (timedelta(seconds=1), 0, 0.5, 1),
        (timedelta(seconds=1), 1, 0.5, 10),
        (MINUTE, 1, 0.5, 60),
        (MINUTE, 2, 0.5, 120),
        (MINUTE, 4, 0.5, 480),
        (MINUTE, 5, 0.5, 600),
        (MINUTE, 5000, 1.0, 660),
    ],
)
async def test_the_next_run_is_a_tenth_sooner_or_later_and_ten_times_as_late_at_most(
    every: timedelta, failures: int, chance: float, seconds: int
) -> None:
    assert delay(every, failures, lambda: chance).total_seconds() == pytest.approx(seconds)


async def test_a_source_is_read_at_the_start_and_then_when_its_time_has_come(catalog: Catalog, tree: Tree) -> None:
    worker = worker_of(catalog, sources_in(tree.root.parent, "{folder: tree, name: teams, every: 2h}"))

    with capture_logs() as logged:
        await look(worker)
    assert await catalog.refs() == ["user:default/ann"]
    assert await seconds_until_next(catalog, "teams") == 7200
    assert [(entry["event"], entry["source"], entry["added"]) for entry in logged] == [("source read", "teams", 1)]

    tree.write("a.yaml", component("a"))
    await look(worker)
    assert await runs(catalog) == [("teams", None)]

    await make_due(catalog)
    await look(worker)
    assert await catalog.refs() == ["component:default/a", "user:default/ann"]
    assert await runs(catalog) == [("teams", None), ("teams", None)]
    assert await seconds_until_next(catalog, "teams") == 7200


async def test_two_processes_that_look_at_the_same_time_read_a_source_once(
    catalog: Catalog, database_url: str, tree: Tree
) -> None:
    sources = sources_in(tree.root.parent, *(f"{{folder: tree, name: s{n}}}" for n in range(RUNS_AT_ONCE)))
    other = create_engine(database_url)
    here, there = worker_of(catalog, sources), worker_of(Catalog(other), sources)

    await asyncio.gather(here.look(), there.look())
    await here.idle()
    await there.idle()
    await look(here, there)

    assert sorted(await runs(catalog)) == [("s0", None), ("s1", None)]
    await other.dispose()


async def test_a_source_that_is_being_read_is_left_alone(catalog: Catalog, tree: Tree) -> None:
    worker = worker_of(catalog, sources_in(tree.root.parent, "{folder: tree, name: teams}"))
    async with catalog.engine.begin() as connection:
        await locks.lock(connection, locks.of_source("teams"))
        await look(worker)
        assert await runs(catalog) == []
    await look(worker)
    assert await runs(catalog) == [("teams", None)]


async def test_no_more_than_two_are_read_at_once_and_the_others_come_next(catalog: Catalog, tree: Tree) -> None:
    sources = sources_in(tree.root.parent, *(f"{{folder: tree, name: s{n}}}" for n in range(5)))
    worker = worker_of(catalog, sources)
    async with catalog.engine.begin() as connection:
        await locks.lock(connection, locks.CATALOG)
        await worker.look()
        await catalog.until("SELECT 1 FROM source_run HAVING count(*) = 2")
        await worker.look()
        assert len(await runs(catalog)) == 2
    await worker.idle()
    await look(worker)
    await look(worker)
    assert sorted(name for name, _ in await runs(catalog)) == ["s0", "s1", "s2", "s3", "s4"]


async def test_a_source_whose_folder_is_gone_says_so_and_the_others_are_read(catalog: Catalog, tree: Tree) -> None:
    worker = worker_of(
        catalog, sources_in(tree.root.parent, "{folder: gone, name: gone}", "{folder: tree, name: here}")
    )
    gone = f"{tree.root.parent}/gone: there is no such file or folder"

    await look(worker)

    assert sorted(await runs(catalog)) == [("gone", gone), ("here", None)]
    assert await catalog.rows("SELECT name, state FROM source ORDER BY name") == [("gone", "FAILED"), ("here", "IDLE")]
    assert await seconds_until_next(catalog, "gone") == 300

    for wait in (600, 1200, 2400, 3000, 3000):
        await make_due(catalog)
        await look(worker)
        assert await seconds_until_next(catalog, "gone") == wait

    (tree.root.parent / "gone").mkdir()
    await make_due(catalog)
    await look(worker)
    assert await seconds_until_next(catalog, "gone") == 300


async def test_the_time_until_the_next_run_begins_when_a_run_ends(catalog: Catalog, tree: Tree) -> None:
    worker = worker_of(catalog, sources_in(tree.root.parent, "{folder: tree, name: teams, every: 1h}"))
    async with _catalog_locked(catalog):
        await worker.look()
        await catalog.until_one_waits_for_a_lock()
        (noted,) = await catalog.rows("SELECT next_run_at FROM source")
    await worker.idle()
    (after,) = await catalog.rows("SELECT next_run_at FROM source")
    assert after > noted


async def test_a_held_source_waits_for_its_turn_until_a_run_may_remove(catalog: Catalog, tree: Tree) -> None:
    worker = worker_of(catalog, sources_in(tree.root.parent, "{folder: tree, name: teams}"))
    tree.write("many.yaml", *(component(f"c{n}") for n in range(20)))
    await look(worker)
    (tree.root / "many.yaml").unlink()

    for _ in range(2):
        await make_due(catalog)
        await look(worker)
        assert await catalog.rows("SELECT state FROM source") == ["HELD"]
        assert len(await catalog.refs()) == 21
        assert await seconds_until_next(catalog, "teams") == 300

    async with catalog.engine.begin() as connection:
        await schedules.run_now(connection, "teams", allow_removals=True)
    await look(worker)
    assert await catalog.refs() == ["user:default/ann"]
    assert await catalog.rows("SELECT allow_removals FROM source") == [False], "it was for one run"


async def test_what_is_asked_for_during_a_run_comes_after_it(catalog: Catalog, tree: Tree) -> None:
    worker = worker_of(catalog, sources_in(tree.root.parent, "{folder: tree, name: teams}"))
    async with catalog.engine.begin() as connection:
        await locks.lock(connection, locks.CATALOG)
        await worker.look()
        await catalog.until_one_waits_for_a_lock()
        async with catalog.engine.begin() as asking:
            await schedules.hurry(asking, ["teams"])
    await worker.idle()
    await look(worker)
    assert await runs(catalog) == [("teams", None), ("teams", None)]
    assert await seconds_until_next(catalog, "teams") == 300


async def test_sources_that_are_not_declared_any_more_keep_what_they_hold(catalog: Catalog, tree: Tree) -> None:
    lines = ("{folder: tree, name: teams}", "{folder: tree/empty, name: other}")
    await look(worker_of(catalog, sources_in(tree.root.parent, *lines)))

    with capture_logs() as logged:
        await look(worker_of(catalog, sources_in(tree.root.parent, lines[1])))

    assert [entry for entry in logged if entry["log_level"] == "warning"] == [
        {
            "event": "no longer declared, so not read; what they hold stays",
            "sources": ["teams"],
            "log_level": "warning",
        }
    ]
    assert await catalog.refs() == ["user:default/ann"]
    assert await catalog.rows("SELECT declared_in, definition, next_run_at FROM source WHERE name = 'teams'") == [
        (None, None, None)
    ]


async def test_a_process_without_a_file_of_sources_takes_nobodys_schedule(catalog: Catalog, tree: Tree) -> None:
    declared = sources_in(tree.root.parent, "{folder: tree, name: teams}")
    async with catalog.engine.begin() as connection:
        await schedules.declare(connection, declared.declarations)

    await look(worker_of(catalog, Sources(declared.access)))

    assert await runs(catalog) == []
    assert await seconds_until_next(catalog, "teams") <= 0


async def test_a_process_with_older_settings_leaves_a_changed_source_to_the_others(
    catalog: Catalog, tree: Tree
) -> None:
    older = worker_of(catalog, sources_in(tree.root.parent, "{folder: tree, name: teams}"))
    await look(older)
    newer = worker_of(catalog, sources_in(tree.root.parent, "{folder: tree, name: teams, kinds: [component]}"))
    async with catalog.engine.begin() as connection:
        await schedules.declare(connection, newer._sources.declarations)

    await look(older)
    assert await runs(catalog) == [("teams", None)]
    await look(newer)
    assert await runs(catalog) == [("teams", None), ("teams", None)]
    assert await catalog.refs() == []


async def test_a_restart_reads_only_what_has_changed_in_the_settings(catalog: Catalog, tree: Tree) -> None:
    folder = tree.root.parent
    await look(worker_of(catalog, sources_in(folder, "{folder: tree, name: a}", "{folder: tree, name: b}")))
    await look(worker_of(catalog, sources_in(folder, "{folder: tree, name: a}", "{folder: tree, name: b, every: 1h}")))
    assert sorted(await runs(catalog)) == [("a", None), ("b", None), ("b", None)]


async def test_a_run_of_a_killed_process_is_taken_over(catalog: Catalog, database_url: str, tree: Tree) -> None:
    sources = sources_in(tree.root.parent, "{folder: tree, name: teams, every: 1d}")
    async with _catalog_locked(catalog):
        process = _start(sources, database_url)
        await catalog.until_one_waits_for_a_lock()
        process.kill()
        process.wait()
    await catalog.until("SELECT 1 WHERE pg_try_advisory_lock(hashtextextended('source:teams', 0))")
    await catalog.engine.dispose()  # lets go of that lock
    worker = worker_of(catalog, sources)

    await look(worker)
    assert await runs(catalog) == [("teams", None)], "it may only just have begun"
    await catalog.rows("UPDATE source_run SET started_at = started_at - interval '11 s'")
    await look(worker)

    assert await runs(catalog) == [("teams", DIED), ("teams", None)]
    assert await catalog.refs() == ["user:default/ann"]
    assert await seconds_until_next(catalog, "teams") == 86400


async def test_a_process_that_is_stopped_says_so_and_the_next_one_goes_on_at_once(
    catalog: Catalog, database_url: str, tree: Tree
) -> None:
    sources = sources_in(tree.root.parent, "{folder: tree, name: teams, every: 1d}")
    async with _catalog_locked(catalog):
        process = _start(sources, database_url)
        await catalog.until_one_waits_for_a_lock()
        process.send_signal(signal.SIGINT)
        await asyncio.to_thread(process.wait)

    assert await runs(catalog) == [("teams", "It was interrupted.")]
    assert await catalog.rows("SELECT state FROM source") == ["FAILED"]
    await look(worker_of(catalog, sources))
    assert await runs(catalog) == [("teams", "It was interrupted."), ("teams", None)]


async def test_a_database_that_is_away_is_told_once_and_waited_for(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.workers.sources._LOOK_SECONDS", 0.01)
    engine = create_engine("postgresql://nobody@127.0.0.1:1/none")
    worker = SourceWorker(engine, sources_in(tree.root.parent, "{folder: tree, name: teams}"))
    with capture_logs() as logged:
        running = asyncio.create_task(worker.run())
        await asyncio.sleep(0.2)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert [entry["event"] for entry in logged] == ["sources wait"]
    assert logged[0]["reason"].startswith("database: DATABASE_URL: 127.0.0.1:1 cannot be reached")


async def test_looking_for_what_is_due_takes_one_statement_however_many_sources_there_are(
    catalog: Catalog, tree: Tree
) -> None:
    worker = worker_of(catalog, sources_in(tree.root.parent, *(f"{{folder: tree, name: s{n}}}" for n in range(20))))
    while await catalog.rows("SELECT 1 WHERE (SELECT count(*) FROM source_run) < 20"):
        await look(worker)
    with sql_queries(catalog.engine, 1):
        await look(worker)


async def test_old_runs_are_forgotten(catalog: Catalog, tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("db.schedules.KEPT_RUNS", 2)
    worker = worker_of(catalog, sources_in(tree.root.parent, "{folder: tree, name: a}", "{folder: tree, name: b}"))
    for _ in range(4):
        await look(worker)
        await make_due(catalog)
    assert sorted(await runs(catalog)) == [("a", None), ("a", None), ("b", None), ("b", None)]


@asynccontextmanager
async def _catalog_locked(catalog: Catalog) -> AsyncIterator[None]:
    """Runs wait before they write."""
    async with catalog.engine.begin() as connection:
        await locks.lock(connection, locks.CATALOG)
        yield


_PROCESS = """
import asyncio, sys
from pathlib import Path
from api.ingest.declarations import Access
from api.ingest.declared import Sources
from api.workers.sources import SourceWorker
from db.engine import create_engine

async def work() -> None:
    engine = create_engine(sys.argv[1])
    sources = Sources.read(Path(sys.argv[2]), Access(clones=Path("/nowhere"), environ={}))
    try:
        await SourceWorker(engine, sources).run()
    finally:
        await engine.dispose()

asyncio.run(work())
"""


def _start(sources: Sources, database_url: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", _PROCESS, database_url, str(sources.file)], stderr=subprocess.DEVNULL
    )
