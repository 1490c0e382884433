"""Fixtures: one Postgres for all tests of faults, and servers that several tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from db.embedded import EmbeddedPostgres
from tests.faults.world import PATIENT, World, own_postgres, world_of


@pytest.fixture(scope="package")
def lonely() -> Iterator[EmbeddedPostgres]:
    """A Postgres that may be stopped."""
    with own_postgres() as postgres:
        yield postgres


@pytest.fixture(scope="module")
async def world(lonely: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A server in a hurry."""
    async with world_of(lonely, tmp_path_factory.mktemp("world")) as world:
        yield world


@pytest.fixture(scope="package")
async def patient(lonely: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A server that waits, until a test ends it."""
    async with world_of(lonely, tmp_path_factory.mktemp("patient"), **PATIENT) as world:
        yield world
