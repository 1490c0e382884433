"""Revisions give the tables that the code expects, once, however many start at the same time."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from db import locks
from db.engine import MissingExtensionError, create_engine
from db.revisions import upgrade
from db.tables import metadata

pytestmark = pytest.mark.anyio


def differences(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    return list(compare_metadata(context, metadata))


async def test_the_newest_revision_has_exactly_the_tables_of_the_code(database_url: str) -> None:
    engine = create_engine(database_url)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


async def test_replicas_that_start_together_apply_each_revision_once(database_url: str) -> None:
    admin = await asyncpg.connect(database_url)
    await admin.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    engines = [create_engine(database_url) for _ in range(4)]
    await asyncio.gather(*(upgrade(engine) for engine in engines))
    assert await admin.fetch("SELECT version_num FROM alembic_version") == [("0003",)]
    assert (
        await admin.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == len(metadata.tables) + 1
    )
    await asyncio.gather(*(engine.dispose() for engine in engines))
    await admin.close()


async def test_a_replica_waits_for_another_ones_revisions_however_long_they_take(database_url: str) -> None:
    engine, hurried = create_engine(database_url), create_engine(database_url, statement_timeout=0.2)
    async with engine.begin() as connection:
        await locks.lock(connection, locks.REVISIONS)
        waiting = asyncio.create_task(upgrade(hurried))
        done, _ = await asyncio.wait({waiting}, timeout=1)
        assert done == set()
    await waiting
    await asyncio.gather(engine.dispose(), hurried.dispose())


async def test_a_server_that_does_not_give_us_the_extension_is_told_in_words_and_stays_as_it_was(
    database_url: str,
) -> None:
    admin = await asyncpg.connect(database_url)
    await admin.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    await admin.execute("CREATE FUNCTION similarity(text, text) RETURNS real LANGUAGE sql RETURN 1.0")  # is in its way
    engine = create_engine(database_url)
    with pytest.raises(
        MissingExtensionError, match=r"text search needs Postgres' extension pg_trgm, .* already exists"
    ):
        await upgrade(engine)
    assert await admin.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
    await engine.dispose()
    await admin.close()
