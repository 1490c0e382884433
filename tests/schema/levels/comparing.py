"""What the executor must answer, found with graphql-core.

graphql-core does not say which error it reports where several would null the same position. When a value fails that may
not be null, it stops what else happens below the nearest position that may be (`executor.py`: `gather_with_cancel`,
`CollectedErrors`), so that the errors in its answer depend on which resolver was faster. The specification allows that
("Handling Execution Errors": siblings may be cancelled, and each nulled position has one error at least).

Our executor finishes its work and then moves the nulls up. Its answer depends on the values alone, and this is the rule
that it is compared by:

- The data are graphql-core's, in the same order of keys.
- A position that failed itself, and may be null, has its own error.
- A position that was nulled because of others below has exactly one error: of those errors that would have come up to
  it one by one, the first in the order of the response.
- There is no error below a nulled position.
- The errors stand in the order of the response.

So the reference is graphql-core with one change: it never propagates an error, and so never stops (`Witness`), but for
a mutation: once its data are lost no further root field is begun, as there. What it finds is then propagated by that
rule, in a few lines.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from inspect import isawaitable
from typing import Any, Self, cast

from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLSchema,
    OperationType,
    Undefined,
    create_source_event_stream,
    is_non_null_type,
    located_error,
)
from graphql.execution import Executor

Position = tuple[str | int, ...]  # a path in the response; of an event, in its own response


@dataclass(frozen=True)
class Answer:
    """The answer that is expected, and how it came about."""

    result: ExecutionResult
    failures: int = 0  # errors before propagation
    nulled: frozenset[Position] = frozenset()  # by an error below

    def difference(self, result: ExecutionResult) -> str | None:
        """What is wrong with a result that should be this answer; None when nothing is."""
        (data, errors), (other_data, other_errors) = _comparable(self.result), _comparable(result)
        if (data, errors) == (other_data, other_errors):
            return None
        lines = [] if data == other_data else [f"expected {data}", f"answered {other_data}"]
        lines += [f"missing  {error}" for error in errors if error not in other_errors]
        lines += [f"unwanted {error}" for error in other_errors if error not in errors]
        lines += [f"twice    {error}" for error in sorted(set(other_errors)) if other_errors.count(error) > 1]
        return "\n".join(lines or ["the errors are in another order:", *other_errors])


async def reference(
    schema: GraphQLSchema,
    document: DocumentNode,
    name: str | None,
    variables: dict[str, Any],
    context: Any,
) -> Answer:
    """The answer to a query or mutation."""
    executor = Witness.build(schema, document, None, context, variables, name)
    if isinstance(executor, list):
        return Answer(ExecutionResult(None, executor))
    return await _answer(executor)


async def run(operation: Any, variables: dict[str, Any], context: Any) -> ExecutionResult:
    """Our executor's answer; where it raises, an answer that nothing equals."""
    try:
        result: ExecutionResult = await operation.run(variables, context)
    except Exception:  # noqa: BLE001 - an executor raises nothing
        return ExecutionResult({"raised": traceback.format_exc()}, None)
    return result


async def reference_events(
    schema: GraphQLSchema,
    document: DocumentNode,
    name: str | None,
    variables: dict[str, Any],
    context: Any,
) -> AsyncIterator[Answer]:
    """The answer to each event of a subscription, or the one answer where it is refused."""
    executor = Witness.build(schema, document, None, context, variables, name)
    if isinstance(executor, list):
        yield Answer(ExecutionResult(None, executor))
        return
    stream = create_source_event_stream(executor)
    stream = await stream if isawaitable(stream) else stream
    if isinstance(stream, ExecutionResult):
        yield Answer(stream)
        return
    async for event in stream:
        yield await _answer(executor.build_per_event_executor(event))


@dataclass
class Seen:
    """What happened in one execution without propagation."""

    failures: dict[Position, GraphQLError] = field(default_factory=dict)
    strict: set[Position] = field(default_factory=set)  # positions that may not be null

    def nullable(self, position: Position) -> Position:
        """The nearest position that may be null; () is the data as a whole."""
        while position in self.strict:
            position = position[:-1]
        return position


class Witness(Executor[None]):
    """graphql-core's executor, but an error stays where it happened, and everything else goes on."""

    seen: Seen

    def build_per_event_executor(self, payload: Any) -> Self:
        executor = cast("Self", super().build_per_event_executor(payload))
        executor.seen = Seen()
        return executor

    def execute_field(self, parent_type: Any, source: Any, details: Any, path: Any, context: Any) -> Any:
        is_root_of_mutation = self.operation.operation is OperationType.MUTATION and path.prev is None
        if is_root_of_mutation and () in map(self.seen.nullable, self.seen.failures):
            return Undefined
        return super().execute_field(parent_type, source, details, path, context)

    def complete_value(  # noqa: PLR0917 - graphql-core calls it so
        self, return_type: Any, details: Any, info: Any, path: Any, result: Any, context: Any
    ) -> Any:
        self._note(return_type, path)
        return super().complete_value(return_type, details, info, path, result, context)

    def handle_field_error(self, raw_error: Exception, return_type: Any, details: Any, path: Any) -> None:
        self._note(return_type, path)
        position = path.as_list()
        self.seen.failures[tuple(position)] = located_error(raw_error, [one.node for one in details], position)

    def _note(self, return_type: Any, path: Any) -> None:
        if is_non_null_type(return_type):
            self.seen.strict.add(tuple(path.as_list()))


async def _answer(executor: Executor[None]) -> Answer:
    assert isinstance(executor, Witness)
    executor.seen = Seen()
    result: Any = executor.execute_operation()
    result = await result if isawaitable(result) else result
    if result.errors:  # not of a field: a directive of the root has no value
        return Answer(result)
    return propagated(result.data, executor.seen)


def propagated(data: dict[str, Any], seen: Seen) -> Answer:
    """What is left when nulls have moved up, by the rule of this module. The data are changed."""
    found: dict[Position, tuple[Position, GraphQLError]] = {}  # by the position that becomes null
    for position in sorted(seen.failures, key=lambda position: _place(data, position)):
        found.setdefault(seen.nullable(position), (position, seen.failures[position]))
    outermost = {at: known for at, known in found.items() if not any(at[:n] in found for n in range(len(at)))}
    answer: dict[str, Any] | None = data
    for at in outermost:
        if at:
            _at(data, at[:-1])[at[-1]] = None
        else:
            answer = None
    return Answer(
        ExecutionResult(answer, [error for _, error in outermost.values()] or None),
        failures=len(seen.failures),
        nulled=frozenset(at for at, (position, _) in outermost.items() if at != position),
    )


def _place(data: Any, position: Position) -> list[int]:
    """Where a position stands in the response; to be compared with others of the same response."""
    place = []
    for key in position:
        place.append(key if isinstance(key, int) else list(data).index(key))
        data = data[key]
    return place


def _at(data: Any, position: Position) -> Any:
    for key in position:
        data = data[key]
    return data


def _comparable(result: ExecutionResult) -> tuple[str, list[str]]:
    """The data as JSON, which keeps the order of keys; of each error what a client sees, and what sort of cause it had."""
    return json.dumps(result.data, default=repr), [_described(error) for error in result.errors or ()]


def _described(error: GraphQLError) -> str:
    seen: Mapping[str, Any] = {**error.formatted, "cause": type(error.original_error).__name__}
    return json.dumps(seen, sort_keys=True, default=repr)
