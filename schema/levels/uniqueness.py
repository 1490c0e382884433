"""Whether a Select gives at most one row, whatever the tables hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import (
    Alias,
    BinaryExpression,
    BindParameter,
    Column,
    ColumnElement,
    FromClause,
    Join,
    Select,
    Table,
    UniqueConstraint,
)
from sqlalchemy.sql import operators, visitors
from sqlalchemy.sql.elements import BooleanClauseList
from sqlalchemy.sql.functions import FunctionElement

_AGGREGATES = {"array_agg", "avg", "bool_and", "bool_or", "count", "jsonb_agg", "max", "min", "sum"}


def gives_several(query: Select[Any]) -> str | None:
    """The name of a table of which it may give several rows; None where it gives at most one row in all.

    It gives one if it is limited to one, or is an aggregate without groups, or if its conditions say of each table what
    the columns of a unique key are: a value from outside, or a column of a table of which that has been said.
    """
    if _is_limited(query) or _is_aggregate(query):
        return None
    tables: list[FromClause] = []
    bindings: list[tuple[Any, ColumnElement[Any]]] = []
    for source in query.get_final_froms():
        _take_apart(source, tables, bindings)
    if query.whereclause is not None:
        bindings.extend(_equalities(query.whereclause))
    return _undecided(tables, bindings)


def _undecided(tables: list[FromClause], bindings: list[tuple[Any, ColumnElement[Any]]]) -> str | None:
    left = list(tables)
    while left:
        decided = next((table for table in left if _is_decided(table, bindings, left)), None)
        if decided is None:
            return _name(left[0])
        left.remove(decided)
    return None


def _is_decided(table: FromClause, bindings: list[tuple[Any, ColumnElement[Any]]], left: list[FromClause]) -> bool:
    bound = {column.name for column, value in bindings if column.table is table and not _tables_of(value) & {*left}}
    return any(key <= bound for key in _unique_keys(table))


def _unique_keys(table: FromClause) -> Iterator[set[str]]:
    base = table.element if isinstance(table, Alias) else table
    if isinstance(base, Table):
        yield {column.name for column in base.primary_key}
        yield from ({column.name} for column in base.columns if column.unique)
        for constraint in base.constraints:
            if isinstance(constraint, UniqueConstraint):
                yield {column.name for column in constraint.columns}


def _take_apart(source: FromClause, tables: list[FromClause], bindings: list[Any]) -> None:
    if not isinstance(source, Join):
        tables.append(source)
        return
    _take_apart(source.left, tables, bindings)
    _take_apart(source.right, tables, bindings)
    if source.onclause is not None:
        bindings.extend(_equalities(source.onclause))


def _equalities(condition: Any) -> Iterator[tuple[Any, ColumnElement[Any]]]:
    """The `column = value` that all hold, each read both ways."""
    if isinstance(condition, BooleanClauseList) and condition.operator is operators.and_:
        for part in condition.clauses:
            yield from _equalities(part)
    elif isinstance(condition, BinaryExpression) and condition.operator is operators.eq:
        for column, value in ((condition.left, condition.right), (condition.right, condition.left)):
            if isinstance(column, Column):
                yield column, value


def _tables_of(value: ColumnElement[Any]) -> set[FromClause]:
    return {part.table for part in visitors.iterate(value) if isinstance(part, Column)}


def _is_limited(query: Select[Any]) -> bool:
    limit = query._limit_clause  # noqa: SLF001 - SQLAlchemy has no other door to it
    return isinstance(limit, BindParameter) and limit.value == 1


def _is_aggregate(query: Select[Any]) -> bool:
    grouped = query._group_by_clauses  # noqa: SLF001 - as above
    return not grouped and all(
        isinstance(column, FunctionElement) and getattr(column, "name", None) in _AGGREGATES
        for column in (getattr(one, "element", one) for one in query.selected_columns)
    )


def _name(table: FromClause) -> str:
    base = table.element if isinstance(table, Alias) else table
    return getattr(base, "name", None) or getattr(table, "name", None) or "a subquery"
