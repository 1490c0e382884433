"""The audit trail: every write that is of no entity. Those of entities are in the change log.

It is never forgotten, and holds no secret.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import insert, null
from sqlalchemy.ext.asyncio import AsyncConnection

from db.rules.records import Json
from db.tables import audit


async def append(
    connection: AsyncConnection,
    *,
    by: str,
    action: str,
    subject: str,
    request_id: str | None,
    before: Mapping[str, Json] | None,
    after: Mapping[str, Json] | None,
) -> None:
    """Record a write, in its transaction: who did what to what, and how that was before and is after.

    `before` is None where it was not there, `after` where it is gone. `request_id` is that of the log; None: a command
    wrote.
    """
    images = {"before": null() if before is None else before, "after": null() if after is None else after}
    entry = insert(audit).values(by=by, action=action, subject=subject, request_id=request_id, **images)
    await connection.execute(entry)
