"""Filters and orders by a path that no index leads to cost ten times as much, however they are written."""

from __future__ import annotations

from typing import Any

import pytest
import strawberry

from api.operation import Operations
from db.rules.pointers import Pointer
from schema.errors import CostLimit
from schema.limits import Limits

INDEXED = frozenset({Pointer.parse("/spec/tier"), Pointer.parse("/metadata/labels/a~1b")})


def cost(schema: strawberry.Schema, query: str, *, limit: int = 50_000, **variables: Any) -> int:
    """What the operation costs where two paths are indexed."""
    ready = Operations(schema, Limits(cost=limit, indexed_paths=INDEXED)).ready(query)
    coerced = ready.operation.variables(variables)
    assert not isinstance(coerced, list), coerced
    return ready.weight.check(coerced.coerced)


@pytest.mark.parametrize(
    ("arguments", "price"),
    [
        ("first: 5", 6),
        ("first: 5, filter: {}", 6),
        ('first: 5, filter: {path: {path: "/spec/tier"}}', 6),
        ('first: 5, filter: {path: {path: "/spec/tiers"}}', 60),
        ('first: 5, filter: {path: {path: "/spec/tier/0"}}', 60),
        ('first: 5, filter: {path: {path: "/metadata/labels/a~1b", text: {eq: "/spec/x"}}}', 6),
        ('first: 5, filter: {path: {path: "nowhere"}}', 60),
        ('first: 5, filter: {anyOf: [{path: {path: "/spec/tier"}}, {not: {path: {path: "/spec/x"}}}]}', 60),
        ('first: 5, filter: {label: {key: "path", value: {eq: "$"}}, name: {eq: "path"}}', 6),
        ('first: 5, orderBy: [{field: NAME}, {field: PATH, path: "/spec/tier"}]', 6),
        ('first: 5, orderBy: {field: PATH, path: "/spec/x"}', 60),
    ],
)
def test_a_path_that_is_not_indexed_costs_tenfold(schema: strawberry.Schema, arguments: str, price: int) -> None:
    assert cost(schema, f"{{ entities({arguments}) {{ nodes {{ name }} }} }}") == price


def test_a_path_in_a_variable_costs_what_it_would_in_the_document(schema: strawberry.Schema) -> None:
    whole = """query($f: EntityFilter, $o: [EntityOrder!]) {
        entities(first: 5, filter: $f, orderBy: $o) { nodes { name } } }"""
    assert cost(schema, whole) == 6
    assert cost(schema, whole, f={"path": {"path": "/spec/tier"}}) == 6
    assert cost(schema, whole, f={"allOf": [{"path": {"path": "/spec/x"}}]}) == 60
    assert cost(schema, whole, o=[{"field": "PATH", "path": "/spec/x"}]) == 60
    part = """query($p: String! = "/spec/x") {
        entities(first: 5, filter: {not: {path: {path: $p}}}) { nodes { name } } }"""
    assert cost(schema, part) == 60
    assert cost(schema, part, p="/spec/tier") == 6


def test_what_is_asked_of_each_item_costs_tenfold_too_and_the_message_says_why(schema: strawberry.Schema) -> None:
    query = """{ group(ref: "a") { ownedEntities(first: 5, filter: {path: {path: "/spec/x"}}) {
        totalCount nodes { owner { ref } } } } }"""
    assert cost(schema, query) == 1 + 10 * (1 + 1 + 5 + 5)
    with pytest.raises(CostLimit) as refused:
        cost(schema, query, limit=120)
    assert refused.value.message == (
        "The operation costs up to 121; 120 is allowed; its dearest list is `ownedEntities`, "
        "10 times as dear by a path that is not indexed"
    )


@pytest.mark.parametrize(
    ("depth", "price"), [("", 6), ("depth: 1, ", 6), ("depth: 4, ", 24), ("depth: 99, ", 60), ("depth: -1, ", 6)]
)
def test_a_closure_costs_by_its_steps(schema: strawberry.Schema, depth: str, price: int) -> None:
    below = f"dependencies({depth}first: 5) {{ nodes {{ name }} }}"
    assert cost(schema, f'{{ component(ref: "a") {{ {below} }} }}') == 1 + price
    variable = 'query($d: Int! = 4) { component(ref: "a") { dependencies(depth: $d, first: 5) { nodes { name } } } }'
    assert [cost(schema, variable), cost(schema, variable, d=2)] == [25, 13]
