"""How one request reads the database."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Any, cast

from sqlalchemy import BindParameter, Select
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.sql import visitors

from db.reading import Reads, Row

# Of one operation; a wide one must not take all connections of the pool and starve the others.
STATEMENTS_AT_ONCE = 4

# How SQLAlchemy writes what asyncpg reads.
DIALECT = asyncpg.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
DIALECT._backslash_escapes = False  # noqa: SLF001 - Postgres reads backslashes as they are, since 9.1


def compiled(statement: Select[Any], parameters: Collection[str]) -> tuple[str, list[str]]:
    """The text of a statement, and its parameters in order, all of which are among those given.

    What the statement holds besides stands in the text, so that Postgres plans for it.
    """
    for part in visitors.iterate(statement):
        if isinstance(part, BindParameter) and part.key not in parameters:
            part.literal_execute = True
    done = statement.compile(dialect=DIALECT, compile_kwargs={"render_postcompile": True})
    return done.string, list(done.positiontup or ())


class CutOffError(Exception):
    """A statement was cancelled because the request that it was for has ended."""


class Reader:
    """Runs the statements of one request, some side by side, and counts them.

    Loaders run in tasks of their own, which do not end with the request; what runs aside then, or would begin there, is
    for `cancel`.
    """

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self._side_by_side = asyncio.Semaphore(STATEMENTS_AT_ONCE)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_cancelled = False
        self.statements = 0

    async def fetch(self, text: str, values: Sequence[Any], *, varying: bool = False, named: bool = False) -> list[Any]:
        """All rows of a statement; `varying` and `named` are those of `Reads.fetch`, which also says what is raised."""
        async with self._side_by_side:
            self.statements += 1
            return await self._reads.fetch(text, values, varying=varying, named=named)

    async def fetch_aside(self, text: str, values: Sequence[Any]) -> list[Row]:
        """The same, named, from a task of its own that may outlive the request: that ends in CutOffError."""
        if self._is_cancelled:
            raise CutOffError
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._tasks.add(task)
        try:
            return await self.fetch(text, values, named=True)
        except asyncio.CancelledError:
            raise CutOffError from None  # as CancelledError it would leave every field hanging that waits for it
        finally:
            self._tasks.discard(task)

    def cancel(self) -> None:
        """Cancel what still runs aside, down to Postgres; nothing begins there from now on."""
        self._is_cancelled = True
        for task in self._tasks:
            task.cancel()
