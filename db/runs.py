"""Sources and their runs: who is in the catalog, when it was read, and how that ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from db import locks
from db.rules.allowed import AllowedKinds
from db.tables import entity, problem, source, source_run

DIED = "It ended without a word: its process, or Postgres, was stopped."


RESERVED = "entityRegister"
"""The name of the source of what mutations write, entity by entity; see `db.registering`."""


def refusal_of(name: str) -> str | None:
    """Why no source that is read may have this name; None: it may."""
    if name == RESERVED:
        return "is the name of what is registered by mutations, entity by entity"
    if not name.isprintable() or name != name.strip():
        return "is no name: it has spaces around it, or characters that cannot be seen"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where entities come from."""

    name: str
    type: str  # file, folder or glob
    trusted: bool = True
    kinds: AllowedKinds | None = None  # None: all


@dataclass(frozen=True, slots=True)
class Run:
    """One reading of a source that has begun."""

    id: int
    source_id: int
    waits: bool  # another run of the same source is under way
    commit: str | None = None  # that was read, where the source has commits


async def find(connection: AsyncConnection, name: str) -> int | None:
    """The id of a source; None: there has been no run of it."""
    return (await connection.execute(select(source.c.id).where(source.c.name == name))).scalar()


async def begin(connection: AsyncConnection, declared: Source) -> Run:
    """Record that a run begins, and make the source if it is new; how it is trusted changes with `finish` only.

    A run without an end, when no run holds the source's lock, is one that died: it is closed. One that merely waits
    for the lock may be taken for dead; its own end puts that right. Waits while another run of the source commits,
    however long that takes.
    """
    await locks.without_timeout(connection)
    alone = await locks.try_lock(connection, locks.of_source(declared.name))
    values = {"type": declared.type, "trusted": declared.trusted, "kinds": _words(declared), "state": "RUNNING"}
    added = insert(source).values(name=declared.name, **values)
    upsert = added.on_conflict_do_update(index_elements=[source.c.name], set_={"state": "RUNNING"})
    source_id = (await connection.execute(upsert.returning(source.c.id))).scalar_one()
    if alone:
        unfinished = (source_run.c.source_id == source_id) & source_run.c.finished_at.is_(None)
        died = update(source_run).where(unfinished).values(finished_at=func.now(), error=DIED)
        await connection.execute(died)
    started = insert(source_run).values(source_id=source_id, started_at=func.now()).returning(source_run.c.id)
    return Run((await connection.execute(started)).scalar_one(), source_id, waits=not alone)


async def stop(connection: AsyncConnection, run: Run, *, state: Literal["FAILED", "HELD"], error: str) -> None:
    """Record that a run ended without writing anything, and why. Waits as `begin` does."""
    await locks.without_timeout(connection)
    await connection.execute(
        update(source_run).where(source_run.c.id == run.id).values(finished_at=func.now(), error=error),
    )
    newer = select(source_run.c.id).where(source_run.c.source_id == run.source_id, source_run.c.id > run.id)
    latest = (source.c.id == run.source_id) & ~newer.exists()
    await connection.execute(update(source).where(latest).values(state=state))


@dataclass(frozen=True, slots=True)
class Counts:
    """What a run found and did. Documents, rejected and skipped count those of unchanged files too."""

    documents: int
    entities: int  # that the source holds after the run
    added: int
    changed: int
    removed: int
    unchanged: int
    rejected: int  # documents that gave no entity: a rule broken, or the ref taken
    skipped: int  # documents of Kubernetes' own API groups
    problems: int  # of the source after the run, dangling references included


async def finish(connection: AsyncConnection, run: Run, declared: Source, counts: Counts) -> None:
    """Record that a run has written all it had to; part of the transaction that wrote."""
    finished = {name: getattr(counts, name) for name in Counts.__dataclass_fields__}
    await connection.execute(
        update(source_run)
        .where(source_run.c.id == run.id)
        .values(finished_at=func.clock_timestamp(), error=None, commit=run.commit, **finished),
    )
    await connection.execute(
        update(source)
        .where(source.c.id == run.source_id)
        .values(type=declared.type, trusted=declared.trusted, kinds=_words(declared), state="IDLE"),
    )


class Problem(NamedTuple):
    """One problem of a source, as a line for people."""

    severity: str
    rule: str
    message: str
    location: str | None
    line: int | None
    field: str | None


async def first_problems(connection: AsyncConnection, source_id: int, *, most: int) -> list[Problem]:
    """Some problems of a source: first those that kept a document out, then by place."""
    columns = (problem.c[name] for name in Problem._fields)
    errors_first = (problem.c.severity != "ERROR", problem.c.location, problem.c.line, problem.c.id)
    listed = select(*columns).where(problem.c.source_id == source_id).order_by(*errors_first).limit(most)
    return [Problem(*row) for row in await connection.execute(listed)]


async def kinds_without_entity(connection: AsyncConnection, source_id: int, allowed: AllowedKinds | None) -> list[str]:
    """Kinds on the list of allowed ones of which the source has no entity, once it lost documents of other kinds.

    One of them may be misspelled.
    """
    if allowed is None or not allowed.listed:
        return []
    refused = (problem.c.source_id == source_id) & (problem.c.rule == "kind-not-allowed")
    if (await connection.execute(select(problem.c.id).where(refused).limit(1))).first() is None:
        return []
    kinds = select(func.lower(entity.c.kind)).where(entity.c.source_id == source_id).distinct()
    held = set((await connection.execute(kinds)).scalars())
    return [kind for kind in allowed.listed if kind not in held]


def _words(declared: Source) -> list[str] | None:
    return None if declared.kinds is None else list(declared.kinds.words)
