"""What an edge gave to each of its parents, and the pages made of it, by the Relay connection specification."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, chain
from typing import cast

from schema.levels.outline import Outline
from schema.levels.tables import Answer, Column, Found, Rows, Table
from schema.paging import PageRequest


@dataclass(frozen=True, slots=True)
class Result:
    """What the distinct parents have: the rows of all of them, how many each has, and which of them is whose.

    Of pages, the rows are those that are given, and `more` says for each parent whether others follow.
    """

    answer: Answer
    outline: Outline
    rows: Rows
    counts: Sequence[int]
    totals: Sequence[int]
    which: Sequence[int] | None
    more: Sequence[bool] = ()

    @property
    def page(self) -> PageRequest:
        """Which page was asked for, of an edge that has pages."""
        return cast("PageRequest", self.answer.asked[self.outline].page)

    def part(self, index: Sequence[int]) -> Result:
        """What some of the objects have."""
        mine = [self.which[at] for at in index] if self.which is not None else index
        rank: dict[int, int] = {}  # in the order in which they come up, as for a whole
        which = [rank.setdefault(parent, len(rank)) for parent in mine]
        parents, starts = list(rank), list(accumulate(self.counts, initial=0))
        return Result(
            self.answer,
            self.outline,
            self.rows.take([row for at in parents for row in range(starts[at], starts[at + 1])]),
            [self.counts[at] for at in parents],
            [self.totals[at] for at in parents] if self.totals else (),
            which,
            [self.more[at] for at in parents] if self.more else (),
        )

    def in_pages(self) -> Result:
        """The same in the order of the list, and without the row that was read to see if there is more."""
        size, backward = self.page.size, self.page.backward
        more = [count > size for count in self.counts]
        if not backward and not any(more):
            return replace(self, more=more)
        counts = [min(count, size) for count in self.counts]
        return replace(self, rows=self._given(counts, backward=backward), counts=counts, more=more)

    def _given(self, counts: Sequence[int], *, backward: bool) -> Rows:
        """The first rows of each parent, so many."""
        rows = self.rows
        if len(counts) == 1 and not backward:
            return Rows(rows.answer, rows.outline, rows.places[: counts[0]])
        starts = accumulate(self.counts, initial=0)
        pages = [range(start, start + count) for start, count in zip(starts, counts, strict=False)]
        order = chain.from_iterable(page[::-1] if backward else page for page in pages)
        return Rows(rows.answer, rows.outline, [rows.places[at] for at in order])


class Pages(Table):
    """The pages of the distinct parents."""

    def __init__(self, result: Result) -> None:
        super().__init__(range(len(result.counts)), None)
        self.result = result

    def column(self, name: str) -> Column | Found:
        """One of the fields of a connection."""
        match name:
            case "nodes":
                return Found(self.result.rows, self.result.counts)
            case "edges":
                return Found(_Items(self), self.result.counts)
            case "page_info":
                return Found(_Infos(self))
        return self.result.totals

    def cursors(self, index: Iterable[int | None]) -> Column:
        """The cursors of the items at these places of all pages; None for none."""
        result = self.result
        keys = [result.rows.cells(position) for position in result.answer.statement.cursors[result.outline]]
        return [None if at is None else result.page.cursor([key[at] for key in keys]) for at in index]


class _Items(Table):
    """The items of all pages, with their cursors."""

    def __init__(self, pages: Pages) -> None:
        super().__init__(range(pages.result.rows.size), None)
        self._pages = pages

    def column(self, name: str) -> Column | Found:
        """One of the fields of an edge, as the Relay specification calls them."""
        return self._pages.cursors(self.places) if name == "cursor" else Found(self._pages.result.rows)


class _Infos(Table):
    """Where each page lies."""

    def __init__(self, pages: Pages) -> None:
        super().__init__(pages.places, None)
        self._pages = pages

    def column(self, name: str) -> Column:
        """One of the fields of a `PageInfo`."""
        result = self._pages.result
        if name in {"has_next_page", "has_previous_page"}:
            is_ahead = (name == "has_next_page") is not result.page.backward
            return result.more if is_ahead else [result.page.place is not None] * self.size
        ends, back = accumulate(result.counts), 1 if name == "end_cursor" else 0
        return self._pages.cursors(
            end - (back or count) if count else None for end, count in zip(ends, result.counts, strict=True)
        )
