"""Our executor, as the tests ask it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import strawberry
from graphql import DocumentNode, ExecutionResult, GraphQLError, get_operation_ast

from schema.levels.operation import Operation


class Ours:
    """One operation of a valid document; its plans last from run to run."""

    def __init__(self, schema: strawberry.Schema, document: DocumentNode, name: str | None) -> None:
        definition = get_operation_ast(document, name)
        assert definition is not None
        self._operation = Operation(schema, document, definition)

    async def run(self, given: dict[str, Any], context: Any) -> ExecutionResult:
        """The answer to a query or mutation."""
        variables = self._operation.variables(given)
        if isinstance(variables, list):
            return ExecutionResult(None, variables)
        return await self._operation.run(variables, context)

    async def subscribe(self, given: dict[str, Any], context: Any) -> AsyncIterator[ExecutionResult]:
        """The answer to each event, or the one that says why there are none."""
        variables = self._operation.variables(given)
        if isinstance(variables, list):
            yield ExecutionResult(None, variables)
            return
        try:
            events = await self._operation.subscribe(variables, context)
        except GraphQLError as error:
            yield ExecutionResult(None, [error])
            return
        async for event in events:
            yield await self._operation.run(variables, context, event)
