"""Where benchmarks run: a Postgres, and in it databases with a generated catalog."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Protocol

import click
from sqlalchemy import text

from api.ingest.files import FileSource
from api.ingest.run import ingest
from api.ingest.terminal import progress_bar
from db import embedded
from db.engine import create_engine
from tests.postgres import connected, database_at, make_template


class Catalog(Protocol):
    """A generated catalog."""

    def write(self, folder: Path, *, per_file: int) -> None:
        """Write all its entities as files of so many documents."""


@contextmanager
def server(keep: Path | None = None) -> Iterator[str]:
    """The URL of an embedded Postgres without fsync, in `keep`, or else in a directory that is removed afterwards."""
    data_dir = keep or Path(tempfile.mkdtemp(prefix="catalograph-bench-"))
    if keep is None:
        data_dir.chmod(0o755)  # root's Postgres runs as another user
    try:
        with embedded.running(data_dir, fsync=False) as postgres:
            yield postgres.dsn
    finally:
        if keep is None:
            shutil.rmtree(data_dir)


@asynccontextmanager
async def fresh_database(server_url: str, name: str) -> AsyncIterator[str]:
    """The URL of a database with all tables and no rows; it is dropped afterwards."""
    async with connected(server_url) as connection:
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await make_template(server_url, connection, name)
    try:
        yield database_at(server_url, name)
    finally:
        async with connected(server_url) as connection:
            await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


async def loaded_database(server_url: str, name: str, catalog: Catalog) -> str:
    """The URL of a database with this catalog; where the server has one of this name already, it is taken."""
    async with connected(server_url) as connection:
        if await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", name):
            return database_at(server_url, name)
        loading = f"{name}_loading"
        await connection.execute(f'DROP DATABASE IF EXISTS "{loading}" WITH (FORCE)')
        await make_template(server_url, connection, loading)
        await load(database_at(server_url, loading), catalog)
        await connection.execute(f'ALTER DATABASE "{loading}" RENAME TO "{name}"')
    return database_at(server_url, name)


async def load(url: str, catalog: Catalog) -> None:
    """Fill an empty database: ingest a catalog, let it look as if it had changed for a year, and gather statistics."""
    engine = create_engine(url, statement_timeout=600)
    try:
        with tempfile.TemporaryDirectory() as folder, progress_bar() as on_progress:
            say("Writing descriptors ...")
            catalog.write(Path(folder), per_file=100)
            await ingest(engine, FileSource.at(folder, name="generated"), on_progress=on_progress)
        say("Spreading the times of change, and gathering statistics ...")
        async with engine.connect() as connection:
            autocommit = await connection.execution_options(isolation_level="AUTOCOMMIT")
            for statement in (_SPREAD, "VACUUM (ANALYZE)"):
                await autocommit.execute(text(statement))
    finally:
        await engine.dispose()


# One run gives all that it writes the same instant; a catalog that has lived has many.
_SPREAD = "UPDATE entity SET updated_at = updated_at - mod(id * 7919, 525600) * interval '1 minute'"


def say(words: str) -> None:
    """Tell whoever waits how far it is; results have stdout to themselves."""
    click.echo(words, err=True)
