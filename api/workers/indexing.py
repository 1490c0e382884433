"""What makes the indexes of the paths that the settings name."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import perf_counter

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from db import indexes
from db.engine import failure_of
from db.rules.pointers import Pointer

_AGAIN = 60.0  # seconds after a failure

_log = structlog.get_logger("catalograph.indexing")


async def index_paths(engine: AsyncEngine, paths: Sequence[Pointer]) -> None:
    """Bring the indexes of these paths about once, however often that fails. `engine` is that of `indexes.keep`."""
    while True:
        started = perf_counter()
        try:
            change = await indexes.keep(engine, paths)
        except Exception as error:  # noqa: BLE001 - without them all is slower, and nothing is wrong
            unexpected = error if failure_of(error) is None else None
            _log.warning("paths are not indexed", reason=str(error), retry_seconds=_AGAIN, exc_info=unexpected)
            await asyncio.sleep(_AGAIN)
            continue
        if change.made or change.dropped:
            seconds = round(perf_counter() - started, 1)
            _log.info("paths indexed", made=change.made, dropped=change.dropped, seconds=seconds)
        return
