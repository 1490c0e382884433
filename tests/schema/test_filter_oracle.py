"""Filters and orders in SQL against what they mean, over generated catalogs.

What an image answers is judged by `db.rules.matches`, as a live feed does; what only the whole catalog answers, by the
breadth-first searches here. `text` is not asked: its ranking is tested with `search`.
"""

from __future__ import annotations

import asyncio
import operator
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from functools import cached_property, partial
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
from db.rules.descriptors import read
from db.rules.filters import (
    ClosureFilter,
    DateTimeFilter,
    EntityFilter,
    EntityOrder,
    EntityOrderField,
    NullsOrder,
    OrderDirection,
)
from db.rules.matches import Image, compiled, image_of, unanswerable, value_at
from db.rules.refs import Ref
from schema.context import Context
from schema.inputs import value_of
from schema.limits import Limits
from tests.ingesting import Catalog, Tree
from tests.schema.catalogs import DrawnCatalog, drawn_catalog, text_of
from tests.schema.questions import Known, Question, filters, orders

LONG = os.environ.get("CATALOGRAPH_TEST_LONG") is not None
CATALOGS = range(20 if LONG else 6)
FIELDS = (
    *("ref", "kind", "namespace", "name", "title", "type", "lifecycle", "tag", "label", "annotation", "path"),
    *("ownedBy", "inTreeOf", "partOf", "dependsOn", "dependencyOf", "hasProblem", "createdAt", "updatedAt"),
)
ORDERS = tuple(EntityOrderField.__members__)

Refs = list[str]

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


@dataclass(frozen=True)
class Oracle:
    """A catalog in plain Python, and what filters and orders mean in it."""

    images: dict[str, Image]  # by ref
    ids: dict[str, int]
    instants: dict[str, tuple[datetime, datetime]]  # of the first and the last writing
    dependencies: set[tuple[str, str]]  # who depends on whom, existing or not
    below: set[tuple[str, str]]  # a group and one right below it
    members: set[tuple[str, str]]  # a group and a member
    with_problem: set[str]

    def matching(self, wanted: EntityFilter) -> set[str]:
        """The refs that match."""
        if unanswerable(wanted) is None:
            judge = compiled(wanted, self.tree)
            return {ref for ref, image in self.images.items() if judge(image)}
        return self.all.intersection(*self._matching_parts(wanted))

    @property
    def all(self) -> set[str]:
        return set(self.images)

    def _matching_parts(self, wanted: EntityFilter) -> Iterator[set[str]]:
        """What matches each field that no image answers, or that holds such a one; and what matches the rest."""
        yield self.matching(replace(wanted, **dict.fromkeys(NOT_OF_IMAGES)))
        yield from (self.matching(part) for part in wanted.all_of or ())
        if wanted.any_of is not None:
            yield set().union(*(self.matching(part) for part in wanted.any_of))
        if wanted.not_ is not None:
            yield self.all - self.matching(wanted.not_)
        if wanted.has_problem is not None:
            yield self.with_problem if wanted.has_problem else self.all - self.with_problem
        if wanted.depends_on is not None:
            yield self._reached(wanted.depends_on, {(target, source) for source, target in self.dependencies})
        if wanted.dependency_of is not None:
            yield self._reached(wanted.dependency_of, self.dependencies)
        for position, asked in enumerate((wanted.created_at, wanted.updated_at)):
            if asked is not None:
                yield {ref for ref, instants in self.instants.items() if is_within(asked, instants[position])}

    def _reached(self, asked: ClosureFilter, steps: set[tuple[str, str]]) -> set[str]:
        return reached({str(asked.ref)}, steps, asked.depth or 1)

    def tree(self, root: Ref) -> set[str]:
        """The owners inside the tree of a group."""
        groups = {str(root)} | reached({str(root)}, self.below, 10)
        return groups | reached(groups, self.members, 1)

    def ordered(self, refs: set[str], keys: Sequence[EntityOrder]) -> Refs:
        """The refs by these keys, then by name and id, in the direction of the last key."""
        descending = bool(keys) and keys[-1].direction is OrderDirection.DESC
        found = sorted(refs, key=lambda ref: (self.images[ref].name.lower(), self.ids[ref]), reverse=descending)
        for key in reversed(keys):
            found = by_key(found, partial(self.value, key), key)
        return found

    def value(self, key: EntityOrder, ref: str) -> Any:
        """What a key is of an entity; None: absent."""
        image, (created, updated) = self.images[ref], self.instants[ref]
        match key.field.name:
            case "NAME":
                return image.name.lower()
            case "CREATED_AT":
                return created
            case "UPDATED_AT":
                return updated
            case "PATH":
                assert key.path is not None
                return place_of(value_at(key.path)(image))
            case name:
                return getattr(image, name.lower())


NOT_OF_IMAGES = (
    *("all_of", "any_of", "not_", "has_problem", "depends_on", "dependency_of", "text", "created_at", "updated_at"),
)


def is_within(asked: DateTimeFilter, at: datetime) -> bool:
    return (asked.after is None or at > asked.after) and (asked.before is None or at < asked.before)


def reached(starts: set[str], steps: set[tuple[str, str]], depth: int) -> set[str]:
    """What is one to `depth` steps away from one of the starts; in a circle these themselves, too."""
    found: set[str] = set()
    front = starts
    for _ in range(depth):
        front = {target for source, target in steps if source in front} - found
        found |= front
    return found


def by_key(refs: Refs, value: Callable[[str], Any], key: EntityOrder) -> Refs:
    """The refs by one key, in their order where it is equal."""
    present = [ref for ref in refs if value(ref) is not None]
    absent = [ref for ref in refs if value(ref) is None]
    present.sort(key=value, reverse=key.direction is OrderDirection.DESC)
    return absent + present if key.nulls is NullsOrder.FIRST else present + absent


def place_of(value: Any) -> tuple[int, Any] | None:
    """The place of a JSON value in an order: numbers, then texts; others have none."""
    if isinstance(value, bool):
        return (1, str(value).lower())
    if isinstance(value, int | float):
        return (0, float(value))
    return (1, value) if isinstance(value, str) else None


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
    def questions(self) -> st.SearchStrategy[tuple[Question, list[Question]]]:
        """Filters with orders."""
        return st.tuples(filters(self.known, FIELDS), st.just([]) | orders(self.known, ORDERS))

    @cached_property
    def long_questions(self) -> st.SearchStrategy[tuple[Question, list[Question]]]:
        """Those of the longest answers: half of them ask for all entities."""
        return st.tuples(st.just({}) | filters(self.known, FIELDS), orders(self.known, ORDERS))

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
        with Context(reads=self._reads, request_id="test") as context:
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
    return await _oracle(catalog, text_of(drawn.last).encode())


async def _oracle(catalog: Catalog, written: bytes) -> Oracle:
    """The images from the change log; relations and problems from the files."""
    changes = await catalog.rows(
        "SELECT r.ref, c.after, c.links_after FROM change c JOIN ref r ON r.id = c.entity_id ORDER BY seq"
    )
    images = {ref: image_of(after, links) for ref, after, links in changes}
    assert [image.ref for image in images.values()] == list(images)
    reading = read(written, include=_nothing)
    said = {
        (record.ref, reference.type, reference.target) for record in reading.records for reference in record.references
    }
    return Oracle(
        images=images,
        ids=dict(await catalog.rows("SELECT ref, id FROM ref")),
        instants={ref: (*at,) for ref, *at in await catalog.rows("SELECT ref, created_at, updated_at FROM entity")},
        dependencies=_related(said, "dependsOn", "dependencyOf"),
        below=_related(said, "parentOf", "childOf"),
        members=_related(said, "hasMember", "memberOf"),
        with_problem={finding.ref for finding in reading.findings if finding.ref}
        | {ref for ref, _, target in said if target not in images},
    )


def _nothing(path: str) -> bytes:
    raise AssertionError(f"no document of these includes {path}")


def _related(said: set[tuple[str, str, str]], forward: str, inverse: str) -> set[tuple[str, str]]:
    """The pairs of a relation, whichever of the two says so."""
    return {(source, target) for source, relation, target in said if relation == forward} | {
        (target, source) for source, relation, target in said if relation == inverse
    }


@questions(100)
@given(data=st.data())
def test_a_filter_and_an_order_mean_in_sql_what_they_mean(asked: Asked, data: st.DataObject) -> None:
    question = data.draw(asked.questions)
    assert asked.answer(*question) == asked.expected(*question)


@questions(3)
@given(data=st.data())
def test_pages_of_any_size_leave_nothing_out_and_give_nothing_twice(asked: Asked, data: st.DataObject) -> None:
    question = data.draw(asked.long_questions)
    expected = asked.expected(*question)
    for size in range(1, 6):
        assert list(asked.pages(size, *question)) == list(cut(expected, size))
        backward = [(page[::-1], more) for page, more in asked.pages_backward(size, *question)]
        assert backward == list(cut(expected[::-1], size))


def cut(refs: Refs, size: int) -> Iterator[tuple[Refs, bool]]:
    """Pages of so many, each with whether there is one more; of nothing, one empty page."""
    for start in range(0, len(refs) or 1, size):
        yield refs[start : start + size], start + size < len(refs)


def _ordered_by_id_upward(oracle: Oracle, refs: set[str], keys: Sequence[EntityOrder]) -> Refs:
    found = sorted(refs, key=lambda ref: (oracle.images[ref].name.lower(), oracle.ids[ref]))
    for key in reversed(keys):
        found = by_key(found, partial(oracle.value, key), key)
    return found


def _with_nulls_that_turn(
    rightly: Callable[..., Refs], refs: Refs, value: Callable[[str], Any], key: EntityOrder
) -> Refs:
    turned = NullsOrder.FIRST if key.nulls is NullsOrder.LAST else NullsOrder.LAST
    return rightly(refs, value, replace(key, nulls=turned) if key.direction is OrderDirection.DESC else key)


THIS = sys.modules[__name__]
FAULTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "ne asks for another value": lambda patch: patch.setitem(matches._OPERATORS, "ne", matches._some(operator.ne)),
    "notIn asks for another value": lambda patch: patch.setitem(
        matches._OPERATORS, "not_in", matches._some(lambda value, wanted: value not in wanted)
    ),
    "an empty list asks nothing": lambda patch: patch.setitem(
        matches._OPERATORS, "in_", matches._some(lambda value, wanted: not wanted or value in wanted)
    ),
    "prefix has no case": lambda patch: patch.setitem(
        matches._OPERATORS, "prefix", matches._some(lambda value, wanted: value.lower().startswith(wanted.lower()))
    ),
    "contains knows wildcards": lambda patch: patch.setitem(
        matches._OPERATORS, "contains", matches._some(lambda value, wanted: wanted.strip("%") in value)
    ),
    "an empty text is absent": lambda patch: patch.setitem(
        matches._OPERATORS, "exists", lambda wanted: lambda values: any(values) is wanted
    ),
    "a filter that no part matches": lambda patch: patch.setattr(matches, "_any", lambda _: lambda _: True),
    "an instant is before itself": lambda patch: patch.setattr(
        THIS, "is_within", lambda asked, at: asked.before is None or at <= asked.before
    ),
    "ties go upward": lambda patch: patch.setattr(Oracle, "ordered", _ordered_by_id_upward),
    "absent values turn with the direction": lambda patch: patch.setattr(
        THIS, "by_key", partial(_with_nulls_that_turn, by_key)
    ),
}


@pytest.mark.parametrize("asked", [1], indirect=True)
def test_a_wrong_meaning_is_found(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    answered = [(question, asked.answer(*question)) for question in _drawn(asked.questions, 300)]
    unseen = []
    for name, plant in FAULTS.items():
        with monkeypatch.context() as patch:
            plant(patch)
            if all(asked.expected(*question) == refs for question, refs in answered):
                unseen.append(name)
    assert unseen == []
    assert all(asked.expected(*question) == refs for question, refs in answered)


def _drawn(questions: st.SearchStrategy[Any], count: int) -> list[Any]:
    """The same questions every time."""
    found = []

    @settings(max_examples=count, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(questions)
    def draw(question: Any) -> None:
        found.append(question)

    draw()
    return found


def test_every_field_is_asked() -> None:
    asked = {*FIELDS, "allOf", "anyOf", "not", "text"}
    assert asked == {_spelled(spec.name) for spec in fields(EntityFilter)}


def _spelled(name: str) -> str:
    head, *tail = name.rstrip("_").split("_")
    return head + "".join(map(str.capitalize, tail))
