"""graphql-core behind the interface of our executor: an executor that cannot be wrong, for tests of the comparison."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import strawberry
from graphql import DocumentNode, ExecutionResult

from tests.schema.levels.comparing import reference, reference_events


class Patient:
    """Answers by the rule of `comparing`."""

    def __init__(self, schema: strawberry.Schema, document: DocumentNode, name: str | None) -> None:
        self._asked = schema._schema, document, name

    async def run(self, variables: dict[str, Any], context: Any) -> ExecutionResult:
        """The answer to a query or mutation."""
        return (await reference(*self._asked, variables, context)).result

    async def subscribe(self, variables: dict[str, Any], context: Any) -> AsyncIterator[ExecutionResult]:
        """The answer to each event."""
        async for answer in reference_events(*self._asked, variables, context):
            yield answer.result
