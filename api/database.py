"""The database that a command works on: the operator's, or an embedded one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from api.settings import Settings
from db import embedded
from db.engine import create_engine


@contextmanager
def database(settings: Settings) -> Iterator[Settings]:
    """`settings` with a database_url that leads somewhere: as given, or to the embedded Postgres, which runs meanwhile.

    Processes with the same data folder share one embedded Postgres. It starts in the calling thread.
    Raises db.embedded.EmbeddedPostgresError.
    """
    if settings.database_url:
        yield settings
        return
    with embedded.running(settings.data_dir, bin_dir=settings.postgres_bin_dir) as postgres:
        yield settings.model_copy(update={"database_url": SecretStr(postgres.dsn)})


def engine_of(settings: Settings) -> AsyncEngine:
    """An engine for settings that name a database."""
    if settings.database_url is None:
        raise ValueError("these settings name no database: `database()` fills it in")
    return create_engine(
        settings.database_url.get_secret_value(),
        pool_size=settings.pool_size,
        pool_timeout=settings.pool_timeout,
        statement_timeout=settings.statement_timeout,
        pgbouncer=settings.pgbouncer,
    )
