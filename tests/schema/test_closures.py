"""Transitive reads: dependencies, ownership and domains, any number of steps away, in circles and out of bounds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.ingesting import Catalog, Tree
from tests.schema.graph import Graph

pytestmark = pytest.mark.anyio


@pytest.fixture
async def circles(graph: Graph) -> Graph:
    """The graph of `circles.yaml`: app -> cart -> pay -> ship -> cart, and pay -> ledger."""
    await Catalog(graph.engine).ingest(Path(__file__).parent / "circles.yaml")
    return graph


def names(connection: dict[str, Any]) -> list[str]:
    return [node["name"] for node in connection["nodes"]]


@pytest.mark.parametrize(
    ("depth", "expected"),
    [
        (1, ["cart"]),
        (2, ["cart", "pay"]),
        (3, ["cart", "ledger", "pay", "ship"]),
        (4, ["cart", "ledger", "pay", "ship"]),
        (10, ["cart", "ledger", "pay", "ship"]),
    ],
)
async def test_dependencies_of_dependencies_come_once_though_they_go_in_circles(
    circles: Graph, depth: int, expected: list[str]
) -> None:
    data = await circles.ask(
        """query($d: Int!) { component(ref: "app") {
            dependencies(depth: $d) { totalCount nodes { name } } dependenciesTruncated(depth: $d)
        } }""",
        d=depth,
        statements=1,
    )
    assert names(data["component"]["dependencies"]) == expected
    assert data["component"]["dependencies"]["totalCount"] == len(expected)
    assert data["component"]["dependenciesTruncated"] is False


async def test_dependents_are_followed_up_from_a_resource(circles: Graph) -> None:
    data = await circles.ask(
        """{ resource(ref: "ledger") {
            direct: dependents { nodes { name } }
            two: dependents(depth: 2) { nodes { name } }
            all: dependents(depth: 10) { nodes { name } }
            services: dependents(depth: 10, filter: {type: {eq: "service"}}) { nodes { name } }
            dependencies(depth: 10) { totalCount }
        } }""",
        statements=5,
    )
    resource = data["resource"]
    assert names(resource["direct"]) == ["pay"]
    assert names(resource["two"]) == ["cart", "pay"]
    assert names(resource["all"]) == ["app", "cart", "pay", "ship"]
    assert names(resource["services"]) == ["cart", "pay", "ship"]
    assert resource["dependencies"]["totalCount"] == 0


async def test_what_lies_on_a_circle_depends_on_itself_only_as_far_as_the_circle_is_long(circles: Graph) -> None:
    data = await circles.ask(
        """{ components(filter: {name: {in: ["cart", "looking-glass"]}}) { nodes {
            two: dependencies(depth: 2) { nodes { name } } three: dependencies(depth: 3) { nodes { name } }
        } } }""",
        statements=3,
    )
    cart, looking_glass = data["components"]["nodes"]
    assert names(cart["two"]) == ["ledger", "pay", "ship"]
    assert names(cart["three"]) == ["cart", "ledger", "pay", "ship"]
    assert names(looking_glass["two"]) == names(looking_glass["three"]) == ["looking-glass"]


async def test_pages_of_a_closure_lose_nothing(circles: Graph) -> None:
    query = """query($after: String) { component(ref: "app") { dependencies(depth: 9, first: 1, after: $after) {
        nodes { name } pageInfo { hasNextPage endCursor }
    } } }"""
    found: list[str] = []
    after = None
    for more in (True, True, True, False):
        page = (await circles.ask(query, after=after, statements=1))["component"]["dependencies"]
        found += names(page)
        after = page["pageInfo"]["endCursor"]
        assert page["pageInfo"]["hasNextPage"] is more
    assert found == ["cart", "ledger", "pay", "ship"]


async def test_a_cursor_of_one_depth_is_refused_at_another(circles: Graph) -> None:
    query = """query($d: Int!, $after: String) { component(ref: "app") { dependencies(depth: $d, first: 1, after: $after) {
        pageInfo { endCursor }
    } } }"""
    page = await circles.ask(query, d=3)
    after = page["component"]["dependencies"]["pageInfo"]["endCursor"]
    (error,) = await circles.errors(query, d=4, after=after)
    assert error["message"] == "This cursor was made by another field, or with another filter or order."


@pytest.mark.parametrize("depth", [0, 11, -1])
@pytest.mark.parametrize(
    "query",
    [
        'query($d: Int!) { component(ref: "app") { dependencies(depth: $d) { totalCount } } }',
        'query($d: Int!) { component(ref: "app") { dependentsTruncated(depth: $d) } }',
    ],
)
async def test_a_depth_out_of_bounds_is_refused(circles: Graph, query: str, depth: int) -> None:
    (error,) = await circles.errors(query, d=depth)
    assert error["message"] == f"`depth` is {depth}; 1 to 10 steps are followed."
    assert error["extensions"] == {"code": "BAD_USER_INPUT"}


async def test_a_depth_out_of_bounds_is_refused_in_a_filter(circles: Graph) -> None:
    query = '{ entities(filter: {not: {dependsOn: {ref: "component:app", depth: 11}}}) { totalCount } }'
    message = "`filter.not.dependsOn.depth` is 11; 1 to 10 steps are followed."
    assert await circles.refuse(query) == ("BAD_USER_INPUT", message)


TRUE_TREE = {
    "company": ["app", "cart", "ledger", "pay", "ship"],
    "tribe": ["app", "cart", "pay", "ship"],
    "squad": ["app", "cart"],
}


async def test_a_tree_owns_what_its_groups_and_their_members_own(circles: Graph) -> None:
    data = await circles.ask(
        """{ groups(filter: {name: {in: ["company", "squad", "tribe"]}}) { nodes {
            name treeTruncated
            ownedEntities(tree: true, filter: {kind: {in: ["component", "resource"]}}) { totalCount nodes { name } }
            direct: ownedEntities(filter: {kind: {in: ["component", "resource"]}}) { nodes { name } }
        } } }""",
        statements=3,
    )
    nodes = {node["name"]: node for node in data["groups"]["nodes"]}
    assert {name: names(node["ownedEntities"]) for name, node in nodes.items()} == TRUE_TREE
    assert {name: node["ownedEntities"]["totalCount"] for name, node in nodes.items()} == {
        "company": 5,
        "tribe": 4,
        "squad": 2,
    }
    assert {name: names(node["direct"]) for name, node in nodes.items()} == {
        "company": ["ledger"],
        "tribe": ["pay"],
        "squad": ["app"],
    }
    assert {node["treeTruncated"] for node in nodes.values()} == {False}


async def test_groups_in_a_circle_are_each_others_tree(circles: Graph) -> None:
    data = await circles.ask(
        """{
            one: group(ref: "ring-one") { ...F } two: group(ref: "ring-two") { ...F }
            cy: user(ref: "cy") { ownedEntities(tree: true) { totalCount } }
        }
        fragment F on Group {
            treeTruncated ownedEntities(tree: true, filter: {kind: {eq: "component"}}) { nodes { name } }
            members(tree: true) { nodes { name } }
        }"""
    )
    ring = {
        "treeTruncated": False,
        "ownedEntities": {"nodes": [{"name": "looking-glass"}]},
        "members": {"nodes": [{"name": "cy"}]},
    }
    assert data == {"one": ring, "two": ring, "cy": {"ownedEntities": {"totalCount": 0}}}


async def test_members_of_a_tree_come_once_though_they_are_in_two_of_its_groups(circles: Graph) -> None:
    data = await circles.ask(
        """{ groups(filter: {type: {ne: "company"}, name: {in: ["tribe", "squad"]}}) { nodes {
            direct: members { nodes { name } } tree: members(tree: true) { totalCount nodes { name } }
        } } }""",
        statements=3,
    )
    squad, tribe = data["groups"]["nodes"]
    assert (names(squad["direct"]), names(squad["tree"])) == (["ann"], ["ann"])
    assert (names(tribe["direct"]), names(tribe["tree"]), tribe["tree"]["totalCount"]) == (
        ["ann", "bob"],
        ["ann", "bob"],
        2,
    )


async def test_domains_have_the_systems_of_all_domains_below_them(circles: Graph) -> None:
    data = await circles.ask(
        """{ domains { nodes {
            name ancestors { name } treeTruncated
            systems { nodes { name } } tree: systems(tree: true) { totalCount nodes { name } }
        } } }""",
        statements=4,
    )
    nodes = {node["name"]: node for node in data["domains"]["nodes"]}
    assert {name: names(node["tree"]) for name, node in nodes.items()} == {
        "world": ["ferries", "maps"],
        "europe": ["ferries"],
        "baltics": ["ferries"],
        "east": ["silk-road"],
        "west": ["silk-road"],
    }
    assert names(nodes["world"]["systems"]) == ["maps"]
    assert {name: [one["name"] for one in node["ancestors"]] for name, node in nodes.items()} == {
        "world": [],
        "europe": ["world"],
        "baltics": ["europe", "world"],
        "east": ["west"],
        "west": ["east"],
    }
    assert {node["treeTruncated"] for node in nodes.values()} == {False}


SOFTWARE = {"app", "cart", "pay", "ship", "looking-glass", "stray", "ledger"}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ('{inTreeOf: "company"}', {"app", "cart", "pay", "ship", "ledger"}),
        ('{inTreeOf: "SQUAD"}', {"app", "cart"}),
        ('{inTreeOf: "user:ann"}', {"cart"}),
        ('{inTreeOf: "ring-one"}', {"looking-glass"}),
        ('{inTreeOf: "nobody"}', {"stray"}),
        ('{inTreeOf: "never-heard-of"}', set()),
        ('{dependsOn: {ref: "resource:ledger"}}', {"pay"}),
        ('{dependsOn: {ref: "resource:ledger", depth: 1}}', {"pay"}),
        ('{dependsOn: {ref: "resource:ledger", depth: 3}}', {"pay", "cart", "app", "ship"}),
        ('{dependsOn: {ref: "resource:gone", depth: 2}}', {"cart", "app", "ship"}),
        ('{dependsOn: {ref: "resource:never-heard-of", depth: 2}}', set()),
        ('{dependencyOf: {ref: "component:app"}}', {"cart"}),
        ('{dependencyOf: {ref: "component:app", depth: 2}}', {"cart", "pay"}),
        ('{dependencyOf: {ref: "component:cart", depth: 2}}', {"pay", "ship", "ledger"}),
        ('{dependencyOf: {ref: "component:cart", depth: 10}}', {"pay", "ship", "ledger", "cart"}),
        (
            '{anyOf: [{dependsOn: {ref: "resource:ledger"}}, {dependencyOf: {ref: "component:app", depth: 1}}]}',
            {"pay", "cart"},
        ),
        (
            '{dependsOn: {ref: "resource:ledger", depth: 9}, dependencyOf: {ref: "component:app", depth: 9}}',
            {"pay", "cart", "ship"},
        ),
    ],
)
async def test_a_filter_by_closure_matches_exactly(circles: Graph, asked: str, expected: set[str]) -> None:
    query = '{ entities(filter: {kind: {in: ["component", "resource"]}, allOf: [%s]}) { totalCount nodes { name } } }'
    found = (await circles.ask(query % asked, statements=1))["entities"]
    assert set(names(found)) == expected
    assert found["totalCount"] == len(expected)
    others = (await circles.ask(query % f"{{not: {asked}}}", statements=1))["entities"]
    assert set(names(others)) == SOFTWARE - expected


async def test_a_tree_deeper_than_ten_levels_is_cut_and_says_so(graph: Graph, tmp_path: Path) -> None:
    groups = [
        f"apiVersion: backstage.io/v1alpha1\nkind: Group\nmetadata: {{name: g{n:02}}}\n"
        f"spec: {{type: squad, children: [{f'g{n + 1:02}' if n < 11 else ''}], members: [m{n:02}]}}\n"
        for n in range(12)
    ]
    users = [
        f"apiVersion: backstage.io/v1alpha1\nkind: User\nmetadata: {{name: m{n:02}}}\nspec: {{memberOf: []}}\n"
        for n in range(12)
    ]
    await Catalog(graph.engine).ingest(Tree(tmp_path).write("groups.yaml", *groups, *users).parent)
    data = await graph.ask(
        """{ groups(filter: {name: {in: ["g00", "g01"]}}) { nodes {
            treeTruncated members(tree: true, first: 100) { nodes { name } }
        } } }""",
        statements=2,
    )
    top, second = data["groups"]["nodes"]
    assert (top["treeTruncated"], names(top["members"])) == (True, [f"m{n:02}" for n in range(11)])
    assert (second["treeTruncated"], names(second["members"])) == (False, [f"m{n:02}" for n in range(1, 12)])


@pytest.fixture
async def hub(circles: Graph) -> Graph:
    """Where 12,000 components depend on `ledger`, and one more on each of these."""
    await Catalog(circles.engine).rows(
        """WITH first AS (INSERT INTO ref (ref) SELECT format('component:hub/near-%s', lpad(n::text, 5, '0'))
                         FROM generate_series(1, 12000) n RETURNING id, ref),
               second AS (INSERT INTO ref (ref) SELECT format('component:hub/zfar-%s', lpad(n::text, 5, '0'))
                         FROM generate_series(1, 12000) n RETURNING id, ref),
               ledger AS (SELECT id FROM ref WHERE ref = 'resource:default/ledger'),
               depends (source, target) AS (
                   SELECT first.id, ledger.id FROM first, ledger
                   UNION ALL
                   SELECT second.id, first.id FROM first JOIN second ON right(first.ref, 5) = right(second.ref, 5)),
               one_way AS (INSERT INTO relation (source_id, type, target_id, declared_by)
                           SELECT source, 'dependsOn', target, source FROM depends),
               back AS (INSERT INTO relation (source_id, type, target_id, declared_by)
                        SELECT target, 'dependencyOf', source, source FROM depends)
           INSERT INTO entity (id, ref, graph_type, api_version, kind, namespace, name, title, tags, etag, source_id,
                               location, document, line)
           SELECT r.id, r.ref, 'Component', 'v1', 'Component', 'hub', split_part(r.ref, '/', 2), '', '{}', '', source.id,
                  '', 1, 1
           FROM (SELECT * FROM first UNION ALL SELECT * FROM second) r, source"""
    )
    await Catalog(circles.engine).rows("ANALYZE")
    return circles


async def test_a_closure_of_a_hub_is_cut_at_ten_thousand_and_says_so(hub: Graph) -> None:
    data = await hub.ask(
        """query { resource(ref: "ledger") {
            direct: dependents { totalCount } near: dependentsTruncated
            further: dependents(depth: 2) { totalCount nodes { name } } far: dependentsTruncated(depth: 2)
        } }""",
        statements=2,
    )
    resource = data["resource"]
    # What depends on it directly is a list like any other, and never cut.
    assert (resource["direct"]["totalCount"], resource["near"]) == (12_001, False)
    assert (resource["further"]["totalCount"], resource["far"]) == (10_000, True)
    assert not [name for name in names(resource["further"]) if name.startswith("zfar")]


async def test_a_closure_of_a_hub_reads_little_more_than_it_gives(hub: Graph) -> None:
    """The second 12,000 are not looked at, nor is any entity twice."""
    query = '{ resource(ref: "ledger") { dependentsTruncated(depth: 10) } }'
    plan = await explained(hub, query)
    rows = [float(number) for number in re.findall(r"relation_pkey.*?actual time=\S+ rows=([\d.]+)", plan)]
    assert rows
    assert max(rows) <= 10_001, plan


async def explained(graph: Graph, query: str) -> str:
    """The plans of the statements that a query runs, with what they read."""
    plans: list[str] = []
    fetch = graph.reads.fetch

    async def explaining(text: str, values: Any, **options: Any) -> Any:
        rows = await fetch(f"EXPLAIN (ANALYZE) {text}", values, **{**options, "named": False})
        plans.extend(row[0] for row in rows)
        return await fetch(text, values, **options)

    graph.reads.fetch = explaining  # type: ignore[method-assign]
    try:
        await graph.ask(query)
    finally:
        graph.reads.fetch = fetch  # type: ignore[method-assign]
    return "\n".join(plans)
