"""The change log: every write of an entity, with what it was before and what it is after."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, Text, TextClause, insert
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from db import locks
from db.tables import change


async def append(connection: AsyncConnection, entries: TextClause) -> None:
    """Append what `entries` selects: kind, entity_id, by, at, before and after, in its order.

    To be the last statement before the commit. A position is drawn from a sequence when a row is inserted, and a reader
    that has seen position 2 never looks for 1 again; so positions must become visible in their order, and the lock
    that is taken here and released by the commit sees to it. Whoever appends holds up all others until it commits.
    """
    await locks.lock(connection, locks.CHANGES)
    names = [column.name for column in _COLUMNS]
    await connection.execute(insert(change).from_select(names, entries.columns(*_COLUMNS)))


_COLUMNS = (
    *(Column("kind", Text), Column("entity_id", BigInteger), Column("by", Text), Column("at", DateTime(timezone=True))),
    *(Column("before", JSONB), Column("after", JSONB)),
)
