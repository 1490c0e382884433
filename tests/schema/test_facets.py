"""Counts by value: exact, under a filter, with those that have no value."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ingesting import Catalog
from tests.schema.graph import Graph

pytestmark = pytest.mark.anyio

QUERY = """query($filter: EntityFilter, $of: [FacetInput!]!) {
    facets(filter: $filter, of: $of) { field key values { value count } }
}"""


async def facets(graph: Graph, *of: dict[str, Any], **variables: Any) -> list[list[tuple[str | None, int]]]:
    """The values and counts of each facet; all of them in one statement."""
    data = await graph.ask(QUERY, of=list(of), **variables, statements=1)
    assert [(facet["field"], facet["key"]) for facet in data["facets"]] == [
        (asked["field"], asked.get("key")) for asked in of
    ]
    return [[(one["value"], one["count"]) for one in facet["values"]] for facet in data["facets"]]


async def test_all_facets_come_in_one_round_trip_the_most_frequent_values_first(company: Graph) -> None:
    found = await facets(
        company,
        *({"field": field} for field in ("KIND", "NAMESPACE", "TYPE", "LIFECYCLE", "OWNER", "SYSTEM", "TAG")),
        {"field": "LABEL", "key": "tier"},
    )
    assert found == [
        [
            ("Component", 5),
            ("Group", 4),
            ("API", 2),
            ("Domain", 2),
            ("Resource", 2),
            ("User", 2),
            ("Location", 1),
            ("Rota", 1),
            ("System", 1),
            ("Template", 1),
        ],
        [("default", 20), ("ops", 1)],
        [
            (None, 7),
            ("service", 4),
            ("squad", 2),
            ("tribe", 2),
            ("bucket", 1),
            ("database", 1),
            ("grpc", 1),
            ("openapi", 1),
            ("url", 1),
            ("website", 1),
        ],
        [(None, 15), ("production", 4), ("deprecated", 1), ("experimental", 1)],
        [
            (None, 8),
            ("group:default/players", 5),
            ("group:default/search", 3),
            ("group:default/music", 2),
            ("component:default/index", 1),
            ("group:default/nobody", 1),
            ("user:default/bob", 1),
        ],
        [(None, 17), ("system:default/playback", 4)],
        [("go", 2), ("audio", 1), ("web", 1)],
        [(None, 20), ("1", 1)],
    ]


async def test_facets_count_what_the_filter_leaves(company: Graph) -> None:
    found = await facets(
        company,
        {"field": "OWNER"},
        {"field": "LIFECYCLE"},
        {"field": "LABEL", "key": "runtime"},
        filter={"kind": {"eq": "component"}, "type": {"eq": "service"}},
    )
    assert found == [
        [("group:default/nobody", 1), ("group:default/players", 1), ("group:default/search", 1)],
        [("production", 2), ("deprecated", 1)],
        [(None, 2), ("go", 1)],
    ]


async def test_nothing_that_matches_leaves_no_values(company: Graph) -> None:
    found = await facets(company, {"field": "KIND"}, {"field": "TAG"}, filter={"name": {"in": []}})
    assert found == [[], []]


async def test_a_facet_gives_its_first_values_only(company: Graph) -> None:
    found = await facets(
        company, {"field": "KIND", "first": 1}, {"field": "KIND", "first": 3}, {"field": "TAG", "first": 100}
    )
    assert found == [
        [("Component", 5)],
        [("Component", 5), ("Group", 4), ("API", 2)],
        [("go", 2), ("audio", 1), ("web", 1)],
    ]


async def test_a_tag_that_stands_twice_counts_once(company: Graph) -> None:
    await Catalog(company.engine).rows("UPDATE entity SET tags = '{go,go,go}' WHERE sort_name = 'orphan'")
    assert await facets(company, {"field": "TAG", "first": 1}) == [[("go", 3)]]


async def test_two_labels_are_two_facets(company: Graph) -> None:
    found = await facets(
        company,
        {"field": "LABEL", "key": "tier"},
        {"field": "LABEL", "key": "runtime"},
        {"field": "LABEL", "key": "no/such"},
        filter={"name": {"eq": "player"}},
    )
    assert found == [[("1", 1)], [("go", 1)], [(None, 1)]]


async def test_facets_count_what_closures_and_texts_match(company: Graph) -> None:
    assert await facets(company, {"field": "KIND"}, filter={"text": "player", "inTreeOf": "music"}) == [
        [("Component", 2)]
    ]


@pytest.mark.parametrize(
    ("of", "message"),
    [
        ([], "`of` has 0 facets; 1 to 10 are counted."),
        ([{"field": "KIND"}] * 11, "`of` has 11 items; at most 10 are read."),
        ([{"field": "KIND", "first": 0}], "`of.first` is 0; 1 to 100 values are given."),
        ([{"field": "KIND", "first": 101}], "`of.first` is 101; 1 to 100 values are given."),
        ([{"field": "LABEL"}], "`of.key` says which label: LABEL needs it, and no other field takes it."),
        ([{"field": "TAG", "key": "x"}], "`of.key` says which label: LABEL needs it, and no other field takes it."),
    ],
)
async def test_facets_that_cannot_be_meant_are_refused(graph: Graph, of: list[dict[str, Any]], message: str) -> None:
    assert await graph.refuse(QUERY, of=of) == ("BAD_USER_INPUT", message)
