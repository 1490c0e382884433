"""`catalograph sources`, and a server that reads sources by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from click.testing import CliRunner, Result

from api.operators import operator
from api.sources_command import sources
from tests.api.workers.declaring import look, sources_in, worker_of
from tests.ingesting import Catalog, Tree, component

pytestmark = pytest.mark.anyio

Run = Callable[..., Awaitable[Result]]


@pytest.fixture
async def run(catalog: Catalog, database_url: str, tree: Tree) -> Run:
    """Run the command where the settings declare `teams` and `gone`, which a process has read once."""
    declared = sources_in(tree.root.parent, "{folder: tree, name: teams}", "{folder: gone, name: gone}")
    await look(worker_of(catalog, declared))
    environ = {"DATABASE_URL": database_url, "CATALOGRAPH_SOURCES": str(declared.file), "COLUMNS": "120"}
    return lambda *arguments, answer=None: asyncio.to_thread(
        CliRunner(env=environ).invoke, sources, arguments, input=answer
    )


async def test_the_list_says_how_each_source_is(run: Run, tree: Tree) -> None:
    folder = tree.root.parent
    result = await run()
    lines = [line.split() for line in result.stdout.splitlines()]
    assert result.exit_code == 0
    assert lines[0] == ["Source", "Type", "State", "Entities", "Problems", "Last", "run", "Next", "run"]
    assert [line[:5] for line in lines[1:3]] == [
        ["gone", "folder", "FAILED", "0", "0"],
        ["teams", "folder", "IDLE", "1", "0"],
    ]
    assert all(len(line) == 9 for line in lines[1:3]), "with the day and the time of both runs"
    assert result.stdout.endswith(f"gone: {folder}/gone: there is no such file or folder\n")


async def test_a_source_is_read_at_once(run: Run, tree: Tree, catalog: Catalog) -> None:
    tree.write("a.yaml", component("a"))
    result = await run("run", "teams")
    assert (result.exit_code, "1 added" in " ".join(result.stdout.split())) == (0, True), result.output
    assert await catalog.refs() == ["component:default/a", "user:default/ann"]


async def test_a_run_that_would_remove_much_needs_a_word(run: Run, tree: Tree, catalog: Catalog) -> None:
    many = tree.write("many.yaml", *(component(f"c{n}") for n in range(20)))
    await run("run", "teams")
    many.unlink()
    held = await run("run", "teams")
    assert (held.exit_code, "--allow-removals" in held.stderr) == (1, True)
    assert (await run("run", "teams", "--allow-removals")).exit_code == 0
    assert await catalog.refs() == ["user:default/ann"]


async def test_what_cannot_be_read_is_told_in_a_line(run: Run, tree: Tree, catalog: Catalog) -> None:
    await catalog.ingest(tree.root / "people.yaml", name="people")
    for name, message in (
        ("gone", "there is no such file or folder"),
        ("odd", "There is no source odd; `catalograph sources` lists them."),
        ("people", "What a command read, `catalograph ingest` reads again."),
    ):
        result = await run("run", name)
        assert (result.exit_code, message in result.stderr, "Traceback" in result.output) == (1, True, False)


async def test_a_source_is_removed_when_the_operator_says_yes(run: Run, catalog: Catalog) -> None:
    kept = await run("delete", "teams", answer="n\n")
    assert (kept.exit_code, "Remove teams and 1 entity in it?" in kept.stdout) == (1, True)
    assert await catalog.refs() == ["user:default/ann"]

    assert (await run("delete", "teams", answer="y\n")).exit_code == 0
    assert await catalog.refs() == []
    assert await catalog.changes() == [("CREATED", "user:default/ann"), ("DELETED", "user:default/ann")]
    assert await catalog.rows("SELECT name FROM source") == ["gone"]
    assert (await run("delete", "gone", "--yes")).stdout == "gone is removed, and 0 entities with it.\n"
    assert (await run("delete", "gone", "--yes")).exit_code == 1
    assert await catalog.rows("SELECT by, action, subject, before ->> 'entities' FROM audit ORDER BY id") == [
        (operator().by, "sourceUnregister", "source:teams", "1"),
        (operator().by, "sourceUnregister", "source:gone", "0"),
    ]


async def test_a_wrong_file_of_sources_is_told_with_its_line(run: Run, tree: Tree) -> None:
    (tree.root.parent / "sources.yaml").write_text("sources:\n  - folder: a\n    evry: 1m\n")
    result = await run()
    assert result.exit_code == 1
    assert "sources.yaml:3: sources[0].evry: there is no such key" in result.stderr
