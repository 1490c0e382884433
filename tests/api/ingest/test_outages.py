"""What does not answer for a while: files behind a bad mount, and a database that is busy with other runs."""

from __future__ import annotations

import asyncio
import errno
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from structlog.testing import capture_logs

from db import locks, runs, staging, sync
from db.engine import create_engine
from tests.factories import write_catalog
from tests.ingesting import Catalog, Tree, component, location

pytestmark = pytest.mark.anyio

A, B, ALL, SUB = "component:default/a", "component:default/b", "location:default/all", "location:default/sub"


def shut(monkeypatch: pytest.MonkeyPatch, place: Path, number: int = errno.EACCES) -> None:
    """Let nothing at or below a place be found; permissions would not keep root out."""
    realpath = os.path.realpath

    def refuse(path: Any, *, strict: bool = False) -> Any:
        if strict and Path(os.path.normpath(path)).is_relative_to(place):
            raise OSError(number, os.strerror(number))
        return realpath(path, strict=strict)

    monkeypatch.setattr("os.path.realpath", refuse)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE])
@pytest.mark.parametrize("presence", [None, "optional"])
async def test_a_target_that_does_not_open_is_not_taken_for_gone(
    catalog: Catalog, tree: Tree, monkeypatch: pytest.MonkeyPatch, number: int, presence: str | None
) -> None:
    file = tree.write("all.yaml", location("./deep/sub.yaml", presence=presence))
    tree.write("deep/sub.yaml", location("../a.yaml", name="sub"))
    tree.write("a.yaml", component("a", owner="component:a"))
    await catalog.ingest(file)
    shut(monkeypatch, tree.root / "deep/sub.yaml", number)

    report = await catalog.ingest(file)

    assert (report.counts.removed, await catalog.refs()) == (0, [A, ALL, SUB])
    assert await catalog.rows("SELECT rule, location, message FROM problem WHERE severity = 'ERROR'") == [
        ("file-unreadable", "deep/sub.yaml", f"it cannot be read: {os.strerror(number)}")
    ]


@pytest.mark.parametrize("target", ["deep/**/*.yaml", "deep/er/*.yaml"])
async def test_a_glob_whose_folder_does_not_open_keeps_all_that_it_gave(
    catalog: Catalog, tree: Tree, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    file = tree.write("all.yaml", location(target))
    tree.write("deep/er/a.yaml", component("a", owner="component:a"))
    tree.write("deep/er/b.yaml", component("b", owner="component:a"))
    await catalog.ingest(file)
    shut(monkeypatch, tree.root / "deep")

    await catalog.ingest(file)

    assert await catalog.refs() == [A, B, ALL]
    folder = target.partition("/*")[0]
    assert await catalog.rows("SELECT rule, location FROM problem WHERE severity = 'ERROR'") == [
        ("file-unreadable", folder)
    ]


async def test_a_glob_in_a_root_that_does_not_list_keeps_all_that_it_gave(
    catalog: Catalog, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tree.write("all.yaml", location("*.yaml"))
    tree.write("a.yaml", component("a"))
    await catalog.ingest(file)
    before = await catalog.refs()

    def refuse(_path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("api.ingest.files.os.scandir", refuse)
    await catalog.ingest(file)

    assert (len(before), await catalog.refs()) == (3, before)


async def test_a_target_that_is_gone_goes(catalog: Catalog, tree: Tree) -> None:
    file = tree.write("all.yaml", location("a.yaml", "b.yaml/c.yaml"))
    a = tree.write("a.yaml", component("a", owner="component:a"))
    tree.write("b.yaml", component("b"))
    await catalog.ingest(file)
    a.unlink()

    await catalog.ingest(file)

    assert await catalog.refs() == [ALL]
    assert [rule for rule, _, _ in await catalog.problems()] == ["location-target"] * 2


@pytest.mark.parametrize("known", [True, False], ids=["a known source", "a new one"])
async def test_a_dry_run_does_not_keep_a_run_from_beginning(
    catalog: Catalog, database_url: str, tree: Tree, *, known: bool
) -> None:
    if known:
        await catalog.ingest(tree.root)
    tree.write("a.yaml", component("a"))
    impatient = Catalog(create_engine(database_url, statement_timeout=0.5))
    told = asyncio.Event()
    async with catalog.engine.begin() as connection:
        await locks.lock(connection, locks.CATALOG)
        dry = asyncio.create_task(catalog.ingest(tree.root, dry_run=True))
        await catalog.until_one_waits_for_a_lock()
        running = asyncio.create_task(
            impatient.ingest(tree.root, on_progress=lambda phase, _: told.set() if phase == "waiting" else None)
        )
        async with asyncio.timeout(30):
            await told.wait()
    assert ((await dry).counts.added, (await running).counts.added) == (2 - known, 2 - known)
    await impatient.engine.dispose()


@pytest.mark.parametrize(
    ("place", "shown"), [("db.runs.first_problems", 0), ("db.sync.refresh_statistics", 1)], ids=["problems", "analyze"]
)
async def test_a_run_is_no_failure_for_what_breaks_after_its_commit(
    catalog: Catalog, tree: Tree, monkeypatch: pytest.MonkeyPatch, place: str, shown: int
) -> None:
    async def fail(connection: AsyncConnection, *_: object, **__: object) -> None:
        await connection.execute(text("SELECT 1 / 0"))

    monkeypatch.setattr(place, fail)
    monkeypatch.setattr("api.ingest.run.CHANGES_WORTH_COUNTING", 1)
    tree.write("a.yaml", component("a", system="gone"))

    with capture_logs() as logged:
        report = await catalog.ingest(tree.root)

    assert (report.counts.added, report.counts.problems, len(report.problems)) == (2, 1, shown)
    assert logged == [
        {
            "event": "not all was done after a run",
            "log_level": "warning",
            "source": str(tree.root),
            "error": "DBAPIError",
        }
    ]
    assert await catalog.rows("SELECT r.error, s.state FROM source_run r JOIN source s ON s.id = r.source_id") == [
        (None, "IDLE")
    ]


async def test_what_comes_after_the_commit_has_all_the_time_it_needs(
    catalog: Catalog, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = []
    first_problems = runs.first_problems

    async def recording(connection: AsyncConnection, source_id: int, *, most: int) -> Any:
        limits.append((await connection.execute(text("SHOW statement_timeout"))).scalar_one())
        return await first_problems(connection, source_id, most=most)

    monkeypatch.setattr("db.runs.first_problems", recording)
    await catalog.ingest(tree.root)
    assert limits == ["0"]


async def test_a_dry_run_does_not_hold_all_documents_at_once(catalog: Catalog) -> None:
    """Four thousand of 10 kB would be 40 MB, and more as objects."""
    async with catalog.engine.begin() as connection:
        await locks.lock(connection, locks.CATALOG)
        await staging.script(connection, sync._TABLES)
        await connection.execute(
            text(
                "INSERT INTO written SELECT 'CREATED', n, NULL, jsonb_build_object('n', n, 'text', repeat('x', 10000))"
                " FROM generate_series(1, 4000) n"
            )
        )
        tracemalloc.start()
        found = [change.after["n"] async for change in sync.differences(connection) if change.after]
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert sorted(found) == list(range(1, 4001))
    assert peak < 8_000_000


async def test_statistics_are_refreshed_without_waiting_for_who_holds_a_table(catalog: Catalog, tree: Tree) -> None:
    write_catalog(tree.root, 20)
    await catalog.ingest(tree.root)
    async with catalog.engine.begin() as vacuuming, catalog.engine.begin() as connection:
        await vacuuming.execute(text("LOCK TABLE entity IN SHARE UPDATE EXCLUSIVE MODE"))
        await sync.refresh_statistics(connection)
    counted = "SELECT relname FROM pg_class WHERE relname IN ('entity', 'document') AND reltuples > 0"
    assert await catalog.rows(counted) == ["document"]
