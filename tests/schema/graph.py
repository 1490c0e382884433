"""For tests of the graph: a catalog, and questions to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import strawberry
from sqlalchemy.ext.asyncio import AsyncEngine

from schema.context import Context
from tests.asserts import sql_queries


@dataclass
class Graph:
    """The schema over one database."""

    schema: strawberry.Schema
    engine: AsyncEngine

    async def ask(self, query: str, *, statements: int | None = None, **variables: Any) -> Any:
        """The answer's data. There must be no error, and exactly so many SQL statements."""
        if statements is None:
            data, errors = await self._execute(query, variables)
        else:
            with sql_queries(self.engine, statements):
                data, errors = await self._execute(query, variables)
        assert errors == []
        return data

    async def refuse(self, query: str, **variables: Any) -> tuple[str, str]:
        """The code and message of the answer's only error, which cost no statement."""
        with sql_queries(self.engine, 0):
            _, (error,) = await self._execute(query, variables)
        return error["extensions"]["code"], error["message"]

    async def errors(self, query: str, **variables: Any) -> list[Any]:
        """The answer's errors."""
        return (await self._execute(query, variables))[1]

    async def _execute(self, query: str, variables: dict[str, Any]) -> tuple[Any, list[Any]]:
        with Context(engine=self.engine, request_id="test") as context:
            result = await self.schema.execute(query, variable_values=variables, context_value=context)
        return result.data, [error.formatted for error in result.errors or []]
