"""A real Postgres for the tests: one server for the run, and for each test a database of its own.

The server is the embedded one, made for this run and removed after it, or the one of CATALOGRAPH_TEST_DATABASE_URL:
a libpq URL of a role that may create databases. The workers of pytest-xdist share it. The databases are clones of a
template, which the first worker to need one makes; so a test pays for a copy (some 40 ms), not for the revisions.
"""

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from db import embedded
from db.engine import create_engine
from db.revisions import upgrade


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A directory that the workers of this run share."""
    own = tmp_path_factory.getbasetemp()
    return own if worker_id == "master" else own.parent


@pytest.fixture(scope="session")
def postgres(run_dir: Path, testrun_uid: str) -> Iterator[str]:
    """The URL of a database of the server, in which to create others."""
    if url := os.environ.get("CATALOGRAPH_TEST_DATABASE_URL"):
        yield url
        return
    data_dir = Path(tempfile.gettempdir(), f"catalograph-test-{testrun_uid[:12]}")  # pytest's own are closed to others
    with shared(run_dir / "postgres-users") as is_last:
        data_dir.mkdir(exist_ok=True)
        data_dir.chmod(0o755)
        with embedded.running(data_dir, fsync=False) as server:
            yield server.dsn
        if is_last():
            shutil.rmtree(data_dir)


@pytest.fixture(scope="session")
async def template(
    postgres: str,
    run_dir: Path,
    testrun_uid: str,
    anyio_backend: str,  # noqa: ARG001 - with it anyio runs this fixture for tests that are not async, too
) -> AsyncIterator[str]:
    """The name of a database with all tables and no rows; nothing may be connected to it while it is cloned."""
    name = f"catalograph_test_{testrun_uid[:12]}"
    with shared(run_dir / "template-users") as is_last:
        async with connected(postgres) as server:
            await server.execute("SELECT pg_advisory_lock(hashtext($1))", name)  # until the connection ends
            if not await server.fetchval("SELECT true FROM pg_database WHERE datname = $1", name):
                await make_template(postgres, server, name)
        yield name
        if is_last():
            async with connected(postgres) as server:
                await server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
async def database_url(postgres: str, template: str) -> AsyncIterator[str]:
    """The URL of a fresh database with all tables, for one test."""
    name = f"{template}_{uuid4().hex[:12]}"
    async with connected(postgres) as server:  # as files, which is faster than through the log of a server of tests
        await server.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
    yield database_at(postgres, name)
    async with connected(postgres) as server:
        await server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


async def make_template(url: str, server: asyncpg.Connection, name: str) -> None:
    """Make a database of the newest revision; under its name it is complete."""
    unfinished = f"{name}_unfinished"
    await server.execute(f'DROP DATABASE IF EXISTS "{unfinished}" WITH (FORCE)')
    await server.execute(f'CREATE DATABASE "{unfinished}"')
    engine = create_engine(database_at(url, unfinished))
    try:
        await upgrade(engine)
    finally:
        await engine.dispose()
    await server.execute(f'ALTER DATABASE "{unfinished}" RENAME TO "{name}"')


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


@contextmanager
def shared(lock: Path) -> Iterator[Callable[[], bool]]:
    """Use something together with other workers.

    Gives a function to call when this worker is done with it: whether no other worker uses it. If so, a worker that
    comes later waits until the block has ended.
    """

    def is_last() -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield is_last
