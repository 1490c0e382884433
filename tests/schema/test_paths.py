"""Shortest ways between two entities."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.ingesting import Catalog, Tree, component
from tests.schema.graph import Graph

pytestmark = pytest.mark.anyio


@pytest.fixture
async def circles(graph: Graph) -> Graph:
    """The graph of `circles.yaml`: app -> cart -> pay -> ship -> cart, and pay -> ledger."""
    await Catalog(graph.engine).ingest(Path(__file__).parent / "circles.yaml")
    return graph


async def way(graph: Graph, start: str, end: str, *, statements: int = 1, **more: Any) -> list[str] | None:
    """The way as text: `app dependsOn cart`, ..."""
    data = await graph.ask(
        """query($from: EntityRef!, $to: EntityRef!, $d: Int! = 6) { path(from: $from, to: $to, maxDepth: $d) {
            type sourceRef targetRef
        } }""",
        **{"from": start, "to": end},
        **more,
        statements=statements,
    )
    if data["path"] is None:
        return None
    return [f"{step['sourceRef']} {step['type']} {step['targetRef']}" for step in data["path"]]


DOWN = [
    "component:default/app dependsOn component:default/cart",
    "component:default/cart dependsOn component:default/pay",
    "component:default/pay dependsOn resource:default/ledger",
]
UP = [
    "resource:default/ledger dependencyOf component:default/pay",
    "component:default/pay dependencyOf component:default/cart",
    "component:default/cart dependencyOf component:default/app",
]


async def test_the_shortest_way_is_found_from_either_end(circles: Graph) -> None:
    assert await way(circles, "component:app", "resource:ledger") == DOWN
    assert await way(circles, "resource:LEDGER", "component:App") == UP


@pytest.mark.parametrize("depth", range(1, 11))
async def test_a_way_longer_than_asked_for_is_none(circles: Graph, depth: int) -> None:
    assert await way(circles, "component:app", "resource:ledger", d=depth) == (DOWN if depth >= 3 else None)


async def test_relations_of_all_types_lead_on(circles: Graph) -> None:
    assert await way(circles, "user:cy", "component:looking-glass") == [
        "user:default/cy memberOf group:default/ring-one",
        "group:default/ring-one childOf group:default/ring-two",
        "group:default/ring-two ownerOf component:default/looking-glass",
    ]


async def test_of_several_relations_between_two_one_is_given(graph: Graph, tmp_path: Path) -> None:
    place = Tree(tmp_path).write(
        "all.yaml",
        component("a", owner="group:x", dependsOn="[component:b]", subcomponentOf="b"),
        component("b", owner="group:y"),
    )
    await Catalog(graph.engine).ingest(place.parent)
    for _ in range(3):
        assert await way(graph, "component:a", "component:b") == ["component:default/a dependsOn component:default/b"]


async def test_of_ways_of_one_length_it_is_always_the_same(graph: Graph, tmp_path: Path) -> None:
    middles = [component(f"m{n}", owner=f"group:g{n}", dependsOn="[component:end]") for n in range(9)]
    start = component("start", owner="group:x", dependsOn=f"[{', '.join(f'component:m{n}' for n in range(9))}]")
    place = Tree(tmp_path).write("all.yaml", start, *middles, component("end", owner="group:z"))
    await Catalog(graph.engine).ingest(place.parent)
    first = await way(graph, "component:start", "component:end")
    assert first is not None
    assert len(first) == 2
    await Catalog(graph.engine).rows("UPDATE relation SET line = line + 1")  # the rows lie in another order
    assert await way(graph, "component:start", "component:end") == first


async def test_a_way_leads_through_what_does_not_exist(circles: Graph) -> None:
    assert await way(circles, "component:stray", "group:nobody") == [
        "component:default/stray ownedBy group:default/nobody"
    ]


async def test_there_is_no_way_between_islands_or_to_the_unknown(circles: Graph) -> None:
    assert await way(circles, "component:stray", "component:app", d=10) is None
    assert await way(circles, "component:app", "component:never-heard-of") is None
    assert await way(circles, "component:never-heard-of", "component:nor-of-this") is None


async def test_from_an_entity_to_itself_the_way_is_empty(circles: Graph) -> None:
    assert await way(circles, "component:cart", "Component:CART", statements=0) == []


async def test_the_entities_of_a_way_cost_two_statements_more(circles: Graph) -> None:
    data = await circles.ask(
        """{ path(from: "component:app", to: "resource:gone") { type source { __typename name } target { name } } }""",
        statements=3,
    )
    assert data["path"] == [
        {"type": "dependsOn", "source": {"__typename": "Component", "name": "app"}, "target": {"name": "cart"}},
        {"type": "dependsOn", "source": {"__typename": "Component", "name": "cart"}, "target": None},
    ]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            '{ path(from: "app", to: "component:b") { type } }',
            "`from`: 'app' has no kind: write it as kind:name or kind:namespace/name",
        ),
        (
            '{ path(from: "component:b", to: "app") { type } }',
            "`to`: 'app' has no kind: write it as kind:name or kind:namespace/name",
        ),
        (
            '{ path(from: "component:b", to: "component:c", maxDepth: 11) { type } }',
            "`maxDepth` is 11; 1 to 10 steps are followed.",
        ),
        (
            '{ path(from: "component:b", to: "component:c", maxDepth: 0) { type } }',
            "`maxDepth` is 0; 1 to 10 steps are followed.",
        ),
    ],
)
async def test_a_way_that_cannot_be_meant_is_refused(graph: Graph, query: str, message: str) -> None:
    assert await graph.refuse(query) == ("BAD_USER_INPUT", message)
