"""Entities that are written one at a time, by mutations: a source of their own, beside those that are read.

Each is a file of this source, by its ref, and a write is a run over that one file. So the rules of all others hold for
them: what another source declares stays with it, and every write is in the change log.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from db import locks, sync
from db.rules.allowed import UNTRUSTED
from db.rules.records import Reading, Record
from db.rules.refs import Ref
from db.runs import RESERVED, Source
from db.staging import StagedFile, Staging
from db.tables import entity, source

REGISTERED = Source(name=RESERVED, type="api", trusted=True, kinds=UNTRUSTED)
"""The source of what mutations write: by callers who may, so that owners have their rights; but no people or groups."""


class NotWrittenError(Exception):
    """A write that was refused, and why; nothing of it was written."""

    def __init__(self, code: Literal["CONFLICT", "FORBIDDEN", "NOT_FOUND"], message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class _Held:
    """An entity that is in the catalog."""

    etag: str
    source: str
    location: str
    line: int


async def register(engine: AsyncEngine, record: Record, *, by: str) -> None:
    """Write an entity that is not there yet; one that is there and just the same is as if written.

    Raises NotWrittenError, or what the database does.
    """
    async with engine.begin() as connection:
        held = await _locked(connection, record.ref)
        if held is not None:
            _refuse_foreign(record.ref, held)
            if held.etag == record.etag:
                return
            raise NotWrittenError("CONFLICT", f"{record.ref} is registered already: entityUpdate changes it")
        await _write(connection, record.ref, Reading(documents=1, records=[record]), by)


async def update(engine: AsyncEngine, record: Record, *, expected_etag: str, by: str) -> None:
    """Replace an entity that was registered and has this etag. Raises as `register`."""
    async with engine.begin() as connection:
        _expect(record.ref, await _locked(connection, record.ref), expected_etag)
        await _write(connection, record.ref, Reading(documents=1, records=[record]), by)


async def unregister(engine: AsyncEngine, ref: Ref, *, expected_etag: str, by: str) -> None:
    """Remove an entity that was registered and has this etag. Raises as `register`."""
    async with engine.begin() as connection:
        _expect(str(ref), await _locked(connection, str(ref)), expected_etag)
        await _write(connection, str(ref), Reading(), by)


async def _locked(connection: AsyncConnection, ref: str) -> _Held | None:
    """What is there, which nobody else changes until the transaction ends."""
    await locks.lock(connection, locks.of_source(REGISTERED.name))
    await locks.lock(connection, locks.CATALOG)
    columns = (entity.c.etag, source.c.name, entity.c.location, entity.c.line)
    row = (await connection.execute(select(*columns).join(source).where(entity.c.ref == ref))).first()
    return _Held(*row) if row else None


def _expect(ref: str, held: _Held | None, etag: str) -> None:
    if held is None:
        raise NotWrittenError("NOT_FOUND", f"{ref} is not in the catalog")
    _refuse_foreign(ref, held)
    if held.etag != etag:
        raise NotWrittenError("CONFLICT", f"{ref} has changed meanwhile: its etag is {held.etag}")


def _refuse_foreign(ref: str, held: _Held) -> None:
    if held.source != REGISTERED.name:
        place = f"{held.location}:{held.line} of the source {held.source}"
        raise NotWrittenError("CONFLICT", f"{ref} is declared in {place}, and is changed there")


async def _write(connection: AsyncConnection, ref: str, reading: Reading, by: str) -> None:
    source_id = await _source_id(connection)
    staging = await Staging.open(connection, source_id)
    await staging.add([StagedFile(ref, reading)])
    difference = await sync.compare(connection, source_id, whole=False)
    await sync.apply(connection, source_id, difference)
    await sync.log(connection, difference, by=by)


async def _source_id(connection: AsyncConnection) -> int:
    kinds = REGISTERED.kinds.words if REGISTERED.kinds else None
    values = {"name": REGISTERED.name, "type": REGISTERED.type, "trusted": REGISTERED.trusted, "kinds": kinds}
    await connection.execute(insert(source).values(values).on_conflict_do_nothing(index_elements=[source.c.name]))
    found: int = (await connection.execute(select(source.c.id).where(source.c.name == REGISTERED.name))).scalar_one()
    return found
