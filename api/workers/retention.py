"""What keeps the log of changes from growing for ever."""

from __future__ import annotations

import asyncio
import random

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from db import changes
from db.engine import failure_of

_EVERY = 3600.0  # seconds

_log = structlog.get_logger("catalograph.retention")


async def forget_old_changes(engine: AsyncEngine, *, days: float) -> None:
    """Forget changes older than so many days, again and again until cancelled, at times that differ by process."""
    while True:
        await asyncio.sleep(_EVERY * random.uniform(0, 1))  # noqa: S311 - no secret
        try:
            forgotten = await changes.forget(engine, days=days)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next time may be better
            unexpected = error if failure_of(error) is None else None
            _log.warning("old changes are kept for now", reason=str(error), exc_info=unexpected)
        else:
            if forgotten:
                _log.info("old changes forgotten", changes=forgotten)
