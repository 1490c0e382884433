"""From the text of a document to an operation that may be run, and its run."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, suppress
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import strawberry
import structlog
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

from api.contexts import RequestContext
from api.documents import Documents
from api.request_parameters import Parameters
from api.settings import COST_OF_A_POINT, Settings
from api.wanted import ended, in_time
from schema.access import NO_INTROSPECTION, rules_of
from schema.caller import Caller
from schema.errors import (
    BadUserInput,
    CatalogError,
    OperationNotFound,
    ParseFailed,
    RequestError,
    TokenLimit,
    Unavailable,
    ValidationFailed,
    VariablesRefused,
)
from schema.levels.operation import Operation
from schema.limits import Limits, Weight, weigh
from schema.outages import is_outage, over_outages

MOST_KEPT = 50_000  # fields of plans
_CHARACTERS = 10  # of a document, that take about the memory of one field of a plan
_END = object()  # of a stream of events
_LOOK_SECONDS = 15.0  # between two looks at the caller of a stream in which nothing happens
_LEAST = 20  # fields that each operation is counted as, at least: so there are never too many to count
_LONGEST = 50_000  # characters of a document that is kept; 2,000 tokens are longer only by comments and spaces

_LENIENCE = 10  # times the limit of tokens, where limits are only reported

_log = structlog.get_logger("catalograph.operation")

# Strawberry's own two, beside those of the specification, as its own endpoint has them.
_RULES = (*specified_rules, MaybeNullValidationRule, OneOfInputValidationRule)

# Of a document that does not fit. To find what may have been meant takes up to 7 ms for each.
_MOST_ERRORS = 5

# How many pairs of fields of one name graphql-core compares before it gives up. A page has hundreds; this many take a
# twentieth of a second.
overlapping_fields_can_be_merged.MAX_COMPLEXITY_BUDGET = 15_000
_ABORTED = GraphQLError("The document repeats fields so often that it takes too long to check; ask for each field once")


# Makes a context, for as long as something runs in it.
Fresh = Callable[[], AbstractAsyncContextManager[RequestContext]]
# Lets somebody have an operation of this cost, or raises what they are told instead.
Admit = Callable[[Caller, int], None]


def _let_in(_caller: Caller, _cost: int) -> None:
    pass


def limits_of(settings: Settings) -> Limits:
    """The limits that the settings set."""
    return Limits(
        depth=settings.depth_limit,
        aliases=settings.alias_limit,
        root_fields=settings.root_field_limit,
        directives=settings.directive_limit,
        operations=settings.operation_limit,
        cost=settings.cost_limit,
        indexed_paths=frozenset(settings.indexed_paths),
    )


class Excess(NamedTuple):
    """What somebody is not told about a limit. It is kept for long, so it holds no error, which holds a whole stack."""

    code: str
    reason: str

    @classmethod
    def of(cls, error: CatalogError) -> Self:
        """What the error would have said."""
        return cls(error.code, error.message)


@dataclass(frozen=True, slots=True)
class Ready:
    """An operation that fits the schema and the limits. Nothing in it belongs to one request.

    Where limits are only reported, it runs all the same, and the log has a line each time.
    """

    operation: Operation
    weight: Weight
    grown: Callable[[], object] = bool  # to be told when its plans have grown
    admit: Admit = _let_in
    report_only: bool = False
    excess: Excess | None = None  # why it would not be ready, where limits are only reported

    @property
    def name(self) -> str | None:
        """The name that the document gives it."""
        name = self.operation.definition.name
        return name.value if name else None

    @property
    def type(self) -> OperationType:
        """Query, mutation or subscription."""
        return self.operation.definition.operation

    async def run(self, given: dict[str, Any], context: RequestContext) -> ExecutionResult:
        """The answer, with its cost. Raises VariablesRefused, CostLimit, Forbidden, and what `admit` does."""
        variables, cost = self._admitted(given, context.caller)
        return await self._run(variables, cost, context)

    def subscribe(
        self, given: dict[str, Any], caller: Caller, fresh: Fresh, seconds: float
    ) -> AsyncGenerator[ExecutionResult]:
        """The answers to the events of a subscription, each with its cost.

        The stream of events has a context of its own, and so has each answer, since loaders keep what they have read.
        An answer is given within `seconds`. Closing the answers closes the stream. Raises as `run`; the answers end
        with whatever the stream raises, with Timeout, or as soon as the caller may not have another.
        """
        variables, cost = self._admitted(given, caller)
        return self._answers(variables, cost, fresh, seconds)

    async def _answers(
        self, variables: VariableValues, cost: int, fresh: Fresh, seconds: float
    ) -> AsyncGenerator[ExecutionResult]:
        async with fresh() as context:
            events = await in_time(self.operation.subscribe(variables, context), seconds)
            async with aclosing(events), aclosing(self._while_allowed(events, variables, fresh)) as wanted:
                async for event in wanted:
                    yield await in_time(self._answer(variables, cost, fresh, event), seconds)
                    await asyncio.sleep(0)  # others have their turn, even if neither stream nor client ever waits

    async def _while_allowed(
        self, events: AsyncIterator[object], variables: VariableValues, fresh: Fresh
    ) -> AsyncGenerator[object]:
        """The events. As long as none comes, it is looked from time to time whether the caller may still have one."""
        while True:
            coming = asyncio.ensure_future(anext(events, _END))
            try:
                while not (await asyncio.wait({coming}, timeout=_LOOK_SECONDS))[0]:
                    with suppress(Unavailable):
                        async with fresh() as own:
                            self.weight.allow(own.caller, variables.coerced)
            finally:
                if not coming.done():
                    await ended(coming)
            if (event := coming.result()) is _END:
                return
            yield event

    async def _answer(self, variables: VariableValues, cost: int, fresh: Fresh, event: object) -> ExecutionResult:
        """The answer to one event, over outages of the database: nobody would ask for the event again."""

        async def answer() -> ExecutionResult:
            async with fresh() as own:
                self.weight.allow(own.caller, variables.coerced)
                result = await self._run(variables, cost, own, event)
            if outage := next(filter(is_outage, result.errors or ()), None):
                raise outage
            if cost >= COST_OF_A_POINT:  # cheap events are free
                self._report(own.caller, self._charge(own.caller, cost - cost % COST_OF_A_POINT))
            return result

        return await over_outages(answer)

    def _admitted(self, given: dict[str, Any], caller: Caller) -> tuple[VariableValues, int]:
        """The values of the variables, and what the operation costs with them, if the caller may have it."""
        variables, cost = self._bound(given)
        self.weight.allow(caller, variables.coerced)
        unpaid = self._charge(caller, cost)
        if self.report_only:
            self._report(caller, self.excess, _excess(self.weight.check, variables.coerced), unpaid)
        return variables, cost

    def _charge(self, caller: Caller, cost: int) -> Excess | None:
        """Let the caller have what costs so much; where limits are only reported, give what would be to report."""
        if self.report_only:
            return _excess(self.admit, caller, cost)
        self.admit(caller, cost)
        return None

    def _report(self, caller: Caller, *over: Excess | None) -> None:
        """Log the first limit that would have kept the caller from the operation, or from an event."""
        if first := next(filter(None, over), None):
            _log.warning("over a limit", **first._asdict(), operation=self.name, caller=caller.subject)

    def _bound(self, given: dict[str, Any]) -> tuple[VariableValues, int]:
        """The values of the variables, and what the operation costs with them."""
        variables = self.operation.variables(given)
        if isinstance(variables, list):
            raise VariablesRefused(variables)
        cost = self.weight.cost if self.report_only else self.weight.check
        return variables, cost(variables.coerced)

    async def _run(self, variables: VariableValues, cost: int, context: object, root: object = None) -> ExecutionResult:
        planned = self.operation.weight
        try:
            result = await self.operation.run(variables, context, root)
        finally:
            if self.operation.weight != planned:
                self.grown()
        return ExecutionResult(result.data, result.errors, {"cost": cost})


def _excess(check: Callable[..., object], *given: object) -> Excess | None:
    try:
        check(*given)
    except CatalogError as error:
        return Excess.of(error)
    return None


class _Kept(OrderedDict[tuple[str, str | None], Ready]):
    """Operations by text and name, up to a sum of their weights. The first was not asked for the longest time."""

    def make_room(self) -> None:
        """Forget the first. Plans grow while they are used, so all are counted."""
        weights = {key: _weight(key[0], ready) for key, ready in self.items()}
        total = sum(weights.values())
        for key, weight in weights.items():
            if total <= MOST_KEPT:
                return
            del self[key]
            total -= weight


class Operations:
    """The operations over one schema. Those that were asked for lately are kept: trusted ones apart from all others."""

    def __init__(
        self,
        schema: strawberry.Schema,
        limits: Limits,
        *,
        token_limit: int = 2000,
        admit: Admit = _let_in,
        documents: Documents | None = None,
        introspection: bool = True,
        report_only: bool = False,
    ) -> None:
        """Without `introspection` only administrators are told the schema; with `report_only` no limit holds."""
        self._schema, self._limits, self._token_limit, self._admit = schema, limits, token_limit, admit
        self._documents = documents or Documents()
        self._hides, self._report_only = not introspection, report_only
        self._rules = {**rules_of(schema), **(NO_INTROSPECTION if self._hides else {})}
        self._ready, self._trusted = _Kept(), _Kept()

    def asked(self, parameters: Parameters) -> Ready:
        """The operation that a request asks for, however it names the document.

        Raises what `ready` and `Documents.text` do.
        """
        ready = self.ready(self._documents.text(parameters), parameters.operation_name)
        self._documents.keep(parameters)
        return ready

    def ready(self, text: str, name: str | None = None) -> Ready:
        """The operation called `name` in `text`, or its only one.

        Nesting is bounded by graphql-core itself, at 200 selection sets. Raises UntrustedDocument, ParseFailed,
        TokenLimit, BadUserInput, ValidationFailed, OperationNotFound, or the errors of `schema.limits.weigh`.
        """
        key, kept = (text, name), self._trusted if self._documents.is_trusted(text) else self._ready
        ready = kept.get(key)
        if ready is None:
            ready = replace(self._made(text, name), grown=kept.make_room)
            if len(text) <= _LONGEST:
                kept[key] = ready
                kept.make_room()
        else:
            kept.move_to_end(key)
        return ready

    def all_in(self, text: str) -> list[Ready]:
        """Each operation of a document; none is kept. Raises as `ready`, and CostLimit by the defaults of variables."""
        document = _parse(text, self._token_limit * (_LENIENCE if self._report_only else 1))
        names = [node.name.value if node.name else None for node in _operations(document)]
        every = [self._made(text, name) for name in names or [None]]
        for ready in every:
            if not self._report_only:
                ready.weight.check(ready.operation.defaults)
        return every

    def _made(self, text: str, name: str | None) -> Ready:
        try:
            self._documents.check(text)
            return self._within(self._limits, self._token_limit, text, name)
        except RequestError as error:
            if not self._report_only:
                raise
            # Whatever is no limit is raised again.
            ready = self._within(self._limits.lifted(), self._token_limit * _LENIENCE, text, name)
            return replace(ready, excess=Excess.of(error))

    def _within(self, limits: Limits, token_limit: int, text: str, name: str | None) -> Ready:
        document = _parse(text, token_limit)
        _refuse_nul(document)
        _unchain_tokens(document)
        schema = self._schema._schema  # noqa: SLF001 - Strawberry has no other door to it
        if errors := validate(schema, document, _RULES, max_errors=_MOST_ERRORS, hide_suggestions=self._hides):
            raise ValidationFailed([_ABORTED if error.message == "Validation aborted." else error for error in errors])
        definition = _select(document, name)
        weight = weigh(schema, document, definition, limits, self._rules)
        operation = Operation(self._schema, document, definition, hide_suggestions=self._hides)
        return Ready(operation, weight, admit=self._admit, report_only=self._report_only)


def _weight(text: str, ready: Ready) -> int:
    """In fields of plans."""
    return _LEAST + len(text) // _CHARACTERS + ready.operation.weight


def _parse(text: str, token_limit: int) -> DocumentNode:
    try:
        return parse(text, max_lexical_tokens=token_limit, max_comments=token_limit)
    except GraphQLSyntaxError as error:
        too_many = error.description.startswith("Document contains more than")
        raise (TokenLimit if too_many else ParseFailed)([error]) from None


def _operations(document: DocumentNode) -> list[OperationDefinitionNode]:
    return [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]


def _select(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    operations = _operations(document)
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
