"""The keyed lookups of one request: value by key, batched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiodataloader import DataLoader
from sqlalchemy import Row, Select

from db.queries import entities, problems, sources
from schema.ids import Sort
from schema.levels.reading import Reader

MAX_BATCH = 1_000


class Loaders:
    """Every keyed loader, one line each."""

    def __init__(self, reader: Reader) -> None:
        self.entity_by_ref = KeyedLoader(reader, entities.by_refs, "ref")
        self.source_by_name = KeyedLoader(reader, sources.by_names, "name")
        self.problem_by_key = KeyedLoader(reader, problems.by_keys, "key")
        self.node = {
            Sort.ENTITY: self.entity_by_ref,
            Sort.SOURCE: self.source_by_name,
            Sort.PROBLEM: self.problem_by_key,
        }


class KeyedLoader(DataLoader[str, Row[Any] | None]):
    """Rows by a unique column; None where there is none. One statement a batch, its order restored here."""

    max_batch_size = MAX_BATCH

    def __init__(self, reader: Reader, query: Callable[[list[str]], Select[Any]], column: str) -> None:
        super().__init__()
        self._reader, self._query, self._column = reader, query, column

    async def batch_load_fn(self, keys: list[str]) -> list[Row[Any] | None]:
        """The rows in the order of the keys."""
        by_key = {getattr(row, self._column): row for row in await self._reader.rows(self._query(keys))}
        return [by_key.get(key) for key in keys]
