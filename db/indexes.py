"""Indexes of the paths that an operator names, so that filters and orders by these need not read every document.

They are made of the very expressions of `db.queries.values`, by which Postgres knows them again, and named after those
by hash; a comment on each says the pointer. So one of another pointer, or of an older version of the project, is found
out by its name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from hashlib import blake2s
from typing import Any

from sqlalchemy import ARRAY, literal, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from db import locks
from db.queries.values import Value
from db.rules.pointers import Hop, Pointer
from db.tables import Word, document

_PREFIX = "document_at_"
_TURN = 1.0  # seconds between two looks whether another process is done

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
_DIALECT._backslash_escapes = False  # noqa: SLF001 - Postgres reads backslashes as they are, since 9.1

# One without a comment was made by a process that was stopped then; it is as good as an invalid one.
_FOUND = text(
    """SELECT c.relname, i.indisvalid AND obj_description(c.oid, 'pg_class') IS NOT NULL AS is_whole
       FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
       WHERE i.indrelid = 'document'::regclass AND starts_with(c.relname, :prefix)"""
)


@dataclass(frozen=True, slots=True)
class Change:
    """What `keep` did."""

    made: int = 0
    dropped: int = 0


async def keep(engine: AsyncEngine, pointers: Iterable[Pointer]) -> Change:
    """Make the indexes of these pointers that are missing or were never finished, and drop those of all others.

    Others read and write meanwhile. One process at a time does it; the next then finds nothing to do. `engine` has two
    connections, and lets a statement take as long as it needs.
    """
    wanted = {index.name: index for pointer in pointers for index in _indexes(pointer)}
    while True:
        # To make an index is to wait for all who hold a snapshot. So nobody waits for the lock in a transaction, and
        # who has it lets go of the snapshot in which it was taken: by a statement that needs none.
        async with engine.begin() as holder:
            if await locks.try_lock(holder, locks.INDEXES):
                await locks.without_timeout(holder)
                async with engine.connect() as connection:
                    return await _keep(await connection.execution_options(isolation_level="AUTOCOMMIT"), wanted)
        await asyncio.sleep(_TURN)


@dataclass(frozen=True, slots=True)
class _Index:
    definition: str
    pointer: Pointer

    @property
    def name(self) -> str:
        return _PREFIX + blake2s(self.definition.encode(), digest_size=8).hexdigest()


def _indexes(pointer: Pointer) -> Iterator[_Index]:
    """Those of one pointer."""
    value = Value.at(replace(pointer, hops=tuple(map(_written_out, pointer.hops))), document.c)
    json, number, words, is_list = map(_sql, (value.json, value.number, value.words, value.is_list))
    for definition in (
        f"USING gin (({json}))",  # texts, numbers and booleans that are equal to something
        f"(({number}), ({words}))",  # the order, forward, and descending with absent values first; ranges, prefixes
        f"(({number}) DESC NULLS LAST, ({words}) DESC NULLS LAST)",  # the order the other way
        f"(entity_id) WHERE {is_list}",  # lists, which those two leave out
    ):
        yield _Index(definition, pointer)


def _written_out(hop: Hop) -> Hop:
    steps: Any = literal(list(hop.steps), ARRAY(Word))
    return replace(hop, steps=steps)


def _sql(expression: Any) -> str:
    return str(expression.compile(dialect=_DIALECT, compile_kwargs={"literal_binds": True}))


async def _keep(connection: AsyncConnection, wanted: dict[str, _Index]) -> Change:
    found = {row.relname: row.is_whole for row in await connection.execute(_FOUND, {"prefix": _PREFIX})}
    dropped = [name for name, is_whole in found.items() if name not in wanted or not is_whole]
    for name in dropped:
        await connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY {name}")
    made = [index for name, index in wanted.items() if not found.get(name)]
    for index in made:
        await connection.exec_driver_sql(f"CREATE INDEX CONCURRENTLY {index.name} ON document {index.definition}")
        comment = _sql(literal(str(index.pointer)))
        await connection.exec_driver_sql(f"COMMENT ON INDEX {index.name} IS {comment}")
    if made:
        await connection.exec_driver_sql("ANALYZE document")  # how often the values occur is known only then
    return Change(made=len(made), dropped=len(dropped))
