"""From the objects of a level along one of their edges.

What came along with their own statement is there already; else one statement is run for all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from schema.errors import CostLimit, gone_meanwhile
from schema.levels.edge import ConnectionField, EdgeField, ValueField
from schema.levels.outline import Outline
from schema.levels.pages import Pages, Result
from schema.levels.tables import Answer, Column, Found, Raw, Rows, Table

if TYPE_CHECKING:
    from schema.levels.execute import Run
    from schema.levels.plan import Field


def follow(run: Run, field: Field, edge: EdgeField, table: Table) -> Raw:
    """What an edge gives to each object: values, rows, or these to be awaited. A failure is a value, too."""
    if isinstance(table, Rows):
        outline = table.outline.joins.get(field.identity)
        if outline is not None and outline in table.answer.statement.outlines:
            return _along(edge, outline, table)
    return partial(_fetched, run, field, edge, table)


def _along(edge: EdgeField, outline: Outline, table: Rows) -> Column | Found:
    if isinstance(edge, ValueField):
        return _values(edge, Rows(table.answer, outline, table.places).column(edge.column))
    if outline.edge.is_single:
        return table.joined(outline)
    answer = table.answer
    rows = answer.rows(outline)
    result = Result(answer, outline, rows, [rows.size], _totals(answer, outline, 1), None)
    return _found(edge, result.in_pages() if isinstance(edge, ConnectionField) else result)


async def _fetched(run: Run, field: Field, edge: EdgeField, table: Table) -> Column | Found:
    try:
        return _found(edge, await _result(run, field, edge, table))
    except CostLimit:
        raise
    except Exception as error:  # noqa: BLE001 - completing reports it, at each object's place
        return [error] * table.size


async def _result(run: Run, field: Field, edge: EdgeField, table: Table) -> Result:
    whole = table.whole
    if whole is None:
        return await _read(run, field, edge, table)
    if field.site not in whole.fetched:
        whole.fetched[field.site] = asyncio.ensure_future(_read_for_all(run, field, edge, whole))
    places, result = await whole.fetched[field.site]
    part: Result = result.part([places[place] for place in table.places])
    return part


async def _read_for_all(run: Run, field: Field, edge: EdgeField, whole: Table) -> tuple[dict[int, int], Result]:
    """Read for all objects whose type selects the edge; with the place of each in the result."""
    index = run.selecting(field, whole)
    result = await _read(run, field, edge, whole.take(index), is_mixed=True)
    return {whole.places[at]: number for number, at in enumerate(index)}, result


async def _read(run: Run, field: Field, edge: EdgeField, table: Table, *, is_mixed: bool = False) -> Result:
    result = await _read_rows(run, field, edge, table, is_mixed=is_mixed)
    return result.in_pages() if isinstance(edge, ConnectionField) else result


async def _read_rows(run: Run, field: Field, edge: EdgeField, table: Table, *, is_mixed: bool) -> Result:
    level = run.plan.level(field, edge)
    question = level.ask(run)  # before the keys: those that ask in vain may have none
    if not edge.keys:
        answer = await level.read(run, question, ())
        rows = answer.rows(level.head)
        if edge.is_single:
            rows = Rows(answer, level.head, rows.places[:1])  # it comes with each row of the list that rides on it
        return Result(answer, level.head, rows, [rows.size], _totals(answer, level.head, 1), [0] * table.size)
    keys, which = _distinct(edge, table, is_mixed=is_mixed)
    answer = await level.read(run, question, keys)
    parents, rows = answer.columns[0], answer.rows(level.head)
    counts = [0] * len(keys[0])
    for place in rows.places:
        counts[parents[place] - 1] += 1
    return Result(answer, level.head, rows, counts, _totals(answer, level.head, len(counts)), which)


def _distinct(edge: EdgeField, table: Table, *, is_mixed: bool) -> tuple[list[list[Any]], list[int]]:
    """The distinct keys of the objects, column by column, and which of them is whose.

    Of mixed objects, those that lack the keys are of a type that does not ask: their keys are null.
    """
    columns: list[Any] = [table.column(name) for name in edge.keys]
    if is_mixed:
        columns = [[None if isinstance(value, Exception) else value for value in column] for column in columns]
    for error in (value for column in columns for value in column if isinstance(value, Exception)):
        raise error
    numbers: dict[Any, int] = {}
    which = [numbers.setdefault(key, len(numbers)) for key in zip(*columns, strict=True)]
    return [list(column) for column in zip(*numbers, strict=True)] or [[] for _ in columns], which


def _totals(answer: Answer, outline: Outline, parents: int) -> Sequence[int]:
    """How many rows the pages of each parent have together; each row of a parent says it."""
    if outline not in answer.statement.totals:
        return ()
    column = answer.columns[answer.statement.totals[outline]]
    if parents == 1:
        return column[:1]
    by_parent = dict(zip(answer.columns[0], column, strict=True))
    return [by_parent[at + 1] for at in range(parents)]


def _found(edge: EdgeField, result: Result) -> Column | Found:
    if isinstance(edge, ValueField):
        column = iter(result.rows.column(edge.column))
        values = _values(edge, [next(column) if count else None for count in result.counts])
        return values if result.which is None else [values[at] for at in result.which]
    if isinstance(edge, ConnectionField):
        return Found(Pages(result), None, result.which)
    return Found(result.rows, result.counts, result.which)


def _values(edge: EdgeField, column: Column) -> Column:
    """A column, in which null is an error where a value has to be: then it went while the operation ran."""
    if edge.is_optional or None not in column:
        return column
    return [gone_meanwhile() if value is None else value for value in column]
