"""Going on after an outage of the database, for those who would not ask again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from db.engine import failure_of
from schema.errors import Unavailable, origin

T = TypeVar("T")

_RETRY = 0.5  # seconds between two tries


def is_outage(error: Exception) -> bool:
    """Whether the database was away, or too busy."""
    cause = origin(error)
    return isinstance(cause, Unavailable) or failure_of(cause) == "unavailable"


async def over_outages(work: Callable[[], Awaitable[T]]) -> T:
    """What `work` gives, which is tried again and again while the database is away. Raises what else it does."""
    while True:
        try:
            return await work()
        except Exception as error:
            if not is_outage(error):
                raise
        await asyncio.sleep(_RETRY)
