"""The audit trail: every write that is of no entity. Those of entities are in the change log.

It is never forgotten, and holds no secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import insert, null
from sqlalchemy.ext.asyncio import AsyncConnection

from db.rules.records import Json
from db.tables import audit


class Author(NamedTuple):
    """Who writes: the subject of a caller and the id of their request; without one, who runs a command."""

    by: str
    request_id: str | None = None


async def append(
    connection: AsyncConnection,
    author: Author,
    action: str,
    subject: str,
    *,
    before: Mapping[str, Json] | None = None,
    after: Mapping[str, Json] | None = None,
) -> None:
    """Record a write, in its transaction: who did what to what, and how that was before and is after.

    `before` is None where it was not there, `after` where it is gone.
    """
    images = {"before": null() if before is None else before, "after": null() if after is None else after}
    await connection.execute(insert(audit).values(**author._asdict(), action=action, subject=subject, **images))
