"""Assertions of our own."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine


@contextmanager
def sql_queries(engine: AsyncEngine, expected: int) -> Iterator[list[str]]:
    """The block runs exactly this many SQL statements; it gets their texts."""
    statements: list[str] = []

    def record(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(engine.sync_engine, "before_cursor_execute", record)
    try:
        yield statements
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", record)
    assert len(statements) == expected, "\n\n".join(statements)
