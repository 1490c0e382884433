"""Neighbourhoods as Mermaid text: what is drawn, and what no name can smuggle in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from db.rules.mermaid import MAX_LABEL, flowchart
from tests.ingesting import Catalog, Tree, component
from tests.schema.graph import Graph

pytestmark = pytest.mark.anyio


@pytest.fixture
async def circles(graph: Graph) -> Graph:
    """The graph of `circles.yaml`."""
    await Catalog(graph.engine).ingest(Path(__file__).parent / "circles.yaml")
    return graph


async def test_an_entity_is_drawn_with_its_neighbours_and_what_these_are_to_each_other(circles: Graph) -> None:
    data = await circles.ask('{ component(ref: "cart") { mermaid } }', statements=2)
    assert data["component"]["mermaid"].splitlines() == [
        "flowchart LR",
        '  n0["cart (Component)"]',
        '  n1["app (Component)"]',
        '  n2["pay (Component)"]',
        '  n3["ship (Component)"]',
        '  n4["resource#58;default/gone, missing"]',
        '  n5["ann (User)"]',
        '  n0 -->|"dependsOn"| n2',
        '  n0 -->|"dependsOn"| n4',
        '  n0 -->|"ownedBy"| n5',
        '  n1 -->|"dependsOn"| n0',
        '  n2 -->|"dependsOn"| n3',
        '  n3 -->|"dependsOn"| n0',
    ]


async def test_a_circle_is_drawn_once_however_deep(circles: Graph) -> None:
    shallow = await circles.ask('{ domain(ref: "east") { mermaid(depth: 2) } }', statements=2)
    deep = await circles.ask('{ domain(ref: "east") { mermaid(depth: 10) } }', statements=2)
    lines = deep["domain"]["mermaid"].splitlines()
    assert len(lines) == len(set(lines))
    assert sorted(shallow["domain"]["mermaid"].splitlines()[1:]) != sorted(lines[1:])
    labels = {line.partition("[")[2] for line in lines if "[" in line}
    assert labels == {
        f'"{label}"]'
        for label in (
            *("east (Domain)", "west (Domain)", "silk-road (System)", "ring-one (Group)", "ring-two (Group)"),
            *("cy (User)", "looking-glass (Component)"),
        )
    }
    assert sum("partOf" in line for line in lines) == 3
    assert sum("parentOf" in line for line in lines) == 2
    assert not [line for line in lines if re.search("hasPart|childOf|ownerOf|hasMember|dependencyOf", line)]


async def test_a_page_of_neighbourhoods_costs_one_statement_more(circles: Graph) -> None:
    data = await circles.ask(
        "{ entities(first: 100) { nodes { name shallow: mermaid deep: mermaid(depth: 3) } } }", statements=2
    )
    for node in data["entities"]["nodes"]:
        assert node["shallow"].splitlines()[1].startswith(f'  n0["{node["name"]} (')
        assert len(node["deep"]) >= len(node["shallow"])
    cart = next(node for node in data["entities"]["nodes"] if node["name"] == "cart")
    alone = await circles.ask('{ component(ref: "cart") { shallow: mermaid deep: mermaid(depth: 3) } }')
    assert alone["component"] == {"shallow": cart["shallow"], "deep": cart["deep"]}


async def test_what_does_not_fit_is_left_out_and_the_text_says_so(graph: Graph, tmp_path: Path) -> None:
    many = [component(f"user-{n:03}", dependsOn="[component:hub]") for n in range(250)]
    place = Tree(tmp_path).write("all.yaml", component("hub", owner="group:x"), *many)
    await Catalog(graph.engine).ingest(place.parent)
    for depth in (1, 3):
        data = await graph.ask('query($d: Int!) { component(ref: "hub") { mermaid(depth: $d) } }', d=depth)
        first, comment, *lines = data["component"]["mermaid"].splitlines()
        assert (first, comment) == ("flowchart LR", "  %% There is more than these 200 entities.")
        assert lines[0] == '  n0["hub (Component)"]'
        assert sum("[" in line for line in lines) == 200
        assert sum("dependsOn" in line for line in lines) == sum("user-" in line for line in lines)


async def test_a_depth_out_of_bounds_is_refused(circles: Graph) -> None:
    (error,) = await circles.errors('{ component(ref: "cart") { mermaid(depth: 11) } }')
    assert error["message"] == "`depth` is 11; 1 to 10 steps are followed."
    assert error["extensions"] == {"code": "BAD_USER_INPUT"}


@pytest.mark.parametrize(
    "title",
    [
        '"] --> n1\nclick n0 "javascript:alert(1)"',
        "%%{init: {'securityLevel': 'loose'}}%%",
        "<img src=x onerror=alert(1)>",
        "`**bold**`",
        "#quot;] click n0",
        "ﬂ°°60¶ßscript",
        "style n0 fill:#f00;",
        "---\nconfig:\n  securityLevel: loose\n---",
        "\u2028click n0 call x()",
        "a\\",
    ],
)
def test_a_title_cannot_be_syntax(title: str) -> None:
    lines = flowchart([(1, "component:default/x", title, "Component")], []).splitlines()
    assert len(lines) == 2
    assert re.fullmatch(r'  n0\["(?:[\w \-./,()…]|#[0-9]+;)*"\]', lines[1])
    assert "ﬂ°" not in lines[1]


def test_no_type_of_a_relation_can_be_syntax() -> None:
    nodes = [(1, "component:default/x", "X", "Component"), (2, "component:default/y", "Y", "Component")]
    assert flowchart(nodes, [(1, 'uses"| n9\nclick n0', 2)]).splitlines()[3:] == [
        '  n0 -->|"uses#34;#124; n9#10;click n0"| n1'
    ]


def test_letters_of_any_language_stand_as_they_are() -> None:
    lines = flowchart([(1, "component:default/x", "Straße 東京", "Component")], []).splitlines()
    assert lines[1] == '  n0["Straße 東京 (Component)"]'


def test_a_long_label_is_cut_before_it_is_escaped() -> None:
    lines = flowchart([(1, "component:default/x", '"' * 100, "Component")], []).splitlines()
    assert lines[1] == f'  n0["{"#34;" * (MAX_LABEL - 1)}…"]'
