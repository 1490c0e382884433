"""The keyed lookups of one request: value by key, batched."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from aiodataloader import DataLoader
from sqlalchemy import ARRAY, Select, Text, bindparam

from db.queries import changes, entities, neighbourhoods, problems, sources
from db.reading import Row
from schema.ids import Sort
from schema.levels.reading import Reader, compiled

Query = Callable[[Any], Select[Any]]

MAX_BATCH = 1_000


class Loaders:
    """Every keyed loader, one line each."""

    def __init__(self, reader: Reader) -> None:
        self.entity_by_ref = KeyedLoader(reader, entities.by_refs, "ref")
        self.source_by_name = KeyedLoader(reader, sources.by_names, "name")
        self.problem_by_key = KeyedLoader(reader, problems.by_keys, "key")
        self.change_by_position = KeyedLoader(reader, changes.by_positions, "key")
        self.neighbourhood_by_key = KeyedLoader(reader, neighbourhoods.by_keys, "key")
        self.node = {
            Sort.ENTITY: self.entity_by_ref,
            Sort.SOURCE: self.source_by_name,
            Sort.PROBLEM: self.problem_by_key,
            Sort.CHANGE: self.change_by_position,
        }


class KeyedLoader(DataLoader[str, Row | None]):
    """Rows by a unique column; None where there is none. One statement a batch, its order restored here."""

    max_batch_size = MAX_BATCH

    def __init__(self, reader: Reader, query: Query, column: str) -> None:
        super().__init__()
        self._reader, self._query, self._column = reader, query, column

    async def batch_load_fn(self, keys: list[str]) -> list[Row | None]:
        """The rows in the order of the keys."""
        rows = await self._reader.fetch_aside(_text(self._query), [keys])
        by_key = {getattr(row, self._column): row for row in rows}
        return [by_key.get(key) for key in keys]


@cache
def _text(query: Query) -> str:
    """The statement for any number of keys."""
    text, _ = compiled(query(bindparam("keys", None, ARRAY(Text))), ["keys"])
    return text
