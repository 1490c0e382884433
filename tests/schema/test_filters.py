"""Filters: each operator, and how they are combined."""

from __future__ import annotations

from typing import Any

import pytest

from tests.schema.graph import Graph

pytestmark = pytest.mark.anyio

ALL = {"index", "orphan", "Player", "player-skin"}

# Of the components of company.yaml:  Player        player-skin   index       orphan
#   type                              service       website       service     service
#   lifecycle                         production    experimental  deprecated  production
#   tags                              audio, go     web           go          -
FILTERS = [
    ("{}", ALL),
    ("{name: null, tag: {}}", ALL),
    ('{name: {eq: "PLAYER"}}', {"Player"}),
    ('{name: {ne: "player"}}', ALL - {"Player"}),
    ('{name: {in: ["Index", "orphan", "x"]}}', {"index", "orphan"}),
    ("{name: {in: []}}", set()),
    ("{name: {notIn: []}}", ALL),
    ('{name: {notIn: ["index"]}}', ALL - {"index"}),
    ('{name: {prefix: "PLA"}}', {"Player", "player-skin"}),
    ('{name: {contains: "LAYER-"}}', {"player-skin"}),
    ('{name: {prefix: "p%"}}', set()),
    ('{name: {contains: "_"}}', set()),
    ('{name: {prefix: "pla", contains: "skin"}}', {"player-skin"}),
    ("{name: {exists: true}}", ALL),
    ("{name: {exists: false}}", set()),
    ('{title: {eq: "The player"}}', {"Player"}),
    ('{title: {eq: "the player"}}', set()),
    ('{kind: {eq: "component"}}', ALL),
    ('{kind: {ne: "COMPONENT"}}', set()),
    ('{namespace: {eq: "Default"}}', ALL),
    ('{type: {eq: "service"}}', ALL - {"player-skin"}),
    ('{lifecycle: {ne: "production"}}', {"player-skin", "index"}),
    ('{tag: {eq: "go"}}', {"Player", "index"}),
    ('{tag: {ne: "go"}}', {"player-skin", "orphan"}),
    ('{tag: {in: ["web", "audio"]}}', {"Player", "player-skin"}),
    ('{tag: {notIn: ["web", "audio"]}}', {"index", "orphan"}),
    ('{tag: {prefix: "a"}}', {"Player"}),
    ('{tag: {contains: "e"}}', {"player-skin"}),
    ("{tag: {exists: false}}", {"orphan"}),
    ("{tag: {exists: true}}", ALL - {"orphan"}),
    ('{ownedBy: "players"}', {"Player"}),
    ('{ownedBy: "user:BOB"}', {"player-skin"}),
    ('{ownedBy: "nobody"}', {"orphan"}),
    ('{ownedBy: "never-heard-of"}', set()),
    ('{not: {ownedBy: "never-heard-of"}}', ALL),
    ('{partOf: "playback"}', {"Player", "player-skin"}),
    ('{partOf: "component:player"}', {"player-skin"}),
    ('{not: {partOf: "playback"}}', {"index", "orphan"}),
    ('{ref: ["component:PLAYER", "component:default/orphan"]}', {"Player", "orphan"}),
    ("{hasProblem: true}", {"Player", "orphan"}),
    ("{hasProblem: false}", {"player-skin", "index"}),
    ('{createdAt: {after: "2020-01-01T00:00:00Z"}}', ALL),
    ('{updatedAt: {before: "2020-01-01T00:00:00+02:00"}}', set()),
    ('{type: {eq: "service"}, lifecycle: {eq: "production"}}', {"Player", "orphan"}),
    ('{anyOf: [{type: {eq: "website"}}, {tag: {eq: "audio"}}]}', {"Player", "player-skin"}),
    ("{anyOf: []}", set()),
    ("{allOf: []}", ALL),
    ('{allOf: [{tag: {eq: "go"}}, {not: {name: {eq: "index"}}}]}', {"Player"}),
    ('{not: {anyOf: [{tag: {eq: "go"}}, {type: {eq: "website"}}]}}', {"orphan"}),
    ('{not: {not: {tag: {eq: "go"}}}}', {"Player", "index"}),
]


@pytest.mark.parametrize(("asked", "expected"), FILTERS)
async def test_a_filter_matches_exactly(company: Graph, asked: str, expected: set[str]) -> None:
    query = "{ components(filter: %s) { totalCount nodes { name } } }"
    found = (await company.ask(query % asked))["components"]
    assert {node["name"] for node in found["nodes"]} == expected
    assert found["totalCount"] == len(expected)
    others = (await company.ask(query % f"{{not: {asked}}}"))["components"]
    assert {node["name"] for node in others["nodes"]} == ALL - expected


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("{type: {exists: false}}", {"foreign", "ann", "bob", "listening", "offline", "playback", "on-call"}),
        ('{type: {ne: "service"}, kind: {in: ["user", "component"]}}', {"ann", "bob", "player-skin", "foreign"}),
        ('{type: {notIn: ["service"]}, kind: {eq: "user"}}', {"ann", "bob"}),
        ('{type: {contains: ""}, kind: {eq: "user"}}', set()),
        ('{not: {type: {eq: "service"}}, kind: {eq: "user"}}', {"ann", "bob"}),
    ],
)
async def test_an_absent_value_fails_all_but_ne_not_in_and_exists(
    company: Graph, asked: str, expected: set[str]
) -> None:
    found = (await company.ask(f"{{ entities(filter: {asked}, first: 100) {{ nodes {{ name }} }} }}"))["entities"]
    assert {node["name"] for node in found["nodes"]} == expected


async def test_a_filter_of_an_edge_and_one_of_a_page_are_the_same(company: Graph) -> None:
    data = await company.ask(
        """query($f: EntityFilter) {
            group(ref: "players") { ownedEntities(filter: $f) { nodes { name } } }
            system(ref: "playback") { components(filter: $f) { nodes { name } } }
            domain(ref: "listening") { systems(filter: $f) { totalCount } }
            component(ref: "player") { dependencies(filter: $f) { nodes { name } } }
        }""",
        f={"anyOf": [{"tag": {"eq": "go"}}, {"kind": {"eq": "resource"}}]},
    )
    assert data == {
        "group": {"ownedEntities": {"nodes": [{"name": "Player"}, {"name": "tracks"}]}},
        "system": {"components": {"nodes": [{"name": "Player"}]}},
        "domain": {"systems": {"totalCount": 0}},
        "component": {"dependencies": {"nodes": [{"name": "index"}, {"name": "tracks"}]}},
    }


async def test_problems_are_filtered_by_area_rule_and_severity(company: Graph) -> None:
    data = await company.ask(
        """{
            all: problems { totalCount }
            rule: problems(filter: {rule: ["dangling-reference"], area: [CATALOG], severity: [WARNING]}) { totalCount }
            other: problems(filter: {area: [KPI, WORKLOAD]}) { totalCount }
            none: problems(filter: {severity: []}) { totalCount }
        }"""
    )
    assert {key: value["totalCount"] for key, value in data.items()} == {"all": 3, "rule": 2, "other": 0, "none": 0}


TOO_LARGE = ("BAD_USER_INPUT", "`filter` is too large: 200 tests, 10 levels deep, is the most.")


async def test_a_filter_that_would_cost_the_server_dearly_is_refused(graph: Graph) -> None:
    query = "query($f: EntityFilter) { entities(filter: $f) { totalCount } }"
    many = {"anyOf": [{"name": {"eq": f"x{n}"}} for n in range(200)]}
    assert await graph.refuse(query, f=many) == TOO_LARGE
    empty: dict[str, Any] = {"anyOf": [{"anyOf": [{}] * 50}] * 50}
    assert await graph.refuse(query, f=empty) == TOO_LARGE


@pytest.mark.parametrize(("depth", "refused"), [(10, False), (11, True)])
async def test_filters_go_ten_levels_deep(company: Graph, depth: int, *, refused: bool) -> None:
    query = "{ entities(filter: " + "{not: " * (depth - 1) + "{}" + "}" * (depth - 1) + ") { totalCount } }"
    if refused:
        assert await company.refuse(query) == TOO_LARGE
    else:
        assert (await company.ask(query))["entities"] == {"totalCount": 0}


async def test_many_tests_under_many_parents_cost_one_statement(company: Graph) -> None:
    many = {"anyOf": [{"name": {"eq": f"x{n}"}} for n in range(90)] + [{"name": {"eq": "player"}}]}
    query = "query($f: EntityFilter) { components { nodes { name dependents(filter: $f) { totalCount } } } }"
    nodes = (await company.ask(query, f=many, statements=2))["components"]["nodes"]
    found = {node["name"]: node["dependents"]["totalCount"] for node in nodes}
    assert found == {"Player": 0, "index": 1, "orphan": 0, "player-skin": 0}


async def test_an_empty_filter_and_none_make_the_same_cursor(company: Graph) -> None:
    query = """query($f: EntityFilter, $at: String) {
        components(filter: $f, first: 1, after: $at) { nodes { name } pageInfo { endCursor } } }"""
    at = (await company.ask(query, f=None))["components"]["pageInfo"]["endCursor"]
    assert (await company.ask(query, f={}, at=at))["components"]["nodes"] == [{"name": "orphan"}]


INSTANT = "query($at: DateTime) { components(filter: {createdAt: {after: $at}}) { totalCount } }"


@pytest.mark.parametrize(
    "instant",
    [
        *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2024-02-30T00:00:00Z", "2024-01-01"),
        *("2024-01-01T00:00:00", "2024-W01-1T00:00:00Z", "20240101T000000Z", "2024-01-01T00:00:00Z\n"),
    ],
)
async def test_an_instant_that_is_none_is_refused(graph: Graph, instant: str) -> None:
    (error,) = await graph.errors(INSTANT, at=instant)
    assert "a DateTime is an RFC 3339 text such as 2026-11-22T10:00:00Z, not '" in error["message"]


@pytest.mark.parametrize(
    "instant", ["2024-01-01t00:00:00z", "2024-01-01T00:00:00.123456789+05:30", "0001-01-01T00:00:00Z"]
)
async def test_instants_of_rfc_3339_are_read(company: Graph, instant: str) -> None:
    assert (await company.ask(INSTANT, at=instant))["components"]["totalCount"] == len(ALL)
