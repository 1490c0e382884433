"""One server for all that is hostile, over a small catalog."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import orjson
import pytest

from api.request_parameters import JSON
from db.engine import create_engine
from tests.api.hostile.cases import asked
from tests.api.hostile.wire import Address
from tests.bench.processes import serving
from tests.ingesting import Catalog
from tests.postgres import connected, database_at

ROOT = Path(__file__).parents[3]

NO_FAULT = "Invalid UTF-8 sequence received from client."  # though uvicorn logs it as one

NORMAL = asked('{component(ref:"player"){title owner{name}}}')(JSON)
NORMAL_ANSWER = b'{"data":{"component":{"title":"The player","owner":{"name":"players"}}},"extensions":{"cost":2}}'


@dataclass(frozen=True, slots=True)
class Meter:
    """What the server's meter has seen since it was last read: seconds of CPU, and bytes of memory."""

    stall: float
    resident: int


@dataclass(frozen=True, slots=True)
class Hostile:
    """The server that hostile input is sent to."""

    address: Address
    log: Path

    async def meter(self) -> Meter:
        """Read the meter, which begins anew."""
        reply = await self.address.answers(b"GET /meter HTTP/1.1\r\nHost: x\r\n\r\n")
        return Meter(**orjson.loads(reply.body))

    async def is_well(self) -> bool:
        """Whether a normal query is answered as ever."""
        reply = await self.address.answers(NORMAL)
        return (reply.status, reply.body) == (200, NORMAL_ANSWER)

    def faults(self) -> list[str]:
        """What the server has logged of faults of its own."""
        lines = [orjson.loads(line) for line in self.log.read_bytes().splitlines()]
        faults = [line for line in lines if line["level"] == "error" and line["event"] != NO_FAULT]
        return [f"{line['event']}: {line.get('exception')}" for line in faults]


@pytest.fixture(scope="module")
async def catalog_url(postgres: str, template: str) -> AsyncIterator[str]:
    """The URL of a database with the entities of `company.yaml`."""
    name = f"{template}_{uuid4().hex[:12]}"
    url = database_at(postgres, name)
    async with connected(postgres) as server:
        await server.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    engine = create_engine(url)
    await Catalog(engine).ingest(ROOT / "tests/schema/company.yaml")
    await engine.dispose()
    yield url
    async with connected(postgres) as server:
        await server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="module")
async def hostile(catalog_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Hostile]:
    """The server, in a process of its own: its memory and its event loop are nobody else's."""
    command = [sys.executable, "-m", "tests.api.hostile.metered"]
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environ = {"DATABASE_URL": catalog_url, "CATALOGRAPH_PORT": "0", "PYTHONPATH": path}
    log = tmp_path_factory.mktemp("hostile") / "log"
    async with serving(command, environ, log) as server:
        yield Hostile(Address(server.port), log)
