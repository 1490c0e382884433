"""A page of an edge: what a connection's fields are read from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from schema.levels.batch import Count, EdgeLoader, Load, PageRows, Parent
from schema.paging import PageRequest


@dataclass(frozen=True, slots=True)
class Edge:
    """An item of a page, with its cursor."""

    cursor: str
    node: Row[Any]


@dataclass(frozen=True, slots=True)
class PageInfo:
    """Where a page lies in its list."""

    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@dataclass(frozen=True, slots=True)
class Page:
    """One page, not yet read. Its rows and its total are two loads, each made only when a field asks for it."""

    loader: EdgeLoader
    wanted: PageRows
    parent: Parent

    async def total(self) -> int:
        """How many rows there are on all pages."""
        (row,) = await self.loader.load(Load(Count(self.wanted.body, self.wanted.arguments), self.parent))
        return int(row.total)

    async def nodes(self) -> list[Row[Any]]:
        """The rows, in the list's order."""
        rows = (await self._read())[: self.request.size]
        return rows[::-1] if self.request.backward else rows

    async def edges(self) -> list[Edge]:
        """The rows with their cursors."""
        return [Edge(self.request.cursor(row), row) for row in await self.nodes()]

    async def info(self) -> PageInfo:
        """Whether there is more, by the rules of the Relay specification."""
        nodes, more = await self.nodes(), len(await self._read()) > self.request.size
        elsewhere = self.request.place is not None
        return PageInfo(
            has_next_page=elsewhere if self.request.backward else more,
            has_previous_page=more if self.request.backward else elsewhere,
            start_cursor=self.request.cursor(nodes[0]) if nodes else None,
            end_cursor=self.request.cursor(nodes[-1]) if nodes else None,
        )

    @property
    def request(self) -> PageRequest:
        """Which page it is."""
        return self.wanted.request

    async def _read(self) -> list[Row[Any]]:
        return await self.loader.load(Load(self.wanted, self.parent))
