"""From the text of a document to an operation that may be run, and its run."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from typing import Any

import strawberry
from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    OperationType,
    TokenKind,
    parse,
    specified_rules,
    validate,
)
from graphql.execution.values import VariableValues
from graphql.validation.rules import overlapping_fields_can_be_merged
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from api.contexts import Counting
from api.wanted import in_time
from db.engine import failure_of
from schema.access import rules_of
from schema.caller import Caller
from schema.errors import (
    BadUserInput,
    OperationNotFound,
    ParseFailed,
    TokenLimit,
    ValidationFailed,
    VariablesRefused,
    origin,
)
from schema.levels.operation import Operation
from schema.limits import Limits, Weight, weigh

MOST_KEPT = 50_000  # fields of plans
_CHARACTERS = 10  # of a document, that take about the memory of one field of a plan
_RETRY = 0.5  # seconds between two tries of an event while the database is away
_LEAST = 20  # fields that each operation is counted as, at least: so there are never too many to count
_LONGEST = 50_000  # characters of a document that is kept; 2,000 tokens are longer only by comments and spaces

# Strawberry's own two, beside those of the specification, as its own endpoint has them.
_RULES = (*specified_rules, MaybeNullValidationRule, OneOfInputValidationRule)

# How many pairs of fields of one name graphql-core compares before it gives up. A page has hundreds; this many take a
# tenth of a second.
overlapping_fields_can_be_merged.MAX_COMPLEXITY_BUDGET = 30_000
_ABORTED = GraphQLError("The document repeats fields so often that it takes too long to check; ask for each field once")


# Makes a context, for as long as something runs in it.
Fresh = Callable[[], AbstractAsyncContextManager[Counting]]
# Lets somebody have an operation of this cost, or raises what they are told instead.
Admit = Callable[[Caller, int], None]


def _let_in(_caller: Caller, _cost: int) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Ready:
    """An operation that fits the schema and the limits. Nothing in it belongs to one request."""

    operation: Operation
    weight: Weight
    grown: Callable[[], object] = bool  # to be told when its plans have grown
    admit: Admit = _let_in

    @property
    def name(self) -> str | None:
        """The name that the document gives it."""
        name = self.operation.definition.name
        return name.value if name else None

    @property
    def type(self) -> OperationType:
        """Query, mutation or subscription."""
        return self.operation.definition.operation

    async def run(self, given: dict[str, Any], context: Counting) -> ExecutionResult:
        """The answer, with its cost. Raises VariablesRefused, CostLimit, Forbidden, and what `admit` does."""
        variables, cost = self._bound(given)
        self.weight.allow(context.caller, variables.coerced)
        self.admit(context.caller, cost)
        return await self._run(variables, cost, context)

    def subscribe(self, given: dict[str, Any], fresh: Fresh, seconds: float) -> AsyncGenerator[ExecutionResult]:
        """The answers to the events of a subscription, each with its cost.

        The stream of events has a context of its own, and so has each answer, since loaders keep what they have read.
        An answer is given within `seconds`. Closing the answers closes the stream. Raises VariablesRefused, CostLimit;
        the answers end with whatever the stream raises, or with Timeout; with what `run` raises before the first, or as
        soon as the caller may not have another.
        """
        variables, cost = self._bound(given)
        return self._answers(variables, cost, fresh, seconds)

    async def _answers(
        self, variables: VariableValues, cost: int, fresh: Fresh, seconds: float
    ) -> AsyncGenerator[ExecutionResult]:
        async with fresh() as context:
            self.weight.allow(context.caller, variables.coerced)
            self.admit(context.caller, cost)
            events = await in_time(self.operation.subscribe(variables, context), seconds)
            async with aclosing(events):
                async for event in events:
                    yield await in_time(self._answer(variables, cost, fresh, event), seconds)
                    await asyncio.sleep(0)  # others have their turn, even if neither stream nor client ever waits

    async def _answer(self, variables: VariableValues, cost: int, fresh: Fresh, event: object) -> ExecutionResult:
        """The answer to one event, over outages of the database: nobody would ask for the event again."""
        while True:
            async with fresh() as own:
                self.weight.allow(own.caller, variables.coerced)
                answer = await self._run(variables, cost, own, event)
            if not any(failure_of(origin(error)) == "unavailable" for error in answer.errors or ()):
                return answer
            await asyncio.sleep(_RETRY)

    def _bound(self, given: dict[str, Any]) -> tuple[VariableValues, int]:
        """The values of the variables, and what the operation costs with them."""
        variables = self.operation.variables(given)
        if isinstance(variables, list):
            raise VariablesRefused(variables)
        return variables, self.weight.check(variables.coerced)

    async def _run(self, variables: VariableValues, cost: int, context: object, root: object = None) -> ExecutionResult:
        planned = self.operation.weight
        try:
            result = await self.operation.run(variables, context, root)
        finally:
            if self.operation.weight != planned:
                self.grown()
        return ExecutionResult(result.data, result.errors, {"cost": cost})


class Operations:
    """The operations over one schema. Those that were asked for lately are kept, up to a sum of their weights."""

    def __init__(
        self, schema: strawberry.Schema, limits: Limits, *, token_limit: int = 2000, admit: Admit = _let_in
    ) -> None:
        self._schema, self._limits, self._token_limit, self._admit = schema, limits, token_limit, admit
        self._rules = rules_of(schema)
        self._ready: OrderedDict[tuple[str, str | None], Ready] = OrderedDict()

    def ready(self, text: str, name: str | None = None) -> Ready:
        """The operation called `name` in `text`, or its only one.

        Nesting is bounded by graphql-core itself, at 200 selection sets. Raises ParseFailed, TokenLimit, BadUserInput,
        ValidationFailed, OperationNotFound, or the errors of `schema.limits.weigh`.
        """
        key = (text, name)
        ready = self._ready.get(key)
        if ready is None:
            ready = self._made(text, name)
            if len(text) <= _LONGEST:
                self._ready[key] = ready
                self._make_room()
        else:
            self._ready.move_to_end(key)
        return ready

    def _made(self, text: str, name: str | None) -> Ready:
        document = _parse(text, self._token_limit)
        _refuse_nul(document)
        _unchain_tokens(document)
        schema = self._schema._schema  # noqa: SLF001 - Strawberry has no other door to it
        if errors := validate(schema, document, _RULES):
            raise ValidationFailed([_ABORTED if error.message == "Validation aborted." else error for error in errors])
        definition = _select(document, name)
        weight = weigh(schema, document, definition, self._limits, self._rules)
        return Ready(Operation(self._schema, document, definition), weight, self._make_room, self._admit)

    def _make_room(self) -> None:
        """Forget what was not asked for the longest time. Plans grow while they are used, so all are counted."""
        weights = {key: _weight(key[0], ready) for key, ready in self._ready.items()}
        total = sum(weights.values())
        for key, weight in weights.items():
            if total <= MOST_KEPT:
                return
            del self._ready[key]
            total -= weight


def _weight(text: str, ready: Ready) -> int:
    """In fields of plans."""
    return _LEAST + len(text) // _CHARACTERS + ready.operation.weight


def _parse(text: str, token_limit: int) -> DocumentNode:
    try:
        return parse(text, max_lexical_tokens=token_limit, max_comments=token_limit)
    except GraphQLSyntaxError as error:
        too_many = error.description.startswith("Document contains more than")
        raise (TokenLimit if too_many else ParseFailed)([error]) from None


def _select(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if name is not None:
        operations = [node for node in operations if node.name and node.name.value == name]
    match operations:
        case [operation]:
            return operation
        case [] if name is not None:
            raise OperationNotFound(f"The document has no operation named {name!r}")
        case []:
            raise OperationNotFound("The document has no operation")
    raise OperationNotFound("The document has several operations: say which one in 'operationName'")


def _refuse_nul(document: DocumentNode) -> None:
    """Postgres cannot store NUL in a text, so no argument may bring one."""
    token = document.loc.start_token if document.loc else None
    while token:
        if token.kind in {TokenKind.STRING, TokenKind.BLOCK_STRING} and "\0" in (token.value or ""):
            raise BadUserInput("A string in the document holds the character NUL, which no text may hold")
        token = token.next


def _unchain_tokens(document: DocumentNode) -> None:
    """Let go of the order of the tokens, which nobody asks for from now on.

    Each knows the one before and the one after. So a document that is forgotten would wait for the garbage collector,
    which seldom looks at what has been there for long.
    """
    token = document.loc.start_token if document.loc else None
    while token:
        following = token.next
        token.prev = token.next = None
        token = following
