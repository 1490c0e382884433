"""`catalograph ingest`: read files into the catalog, and say what came of it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import click
import orjson
from sqlalchemy.ext.asyncio import AsyncEngine

from api import log
from api.database import database, engine_of, in_plain_words
from api.ingest.files import FileSource, SourceError
from api.ingest.run import OnProgress, RemovalsHeldError, Report
from api.ingest.run import ingest as run
from api.ingest.terminal import progress_bar, show, show_failure
from api.settings import Settings
from db import revisions
from db.engine import check_server, failure_of
from db.rules.allowed import UNTRUSTED, AllowedKinds
from db.rules.records import Json


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a source has no report."""

    source: str  # its name; of one that is not there, the path
    error: str

    def as_json(self) -> dict[str, Json]:
        """The failure as one flat object."""
        return asdict(self)


Outcome = Report | Failure


def _kinds(_context: click.Context, _parameter: click.Parameter, value: str | None) -> AllowedKinds | None:
    try:
        return AllowedKinds.of(value.split(",")) if value is not None else None
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--source", "name", metavar="NAME", help="Name of the source. Default: the folder, or the file.")
@click.option("--kinds", callback=_kinds, metavar="A,B", help="Only these kinds; or, as -a,-b, all but these.")
@click.option("--untrusted", is_flag=True, help="Give its relations no rights; no User, Group or the like in it.")
@click.option("--dry-run", is_flag=True, help="Say what would change, and write nothing.")
@click.option("--allow-removals", is_flag=True, help="Remove however many entities are gone.")
@click.option("--strict", is_flag=True, help="Exit with 1 when a document was rejected, too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, and nothing else.")
def ingest(
    paths: tuple[str, ...],
    name: str | None,
    kinds: AllowedKinds | None,
    *,
    untrusted: bool,
    dry_run: bool,
    allow_removals: bool,
    strict: bool,
    as_json: bool,
) -> None:
    """Read catalog-info.yaml files into the catalog: files, folders, or globs in quotes.

    Each PATH is a source of its own: what it does not declare any more is removed.
    """
    if name is not None and len(paths) > 1:
        raise click.UsageError("--source names one source, and each path is one. A glob needs quotes: 'teams/*.yaml'.")
    allowed = kinds or (UNTRUSTED if untrusted else None)
    found = [_found(path, name=name, trusted=not untrusted, kinds=allowed) for path in paths]
    _refuse_shared_names(paths, found)
    outcomes: list[Outcome] = [each for each in found if isinstance(each, Failure)]
    if len(outcomes) < len(found):
        with _in_plain_words(), progress_bar() as on_progress, database(_settings()) as settings:
            ingesting = _ingest_all(
                engine_of(settings), found, dry_run=dry_run, allow_removals=allow_removals, on_progress=on_progress
            )
            outcomes = asyncio.run(ingesting)
    if as_json:
        click.echo(_as_json(outcomes))
    for outcome in outcomes:
        if isinstance(outcome, Failure):
            show_failure(outcome.source, outcome.error)
        elif not as_json:
            show(outcome, dry_run=dry_run)
    if any(isinstance(outcome, Failure) or (strict and outcome.counts.rejected) for outcome in outcomes):
        raise SystemExit(1)


def _settings() -> Settings:
    settings = Settings.from_environ(os.environ)
    log.configure(settings.log_level, settings.log_format)
    return settings


def _found(path: str, *, name: str | None, trusted: bool, kinds: AllowedKinds | None) -> FileSource | Failure:
    try:
        return FileSource.at(path, name=name, trusted=trusted, kinds=kinds)
    except SourceError as error:
        return Failure(name or path, str(error))


def _refuse_shared_names(paths: Sequence[str], found: Sequence[FileSource | Failure]) -> None:
    """Raise a UsageError where two paths are one source: each run would remove what the other declares."""
    path_by_name: dict[str, str] = {}
    for path, source in zip(paths, found, strict=True):
        if not isinstance(source, FileSource):
            continue
        if source.name in path_by_name:
            raise click.UsageError(
                f"{path_by_name[source.name]} and {path} are both the source {source.name}, and each would remove what"
                " the other declares: give one glob that covers both, or use two commands with different --source."
            )
        path_by_name[source.name] = path


async def _ingest_all(
    engine: AsyncEngine,
    found: Sequence[FileSource | Failure],
    *,
    dry_run: bool,
    allow_removals: bool,
    on_progress: OnProgress,
) -> list[Outcome]:
    """What each source came to; one that fails does not keep the others from it."""
    outcomes: list[Outcome] = []
    try:
        await check_server(engine)
        await revisions.upgrade(engine)
        for source in found:
            if isinstance(source, Failure):
                outcomes.append(source)
                continue
            try:
                report = await run(
                    engine, source, dry_run=dry_run, allow_removals=allow_removals, on_progress=on_progress
                )
            except (SourceError, RemovalsHeldError) as error:
                outcomes.append(Failure(source.name, str(error)))
            else:
                outcomes.append(report)
    finally:
        await engine.dispose()
    return outcomes


def _as_json(outcomes: Sequence[Outcome]) -> str:
    """One source's outcome as it is; several as `{"sources": [...]}`."""
    objects = [outcome.as_json() for outcome in outcomes]
    return orjson.dumps(objects[0] if len(objects) == 1 else {"sources": objects}).decode()


@contextmanager
def _in_plain_words() -> Iterator[None]:
    """Tell the operator what is wrong in a line, without a traceback."""
    try:
        with in_plain_words():
            yield
    except KeyboardInterrupt:
        raise click.ClickException("Interrupted. A run that had not ended has written nothing.") from None
    except Exception as error:
        if failure_of(error) != "unavailable":
            raise
        raise click.ClickException(
            "The database went away meanwhile. What was not reported was not written."
        ) from error
