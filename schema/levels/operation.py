"""An operation of a document: its plans, and its runs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncGenerator, Mapping
from inspect import isawaitable
from typing import Any, cast

import strawberry
from graphql import (
    DocumentNode,
    ExecutionResult,
    FragmentDefinitionNode,
    GraphQLError,
    OperationDefinitionNode,
    Undefined,
    VariableNode,
    coerce_input_value,
    is_non_null_type,
)
from graphql.execution import create_source_event_stream
from graphql.execution.collect_fields import FragmentDetails
from graphql.execution.get_variable_signature import GraphQLVariableSignature, get_variable_signature
from graphql.execution.values import (
    VariableValues,
    VariableValueSource,
    get_variable_values,
    input_is_nested_too_deeply,
)
from graphql.language import DirectiveNode, Visitor, visit
from graphql.utilities.coerce_input_value import coerce_default_value

from schema.errors import CostLimit
from schema.levels.execute import Run
from schema.levels.plan import Plan
from schema.levels.tables import attempt

MOST_PLANS = 16  # of one operation: the choices that its `@skip` and `@include` leave


class Operation:
    """One operation of a document that is valid for the schema."""

    def __init__(
        self,
        schema: strawberry.Schema,
        document: DocumentNode,
        definition: OperationDefinitionNode,
        *,
        hide_suggestions: bool = False,
    ) -> None:
        """With `hide_suggestions` what is wrong with variables is told without naming what was meant."""
        self._schema = schema
        self._hide_suggestions = hide_suggestions
        self.document, self.definition = document, definition
        self._fragments = {
            node.name.value: FragmentDetails(node)
            for node in document.definitions
            if isinstance(node, FragmentDefinitionNode)
        }
        signatures = (
            get_variable_signature(schema._schema, node)  # noqa: SLF001 - Strawberry has no other door to it
            for node in definition.variable_definitions or ()
        )
        self._signatures = [one for one in signatures if isinstance(one, GraphQLVariableSignature)]
        self._choosing = _choosing_variables(document)
        self._plans: OrderedDict[tuple[Any, ...], Plan] = OrderedDict()

    @property
    def weight(self) -> int:
        """How much its plans hold, in fields."""
        return sum(plan.weight for plan in self._plans.values())

    @property
    def defaults(self) -> dict[str, Any]:
        """The variables that have a default, with it."""
        return {one.name: coerce_default_value(one) for one in self._signatures if one.default is not None}

    def variables(self, given: Mapping[str, Any]) -> VariableValues | list[GraphQLError]:
        """The values of the operation's variables, or what is wrong with those that were given.

        As graphql-core reads them, but that their types are looked up once for all requests. It does itself whatever is
        not plain: defaults, and everything that is wrong.
        """
        sources: dict[str, VariableValueSource] = {}
        coerced: dict[str, Any] = {}
        for signature in self._signatures:
            name, type_ = signature.name, signature.type
            if name not in given:
                if signature.default is not None or is_non_null_type(type_):
                    return self._checked_variables(given)
                sources[name] = VariableValueSource(signature)
                continue
            value = given[name]
            if input_is_nested_too_deeply(value, type_):
                return self._checked_variables(given)
            sources[name] = VariableValueSource(signature, value)
            coerced[name] = attempt(coerce_input_value, value, type_)
            if coerced[name] is Undefined or isinstance(coerced[name], Exception):
                return self._checked_variables(given)
        return VariableValues(sources, coerced)

    def _checked_variables(self, given: Mapping[str, Any]) -> VariableValues | list[GraphQLError]:
        definitions = self.definition.variable_definitions or ()
        return get_variable_values(
            self._schema._schema,  # noqa: SLF001
            definitions,
            dict(given),
            max_errors=50,
            hide_suggestions=self._hide_suggestions,
        )

    async def run(self, variables: VariableValues, context: Any, root: Any = None) -> ExecutionResult:
        """The answer. Raises CostLimit, where the operation needs too large a plan."""
        try:
            plan = self._plan(variables)
        except CostLimit:
            raise
        except GraphQLError as error:  # `@skip` or `@include` has no value
            return ExecutionResult(None, [error])
        return await Run(plan, variables, context, root).execute()

    async def subscribe(self, variables: VariableValues, context: Any, root: Any = None) -> AsyncGenerator[Any]:
        """The events of a subscription: `run` gives the answer to each, as `root`.

        Raises CostLimit, and GraphQLError where there is no stream of events.
        """
        events = create_source_event_stream(Run(self._plan(variables), variables, context, root).core)
        if isawaitable(events):
            events = await events
        if isinstance(events, ExecutionResult):
            raise cast("list[GraphQLError]", events.errors)[0]
        return cast("AsyncGenerator[Any]", events)

    def _plan(self, variables: VariableValues) -> Plan:
        choice = tuple(variables.coerced.get(name) for name in self._choosing)
        plan = self._plans.get(choice)
        if plan is None:
            if len(self._plans) == MOST_PLANS:
                self._plans.popitem(last=False)
            # It is kept, so it is given what it asks for, and no more of what this client sent.
            choosing = VariableValues(
                {name: source for name, source in variables.sources.items() if name in self._choosing},
                {name: value for name, value in variables.coerced.items() if name in self._choosing},
            )
            plan = self._plans[choice] = Plan(self._schema, self.definition, self._fragments, choosing)
        return plan


class _Choosing(Visitor):
    """Notes the variables whose values decide which fields are selected: those of `@skip` and `@include`."""

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[str, None] = {}

    def enter_directive(self, node: DirectiveNode, *_: object) -> None:
        for argument in node.arguments or ():
            if isinstance(argument.value, VariableNode):
                self.names[argument.value.name.value] = None


def _choosing_variables(document: DocumentNode) -> list[str]:
    choosing = _Choosing()
    visit(document, choosing)
    return list(choosing.names)
