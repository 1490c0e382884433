"""Pages: every order, every direction, every boundary; and the cursors that hold them together."""

from __future__ import annotations

import base64
import json
from itertools import pairwise, product
from typing import Any

import pytest

from tests.ingesting import Catalog, Tree
from tests.schema.graph import Graph

pytestmark = pytest.mark.anyio

FORWARD = """query($order: [EntityOrder!], $size: Int!, $at: String) {
    page: components(orderBy: $order, first: $size, after: $at) {
        edges { cursor node { name type } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""
BACKWARD = FORWARD.replace("first: $size, after: $at", "last: $size, before: $at")


@pytest.fixture
async def components(graph: Graph, tmp_path: Any) -> Graph:
    """Seven components: three types, two of one name in different namespaces, two titles; lifecycles are optional here."""
    documents = [
        f"apiVersion: backstage.io/v1alpha1\nkind: Component\n"
        f"metadata: {{name: {name}, namespace: {namespace}}}\n"
        f"spec: {{type: {type_}, lifecycle: {lifecycle}, owner: user:default/ann}}\n"
        for name, namespace, type_, lifecycle in [
            ("a", "x", "service", "one"),
            ("a", "y", "website", "two"),
            ("B", "x", "service", "two"),
            ("c", "x", "library", "one"),
            ("d", "x", "service", "one"),
            ("e", "x", "website", "two"),
            ("f", "x", "library", "two"),
        ]
    ]
    tree = Tree(tmp_path)
    tree.write("components.yaml", *documents)
    catalog = Catalog(graph.engine)
    await catalog.ingest(tmp_path)
    await catalog.rows("UPDATE entity SET type = NULL WHERE name IN ('B', 'e')")
    return graph


async def walk(graph: Graph, query: str, order: list[Any], size: int) -> list[list[tuple[str, str | None]]]:
    """All pages, from the first to the last that the direction comes to."""
    pages: list[list[tuple[str, str | None]]] = []
    backward, at, more = query is BACKWARD, None, True
    while more:
        page = (await graph.ask(query, order=order, size=size, at=at, statements=1))["page"]
        info, edges = page["pageInfo"], page["edges"]
        assert info["startCursor"] == edges[0]["cursor"]
        assert info["endCursor"] == edges[-1]["cursor"]
        assert info["hasNextPage" if backward else "hasPreviousPage"] is (at is not None)
        at, more = (
            (info["startCursor"], info["hasPreviousPage"]) if backward else (info["endCursor"], info["hasNextPage"])
        )
        pages.append([(edge["node"]["name"], edge["node"]["type"]) for edge in edges])
    return pages


def in_order(first: Any, *, descending: bool, nulls_first: bool) -> list[tuple[str, str | None]]:
    rows = [
        ("a", "service"),
        ("a", "website"),
        ("B", None),
        ("c", "library"),
        ("d", "service"),
        ("e", None),
        ("f", "library"),
    ]
    present = sorted(
        (row for row in rows if first(row) is not None),
        key=lambda row: (first(row), row[0].lower()),
        reverse=descending,
    )
    absent = sorted((row for row in rows if first(row) is None), key=lambda row: row[0].lower(), reverse=descending)
    return absent + present if nulls_first else present + absent


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize(("direction", "nulls"), list(product(["ASC", "DESC"], ["FIRST", "LAST"])))
async def test_pages_of_a_nullable_order_meet_in_both_directions(
    components: Graph, size: int, direction: str, nulls: str
) -> None:
    order = [{"field": "TYPE", "direction": direction, "nulls": nulls}]
    expected = in_order(lambda row: row[1], descending=direction == "DESC", nulls_first=nulls == "FIRST")
    forward = await walk(components, FORWARD, order, size)
    backward = await walk(components, BACKWARD, order, size)
    assert [item for page in forward for item in page] == expected
    assert [item for page in reversed(backward) for item in page] == expected
    assert {len(page) for page in forward[:-1]} <= {size}


async def test_without_an_order_pages_go_by_name_in_any_case(components: Graph) -> None:
    pages = await walk(components, FORWARD, [], 2)
    assert [name for page in pages for name, _ in page] == ["a", "a", "B", "c", "d", "e", "f"]


async def test_keys_may_go_in_different_directions(components: Graph) -> None:
    order = [
        {"field": "LIFECYCLE", "direction": "DESC"},
        {"field": "NAME"},
        {"field": "NAMESPACE", "direction": "DESC"},
    ]
    pages = await walk(components, FORWARD, order, 2)
    assert [name for page in pages for name, _ in page] == ["a", "B", "e", "f", "a", "c", "d"]
    backward = await walk(components, BACKWARD, order, 3)
    assert [name for page in reversed(backward) for name, _ in page] == ["a", "B", "e", "f", "a", "c", "d"]


async def test_a_page_after_the_last_one_is_empty(components: Graph) -> None:
    end = (await components.ask(FORWARD, size=100))["page"]["pageInfo"]["endCursor"]
    page = (await components.ask(FORWARD, size=1, at=end))["page"]
    assert page == {
        "edges": [],
        "pageInfo": {"hasNextPage": False, "hasPreviousPage": True, "startCursor": None, "endCursor": None},
    }


async def test_a_row_that_is_gone_still_marks_its_place(components: Graph) -> None:
    at = (await components.ask(FORWARD, size=4))["page"]["pageInfo"]["endCursor"]
    await Catalog(components.engine).rows("DELETE FROM entity WHERE name = 'c'")
    page = (await components.ask(FORWARD, size=2, at=at))["page"]
    assert [edge["node"]["name"] for edge in page["edges"]] == ["d", "e"]


async def test_pages_inside_pages_have_cursors_of_their_own(components: Graph) -> None:
    query = """query($at: String) { sources { nodes { name } } user(ref: "ann") { name }
        entities(first: 2) { nodes { name relations(first: 1, after: $at) { edges { cursor node { type } } } } } }"""
    first = (await components.ask(query))["entities"]["nodes"]
    at = first[0]["relations"]["edges"][0]["cursor"]
    assert [node["relations"]["edges"][0]["node"]["type"] for node in first] == ["ownedBy", "ownedBy"]
    assert [node["relations"]["edges"] for node in (await components.ask(query, at=at))["entities"]["nodes"]] == [
        [],
        [],
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("first: 0", "`first` is 0; a page has 1 to 100."),
        ("first: 101", "`first` is 101; a page has 1 to 100."),
        ("last: -1", "`last` is -1; a page has 1 to 100."),
        ("first: 1, last: 1", "A page is asked for with `first` and `after`, or with `last` and `before`, not with both."),
        ('before: "x"', "`before` needs `last`: how many to give before the cursor."),
        ('after: "x"', "'x' is not a cursor. A cursor comes from `edges` or `pageInfo`."),
        ('after: "WyJ4Il0"', "This cursor was made by another field, or with another filter or order."),
    ],
)  # fmt: skip
async def test_pages_that_cannot_be_are_refused(graph: Graph, arguments: str, message: str) -> None:
    assert await graph.refuse(f"{{ entities({arguments}) {{ nodes {{ name }} }} }}") == ("BAD_USER_INPUT", message)


async def test_a_cursor_is_bound_to_its_field_filter_and_order(components: Graph) -> None:
    at = (await components.ask(FORWARD, size=1))["page"]["pageInfo"]["endCursor"]
    foreign = "This cursor was made by another field, or with another filter or order."
    for field in (
        "apis",
        "entities",
        'components(filter: {name: {prefix: "a"}})',
        "components(orderBy: [{field: TITLE}])",
    ):
        name, _, rest = field.partition("(")
        arguments = f"{rest[:-1]}, " if rest else ""
        refused = await components.refuse(f'{{ {name}({arguments}after: "{at}") {{ nodes {{ name }} }} }}')
        assert refused == ("BAD_USER_INPUT", foreign)


async def test_a_tampered_cursor_is_refused_not_run(components: Graph) -> None:
    at = (await components.ask(FORWARD, size=1))["page"]["pageInfo"]["endCursor"]
    for cut, end in pairwise(range(0, len(at), 7)):
        broken = at[:cut] + at[end:]
        code, _ = await components.refuse("query($at: String) { components(after: $at) { nodes { name } } }", at=broken)
        assert code == "BAD_USER_INPUT"


def forged(cursor: str, position: int, value: object) -> str:
    """The cursor with one of its values replaced."""
    values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    values[position] = value
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "value", [7, True, 1e308, ["a"], None, {"at": "2024-01-01T00:00:00+00:00"}, {"at": "x"}, {}, "a\0"]
)
async def test_a_forged_text_in_a_cursor_is_refused(components: Graph, value: object) -> None:
    at = (await components.ask(FORWARD, size=1))["page"]["pageInfo"]["endCursor"]
    code, _ = await components.refuse(FORWARD, size=1, at=forged(at, 1, value))
    assert code == "BAD_USER_INPUT"


@pytest.mark.parametrize("value", ["7", 2**63, -(2**70), 1.5, True, None, [1]])
async def test_a_forged_number_in_a_cursor_is_refused(components: Graph, value: object) -> None:
    at = (await components.ask(FORWARD, size=1))["page"]["pageInfo"]["endCursor"]
    code, _ = await components.refuse(FORWARD, size=1, at=forged(at, 2, value))
    assert code == "BAD_USER_INPUT"


@pytest.mark.parametrize("value", ["2024-01-01T00:00:00Z", {"at": "0001-01-01T00:00:00+14:00"}, {"at": 5}, 0, None])
async def test_a_forged_instant_in_a_cursor_is_refused(components: Graph, value: object) -> None:
    order = [{"field": "UPDATED_AT"}]
    at = (await components.ask(FORWARD, order=order, size=1))["page"]["pageInfo"]["endCursor"]
    code, _ = await components.refuse(FORWARD, order=order, size=1, at=forged(at, 1, value))
    assert code == "BAD_USER_INPUT"


async def test_a_list_with_very_long_keys_can_be_paged(components: Graph) -> None:
    await Catalog(components.engine).rows("UPDATE entity SET title = repeat('t', 9000) || name")
    pages = await walk(components, FORWARD, [{"field": "TITLE"}], 3)
    assert [len(page) for page in pages] == [3, 3, 1]


async def test_an_order_that_names_a_field_twice_is_refused(graph: Graph) -> None:
    query = "{ components(orderBy: [{field: NAME}, {field: NAME, direction: DESC}]) { nodes { name } } }"
    assert await graph.refuse(query) == ("BAD_USER_INPUT", "`orderBy` names a field twice.")


async def test_a_total_costs_one_statement_and_only_when_asked(components: Graph) -> None:
    await components.ask("{ components { totalCount } }", statements=1)
    await components.ask("{ components { nodes { name } edges { cursor } pageInfo { endCursor } } }", statements=1)
    data = await components.ask("{ components(first: 1) { totalCount nodes { name } } }", statements=1)
    assert data["components"]["totalCount"] == 7
