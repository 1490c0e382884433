"""Locks that writers of one database take, held until the transaction ends.

They belong to the transaction, not to the session, so they also work behind PgBouncer, and a client that is killed
leaves none behind. Taken in this order, they cannot deadlock:

    revisions          one process at a time brings the database up to date
    source:<name>      one run of a source at a time, from its first file to its commit
    catalog            one writer of entities at a time, while it compares and writes; nobody waits for its reading
    changes:catalog    the last step before commit, so that positions in the change log are in the order of commits

    forgetting         one process at a time forgets old changes; it takes no other
    indexes            one process at a time makes the indexes of paths; it takes no other

Readers take none of them.
"""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

REVISIONS = "revisions"
CATALOG = "catalog"
CHANGES = "changes:catalog"
FORGETTING = "forgetting"
INDEXES = "indexes"


def of_source(name: str) -> str:
    """The name of a source's lock."""
    return f"source:{name}"


async def lock(connection: AsyncConnection, name: str) -> None:
    """Wait for the lock, however long its holder takes."""
    await connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name})


async def try_lock(connection: AsyncConnection, name: str) -> bool:
    """Take the lock if nobody holds it, and say whether that was so."""
    taken = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0))")
    return bool((await connection.execute(taken, {"name": name})).scalar_one())


async def without_timeout(connection: AsyncConnection) -> None:
    """Let each statement of this transaction take as long as it needs: a million entities take minutes."""
    await connection.execute(text("SET LOCAL statement_timeout = 0"))
