"""A real Postgres for the tests: one server for the run, and for each test a database of its own.

The server is the embedded one, made for this run and removed after it, or the one of CATALOGRAPH_TEST_DATABASE_URL:
a libpq URL of a role that may create databases. The workers of pytest-xdist share it. The databases are clones of a
template, which the first worker to need one makes; so a test pays for a copy (some 40 ms), not for the revisions.
"""

import fcntl
import importlib
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from db import embedded

# Strategy FILE_COPY makes a clone a plain copy of files; the default writes each page to the log as well.
_CLONE = 'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY'


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def postgres_users(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[int]:
    """A descriptor of a file that all workers of this run, and only they, have locked for as long as they use Postgres."""
    own = tmp_path_factory.getbasetemp()
    run = own if worker_id == "master" else own.parent
    with (run / "postgres-users").open("a") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        yield users.fileno()


@pytest.fixture(scope="session")
def postgres(postgres_users: int, testrun_uid: str) -> Iterator[str]:
    """The URL of a database of the server, in which to create others."""
    if url := os.environ.get("CATALOGRAPH_TEST_DATABASE_URL"):
        yield url
        return
    data_dir = Path(tempfile.gettempdir(), f"catalograph-test-{testrun_uid[:12]}")  # not pytest's: those are closed
    data_dir.mkdir(exist_ok=True)
    data_dir.chmod(0o755)
    with embedded.running(data_dir, fsync=False) as server:
        yield server.dsn
    if is_last(postgres_users):
        shutil.rmtree(data_dir)


@pytest.fixture(scope="session")
async def template(postgres: str, postgres_users: int, testrun_uid: str) -> AsyncIterator[str]:
    """The name of a database with all tables and no rows; nothing may be connected to it while it is cloned."""
    name = f"catalograph_test_{testrun_uid[:12]}"
    async with connected(postgres) as server:
        await server.execute("SELECT pg_advisory_lock(hashtext($1))", name)  # until the connection ends
        if not await server.fetchval("SELECT true FROM pg_database WHERE datname = $1", name):
            await server.execute(f'CREATE DATABASE "{name}_unfinished"')
            await make_template(database_at(postgres, f"{name}_unfinished"))
            await server.execute(f'ALTER DATABASE "{name}_unfinished" RENAME TO "{name}"')
    yield name
    if is_last(postgres_users):
        async with connected(postgres) as server:
            await server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
async def database_url(postgres: str, template: str) -> AsyncIterator[str]:
    """The URL of a fresh database with all tables, for one test."""
    name = f"{template}_{uuid4().hex[:12]}"
    async with connected(postgres) as server:
        await server.execute(_CLONE.format(name=name, template=template))
        yield database_at(postgres, name)
        await server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


async def make_template(url: str) -> None:
    """Bring an empty database to the newest revision."""
    try:
        revisions = importlib.import_module("db.revisions")
    except ModuleNotFoundError as missing:
        if missing.name != "db.revisions":
            raise
        return
    await revisions.upgrade(url)


def database_at(url: str, name: str) -> str:
    """The URL of another database of the same server."""
    return re.sub(r"^(\w+://[^/?]*)(/[^?]*)?", rf"\1/{name}", url)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


def is_last(users: int) -> bool:
    """Give up this worker's lock; whether no other worker has it. A worker that comes later waits for what follows."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
