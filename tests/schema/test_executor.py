"""Operations in which the executor once went wrong, against graphql-core, which asks object by object."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from schema.context import Context
from schema.ids import Sort, encode
from tests.callers import ANYBODY
from tests.schema.graph import Graph

COMPONENT, SOURCE = encode(Sort.ENTITY, "component:default/player"), encode(Sort.SOURCE, "company")

OPERATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "parts whose parents come up in another order than in the whole": (
        """{ entities(first: 100, filter: {kind: {in: ["component", "resource"]}}, orderBy: [{field: NAME, direction: DESC}]) {
            nodes { ref owner { ownedEntities(first: 1) { nodes { ref } } } ... on Component { subcomponentOf { name } } }
        } }""",
        {},
    ),
    "an edge below a part of some objects of a mixed list": (
        "query ($i: [ID!]!) { nodes(ids: $i) { ... on Component { origin { source { name } } } ... on Source { name } } }",
        {"i": [COMPONENT, SOURCE]},
    ),
    "a directive without a value on one type only": (
        """query ($a: Boolean = true) { entities(first: 100) { nodes {
            ref owner { ref ... on User { email @skip(if: $a) } }
        } } }""",
        {"a": None},
    ),
    "a list that rides, of which one type selects more": (
        """{ entity(ref: "component:player") { labels { key } ... on Component { labels { value } } } }""",
        {},
    ),
    "a page that rides, of which one type selects its rows": (
        """{ entity(ref: "component:player") { relations { totalCount } ... on Component { relations { nodes { type } } } } }""",
        {},
    ),
}


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_an_operation_answers_as_under_graphql_core(company: Graph, operation: str) -> None:
    query, variables = OPERATIONS[operation]
    with Context(caller=ANYBODY, reads=company.reads, request_id="test") as context:
        expected = await company.schema.execute(query, variable_values=variables, context_value=context)
    data, errors, _ = await company._execute(query, variables)
    assert data == expected.data
    assert data is not None
    paths = sorted(str(error.path) for error in expected.errors or ())
    assert sorted(str(error["path"]) for error in errors) == paths


# What asks for a page after the cursor $c, which the field called `entities` made.
PAGES = {
    "its nodes": "query ($c: String) { entities(after: $c) { nodes { name } } }",
    "its total only": "query ($c: String) { entities(after: $c) { totalCount } }",
    "nothing of it": "query ($c: String) { entities(after: $c) { __typename } }",
    "beside another field": "query ($c: String) { entities(after: $c) { pageInfo { endCursor } } groups { totalCount } }",
}
RIDING = 'query ($c: String) { entity(ref: "component:player") { name relations(after: $c) { nodes { type } } } }'


def forged(cursor: str) -> str:
    """With a number in the place of each text, and a text in that of each number."""
    field, *place = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    foreign = ["x" if isinstance(value, int) else 7 for value in place]
    return base64.urlsafe_b64encode(json.dumps([field, *foreign]).encode()).decode()


async def both(graph: Graph, query: str, **variables: Any) -> list[Any]:
    """The answers of graphql-core and of the executor: the data, and the errors with paths, codes and messages."""
    with Context(caller=ANYBODY, reads=graph.reads, request_id="test") as context:
        plain = await graph.schema.execute(query, variable_values=variables, context_value=context)
    data, errors, _ = await graph._execute(query, variables)
    expected = [
        {"path": one.path, "code": getattr(one.original_error, "code", None), "message": one.message}
        for one in plain.errors or ()
    ]
    found = [{"path": one["path"], "code": one["extensions"]["code"], "message": one["message"]} for one in errors]
    return [(plain.data, expected), (data, found)]


@pytest.mark.parametrize("page", PAGES)
async def test_a_cursor_with_values_of_other_types_is_refused_as_under_graphql_core(company: Graph, page: str) -> None:
    own = (await company.ask("{ entities(first: 1) { pageInfo { endCursor } } }"))["entities"]["pageInfo"]["endCursor"]
    expected, found = await both(company, PAGES[page], c=forged(own))
    assert found == expected
    assert found[1] == [
        {"path": ["entities"], "code": "BAD_USER_INPUT", "message": "This cursor was not made by this graph."}
    ]


async def test_a_list_that_rides_is_refused_alone(company: Graph) -> None:
    query = (
        RIDING.replace("(after: $c)", "")
        .replace("nodes { type }", "pageInfo { endCursor }")
        .replace("($c: String)", "")
    )
    own = (await company.ask(query))["entity"]["relations"]["pageInfo"]["endCursor"]
    expected, found = await both(company, RIDING, c=forged(own))
    assert found == expected
    assert found[1][0]["path"] == ["entity", "relations"]
