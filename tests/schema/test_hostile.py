"""Documents made to be dear: what they can make the executor do is bounded, and the bounds hurt nobody else."""

from __future__ import annotations

import asyncio
import gc
import json
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
import strawberry
from click.testing import CliRunner
from graphql import OperationDefinitionNode, parse, validate

from api import operation as operations
from schema.context import Context
from schema.errors import CostLimit
from schema.levels import edge as edges
from schema.levels import plan as planning
from schema.levels.edge import EdgeField
from schema.levels.level import MOST_SHAPES, Level
from schema.levels.operation import Operation
from schema.levels.outline import MAX_JOINS
from schema.levels.plan import BUDGET, Field, Plan
from schema.limits import Limits
from tests.bench.__main__ import main
from tests.bench.hostile import (
    by_type_in_fragments,
    documents,
    objects_that_double,
    one_of_many,
    planned_alone,
    tokens_of,
)
from tests.callers import ANYBODY
from tests.schema.graph import Graph
from tests.schema.levels.operations import seeded

pytestmark = pytest.mark.anyio

# What the executor itself refuses; the limits of documents would refuse some of the others before.
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
def fields(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The response key of each field that is made."""
    made: list[str] = []
    make = Field.__init__

    def noted(field: Field, *of: Any, **more: Any) -> None:
        make(field, *of, **more)
        made.append(field.key)

    monkeypatch.setattr(Field, "__init__", noted)
    return made


@pytest.fixture
def levels(monkeypatch: pytest.MonkeyPatch) -> list[Level]:
    """Each level that is made."""
    made: list[Level] = []
    make = Level.__init__

    def noted(level: Level, *of: Any) -> None:
        make(level, *of)
        made.append(level)

    monkeypatch.setattr(Level, "__init__", noted)
    return made


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> weakref.WeakSet[Plan]:
    """The plans that are there."""
    alive: weakref.WeakSet[Plan] = weakref.WeakSet()
    make = Plan.__init__

    def noted(plan: Plan, *of: Any) -> None:
        make(plan, *of)
        alive.add(plan)

    monkeypatch.setattr(Plan, "__init__", noted)
    return alive


@pytest.fixture
def uncollected() -> Iterator[None]:
    """The garbage collector does not look by itself."""
    gc.disable()
    yield
    gc.enable()


async def ask(operation: Operation, graph: Graph, **given: Any) -> Any:
    """The data; there must be no error."""
    variables = operation.variables(given)
    assert not isinstance(variables, list), variables
    with Context(caller=ANYBODY, reads=graph.reads, request_id="test") as context:
        result = await operation.run(variables, context)
    assert result.errors is None
    return result.data


# How much is made


@pytest.mark.parametrize("title", documents())
async def test_a_plan_ends_at_its_budget_and_a_statement_at_its_joins(
    schema: strawberry.Schema, fields: list[str], title: str
) -> None:
    text = documents()[title]
    assert tokens_of(text) <= 2_000
    planned = await planned_alone(operation(schema, text))
    assert planned.refused == ("COST_LIMIT" if title in TOO_LARGE else "")
    assert len(fields) <= planned.weight <= BUDGET + 660  # the last that fits in may be as large as that
    for statement in planned.statements:
        assert statement.count("LEFT OUTER JOIN LATERAL") <= MAX_JOINS + 2  # and a list that rides, with its total


async def test_a_chain_of_objects_longer_than_a_statement_has_joins_goes_on_in_the_next(
    schema: strawberry.Schema,
) -> None:
    planned = await planned_alone(operation(schema, documents()["objects 40 deep"]))
    joins = [statement.count("LEFT OUTER JOIN LATERAL") for statement in planned.statements]
    assert joins == [12, 12, 12, 0]


@pytest.mark.parametrize("chain", [objects_that_double, by_type_in_fragments])
async def test_a_document_that_doubles_makes_as_many_fields_as_it_has_levels(
    schema: strawberry.Schema, fields: list[str], chain: Any
) -> None:
    made = []
    for length in (2, 4, 6):
        fields.clear()
        assert (await planned_alone(operation(schema, chain(length)))).refused == ""
        made.append(len(fields))
    assert made[2] - made[1] == made[1] - made[0] > 0


async def test_what_is_refused_half_way_leaves_nothing_behind(company: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second level is refused while a lookup by id waits, and other statements run."""
    monkeypatch.setattr(planning, "BUDGET", 150)
    node = (await company.ask('{component(ref:"player"){id}}'))["component"]["id"]
    text = f'{{node(id:"{node}"){{id}} groups{{nodes{{children{{nodes{{name owner{{name}}}}}}}}}} users{{nodes{{groups{{totalCount}}}}}} problems{{totalCount}}}}'
    before = asyncio.all_tasks()
    for _ in range(3):
        with pytest.raises(CostLimit) as caught:
            await ask(operation(company.schema, text), company)
        assert (caught.value.code, caught.value.status) == ("COST_LIMIT", 400)
        while asyncio.all_tasks() - before:
            await asyncio.sleep(0)
    gc.collect()  # a coroutine that nobody awaited is a warning now, and so an error
    assert await company.reads.fetch("SELECT 1", ()) == [(1,)]


async def test_a_lookup_beside_a_selection_that_is_refused_is_not_left_unawaited(
    company: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "BUDGET", 5)
    with pytest.raises(CostLimit):
        await ask(
            operation(company.schema, '{node(id:"x"){id} __schema{types{name kind description fields{name}}}}'), company
        )
    gc.collect()


async def test_a_lookup_that_was_begun_is_not_awaited_twice(company: Graph) -> None:
    node = (await company.ask('{component(ref:"player"){id}}'))["component"]["id"]
    text = f'{{node(id:"{node}"){{id}} nodes(ids:["{node}"]){{id}}}}'
    assert await company.ask(text, statements=1) == {"node": {"id": node}, "nodes": [{"id": node}]}


def test_the_benchmark_prices_each_document() -> None:
    result = CliRunner().invoke(main, ["hostile", "--times", "1", "--json"], catch_exceptions=False)
    rows = {row["document"]: row for row in json.loads(result.stdout)}
    assert list(rows) == list(documents())
    assert [title for title, row in rows.items() if not row["refused"]] == [
        "objects 15 deep",
        "lists in lists, 15 deep",
        "each type at every level, 7 deep",
        "fields that are merged",
        "fragments that double",
        "objects that double",
        "pages with everything, of every type",
        "60 alternatives in a filter",
        "the schema itself",
    ]
    assert (rows["objects 40 deep"]["statements"], rows["objects 40 deep"]["refused"]) == (4, "DEPTH_LIMIT")


# What others feel of it


async def test_an_operation_that_is_refused_weighs_no_more_when_it_comes_again(schema: strawberry.Schema) -> None:
    for title in sorted(TOO_LARGE):
        refused = operation(schema, documents()[title])
        once = await planned_alone(refused)
        for _ in range(3):
            again = await planned_alone(refused)
            assert (again.refused, again.weight) == ("COST_LIMIT", once.weight)


async def test_an_operation_may_be_asked_for_in_any_number_of_shapes(company: Graph, levels: list[Level]) -> None:
    pages = " ".join(f"p{n}:entities(first:$first filter:$filter orderBy:$order){{nodes{{name}}}}" for n in range(6))
    paged = operation(company.schema, f"query($first:Int $filter:EntityFilter $order:[EntityOrder!]){{{pages}}}")
    for first in range(1, 2 * MOST_SHAPES + 1):
        found = await ask(paged, company, first=first, filter={"name": {"contains": "a"}} if first % 2 else None)
        assert len(found["p5"]["nodes"]) == min(first, 12 if first % 2 else 21)
    assert [len(level._statements) for level in levels] == [MOST_SHAPES] * 6
    assert paged.weight == sum(plan.weight for plan in paged._plans.values())


async def test_cursors_of_another_list_use_nothing_up(company: Graph) -> None:
    page = await company.ask("{entities(first:1){pageInfo{endCursor}}}")
    cursor = page["entities"]["pageInfo"]["endCursor"]
    paged = operation(company.schema, "query($after:String){components(first:1 after:$after){nodes{name}}}")
    for _ in range(120):
        variables = paged.variables({"after": cursor})
        assert not isinstance(variables, list)
        with Context(caller=ANYBODY, reads=company.reads, request_id="test") as context:
            result = await paged.run(variables, context)
        assert [error.formatted["extensions"]["code"] for error in result.errors or ()] == ["BAD_USER_INPUT"]
    assert (await ask(paged, company))["components"]["nodes"] == [{"name": "index"}]


# What is left behind


@pytest.mark.usefixtures("uncollected")
async def test_what_is_forgotten_does_not_wait_for_the_garbage_collector(
    company: Graph, plans: weakref.WeakSet[Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where documents, plans and statements were there for so long that the collector seldom looks at them."""
    monkeypatch.setattr(operations, "MOST_KEPT", 2_000)
    kept, chance = operations.Operations(company.schema, Limits()), seeded(7)
    for number in range(100):
        with Context(caller=ANYBODY, reads=company.reads, request_id="test") as context:
            assert (await kept.ready(one_of_many(chance, number)).run({}, context)).errors is None
    assert 5 < len(kept._ready) < 50
    assert len(plans) == len(kept._ready)
    gc.collect()  # what planning and validation leave is young, and soon collected
    kept._ready.clear()
    assert (len(plans), gc.collect()) == (0, 0)


async def test_the_select_of_an_edge_without_arguments_is_made_once_for_all_documents(
    schema: strawberry.Schema, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the columns of a table anew, it takes longer to make than all else of a statement."""
    made: list[str] = []
    make = EdgeField.select

    def noted(edge: EdgeField, parent: Any = None, **arguments: Any) -> Any:
        made.append(edge.python_name)
        return make(edge, parent, **arguments)

    edges._without_arguments.cache_clear()
    monkeypatch.setattr(EdgeField, "select", noted)
    for fields in ("name", "title", "kind"):
        planned = await planned_alone(operation(schema, f'{{group(ref:"a"){{owner{{{fields} owner{{name}}}}}}}}'))
        assert len(planned.statements) == 1
    assert made == ["group", "owner", "owner", "group", "group"]
