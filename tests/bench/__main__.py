"""`python -m tests.bench <name>`: what Catalograph costs, as figures. Results go to stdout, progress to stderr."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import orjson

from tests.bench import ingest as ingesting
from tests.bench import pages as paging
from tests.bench import plans, tables
from tests.bench.asking import asking
from tests.bench.databases import loaded_database, say, server
from tests.bench.lists import lists_of
from tests.factories import Company

_LEAST = click.IntRange(min=100)  # entities, of which every kind has some
_as_json = click.option("--json", "as_json", is_flag=True, help="Print a JSON list of objects, and nothing else.")


@click.group(context_settings={"show_default": True})
def main() -> None:
    """Benchmarks, on an embedded Postgres without fsync."""


@main.command()
@click.option("--entities", type=_LEAST, default=200_000, help="Size of the generated catalog.")
@_as_json
@click.option("--turns", type=click.IntRange(min=1), default=100, help="How often each page is asked for.")
@click.option("--only", metavar="TEXT", default="", help="Only lists whose title contains this.")
@click.option("--keep", metavar="DIR", type=click.Path(path_type=Path), help="Keep loaded catalogs here, to use again.")
@click.option("--explain", is_flag=True, help="Print the whole plans of the deep pages, too.")
def pages(entities: int, turns: int, only: str, keep: Path | None, *, explain: bool, as_json: bool) -> None:
    """Pages deep inside lists against first pages."""
    with server(keep) as url:
        found = asyncio.run(_pages(url, entities, turns, only))
    if as_json:
        click.echo(tables.json([asdict(one) for one in found]))
        return
    click.echo(tables.markdown([_page_row(one) for one in found]))
    for one in found if explain else ():
        click.echo(f"\n{one.list}, {one.deep}\n{orjson.dumps(one.deep_plan, option=orjson.OPT_INDENT_2).decode()}")


async def _pages(server_url: str, entities: int, turns: int, only: str) -> list[paging.Paging]:
    found = []
    url = await loaded_database(server_url, entities)
    lists = [one for one in lists_of(Company(entities)) if only in one.title]
    async with asking(url) as asker:
        async for one in paging.measured(asker, lists, turns):
            say(f"{one.list}: {one.sql_ratio}")
            found.append(one)
    return found


def _page_row(one: paging.Paging) -> dict[str, Any]:
    first, deep = one.places["first"], one.places[one.deep]
    return {
        "list": one.list,
        "rows": one.rows,
        "statements": one.statements,
        "first ms": first.answer,
        "deep ms": deep.answer,
        "ratio": one.ratio,
        "SQL first ms": first.sql,
        "SQL deep ms": deep.sql,
        "SQL ratio": one.sql_ratio,
        "deep": one.deep,
        "read for the deep page": plans.summary(one.deep_plan),
    }


@main.command()
@click.option("--entities", type=_LEAST, default=20_000, help="Size of the generated catalog.")
@_as_json
@click.option("--rounds", type=click.IntRange(min=1), default=3, help="How often all runs are made.")
def ingest(entities: int, rounds: int, *, as_json: bool) -> None:
    """Entities a second, of a full run, a small change, and none."""
    with server() as url:
        rows = [asdict(run) for run in asyncio.run(ingesting.measured(url, entities, rounds))]
    click.echo(tables.json(rows) if as_json else tables.markdown(rows))


if __name__ == "__main__":
    main(prog_name="python -m tests.bench")
