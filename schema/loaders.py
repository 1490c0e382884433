"""The keyed lookups of one request: value by key, batched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiodataloader import DataLoader
from sqlalchemy import Row, Select
from sqlalchemy.ext.asyncio import AsyncEngine

from db.queries import entities, problems, sources

MAX_BATCH = 1_000


class Loaders:
    """Every keyed loader, one line each."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.entity_by_ref = KeyedLoader(engine, entities.by_refs, "ref")
        self.source_by_name = KeyedLoader(engine, sources.by_names, "name")
        self.problem_by_key = KeyedLoader(engine, problems.by_keys, "key")


class KeyedLoader(DataLoader[str, Row[Any] | None]):
    """Rows by a unique column; None where there is none. One statement a batch, its order restored here."""

    max_batch_size = MAX_BATCH

    def __init__(self, engine: AsyncEngine, query: Callable[[list[str]], Select[Any]], column: str) -> None:
        super().__init__()
        self._engine, self._query, self._column = engine, query, column

    async def batch_load_fn(self, keys: list[str]) -> list[Row[Any] | None]:
        """The rows in the order of the keys."""
        async with self._engine.connect() as connection:
            rows = await connection.execute(self._query(keys))
        by_key = {getattr(row, self._column): row for row in rows}
        return [by_key.get(key) for key in keys]
