"""`catalograph ingest`, as an operator and a script use it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest
from click.testing import CliRunner, Result

from api.ingest.command import ingest
from tests.factories import write_catalog
from tests.ingesting import Catalog, Tree, component

pytestmark = pytest.mark.anyio

Run = Callable[..., Awaitable[Result]]


@pytest.fixture
def run(database_url: str, tree: Tree, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command in the tree."""
    monkeypatch.chdir(tree.root)
    environ = {"DATABASE_URL": database_url, "COLUMNS": "80"}
    return lambda *arguments: asyncio.to_thread(CliRunner(env=environ).invoke, ingest, arguments)


async def test_json_is_one_object_and_nothing_else(run: Run, tree: Tree) -> None:
    tree.write("a.yaml", component("a"), component("b", dependsOn="[component:gone]"), "kind: Component")
    result = await run(".", "--json")
    assert (result.exit_code, result.stderr, result.stdout.count("\n")) == (0, "", 1)
    report = json.loads(result.stdout)
    assert report.pop("seconds") > 0
    assert report == {
        "source": str(tree.root),
        "documents": 4,
        "entities": 3,
        "added": 3,
        "changed": 0,
        "removed": 0,
        "unchanged": 0,
        "rejected": 1,
        "skipped": 0,
        "problems": 3,
    }


async def test_a_person_sees_counts_and_the_first_problems_with_their_places(run: Run, tree: Tree) -> None:
    tree.write("a.yaml", component("a", dependsOn="[component:gone]"), "kind: [")
    result = await run(".")
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.stdout.splitlines() if line.strip()]
    assert lines[0].startswith(str(tree.root))
    assert lines[1:5] == [
        "3 documents 1 rejected 0 skipped",
        "2 entities 2 problems",
        "2 added 0 changed 0 removed 0 unchanged",
        "The catalog is up to date.",
    ]
    assert lines[5].startswith("a.yaml:10 yaml-syntax ")
    assert lines[6] == (
        "a.yaml:8 dangling-reference spec.dependsOn[0] names component:default/gone, which is not in the catalog"
    )


async def test_a_second_run_says_that_nothing_has_changed(run: Run) -> None:
    await run(".")
    assert "Nothing has changed." in (await run(".")).stdout


async def test_a_dry_run_prints_the_difference_and_writes_nothing(run: Run, tree: Tree, catalog: Catalog) -> None:
    tree.write("a.yaml", component("a"), component("b"))
    await run(".")
    tree.write("a.yaml", component("a", system="play"), component("c"))

    result = await run(".", "--dry-run")

    assert [line for line in result.stdout.splitlines() if line[:1] in {"+", "-", "~"}] == [
        "~ component:default/a  /spec/system",
        "- component:default/b",
        "+ component:default/c",
    ]
    assert "nothing was written" in result.stdout
    assert await catalog.refs() == ["component:default/a", "component:default/b", "user:default/ann"]


async def test_a_held_run_fails_and_names_the_way_out(run: Run, tree: Tree) -> None:
    write_catalog(tree.root / "many", 20, per_file=20)
    await run(".")
    (tree.root / "many/components-0000000.yaml").unlink()

    held = await run(".", "--json")

    error = (
        "It would remove 20 of the 21 entities of this source, so nothing was written."
        " If that is right, run it again with --allow-removals."
    )
    assert (held.exit_code, json.loads(held.stdout)) == (1, {"source": str(tree.root), "error": error})
    assert "It would be held" in (await run(".", "--dry-run")).stdout
    assert (await run(".", "--allow-removals")).exit_code == 0


async def test_each_path_is_a_source_and_one_that_fails_does_not_stop_the_others(run: Run, tree: Tree) -> None:
    write_catalog(tree.root / "one", 20, per_file=20)
    tree.write("two/a.yaml", component("a"))
    await run("one", "two")
    (tree.root / "one/components-0000000.yaml").unlink()

    result = await run("one", "two", "--json")

    one, two = json.loads(result.stdout)["sources"]
    assert (result.exit_code, "error" in one, two["unchanged"]) == (1, True, 1)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("gone",), 1, "gone: there is no such file or folder"),
        (("*.toml",), 1, "no YAML file in it matches *.toml"),
        ((), 2, "Missing argument 'PATH...'"),
        ((".", "people.yaml", "--source", "x"), 2, "--source names one source"),
        ((".", "--kinds", "a,,b"), 2, "name kinds with commas between them"),
        ((".", "--kinds", "a,-b"), 2, "either list the allowed kinds, or the refused ones"),
    ],
)
async def test_mistakes_are_told_in_a_line(run: Run, arguments: tuple[str, ...], code: int, message: str) -> None:
    result = await run(*arguments)
    assert (result.exit_code, message in result.stderr, "Traceback" in result.output) == (code, True, False)


async def test_kinds_and_trust_are_the_operators_to_say(run: Run, tree: Tree, catalog: Catalog) -> None:
    tree.write("a.yaml", component("a"))
    await run(".", "--kinds", "Component")
    assert await catalog.rows("SELECT trusted, kinds FROM source") == [(True, ["component"])]
    await run(".", "--kinds", "-user", "--untrusted")
    assert await catalog.rows("SELECT trusted, kinds FROM source") == [(False, ["-user"])]
    assert await catalog.refs() == ["component:default/a"]
    await run(".", "--untrusted", "--source", "other")
    assert await catalog.rows("SELECT count(*) FROM source") == [2]
