"""One run of a source: its files are read, compared with the catalog, and what differs is written.

All that a run writes becomes visible at once, by its last commit. One that dies before leaves the catalog as it was.
Only a mirror writes ahead what it has fetched, and lets its last commit remove what is gone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.ingest.ahead import Ahead
from api.ingest.backstage import BackstageSource
from api.ingest.errors import SourceError
from api.ingest.mirror import Mirror
from api.ingest.reader import Progress, Reader
from api.ingest.trees import TreeSource
from db import locks, runs, sync
from db.engine import failure_of
from db.rules.changes import changed_fields
from db.rules.records import Json
from db.runs import Counts, Problem, Run
from db.staging import Known, Staging

# A run that would remove more than both is held: more likely a folder is missing than so much was deleted.
REMOVALS_ALWAYS_ALLOWED = 10
SHARE_OF_REMOVALS_ALLOWED = 0.2

# After so many the planner's statistics are refreshed at once, not when Postgres comes round to it a minute later.
CHANGES_WORTH_COUNTING = 1_000

PROBLEMS_SHOWN = 10

_log = structlog.get_logger("catalograph.ingest")

_NOT_THERE_YET = 0  # in place of a source's id: nothing is known of it

AnySource = TreeSource | BackstageSource
Phase = Literal["waiting", "reading", "writing"]
OnProgress = Callable[[Phase, Progress], None]


@dataclass(frozen=True, slots=True)
class Changed:
    """One entity that a dry run found different."""

    kind: str  # CREATED, UPDATED or DELETED
    ref: str
    fields: tuple[str, ...]  # JSON pointers of what is different; empty for a new or a deleted one


@dataclass(frozen=True, slots=True)
class Report:
    """What a run amounts to; of a dry run, what it would."""

    source: str
    counts: Counts
    problems: tuple[Problem, ...]  # the first few of them; none where they could not be had
    seconds: float
    held: bool = False  # only of a dry run: the run itself would raise RemovalsHeldError
    changes: tuple[Changed, ...] = field(default=())  # of a dry run only
    kinds_without_entity: tuple[str, ...] = field(default=())  # allowed ones, perhaps misspelled

    def as_json(self) -> dict[str, Json]:
        """The report as one flat object."""
        return {"source": self.source, **asdict(self.counts), "seconds": round(self.seconds, 3)}


class RemovalsHeldError(Exception):
    """A run that would remove suspiciously much, and therefore removed nothing."""

    def __init__(self, removed: int, held: int, *, ahead: int = 0) -> None:
        """`removed` of the `held` entities would go; so many others were written `ahead`."""
        avoided = "removed" if ahead else "written"
        super().__init__(
            f"It would remove {removed:,} of the {held:,} entities of this source, so nothing was {avoided}."
            " If that is right, run it again with --allow-removals.",
        )


def _unseen(_phase: Phase, _progress: Progress) -> None:
    """Nobody looks."""


async def ingest(
    engine: AsyncEngine,
    source: AnySource,
    *,
    dry_run: bool = False,
    allow_removals: bool = False,
    on_progress: OnProgress = _unseen,
) -> Report:
    """Bring the catalog to what the source says now.

    A run of the same source that is under way is waited for. A dry run does it all and takes it back, so that it says
    exactly what a run would do. Raises SourceError when the source is not there, and RemovalsHeldError.
    """
    started = time.monotonic()
    if dry_run:
        return await _dry_run(engine, source, started, on_progress)
    async with engine.begin() as connection:
        run = await runs.begin(connection, source)
    if run.waits:
        on_progress("waiting", Progress())
    ahead = Ahead(engine, source, run.source_id)
    try:
        async with engine.begin() as connection:
            await locks.without_timeout(connection)
            await locks.lock(connection, locks.of_source(source.name))
            difference, commit = await _read_and_compare(connection, source, run.source_id, on_progress, ahead)
            if not allow_removals:
                _check_removals(difference, ahead)
            counts = await sync.write(connection, replace(run, commit=commit), source, difference)
    except BaseException as error:
        await _record_failure(engine, run, error, ahead)
        raise
    return await _after_writing(engine, source, run, counts, started)


async def _after_writing(engine: AsyncEngine, source: AnySource, run: Run, counts: Counts, started: float) -> Report:
    """Report on a run, and refresh the statistics where that is worth it.

    All is written by now: what fails here is logged, and does not make a failure of the run.
    """
    report = Report(source.name, counts, (), time.monotonic() - started)
    try:
        async with engine.begin() as connection:
            await locks.without_timeout(connection)
            report = await _report(connection, source, run, counts, started)
            if counts.added + counts.changed + counts.removed >= CHANGES_WORTH_COUNTING:
                await sync.refresh_statistics(connection)
    except Exception as error:  # noqa: BLE001 - whatever it is, the run is done
        _log.warning("not all was done after a run", source=source.name, error=type(error).__name__)
    return report


async def _dry_run(engine: AsyncEngine, source: AnySource, started: float, on_progress: OnProgress) -> Report:
    async with engine.connect() as connection, connection.begin() as transaction:
        await locks.without_timeout(connection)
        await locks.lock(connection, locks.of_source(source.name))
        source_id = await runs.find(connection, source.name)
        difference, _ = await _read_and_compare(connection, source, source_id or _NOT_THERE_YET, on_progress)
        changes = [
            Changed(change.kind, change.ref, tuple(changed_fields(change.before, change.after)))
            async for change in sync.differences(connection)
        ]
        run = await runs.begin(connection, source)  # last, since it locks what a run needs to begin
        counts = await sync.write(connection, run, source, difference)
        report = await _report(connection, source, run, counts, started)
        await transaction.rollback()
    return replace(report, held=_is_suspicious(difference), changes=tuple(changes))


async def _report(connection: AsyncConnection, source: AnySource, run: Run, counts: Counts, started: float) -> Report:
    problems = await runs.first_problems(connection, run.source_id, most=PROBLEMS_SHOWN)
    kinds = await runs.kinds_without_entity(connection, run.source_id, source.kinds)
    seconds = time.monotonic() - started
    return Report(source.name, counts, tuple(problems), seconds, kinds_without_entity=tuple(kinds))


async def _read_and_compare(
    connection: AsyncConnection,
    source: AnySource,
    source_id: int,
    on_progress: OnProgress,
    ahead: Ahead | None = None,
) -> tuple[sync.Difference, str | None]:
    """What differs, and the commit that was read. `ahead`: what a mirror may be written by until then."""
    staging = await Staging.open(connection, source_id)
    with _reader(source, await staging.known()) as reader:
        batches = reader.batches()
        while (batch := await asyncio.to_thread(next, batches, None)) is not None:
            if ahead is not None and isinstance(reader, Mirror):
                batch = await ahead.write(batch)
            await staging.add(batch)
            on_progress("reading", reader.progress)
        await staging.analyze()
        await staging.add(await asyncio.to_thread(reader.again, await staging.take_contested()))
        on_progress("writing", reader.progress)
        difference = await sync.compare(connection, source_id)
        return difference.after(ahead.written if ahead else ()), reader.commit


def _reader(source: AnySource, known: Known) -> Reader | Mirror:
    return Mirror(source, known) if isinstance(source, BackstageSource) else Reader(source, known)


def _check_removals(difference: sync.Difference, ahead: Ahead) -> None:
    if _is_suspicious(difference):
        raise RemovalsHeldError(difference.removed, difference.held, ahead=ahead.entities)


def _is_suspicious(difference: sync.Difference) -> bool:
    return difference.removed > max(REMOVALS_ALWAYS_ALLOWED, SHARE_OF_REMOVALS_ALLOWED * difference.held)


async def _record_failure(engine: AsyncEngine, run: Run, error: BaseException, ahead: Ahead) -> None:
    if isinstance(error, SourceError | RemovalsHeldError):
        reason = str(error)
    elif isinstance(error, asyncio.CancelledError):
        reason = "It was interrupted."
    else:  # the message of an unknown error may hold anything
        reason = f"It was stopped by {type(error).__name__}."
    if ahead.entities:
        reason += f" What it had fetched until then is kept: {ahead.entities:,} new or changed entities."
    state: Literal["HELD", "FAILED"] = "HELD" if isinstance(error, RemovalsHeldError) else "FAILED"
    try:
        async with engine.begin() as connection:
            await runs.stop(connection, run, state=state, error=reason)
    except Exception as unrecorded:
        if failure_of(unrecorded) != "unavailable":  # otherwise the next run closes this one
            raise
