"""The change log: every write of an entity, with what it was before and what it is after."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, Text, TextClause, func, insert, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from db import locks
from db.tables import change

CHANNEL = "catalograph_changes"
"""What Postgres notifies when changes are committed; the payload is the last position, as a number."""


async def append(connection: AsyncConnection, entries: TextClause) -> None:
    """Append what `entries` selects: kind, entity_id, by, at, before, after and their links, in its order.

    To be the last statement before the commit. A position is drawn from a sequence when a row is inserted, and a reader
    that has seen position 2 never looks for 1 again; so positions must become visible in their order, and the lock
    that is taken here and released by the commit sees to it. Whoever appends holds up all others until it commits.
    Listeners are told once for all entries.
    """
    await locks.lock(connection, locks.CHANGES)
    names = [column.name for column in _COLUMNS]
    added = insert(change).from_select(names, entries.columns(*_COLUMNS)).returning(change.c.seq).cte("added")
    last = func.max(added.c.seq)
    await connection.execute(select(func.pg_notify(CHANNEL, last.cast(Text))).having(last.is_not(None)))


_COLUMNS = (
    *(Column("kind", Text), Column("entity_id", BigInteger), Column("by", Text), Column("at", DateTime(timezone=True))),
    *(Column(name, JSONB) for name in ("before", "after", "links_before", "links_after")),
)
