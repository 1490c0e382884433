"""Declared sources: who declared them, how they are read, and when.

A source that settings or a mutation declared has a definition and a time of its next run. Any process may take a source
whose time has come; it takes it by moving that time on, so no two take it at once. Postgres's clock is the only one.

A run that died without a word leaves its source RUNNING, with nobody holding its lock: then it is due again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import (
    ColumnElement,
    Interval,
    Table,
    and_,
    case,
    delete,
    func,
    literal,
    null,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from db import locks, runs, sync
from db.rules.records import Json
from db.runs import Source
from db.staging import Staging
from db.tables import entity, problem, source, source_run

SETTINGS, MUTATION = "settings", "mutation"

# The definition of a source that is to be removed with all its entities, by whichever process takes it.
REMOVAL: dict[str, Json] = {"remove": True}

# A run takes its source's lock in its second transaction; one that is older, and whose lock is free, has died.
_GRACE = timedelta(seconds=10)

KEPT_RUNS = 1_000  # of each source


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration(Source):
    """A source as somebody declared it."""

    definition: dict[str, Json]  # how to read it, without secrets


class DeclarationError(Exception):
    """A source that cannot be declared, and which field of the declaration is wrong; None: all of it."""

    def __init__(self, field: str | None, message: str) -> None:
        """`message` is for whoever declared it."""
        super().__init__(message)
        self.field = field


class Due(NamedTuple):
    """A source that is to be read."""

    id: int
    name: str
    declared_in: str | None  # SETTINGS or MUTATION; None: nobody has
    definition: dict[str, Json] | None


class Taken(NamedTuple):
    """A source that this process took."""

    id: int
    next_run_at: datetime  # until the run has ended; then `settle` says when
    allow_removals: bool


class Held(NamedTuple):
    """Who declared a source, and whether processes read it by themselves."""

    name: str
    declared_in: str | None
    is_read: bool


class Listed(NamedTuple):
    """A source, for people."""

    name: str
    type: str
    state: str
    entities: int
    problems: int
    last_run_at: datetime | None
    next_run_at: datetime | None
    error: str | None  # of the last run


async def declare(connection: AsyncConnection, declarations: Sequence[Declaration]) -> list[str]:
    """Make these the sources that settings declare. Those that are new, or have changed, are due at once.

    Sources that settings declared before lose their schedule and keep their entities; returns their names.
    """
    for declared in sorted(declarations, key=lambda declared: declared.name):  # one order, so that nobody deadlocks
        await _upsert(connection, declared, SETTINGS)
    dropped = (
        update(source)
        .where(source.c.declared_in == SETTINGS, source.c.name.not_in([declared.name for declared in declarations]))
        .values(declared_in=None, definition=null(), next_run_at=None, allow_removals=False)
        .returning(source.c.name)
    )
    return sorted((await connection.execute(dropped)).scalars())


async def register(connection: AsyncConnection, declared: Declaration) -> bool:
    """Declare one source by a mutation, or declare it anew; it is due at once.

    False, and nothing done, when there is a source of this name that no mutation declared.
    """
    return await _upsert(connection, declared, MUTATION)


async def _upsert(connection: AsyncConnection, declared: Declaration, by: str) -> bool:
    # How an existing one is trusted changes when a run of it ends, with what it then holds.
    kinds = None if declared.kinds is None else list(declared.kinds.words)
    trust = {"type": declared.type, "trusted": declared.trusted, "kinds": kinds}
    said = {"declared_in": by, "definition": declared.definition}
    new = insert(source).values(name=declared.name, next_run_at=func.now(), **trust, **said)
    stays = and_(source.c.declared_in == by, source.c.definition == new.excluded.definition)
    upsert = new.on_conflict_do_update(
        index_elements=[source.c.name],
        set_={
            **said,
            "next_run_at": case((stays, func.coalesce(source.c.next_run_at, func.now())), else_=func.now()),
        },
        where=None if by == SETTINGS else source.c.declared_in == MUTATION,
    )
    return (await connection.execute(upsert.returning(source.c.id))).first() is not None


async def held(connection: AsyncConnection, name: str) -> Held | None:
    """Who declared a source, which nobody changes until the transaction ends; None: there is none."""
    known = select(source.c.name, source.c.declared_in, source.c.definition.is_not(None)).where(source.c.name == name)
    row = (await connection.execute(known.with_for_update())).first()
    return Held(*row) if row else None


async def count_entities(connection: AsyncConnection, name: str) -> int:
    """How many entities a source holds."""
    counted = select(func.count()).select_from(entity.join(source)).where(source.c.name == name)
    return (await connection.execute(counted)).scalar_one()


async def run_now(connection: AsyncConnection, name: str, *, allow_removals: bool) -> None:
    """Let a process read a declared source as soon as one is free."""
    asked = {"next_run_at": func.now(), "allow_removals": allow_removals}
    await connection.execute(update(source).where(source.c.name == name).values(asked))


async def remove_soon(connection: AsyncConnection, name: str) -> None:
    """Let a process remove a source and all that it holds."""
    asked = {"next_run_at": func.now(), "definition": REMOVAL}
    await connection.execute(update(source).where(source.c.name == name).values(asked))


async def hurry(connection: AsyncConnection, names: Collection[str]) -> None:
    """Something of these sources has changed: read them as soon as a process is free."""
    later = and_(source.c.name.in_(names), source.c.definition.is_not(None), source.c.next_run_at > func.now())
    await connection.execute(update(source).where(later).values(next_run_at=func.now()))


async def listed(connection: AsyncConnection) -> list[Listed]:
    """All sources, by name."""

    def count(table: Table) -> ColumnElement[int]:
        return select(func.count()).where(table.c.source_id == source.c.id).scalar_subquery()

    latest = select(source_run.c.started_at, source_run.c.error).where(source_run.c.source_id == source.c.id)
    last_run = latest.order_by(source_run.c.id.desc()).limit(1).lateral()
    columns = (source.c.name, source.c.type, source.c.state, count(entity), count(problem))
    found = select(*columns, last_run.c.started_at, source.c.next_run_at, last_run.c.error)
    rows = found.select_from(source.outerjoin(last_run, true())).order_by(source.c.name)
    return [Listed(*row) for row in await connection.execute(rows)]


async def find(connection: AsyncConnection, name: str) -> Due | None:
    """A source, due or not; None: there is none of this name."""
    found = select(*_DUE).where(source.c.name == name)
    row = (await connection.execute(found)).first()
    return Due(*row) if row else None


async def due(connection: AsyncConnection) -> list[Due]:
    """The sources that are to be read now, the longest waiting first. Some may just be read by somebody else."""
    found = select(*_DUE).where(_is_due()).order_by(source.c.next_run_at, source.c.id)
    return [Due(*row) for row in await connection.execute(found)]


def _is_due() -> ColumnElement[bool]:
    unfinished = select(source_run.c.id).where(
        source_run.c.source_id == source.c.id,
        source_run.c.finished_at.is_(None),
        source_run.c.started_at < func.now() - literal(_GRACE, Interval),
    )
    died = and_(source.c.state == "RUNNING", unfinished.exists())
    return and_(source.c.definition.is_not(None), or_(source.c.next_run_at <= func.now(), died))


async def take(connection: AsyncConnection, wanted: Due, *, after: timedelta) -> Taken | None:
    """Take a source that is due, and put its next run off; to be committed at once.

    None: somebody else has taken it, or is reading it, or it is declared otherwise by now.
    """
    if not await locks.try_lock(connection, locks.of_source(wanted.name)):
        return None
    still = select(source.c.allow_removals).where(
        source.c.id == wanted.id, source.c.definition == wanted.definition, _is_due()
    )
    row = (await connection.execute(still.with_for_update(skip_locked=True))).first()
    if row is None:
        return None
    # Nobody holds its lock, so a run of it that has no end has died; `runs.begin` closes that one.
    state = case((source.c.state == "RUNNING", "FAILED"), else_=source.c.state)
    values = {"next_run_at": func.now() + literal(after, Interval), "allow_removals": False, "state": state}
    moved = update(source).where(source.c.id == wanted.id).values(values).returning(source.c.next_run_at)
    return Taken(wanted.id, (await connection.execute(moved)).scalar_one(), row.allow_removals)


_DUE = (source.c.id, source.c.name, source.c.declared_in, source.c.definition)


async def failures(connection: AsyncConnection, source_id: int) -> int:
    """How many runs in a row, up to the last one, have not gone well."""
    of_source = source_run.c.source_id == source_id
    last_good = select(func.coalesce(func.max(source_run.c.id), 0)).where(of_source, source_run.c.error.is_(None))
    since = select(func.count()).where(of_source, source_run.c.id > last_good.scalar_subquery())
    return (await connection.execute(since)).scalar_one()


async def settle(connection: AsyncConnection, taken: Taken, *, after: timedelta) -> None:
    """Say when a source that was taken is read next; if somebody asked for it meanwhile, that stands.

    Also forgets runs beyond the last KEPT_RUNS.
    """
    of_source = source_run.c.source_id == taken.id
    last = select(source_run.c.id).where(of_source).order_by(source_run.c.id.desc()).offset(KEPT_RUNS).limit(1)
    await connection.execute(delete(source_run).where(of_source, source_run.c.id <= last.scalar_subquery()))
    unasked = (source.c.id == taken.id) & (source.c.next_run_at == taken.next_run_at)
    next_run_at = func.now() + literal(after, Interval)
    await connection.execute(update(source).where(unasked).values(next_run_at=next_run_at))


async def remove(connection: AsyncConnection, name: str) -> int | None:
    """Remove a source with all its entities, as a run that finds nothing does; to be committed at once.

    Returns how many entities it held; None: there is no such source. A run of it that is under way is waited for.
    """
    await locks.without_timeout(connection)
    await locks.lock(connection, locks.of_source(name))
    source_id = await runs.find(connection, name)
    if source_id is None:
        return None
    await Staging.open(connection, source_id)
    difference = await sync.compare(connection, source_id)
    await sync.apply(connection, source_id, difference)
    await connection.execute(delete(source).where(source.c.id == source_id))
    await sync.log(connection, difference, by=f"source:{name}")
    return difference.removed
