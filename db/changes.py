"""The change log: every write of an entity, with what it was before and what it is after.

Its positions are in the order of commits, so who has read up to one misses nothing by going on after it. Old ones are
forgotten in time; `feed.forgotten` is the last that is not there any more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Text, TextClause, func, insert, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from db import locks
from db.rules.matches import Image, image_of
from db.rules.records import Json
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


class ForgottenError(Exception):
    """A position so old that what came after it is not kept any more."""


@dataclass(frozen=True)
class Change:
    """One entry of the log."""

    seq: int
    at: datetime
    kind: str  # CREATED, UPDATED or DELETED
    entity_id: int
    ref: str
    by: str
    before: Json
    after: Json
    links_before: Json
    links_after: Json

    @cached_property
    def image_before(self) -> Image | None:
        """The entity as it was, for filters; None: it was not there."""
        return None if self.before is None else image_of(self.before, self.links_before)

    @cached_property
    def image_after(self) -> Image | None:
        """The entity as it is, for filters; None: it is gone."""
        return None if self.after is None else image_of(self.after, self.links_after)


@dataclass(frozen=True, slots=True)
class Page:
    """Entries one after the other; `position` is where the next page begins."""

    changes: Sequence[Change]
    position: int


Fetch = Callable[[str, Sequence[Any]], Awaitable[list[Any]]]  # all rows of a statement with these values


async def read(fetch: Fetch, after: int) -> Page:
    """The next entries after a position, at most 100 and about 1 MB. Raises ForgottenError."""
    rows = await fetch(_PAGE, [after])
    if rows[0][0] > after:
        raise ForgottenError
    changes = [Change(*row[1:]) for row in rows if row[1] is not None]
    return Page(changes, changes[-1].seq if changes else after)


async def last_position(fetch: Fetch) -> int:
    """The position of the latest entry, also where that is forgotten."""
    [row] = await fetch(_LAST, [])
    position: int = row[0]
    return position


async def forget(engine: AsyncEngine, *, days: float) -> int:
    """Forget entries older than so many days, and give their number. One process at a time does it, others none."""
    values = {"days": days, "most": _FORGOTTEN_AT_ONCE}
    total = 0
    while True:
        async with engine.begin() as connection:
            if not await locks.try_lock(connection, locks.FORGETTING):
                return total
            forgotten: int = (await connection.execute(text(_FORGET), values)).scalar_one()
        total += forgotten
        if forgotten < _FORGOTTEN_AT_ONCE:
            return total


_FORGOTTEN_AT_ONCE = 10_000

_PAGE = """
    SELECT kept.forgotten, page.seq, page.at, page.kind, page.entity_id, page.ref, page.by, page.before, page.after,
        page.links_before, page.links_after
    FROM (SELECT coalesce(max(forgotten), 0) AS forgotten FROM feed WHERE topic = 'catalog') kept
    LEFT JOIN (
        SELECT c.*, r.ref, row_number() OVER (ORDER BY c.seq) AS nth,
            sum(coalesce(pg_column_size(before), 0) + coalesce(pg_column_size(after), 0)) OVER (ORDER BY seq) AS size
        FROM (SELECT * FROM change WHERE seq > $1 ORDER BY seq LIMIT 100) c JOIN ref r ON r.id = c.entity_id
    ) page ON page.nth = 1 OR page.size <= 1000000
    ORDER BY page.seq
"""

_LAST = """
    SELECT greatest(
        (SELECT coalesce(max(seq), 0) FROM change),
        (SELECT coalesce(max(forgotten), 0) FROM feed WHERE topic = 'catalog'))
"""

# The mark is set with the deletion, so that no reader finds a gap that is not told.
_FORGET = """
    WITH gone AS (
        DELETE FROM change WHERE seq IN (
            SELECT seq FROM (SELECT seq, at FROM change ORDER BY seq LIMIT :most) oldest
            WHERE at < now() - CAST(:days AS float) * interval '1 day'
        ) RETURNING seq
    ), marked AS (
        INSERT INTO feed (topic, forgotten) SELECT 'catalog', max(seq) FROM gone HAVING count(*) > 0
        ON CONFLICT (topic) DO UPDATE SET forgotten = excluded.forgotten
    )
    SELECT count(*) FROM gone
"""

_COLUMNS: tuple[Column[Any], ...] = (
    *(Column("kind", Text), Column("entity_id", BigInteger), Column("by", Text), Column("at", DateTime(timezone=True))),
    *(Column(name, JSONB) for name in ("before", "after", "links_before", "links_after")),
)
