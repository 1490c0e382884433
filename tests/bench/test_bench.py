"""The benchmarks still run, and say what they always said; no figure is looked at."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from tests.bench.__main__ import main
from tests.bench.asking import Answer, Asker, asking
from tests.bench.databases import load
from tests.bench.lists import PAGE_SIZE, List, lists_of
from tests.bench.pages import PLACES, cursor_after
from tests.factories import Company

NEWEST = next(listed for listed in lists_of(Company(200)) if listed.title == "entities, newest first")


def run(*arguments: str) -> list[dict[str, Any]]:
    result = CliRunner().invoke(main, [*arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    rows: list[dict[str, Any]] = json.loads(result.stdout)
    return rows


def test_a_deep_page_costs_as_many_statements_as_the_first_one_wherever_it_is() -> None:
    rows = run("pages", "--entities", "200", "--turns", "1")
    assert {row["list"]: row["statements"] for row in rows if row["statements"] != 1} == {}
    assert {row["list"] for row in rows} > {"components, lifecycle", "entities, newest first", "entities by kind"}
    for row in rows:
        assert [*row] == [
            *("list", "rows", "statements", "places", "deep", "ratio", "sql_ratio", "first_plan", "deep_plan")
        ]
        assert [*row["places"]] == [*PLACES]
        assert row["deep_plan"]["Plan"]["Actual Rows"] >= PAGE_SIZE


def test_ingestion_tells_a_full_run_from_a_change_and_from_none() -> None:
    rows = run("ingest", "--entities", "200", "--rounds", "1")
    assert [(row["run"], row["entities"], row["written"]) for row in rows] == [
        ("full", 200, 200),
        ("1 % changed", 200, 2),
        ("unchanged", 200, 0),
    ]
    for row in rows:
        assert [*row] == [*("run", "entities", "written", "seconds", "process_seconds", "entities_per_second", "ratio")]


@pytest.mark.anyio
async def test_a_cursor_that_was_made_leads_where_a_client_comes_by_reading_on(database_url: str) -> None:
    await load(database_url, Company(200))
    async with asking(database_url) as asker:
        read = await walk(asker, NEWEST)
        assert len(read) == len(set(read)) == 200
        after = await cursor_after(asker, NEWEST, 100)
        assert refs(await asker.ask(NEWEST.page_query(), after=after)) == read[100 : 100 + PAGE_SIZE]


async def walk(asker: Asker, listed: List) -> list[str]:
    """All refs of a list, page by page."""
    found: list[str] = []
    after = None
    while page := (await asker.ask(listed.page_query(), after=after)).data["page"]["edges"]:
        found += [edge["node"]["ref"] for edge in page]
        after = page[-1]["cursor"]
    return found


def refs(answer: Answer) -> list[str]:
    return [edge["node"]["ref"] for edge in answer.data["page"]["edges"]]
