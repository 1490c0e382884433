"""What an edge gave to each of its parents, and the pages made of it, by the Relay connection specification."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, chain
from typing import cast

from schema.levels.outline import Outline
from schema.levels.tables import Answer, Column, Found, Made, Rows
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


class Pages:
    """The pages of the distinct parents. A statement reads one row more than a page has, to see if there is more."""

    def __init__(self, result: Result) -> None:
        self._result = result
        self._request = cast("PageRequest", result.answer.asked[result.outline].page)

    @cached_property
    def counts(self) -> list[int]:
        """How many items each page has."""
        return [min(count, self._request.size) for count in self._result.counts]

    @cached_property
    def rows(self) -> Rows:
        """The items of all pages, in the order of the list."""
        starts = accumulate(self._result.counts, initial=0)
        pages = [range(start, start + count) for start, count in zip(starts, self.counts, strict=False)]
        if self._request.backward:
            pages = [page[::-1] for page in pages]
        elif self.counts == self._result.counts:
            return self._result.rows
        rows = self._result.rows
        return Rows(rows.answer, rows.outline, [rows.places[at] for at in chain.from_iterable(pages)])

    def items(self) -> Found:
        """The items with their cursors."""
        rows = self.rows
        return Found(
            Made(rows.size, {"cursor": lambda: self._cursors(range(rows.size)), "node": lambda: Found(rows)}),
            self.counts,
        )

    def infos(self) -> Found:
        """Where each page lies."""
        more = [count > self._request.size for count in self._result.counts]
        elsewhere = [self._request.place is not None] * len(more)
        ends = list(accumulate(self.counts))
        backward = self._request.backward
        return Found(
            Made(
                len(more),
                {
                    "has_next_page": lambda: elsewhere if backward else more,
                    "has_previous_page": lambda: more if backward else elsewhere,
                    "start_cursor": lambda: self._cursors(
                        end - count if count else None for end, count in zip(ends, self.counts, strict=True)
                    ),
                    "end_cursor": lambda: self._cursors(
                        end - 1 if count else None for end, count in zip(ends, self.counts, strict=True)
                    ),
                },
            )
        )

    def _cursors(self, index: Iterable[int | None]) -> Column:
        keys = [self.rows.cells(at) for at in self._result.answer.statement.cursors[self._result.outline]]
        return [None if at is None else self._request.cursor([key[at] for key in keys]) for at in index]


def pages(result: Result) -> Made:
    """A page for each distinct parent."""
    made = Pages(result)
    return Made(
        len(result.counts),
        {
            "nodes": lambda: Found(made.rows, made.counts),
            "edges": made.items,
            "page_info": made.infos,
            "total_count": lambda: result.totals,
        },
    )
