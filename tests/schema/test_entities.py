"""Entities, their fields, and the edges between them, each with the number of statements it costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.ingesting import Catalog, Tree, component
from tests.schema.graph import Graph

pytestmark = pytest.mark.anyio


def names(connection: dict[str, Any]) -> list[str]:
    return [node["name"] for node in connection["nodes"]]


async def test_an_entity_gives_all_that_its_file_said(company: Graph) -> None:
    data = await company.ask(
        """{ entity(ref: "component:player") {
            __typename ref kind namespace name title description type lifecycle tags etag ownerRef spec metadata
            labels { key value } pager: annotations(keys: ["example.com/pager", "no/such"]) { key value }
            links { url title icon type }
            origin { location line commit source { name sourceType trusted entityCount lastRun { added error } } }
        } }""",
        statements=4,
    )
    entity = data["entity"]
    etag, origin = entity.pop("etag"), entity.pop("origin")
    assert entity == {
        "__typename": "Component",
        "ref": "component:default/player",
        "kind": "Component",
        "namespace": "default",
        "name": "Player",
        "title": "The player",
        "description": "Plays.",
        "type": "service",
        "lifecycle": "production",
        "tags": ["audio", "go"],
        "ownerRef": "group:default/players",
        "spec": {
            "type": "service",
            "lifecycle": "production",
            "owner": "players",
            "system": "playback",
            "providesApis": ["stream"],
            "consumesApis": ["find"],
            "dependsOn": ["component:index", "resource:tracks", "resource:gone"],
        },
        "metadata": {
            "name": "Player",
            "title": "The player",
            "description": "Plays.",
            "namespace": "default",
            "labels": {"tier": "1", "runtime": "go"},
            "annotations": {"backstage.io/kubernetes-id": "player", "example.com/pager": "players"},
            "tags": ["audio", "go"],
            "links": [
                {"url": "https://example.com/b", "title": "Board"},
                {"url": "https://example.com/a", "icon": "book", "type": "docs"},
            ],
            "extra": {"kept": [1, 2.5, None, True, 9007199254740991]},
        },
        "labels": [{"key": "runtime", "value": "go"}, {"key": "tier", "value": "1"}],
        "pager": [{"key": "example.com/pager", "value": "players"}],
        "links": [
            {"url": "https://example.com/b", "title": "Board", "icon": None, "type": None},
            {"url": "https://example.com/a", "title": None, "icon": "book", "type": "docs"},
        ],
    }
    assert len(etag) == 64
    assert (origin["location"], origin["line"], origin["commit"]) == ("company.yaml", 42, None)
    assert origin["source"] == {
        "name": origin["source"]["name"],
        "sourceType": "file",
        "trusted": True,
        "entityCount": 21,
        "lastRun": {"added": 21, "error": None},
    }


async def test_every_kind_is_served_as_its_type_and_the_unknown_ones_whole(company: Graph) -> None:
    data = await company.ask("{ entities(first: 100) { totalCount nodes { __typename ref spec } } }", statements=1)
    types = {node["ref"]: node["__typename"] for node in data["entities"]["nodes"]}
    assert data["entities"]["totalCount"] == len(types) == 21
    assert types["location:default/elsewhere"] == "Location"
    assert types["template:default/new-service"] == "Template"
    assert types["rota:ops/on-call"] == "CustomEntity"
    assert types["component:default/foreign"] == "CustomEntity"  # of another apiVersion
    assert {types[f"{t.lower()}:default/{n}"] for t, n in (("API", "find"), ("User", "ann"))} == {"API", "User"}
    specs = {node["ref"]: node["spec"] for node in data["entities"]["nodes"]}
    assert specs["rota:ops/on-call"] == {"owner": "group:default/players", "weeks": [{"from": "2026-01-05"}]}


async def test_components_have_their_edges(company: Graph) -> None:
    data = await company.ask(
        """{ component(ref: "player") {
            owner { __typename ref } system { name domain { name } } subcomponentOf { name }
            subcomponents { totalCount nodes { name } }
            providedApis { nodes { name } } consumedApis { nodes { name } }
            dependencies { totalCount nodes { __typename name } } dependents { nodes { name } }
        } }""",
        statements=5,
    )
    assert data["component"] == {
        "owner": {"__typename": "Group", "ref": "group:default/players"},
        "system": {"name": "playback", "domain": {"name": "listening"}},
        "subcomponentOf": None,
        "subcomponents": {"totalCount": 1, "nodes": [{"name": "player-skin"}]},
        "providedApis": {"nodes": [{"name": "stream"}]},
        "consumedApis": {"nodes": [{"name": "find"}]},
        # Declared from both ends, counted once; what does not exist is no edge.
        "dependencies": {
            "totalCount": 2,
            "nodes": [{"__typename": "Component", "name": "index"}, {"__typename": "Resource", "name": "tracks"}],
        },
        "dependents": {"nodes": []},
    }


async def test_the_other_end_of_each_edge(company: Graph) -> None:
    data = await company.ask(
        """{
            skin: component(ref: "player-skin") { subcomponentOf { name } owner { __typename name } }
            tracks: resource(ref: "tracks") { system { name } dependents { nodes { name } } dependencies { totalCount } }
            stream: api(ref: "stream") { definition system { name } providers { nodes { name } } consumers { totalCount } }
            find: api(ref: "find") { consumers { nodes { name } } }
            playback: system(ref: "playback") {
                components { nodes { name } } apis { nodes { name } } resources { nodes { name } } domain { name }
            }
            listening: domain(ref: "listening") { parent { name } subdomains { nodes { name parent { name } } } systems { nodes { name } } }
            elsewhere: entity(ref: "location:elsewhere") { ... on Location { locations } }
            template(ref: "new-service") { parameters steps }
        }"""
    )
    assert data == {
        "skin": {"subcomponentOf": {"name": "Player"}, "owner": {"__typename": "User", "name": "bob"}},
        "tracks": {
            "system": {"name": "playback"},
            "dependents": {"nodes": [{"name": "Player"}]},
            "dependencies": {"totalCount": 0},
        },
        "stream": {
            "definition": 'syntax = "proto3";',
            "system": {"name": "playback"},
            "providers": {"nodes": [{"name": "Player"}]},
            "consumers": {"totalCount": 0},
        },
        "find": {"consumers": {"nodes": [{"name": "Player"}]}},
        "playback": {
            "components": {"nodes": [{"name": "Player"}, {"name": "player-skin"}]},
            "apis": {"nodes": [{"name": "stream"}]},
            "resources": {"nodes": [{"name": "tracks"}]},
            "domain": {"name": "listening"},
        },
        "listening": {
            "parent": None,
            "subdomains": {"nodes": [{"name": "offline", "parent": {"name": "listening"}}]},
            "systems": {"nodes": [{"name": "playback"}]},
        },
        "elsewhere": {"locations": ["https://example.com/one.yaml", "https://example.com/two.yaml"]},
        "template": {"parameters": [], "steps": [{"id": "one", "action": "fetch"}]},
    }


async def test_groups_and_users_are_linked_from_whichever_side_says_so(company: Graph) -> None:
    data = await company.ask(
        """{
            music: group(ref: "music") { email picture parent { name } ancestors { name } children { nodes { name } } }
            players: group(ref: "players") { parent { name } ancestors { name } members { nodes { name } }
                ownedEntities { totalCount nodes { ref } } }
            ann: user(ref: "ann") { email picture groups { nodes { name } } ownedEntities { totalCount } }
        }"""
    )
    assert data == {
        "music": {
            "email": "music@example.com",
            "picture": None,
            "parent": None,
            "ancestors": [],
            "children": {"nodes": [{"name": "players"}, {"name": "search"}]},
        },
        "players": {
            "parent": {"name": "music"},
            "ancestors": [{"name": "music"}],
            "members": {"nodes": [{"name": "ann"}, {"name": "bob"}]},
            "ownedEntities": {
                "totalCount": 5,
                "nodes": [
                    {"ref": "rota:ops/on-call"},
                    {"ref": "system:default/playback"},
                    {"ref": "component:default/player"},
                    {"ref": "api:default/stream"},
                    {"ref": "resource:default/tracks"},
                ],
            },
        },
        "ann": {
            "email": "ann@example.com",
            "picture": "https://example.com/ann.png",
            "groups": {"nodes": [{"name": "players"}, {"name": "search"}]},
            "ownedEntities": {"totalCount": 0},
        },
    }


async def test_an_owner_of_the_wrong_kind_is_none(company: Graph) -> None:
    data = await company.ask(
        '{ resource(ref: "owned-by-software") { ownerRef owner { name } problems { nodes { rule field } } } }'
    )
    assert data["resource"] == {
        "ownerRef": "component:default/index",
        "owner": None,
        "problems": {"nodes": [{"rule": "reference-kind", "field": "spec.owner"}]},
    }


async def test_of_two_parents_the_one_counts_that_the_group_itself_names(company: Graph) -> None:
    data = await company.ask(
        """{ search: group(ref: "search") { parent { name } ancestors { name } }
             claimant: group(ref: "claimant") { children { nodes { name } } } }"""
    )
    assert data["search"]["parent"] == {"name": "music"}
    assert {group["name"] for group in data["search"]["ancestors"]} == {"music", "claimant"}
    assert data["claimant"]["children"] == {"nodes": [{"name": "search"}]}


async def test_relations_show_what_is_missing_too(company: Graph) -> None:
    data = await company.ask(
        """{ entity(ref: "component:player") {
            all: relations { totalCount nodes { type sourceRef targetRef source { name } target { name } } }
            some: relations(type: ["dependsOn", "ownedBy"]) { nodes { type targetRef } }
            existing: relations(type: ["dependsOn"], filter: {kind: {eq: "resource"}}) { totalCount nodes { targetRef } }
        } }""",
        statements=3,
    )
    relations = data["entity"]
    assert [(r["type"], r["targetRef"], r["target"] and r["target"]["name"]) for r in relations["all"]["nodes"]] == [
        ("consumesApi", "api:default/find", "find"),
        ("dependsOn", "component:default/index", "index"),
        ("dependsOn", "resource:default/gone", None),
        ("dependsOn", "resource:default/tracks", "tracks"),
        ("hasPart", "component:default/player-skin", "player-skin"),
        ("ownedBy", "group:default/players", "players"),
        ("partOf", "system:default/playback", "playback"),
        ("providesApi", "api:default/stream", "stream"),
    ]
    assert {(r["sourceRef"], r["source"]["name"]) for r in relations["all"]["nodes"]} == {
        ("component:default/player", "Player")
    }
    assert relations["all"]["totalCount"] == 8
    assert [r["targetRef"] for r in relations["some"]["nodes"]] == [
        "component:default/index",
        "resource:default/gone",
        "resource:default/tracks",
        "group:default/players",
    ]
    assert relations["existing"] == {"totalCount": 1, "nodes": [{"targetRef": "resource:default/tracks"}]}


async def test_an_owner_that_nobody_answers_to_is_null_with_its_ref_and_a_problem(company: Graph) -> None:
    data = await company.ask(
        """{ component(ref: "orphan") { ownerRef owner { name } problems { totalCount nodes {
            area rule severity entityRef entity { name } location document line field source { sourceType } } } }
            problems(filter: {rule: ["dangling-reference"]}) { nodes { entityRef line field } } }"""
    )
    assert data["component"] == {
        "ownerRef": "group:default/nobody",
        "owner": None,
        "problems": {
            "totalCount": 1,
            "nodes": [
                {
                    "area": "CATALOG",
                    "rule": "dangling-reference",
                    "severity": "WARNING",
                    "entityRef": "component:default/orphan",
                    "entity": {"name": "orphan"},
                    "location": "company.yaml",
                    "document": 12,
                    "line": 78,
                    "field": "spec.owner",
                    "source": {"sourceType": "file"},
                }
            ],
        },
    }
    assert data["problems"]["nodes"] == [
        {"entityRef": "component:default/player", "line": 63, "field": "spec.dependsOn[2]"},
        {"entityRef": "component:default/orphan", "line": 78, "field": "spec.owner"},
    ]


async def test_the_problems_of_a_group_can_include_those_of_what_it_owns(company: Graph) -> None:
    data = await company.ask(
        """{ group(ref: "players") { own: problems { totalCount } all: problems(owned: true) { nodes { entityRef } } } }"""
    )
    assert data["group"] == {"own": {"totalCount": 0}, "all": {"nodes": [{"entityRef": "component:default/player"}]}}


async def test_lookups_by_id_and_ref_keep_their_order_and_say_null_for_nothing(company: Graph) -> None:
    data = await company.ask(
        """{ entitiesByRef(refs: ["api:FIND", "group:nobody", "component:Default/player", "api:find"]) { id name } }""",
        statements=1,
    )
    found = data["entitiesByRef"]
    assert [entity and entity["name"] for entity in found] == ["find", None, "Player", "find"]
    player, find = found[2]["id"], found[0]["id"]
    problems = await company.ask("{ problems(first: 1) { nodes { id } } sources { nodes { id } } }")
    problem, source = problems["problems"]["nodes"][0]["id"], problems["sources"]["nodes"][0]["id"]
    data = await company.ask(
        """query($ids: [ID!]!, $id: ID!) { nodes(ids: $ids) { __typename id } node(id: $id) { ... on Component { name } } }""",
        ids=[player, problem, find, source, player],
        id=player,
        statements=3,
    )
    assert data == {
        "nodes": [
            {"__typename": "Component", "id": player},
            {"__typename": "Problem", "id": problem},
            {"__typename": "API", "id": find},
            {"__typename": "Source", "id": source},
            {"__typename": "Component", "id": player},
        ],
        "node": {"name": "Player"},
    }


async def test_an_id_does_not_tell_the_type(company: Graph) -> None:
    """A kind may get a type of its own later, and clients keep their ids."""
    data = await company.ask(
        """{ entity(ref: "rota:ops/on-call") { id } none: node(id: "ZW5vOnN1Y2gvdGhpbmc") { id } }"""
    )
    assert data == {"entity": {"id": "ZXJvdGE6b3BzL29uLWNhbGw"}, "none": None}


async def test_a_singular_root_gives_only_its_own_type(company: Graph) -> None:
    data = await company.ask(
        """{ a: component(ref: "group:players") { name } b: component(ref: "foreign") { name } c: group(ref: "PLAYERS") { name } }"""
    )
    assert data == {"a": None, "b": None, "c": {"name": "players"}}


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ('{ entity(ref: "player") { name } }', "`ref`: 'player' has no kind: write it as kind:name or kind:namespace/name"),
        ('{ node(id: "not one") { id } }', "'not one' is not an id of this graph. Ids are opaque; to look up by name use `entity(ref:)`."),
        ('{ node(id: "ZQA") { id } }', "'ZQA' is not an id of this graph. Ids are opaque; to look up by name use `entity(ref:)`."),
        ('{ entities(filter: {name: {eq: "%s"}}) { totalCount } }' % ("x" * 10_001), "`filter.name.eq` has 10001 characters; at most 10000 are read."),
        ("{ entitiesByRef(refs: [%s]) { name } }" % ('"api:find",' * 1001), "`refs` has 1001 items; at most 1000 are read."),
    ],
)  # fmt: skip
async def test_bad_input_is_refused_with_its_place(graph: Graph, query: str, message: str) -> None:
    assert await graph.refuse(query) == ("BAD_USER_INPUT", message)


async def test_a_text_that_postgres_cannot_hold_does_not_reach_it(graph: Graph) -> None:
    refused = ("BAD_USER_INPUT", "`name` holds a NUL or half a surrogate pair, which no text in the catalog has.")
    for text in ("a\0b", "a\ud800b"):
        assert await graph.refuse("query ($name: String!) { source(name: $name) { name } }", name=text) == refused


async def test_what_goes_while_it_is_read_says_so(company: Graph) -> None:
    """Between the statement of the page and that of its specs an ingestion may commit."""
    await Catalog(company.engine).rows("DELETE FROM document")
    (error,) = await company.errors('{ entity(ref: "component:player") { spec } }')
    assert (error["path"], error["extensions"]["code"]) == (["entity", "spec"], "GONE_MEANWHILE")


PAGE = """query($first: Int!) { components(first: $first) {
    nodes { name tags owner { name } system { name } dependencies(first: 5) { nodes { name } } }
} }"""


def dependent(n: int) -> str:
    """A component of the company that depends on seven others."""
    others = [f"component:many-{(n + step) % 120}" for step in range(1, 8)]
    return component(f"many-{n}", owner="search", system="playback", dependsOn=str(others))


@pytest.mark.parametrize("size", [10, 100])
async def test_a_page_costs_the_same_statements_for_10_and_for_100(company: Graph, tmp_path: Path, size: int) -> None:
    """One for the page, and one for each of its edges: owner, system, dependencies."""
    Tree(tmp_path).write("many.yaml", *(dependent(n) for n in range(120)))
    await Catalog(company.engine).ingest(tmp_path)
    nodes = (await company.ask(PAGE, first=size, statements=2))["components"]["nodes"]
    many = [node for node in nodes if node["name"].startswith("many-")]
    assert (len(nodes), len(many)) == (size, size - 1)
    assert {(node["owner"]["name"], node["system"]["name"]) for node in many} == {("search", "playback")}
    assert {len(node["dependencies"]["nodes"]) for node in many} == {5}
