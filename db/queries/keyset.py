"""Keyset pages: the rows of a Select that follow a place in its order.

A place is the values of all the order's keys, the last of which is unique; a page is then read from an index with no
regard to how many rows come before it. Anything may be null, on either end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Column, ColumnElement, Select, and_, false, literal, or_, tuple_

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


def ordered(query: Select[Any], keys: Sequence[Key], columns: Any | None = None) -> Select[Any]:
    """The query in this order; `columns` are those of `query` unless given."""
    columns = query.selected_columns if columns is None else columns
    return query.order_by(*(_term(key, columns[key.column]) for key in keys))


def following(query: Select[Any], keys: Sequence[Key], place: Place) -> Select[Any]:
    """The rows of the query that come after the place in this order."""
    columns = [query.selected_columns[key.column] for key in keys]
    if not all(map(_fits, columns, place)):
        raise ForeignPlaceError
    directions = {key.direction for key in keys}
    if len(directions) == 1 and not any(map(_nullable, columns)):
        row, mark = tuple_(*columns), tuple_(*(_bound(c, v) for c, v in zip(columns, place, strict=True)))
        return query.where(row > mark if directions == {OrderDirection.ASC} else row < mark)
    beyond = []
    for depth, key in enumerate(keys):
        same = (c.is_not_distinct_from(_bound(c, v)) for c, v in zip(columns[:depth], place[:depth], strict=True))
        beyond.append(and_(*same, _after(columns[depth], key, place[depth])))
    if not _nullable(columns[0]):  # said apart, so that an index can start here
        first = _bound(columns[0], place[0])
        query = query.where(columns[0] >= first if keys[0].direction is OrderDirection.ASC else columns[0] <= first)
    return query.where(or_(*beyond))


def _term(key: Key, column: ColumnElement[Any]) -> ColumnElement[Any]:
    term = column.asc() if key.direction is OrderDirection.ASC else column.desc()
    if not _nullable(column):
        return term  # without a word on nulls an index can be read backwards, too
    return term.nulls_first() if key.nulls is NullsOrder.FIRST else term.nulls_last()


def _after(column: ColumnElement[Any], key: Key, value: Any) -> ColumnElement[bool]:
    if value is None:
        return column.is_not(None) if key.nulls is NullsOrder.FIRST else false()
    mark = _bound(column, value)
    beyond = column > mark if key.direction is OrderDirection.ASC else column < mark
    if key.nulls is NullsOrder.LAST and _nullable(column):
        beyond = or_(beyond, column.is_(None))
    return beyond


def _nullable(column: ColumnElement[Any]) -> bool:
    return not isinstance(column, Column) or bool(column.nullable)


def _fits(column: ColumnElement[Any], value: Any) -> bool:
    """Whether the column can have this value."""
    if value is None:
        return _nullable(column)
    if type(value) is int:
        return column.type.python_type is int and -(2**63) <= value < 2**63
    return type(value) is column.type.python_type


def _bound(column: ColumnElement[Any], value: Any) -> ColumnElement[Any]:
    return literal(value, column.type)
