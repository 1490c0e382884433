"""A body and what is asked of it, as one statement.

A body is a function of `db.queries`: from the columns of its parent to a Select. For a level, all of whose parents are
known, its statement is

    SELECT parent.at, row.* FROM unnest(:keys) WITH ORDINALITY AS parent, LATERAL (<the body's Select>) AS row

so that a level costs one statement, however many parents it has, and each parent's rows are found by index and limited
on their own.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Select, TableValuedAlias, bindparam, func, literal_column, select, true
from sqlalchemy.types import TypeEngine

from db.queries.keyset import Key, following, ordered
from db.tables import metadata
from schema.paging import PageRequest

Body = Callable[..., Select[Any]]
AT = "_at"  # the column of a level's statement that says which parent a row belongs to, from 1


class Columns:
    """The parent, as a body sees it: the columns of one table, by attribute. It remembers which ones were read.

    The columns are plain text, for SQLAlchemy would silently add the parent to an inner FROM: a cross join.
    """

    def __init__(self, table: str) -> None:
        self._table = metadata.tables[table]
        self._read: dict[str, TypeEngine[Any]] = {}

    def __getattr__(self, name: str) -> ColumnElement[Any]:
        if name not in self._table.c:
            raise AttributeError(f"table {self._table.name!r} has no column {name!r}")
        self._read[name] = self._table.c[name].type
        return literal_column(f"parent.{name}", self._table.c[name].type)


@cache
def keys_of(body: Body) -> dict[str, TypeEngine[Any]]:
    """The columns of its parent that a body reads, with their types; none for a root."""
    parent = parent_of(body)
    if parent is None:
        return {}
    columns = Columns(parent)
    body(columns)
    return columns._read  # noqa: SLF001 - the two are one


def parent_of(body: Body) -> str | None:
    """The table whose columns a body takes: the name of its positional parameter."""
    positional = [p.name for p in inspect.signature(body).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    return positional[0] if positional else None


def rows(
    body: Body, arguments: dict[str, Any], parents: Sequence[tuple[Any, ...]], order: Sequence[Key]
) -> Select[Any]:
    """All rows of each parent, in order."""
    return _level(body, _called(body, arguments), parents, order)


def page(
    body: Body, arguments: dict[str, Any], parents: Sequence[tuple[Any, ...]], request: PageRequest
) -> Select[Any]:
    """One page of each parent, and one row more, which says whether there is another page."""
    query, order = _called(body, arguments), request.reading_order
    if request.place is not None:
        query = following(query, order, request.place)
    return _level(body, ordered(query, order).limit(request.size + 1), parents, order)


def count(body: Body, arguments: dict[str, Any], parents: Sequence[tuple[Any, ...]]) -> Select[Any]:
    """How many rows each parent has."""
    counted = _called(body, arguments).subquery()
    return _level(body, select(func.count().label("total")).select_from(counted), parents, ())


def _called(body: Body, arguments: dict[str, Any]) -> Select[Any]:
    parent = parent_of(body)
    return body(**arguments) if parent is None else body(Columns(parent), **arguments)


def _level(body: Body, query: Select[Any], parents: Sequence[tuple[Any, ...]], order: Sequence[Key]) -> Select[Any]:
    if parent_of(body) is None:
        row: Any = query.subquery("row")
        return ordered(select(literal_column("1").label(AT), row), order, row.c)
    parent, row = _parents(keys_of(body), parents), query.lateral("row")
    level = select(parent.c[AT], row).select_from(parent.join(row, true())).order_by(parent.c[AT])
    return ordered(level, order, row.c)


def _parents(keys: dict[str, TypeEngine[Any]], parents: Sequence[tuple[Any, ...]]) -> TableValuedAlias:
    arrays = (
        bindparam(None, list(values), ARRAY(type_))
        for type_, values in zip(keys.values(), zip(*parents, strict=True), strict=True)
    )
    return func.unnest(*arrays).table_valued(*keys, with_ordinality=AT).render_derived(name="parent")
