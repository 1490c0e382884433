"""The database that a command works on: the operator's, or an embedded one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from api.settings import Settings, SettingsError
from db import embedded
from db.embedded import EmbeddedPostgresError
from db.engine import (
    DatabaseUnreachableError,
    MissingExtensionError,
    ServerTooOldError,
    connector,
    create_engine,
    session_settings,
)
from db.reading import Reads

_CONNECTING = 5.0  # seconds

_WRITERS = 4  # connections; a run of ingestion takes two


@contextmanager
def in_plain_words() -> Iterator[None]:
    """Tell an operator in a line, without a traceback, what keeps a command from its settings or its database."""
    try:
        yield
    except (
        SettingsError,
        EmbeddedPostgresError,
        ServerTooOldError,
        MissingExtensionError,
        DatabaseUnreachableError,
    ) as error:
        raise click.ClickException(str(error)) from error


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


def reads_of(settings: Settings) -> Reads:
    """Connections for reading, for settings that name a database."""
    return Reads(
        _url_of(settings),
        pool_size=settings.pool_size,
        pool_timeout=settings.pool_timeout,
        statement_timeout=settings.statement_timeout,
        pgbouncer=settings.pgbouncer,
    )


def listener_of(settings: Settings) -> Callable[[], Awaitable[Any]]:
    """What makes a connection that can hear notifications: straight to Postgres, where a setting says how."""
    return connector(
        settings.database_listen_url.get_secret_value() if settings.database_listen_url else _url_of(settings),
        connect_timeout=_CONNECTING,
        server_settings=session_settings("catalograph"),
        statement_cache_size=0,
    )


def _url_of(settings: Settings) -> str:
    if settings.database_url is None:
        raise ValueError("these settings name no database: `database()` fills it in")
    return settings.database_url.get_secret_value()


def engine_of(settings: Settings, *, connections: int | None = None, patient: bool = False) -> AsyncEngine:
    """An engine for settings that name a database: for writing, and for whatever no client asks.

    With `patient` a statement takes as long as it needs.
    """
    return create_engine(
        _url_of(settings),
        pool_size=connections or min(settings.pool_size, _WRITERS),
        pool_timeout=settings.pool_timeout,
        statement_timeout=0 if patient else settings.statement_timeout,
        pgbouncer=settings.pgbouncer,
    )
