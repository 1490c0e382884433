"""The edges of one request, batched: all parents that wait for the same edge share one statement.

This is one generic loader. A load names what is wanted (a body of `db.queries`, its arguments, and whether rows, a page
or a count) and for which parent; whatever waits at the same moment for the same thing goes into one statement.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from aiodataloader import DataLoader
from sqlalchemy import Row, Select

from db.queries.keyset import ForeignPlaceError, Key
from schema.errors import BadUserInput
from schema.levels import statements
from schema.levels.reading import Reader
from schema.levels.statements import Body
from schema.paging import PageRequest

Parent = tuple[Any, ...]  # the values of the columns that the body reads


@dataclass(frozen=True, slots=True)
class Wanted(ABC):
    """What a load is of. Equal ones share a statement."""

    body: Body
    arguments: tuple[tuple[str, Any], ...]

    @abstractmethod
    def statement(self, parents: Sequence[Parent]) -> Select[Any]:
        """One statement for all these parents."""


@dataclass(frozen=True, slots=True)
class Rows(Wanted):
    """All rows of a parent."""

    order: tuple[Key, ...] = ()

    def statement(self, parents: Sequence[Parent]) -> Select[Any]:
        """One statement for all these parents."""
        return statements.rows(self.body, dict(self.arguments), parents, self.order)


@dataclass(frozen=True, slots=True)
class PageRows(Wanted):
    """The rows of one page, and one more where there is another page."""

    request: PageRequest

    def statement(self, parents: Sequence[Parent]) -> Select[Any]:
        """One statement for all these parents."""
        return statements.page(self.body, dict(self.arguments), parents, self.request)


@dataclass(frozen=True, slots=True)
class Count(Wanted):
    """One row, with how many rows a parent has in all."""

    def statement(self, parents: Sequence[Parent]) -> Select[Any]:
        """One statement for all these parents."""
        return statements.count(self.body, dict(self.arguments), parents)


class Load(NamedTuple):
    """One thing wanted for one parent."""

    wanted: Wanted
    parent: Parent


class EdgeLoader(DataLoader[Load, list[Row[Any]]]):
    """The loads of one request; a load gives its rows, in order."""

    def __init__(self, reader: Reader) -> None:
        super().__init__()
        self._reader = reader
        self.wanted: dict[object, Wanted] = {}  # by each selection, as the first of its objects found it

    async def batch_load_fn(self, loads: list[Load]) -> list[Any]:
        """The rows in the order of the loads. A statement that fails fails only its own loads."""
        together: dict[Wanted, dict[Parent, None]] = defaultdict(dict)
        for load in loads:
            together[load.wanted][load.parent] = None
        found = await asyncio.gather(*(self._rows(wanted, list(parents)) for wanted, parents in together.items()))
        by_wanted = dict(zip(together, found, strict=True))
        return [by_wanted[wanted][parent] for wanted, parent in loads]

    async def _rows(self, wanted: Wanted, parents: list[Parent]) -> dict[Parent, Any]:
        rows: list[list[Row[Any]]] = [[] for _ in parents]
        try:
            for row in await self._reader.rows(wanted.statement(parents)):
                rows[row[0] - 1].append(row)
        except ForeignPlaceError:
            return dict.fromkeys(parents, BadUserInput("This cursor was not made by this graph."))
        except Exception as error:  # noqa: BLE001 - it is raised again where each load is awaited
            return dict.fromkeys(parents, error)
        return dict(zip(parents, rows, strict=True))
