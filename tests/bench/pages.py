"""Whether a page deep inside a list costs what the first one costs.

Each list is asked for its first page and for pages further on. All of them are asked in turns, so that whatever else
the machine does meanwhile falls on all alike; a figure is the median of all turns.
"""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import asyncpg
import orjson

from db.queries.keyset import Key
from schema.paging import PageRequest
from tests.bench.asking import Answer, Asker, Plan
from tests.bench.lists import PAGE_SIZE, List

PLACES = {"first": 0.0, "1/4": 0.25, "1/2": 0.5, "3/4": 0.75, "last": 1.0}
WARMING = 8  # turns before the watch runs, at most as many as with it: by then Postgres has settled on its plans


@dataclass(frozen=True, slots=True)
class Cost:
    """What one page costs: milliseconds for the answer, and for its SQL alone."""

    answer: float
    sql: float


@dataclass(frozen=True, slots=True)
class Paging:
    """What the pages of one list cost. `deep` is the place, of all but the first, whose SQL takes longest."""

    list: str
    rows: int
    statements: int
    places: dict[str, Cost]
    deep: str
    ratio: float  # of the answers, deep to first
    sql_ratio: float
    first_plan: Plan
    deep_plan: Plan


async def measured(asker: Asker, lists: Sequence[List], turns: int) -> AsyncIterator[Paging]:
    """The costs of each list that has more than one page; each page is asked for so many times."""
    for listed in lists:
        total = (await asker.ask(listed.total_query())).data
        if (rows := _page(total)["totalCount"]) > PAGE_SIZE:
            yield await _paging(asker, listed, rows, turns)


async def _paging(asker: Asker, listed: List, rows: int, turns: int) -> Paging:
    query = listed.page_query()
    cursors = {
        place: await cursor_after(asker, listed, round(part * (rows - PAGE_SIZE))) for place, part in PLACES.items()
    }
    answers: dict[str, list[Answer]] = {place: [] for place in PLACES}
    for turn in range(-min(WARMING, turns), turns):
        for place, cursor in cursors.items():
            answer = await asker.ask(query, after=cursor)
            if turn >= 0:
                answers[place].append(answer)
    costs = {place: _cost(some) for place, some in answers.items()}
    first = costs["first"]
    deep = max((place for place in PLACES if place != "first"), key=lambda place: costs[place].sql)
    return Paging(
        list=listed.title,
        rows=rows,
        statements=max(len(answer.statements) for some in answers.values() for answer in some),
        places=costs,
        deep=deep,
        ratio=round(costs[deep].answer / first.answer, 2),
        sql_ratio=round(costs[deep].sql / first.sql, 2),
        first_plan=(await asker.plans(query))[-1],
        deep_plan=(await asker.plans(query, after=cursors[deep]))[-1],
    )


def _cost(answers: Sequence[Answer]) -> Cost:
    seconds = median(answer.seconds for answer in answers), median(answer.sql_seconds for answer in answers)
    return Cost(*(round(one * 1000, 3) for one in seconds))


async def cursor_after(asker: Asker, listed: List, position: int) -> str | None:
    """The cursor after so many rows: what a client would have come to by reading all pages up to there."""
    if position == 0:
        return None
    answer = await asker.ask(listed.page_query())
    fingerprint, *_ = orjson.loads(base64.urlsafe_b64decode(_page(answer.data)["edges"][0]["cursor"] + "=="))
    row = await _row(asker, answer, position - 1)
    return PageRequest(tuple(map(Key, listed.order)), fingerprint).cursor(row[column] for column in listed.order)


async def _row(asker: Asker, first_page: Answer, position: int) -> asyncpg.Record:
    """The row at this position of the list, from 0, by the statement of its first page with another limit."""
    statement = first_page.statements[-1]
    text, limits = re.subn(r"\bLIMIT \d+", f"LIMIT {position + 1}", statement.text)
    assert limits == 1, statement.text
    (row,) = await asker.reads.fetch(f"SELECT * FROM ({text}) AS listed OFFSET {position}", statement.parameters)
    return row


def _page(data: dict[str, Any]) -> dict[str, Any]:
    """The field `page` of an answer, at its root or one level below."""
    found = data if "page" in data else next(iter(data.values()))
    return found["page"]  # type: ignore[no-any-return]
