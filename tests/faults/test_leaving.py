"""Statements do not outlive who asked for them: neither a client that left, nor a server that was killed."""

from __future__ import annotations

import asyncio
import signal
from functools import partial
from pathlib import Path

import pytest

from db.embedded import EmbeddedPostgres
from tests.faults.world import PATIENT, World, until, world_of

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("faults")]

GONE = 6.0  # seconds


async def test_no_statement_outlives_its_client_by_six_seconds_however_far_postgres_is(patient: World) -> None:
    async with patient.locked("entity"):
        asking = await patient.begun(patient.query(), patient.register("left"))
        await until(10, partial(patient.has_statements, 2))
        patient.line.delay = 1.0  # there, and back
        for one in asking:
            one.cancel()
        await until(GONE, partial(patient.has_statements, 0))
    await patient.line.mend()


@pytest.mark.long
async def test_no_statement_outlives_a_server_that_was_killed(lonely: EmbeddedPostgres, tmp_path: Path) -> None:
    async with world_of(lonely, tmp_path, **PATIENT) as world, world.locked("entity"):
        asking = await world.begun(world.query(), world.register("killed"))
        await until(10, partial(world.has_statements, 2))
        await world.served.end(signal.SIGKILL)
        await until(GONE, partial(world.has_statements, 0))
        await asyncio.gather(*asking, return_exceptions=True)
