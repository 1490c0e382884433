"""For tests of the graph: a catalog, and questions to it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import strawberry
from sqlalchemy.ext.asyncio import AsyncEngine

from api.ingest.declarations import Access
from api.ingest.declared import Sources
from api.operation import Operations
from db.reading import Reads
from schema.caller import Caller
from schema.context import Context, Writes
from schema.limits import Limits
from schema.live import Live
from tests.callers import ANYBODY


@dataclass
class Graph:
    """The schema over one database."""

    schema: strawberry.Schema
    engine: AsyncEngine
    reads: Reads
    live: Live | None = None
    caller: Caller = ANYBODY
    sources: Sources = field(default_factory=lambda: Sources(Access(clones=Path("/nowhere"), environ={})))

    async def ask(self, query: str, *, statements: int | None = None, **variables: Any) -> Any:
        """The answer's data. There must be no error, and exactly so many SQL statements."""
        data, errors, asked = await self._execute(query, variables)
        assert errors == []
        assert statements is None or asked == statements, f"asked {asked} of {statements}"
        return data

    async def refuse(self, query: str, **variables: Any) -> tuple[str, str]:
        """The code and message of the answer's only error, which cost no statement."""
        _, (error,), asked = await self._execute(query, variables)
        assert asked == 0
        return error["extensions"]["code"], error["message"]

    async def errors(self, query: str, **variables: Any) -> list[Any]:
        """The answer's errors."""
        return (await self._execute(query, variables))[1]

    async def follow(self, query: str, **variables: Any) -> AsyncGenerator[Any]:
        """The data of the events of a subscription. There must be no error."""
        operation = Operations(self.schema, Limits()).ready(query)
        async with aclosing(operation.subscribe(variables, self.caller, self.fresh, seconds=10)) as answers:
            async for answer in answers:
                assert (answer.errors or []) == [], answer.errors
                yield answer.data

    @asynccontextmanager
    async def fresh(self) -> AsyncIterator[Context]:
        """A context of the caller's."""
        with self._context() as context:
            yield context

    def _context(self) -> Context:
        writes = Writes(self.engine, self.sources)
        return Context(reads=self.reads, request_id="test", caller=self.caller, live=self.live, writes=writes)

    async def _execute(self, query: str, variables: dict[str, Any]) -> tuple[Any, list[Any], int]:
        """The data, the errors, and how many SQL statements they took."""
        operation = Operations(self.schema, Limits()).ready(query)
        with self._context() as context:
            result = await operation.run(variables, context)
        return result.data, [error.formatted for error in result.errors or []], context.reader.statements
