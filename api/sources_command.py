"""`catalograph sources`: what is read by itself, reading it now, and removing it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

import click
from rich.console import Console
from rich.table import Column, Table
from sqlalchemy.ext.asyncio import AsyncEngine

from api.database import in_plain_words
from api.ingest.declared import Sources
from api.ingest.errors import SourceError
from api.ingest.run import OnProgress, RemovalsHeldError, Report, ingest
from api.ingest.terminal import progress_bar, show
from api.operators import on_database, operator, settings_of_environment
from api.sources import sources_of
from db import audit, schedules
from db.schedules import Listed

T = TypeVar("T")


@click.group(invoke_without_command=True)
@click.pass_context
def sources(context: click.Context) -> None:
    """List the sources, read one now, or remove one. Without a command: the list."""
    if context.invoked_subcommand is None:
        _print_all(_with_database(lambda engine, _: _all(engine)))


@sources.command()
@click.argument("name")
@click.option("--allow-removals", is_flag=True, help="Remove however many entities are gone.")
def run(name: str, *, allow_removals: bool) -> None:
    """Read the declared source NAME now, in this process."""
    with progress_bar() as on_progress:

        async def read(engine: AsyncEngine, known: Sources) -> Report:
            return await _run(engine, known, name, allow_removals=allow_removals, on_progress=on_progress)

        report = _with_database(read)
    show(report, dry_run=False)


@sources.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(name: str, *, yes: bool) -> None:
    """Remove the source NAME with all its entities. One that settings declare comes back with the next start."""
    entities = _with_database(lambda engine, _: _count(engine, name))
    if not yes:
        click.confirm(f"Remove {name} and {_entities(entities)} in it?", abort=True)
    removed = _with_database(lambda engine, _: _remove(engine, name))
    click.echo(f"{name} is removed, and {_entities(removed)} with it.")


def _with_database(work: Callable[[AsyncEngine, Sources], Awaitable[T]]) -> T:
    with in_plain_words():
        settings = settings_of_environment()
        known = sources_of(settings)
        return on_database(settings, lambda engine: work(engine, known))


async def _all(engine: AsyncEngine) -> list[Listed]:
    async with engine.connect() as connection:
        return await schedules.listed(connection)


async def _run(
    engine: AsyncEngine, known: Sources, name: str, *, allow_removals: bool, on_progress: OnProgress
) -> Report:
    async with engine.connect() as connection:
        found = await schedules.find(connection, name)
    if found is None:
        raise click.ClickException(_NO_SUCH_SOURCE.format(name))
    declared = known.known(found)
    if declared is None:
        raise click.ClickException(
            f"{name} is not declared where this command looks: a mutation or CATALOGRAPH_SOURCES declares sources."
            " What a command read, `catalograph ingest` reads again."
        )
    try:
        source = known.opened(declared, by=found.declared_in)
        return await ingest(engine, source, allow_removals=allow_removals, on_progress=on_progress)
    except (SourceError, RemovalsHeldError) as error:
        raise click.ClickException(str(error)) from error


async def _count(engine: AsyncEngine, name: str) -> int:
    async with engine.connect() as connection:
        if await schedules.held(connection, name) is None:
            raise click.ClickException(_NO_SUCH_SOURCE.format(name))
        return await schedules.count_entities(connection, name)


async def _remove(engine: AsyncEngine, name: str) -> int:
    async with engine.begin() as connection:
        removed = await schedules.remove(connection, name)
        if removed is not None:
            before = {"entities": removed}
            await audit.append(connection, operator(), "sourceUnregister", f"source:{name}", before=before)
        return removed or 0


_NO_SUCH_SOURCE = "There is no source {}; `catalograph sources` lists them."


def _print_all(found: list[Listed]) -> None:
    if not found:
        click.echo("There is no source yet.")
        return
    whole_name = Column("Source", overflow="fold")  # other commands need it as it is
    others = ("Type", "State", "Entities", "Problems", "Last run", "Next run")
    table = Table(whole_name, *others, box=None, pad_edge=False)
    for one in found:
        table.add_row(
            one.name,
            one.type,
            one.state,
            f"{one.entities:,}",
            f"{one.problems:,}",
            _when(one.last_run_at),
            _when(one.next_run_at),
        )
    Console().print(table)
    for one in found:
        if one.error:
            click.secho(f"{one.name}: {one.error}", fg="yellow")


def _entities(number: int) -> str:
    return "1 entity" if number == 1 else f"{number:,} entities"


def _when(instant: datetime | None) -> str:
    """An instant to the second, in UTC as in the logs."""
    return instant.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ") if instant else "-"
