"""`catalograph ingest`, as an operator and a script use it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable

import pytest
from click.testing import CliRunner, Result
from dulwich.objects import Blob
from dulwich.objects import Tree as GitTree
from dulwich.repo import Repo

from api.ingest.command import ingest
from db import locks
from tests.factories import write_catalog
from tests.ingesting import Catalog, Tree, component
from tests.pages import serving

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
        "The catalog is up to date. 1 document was rejected.",
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
        (("ftp://example.com/a.yaml",), 1, "only http and https are read"),
        (("https://ada:hunter2@example.com/a.yaml",), 1, "a URL must not hold a user name or password"),
        (("http://127.0.0.1:1/a.yaml",), 1, "http://127.0.0.1:1/a.yaml"),
        (("*.toml",), 1, "no YAML file in it matches *.toml"),
        ((), 2, "Missing argument 'PATH...'"),
        ((".", "people.yaml", "--source", "x"), 2, "--source names one source"),
        ((".", "--source", "entityRegister"), 2, "is the name of what is registered by mutations"),
        ((".", "--source", "red\x1b[31m"), 2, "is no name"),
        ((".", "--source", " "), 2, "is no name"),
        ((".", "--kinds", "a,,b"), 2, "name kinds with commas between them"),
        ((".", "--kinds", "a,-b"), 2, "either list the allowed kinds, or the refused ones"),
    ],
)
async def test_mistakes_are_told_in_a_line(run: Run, arguments: tuple[str, ...], code: int, message: str) -> None:
    result = await run(*arguments)
    assert (result.exit_code, message in result.stderr, "Traceback" in result.output) == (code, True, False)


async def test_a_url_that_an_operator_types_is_read_wherever_it_leads(run: Run, catalog: Catalog) -> None:
    with serving() as site:
        url = site.write("/a.yaml", component("a"))
        result = await run(url, "--json")
    assert (result.exit_code, json.loads(result.stdout)["added"]) == (0, 1)
    assert await catalog.rows("SELECT name, type FROM source") == [(url, "url")]


async def test_a_url_does_not_lead_to_hosts_that_nobody_named(run: Run) -> None:
    with serving() as site, serving() as other:
        other.write("/a.yaml", component("a"))
        result = await run(site.redirect("/a.yaml", other.url("/a.yaml")))
    assert (result.exit_code, other.requests) == (1, [])
    assert f"127.0.0.1:{other.port} is not on the list of hosts that may be read" in result.stderr


async def test_a_bare_repository_is_read_as_committed(run: Run, tree: Tree, catalog: Catalog) -> None:
    place = str(tree.root.parent / "catalog.git")
    with Repo.init_bare(place, mkdir=True) as bare:
        blob = Blob.from_string(component("a").encode())
        bare.object_store.add_object(blob)
        files = GitTree()
        files.add(b"a.yaml", 0o100644, blob.id)
        bare.object_store.add_object(files)
        head = bare.get_worktree().commit(message=b"A", tree=files.id, committer=b"A <a@b.c>", author=b"A <a@b.c>")

    result = await run(place, "--json")

    assert (result.exit_code, json.loads(result.stdout)["added"]) == (0, 1)
    assert await catalog.rows("SELECT type, commit FROM source_run r JOIN source s ON s.id = r.source_id") == [
        ("git", head.decode())
    ]


async def test_kinds_and_trust_are_the_operators_to_say(run: Run, tree: Tree, catalog: Catalog) -> None:
    tree.write("a.yaml", component("a"))
    await run(".", "--kinds", "Component")
    assert await catalog.rows("SELECT trusted, kinds FROM source") == [(True, ["component"])]
    await run(".", "--kinds", "-user", "--untrusted")
    assert await catalog.rows("SELECT trusted, kinds FROM source") == [(False, ["-user"])]
    assert await catalog.refs() == ["component:default/a"]
    await run(".", "--untrusted", "--source", "other")
    assert await catalog.rows("SELECT count(*) FROM source") == [2]


@pytest.mark.parametrize(
    "paths",
    [
        pytest.param((".", "."), id="the same path twice"),
        pytest.param((".", "*.yaml"), id="a folder and a glob in it"),
        pytest.param(("a*.yaml", "b*.yaml"), id="two globs with one fixed prefix"),
    ],
)
async def test_two_paths_that_are_one_source_do_not_erase_each_other(
    run: Run, tree: Tree, catalog: Catalog, paths: tuple[str, str]
) -> None:
    tree.write("a.yaml", component("a"))
    tree.write("b.yaml", component("b"))

    result = await run(*paths)

    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{paths[0]} and {paths[1]} are both the source {tree.root}, and each would remove what" in result.stderr
    assert "give one glob that covers both, or use two commands with different --source." in result.stderr
    assert await catalog.rows("SELECT count(*) FROM source") == [0]


async def test_a_path_that_is_missing_fails_alone_and_the_others_are_read(
    run: Run, tree: Tree, catalog: Catalog
) -> None:
    result = await run("missing", "people.yaml", "--json")

    missing, people = json.loads(result.stdout)["sources"]
    assert missing == {"source": "missing", "error": "missing: there is no such file or folder"}
    assert (result.exit_code, people["source"], people["added"]) == (1, str(tree.root / "people.yaml"), 1)
    assert await catalog.refs() == ["user:default/ann"]
    alone = await run("missing", "--json", "--source", "shop")
    assert (alone.exit_code, json.loads(alone.stdout)) == (1, {**missing, "source": "shop"})


async def test_strict_fails_for_a_rejected_document_and_for_nothing_less(run: Run, tree: Tree) -> None:
    tree.write("a.yaml", component("a", dependsOn="[component:gone]"))
    assert (await run(".", "--strict")).exit_code == 0, "a warning rejects nothing"
    tree.write("a.yaml", component("a"), "kind: [")
    codes = [(await run(".", *options)).exit_code for options in (["--strict"], ["--strict", "--dry-run"], [])]
    assert codes == [1, 1, 0]


async def test_one_of_a_kind_is_not_many(run: Run) -> None:
    said = " ".join((await run(".")).stdout.split())
    assert "1 document 0 rejected 0 skipped 1 entity 0 problems" in said


async def test_a_line_names_the_field_to_mend_and_what_to_write(run: Run, tree: Tree) -> None:
    tree.write("a.yaml", component("a").replace("{name: a}", "{name: a, annotations: {port: 8080}}"))
    tree.write("b.yaml", component("b").replace("Component", "component"))
    lines = [" ".join(line.split()) for line in (await run(".")).stdout.splitlines()]
    assert "a.yaml:3 annotation-value metadata.annotations.port: 8080 is not a text" in lines
    assert "b.yaml:2 kind-case kind: the kind 'component' is not known: write it Component" in lines


async def test_what_is_not_shown_is_one_query_away(run: Run, tree: Tree) -> None:
    tree.write("a.yaml", *(["kind: [\n"] * 12))
    said = (await run(".")).stdout
    assert "and 2 more. By GraphQL: { problems(first: 100) { nodes { rule field message location line } } }" in said
    assert "Nothing has changed. 12 documents were rejected." in (await run(".")).stdout


async def test_a_misspelled_kind_on_the_list_is_named(run: Run, tree: Tree) -> None:
    tree.write("a.yaml", component("a"))
    for options in (["--dry-run"], []):
        said = (await run(".", "--kinds", "User,Componnt", *options)).stdout
        assert [line for line in said.splitlines() if "No entity" in line] == [
            "No entity is of kind componnt, which --kinds allows."
        ]
    for kinds in ("User,Component", "User,Component,API", "-Component"):
        assert "No entity" not in (await run(".", "--kinds", kinds)).stdout, "all is there, or nothing was turned away"


async def test_a_folder_that_moved_is_taken_over_and_one_not_wanted_is_emptied(
    run: Run, tree: Tree, catalog: Catalog
) -> None:
    write_catalog(tree.root / "old", 20, per_file=20)
    await run("old")
    old = str(tree.root / "old")
    (tree.root / "old").rename(tree.root / "new")
    (tree.root / "empty").mkdir()

    taken_over = json.loads((await run("new", "--source", old, "--json")).stdout)
    emptied = json.loads((await run("empty", "--source", old, "--allow-removals", "--json")).stdout)

    assert (taken_over["unchanged"], taken_over["rejected"], emptied["removed"]) == (20, 0, 20)
    assert await catalog.refs() == []


async def test_ctrl_c_ends_in_a_line_and_writes_nothing(tree: Tree, catalog: Catalog, database_url: str) -> None:
    program = [sys.executable, "-c", "from api.cli import main; main(prog_name='catalograph')"]
    environ = {**os.environ, "DATABASE_URL": database_url}
    async with catalog.engine.begin() as connection:
        await locks.lock(connection, locks.of_source("shop"))
        process = await asyncio.create_subprocess_exec(
            *(*program, "ingest", str(tree.root), "--source", "shop"), env=environ, stdout=PIPE, stderr=PIPE
        )
        await catalog.until_one_waits_for_a_lock()
        process.send_signal(signal.SIGINT)
        assert await process.communicate() == (
            b"", b"Error: Interrupted. A run that had not ended has written nothing.\n"
        )  # fmt: skip
    assert (process.returncode, await catalog.refs()) == (1, [])
    assert await catalog.rows("SELECT state FROM source") == ["FAILED"]
