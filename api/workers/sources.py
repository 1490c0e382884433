"""Reading declared sources when their time comes.

    run      forever: declare what the settings declare, then look, again and again
    look     take what is due, while there is room for it
    _read    one source that was taken: a run, then the time of the next

Any number of processes do this on one database; `db.schedules` says how they share the work. `api.workers.watching`
makes sources due whose files have changed.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from api.ingest.declarations import Declared, Readable
from api.ingest.declared import Sources
from api.ingest.errors import SourceError
from api.ingest.run import RemovalsHeldError, ingest
from db import runs, schedules
from db.engine import failure_of
from db.schedules import REMOVAL, Due, Taken

_log = structlog.get_logger("catalograph.sources")

RUNS_AT_ONCE = 2  # in one process: each keeps a processor busy while it reads
CONNECTIONS = 2 * RUNS_AT_ONCE + 1  # a run takes up to two; with one more the schedule is kept

_LOOK_SECONDS = 1.0  # between two looks for what is due

_SOONEST = timedelta(seconds=10)  # after a failure
_MOST_TIMES = 10  # that a source which fails again and again waits its usual time

Chance = Callable[[], float]


def delay(every: timedelta, failures: int, chance: Chance) -> timedelta:
    """How long until the next run of a source whose last so many runs have failed.

    A tenth more or less, so that what was declared together is not read together for ever. `chance`: from 0 to 1.
    """
    usual = max(every, _SOONEST) if failures else every
    times = min(2 ** min(failures - 1, 4), _MOST_TIMES) if failures else 1
    return usual * times * (0.9 + 0.2 * chance())


async def repeat(work: Callable[[], Awaitable[None]], *, seconds: float) -> None:
    """Do something for ever, with pauses, whatever comes of it. The same failure again and again is told once."""
    told = ""
    while True:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - the next time it may go well
            if told != (told := f"{type(error).__name__}: {error}"):
                _tell("sources wait", error)
        else:
            told = ""
        await asyncio.sleep(seconds)


class SourceWorker:
    """The sources that this process reads by itself."""

    def __init__(self, engine: AsyncEngine, sources: Sources, *, chance: Chance = random.random) -> None:
        """`engine` has CONNECTIONS connections, which nobody else needs."""
        self._engine = engine
        self._sources = sources
        self._chance = chance
        self._has_declared = False
        self._reading: dict[str, asyncio.Task[None]] = {}  # by the source's name

    async def run(self) -> None:
        """Work until cancelled; runs that are under way then are recorded as interrupted, and are due at once."""
        try:
            await repeat(self.look, seconds=_LOOK_SECONDS)
        finally:
            await self.stop()

    async def look(self) -> None:
        """Begin to read what is due, as far as there is room; the first time, declare what the settings declare."""
        if not self._has_declared:
            await self._declare()
        async with self._engine.connect() as connection:
            found = await schedules.due(connection)
        for due in found:
            if len(self._reading) == RUNS_AT_ONCE:
                return
            if due.name not in self._reading:
                await self._begin(due)

    async def idle(self) -> None:
        """Wait until nothing is read."""
        await asyncio.gather(*self._reading.values(), return_exceptions=True)

    async def stop(self) -> None:
        """Interrupt what is read, and wait until that is recorded."""
        for task in self._reading.values():
            task.cancel()
        await self.idle()

    async def _declare(self) -> None:
        if self._sources.file is not None:
            async with self._engine.begin() as connection:
                dropped = await schedules.declare(connection, self._sources.declarations)
            if dropped:
                _log.warning("no longer declared, so not read; what they hold stays", sources=dropped)
        self._has_declared = True

    async def _begin(self, due: Due) -> None:
        """Take a source, unless somebody else does, or this process does not know how to read it."""
        if due.definition == REMOVAL:
            self._start(due.name, self._remove(due))
        elif declared := self._sources.known(due):
            async with self._engine.begin() as connection:
                taken = await schedules.take(connection, due, after=delay(declared.every, 0, self._chance))
            if taken is not None:
                self._start(due.name, self._read(due, declared, taken))

    def _start(self, name: str, work: Coroutine[None, None, None]) -> None:
        task = self._reading[name] = asyncio.create_task(work)
        task.add_done_callback(lambda _: self._reading.pop(name))

    async def _remove(self, due: Due) -> None:
        """Remove a source with all that it holds; a failure is for the next look."""
        try:
            async with self._engine.begin() as connection:
                if await schedules.take(connection, due, after=_SOONEST):
                    removed = await schedules.remove(connection, due.name)
                    _log.info("source removed", source=due.name, entities=removed)
        except Exception as error:  # noqa: BLE001 - as said
            _tell("source not removed", error, source=due.name)

    async def _read(self, due: Due, declared: Declared, taken: Taken) -> None:
        try:
            went_well = await self._ingest(due, declared, allow_removals=taken.allow_removals)
        except asyncio.CancelledError:
            await self._settle(declared, taken, at_once=True)
            raise
        await self._settle(declared, taken, went_well=went_well)

    async def _ingest(self, due: Due, declared: Declared, *, allow_removals: bool) -> bool:
        """One run. False when it failed; one that is held has only to be allowed."""
        try:
            source = await self._opened(due, declared)
            report = await ingest(self._engine, source, allow_removals=allow_removals)
            _log.info("source read", **report.as_json())
        except RemovalsHeldError as error:
            _log.warning("source held", source=due.name, reason=str(error))
        except SourceError as error:
            _log.warning("source not read", source=due.name, reason=str(error))
            return False
        except Exception as error:  # noqa: BLE001 - one source must not keep the others from being read
            _tell("source not read", error, source=due.name)
            return False
        return True

    async def _opened(self, due: Due, declared: Declared) -> Readable:
        """The source; one that cannot be opened has a failed run to show for it. Raises SourceError."""
        try:
            return await asyncio.to_thread(self._sources.opened, declared, by=due.declared_in)
        except SourceError as error:
            async with self._engine.begin() as connection:
                run = await runs.begin(connection, declared.source)
                await runs.stop(connection, run, state="FAILED", error=str(error))
            raise

    async def _settle(self, declared: Declared, taken: Taken, *, went_well: bool = True, at_once: bool = False) -> None:
        """Say when it is read next: at once by another process, where this one is stopped."""
        try:
            async with self._engine.begin() as connection:
                failures = 0 if went_well else await schedules.failures(connection, taken.id)
                after = timedelta(0) if at_once else delay(declared.every, failures, self._chance)
                await schedules.settle(connection, taken, after=after)
        except Exception as error:  # noqa: BLE001 - the time that was noted when it was taken stands
            _tell("next run not noted", error, source=declared.source.name)


def _tell(event: str, error: Exception, **fields: str) -> None:
    """Log a failure that is no source's own."""
    if failure_of(error) is None:
        _log.error(event, **fields, exc_info=error)
    else:
        _log.warning(event, **fields, reason=f"database: {getattr(error, 'orig', error)}")
