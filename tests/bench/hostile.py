"""What the dearest documents of 2,000 tokens cost before their SQL runs, and what thousands of documents leave behind.

For the former, statements are made but do not run: rows are made up, with every type that may come. So plans grow as
far as any catalog could make them grow, and no time goes to Postgres.
"""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from time import process_time
from typing import Any, cast
from unittest.mock import patch

import strawberry
from graphql import (
    GraphQLObjectType,
    Lexer,
    OperationDefinitionNode,
    Source,
    TokenKind,
    get_introspection_query,
    parse,
    validate,
)
from sqlalchemy import ARRAY, JSON, BigInteger, DateTime, Integer
from sqlalchemy.types import TypeEngine

from api import operation as operations
from db.reading import Reads
from schema.build import create_schema
from schema.context import Context
from schema.errors import CatalogError, CostLimit
from schema.levels.execute import Run
from schema.levels.level import Level, Question
from schema.levels.operation import Operation
from schema.levels.outline import Outline
from schema.levels.tables import TYPE, Answer
from schema.limits import Limits, weigh
from tests.callers import ANYBODY

TYPES = ("API", "Component", "CustomEntity", "Domain", "Group", "Location", "Resource", "System", "Template", "User")
DEEPEST = "Group"  # comes first: it has most of what leads on
ROWS = len(TYPES)  # of each level that is made up, so that every type comes by

_PAGE = "edges{cursor node{name}}nodes{title}pageInfo{hasNextPage hasPreviousPage startCursor endCursor}totalCount"
_LISTS = {
    "API": ("providers", "consumers"),
    "Component": ("subcomponents", "providedApis", "consumedApis", "dependencies", "dependents"),
    "Domain": ("subdomains", "systems"),
    "Group": ("ownedEntities", "children", "members"),
    "Resource": ("dependencies", "dependents"),
    "System": ("components", "apis", "resources"),
    "User": ("groups",),
}


def documents() -> dict[str, str]:
    """Each by what is hostile about it; all are valid. Many are beyond the limits, and would be refused by them."""
    return {
        "660 aliases of a leaf": _entity(" ".join(f"a{n}:name" for n in range(660))),
        "objects 15 deep": _entity(_nested("owner{", 14)),
        "objects 40 deep": _entity(_nested("owner{", 39)),
        "lists in lists, 15 deep": _entity(_nested("relations(first:1){nodes{target{", 7)),
        "lists in lists, 80 deep": _entity(_nested("relations(first:1){nodes{target{", 40)),
        "each type at every level, 7 deep": _entity(_by_type(7)),
        "each type at every level, by fragments": by_type_in_fragments(12),
        "another choice of fragments on each way": _choices(9),
        "such choices within the limits": _choices(6),
        "fields that are merged": _entity("owner{name}" * 60),
        "fragments that double": _doubling(40, "...F{0} ...F{0}"),
        "objects that double": objects_that_double(6),
        "300 lists of one object": _entity(" ".join(f"a{n}:labels{{key}}" for n in range(300))),
        "30 lists of one object": f'{{component(ref:"a"){{{_pages(f"a{n}:dependencies" for n in range(30))}}}}}',
        "pages with everything, of every type": _pages_of_every_type(),
        "60 alternatives in a filter": _filters(60),
        "the schema itself": get_introspection_query(),
    }


def _entity(selected: str) -> str:
    return f'{{entity(ref:"component:default/a"){{{selected}}}}}'


def _nested(opening: str, times: int) -> str:
    return opening * times + "name" + "}" * times * opening.count("{")


def _by_type(levels: int) -> str:
    if levels == 0:
        return "name"
    others = "".join(f"...on {one}{{createdAt owner{{id etag}}}}" for one in TYPES if one != "Group")
    return f"kind {others}...on Group{{relations(first:1){{nodes{{target{{{_by_type(levels - 1)}}}}}}}}}"


def objects_that_double(levels: int) -> str:
    """Each object has two others; there is a fragment for each level."""
    return _doubling(levels, "owner{{...F{0}}} relations(first:1){{nodes{{target{{...F{0}}}}}}}")


def by_type_in_fragments(levels: int) -> str:
    """Each type has an owner of its own, of whom the next fragment asks the same."""
    each = "".join(f"...on {one}{{owner{{...F{{0}}}}}}" for one in TYPES)
    return _doubling(levels, each.replace("{", "{{").replace("}", "}}").replace("{{0}}", "{0}"))


def _doubling(levels: int, selected: str) -> str:
    """A chain of fragments on entities, each of which selects the next as `selected` says."""
    chain = (f"fragment F{n} on Entity{{{selected.format(n + 1)}}}" for n in range(levels))
    return _entity("...F0") + "".join(chain) + f"fragment F{levels} on Entity{{name}}"


def _choices(levels: int) -> str:
    """At each level there are two ways, and one of them takes a fragment more along, down to the last level."""
    goes_on = "fragment F{0}x{1} on Group{{parent{{...F{0}x{2}}}owner{{...F{0}x{2}}}}}"
    ends = "fragment F{0}x{1} on Group{{name}}"
    fragments = [
        (goes_on if level < levels else ends).format(begun, level, level + 1)
        for begun in range(1, levels + 1)
        for level in range(begun, levels + 1)
    ]
    spine = [
        f"fragment S{level} on Group{{parent{{...S{level + 1} ...F{level + 1}x{level + 1}}}owner{{...S{level + 1}}}}}"
        for level in range(levels)
    ]
    return '{group(ref:"a"){...S0}}' + "".join(spine + fragments) + f"fragment S{levels} on Group{{name}}"


def _pages_of_every_type() -> str:
    by_type = "".join(
        f"...on {one}{{" + " ".join(f"{name}(first:1){{{_PAGE}}}" for name in names) + "}"
        for one, names in _LISTS.items()
    )
    return f"{{entities(first:1){{nodes{{relations(first:1){{nodes{{target{{{by_type}}}}}}}{by_type}}}}}}}"


def _pages(names: Iterable[str]) -> str:
    return " ".join(f"{name}(first:1){{{_PAGE}}}" for name in names)


def _filters(alternatives: int) -> str:
    each = " ".join(f'{{name:{{eq:"{n}"}}}}' for n in range(alternatives))
    return f"{{entities(filter:{{anyOf:[{each}]}}){{totalCount nodes{{name}}}}}}"


@dataclass(frozen=True, slots=True)
class Price:
    """What one document costs, in milliseconds of CPU, and how far it comes."""

    document: str
    tokens: int
    parse_ms: float
    validate_ms: float
    weigh_ms: float
    plan_ms: float  # with all statements, as far as the plan's own limit lets it come
    statements: int
    longest_text: int  # characters of a statement
    plan_weight: int
    refused: str  # by which limit; empty when it is answered


def priced(times: int) -> Iterator[Price]:
    """What each document costs, the least of so many times; with the garbage collector as a server has it."""
    schema = create_schema()
    with _collecting_as_a_server_does():
        for title, text in documents().items():
            yield _priced(schema, title, text, times)


def _priced(schema: strawberry.Schema, title: str, text: str, times: int) -> Price:
    inner = schema._schema
    parsing, document = _least(times, lambda: parse(text))
    validating, errors = _least(times, lambda: validate(inner, document, operations._RULES))
    definition = next(node for node in document.definitions if isinstance(node, OperationDefinitionNode))
    weighing, refused = _least(
        times, lambda: _refused_by(lambda: weigh(inner, document, definition, Limits(), {}).check({}))
    )
    planning, planned = _least(times, lambda: asyncio.run(planned_alone(Operation(schema, document, definition))))
    return Price(
        document=title,
        tokens=tokens_of(text),
        parse_ms=parsing,
        validate_ms=validating,
        weigh_ms=weighing,
        plan_ms=planning,
        statements=len(planned.statements),
        longest_text=max(map(len, planned.statements), default=0),
        plan_weight=planned.weight,
        refused=("GRAPHQL_VALIDATION_FAILED" if errors else "") or refused or planned.refused,
    )


@contextmanager
def _collecting_as_a_server_does() -> Iterator[None]:
    """With the garbage collector's settings of `api.server`."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def tokens_of(text: str) -> int:
    """How many tokens a document has."""
    lexer, found = Lexer(Source(text)), 0
    while lexer.advance().kind is not TokenKind.EOF:
        found += 1
    return found


@dataclass(frozen=True, slots=True)
class Planned:
    """What became of an operation without a database."""

    statements: list[str]  # their texts, in the order of their making
    weight: int
    refused: str


async def planned_alone(operation: Operation) -> Planned:
    """Plan an operation as far as it goes, on rows that are made up."""
    texts: list[str] = []

    async def read(_level: Level, run: Run, question: Question, keys: Sequence[list[Any]], /) -> Answer:
        texts.append(question.statement.text)
        is_list = any(not outline.edge.is_single for outline in question.statement.outlines)
        return _made_up(run, question, keys, most=ROWS if is_list else 1)

    refused = ""
    with (
        patch.object(Level, "read", read),
        Context(caller=ANYBODY, reads=cast("Reads", None), request_id="bench") as context,
    ):
        variables = operation.variables({})
        if isinstance(variables, list):
            raise variables[0]
        try:
            await operation.run(variables, context)
        except CostLimit as error:
            refused = error.code
    return Planned(texts, operation.weight, refused)


def _made_up(run: Run, question: Question, keys: Sequence[list[Any]], *, most: int) -> Answer:
    """Rows for a question, of all types in turn: one for each parent, and `most` in all where there are fewer parents."""
    statement, asked = question
    statement.values(asked, keys)
    parents = len(keys[0]) if keys else 1
    rows = max(parents, most)
    columns: list[Any] = [["x"] * rows] * statement.width
    for outline in statement.outlines:
        for name, position in outline.columns.items():
            columns[position] = _column(run, outline, name, rows)
    for position in statement.totals.values():
        columns[position] = [ROWS] * rows
    if keys:
        columns[0] = sorted(1 + at % parents for at in range(rows))
    return Answer(statement, asked, columns, rows)


def _column(run: Run, outline: Outline, name: str, rows: int) -> list[Any]:
    if name == TYPE:
        possible = sorted(run.plan.possible(_items_type(outline)), key=lambda name: (name != DEEPEST, name))
        return [possible[at % len(possible)] for at in range(rows)]
    return [_value(outline.edge.columns[name])] * rows


def _value(type_: TypeEngine[Any]) -> Any:
    if isinstance(type_, ARRAY):
        return ["x"]
    if isinstance(type_, JSON):
        return {}
    if isinstance(type_, DateTime):
        return datetime.now(UTC)
    return 1 if isinstance(type_, Integer | BigInteger) else "x"


def _items_type(outline: Outline) -> Any:
    """The type of the rows; of a page's, that of its nodes."""
    named = outline.field.named
    nodes = named.fields.get("nodes") if isinstance(named, GraphQLObjectType) else None
    return nodes.type.of_type.of_type.of_type if nodes else named


def _least(times: int, work: Callable[[], Any]) -> tuple[float, Any]:
    """The least milliseconds of CPU that it takes, and what it gives."""
    least, given = float("inf"), None
    for _ in range(times):
        begun = process_time()
        given = work()
        least = min(least, process_time() - begun)
    return round(1000 * least, 2), given


def _refused_by(check: Callable[[], object]) -> str:
    """The code of the error that it raises."""
    try:
        check()
    except CatalogError as error:
        return error.code
    return ""


# What many documents leave behind

_SEEN = (1_000, 2_500, 5_000, 7_500, 10_000)
_FIELDS = ("name", "title", "kind", "type", "description", "createdAt", "etag", "ownerRef", "tags", "namespace")
_LINKS = (
    "owner{{{0}}}",
    "relations(first:5){{totalCount nodes{{type target{{{0}}}}}}}",
    "...on Component{{system{{{0} domain{{{0}}}}}}}",
    "problems(first:5){{nodes{{message}}}}",
)


@dataclass(frozen=True, slots=True)
class Memory:
    """What the process holds after so many documents, each of them asked once."""

    documents: int
    resident_mb: float  # of memory
    kept: int  # operations
    kept_weight: int


async def remembered(url: str) -> AsyncIterator[Memory]:
    """The memory after ever more distinct documents, asked of the catalog at `url` as a server is asked."""
    kept, reads = operations.Operations(create_schema(), Limits()), Reads(url, pool_size=2)
    chance = Random(7)
    try:
        with _collecting_as_a_server_does():
            for number in range(1, _SEEN[-1] + 1):
                await _answered(kept, reads, one_of_many(chance, number))
                if number in _SEEN:
                    weight = sum(ready.operation.weight for ready in kept._ready.values())
                    yield Memory(number, _resident_mb(), len(kept._ready), weight)
    finally:
        await reads.close()


async def _answered(kept: operations.Operations, reads: Reads, text: str) -> None:
    with Context(caller=ANYBODY, reads=reads, request_id="bench") as context:
        result = await kept.ready(text).run({}, context)
    if result.errors:
        raise result.errors[0]


def one_of_many(chance: Random, number: int) -> str:
    """A document like no other: of a few fields and links, in any order, about another entity."""
    fields = " ".join(chance.sample(_FIELDS, chance.randint(1, 6)))
    links = " ".join(link.format(fields) for link in chance.sample(_LINKS, chance.randint(1, 3)))
    entity = f'entity(ref:"component:default/component-{number}"){{{fields} {links}}}'
    return f"query Q{number}{{{entity} entities(first:2){{nodes{{{fields}}}}}}}"


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)
