"""One level's statement: what an outline and the arguments of its edges make, as text that runs with other values.

For the objects of a level, whose keys are known, it is

    SELECT parent.at, x.name, j1.name, ...
    FROM unnest(:keys) WITH ORDINALITY AS parent
    JOIN LATERAL (<the body's Select>) AS x ON true
    LEFT JOIN LATERAL (<the body of an edge of at most one row>) AS j1 ON true ...
    ORDER BY parent.at, ...

so that a level costs one statement, however many objects it has, and each parent's rows are found by index and limited
on their own. A level below the root has no keys, and starts at x.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import count
from typing import Any, cast

from sqlalchemy import (
    ARRAY,
    BindParameter,
    FromClause,
    Select,
    bindparam,
    func,
    literal,
    literal_column,
    select,
    true,
)
from sqlalchemy.types import TypeEngine

from db.queries.keyset import Key, ordered, reading_order
from schema.errors import BadUserInput
from schema.levels.asked import Asked, Parameter, Whole
from schema.levels.edge import Columns, ConnectionField, EdgeField, ValueField
from schema.levels.outline import Outline, Survey
from schema.levels.reading import compiled
from schema.paging import PageRequest

AskedAll = dict[Outline, Asked]
Keys = Sequence[Sequence[Any]]  # of the parents: a list for each column
Source = Callable[[AskedAll, Keys], Any]  # gives a parameter's value

PARENT, AT = "parent", "at"


class Statement:
    """The text, and where its parameters come from.

    `outlines` are those that it reads: one below the head whose arguments are refused is left out. `presence` is the
    position of a column that is null only where an outline has no row; `cursors` are those of a page's order keys, and
    `totals` that of its total.
    """

    def __init__(self, survey: Survey, asked: AskedAll) -> None:
        self._survey, self._asked = survey, asked
        self.outlines: set[Outline] = set()
        self.presence: dict[Outline, int] = {}
        self.cursors: dict[Outline, list[int]] = {}
        self.totals: dict[Outline, int] = {}
        #: Whether the best plan depends on the values: a filter on all there is may leave few rows, or most. That on
        #: what one parent has does not matter so: its rows are found by the parent's key.
        self.is_varying = any(
            outline.edge.parent is None and any(isinstance(part, Whole) for part in one.arguments)
            for outline, one in asked.items()
        )
        self._cells: list[Any] = [literal_column("NULL")] * survey.width
        self._orders: list[tuple[Sequence[Key], Any]] = []
        self._sources: dict[str, Source] = {}
        self.text, parameters = compiled(self._built(), self._sources)
        self.width = len(self._cells)
        self._parameters = [self._sources[name] for name in parameters]
        # It is kept, so it lets go of what it was made of: SQLAlchemy's expressions, and what this client asked.
        del self._survey, self._asked, self._cells, self._orders, self._sources

    def values(self, asked: AskedAll, keys: Keys) -> list[Any]:
        """The parameters' values, in order."""
        return [source(asked, keys) for source in self._parameters]

    def _built(self) -> Select[Any]:
        head, parents = self._survey.head, None
        if self._survey.is_keyed:
            parents = self._parents(head.edge.keys)
            self._cells[0] = parents.c[AT]
        everything = self._with(parents, head, PARENT, is_outer=False)
        built = select(*(self._cells or [literal_column("NULL")]))
        if everything is not None:  # a page may be asked for its `__typename` only
            built = built.select_from(everything)
        if parents is not None:
            built = built.order_by(parents.c[AT])
        for keys, columns in self._orders:
            built = ordered(built, keys, columns)
        return built

    def _parents(self, keys: dict[str, TypeEngine[Any]]) -> FromClause:
        arrays = [self._parameter(ARRAY(type_), _key_source(at)) for at, type_ in enumerate(keys.values())]
        return func.unnest(*arrays).table_valued(*keys, with_ordinality=AT).render_derived(name=PARENT)

    def _with(self, so_far: Any, outline: Outline, parent: str, *, is_outer: bool) -> Any:
        """The FROM clause so far, and the outline's rows with all that is joined to them."""
        columns = None if outline.edge.parent is None else Columns(outline.edge.parent, parent)
        self.outlines.add(outline)
        shape = self._asked[outline].shape
        rows = outline.edge.select_of(shape, columns, self._parameters_of(outline))
        if isinstance(outline.edge, ConnectionField) and outline.has_total:
            total = outline.edge.count_of(shape, columns, self._parameters_of(outline))
            so_far, item = self._joined(so_far, total, is_outer=is_outer)
            self.totals[outline] = self._cell(item.c.total)
            is_outer = True  # a page may be empty, its total is there
        if not outline.is_read:
            return so_far
        if (page := self._asked[outline].page) and not outline.looks_ahead:
            rows = rows.limit(page.size)
        presence = _never_null(outline, rows) if is_outer and not isinstance(outline.edge, ValueField) else None
        needed = {*outline.columns, *(key.column for key in _order(outline.edge, self._asked[outline]))}
        needed.update(*(below.edge.keys for below in outline.joins.values()), {presence} if presence else ())
        so_far, item = self._joined(so_far, _narrowed(rows, needed), is_outer=is_outer)
        self._read(outline, item)
        if presence:
            self.presence[outline] = self._position(outline, item, presence)
        for below in outline.joins.values():
            if below in self._asked:
                so_far = self._with_if_it_can(so_far, below, item.name)
        return so_far

    def _with_if_it_can(self, so_far: Any, outline: Outline, parent: str) -> Any:
        try:
            return self._with(so_far, outline, parent, is_outer=True)
        except BadUserInput:  # its own statement will say so, to the field that asked
            self.outlines.discard(outline)
            return so_far

    def _joined(self, so_far: Any, query: Select[Any], *, is_outer: bool) -> tuple[Any, Any]:
        name = f"x{len(self.outlines) + len(self.totals)}"
        if so_far is None:
            item: Any = query.subquery(name)
            return item, item
        item = query.lateral(name)
        return (so_far.outerjoin(item, true()) if is_outer else so_far.join(item, true())), item

    def _read(self, outline: Outline, item: Any) -> None:
        """Read the columns that are needed, and let the rows of a list come in its order."""
        for name, position in outline.columns.items():
            self._cells[position] = item.c[name]
        self._orders.append((_order(outline.edge, self._asked[outline]), item.c))
        if outline.has_cursors:
            keys = cast("PageRequest", self._asked[outline].page).keys
            self.cursors[outline] = [self._position(outline, item, key.column) for key in keys]

    def _position(self, outline: Outline, item: Any, name: str) -> int:
        return outline.columns[name] if name in outline.columns else self._cell(item.c[name])

    def _cell(self, column: Any) -> int:
        self._cells.append(column)
        return len(self._cells) - 1

    def _parameters_of(self, outline: Outline) -> Parameter:
        """What makes the parameters of an outline's arguments, one value after the other."""
        values = count()
        return lambda type_: self._parameter(type_, _value_source(outline, next(values)))

    def _parameter(self, type_: TypeEngine[Any], source: Source) -> BindParameter[Any]:
        name = f"p{len(self._sources)}"
        self._sources[name] = source
        return bindparam(name, None, type_)


def _never_null(outline: Outline, rows: Select[Any]) -> str:
    """The name of a column that is never null in a row that is there; one that is read anyway, if there is one."""
    for name in outline.columns:
        if not getattr(rows.selected_columns[name], "nullable", True):
            return name
    if outline.edge.order:
        return outline.edge.order[-1].column
    return next(str(column.key) for column in rows.selected_columns if column.primary_key)


def _narrowed(rows: Select[Any], needed: Collection[str]) -> Select[Any]:
    """The Select with the needed columns only, which takes Postgres less time to plan and less memory to keep.

    One whose columns say which rows are the same is left as it is.
    """
    if rows._distinct or rows._group_by_clauses:  # noqa: SLF001 - SQLAlchemy has no other door to them
        return rows
    kept = [column for column in rows.selected_columns if column.key in needed]
    return rows.with_only_columns(*(kept or [literal(1)]), maintain_column_froms=True)


def _order(edge: EdgeField, asked: Asked) -> Sequence[Key]:
    if asked.page is not None:
        return reading_order(asked.page.keys, backward=asked.page.backward)
    return edge.order


def _key_source(at: int) -> Source:
    return lambda _asked, keys: keys[at]


def _value_source(outline: Outline, at: int) -> Source:
    return lambda asked, _keys: asked[outline].values[at]
