"""`python -m tests.bench <name>`: what Catalograph costs, as figures. Results go to stdout, progress to stderr."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from platform import python_version
from statistics import fmean
from typing import Any

import click
import orjson

from tests.bench import crowd as crowding
from tests.bench import filters as filtering
from tests.bench import hostile as hostility
from tests.bench import ingest as ingesting
from tests.bench import live as following
from tests.bench import pages as paging
from tests.bench import plans, tables
from tests.bench.asking import asking
from tests.bench.databases import loaded_database, say, server
from tests.bench.landscape import SMALLEST, Landscape
from tests.bench.lists import lists_of
from tests.bench.operations import FIVE, SHAPES, Operation
from tests.bench.profiling import profile
from tests.bench.queries import Cost, DifferentError, rivals
from tests.factories import Company
from tests.postgres import connected

_DEAREST = 40  # rows of a profile that are printed
_LEAST = click.IntRange(min=100)  # entities, of which every kind has some
_keep = click.option(
    "--keep", metavar="DIR", type=click.Path(path_type=Path), help="Keep loaded catalogs here, to use again."
)
_as_json = click.option("--json", "as_json", is_flag=True, help="Print a JSON list of objects, and nothing else.")


@click.group(context_settings={"show_default": True})
def main() -> None:
    """Benchmarks, on an embedded Postgres without fsync."""


@main.command()
@click.option("--entities", type=_LEAST, default=200_000, help="Size of the generated catalog.")
@_as_json
@click.option("--turns", type=click.IntRange(min=1), default=100, help="How often each page is asked for.")
@click.option("--only", metavar="TEXT", default="", help="Only lists whose title contains this.")
@_keep
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
    url = await loaded_database(server_url, f"company_{entities}", Company(entities))
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
@click.option("--entities", type=click.IntRange(min=SMALLEST), default=200_000, help="Size of the generated catalog.")
@_as_json
@click.option("--turns", type=click.IntRange(min=1), default=10, help="How often each first page is asked for.")
@_keep
def filters(entities: int, turns: int, keep: Path | None, *, as_json: bool) -> None:
    """First pages of each filter and each order, alone, and what Postgres reads for them."""
    with server(keep) as url:
        found = asyncio.run(_filters(url, entities, turns))
    if as_json:
        click.echo(tables.json([asdict(one) for one in found]))
        return
    after = {one.question: one for one in found if one.indexed}
    click.echo(tables.markdown([_filter_row(one) for one in found if one.indexed is None]))
    click.echo()
    click.echo(tables.markdown([_path_row(one, after[one.question]) for one in found if one.indexed is False]))


async def _filters(server_url: str, entities: int, turns: int) -> list[filtering.Cost]:
    found = []
    async for one in filtering.measured(server_url, entities, turns):
        say(f"{one.question}: {one.sql_ms} ms")
        found.append(one)
    return found


def _filter_row(one: filtering.Cost) -> dict[str, Any]:
    return {"first page of": f"`{one.question}`", "SQL ms": one.sql_ms, "read": one.read}


def _path_row(before: filtering.Cost, after: filtering.Cost) -> dict[str, Any]:
    return {
        "first page of": f"`{before.question}`",
        "SQL ms": before.sql_ms,
        "indexed ms": after.sql_ms,
        "read with the index": after.read,
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


@main.command()
@click.option("--size", type=click.IntRange(min=SMALLEST), default=20_000, help="Entities of the generated catalog.")
@click.option("--concurrency", type=click.IntRange(1, 100), multiple=True, default=(1, 16), help="Requests at once.")
@click.option("--family", type=click.Choice(["five", "shapes"]), default="five", help="Q1 to Q5, or Q1b to Q5b.")
@click.option("--only", type=click.Choice([one.name for one in (*FIVE, *SHAPES)]), multiple=True, help="Only this one.")
@click.option(
    "--seconds", type=click.FloatRange(min=0, min_open=True), default=6.0, help="Measured for so long, each time."
)
@click.option("--guards", is_flag=True, help="Compare with the project itself, without tokens and rate limit, instead.")
@click.option("--profile", "profiled", is_flag=True, help="Print where the server's time goes, instead.")
@_keep
@_as_json
def queries(
    *,
    size: int,
    concurrency: Sequence[int],
    family: str,
    only: Sequence[str],
    seconds: float,
    keep: Path | None,
    guards: bool,
    profiled: bool,
    as_json: bool,
) -> None:
    """CPU and time of queries, against hand-written SQL; only on Linux."""
    families = {"five": FIVE, "shapes": SHAPES}
    operations = [one for one in (*FIVE, *SHAPES) if one.name in only] if only else families[family]
    with server(keep) as url:
        if profiled:
            asyncio.run(_profiles(url, size, operations, concurrency[0], seconds))
            return
        try:
            postgres, costs = asyncio.run(_costs(url, size, operations, concurrency, seconds, guards=guards))
        except DifferentError as error:
            raise click.ClickException(f"The limit's answer is not the project's:\n{error}") from None
    if as_json:
        click.echo(tables.json([asdict(one) for one in costs]))
        return
    machine = f"{os.cpu_count()} cores, Python {python_version()}, Postgres {postgres}"
    click.echo(f"{size:,} entities; {datetime.now(UTC):%d %B %Y}; {machine}\n")
    click.echo(tables.markdown([_cost_row(one) for one in costs]))


async def _costs(
    server_url: str,
    size: int,
    operations: Sequence[Operation],
    concurrency: Sequence[int],
    seconds: float,
    *,
    guards: bool,
) -> tuple[str, list[Cost]]:
    """The version of Postgres, and what each operation costs."""
    found = []
    landscape = Landscape(size)
    url = await loaded_database(server_url, f"landscape_{size}", landscape)
    with tempfile.TemporaryDirectory() as logs:
        async with rivals(url, Path(logs), guards=guards) as both:
            for operation in operations:
                async for one in both.costs(operation, landscape, concurrency, seconds):
                    say(f"{one.query}, {one.concurrency} at once: {one.ratio}")
                    found.append(one)
    async with connected(url) as connection:
        return await connection.fetchval("SHOW server_version"), found


def _cost_row(one: Cost) -> dict[str, Any]:
    return {
        "query": one.query,
        "at once": one.concurrency,
        "ratio": one.ratio,
        "server CPU ms": one.server_cpu_ms,
        "Postgres CPU ms": one.postgres_cpu_ms,
        "limit's server": one.limit_server_cpu_ms,
        "limit's Postgres": one.limit_postgres_cpu_ms,
        "requests/s": one.requests_per_second,
        "p50 ms": one.p50_ms,
        "p99 ms": one.p99_ms,
        "statements": "?" if one.statements is None else one.statements,
    }


async def _profiles(
    server_url: str, size: int, operations: Sequence[Operation], concurrency: int, seconds: float
) -> None:
    landscape = Landscape(size)
    url = await loaded_database(server_url, f"landscape_{size}", landscape)
    for operation in operations:
        with tempfile.TemporaryDirectory() as folder:
            found = await profile(
                url, operation, landscape, concurrency=concurrency, seconds=seconds, folder=Path(folder)
            )
        click.echo(f"\n{operation.name}, µs of CPU a request, by {found.requests:,} requests\n")
        click.echo(tables.markdown(found.files()[:_DEAREST]))
        click.echo()
        click.echo(tables.markdown(found.functions()[:_DEAREST]))


@main.command()
@_as_json
@click.option(
    "--times", type=click.IntRange(min=1), default=5, help="How often each is planned; the least time counts."
)
@click.option("--memory", is_flag=True, help="Ask 10,000 documents instead, and print what they leave; only on Linux.")
def hostile(times: int, *, memory: bool, as_json: bool) -> None:
    """What the dearest documents cost before their SQL runs, or what many documents leave behind."""
    if memory:
        with server() as url:
            rows = asyncio.run(_memory(url))
    else:
        rows = []
        for one in hostility.priced(times):
            say(f"{one.document}: {one.plan_ms} ms")
            rows.append(asdict(one))
    click.echo(tables.json(rows) if as_json else tables.markdown(rows))


async def _memory(server_url: str) -> list[dict[str, Any]]:
    url = await loaded_database(server_url, f"landscape_{SMALLEST}", Landscape(SMALLEST))
    found = []
    async for one in hostility.remembered(url):
        say(f"{one.documents} documents: {one.resident_mb} MB")
        found.append(asdict(one))
    return found


@main.command()
@_as_json
@click.option("--subscribers", type=click.IntRange(min=1), default=1000, help="How many follow at once.")
@click.option("--changes", type=click.IntRange(min=2), default=100, help="How many entities are registered.")
def live(subscribers: int, changes: int, *, as_json: bool) -> None:
    """How late followers hear of a change, and what they cost; only on Linux."""
    with server() as url:
        rows = [asdict(one) for one in asyncio.run(_followed(url, subscribers, changes))]
    click.echo(tables.json(rows) if as_json else tables.markdown(rows))


async def _followed(server_url: str, subscribers: int, changes: int) -> list[following.Following]:
    """A single follower, then a crowd of which a tenth is told, then the same with one that never reads."""
    url = await loaded_database(server_url, f"landscape_{SMALLEST}", Landscape(SMALLEST))
    found = []
    with tempfile.TemporaryDirectory() as logs:
        async with following.pair(url, Path(logs)) as servers:
            for count, deaf in ((1, 0), (subscribers, 0), (subscribers, 1)):
                matching = max(1 + deaf, count // 10)
                one = await following.followed(
                    servers, subscribers=count, deaf=deaf, matching=matching, changes=changes
                )
                say(f"{count} subscribers, {deaf} deaf: {one.told_p50_ms} ms")
                found.append(one)
    return found


@main.command()
@_as_json
@click.option("--size", type=click.IntRange(min=SMALLEST), default=20_000, help="Entities of the generated catalog.")
@click.option("--rate", type=click.FloatRange(min=1), default=50.0, help="Requests a second, however they fare.")
@click.option("--seconds", type=click.FloatRange(min=1), default=15.0, help="Length of a turn.")
@click.option("--rounds", type=click.IntRange(min=1), default=3, help="Turns alone, and as many in the crowd.")
@click.option("--subscriptions", type=click.IntRange(min=0), default=1000, help="Idle ones in the crowd.")
@click.option("--readers", type=click.IntRange(min=0), default=50, help="Slow ones in the crowd.")
@click.option("--half-open", type=click.IntRange(min=0), default=200, help="Connections that say half a request.")
@_keep
def crowd(
    *,
    size: int,
    rate: float,
    seconds: float,
    rounds: int,
    subscriptions: int,
    readers: int,
    half_open: int,
    keep: Path | None,
    as_json: bool,
) -> None:
    """What normal requests notice of a crowd that idles, reads slowly, or says half a word; only on Linux."""
    around = crowding.Crowd(subscriptions, readers, half_open)
    with server(keep) as url:
        alone, among = asyncio.run(_crowded(url, size, around, rate=rate, seconds=seconds, rounds=rounds))
    rows = [_crowd_row("nobody", alone, alone), _crowd_row("a crowd", among, alone)]
    click.echo(tables.json(rows) if as_json else tables.markdown(rows))


async def _crowded(
    server_url: str, size: int, around: crowding.Crowd, *, rate: float, seconds: float, rounds: int
) -> tuple[crowding.Asked, crowding.Asked]:
    url = await loaded_database(server_url, f"landscape_{size}", Landscape(size))
    with tempfile.TemporaryDirectory() as logs:
        return await crowding.measured(
            url, Landscape(size), around, rate=rate, seconds=seconds, rounds=rounds, logs=Path(logs)
        )


def _crowd_row(around: str, asked: crowding.Asked, alone: crowding.Asked) -> dict[str, Any]:
    return {
        "beside": around,
        "requests": sum(map(len, asked.turns)),
        "p50 ms": asked.percentile(50),
        "p99 ms": asked.percentile(99),
        "p99 of each turn": ", ".join(map(str, asked.percentiles(99))),
        "ratio of p99": round(asked.percentile(99) / alone.percentile(99), 2),
        "server CPU %": round(100 * fmean(asked.server_cpu)),
        "crowd's CPU %": round(100 * fmean(asked.crowd_cpu or [0])),
    }


if __name__ == "__main__":
    main(prog_name="python -m tests.bench")
