"""Operations in which the executor once went wrong, against graphql-core, which asks object by object."""

from __future__ import annotations

from typing import Any

import pytest

from schema.context import Context
from schema.ids import Sort, encode
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
    with Context(reads=company.reads, request_id="test") as context:
        expected = await company.schema.execute(query, variable_values=variables, context_value=context)
    data, errors, _ = await company._execute(query, variables)
    assert data == expected.data
    assert data is not None
    paths = sorted(str(error.path) for error in expected.errors or ())
    assert sorted(str(error["path"]) for error in errors) == paths
