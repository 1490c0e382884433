"""Sources in the graph: when they are read, what came of it, and what a mutation may do about it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api.ingest.declarations import Access
from api.ingest.declared import Sources
from api.ingest.web import Host
from api.workers.sources import SourceWorker
from db import schedules
from tests.ingesting import ANN, Catalog, Tree, component
from tests.schema.graph import Graph

pytestmark = pytest.mark.anyio


@pytest.fixture
async def declared(graph: Graph, tmp_path: Path) -> Graph:
    """A graph whose settings declare the source `teams`, and let mutations declare some."""
    here = tmp_path
    Tree(here / "catalog").write("people.yaml", ANN)
    (here / "open").mkdir()
    file = here / "sources.yaml"
    file.write_text("sources: [{folder: catalog, name: teams, every: 1h}]\nhosts: [{host: example.com}]\n")
    access = Access(clones=here / "clones", environ={}, roots=(here / "open",))
    graph = replace(graph, sources=Sources.read(file, access))
    await work(graph)
    return graph


async def work(graph: Graph) -> None:
    """Let a process read what is due."""
    worker = SourceWorker(graph.engine, graph.sources, chance=lambda: 0.5)
    await worker.look()
    await worker.idle()


async def say(graph: Graph, mutation: str, **given: Any) -> Any:
    """What a mutation of a source answers."""
    input_type = mutation[0].upper() + mutation[1:] + "Input"
    data = await graph.ask(
        f"mutation($input: {input_type}!) {{ {mutation}(input: $input)"
        " { source { name sourceType trusted kinds entityCount } userErrors { code message field } } }",
        input=given,
    )
    return data[mutation]


async def refusal(graph: Graph, mutation: str, **given: Any) -> tuple[str, str, str | None]:
    """Why a mutation of a source did nothing."""
    payload = await say(graph, mutation, **given)
    assert payload["source"] is None
    (error,) = payload["userErrors"]
    return error["code"], error["field"], error["message"]


async def due(graph: Graph) -> list[str]:
    async with graph.engine.connect() as connection:
        return [one.name for one in await schedules.due(connection)]


async def test_a_source_says_when_it_was_read_and_when_it_is_read_next(declared: Graph) -> None:
    data = await declared.ask(
        """{ sources(first: 5) { nodes { name nextRunAt
            lastRun { documents entities problems skipped added seconds commit error startedAt finishedAt } } } }""",
        statements=1,
    )
    (source,) = data["sources"]["nodes"]
    run = source["lastRun"]
    assert source["nextRunAt"] > run["finishedAt"] >= run["startedAt"]
    assert 0 < run["seconds"] < 60
    counts = ("documents", "entities", "problems", "skipped", "added", "commit", "error")
    assert [run[name] for name in counts] == [1, 1, 0, 0, 1, None, None]


async def test_a_source_that_a_command_read_has_no_next_run(graph: Graph, tmp_path: Path) -> None:
    await Catalog(graph.engine).ingest(Tree(tmp_path).write("people.yaml", ANN), name="people")
    data = await graph.ask('{ source(name: "people") { nextRunAt } }', statements=1)
    assert data == {"source": {"nextRunAt": None}}


async def test_runs_come_latest_first_in_pages(declared: Graph) -> None:
    for _ in range(4):
        await say(declared, "sourceRun", name="teams")
        await work(declared)
    query = """query($after: String) { source(name: "teams") { runs(first: 2, after: $after) {
        totalCount nodes { added startedAt } pageInfo { hasNextPage endCursor } } } }"""
    pages, after = [], None
    while True:
        page = (await declared.ask(query, after=after, statements=1))["source"]["runs"]
        pages.append([run["added"] for run in page["nodes"]])
        assert page["totalCount"] == 5
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert pages == [[0, 0], [0, 0], [1]]


async def test_the_runs_of_many_sources_take_two_statements(graph: Graph, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        await Catalog(graph.engine).ingest(Tree(tmp_path / name).write(f"{name}.yaml", component(name)), name=name)
    data = await graph.ask("{ sources { nodes { name runs(first: 1) { nodes { added } } } } }", statements=2)
    assert [(one["name"], one["runs"]["nodes"]) for one in data["sources"]["nodes"]] == [
        (name, [{"added": 1}]) for name in ("a", "b", "c")
    ]


async def test_a_source_is_read_when_a_client_asks(declared: Graph) -> None:
    assert await due(declared) == []
    payload = await say(declared, "sourceRun", name="teams")
    assert payload["userErrors"] == []
    assert payload["source"]["name"] == "teams"
    assert await due(declared) == ["teams"]


async def test_only_a_run_that_may_remove_removes_much(declared: Graph) -> None:
    folder = Tree(declared.sources.watched()["teams"])
    many = folder.write("many.yaml", *(component(f"c{n}") for n in range(20)))
    await say(declared, "sourceRun", name="teams")
    await work(declared)
    many.unlink()
    asked = '{ source(name: "teams") { sourceState entityCount lastRun { removed } } }'

    await say(declared, "sourceRun", name="teams")
    await work(declared)
    held = await declared.ask(asked)
    assert held["source"] == {"sourceState": "HELD", "entityCount": 21, "lastRun": {"removed": 0}}

    await say(declared, "sourceRun", name="teams", allowRemovals=True)
    await work(declared)
    gone = await declared.ask(asked)
    assert gone["source"] == {"sourceState": "IDLE", "entityCount": 1, "lastRun": {"removed": 20}}


async def test_a_source_that_nobody_reads_by_itself_cannot_be_run(graph: Graph, tmp_path: Path) -> None:
    await Catalog(graph.engine).ingest(Tree(tmp_path).write("people.yaml", ANN), name="people")
    assert await refusal(graph, "sourceRun", name="people") == (
        "CONFLICT",
        "name",
        "No process reads it by itself: `catalograph ingest` reads it.",
    )
    assert await refusal(graph, "sourceRun", name="odd") == ("NOT_FOUND", "name", "There is no source odd.")


async def test_what_a_mutation_declares_is_read_and_gives_nobody_rights(declared: Graph) -> None:
    folder = declared.sources.access.roots[0] / "shop"
    tree = Tree(folder)
    tree.write("all.yaml", component("shop"), ANN)

    payload = await say(declared, "sourceRegister", folder=str(folder), name="shop", every="2h")
    refused_kinds = ["dataset", "experiment", "group", "kpidefinition", "migration", "pipeline", "user"]
    assert payload == {
        "source": {
            "name": "shop",
            "sourceType": "folder",
            "trusted": False,
            "kinds": [f"-{kind}" for kind in refused_kinds],
            "entityCount": 0,
        },
        "userErrors": [],
    }
    await work(declared)
    data = await declared.ask('{ source(name: "shop") { entityCount lastRun { rejected } } }')
    assert data == {"source": {"entityCount": 1, "lastRun": {"rejected": 1}}}


async def test_declaring_a_source_again_changes_how_it_is_read(declared: Graph) -> None:
    folder = declared.sources.access.roots[0] / "shop"
    Tree(folder).write("all.yaml", component("shop"))
    await say(declared, "sourceRegister", folder=str(folder), name="shop")
    await work(declared)
    await say(declared, "sourceRegister", folder=str(folder), name="shop")
    assert await due(declared) == [], "the same once more changes nothing"

    await say(declared, "sourceRegister", folder=str(folder), name="shop", kinds=["api"])
    await work(declared)
    data = await declared.ask('{ source(name: "shop") { kinds entityCount } }')
    assert data == {"source": {"kinds": ["api"], "entityCount": 0}}


@pytest.mark.parametrize(
    ("given", "field", "message"),
    [
        ({}, None, "must name one place, by one of folder, file, glob, git, url, backstage."),
        ({"url": "https://evil.example/x.yaml"}, "url", "evil.example is not on the list of hosts that may be read."),
        ({"folder": "/"}, "folder", "it is not below a folder of CATALOGRAPH_SOURCE_ROOTS."),
        ({"url": "https://example.com/x", "every": "5"}, "every", "must be a number with s, m, h or d, such as 30s or 5m."),
        ({"url": "https://example.com/x", "branch": "a"}, "branch", "there is no such key."),
        ({"git": "git@example.com:a.git"}, "git", "must be a path or an https URL: ssh is not supported."),
    ],
)  # fmt: skip
async def test_what_may_not_be_declared_is_told_with_its_field(
    declared: Graph, given: dict[str, str], field: str | None, message: str
) -> None:
    assert await refusal(declared, "sourceRegister", **given) == ("INVALID", field, message)
    assert len((await declared.ask("{ sources { nodes { name } } }"))["sources"]["nodes"]) == 1


async def test_what_the_settings_declare_no_mutation_changes(declared: Graph) -> None:
    declared_there = f"It is declared in {declared.sources.file}, and is changed there."
    given = {"url": "https://example.com/a.yaml", "name": "teams"}
    assert await refusal(declared, "sourceRegister", **given) == ("CONFLICT", "name", declared_there)
    given = {"name": "teams", "removeEntities": True}  # type: ignore[dict-item] # of another mutation
    assert await refusal(declared, "sourceUnregister", **given) == ("CONFLICT", "name", declared_there)


async def test_what_a_command_read_no_mutation_takes_over(declared: Graph, tmp_path: Path) -> None:
    await Catalog(declared.engine).ingest(Tree(tmp_path / "more").write("a.yaml", component("a")), name="more")
    message = "It was read by a command, and no mutation declared it: `catalograph sources delete` removes it."
    given = {"url": "https://example.com/a.yaml", "name": "more"}
    assert await refusal(declared, "sourceRegister", **given) == ("CONFLICT", "name", message)
    assert await refusal(declared, "sourceUnregister", name="more") == ("CONFLICT", "name", message)


async def test_a_source_goes_with_its_entities_only_if_that_is_said(declared: Graph) -> None:
    folder = declared.sources.access.roots[0] / "shop"
    Tree(folder).write("all.yaml", *(component(f"c{n}") for n in range(30)))
    await say(declared, "sourceRegister", folder=str(folder), name="shop")
    await work(declared)
    catalog = Catalog(declared.engine)
    before = len(await catalog.changes())

    assert await refusal(declared, "sourceUnregister", name="shop") == (
        "CONFLICT",
        "removeEntities",
        "It holds 30 entities, which would go with it. If that is right, say `removeEntities`.",
    )
    assert await due(declared) == []

    payload = await say(declared, "sourceUnregister", name="shop", removeEntities=True)
    assert payload["source"]["entityCount"] == 30
    await work(declared)

    assert await declared.ask('{ source(name: "shop") { name } }') == {"source": None}
    assert await catalog.refs() == ["user:default/ann"]
    assert {kind for kind, _ in (await catalog.changes())[before:]} == {"DELETED"}
    assert len(await catalog.changes()) == before + 30
    assert await catalog.rows("SELECT count(*) FROM relation") == [0]


async def test_an_empty_source_goes_without_a_word(declared: Graph) -> None:
    await say(declared, "sourceRegister", url="https://example.com/a.yaml", name="shop")
    await say(declared, "sourceUnregister", name="shop")
    await work(declared)
    assert await declared.ask('{ source(name: "shop") { name } }') == {"source": None}


async def test_several_mutations_in_one_request_see_each_other(declared: Graph) -> None:
    data = await declared.ask(
        """mutation {
            a: sourceRegister(input: { name: "x", url: "https://example.com/a.yaml" }) { source { name sourceType } }
            b: sourceRegister(input: { name: "x", url: "https://example.com/b.yaml" }) { source { name sourceType } }
            c: sourceRun(input: { name: "x" }) { source { name } userErrors { code } }
        }"""
    )
    assert data["c"] == {"source": {"name": "x"}, "userErrors": []}


def test_hosts_for_mutations_come_from_the_file(tmp_path: Path) -> None:
    file = tmp_path / "sources.yaml"
    file.write_text("hosts: [{host: example.com}]")
    assert Sources.read(file, Access(clones=tmp_path, environ={})).access.hosts == (Host("example.com"),)
