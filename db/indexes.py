"""Indexes of the paths that an operator names, so that filters and orders by them need not read every document.

Three for each pointer: one of its values, for equality; one of its order, which ranges of numbers use too; one of the
entities that have a list there, which is what these two ranges leave out. They are made of the very expressions of
`db.queries.values`, by which Postgres knows them again. Names come from the pointer by hash, comments say the pointer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import replace
from hashlib import blake2s

from sqlalchemy import ARRAY, literal, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from db import locks
from db.queries.values import Sql, Value
from db.rules.pointers import Pointer
from db.tables import Word, document

PREFIX = "document_at_"

_TURN = 1.0  # seconds between two looks whether another process has done

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
_DIALECT._backslash_escapes = False  # noqa: SLF001 - Postgres reads backslashes as they are, since 9.1


async def keep(engine: AsyncEngine, pointers: Iterable[Pointer]) -> None:
    """Make the indexes of these pointers that are missing or were not finished, and drop those of others.

    Writers go on meanwhile. One process at a time does it; others wait for it, and then find nothing to do.
    """
    wanted = {name: index for pointer in pointers for name, index in _indexes(pointer)}
    async with engine.begin() as holder:  # whose transaction holds the lock, and nothing that the indexes wait for
        while not await locks.try_lock(holder, locks.INDEXES):
            await asyncio.sleep(_TURN)
        async with engine.connect() as connection:
            maker = await connection.execution_options(isolation_level="AUTOCOMMIT")
            await maker.execute(text("SET statement_timeout = 0"))
            try:
                await _keep(maker, wanted)
            finally:
                await maker.execute(text("RESET statement_timeout"))


async def _keep(maker: AsyncConnection, wanted: dict[str, tuple[str, str]]) -> None:
    found = {name: is_valid for name, is_valid in await maker.execute(_FOUND, {"prefix": PREFIX})}
    for name, is_valid in found.items():
        if name not in wanted or not is_valid:
            await maker.execute(text(f"DROP INDEX CONCURRENTLY IF EXISTS {name}"))
    for name, (definition, comment) in wanted.items():
        if not found.get(name):
            await maker.exec_driver_sql(f"CREATE INDEX CONCURRENTLY {name} ON document {definition}")
            await maker.exec_driver_sql(f"COMMENT ON INDEX {name} IS {comment}")
