"""Keyset pages: the rows of a Select that follow a place in its order.

A place is the values of all the order's keys, the last of which is unique; a page is then read from an index with no
regard to how many rows come before it. Anything may be null, on either end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import NoneType
from typing import Any

from sqlalchemy import BigInteger, Column, ColumnElement, Integer, Select, and_, false, or_, tuple_
from sqlalchemy.types import TypeEngine

from db.rules.filters import NullsOrder, OrderDirection


@dataclass(frozen=True, slots=True)
class Key:
    """One key of an order: a column of the Select."""

    column: str
    direction: OrderDirection = OrderDirection.ASC
    nulls: NullsOrder = NullsOrder.LAST

    def reversed(self) -> Key:
        """The same key read from the other end."""
        return replace(
            self,
            direction=OrderDirection.DESC if self.direction is OrderDirection.ASC else OrderDirection.ASC,
            nulls=NullsOrder.FIRST if self.nulls is NullsOrder.LAST else NullsOrder.LAST,
        )


Place = tuple[Any, ...]


class ForeignPlaceError(ValueError):
    """A place whose values are not such as the keys have."""


def reading_order(keys: Sequence[Key], *, backward: bool) -> tuple[Key, ...]:
    """The order in which SQL reads: a page before a place is read from there backwards."""
    return tuple(key.reversed() for key in keys) if backward else tuple(keys)


def ordered(query: Select[Any], keys: Sequence[Key], columns: Any | None = None) -> Select[Any]:
    """The query in this order; `columns` are those of `query` unless given."""
    columns = query.selected_columns if columns is None else columns
    return query.order_by(*(_term(key, columns[key.column]) for key in keys))


def following(query: Select[Any], keys: Sequence[Key], place: Place, parameter: Callable[..., Any]) -> Select[Any]:
    """The rows of the query that come after the place in this order.

    `place` holds the type of each value there, NoneType for null; `parameter` makes an SQL parameter of a column's type
    for each that is not null, in order. Raises ForeignPlaceError.
    """
    columns = [query.selected_columns[key.column] for key in keys]
    if not all(map(_fits, columns, place)):
        raise ForeignPlaceError
    marks = [None if type_ is NoneType else parameter(_wide(c.type)) for c, type_ in zip(columns, place, strict=True)]
    directions = {key.direction for key in keys}
    if len(directions) == 1 and not any(map(_nullable, columns)):
        row, mark = tuple_(*columns), tuple_(*marks)
        return query.where(row > mark if directions == {OrderDirection.ASC} else row < mark)
    beyond = []
    for depth, key in enumerate(keys):
        same = (c.is_not_distinct_from(mark) for c, mark in zip(columns[:depth], marks[:depth], strict=True))
        beyond.append(and_(*same, _after(columns[depth], key, marks[depth])))
    if not _nullable(columns[0]):  # said apart, so that an index can start here
        query = query.where(
            columns[0] >= marks[0] if keys[0].direction is OrderDirection.ASC else columns[0] <= marks[0]
        )
    return query.where(or_(*beyond))


def _term(key: Key, column: ColumnElement[Any]) -> ColumnElement[Any]:
    term = column.asc() if key.direction is OrderDirection.ASC else column.desc()
    if not _nullable(column):
        return term  # without a word on nulls an index can be read backwards, too
    return term.nulls_first() if key.nulls is NullsOrder.FIRST else term.nulls_last()


def _after(column: ColumnElement[Any], key: Key, mark: Any) -> ColumnElement[bool]:
    if mark is None:
        return column.is_not(None) if key.nulls is NullsOrder.FIRST else false()
    beyond: ColumnElement[bool] = column > mark if key.direction is OrderDirection.ASC else column < mark
    if key.nulls is NullsOrder.LAST and _nullable(column):
        beyond = or_(beyond, column.is_(None))
    return beyond


def _nullable(column: ColumnElement[Any]) -> bool:
    return not isinstance(column, Column) or bool(column.nullable)


def _wide(type_: TypeEngine[Any]) -> TypeEngine[Any]:
    """The type of a parameter that is compared with a column of this type: a number may be any that a cursor holds."""
    return BigInteger() if isinstance(type_, Integer) else type_


def _fits(column: ColumnElement[Any], type_: type) -> bool:
    """Whether the column can have a value of this type."""
    return _nullable(column) if type_ is NoneType else type_ is column.type.python_type
