"""Filters: each operator, and how they are combined."""

from __future__ import annotations

import base64
import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from schema.errors import VariablesRefused
from tests.ingesting import Catalog, Tree
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
    with pytest.raises(VariablesRefused, match="a DateTime is an RFC 3339 text such as 2026-11-22T10:00:00Z, not '"):
        await graph.errors(INSTANT, at=instant)


@pytest.mark.parametrize(
    "instant", ["2024-01-01t00:00:00z", "2024-01-01T00:00:00.123456789+05:30", "0001-01-01T00:00:00Z"]
)
async def test_instants_of_rfc_3339_are_read(company: Graph, instant: str) -> None:
    assert (await company.ask(INSTANT, at=instant))["components"]["totalCount"] == len(ALL)


# What `spec` is, of one thing each.
VALUES = {
    "absent": "{}",
    "nil": "{v: null}",
    "one": "{v: 1}",
    "ten": "{v: 10}",
    "half": "{v: 0.5}",
    "tenth": "{v: 0.1}",
    "vast": "{v: 1.0e+300}",
    "text-10": '{v: "10"}',
    "gold": "{v: gold}",
    "empty": '{v: ""}',
    "yes": "{v: true}",
    "no": "{v: false}",
    "texts": "{v: [gold, silver]}",
    "mixed": "{v: [2, two, false, null, [9, nine], {gold: gold}]}",
    "nothing": "{v: []}",
    "mapping": '{v: {gold: 1, "01": first, "-1": last, a/b: {m~n: deep}, "": blank}}',
}
THINGS = set(VALUES)


@pytest.fixture
async def things(graph: Graph, tmp_path: Path) -> Graph:
    """One entity for each of VALUES, in this order of age; some have labels and annotations."""
    marks = {
        "one": 'labels: {tier: gold, a.b/c: ""}, annotations: {tier: "1"}',
        "ten": "labels: {tier: silver}",
        "half": "labels: {Tier: gold}",
        "gold": "annotations: {tier: gold, note: gold}",
    }
    tree = Tree(tmp_path)
    tree.write(
        "things.yaml",
        *(
            f"apiVersion: example.com/v1\nkind: Thing\nmetadata: {{name: {name}, {marks.get(name, '')}}}\nspec: {spec}\n"
            for name, spec in VALUES.items()
        ),
    )
    await Catalog(graph.engine).ingest(tmp_path)
    return graph


async def assert_matches(graph: Graph, asked: str, expected: set[str]) -> None:
    """The filter leaves exactly these things, and `not` all others; each costs one statement."""
    query = "{ found: entities(filter: %s, first: 100) { totalCount nodes { name } } }"
    for one, names in ((asked, expected), (f"{{not: {asked}}}", THINGS - expected)):
        found = (await graph.ask(query % one, statements=1))["found"]
        assert {node["name"] for node in found["nodes"]} == names, one
        assert found["totalCount"] == len(names)


LABELS: tuple[tuple[str, set[str]], ...] = (
    ("", {"one", "ten"}),
    ("value: null", {"one", "ten"}),
    ("value: {}", {"one", "ten"}),
    ("value: {exists: true}", {"one", "ten"}),
    ("value: {exists: false}", THINGS - {"one", "ten"}),
    ('value: {eq: "gold"}', {"one"}),
    ('value: {eq: "Gold"}', set()),
    ('value: {ne: "gold"}', THINGS - {"one"}),
    ('value: {in: ["silver", "bronze"]}', {"ten"}),
    ("value: {in: []}", set()),
    ('value: {notIn: ["silver", "bronze"]}', THINGS - {"ten"}),
    ("value: {notIn: []}", THINGS),
    ('value: {prefix: "s"}', {"ten"}),
    ('value: {prefix: ""}', {"one", "ten"}),
    ('value: {contains: "l"}', {"one", "ten"}),
    ('value: {ne: "gold", exists: true}', {"ten"}),
    ('value: {ne: "gold", notIn: ["silver"]}', THINGS - {"one", "ten"}),
)


async def test_a_label_is_tested_by_its_key(things: Graph) -> None:
    for asked, expected in LABELS:
        await assert_matches(things, f'{{label: {{key: "tier", {asked}}}}}', expected)


async def test_a_label_and_an_annotation_of_one_key_are_not_confused(things: Graph) -> None:
    await assert_matches(things, '{annotation: {key: "tier"}}', {"one", "gold"})
    await assert_matches(things, '{annotation: {key: "tier", value: {eq: "gold"}}}', {"gold"})
    await assert_matches(things, '{annotation: {key: "note", value: {eq: "1"}}}', set())
    await assert_matches(things, '{label: {key: "a.b/c"}}', {"one"})
    await assert_matches(things, '{label: {key: "a.b/c", value: {eq: ""}}}', {"one"})
    await assert_matches(things, '{label: {key: "tier"}, annotation: {key: "tier"}}', {"one"})
    await assert_matches(things, '{allOf: [{label: {key: "tier"}}, {label: {key: "a.b/c"}}]}', {"one"})
    await assert_matches(things, '{label: {key: "gold"}}', set())


NUMBERS = {"one", "ten", "half", "tenth", "vast", "mixed"}
TEXTS = {"text-10", "gold", "empty", "texts", "mixed"}


VALUES_AT_A_PATH: tuple[tuple[str, set[str]], ...] = (
    ("", THINGS - {"absent", "nil"}),
    ("text: null", THINGS - {"absent", "nil"}),
    ("text: {}, number: {}", THINGS - {"absent", "nil"}),
    ('text: {eq: "gold"}', {"gold", "texts"}),
    ('text: {eq: "10"}', {"text-10"}),
    ('text: {eq: ""}', {"empty"}),
    ('text: {eq: "nine"}', set()),
    ('text: {ne: "gold"}', THINGS - {"gold", "texts"}),
    ('text: {in: ["silver", "two"]}', {"texts", "mixed"}),
    ('text: {in: ["silver", "gold"]}', {"texts", "gold"}),
    ("text: {in: []}", set()),
    ('text: {notIn: ["silver", "two"]}', THINGS - {"texts", "mixed"}),
    ('text: {prefix: "s"}', {"texts"}),
    ('text: {prefix: ""}', TEXTS),
    ('text: {prefix: "1"}', {"text-10"}),
    ('text: {contains: "o"}', {"gold", "texts", "mixed"}),
    ('text: {contains: "true"}', set()),
    ("text: {exists: true}", TEXTS),
    ("text: {exists: false}", THINGS - TEXTS),
    ("number: {eq: 10}", {"ten"}),
    ("number: {eq: 0.1}", {"tenth"}),
    ("number: {eq: 1e300}", {"vast"}),
    ("number: {eq: 2}", {"mixed"}),
    ("number: {eq: 9}", set()),
    ("number: {ne: 10}", THINGS - {"ten"}),
    ("number: {gt: 1}", {"ten", "vast", "mixed"}),
    ("number: {gte: 1}", {"one", "ten", "vast", "mixed"}),
    ("number: {lt: 0.5}", {"tenth"}),
    ("number: {lte: 0.5}", {"tenth", "half"}),
    ("number: {gt: 1, lt: 10}", {"mixed"}),
    ("number: {gt: 0.09999999999999999, lt: 0.10000000000000002}", {"tenth"}),
    ("number: {gte: -1e308, ne: 2}", NUMBERS - {"mixed"}),
    ("number: {exists: true}", NUMBERS),
    ("number: {exists: false}", THINGS - NUMBERS),
    ("boolean: true", {"yes"}),
    ("boolean: false", {"no", "mixed"}),
    ('boolean: false, text: {eq: "two"}, number: {eq: 2}', {"mixed"}),
    ("text: {exists: true}, number: {exists: false}", TEXTS - {"mixed"}),
)


async def test_a_value_at_a_path_is_tested_by_its_type(things: Graph) -> None:
    for asked, expected in VALUES_AT_A_PATH:
        await assert_matches(things, f'{{path: {{path: "/spec/v", {asked}}}}}', expected)


POINTERS: tuple[tuple[str, set[str]], ...] = (
    ("/spec", THINGS),
    ("/metadata/name", THINGS),
    ("/metadata/labels/tier", {"one", "ten"}),
    ("/metadata/labels/a.b~1c", {"one"}),
    ("/spec/v/gold", {"mapping"}),
    ("/spec/v/0", {"texts", "mixed"}),
    ("/spec/v/1", {"texts", "mixed"}),
    ("/spec/v/2", {"mixed"}),
    ("/spec/v/3", set()),
    ("/spec/v/4/1", {"mixed"}),
    ("/spec/v/5/gold", {"mixed"}),
    ("/spec/v/00", set()),
    ("/spec/v/01", {"mapping"}),
    ("/spec/v/-1", {"mapping"}),
    ("/spec/v/+1", set()),
    ("/spec/v/ 1", set()),
    ("/spec/v/-", set()),
    ("/spec/v/99999999999999999999", set()),
    ("/spec/v/a~1b/m~0n", {"mapping"}),
    ("/spec/v/", {"mapping"}),
    ("/spec/v/{gold}", set()),
    ("/spec/V", set()),
    ("/spec/v'; DROP TABLE entity; --", set()),
)


async def test_a_pointer_leads_where_rfc_6901_says(things: Graph) -> None:
    for pointer, expected in POINTERS:
        await assert_matches(things, f'{{path: {{path: "{pointer}"}}}}', expected)


@pytest.mark.parametrize(
    ("pointer", "message"),
    [
        ("", "'' leads nowhere: a path starts with /spec or /metadata"),
        ("/", "'/' leads nowhere: a path starts with /spec or /metadata"),
        ("spec/tier", "'spec/tier' leads nowhere: a path starts with /spec or /metadata"),
        ("/status/tier", "'/status/tier' leads nowhere: a path starts with /spec or /metadata"),
        ("/spec/~2", "'/spec/~2' has a lone ~: in a path ~ is written ~0, and / in a key ~1"),
        ("/spec" + "/a" * 21, f"'/spec{'/a' * 21}' has 21 steps below /spec; at most 20 are taken"),
    ],
)
async def test_a_path_that_leads_nowhere_is_refused(graph: Graph, pointer: str, message: str) -> None:
    query = "query($p: String!) { entities(filter: {not: {path: {path: $p}}}) { totalCount } }"
    assert await graph.refuse(query, p=pointer) == ("BAD_USER_INPUT", f"`filter.not.path.path`: {message}")
    query = "query($p: String!) { entities(orderBy: [{field: PATH, path: $p}]) { nodes { name } } }"
    assert await graph.refuse(query, p=pointer) == ("BAD_USER_INPUT", f"`orderBy.path`: {message}")


async def test_a_number_beyond_all_doubles_is_refused(graph: Graph) -> None:
    query = '{ entities(filter: {path: {path: "/spec/v", number: {gt: 1e999}}}) { totalCount } }'
    assert await graph.refuse(query) == (
        "BAD_USER_INPUT",
        "`filter.path.number.gt` is beyond the numbers that a Float can hold.",
    )


async def test_a_filter_of_a_path_works_under_each_parent(company: Graph) -> None:
    data = await company.ask(
        """{ groups { nodes { name ownedEntities(
            filter: {path: {path: "/spec/system", text: {eq: "playback"}}, label: {key: "tier"}}
            orderBy: [{field: PATH, path: "/spec/lifecycle"}]
        ) { nodes { name } } } } }""",
        statements=2,
    )
    assert {
        group["name"]: [node["name"] for node in group["ownedEntities"]["nodes"]] for group in data["groups"]["nodes"]
    } == {
        "claimant": [],
        "music": [],
        "players": ["Player"],
        "search": [],
    }


PAGE = """query($order: [EntityOrder!], $first: Int, $after: String, $last: Int, $before: String) {
    page: entities(orderBy: $order, first: $first, after: $after, last: $last, before: $before) {
        nodes { name } pageInfo { startCursor endCursor hasNextPage hasPreviousPage } } }"""


async def all_pages(graph: Graph, order: list[Any], size: int, *, backward: bool) -> list[str]:
    """The names of all pages, in the order of the list; each page costs one statement."""
    names: list[str] = []
    at, more = None, True
    while more:
        asked = {"last": size, "before": at} if backward else {"first": size, "after": at}
        page = (await graph.ask(PAGE, order=order, statements=1, **asked))["page"]
        page_names, info = [node["name"] for node in page["nodes"]], page["pageInfo"]
        names = page_names + names if backward else names + page_names
        at, more = (
            (info["startCursor"], info["hasPreviousPage"]) if backward else (info["endCursor"], info["hasNextPage"])
        )
    return names


AT_V = {"field": "PATH", "path": "/spec/v"}
PRESENT = ["tenth", "half", "one", "ten", "vast", "empty", "text-10", "no", "gold", "yes"]
ABSENT = ["absent", "mapping", "mixed", "nil", "nothing", "texts"]


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ({}, PRESENT + ABSENT),
        ({"nulls": "FIRST"}, ABSENT + PRESENT),
        ({"direction": "DESC"}, PRESENT[::-1] + ABSENT[::-1]),
        ({"direction": "DESC", "nulls": "FIRST"}, ABSENT[::-1] + PRESENT[::-1]),
    ],
)
async def test_a_path_orders_numbers_before_texts_and_pages_meet_at_every_boundary(
    things: Graph, order: dict[str, str], expected: list[str], *, backward: bool
) -> None:
    for size in (1, 3, 10, 16):
        assert await all_pages(things, [{**AT_V, **order}], size, backward=backward) == expected


async def test_several_keys_keep_their_own_directions_and_places_of_absent_values(graph: Graph, tmp_path: Path) -> None:
    rows = [
        # name, tier, score
        ("a", "gold", "1"),
        ("b", "gold", "2"),
        ("c", "gold", "null"),
        ("d", "null", "1"),
        ("e", "null", "null"),
        ("f", "iron", "-1"),
        ("g", "iron", "10"),
        ("h", "iron", "null"),
    ]
    Tree(tmp_path).write(
        "rows.yaml",
        *(
            f"apiVersion: example.com/v1\nkind: Thing\nmetadata: {{name: {name}}}\nspec: {{tier: {tier}, score: {score}}}\n"
            for name, tier, score in rows
        ),
    )
    await Catalog(graph.engine).ingest(tmp_path)
    tier, score = {"field": "PATH", "path": "/spec/tier"}, {"field": "PATH", "path": "/spec/score"}
    for order, expected in (
        ([tier, score], "abcfghde"),
        ([tier, {**score, "direction": "DESC"}], "bacgfhde"),
        ([{**tier, "nulls": "FIRST"}, {**score, "nulls": "FIRST"}], "edcabhfg"),
        ([{**tier, "direction": "DESC"}, {**score, "nulls": "FIRST"}], "hfgcabed"),
        ([{"field": "OWNER"}, {**score, "direction": "DESC"}, {**tier, "nulls": "FIRST"}], "gbdafech"),
    ):
        for size in range(1, 9):
            for backward in (False, True):
                assert "".join(await all_pages(graph, order, size, backward=backward)) == expected, (order, size)


async def test_an_order_by_owner_takes_the_ref_as_declared(company: Graph) -> None:
    query = "{ components(orderBy: [{field: OWNER, direction: %s, nulls: %s}]) { nodes { name ownerRef } } }"
    ascending = (await company.ask(query % ("ASC", "LAST"), statements=1))["components"]["nodes"]
    assert [node["name"] for node in ascending] == ["orphan", "Player", "index", "player-skin"]
    assert ascending[0]["ownerRef"] == "group:default/nobody"
    descending = (await company.ask(query % ("DESC", "FIRST")))["components"]["nodes"]
    assert descending == ascending[::-1]
    everything = "{ entities(orderBy: [{field: OWNER, direction: %s, nulls: %s}], first: 100) { nodes { ownerRef } } }"
    for direction, nulls in product(("ASC", "DESC"), ("FIRST", "LAST")):
        nodes = (await company.ask(everything % (direction, nulls)))["entities"]["nodes"]
        owners = [node["ownerRef"] for node in nodes]
        present = sorted(filter(None, owners), reverse=direction == "DESC")
        absent = [None] * owners.count(None)
        assert owners == (absent + present if nulls == "FIRST" else present + absent)


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ("{field: PATH}", "`orderBy`: PATH needs a `path`, and no other field has one."),
        ('{field: NAME, path: "/spec/tier"}', "`orderBy`: PATH needs a `path`, and no other field has one."),
        ("{field: OWNER}, {field: OWNER}", "`orderBy` names a field twice."),
        ('{field: PATH, path: "/spec/a"}, {field: PATH, path: "/spec/a"}', "`orderBy` names a field twice."),
    ],
)
async def test_an_order_that_makes_no_sense_is_refused(graph: Graph, order: str, message: str) -> None:
    query = f"{{ entities(orderBy: [{order}]) {{ nodes {{ name }} }} }}"
    assert await graph.refuse(query) == ("BAD_USER_INPUT", message)


async def test_a_cursor_of_one_path_is_refused_by_another(things: Graph) -> None:
    query = "query($o: [EntityOrder!], $at: String) { entities(orderBy: $o, first: 1, after: $at) { pageInfo { endCursor } } }"
    at = (await things.ask(query, o=[AT_V]))["entities"]["pageInfo"]["endCursor"]
    assert await things.refuse(query, o=[{**AT_V, "path": "/spec/w"}], at=at) == (
        "BAD_USER_INPUT",
        "This cursor was made by another field, or with another filter or order.",
    )


@pytest.mark.parametrize(
    "number", ["NaN", "-Infinity", "1e9999", "1_0", " 1", "٣", "1" * 401, 7, None, ["1"], "Infinity", "-1E+308", "0.10"]
)
async def test_a_forged_number_in_a_cursor_never_reaches_sql_unless_a_document_could_hold_it(
    things: Graph, number: object
) -> None:
    at = (await things.ask(PAGE, order=[AT_V], first=1))["page"]["pageInfo"]["endCursor"]
    values = json.loads(base64.urlsafe_b64decode(at + "=" * (-len(at) % 4)))
    values[1] = {"number": number}
    forged = base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")
    if number in ("Infinity", "-1E+308", "0.10"):
        await things.ask(PAGE, order=[AT_V], first=1, after=forged)
    else:
        code, message = await things.refuse(PAGE, order=[AT_V], first=1, after=forged)
        assert (code, message.partition("'")[2][:5]) == ("BAD_USER_INPUT", forged[:5])


async def test_the_log_of_changes_is_filtered_as_entities_are(things: Graph) -> None:
    query = "{ changes(filter: %s, first: 100) { nodes { entityRef } } }"
    tests = [
        *(f'{{label: {{key: "tier", {asked}}}}}' for asked, _ in LABELS),
        *(f'{{path: {{path: "/spec/v", {asked}}}}}' for asked, _ in VALUES_AT_A_PATH),
        *(f'{{path: {{path: "{pointer}"}}}}' for pointer, _ in POINTERS),
    ]
    expected = [names for _, names in (*LABELS, *VALUES_AT_A_PATH, *POINTERS)]
    for test, names in zip(tests, expected, strict=True):
        for one, left in ((test, names), (f"{{not: {test}}}", THINGS - names)):
            found = (await things.ask(query % one))["changes"]["nodes"]
            assert {node["entityRef"] for node in found} == {f"thing:default/{name}" for name in left}, one
