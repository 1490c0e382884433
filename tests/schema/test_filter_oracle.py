"""Filters and orders in SQL against what they mean, over generated catalogs.

`text` is not asked: what it finds is tested with `search`.
"""

from __future__ import annotations

import asyncio
import operator
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import strawberry
from graphql.execution.values import VariableValues
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.operation import Operations
from db.engine import create_engine
from db.reading import Reads
from db.rules import matches
from db.rules.filters import EntityFilter, EntityOrder, EntityOrderField, NullsOrder
from schema.context import Context
from schema.inputs import graphql_name, value_of
from schema.limits import Limits
from tests.callers import ANYBODY
from tests.ingesting import Catalog, Tree
from tests.schema import oracle as oracles
from tests.schema.catalogs import DrawnCatalog, drawn_catalog, text_of
from tests.schema.oracle import Oracle, Refs, by_key, is_downward, oracle_of, reached
from tests.schema.questions import Known, Question, filters, orders

LONG = os.environ.get("CATALOGRAPH_TEST_LONG") is not None
CATALOGS = range(20 if LONG else 6)
FIELDS = (
    *("ref", "kind", "namespace", "name", "title", "type", "lifecycle", "tag", "label", "annotation", "path"),
    *("ownedBy", "inTreeOf", "partOf", "dependsOn", "dependencyOf", "hasProblem", "createdAt", "updatedAt"),
)
ORDERS = tuple(EntityOrderField.__members__)

Questions = st.SearchStrategy[tuple[Question, list[Question]]]
Plant = Callable[[pytest.MonkeyPatch], None]

LIST = """query($filter: EntityFilter, $orderBy: [EntityOrder!]) {
    entities(filter: $filter, orderBy: $orderBy, first: 100) { totalCount nodes { ref } }
}"""
PAGE = """query(
    $filter: EntityFilter, $orderBy: [EntityOrder!], $first: Int, $after: String, $last: Int, $before: String
) {
    entities(filter: $filter, orderBy: $orderBy, first: $first, after: $after, last: $last, before: $before) {
        nodes { ref }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
}"""


def questions(examples: int) -> settings:
    """So many questions to each catalog; in a long run three times as many, to three times as many catalogs."""
    return settings(
        max_examples=examples * (3 if LONG else 1),
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


class Asked:
    """A generated catalog in Postgres, and the same in Python.

    Hypothesis stops an example by an exception that no event loop survives, so tests draw outside of it. It shows the
    arguments of what fails, and would show all fields of a dataclass.
    """

    def __init__(self, runner: asyncio.Runner, schema: strawberry.Schema, reads: Reads, oracle: Oracle, known: Known):
        self._runner = runner
        self._operations = Operations(schema, Limits())
        self._reads = reads
        self.oracle = oracle
        self.known = known

    @cached_property
    def questions(self) -> Questions:
        """Filters in filters, with orders."""
        return st.tuples(filters(self.known, FIELDS), st.just([]) | orders(self.known, ORDERS))

    @cached_property
    def lists(self) -> Questions:
        """Orders of all entities."""
        return st.tuples(st.just({}), orders(self.known, ORDERS))

    @cached_property
    def simple(self) -> Questions:
        """Filters that hold no others."""
        return self.about(FIELDS)

    def about(self, names: Sequence[str]) -> Questions:
        """Filters that ask only these fields."""
        return st.tuples(filters(self.known, names, depth=1), st.just([]))

    def answer(self, asked: Question, order: Sequence[Question]) -> Refs:
        """The refs that match, in order."""
        found = self._ask(LIST, filter=asked, orderBy=order)
        refs = _refs(found)
        assert found["totalCount"] == len(refs)
        return refs

    def expected(self, asked: Question, order: Sequence[Question]) -> Refs:
        """What they should be."""
        operation = self._operations.ready(LIST).operation
        variables = operation.variables({"filter": asked, "orderBy": order})
        assert isinstance(variables, VariableValues)
        wanted = value_of(EntityFilter, variables.coerced["filter"], name="filter")
        keys = value_of(tuple[EntityOrder, ...], variables.coerced["orderBy"], name="orderBy")
        return self.oracle.ordered(self.oracle.matching(wanted), keys)

    def pages(self, size: int, asked: Question, order: Sequence[Question]) -> Iterator[tuple[Refs, bool]]:
        """Each page going forward, with whether there is one more."""
        cursor, more = None, True
        while more:
            found = self._ask(PAGE, first=size, after=cursor, filter=asked, orderBy=order)
            cursor, more = found["pageInfo"]["endCursor"], found["pageInfo"]["hasNextPage"]
            yield _refs(found), more

    def pages_backward(self, size: int, asked: Question, order: Sequence[Question]) -> Iterator[tuple[Refs, bool]]:
        """Each page going backward, with whether there is one more."""
        cursor, more = None, True
        while more:
            found = self._ask(PAGE, last=size, before=cursor, filter=asked, orderBy=order)
            cursor, more = found["pageInfo"]["startCursor"], found["pageInfo"]["hasPreviousPage"]
            yield _refs(found), more

    def _ask(self, query: str, **variables: Any) -> Any:
        return self._runner.run(self._answer(query, variables))

    async def _answer(self, query: str, variables: dict[str, Any]) -> Any:
        with Context(caller=ANYBODY, reads=self._reads, request_id="test") as context:
            result = await self._operations.ready(query).run(variables, context)
        assert not result.errors, (result.errors, variables)
        assert result.data is not None
        return result.data["entities"]


def _refs(found: Any) -> Refs:
    return [node["ref"] for node in found["nodes"]]


@pytest.fixture(params=CATALOGS)
def asked(
    request: pytest.FixtureRequest, database_url: str, schema: strawberry.Schema, tmp_path: Path
) -> Iterator[Asked]:
    """The catalog of each number."""
    with asyncio.Runner() as runner:
        engine, reads = create_engine(database_url), Reads(database_url)
        drawn = drawn_catalog(request.param)
        oracle = runner.run(_ingested(Catalog(engine), Tree(tmp_path), drawn))
        instants = sorted({at for both in oracle.instants.values() for at in both})
        known = Known(drawn.last, sorted(oracle.images), instants)
        yield Asked(runner, schema, reads, oracle, known)
        runner.run(reads.close())
        runner.run(engine.dispose())


async def _ingested(catalog: Catalog, tree: Tree, drawn: DrawnCatalog) -> Oracle:
    """The catalog is ingested in two runs, so that not all is equally old."""
    for documents in (drawn.first, drawn.last):
        tree.write("all.yaml", text_of(documents))
        report = await catalog.ingest(tree.root, allow_removals=True)
        assert (report.counts.entities, report.counts.rejected) == (len(documents), 0)
    return await oracle_of(catalog, text_of(drawn.last).encode())


@questions(200)
@given(data=st.data())
def test_a_field_means_in_sql_what_it_means(asked: Asked, data: st.DataObject) -> None:
    question = data.draw(asked.simple)
    assert asked.answer(*question) == asked.expected(*question)


@questions(100)
@given(data=st.data())
def test_filters_in_filters_and_orders_mean_in_sql_what_they_mean(asked: Asked, data: st.DataObject) -> None:
    question = data.draw(asked.questions)
    assert asked.answer(*question) == asked.expected(*question)


@questions(3)
@given(data=st.data())
def test_pages_of_any_size_leave_nothing_out_and_give_nothing_twice(asked: Asked, data: st.DataObject) -> None:
    question = data.draw(asked.lists | asked.questions)
    expected = asked.expected(*question)
    for size in range(1, 6):
        assert list(asked.pages(size, *question)) == list(cut(expected, size))
        backward = [(page[::-1], more) for page, more in asked.pages_backward(size, *question)]
        assert backward == list(cut(expected[::-1], size))


def cut(refs: Refs, size: int) -> Iterator[tuple[Refs, bool]]:
    """Pages of so many, each with whether there is one more; of nothing, one empty page."""
    for start in range(0, len(refs) or 1, size):
        yield refs[start : start + size], start + size < len(refs)


def _operator(name: str, meaning: Callable[[Any, Any], bool]) -> Plant:
    """An operator that asks this of some value."""
    return lambda patch: patch.setitem(matches._OPERATORS, name, matches._some(meaning))


def _swapped_nulls(key: EntityOrder) -> EntityOrder:
    return replace(key, nulls=NullsOrder.FIRST if key.nulls is NullsOrder.LAST else NullsOrder.LAST)


FAULTS: dict[tuple[str, ...], dict[str, Plant]] = {  # by the fields that are to show them; none: by orders
    ("title", "tag", "label", "annotation"): {
        "ne asks for another value": _operator("ne", operator.ne),
        "notIn asks for another value": _operator("not_in", lambda value, wanted: value not in wanted),
        "an empty list asks nothing": _operator("in_", lambda value, wanted: not wanted or value in wanted),
        "prefix has no case": _operator("prefix", lambda value, wanted: value.lower().startswith(wanted.lower())),
        "contains knows wildcards": _operator("contains", lambda value, wanted: wanted.strip("%_") in value),
        "an empty text is absent": lambda patch: patch.setitem(
            matches._OPERATORS, "exists", lambda wanted: lambda values: any(values) is wanted
        ),
    },
    ("path",): {
        "a list is no value of its own type": lambda patch: patch.setattr(matches, "_items", lambda value: [value]),
    },
    ("createdAt", "updatedAt"): {
        "an instant is before itself": lambda patch: patch.setattr(
            oracles, "is_within", lambda asked, at: asked.before is None or at <= asked.before
        ),
    },
    ("dependsOn", "dependencyOf"): {
        "a closure goes one step": lambda patch: patch.setattr(
            oracles, "reached", lambda starts, steps, _: reached(starts, steps, 1)
        ),
        "what is in a circle does not reach itself": lambda patch: patch.setattr(
            oracles, "reached", lambda starts, steps, depth: reached(starts, steps, depth) - starts
        ),
    },
    (): {
        "ties go upward": lambda patch: patch.setattr(oracles, "is_downward", lambda _: False),
        "absent values turn with the direction": lambda patch: patch.setattr(
            oracles,
            "by_key",
            lambda refs, value, key: by_key(refs, value, _swapped_nulls(key) if is_downward([key]) else key),
        ),
    },
}


@pytest.mark.parametrize("asked", [4], indirect=True)
@pytest.mark.parametrize("about", FAULTS)
def test_a_wrong_meaning_is_found(asked: Asked, about: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    questions = _drawn(asked.about(about) if about else asked.lists)
    answered = [(question, asked.answer(*question)) for question in questions]
    unseen = []
    for name, plant in FAULTS[about].items():
        with monkeypatch.context() as patch:
            plant(patch)
            if all(asked.expected(*question) == refs for question, refs in answered):
                unseen.append(name)
    assert unseen == []
    assert all(asked.expected(*question) == refs for question, refs in answered)


def _drawn(questions: st.SearchStrategy[Any]) -> list[Any]:
    """Some questions, the same every time."""
    found = []

    @settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(questions)
    def draw(question: Any) -> None:
        found.append(question)

    draw()
    return found


def test_every_field_is_asked() -> None:
    assert {*FIELDS, "allOf", "anyOf", "not", "text"} == {graphql_name(spec.name) for spec in fields(EntityFilter)}
