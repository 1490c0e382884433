"""A change of a watched file makes its source due, also after the folder was away for some time."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from api.ingest.declared import Sources
from api.workers.watching import Watcher
from tests.api.workers.declaring import look, sources_in, worker_of
from tests.ingesting import Catalog, Tree, component

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is looked for from time to time is looked for often."""
    monkeypatch.setattr("api.workers.watching._LOOK_SECONDS", 0.2)
    monkeypatch.setattr("api.workers.watching._GATHER_SECONDS", 0.1)
    monkeypatch.setattr("api.workers.watching._CALM_SECONDS", 0.02)


@asynccontextmanager
async def watching(catalog: Catalog, sources: Sources) -> AsyncIterator[None]:
    """The sources have been read once, and are watched. Nothing may be logged but that they were read."""
    await look(worker_of(catalog, sources))
    watcher = Watcher(catalog.engine, sources)
    await watcher.look()
    task = asyncio.create_task(watcher.run())
    with capture_logs() as logged:
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    assert logged == []


async def until_due(catalog: Catalog, name: str, change: tuple[Tree, str] | None = None) -> None:
    """Wait for a source to be due; until then a file changes again and again.

    Nobody says when a folder is watched, so a single change may come too soon.
    """
    async with asyncio.timeout(30):
        while not await catalog.rows("SELECT 1 FROM source WHERE name = :name AND next_run_at <= now()", name=name):
            if change:
                changing, file = change
                changing.write(file, component("a", title=f"{asyncio.get_running_loop().time()}"))
            await asyncio.sleep(0.05)


async def put_off(catalog: Catalog) -> None:
    await catalog.rows("UPDATE source SET next_run_at = now() + interval '1 h'")


async def due(catalog: Catalog) -> list[str]:
    return await catalog.rows("SELECT name FROM source WHERE next_run_at <= now() ORDER BY name")


async def test_a_changed_file_makes_its_source_due_and_no_other(catalog: Catalog, tree: Tree) -> None:
    other = Tree(tree.root.parent / "other")
    other.write("b.yaml", component("b"))
    lines = ("{folder: tree, name: teams}", "{folder: other, name: other}", "{folder: tree, name: blind, watch: false}")
    async with watching(catalog, sources_in(tree.root.parent, *lines)):
        await put_off(catalog)
        await until_due(catalog, "teams", (tree, "deep/a.yaml"))
        assert await due(catalog) == ["teams"]
        await until_due(catalog, "other", (other, "b.yaml"))
        assert await due(catalog) == ["other", "teams"]


async def test_what_git_does_in_its_own_store_is_no_change(catalog: Catalog, tree: Tree) -> None:
    (tree.root / ".git").mkdir()
    async with watching(catalog, sources_in(tree.root.parent, "{folder: tree, name: teams}")):
        await until_due(catalog, "teams", (tree, "a.yaml"))  # now it is watched
        await asyncio.sleep(0.5)  # what the last of these changes makes due
        await put_off(catalog)
        (tree.root / ".git" / "index").write_text("")
        await asyncio.sleep(0.5)
        assert await due(catalog) == []


async def test_a_folder_that_comes_back_is_read_and_watched_again(catalog: Catalog, tree: Tree) -> None:
    async with watching(catalog, sources_in(tree.root.parent, "{folder: tree, name: teams}")):
        await put_off(catalog)
        shutil.rmtree(tree.root)
        await until_due(catalog, "teams")
        await asyncio.sleep(0.5)  # until it is known to be gone
        await put_off(catalog)

        tree.write("a.yaml", component("a"))
        await until_due(catalog, "teams")
        await asyncio.sleep(0.5)
        await put_off(catalog)
        await until_due(catalog, "teams", (tree, "a.yaml"))


async def test_a_folder_that_is_not_there_yet_is_waited_for(catalog: Catalog, tree: Tree) -> None:
    sources = sources_in(tree.root.parent, "{folder: later, name: later}")
    async with watching(catalog, sources):
        await put_off(catalog)
        Tree(tree.root.parent / "later").write("a.yaml", component("a"))
        await until_due(catalog, "later")
    await look(worker_of(catalog, sources))
    assert await catalog.refs() == ["component:default/a"]


async def test_a_link_that_is_turned_to_another_folder_is_a_change(catalog: Catalog, tree: Tree) -> None:
    here = tree.root.parent
    Tree(here / "two").write("a.yaml", component("a"))
    (here / "current").symlink_to("tree")
    sources = sources_in(here, "{folder: current, name: teams}")
    async with watching(catalog, sources):
        await put_off(catalog)
        (here / "next").symlink_to("two")
        (here / "next").rename(here / "current")
        await until_due(catalog, "teams")
    await look(worker_of(catalog, sources))
    assert await catalog.refs() == ["component:default/a"]
