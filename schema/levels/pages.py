"""What an edge gave to each of its parents, and the pages made of it, by the Relay connection specification."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import cast

from schema.levels.outline import Outline
from schema.levels.tables import Answer, Column, Found, Rows, Table
from schema.paging import PageRequest


@dataclass(frozen=True, slots=True)
class Result:
    """What the distinct parents have: the rows of all of them, how many each has, and which of them is whose."""

    answer: Answer
    outline: Outline
    rows: Rows
    counts: Sequence[int]
    totals: Sequence[int]
    which: Sequence[int] | None

    def part(self, index: Sequence[int]) -> Result:
        """What some of the objects have."""
        mine = [self.which[at] for at in index] if self.which is not None else index
        parents = sorted(set(mine))
        starts = list(accumulate(self.counts, initial=0))
        rows = self.rows.take([row for at in parents for row in range(starts[at], starts[at + 1])])
        rank = {parent: at for at, parent in enumerate(parents)}
        return Result(
            self.answer,
            self.outline,
            rows,
            [self.counts[at] for at in parents],
            [self.totals[at] for at in parents] if self.totals else (),
            [rank[at] for at in mine],
        )


class Pages(Table):
    """The pages of the distinct parents. Where somebody asks if there is more, one row more has been read."""

    def __init__(self, result: Result) -> None:
        super().__init__(range(len(result.counts)), None)
        self._result = result
        self.request = cast("PageRequest", result.answer.asked[result.outline].page)
        self.counts = [min(count, self.request.size) for count in result.counts]
        self.rows = self._items()

    def column(self, name: str) -> Column | Found:
        """One of the fields of a connection."""
        match name:
            case "nodes":
                return Found(self.rows, self.counts)
            case "edges":
                return Found(_Items(self), self.counts)
            case "page_info":
                return Found(_Infos(self))
        return self._result.totals

    def _items(self) -> Rows:
        """The items of all pages, in the order of the list."""
        rows, backward = self._result.rows, self.request.backward
        if not backward and self.counts == self._result.counts:
            return rows
        starts = accumulate(self._result.counts, initial=0)
        pages = [range(start, start + count) for start, count in zip(starts, self.counts, strict=False)]
        if len(pages) == 1 and not backward:
            return Rows(rows.answer, rows.outline, rows.places[: self.counts[0]])
        order = chain.from_iterable(page[::-1] if backward else page for page in pages)
        return Rows(rows.answer, rows.outline, [rows.places[at] for at in order])

    def more(self) -> list[bool]:
        """Whether there is more than each page has, in the direction of reading."""
        return [count > self.request.size for count in self._result.counts]

    def cursors(self, index: Iterable[int | None]) -> Column:
        """The cursors of the items at these places of all pages; None for none."""
        positions = self._result.answer.statement.cursors[self._result.outline]
        keys = [self.rows.cells(position) for position in positions]
        return [None if at is None else self.request.cursor([key[at] for key in keys]) for at in index]


class _Items(Table):
    """The items of all pages, with their cursors."""

    def __init__(self, pages: Pages) -> None:
        super().__init__(range(pages.rows.size), None)
        self._pages = pages

    def column(self, name: str) -> Column | Found:
        """One of the fields of an edge, as the Relay specification calls them."""
        return self._pages.cursors(self.places) if name == "cursor" else Found(self._pages.rows)


class _Infos(Table):
    """Where each page lies."""

    def __init__(self, pages: Pages) -> None:
        super().__init__(pages.places, None)
        self._pages = pages

    def column(self, name: str) -> Column:
        """One of the fields of a `PageInfo`."""
        pages = self._pages
        if name in {"has_next_page", "has_previous_page"}:
            is_ahead = (name == "has_next_page") is not pages.request.backward
            return pages.more() if is_ahead else [pages.request.place is not None] * self.size
        ends = accumulate(pages.counts)
        back = 1 if name == "end_cursor" else 0
        return pages.cursors(
            end - (back or count) if count else None for end, count in zip(ends, pages.counts, strict=True)
        )
