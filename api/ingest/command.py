"""`catalograph ingest`: read files into the catalog, and say what came of it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import orjson
from sqlalchemy.ext.asyncio import AsyncEngine

from api import log
from api.database import database, engine_of, in_plain_words
from api.ingest.declarations import Access, Readable
from api.ingest.errors import SourceError
from api.ingest.files import FileSource
from api.ingest.git import GitSource
from api.ingest.run import OnProgress, RemovalsHeldError, Report
from api.ingest.run import ingest as run
from api.ingest.terminal import progress_bar, show, show_failure
from api.ingest.url import UrlSource, host_read_for
from api.settings import Settings
from api.sources import sources_of
from db import revisions
from db.engine import check_server, failure_of
from db.rules.allowed import UNTRUSTED, AllowedKinds
from db.rules.records import Json
from db.runs import refusal_of


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
    """Read catalog-info.yaml files into the catalog: files, folders, globs in quotes, git repositories, URLs.

    Each PATH is a source of its own: what it does not declare any more is removed.
    """
    if name is not None and len(paths) > 1:
        raise click.UsageError("--source names one source, and each path is one. A glob needs quotes: 'teams/*.yaml'.")
    if name is not None and (refusal := refusal_of(name)):
        raise click.UsageError(f"--source {name!r} {refusal}.")
    allowed = kinds or (UNTRUSTED if untrusted else None)
    with _in_plain_words():
        settings = _settings()
        access = sources_of(settings).access
    found = [_found(path, access, name=name, trusted=not untrusted, kinds=allowed) for path in paths]
    _refuse_shared_names(paths, found)
    outcomes: list[Outcome] = [each for each in found if isinstance(each, Failure)]
    if len(outcomes) < len(found):
        with _in_plain_words(), progress_bar() as on_progress, database(settings) as there:
            ingesting = _ingest_all(
                engine_of(there), found, dry_run=dry_run, allow_removals=allow_removals, on_progress=on_progress
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


def _found(
    path: str, access: Access, *, name: str | None, trusted: bool, kinds: AllowedKinds | None
) -> Readable | Failure:
    try:
        return _source_at(path, access, name=name, trusted=trusted, kinds=kinds)
    except SourceError as error:
        return Failure(name or path, str(error))


def _source_at(path: str, access: Access, *, name: str | None, trusted: bool, kinds: AllowedKinds | None) -> Readable:
    """What a path or a URL stands for. Raises SourceError."""
    if "://" in path:
        # Who types a URL means it, wherever it leads; what it redirects to must be listed.
        hosts = access.with_own(host_read_for(path), private=True, token=None)
        if not path.endswith(".git"):
            return UrlSource(name=name or path, trusted=trusted, kinds=kinds, url=path, hosts=hosts)
    elif _is_bare(path):
        hosts = access.hosts
    else:
        return FileSource.at(path, name=name, trusted=trusted, kinds=kinds, hosts=access.hosts)
    own_name = path if "://" in path else os.path.realpath(path)
    return GitSource(
        name=name or own_name, trusted=trusted, kinds=kinds, repository=path, clones=access.clones, hosts=hosts
    )


def _is_bare(path: str) -> bool:
    """Whether a folder is a git repository without files, as a server has it."""
    folder = Path(path)
    return (folder / "HEAD").is_file() and (folder / "objects").is_dir() and (folder / "refs").is_dir()


def _refuse_shared_names(paths: Sequence[str], found: Sequence[Readable | Failure]) -> None:
    """Raise a UsageError where two paths are one source: each run would remove what the other declares."""
    path_by_name: dict[str, str] = {}
    for path, source in zip(paths, found, strict=True):
        if isinstance(source, Failure):
            continue
        if source.name in path_by_name:
            raise click.UsageError(
                f"{path_by_name[source.name]} and {path} are both the source {source.name}, and each would remove what"
                " the other declares: give one glob that covers both, or use two commands with different --source."
            )
        path_by_name[source.name] = path


async def _ingest_all(
    engine: AsyncEngine,
    found: Sequence[Readable | Failure],
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
