"""The objects of a level, as tables: a column for each field, an object in each row.

    Objects   ordinary Python objects; a column is an attribute of each
    Rows      rows of an SQL statement
    Pages     what connections are made of, in `schema.levels.pages`

What a field of composite type gives is `Found`: a table, and how many of its objects belong to each parent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import repeat
from operator import itemgetter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from schema.levels.asked import Asked

if TYPE_CHECKING:
    from schema.levels.outline import Outline
    from schema.levels.statement import Statement

Column = Sequence[Any]
Later = partial[Coroutine[Any, Any, Any]]  # of a column, or of what is found; begun when its turn comes

TYPE = "graph_type"  # the column of an interface's rows that names their type


class Table:
    """The objects of a level, or some of those of a `whole`, at these places there.

    The objects of an interface are completed type by type. What several of its types select is fetched once for the
    whole, so that the number of statements does not depend on which types come by.
    """

    def __init__(self, places: Sequence[int], whole: Table | None) -> None:
        self.places, self.size = places, len(places)
        self.whole = whole  # None: it is one itself; nothing here refers to itself, so all goes when the answer is sent

    def names_of_types(self) -> Sequence[str | None]:
        """The name of each object's type, where they differ; None where it has none."""
        return ()

    @cached_property
    def fetched(self) -> dict[Hashable, asyncio.Task[Any]]:
        """What was fetched for all its parts, by the site of the edge."""
        return {}

    def column(self, name: str) -> Column | Found:
        """What each object has under this Python name; an exception where reading it failed."""
        raise NotImplementedError

    def sources(self) -> Sequence[Any]:
        """The objects as resolvers see them."""
        raise NotImplementedError

    def take(self, index: Sequence[int]) -> Table:
        """Only these objects."""
        raise NotImplementedError


class Objects(Table):
    """Ordinary Python objects."""

    def __init__(self, items: Sequence[Any], read: Callable[[Any, str], Any] = getattr) -> None:
        super().__init__(range(len(items)), None)
        self._items, self._read = items, read
        self.type_names: Sequence[str | None] = ()  # where they differ

    def names_of_types(self) -> Sequence[str | None]:
        """As they were resolved."""
        return self.type_names

    def column(self, name: str) -> Column:
        """An attribute of each."""
        return [attempt(self._read, item, name) for item in self._items]

    def sources(self) -> Sequence[Any]:
        """The objects themselves."""
        return self._items

    def take(self, index: Sequence[int]) -> Objects:
        """Only these objects."""
        taken = Objects([self._items[at] for at in index], self._read)
        taken.whole, taken.places = self.whole or self, [self.places[at] for at in index]
        return taken


class Answer:
    """What one statement gave: its columns, and for each outline that it reads, the rows of it."""

    def __init__(self, statement: Statement, asked: dict[Outline, Asked], columns: Sequence[Column], size: int) -> None:
        self.statement, self.asked, self.columns, self.size = statement, asked, columns, size

    def rows(self, outline: Outline) -> Rows:
        """All rows that have something for this outline."""
        return Rows(self, outline, self.present(outline, range(self.size)))

    def present(self, outline: Outline, places: Sequence[int]) -> Sequence[int]:
        """Those of the places that have something for this outline."""
        presence = self.statement.presence.get(outline)
        if presence is None or None not in (column := self.columns[presence]):
            return places
        return [place for place in places if column[place] is not None]


class Rows(Table):
    """Rows of a statement, as far as one outline reads them; their places are their numbers in the statement."""

    whole: Rows | None

    def __init__(self, answer: Answer, outline: Outline, places: Sequence[int], whole: Rows | None = None) -> None:
        super().__init__(places, whole)
        self.answer, self.outline = answer, outline
        self._pick: Callable[[Column], Column] | None = None

    @cached_property
    def _joined(self) -> dict[Outline, Rows]:
        return {}

    def column(self, name: str) -> Column:
        """A column by its name in the outline."""
        return self.cells(self.outline.columns[name])

    def cells(self, position: int) -> Column:
        """A column by its position in the statement."""
        column, places = self.answer.columns[position], self.places
        if isinstance(places, range):
            return column if len(places) == self.answer.size else column[places.start : places.stop]
        if self._pick is None:
            self._pick = _picker(places)
        return self._pick(column)

    def sources(self) -> Sequence[Any]:
        """Objects that have the read columns as attributes."""
        names = list(self.outline.columns)
        columns = [self.column(name) for name in names]
        return [SimpleNamespace(**dict(zip(names, row, strict=True))) for row in each(columns, self.size)]

    def take(self, index: Sequence[int]) -> Rows:
        """Only these rows."""
        return Rows(self.answer, self.outline, [self.places[at] for at in index], self.whole or self)

    def joined(self, outline: Outline) -> Found:
        """The rows that came along for an outline that is joined to this one, at most one each."""
        places = self.answer.present(outline, self.places)
        rows = Rows(self.answer, outline, places, self.whole and self.whole.all_joined(outline))
        if len(places) == self.size:
            return Found(rows)
        there = set(places)
        return Found(rows, [int(place in there) for place in self.places])

    def all_joined(self, outline: Outline) -> Rows:
        """The same rows for a whole, of which others are parts."""
        if outline not in self._joined:
            self._joined[outline] = Rows(self.answer, outline, self.answer.present(outline, self.places))
        return self._joined[outline]

    def names_of_types(self) -> Sequence[str | None]:
        """The names of the types, where they differ."""
        return self.column(TYPE) if TYPE in self.outline.columns else ()


@dataclass(slots=True)
class Found:
    """What a field gave: a table of all its objects, parent by parent.

    `counts` says how many each parent has (None: one each). Parents may share what they have: then `counts` is of the
    distinct ones, and `which` says for each parent which of these is its own.
    """

    table: Table
    counts: Sequence[int] | None = None
    which: Sequence[int] | None = None

    @property
    def parents(self) -> int:
        """How many distinct parents there are."""
        return self.table.size if self.counts is None else len(self.counts)


Raw = Column | Found | Later  # what a field gives, not yet completed


def each(columns: Sequence[Column], size: int) -> Iterable[tuple[Any, ...]]:
    """The values of each of so many objects, of which there may be none."""
    return zip(*columns, strict=True) if columns else repeat((), size)


def _picker(places: Sequence[int]) -> Callable[[Column], Column]:
    """What picks the values at these places out of a column."""
    if len(places) == 1:
        return lambda column: (column[places[0]],)
    return itemgetter(*places) if places else lambda _column: ()


def attempt(function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Any:
    """What the function returns, or the exception that it raises."""
    try:
        return function(*arguments, **named)
    except Exception as error:  # noqa: BLE001 - it becomes the value, and is reported where the value is completed
        return error
