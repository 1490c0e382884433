"""Fixtures of the tests with real clients: one server, which all of them ask."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from api.explorer.build import BuildError
from db.engine import create_engine
from tests.bench.processes import Server, serving
from tests.clients.workshop import MissingError, Workshop, furnished
from tests.ingesting import Catalog
from tests.postgres import connected, database_at

CATALOGRAPH = str(Path(sys.executable).with_name("catalograph"))
COMPANY = Path(__file__).parents[1] / "schema" / "company.yaml"


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    try:
        return furnished(tmp_path_factory.mktemp("clients") / "workshop")
    except (BuildError, MissingError) as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
async def company_url(
    postgres: str,
    template: str,
    anyio_backend: str,  # noqa: ARG001 - with it anyio runs this fixture for tests that are not async, too
) -> AsyncIterator[str]:
    """The URL of a database with the catalog of `company.yaml`."""
    name = f"{template}_{uuid4().hex[:12]}"
    url = database_at(postgres, name)
    async with connected(postgres) as server:
        await server.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    engine = create_engine(url)
    await Catalog(engine).ingest(COMPANY)
    await engine.dispose()
    yield url
    async with connected(postgres) as server:
        await server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
async def server(
    company_url: str,
    tmp_path_factory: pytest.TempPathFactory,
    anyio_backend: str,  # noqa: ARG001 - as above
) -> AsyncIterator[Server]:
    """`catalograph serve`, which answers nobody without a token."""
    environ = {"DATABASE_URL": company_url, "CATALOGRAPH_ANONYMOUS_SCOPES": "none"}
    log = tmp_path_factory.mktemp("server") / "log"
    async with serving((CATALOGRAPH, "serve", "--port", "0"), environ, log) as server:
        yield server


@pytest.fixture(scope="session")
def token(company_url: str) -> str:
    scopes = ("--scope", "catalog:read", "--scope", "catalog:write")
    done = subprocess.run(
        (CATALOGRAPH, "token", "create", "--name", "clients", "--user", "ann", *scopes),
        env={**os.environ, "DATABASE_URL": company_url},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.fixture(scope="session")
def graph(server: Server, token: str) -> dict[str, str]:
    """What a client has to know, as environment variables of scripts."""
    return {"GRAPH_URL": f"http://127.0.0.1:{server.port}/graphql", "GRAPH_TOKEN": token}
