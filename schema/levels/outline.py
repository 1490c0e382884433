"""Which columns a level's statement reads: only those that the selections beneath its edge need.

An outline is one FROM item: the rows of one edge, with what is needed of them. The edges of those rows that give at
most one row come along as joins, which are outlines again. None of this depends on arguments or on rows.

A statement whose head is one row, as that of `entity(ref:)`, also takes one list along: the `rider`. The head's columns
then come with each row of the list, so none of them may be JSON, which may be large.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import TYPE_CHECKING

from sqlalchemy.types import JSON

from schema.levels.edge import ConnectionField, EdgeField, ValueField
from schema.levels.tables import TYPE

if TYPE_CHECKING:
    from schema.levels.plan import Details, Field, Plan

MAX_JOINS = 12  # of one statement; Postgres takes ever longer to plan more


class Outline:
    """The rows of one edge, and the position of each needed column in the rows of the statement."""

    def __init__(self, field: Field, edge: EdgeField) -> None:
        self.field, self.edge = field, edge
        self.columns: dict[str, int] = {}
        self.joins: dict[Hashable, Outline] = {}
        self.is_read = not isinstance(edge, ConnectionField)  # of a page, maybe only the total is
        # Of a page: whether its cursors, whether there is more after it, and how many all pages have, is asked.
        self.has_cursors, self.looks_ahead, self.has_total = False, False, False
        self._walked: set[Hashable] = set()

    def all(self) -> Iterator[Outline]:
        """This one and those below it, each after the one that it is joined to."""
        yield self
        for joined in self.joins.values():
            yield from joined.all()

    def is_new(self, walk: Hashable) -> bool:
        """Whether these selections have not been walked yet: aliases, and the types of an interface, share some."""
        is_new = walk not in self._walked
        self._walked.add(walk)
        return is_new


class Survey:
    """The outline of an edge's statement, made by a walk through the selections beneath it."""

    def __init__(self, plan: Plan, field: Field, edge: EdgeField) -> None:
        self._plan = plan
        self.is_keyed = bool(edge.keys)
        self.width = int(self.is_keyed)  # columns so far; the first of a keyed statement says whose row it is
        self.head = Outline(field, edge)
        self._riders: list[tuple[Outline, Field, EdgeField]] = []
        self._joins = 0
        self._walk_edge(self.head, field)
        self._choose_rider()
        self.outlines = list(self.head.all())
        del self._plan, self._riders  # which keeps it

    def _walk_edge(self, outline: Outline, field: Field) -> None:
        if isinstance(outline.edge, ValueField):
            self._cell(outline, outline.edge.column)
        elif isinstance(outline.edge, ConnectionField):
            self._walk_page(outline, field)
        elif outline.is_new(field.site):
            self._walk(outline, field.named, field.details)

    def _walk_page(self, outline: Outline, page: Field) -> None:
        for field in self._fields(page):
            match field.name:
                case "totalCount":
                    outline.has_total = True
                case "nodes":
                    outline.is_read = True
                    self._walk(outline, field.named, field.details)
                case "edges":
                    outline.is_read = True
                    self._walk_items(outline, field)
                case "pageInfo":
                    outline.is_read = True
                    names = {one.name for one in self._fields(field)}
                    outline.has_cursors |= not names.isdisjoint({"startCursor", "endCursor"})
                    outline.looks_ahead |= not names.isdisjoint({"hasNextPage", "hasPreviousPage"})

    def _walk_items(self, outline: Outline, items: Field) -> None:
        for field in self._fields(items):
            if field.name == "cursor":
                outline.has_cursors = True
            elif field.name == "node":
                self._walk(outline, field.named, field.details)

    def _fields(self, field: Field) -> list[Field]:
        selection = self._plan.select_if_it_can(field.named, field.details)
        return selection.fields if selection else []

    def _walk(self, outline: Outline, type_: object, details: Details) -> None:
        selections = self._plan.selections(type_, details)
        if selections.needs_types:
            self._cell(outline, TYPE)
        for selection in selections.every:
            for field in selection.fields:
                self._walk_field(outline, field)

    def _walk_field(self, outline: Outline, field: Field) -> None:
        if field.column is not None:
            self._cell(outline, field.column)
        elif field.derived is not None:
            self._cells(outline, field.derived.columns)
        elif field.is_part:
            if outline.is_new(field.site):
                self._walk(outline, field.named, field.details)
        elif field.edge is not None:
            self._walk_below(outline, field, field.edge)
        elif not field.is_typename:
            self._cells(outline, outline.edge.columns if field.needs is None else field.needs)

    def _walk_below(self, outline: Outline, field: Field, edge: EdgeField) -> None:
        if not edge.is_single:
            self._riders.append((outline, field, edge))
        elif field.identity in outline.joins:
            self._walk_edge(outline.joins[field.identity], field)
        elif self._joins < MAX_JOINS:
            self._joins += 1
            joined = outline.joins[field.identity] = Outline(field, edge)
            self._walk_edge(joined, field)
        else:
            self._cells(outline, edge.keys)

    def _choose_rider(self) -> None:
        """Let the first list ride, if one can; the others, and those below it, get the keys for their statements."""
        lists, self._riders = self._riders, []
        if lists and not self.is_keyed and self.head.edge.is_single and not any(map(_has_json, self.head.all())):
            outline, first, edge = lists[0]
            rider = outline.joins[first.identity] = Outline(first, edge)
            riding = [one for one in lists if one[0] is outline and one[1].identity == first.identity]
            for _, field, _ in riding:  # some types may select more of it than others
                self._walk_edge(rider, field)
            lists = [one for one in lists if one not in riding] + self._riders
        for outline, _, edge in lists:
            self._cells(outline, edge.keys)

    def _cells(self, outline: Outline, names: Iterable[str]) -> None:
        for name in names:
            self._cell(outline, name)

    def _cell(self, outline: Outline, name: str) -> None:
        if name not in outline.columns:
            outline.columns[name] = self.width
            self.width += 1


def _has_json(outline: Outline) -> bool:
    return any(isinstance(outline.edge.columns[name], JSON) for name in outline.columns)
