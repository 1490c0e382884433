"""That the comparison can be trusted: its reference is graphql-core, and it sees what is wrong."""

from __future__ import annotations

import asyncio
import gc
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from inspect import isawaitable
from typing import Any

import pytest
import strawberry
from graphql import (
    ExecutionResult,
    FieldNode,
    GraphQLError,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    execute,
    parse,
    visit,
)

from tests.schema.levels.chance import Play
from tests.schema.levels.comparing import Position, reference
from tests.schema.levels.odd_schema import DRAWERS, Asked, odd_schema
from tests.schema.levels.operations import RandomOperation, Style, Writer, seeded
from tests.schema.levels.patient import Patient
from tests.schema.levels.playing import Trial
from tests.schema.levels.shrinking import smallest

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def schema() -> strawberry.Schema:
    return odd_schema()


@dataclass(frozen=True)
class Drawn:
    """A valid document, and one set of variables for it."""

    operation: RandomOperation
    document: Any
    variables: dict[str, Any]
    salt: int


def documents(schema: strawberry.Schema, seed: str, style: Style, number: int, *, plays: int = 1) -> Iterator[Drawn]:
    """So many documents, without those that are not valid, each with so many sets of variables."""
    for place in range(number):
        random = seeded(seed, place)
        drawn = Writer(schema._schema, random, style, DRAWERS).operation()
        document = Trial(schema, Patient, drawn.text, drawn.kind, drawn.name).document()
        for _ in range(plays if document else 0):
            yield Drawn(drawn, document, drawn.values(random), random.randrange(10**6))


def below(position: Position, error: GraphQLError) -> bool:
    path = tuple(error.path or ())
    return error.path is not None and len(path) > len(position) and path[: len(position)] == position


@pytest.fixture
async def unheard() -> AsyncIterator[None]:
    """Nobody hears of the errors that graphql-core left in futures when it stopped."""
    loop = asyncio.get_running_loop()
    handler = loop.get_exception_handler()
    loop.set_exception_handler(lambda _loop, _context: None)
    yield
    gc.collect()
    loop.set_exception_handler(handler)


# When graphql-core stops, coroutines of its own are left over, too.
@pytest.mark.usefixtures("unheard")
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited", "ignore::pytest.PytestUnraisableExceptionWarning")
async def test_the_reference_is_graphql_core_where_that_does_not_depend_on_timing(schema: strawberry.Schema) -> None:
    seen: Counter[str] = Counter()
    for drawn in documents(schema, "core", Style(kinds=("query", "query", "mutation")), 120, plays=4):
        theirs, ours = Asked(Play(drawn.salt)), Asked(Play(drawn.salt))
        asked = schema._schema, drawn.document, drawn.operation.name, drawn.variables
        answer = await reference(*asked, theirs)
        core = execute(
            schema._schema,
            drawn.document,
            context_value=ours,
            variable_values=drawn.variables,
            operation_name=drawn.operation.name,
        )
        try:
            core = await core if isawaitable(core) else core
        except asyncio.CancelledError:  # it cancelled a loader's future, which another field was waiting for, too
            seen["cancelled itself"] += 1
            continue
        assert json.dumps(core.data) == json.dumps(answer.result.data)
        assert ours.play.effects == theirs.play.effects
        assert ours.play.calls <= theirs.play.calls

        found = list(core.errors or ())
        for position in answer.nulled:
            (error,) = (e for e in answer.result.errors or () if below(position, e))
            reported = [e for e in found if below(position, e)]
            assert reported
            seen["same error"] += any(e.formatted == error.formatted for e in reported)
            seen["other error"] += all(e.formatted != error.formatted for e in reported)
            seen["more errors"] += len(reported) > 1
            found = [e for e in found if e not in reported]
        certain = [e for e in answer.result.errors or () if not any(below(p, e) for p in answer.nulled)]
        assert sorted(json.dumps(e.formatted) for e in found) == sorted(json.dumps(e.formatted) for e in certain)
    assert seen["same error"] > 50, seen
    assert seen["other error"] > 1
    assert seen["more errors"] > 3


Lie = Callable[[ExecutionResult], ExecutionResult]


def _with_data(change: Callable[[Any], Any]) -> Lie:
    """Change the first value for which that makes a difference."""

    def walk(value: Any) -> Any:
        changed = change(value)
        if changed is not NotImplemented:
            return changed
        if isinstance(value, dict):
            return {key: walk(part) for key, part in value.items()}
        return [walk(part) for part in value] if isinstance(value, list) else value

    return lambda result: ExecutionResult(walk(result.data), result.errors)


def _with_errors(change: Callable[[list[GraphQLError]], list[GraphQLError]]) -> Lie:
    return lambda result: ExecutionResult(result.data, change(list(result.errors or ())))


def _with_error(**changed: Any) -> Lie:
    def other(error: GraphQLError) -> GraphQLError:
        parts = {
            "message": error.message,
            "nodes": error.nodes,
            "path": error.path,
            "original_error": error.original_error,
            "extensions": error.extensions,
        }
        changes = {name: change(error) for name, change in changed.items()}
        return GraphQLError(**{**parts, **changes})

    return _with_errors(lambda errors: [other(error) for error in errors])


LIES: dict[str, Lie] = {
    "keys in another order": _with_data(
        lambda v: dict(reversed(v.items())) if isinstance(v, dict) and len(v) > 1 else NotImplemented
    ),
    "a key too many": _with_data(lambda v: {**v, "more": None} if isinstance(v, dict) else NotImplemented),
    "a key too few": _with_data(lambda v: dict(list(v.items())[1:]) if isinstance(v, dict) else NotImplemented),
    "a float for an int": _with_data(lambda v: float(v) if type(v) is int else NotImplemented),
    "an int for a bool": _with_data(lambda v: int(v) if type(v) is bool else NotImplemented),
    "null for a text": _with_data(lambda v: None if v == "Component" else NotImplemented),
    "a list in another order": _with_data(
        lambda v: v[::-1] if isinstance(v, list) and v != v[::-1] else NotImplemented
    ),
    "an empty object for null": _with_data(lambda v: {} if v is None else NotImplemented),
    "an error less": _with_errors(lambda errors: errors[1:]),
    "an error twice": _with_errors(lambda errors: errors + errors[:1]),
    "errors in another order": _with_errors(lambda errors: errors[::-1]),
    "another message": _with_error(message=lambda e: e.message + " "),
    "another path": _with_error(path=lambda e: [*(e.path or []), 0]),
    "no path": _with_error(path=lambda _: None),
    "another location": _with_error(nodes=lambda e: (e.nodes or [])[:1] * 2),
    "no location": _with_error(nodes=lambda _: None),
    "extensions": _with_error(extensions=lambda _: {"code": "OTHER"}),
    "another cause": _with_error(original_error=lambda _: KeyError("other")),
}


class Liar(Patient):
    """An executor with a fault."""

    lie: Lie

    async def run(self, variables: dict[str, Any], context: Any) -> ExecutionResult:
        return type(self).lie(await super().run(variables, context))


class Twice(Patient):
    """Runs everything twice."""

    async def run(self, variables: dict[str, Any], context: Any) -> ExecutionResult:
        await super().run(variables, context)
        return await super().run(variables, context)


class Forgetful(Patient):
    """Runs nothing, and answers from what it knows."""

    async def run(self, variables: dict[str, Any], context: Any) -> ExecutionResult:
        return await super().run(variables, Asked(replace(context.play, calls=Counter(), effects=[])))


FAULTS: dict[str, Any] = {name: type("Liar", (Liar,), {"lie": staticmethod(lie)}) for name, lie in LIES.items()}
FAULTS |= {"everything twice": Twice, "nothing": Forgetful}


@pytest.fixture(scope="module")
def some_documents(schema: strawberry.Schema) -> list[Drawn]:
    return list(documents(schema, "faults", Style(), 40, plays=2))


@pytest.mark.parametrize("executor", [Patient, *FAULTS.values()], ids=["no fault", *FAULTS])
async def test_a_fault_does_not_go_unseen(
    schema: strawberry.Schema, some_documents: list[Drawn], executor: type[Patient]
) -> None:
    differences = 0
    for drawn in some_documents:
        trial = Trial(schema, executor, drawn.operation.text, "query", drawn.operation.name)
        operation = trial.prepared(drawn.document)
        differences += await trial.difference(drawn.document, operation, drawn.variables, drawn.salt) is not None
    assert differences > 3 if executor is not Patient else differences == 0


class _Names(Visitor):
    def __init__(self, types: TypeInfo) -> None:
        super().__init__()
        self.types = types
        self.found: set[tuple[str, str]] = set()

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        self.found.add((str(self.types.get_parent_type()), node.name.value))


async def test_documents_come_to_all_fields_in_all_ways(schema: strawberry.Schema) -> None:
    types = TypeInfo(schema._schema)
    names = _Names(types)
    texts = []
    for drawn in documents(schema, "all", Style(kinds=("query", "query", "mutation", "subscription")), 400):
        visit(drawn.document, TypeInfoVisitor(types, names))
        texts.append(drawn.operation.text)
    every = {
        (name, field)
        for name, type_ in schema._schema.type_map.items()
        if hasattr(type_, "fields") and not hasattr(type_, "coerce_input_value") and not name.startswith("__")
        for field in getattr(type_, "fields", {})
        if not schema._schema.type_map[name].__class__.__name__.startswith("GraphQLInput")
    }
    assert len(texts) > 380
    assert every - names.found == set()
    written = "\n".join(texts)
    ways = ["@skip(if: $", "@include(if: true", "fragment ", "... on ", "... {", "... @", "null", "__schema", "__type("]
    assert [way for way in ways if way not in written] == []


async def test_what_fails_is_made_small() -> None:
    text = "query ($a: Int, $b: Int) { one(n: $a) { two ...F } three(n: $b) { four ... { five } } } fragment F on T { six }"

    async def fails(smaller: str) -> bool:
        parse(smaller)
        return "five" in smaller

    assert (await smallest(text, fails)).split() == [
        "query",
        "($b:",
        "Int)",
        "{",
        "three(n:",
        "$b)",
        "{",
        "...",
        "{",
        "five",
        "}",
        "}",
        "}",
    ]
