"""The change log as a list: who wrote what, in which order, and what it was before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.ingesting import ANN, Catalog, Tree, component
from tests.schema.graph import Graph

pytestmark = pytest.mark.anyio


@pytest.fixture
async def changed(graph: Graph, tmp_path: Path) -> Graph:
    """Three runs: a and b come, a changes its lifecycle and owner, b goes."""
    catalog, tree = Catalog(graph.engine), Tree(tmp_path)
    tree.write("a.yaml", component("a"))
    tree.write("b.yaml", component("b"))
    await catalog.ingest(tmp_path, name="files")
    tree.write("a.yaml", component("a", lifecycle="deprecated", owner="group:squad"))
    await catalog.ingest(tmp_path, name="files")
    (tmp_path / "b.yaml").unlink()
    await catalog.ingest(tmp_path, name="files")
    return graph


async def test_the_latest_change_comes_first_with_what_it_changed(changed: Graph) -> None:
    query = "{ changes { totalCount nodes { changeKind entityRef by entity { name } fields { path before after } } } }"
    data = await changed.ask(query, statements=1)
    told = [(c["changeKind"], c["entityRef"], c["by"]) for c in data["changes"]["nodes"]]
    by = "source:files"
    assert told == [
        ("DELETED", "component:default/b", by),
        ("UPDATED", "component:default/a", by),
        ("CREATED", "component:default/b", by),
        ("CREATED", "component:default/a", by),
    ]
    gone, updated, _, created = data["changes"]["nodes"]
    assert data["changes"]["totalCount"] == 4
    assert gone["entity"] is None
    assert updated["entity"] == {"name": "a"}
    assert updated["fields"] == [
        {"path": "/spec/lifecycle", "before": "production", "after": "deprecated"},
        {"path": "/spec/owner", "before": "user:ann", "after": "group:squad"},
    ]
    assert [field["path"] for field in created["fields"]] == ["/apiVersion", "/kind", "/metadata", "/spec"]
    assert {field["after"] is None for field in gone["fields"]} == {True}


async def test_a_change_counts_for_a_filter_by_what_it_was_before_or_after(changed: Graph) -> None:
    query = "query Q($filter: EntityFilter) { changes(filter: $filter) { nodes { changeKind entityRef } } }"

    async def told(**filter: object) -> list[str]:
        data = await changed.ask(query, filter=filter)
        return [f"{c['changeKind']} {c['entityRef'].rpartition('/')[2]}" for c in data["changes"]["nodes"]]

    assert await told(lifecycle={"eq": "deprecated"}) == ["UPDATED a"]
    assert await told(ownedBy="squad") == ["UPDATED a"]
    assert await told(ownedBy="user:ann") == ["DELETED b", "UPDATED a", "CREATED b", "CREATED a"]
    assert await told(name={"eq": "B"}) == ["DELETED b", "CREATED b"]
    assert await told(path={"path": "/spec/lifecycle", "text": {"prefix": "dep"}}) == ["UPDATED a"]
    assert await told(**{"not": {"name": {"eq": "b"}}}) == ["UPDATED a", "CREATED a"]
    assert await told(kind={"eq": "api"}) == []


async def test_changes_go_by_their_writer(changed: Graph) -> None:
    query = "query Q($by: String) { changes(by: $by) { totalCount } }"
    assert (await changed.ask(query, by="source:files"))["changes"]["totalCount"] == 4
    assert (await changed.ask(query, by="source:others"))["changes"]["totalCount"] == 0


async def test_pages_of_changes_join_without_a_gap(changed: Graph) -> None:
    query = "query Q($after: String) { changes(first: 1, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } }"
    ids, after = [], None
    page: dict[str, Any] = {}
    for _ in range(4):
        page = (await changed.ask(query, after=after, statements=1))["changes"]
        ids += [node["id"] for node in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
    assert page["pageInfo"]["hasNextPage"] is False
    assert len(set(ids)) == 4
    all_at_once = (await changed.ask("{ changes { nodes { id } } }"))["changes"]["nodes"]
    assert [node["id"] for node in all_at_once] == ids


async def test_a_change_is_found_by_its_id_and_an_entity_has_its_own(changed: Graph) -> None:
    query = '{ entity(ref: "component:a") { history { totalCount nodes { id changeKind } } } }'
    history = (await changed.ask(query))["entity"]["history"]
    assert [node["changeKind"] for node in history["nodes"]] == ["UPDATED", "CREATED"]
    found = await changed.ask(
        "query Q($id: ID!) { node(id: $id) { id ... on Change { changeKind } } }", **history["nodes"][0]
    )
    assert found["node"] == history["nodes"][0]


@pytest.mark.parametrize("forged", ["Y2E", "Yy0x", "YzE2MDk4MjM0MDk4MjM0OTA4MjM0OTgyMzQ"])
async def test_an_id_of_no_change_is_refused_before_postgres_sees_it(graph: Graph, forged: str) -> None:
    code, _ = await graph.refuse("query Q($id: ID!) { node(id: $id) { id } }", id=forged)
    assert code == "BAD_USER_INPUT"


async def test_a_change_of_a_group_is_judged_by_its_tree(graph: Graph, tmp_path: Path) -> None:
    group = (
        "apiVersion: backstage.io/v1alpha1\nkind: Group\nmetadata: {{name: {}}}\nspec: {{type: t, children: [{}]}}\n"
    )
    Tree(tmp_path).write(
        "g.yaml", ANN, group.format("tribe", "squad"), group.format("squad", ""), component("a", owner="squad")
    )
    await Catalog(graph.engine).ingest(tmp_path)
    data = await graph.ask('{ changes(filter: {inTreeOf: "tribe", kind: {eq: "component"}}) { nodes { entityRef } } }')
    assert data["changes"]["nodes"] == [{"entityRef": "component:default/a"}]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, 4),
        ({"allOf": []}, 4),
        ({"not": {"allOf": []}}, 0),
        ({"hasProblem": True}, 2),
        ({"hasProblem": False}, 2),
        ({"partOf": "system:none"}, 0),
        ({"dependsOn": {"ref": "component:none"}}, 0),
        ({"text": "a"}, 2),
    ],
)
async def test_what_is_not_of_the_past_is_asked_of_today(changed: Graph, wanted: object, found: int) -> None:
    data = await changed.ask("query Q($f: EntityFilter) { changes(filter: $f) { totalCount } }", f=wanted)
    assert data["changes"]["totalCount"] == found
