"""Statements do not outlive who asked for them: neither a client that left, nor a server that was killed."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from db.embedded import EmbeddedPostgres
from tests.faults.world import World, until, world_of

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("faults")]

GONE = 6.0  # seconds


@pytest.fixture
async def patient(lonely: EmbeddedPostgres, tmp_path: Path) -> AsyncIterator[World]:
    """A server that would wait for a minute, and so would Postgres."""
    names = ("OPERATION_TIMEOUT", "STATEMENT_TIMEOUT", "POOL_TIMEOUT")
    async with world_of(lonely, tmp_path, **{f"CATALOGRAPH_{name}": "60" for name in names}) as world:
        yield world


async def test_no_statement_outlives_its_client_or_its_server_by_six_seconds(patient: World) -> None:
    async with patient.locked("entity"):
        asking = [asyncio.create_task(each) for each in (patient.query(), patient.register("left"))]
        await until(10, partial(patient.has_statements, 2))
        patient.line.delay = 1.0  # there, and back
        for one in asking:
            one.cancel()
        await until(GONE, partial(patient.has_statements, 0))
    await patient.line.mend()
    async with patient.locked("entity"):
        asking = [asyncio.create_task(each) for each in (patient.query(), patient.register("killed"))]
        await until(10, partial(patient.has_statements, 2))
        await patient.served.end(signal.SIGKILL)
        await until(GONE, partial(patient.has_statements, 0))
        await asyncio.gather(*asking, return_exceptions=True)
