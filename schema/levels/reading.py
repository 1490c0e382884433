"""How one request reads the database."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from sqlalchemy import Row, Select
from sqlalchemy.ext.asyncio import AsyncEngine

from db.engine import for_reading

# Of one operation; a wide one must not take all connections of the pool and starve the others.
STATEMENTS_AT_ONCE = 4


class CutOffError(Exception):
    """A statement was cancelled because the request that it was for has ended."""


class Reader:
    """Runs the statements of one request, side by side, each on a short connection of its own.

    Loaders run in tasks of their own, which do not end with the request: what still runs then is for `cancel`.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = for_reading(engine)
        self._side_by_side = asyncio.Semaphore(STATEMENTS_AT_ONCE)
        self._tasks: set[asyncio.Task[Any]] = set()

    async def rows(self, statement: Select[Any]) -> list[Row[Any]]:
        """All rows of the statement. Raises CutOffError when cancelled, else what the database does."""
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._tasks.add(task)
        try:
            async with self._side_by_side, self._engine.connect() as connection:
                return list((await connection.execute(statement)).all())
        except asyncio.CancelledError:
            raise CutOffError from None  # as CancelledError it would leave every field hanging that waits for it
        finally:
            self._tasks.discard(task)

    def cancel(self) -> None:
        """Cancel what runs, down to Postgres."""
        for task in self._tasks:
            task.cancel()
