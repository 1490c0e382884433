"""A body under plain graphql-core: one object, one statement.

This is the plainest thing that a body can mean, and so the measure for what `schema.levels.statement` makes of it: the
tests compare the two. Strawberry's own tools come this way too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from graphql import get_argument_values
from graphql.execution.values import VariableValues
from sqlalchemy import Select, bindparam, literal
from sqlalchemy.types import TypeEngine

from schema.levels.asked import Asked, put_together, taken_apart
from schema.levels.reading import Reader, compiled
from schema.paging import PageRequest

SelectOf = Callable[..., Select[Any]]  # of a shape, a parent, and what makes parameters


class Parent:
    """An object as a body sees it: its attributes are values."""

    def __init__(self, source: Any, keys: dict[str, TypeEngine[Any]]) -> None:
        self._source, self._keys = source, keys

    def __getattr__(self, name: str) -> Any:
        return literal(getattr(self._source, name), self._keys[name])


def arguments(info: Any) -> dict[str, Any]:
    """The field's arguments as graphql-core reads them, which Strawberry then makes into objects of its own."""
    raw = info._raw_info  # noqa: SLF001 - Strawberry has no other door to it
    values = raw.variable_values  # under Strawberry's own execution a dict
    variables = VariableValues({}, values) if isinstance(values, dict) else values
    return get_argument_values(raw.parent_type.fields[raw.field_name], raw.field_nodes[0], variables)


async def rows(select_of: SelectOf, parent: Parent, asked: Asked, reader: Reader) -> list[Any]:
    """The rows of a body for this parent."""
    names = (f"p{at}" for at in range(len(asked.values)))
    made: list[str] = []

    def parameter(type_: TypeEngine[Any]) -> Any:
        made.append(next(names))
        return bindparam(made[-1], None, type_)

    text, order = compiled(select_of(asked.shape, parent, parameter), made)
    return await reader.fetch(text, [asked.values[int(name[1:])] for name in order], named=True)


async def answer(body: Callable[..., Select[Any]], reader: Reader, **arguments: Any) -> list[Any]:
    """The rows of a body that is no field's, for these arguments of it."""
    values: list[Any] = []
    shape = tuple(taken_apart(argument, values) for argument in arguments.values())

    def select_of(asked: Any, _parent: Any, parameter: Any) -> Select[Any]:
        return body(**dict(zip(arguments, put_together(asked, parameter), strict=True)))

    return await rows(select_of, Parent(None, {}), Asked(shape, values, shape), reader)


@dataclass(frozen=True, slots=True)
class Edge:
    """An item of a page, with its cursor."""

    cursor: str
    node: Any


@dataclass(frozen=True, slots=True)
class PageInfo:
    """Where a page lies in its list."""

    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@dataclass(frozen=True, slots=True)
class Page:
    """A page, not yet read: an object whose attributes are a connection's fields, to be awaited."""

    rows_of: SelectOf
    count_of: SelectOf
    parent: Parent
    asked: Asked
    request: PageRequest
    reader: Reader

    def __getattr__(self, field: str) -> Any:
        return getattr(self, f"_{field}")()

    async def _total_count(self) -> int:
        (row,) = await rows(self.count_of, self.parent, self.asked, self.reader)
        return int(row.total)

    async def _nodes(self) -> list[Any]:
        nodes = (await self._read())[: self.request.size]
        return nodes[::-1] if self.request.backward else nodes

    async def _edges(self) -> list[Edge]:
        return [Edge(self._cursor(row), row) for row in await self._nodes()]

    async def _page_info(self) -> PageInfo:
        nodes, more = await self._nodes(), len(await self._read()) > self.request.size
        elsewhere = self.request.place is not None
        return PageInfo(
            has_next_page=elsewhere if self.request.backward else more,
            has_previous_page=more if self.request.backward else elsewhere,
            start_cursor=self._cursor(nodes[0]) if nodes else None,
            end_cursor=self._cursor(nodes[-1]) if nodes else None,
        )

    def _cursor(self, row: Any) -> str:
        return self.request.cursor(getattr(row, key.column) for key in self.request.keys)

    async def _read(self) -> list[Any]:
        return await rows(self.rows_of, self.parent, self.asked, self.reader)
