"""What callers have spent of their hour, over all processes: the table `spending`.

Postgres's clock is the only one that counts here. Processes say how long ago something was, and are told how long
something lasts, so their own clocks need not agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine


class Spent(NamedTuple):
    """What one process has let a caller spend since it last said so."""

    identity: str
    age: float  # of the caller's hour, in seconds, as far as the process knows
    points: int


class Total(NamedTuple):
    """What a caller has spent in all since its hour began."""

    points: int
    left: float  # of that hour, in seconds


async def add(engine: AsyncEngine, spent: Sequence[Spent]) -> dict[str, Total]:
    """Add to the sums, and give the new ones by identity; each identity comes once.

    An hour that has ended counts no more: then `spent` begins the next. In one statement; processes that add to the
    same sums wait for each other, and do so in the order of the identities, lest they wait for ever.
    """
    ordered = sorted(spent)
    values = {
        "identities": [each.identity for each in ordered],
        "ages": [each.age for each in ordered],
        "points": [each.points for each in ordered],
    }
    async with engine.begin() as connection:
        rows = (await connection.execute(_ADD, values)).all()
    return {row.identity: Total(row.points, row.left) for row in rows}


async def forget(engine: AsyncEngine) -> int:
    """Drop the sums of hours that have ended, and give their number."""
    async with engine.begin() as connection:
        return (await connection.execute(_FORGET)).rowcount


_ADD = text("""
    INSERT INTO spending AS kept (identity, since, points)
    SELECT identity, now() - age * interval '1 second', points
    FROM unnest(CAST(:identities AS text[]), CAST(:ages AS float[]), CAST(:points AS bigint[]))
        AS spent (identity, age, points)
    ON CONFLICT (identity) DO UPDATE SET
        since = CASE WHEN kept.since > now() - interval '1 hour' THEN kept.since ELSE excluded.since END,
        points = excluded.points + CASE WHEN kept.since > now() - interval '1 hour' THEN kept.points ELSE 0 END
    RETURNING identity, points, CAST(extract(epoch FROM since + interval '1 hour' - now()) AS float) AS left
""")

_FORGET = text("DELETE FROM spending WHERE since <= now() - interval '1 hour'")
