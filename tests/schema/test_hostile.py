"""Documents made to be dear: what they can make the executor do is bounded, and the bounds hurt nobody else."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
import strawberry
from graphql import OperationDefinitionNode, parse, validate

from api.graphql import GRAPHQL_JSON
from db.queries.keyset import Key
from schema.errors import CostLimit
from schema.levels import plan as planning
from schema.levels.level import CHARACTERS, MOST_SHAPES
from schema.levels.operation import MOST_PLANS, Operation
from schema.levels.outline import MAX_JOINS
from schema.levels.plan import BUDGET, Field
from tests.bench.hostile import by_type_in_fragments, documents, objects_that_double, planned_alone, tokens_of
from tests.schema.graph import Graph
from tests.serving import running

pytestmark = pytest.mark.anyio

# What the plan's budget refuses; the limits of documents refuse others before.
TOO_LARGE = {
    "660 aliases of a leaf",
    "lists in lists, 80 deep",
    "another choice of fragments on each way",
    "such choices within the limits",
    "300 lists of one object",
    "30 lists of one object",
}


def operation(schema: strawberry.Schema, text: str) -> Operation:
    document = parse(text)
    assert validate(schema._schema, document) == []
    definition = next(node for node in document.definitions if isinstance(node, OperationDefinitionNode))
    return Operation(schema, document, definition)


@pytest.fixture
def fields(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The response key of each field that is made."""
    made: list[str] = []
    make = Field.__init__

    def noted(field: Field, *of: Any, **more: Any) -> None:
        make(field, *of, **more)
        made.append(field.key)

    monkeypatch.setattr(Field, "__init__", noted)
    yield made


# Time: how much is made


@pytest.mark.parametrize("title", documents())
async def test_a_plan_ends_at_its_budget_and_a_statement_at_its_joins(
    schema: strawberry.Schema, fields: list[str], title: str
) -> None:
    text = documents()[title]
    assert tokens_of(text) <= 2_000
    planned = await planned_alone(operation(schema, text))
    assert planned.refused == ("COST_LIMIT" if title in TOO_LARGE else "")
    made = sum(len(one) // CHARACTERS for one in set(planned.statements))
    assert len(fields) + made <= planned.weight + len(fields) * 0  # placeholder
    for statement in planned.statements:
        assert statement.count("LEFT OUTER JOIN LATERAL") <= MAX_JOINS + 2  # and a list that rides, with its total
