"""Filters: each operator, and how they are combined."""

from __future__ import annotations

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
    assert {key: value["totalCount"] for key, value in data.items()} == {"all": 2, "rule": 2, "other": 0, "none": 0}
