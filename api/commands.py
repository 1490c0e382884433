"""The commands that serve the catalog, and those about its database and its schema."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api import log
from api.app import Startup, create_app
from api.database import database, engine_of, in_plain_words
from api.ingest.files import FileSource
from api.ingest.run import ingest
from api.server import Listener, ListenError, is_open, listen
from api.server import serve as run_server
from api.settings import Settings
from api.sources import sources_of
from db import revisions
from db.engine import check_server, failure_of
from db.rules.refs import Ref
from db.rules.scopes import EVERYTHING
from schema.build import create_schema
from schema.caller import ANONYMOUS, Caller

_log = structlog.get_logger("catalograph")

DEMO_CATALOG = Path(__file__).parent / "demo" / "catalog"
DEMO_GUEST = Caller(ANONYMOUS, EVERYTHING, user=Ref.parse("user:default/robin.okafor"))
"""Whoever looks around is an engineer of the company, so that there is something to see of one's own."""


_NOT_OF_THE_DEMO = dict.fromkeys(("database_url", "sources", "anonymous_scopes", "oidc_issuer", "oidc_audience"))


def _listening(command: Callable[..., None]) -> Callable[..., None]:
    """The options of a command that listens."""
    host = click.option("--host", metavar="ADDRESS", help="Address to listen on. Default: 127.0.0.1")
    port = click.option("--port", metavar="NUMBER", help="Port to listen on, 0 for a free one. Default: 8080")
    insecure = click.option("--insecure", is_flag=True, help="Listen beyond this machine, where anybody may read.")
    return host(port(insecure(command)))


@click.command()
@_listening
@click.option("--sources", metavar="FILE", help="YAML file of sources to read by itself.")
def serve(host: str | None, port: str | None, sources: str | None, *, insecure: bool) -> None:
    """Serve the catalog over HTTP."""
    with _in_plain_words():
        settings = _settings(host, port, sources)
        declared = sources_of(settings)
        listener = _listener(settings, insecure=insecure)
        with database(settings) as found:
            asyncio.run(_with_engine(found, _refuse_old_server))
            _log.info("listening", url=listener.url)
            run_server(create_app(found, sources=declared, local=not insecure), listener, found)


@click.command()
@_listening
@click.option("--fresh", is_flag=True, help="Forget what was done to the demo before.")
def demo(host: str | None, port: str | None, *, insecure: bool, fresh: bool) -> None:
    """Serve the catalog of a made-up company, to look around.

    It has a database of its own, in the folder `demo` of CATALOGRAPH_DATA_DIR, and asks nobody who they are;
    DATABASE_URL, CATALOGRAPH_SOURCES, CATALOGRAPH_ANONYMOUS_SCOPES and CATALOGRAPH_OIDC_ISSUER are left alone.
    """
    with _in_plain_words():
        settings = _settings(host, port)
        settings = settings.model_copy(update={**_NOT_OF_THE_DEMO, "data_dir": settings.data_dir / "demo"})
        listener = _listener(settings, insecure=insecure)
        with database(settings) as found:
            if fresh:
                asyncio.run(_with_engine(found, _forget))
            start = _demo_start(listener.url)
            app = create_app(found, on_start=start, guest=DEMO_GUEST, local=not insecure)
            run_server(app, listener, found)


@click.command()
def upgrade() -> None:
    """Bring the database to the newest revision; `serve` does so by itself."""
    with _in_plain_words(), database(_settings()) as settings:
        asyncio.run(_with_engine(settings, revisions.upgrade))
    click.echo("The database is on the newest revision.")


@click.command("print-schema")
def print_schema() -> None:
    """Print the GraphQL schema in its schema definition language."""
    click.echo(create_schema().as_str())


def _settings(host: str | None = None, port: str | None = None, sources: str | None = None) -> Settings:
    """The settings, where an option counts for its variable; the log is set up by them."""
    options = {"CATALOGRAPH_HOST": host, "CATALOGRAPH_PORT": port, "CATALOGRAPH_SOURCES": sources}
    given = {name: value for name, value in options.items() if value is not None}
    settings = Settings.from_environ({**os.environ, **given})
    log.configure(settings.log_level, settings.log_format)
    return settings


def _listener(settings: Settings, *, insecure: bool) -> Listener:
    listener = listen(settings, insecure=insecure)
    if is_open(settings):
        _log.warning("anybody who reaches this address may read and change the catalog", host=settings.host)
    return listener


def _demo_start(url: str) -> Startup:
    async def fill_and_greet(engine: AsyncEngine) -> None:
        # Ours, and whatever a new release drops from it may go.
        await ingest(engine, FileSource.at(str(DEMO_CATALOG), name="demo"), allow_removals=True)
        click.echo(_greeting(url))

    return fill_and_greet


def _greeting(url: str) -> str:
    query = "{ components(first: 3) { nodes { name owner { name } } } }"
    lines = (
        click.style("Catalograph is ready.", bold=True),
        "",
        f"Explore   {click.style(f'{url}/graphiql', fg='cyan', underline=True)}",
        f"GraphQL   {url}/graphql",
        f"By curl   curl {url}/graphql -H 'content-type: application/json' \\",
        f'            -d \'{{"query": "{query}"}}\'',
        "",
        "Ctrl-C ends it.",
    )
    return "\n" + "".join(f"  {line}\n" for line in lines)


async def _with_engine(settings: Settings, work: Callable[[AsyncEngine], Awaitable[None]]) -> None:
    engine = engine_of(settings)
    try:
        await work(engine)
    finally:
        await engine.dispose()


async def _refuse_old_server(engine: AsyncEngine) -> None:
    """Raises ServerTooOldError. A database that is away is no reason not to start: it may come back."""
    try:
        await check_server(engine)
    except Exception as error:
        if failure_of(error) != "unavailable":
            raise


async def _forget(engine: AsyncEngine) -> None:
    """Empty the database; the revisions fill it again."""
    async with engine.begin() as connection:
        await connection.execute(text("DROP SCHEMA public CASCADE"))
        await connection.execute(text("CREATE SCHEMA public"))


@contextmanager
def _in_plain_words() -> Iterator[None]:
    """Tell the operator what is wrong in a line, without a traceback. Ctrl-C is an ordinary end."""
    try:
        with in_plain_words():
            yield
    except ListenError as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        sys.exit(0)
