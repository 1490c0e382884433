"""The way to Postgres: one engine for the process, made from DATABASE_URL in any of its spellings."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any, Literal
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit
from uuid import uuid4

import asyncpg
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from db import jsonb
from db.rules.search import LIKENESS

OLDEST_SERVER = 15

_FAREWELL = 0.5  # seconds for Postgres to answer that a connection is to end; then it is simply dropped
_CANCELLING = 5.0  # seconds for a cancelled statement to end; until then Postgres looks whether its client is there

_SCHEMES = frozenset({"postgres", "postgresql"})
_SSL_MODES = frozenset({"disable", "allow", "prefer", "require", "verify-ca", "verify-full"})
# Parameters of libpq's URLs that asyncpg reads too.
_UNDERSTOOD = frozenset({
    "application_name", "dbname", "host", "passfile", "password", "port", "sslcert", "sslcrl", "sslkey", "sslmode",
    "sslpassword", "sslrootcert", "ssl_max_protocol_version", "ssl_min_protocol_version", "target_session_attrs",
    "user",
})  # fmt: skip
# Parameters that providers put into the URLs they hand out, and that change nothing for asyncpg: it binds to the
# channel when the server offers that, and knows no GSS encryption; how long a connection may take is ours to say.
_DROPPED = frozenset({"channel_binding", "connect_timeout", "gssencmode"})


class DatabaseURLError(ValueError):
    """A DATABASE_URL that cannot be used. The message says why, and never holds a password."""


class ServerTooOldError(Exception):
    """The server is an older Postgres than the project runs on."""


class MissingExtensionError(Exception):
    """The server lacks an extension that the project needs, or does not let us add it."""


class DatabaseUnreachableError(Exception):
    """No connection could be made. The message says where to and why; the cause is the driver's own error."""


class NoFreeConnectionError(Exception):
    """All connections of a pool stayed in use for as long as one may wait for them, or the pool is closed."""


def create_engine(
    url: str,
    *,
    pool_size: int = 10,
    pool_timeout: float = 2.0,
    connect_timeout: float = 5.0,
    statement_timeout: float = 8.0,
    pgbouncer: bool = False,
    application_name: str = "catalograph",
) -> AsyncEngine:
    """An engine for the database at `url`; it connects when it is first used. Times are in seconds.

    With `pgbouncer` nothing outlives a transaction: no prepared statement is kept, and the statement's time is set in
    each transaction, since a pooler in transaction mode takes neither as a start-up parameter.

    A connection that cannot be made is DatabaseUnreachableError, a pool that stays exhausted for `pool_timeout` is
    sqlalchemy.exc.TimeoutError; `failure_of` knows both. Raises DatabaseURLError.
    """
    engine = create_async_engine(
        "postgresql+asyncpg://",
        connect_args={
            "async_creator_fn": connector(
                url,
                connect_timeout=connect_timeout,
                server_settings=session_settings(application_name)
                | ({} if pgbouncer else statement_settings(statement_timeout)),
                statement_cache_size=0 if pgbouncer else 100,
            ),
            # SQLAlchemy keeps its own cache of prepared statements above asyncpg's.
            "prepared_statement_cache_size": 0 if pgbouncer else 100,
            "prepared_statement_name_func": _unique_name if pgbouncer else None,
        },
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=pool_timeout,
        isolation_level="READ COMMITTED",  # the change log's order depends on it, whatever the server's default is
        json_serializer=jsonb.encode_text,
        json_deserializer=jsonb.decode,
        hide_parameters=True,  # an error's text goes to the log, and values do not belong there
    )
    event.listen(engine.sync_engine, "checkout", _refuse_closed)
    if pgbouncer:
        event.listen(engine.sync_engine, "begin", _statement_timeout_setter(statement_timeout))
    return engine


def connection_url(url: str) -> str:
    """`url` as asyncpg reads it, from any spelling: a `+driver`, `postgres://`, libpq's parameters, a socket's folder.

    Raises DatabaseURLError for what Postgres would not understand, or would understand too late.
    """
    if "#" in url:
        raise DatabaseURLError("it has an unescaped '#'; in a password that is written %23")
    try:
        parts = urlsplit(url)
        for host in parts.netloc.rpartition("@")[2].split(","):
            _ = urlsplit(f"//{host}").port
    except ValueError:
        raise DatabaseURLError("the host or the port is malformed; special characters are written %40") from None
    if parts.scheme.partition("+")[0] not in _SCHEMES:
        raise DatabaseURLError("it must begin with postgresql:// or postgres://")
    query = urlencode(list(_understood(parts)))
    return f"postgresql://{parts.netloc}{parts.path or '/'}{query and '?'}{query}"


def _understood(parts: SplitResult) -> Iterator[tuple[str, str]]:
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name in _DROPPED:
            continue
        if name == "pgbouncer":
            raise DatabaseURLError("the parameter 'pgbouncer' is the setting CATALOGRAPH_PGBOUNCER here")
        if name not in _UNDERSTOOD:
            raise DatabaseURLError(f"the parameter {name!r} is not known; known are {', '.join(sorted(_UNDERSTOOD))}")
        if name == "sslmode" and value not in _SSL_MODES:
            raise DatabaseURLError(f"sslmode is one of {', '.join(sorted(_SSL_MODES))}")
        yield name, value


async def check_server(engine: AsyncEngine) -> None:
    """Refuse a server that is too old.

    Raises ServerTooOldError, or what connecting raises.
    """
    async with engine.connect() as connection:
        version = int((await connection.execute(text("SHOW server_version_num"))).scalar_one())
    if version < OLDEST_SERVER * 10_000:
        raise ServerTooOldError(f"Postgres {version // 10_000} is too old: {OLDEST_SERVER} or later is needed")


def failure_of(error: BaseException) -> Literal["unavailable", "timeout"] | None:
    """Whether `error` means that the database is away or overloaded, or that it cancelled a slow statement.

    `error` is SQLAlchemy's, the driver's own, or one of this module.
    """
    if isinstance(error, DatabaseUnreachableError | NoFreeConnectionError | PoolTimeoutError):
        return "unavailable"
    if isinstance(error, asyncpg.InterfaceError) and "connection is closed" in str(error):
        return "unavailable"  # its other meanings are mistakes in how the driver is used
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return "unavailable"
    state = _sqlstate(error)
    if state == "57014":  # query_canceled: by statement_timeout
        return "timeout"
    if state.startswith(("08", "53", "57P")):  # connection, resources, shut down or starting up
        return "unavailable"
    return None


def _sqlstate(error: BaseException) -> str:
    """The five characters by which Postgres names an error; empty when it is not Postgres's."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return getattr(cause, "sqlstate", None) or ""


def connector(
    url: str, *, connect_timeout: float, server_settings: dict[str, str], **options: Any
) -> Callable[..., Awaitable[asyncpg.Connection[Any]]]:
    """A function that makes a connection to the database at `url`, with further `options` of asyncpg.connect.

    It takes whatever it is given and needs none of it. Raises DatabaseURLError; the function DatabaseUnreachableError.
    """
    dsn = connection_url(url)
    place = _place(dsn)

    async def connect(**_: object) -> asyncpg.Connection[Any]:
        try:
            return await asyncpg.connect(
                dsn,
                timeout=connect_timeout,
                server_settings=server_settings,
                connection_class=_Connection,
                **options,
            )
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            failed = "refuses the connection" if isinstance(error, asyncpg.PostgresError) else "cannot be reached"
            reason = str(error) or type(error).__name__
            raise DatabaseUnreachableError(f"DATABASE_URL: {place} {failed}: {reason}") from error

    return connect


class _Connection(asyncpg.Connection):  # type: ignore[misc] # the driver comes without types
    """A connection whose end nobody has to wait for, however slow or silent the network is.

    SQLAlchemy would wait for ever for an answer to its farewell, and two seconds for a cancelled statement to end, of
    which every answer to a client would then be late.
    """

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 - the driver's own
        """Close it within half a second; aside, once the statement has ended, where one is being cancelled."""
        if not self.is_closed() and self._protocol._is_cancelling():  # noqa: SLF001 - the driver tells nobody else
            self._ending = asyncio.create_task(self._close(_CANCELLING))
        else:
            await self._close(_FAREWELL)

    async def _close(self, seconds: float) -> None:
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):  # then it is closed, too
            await super().close(timeout=seconds)


def _place(dsn: str) -> str:
    """Where a `connection_url` leads, `host:port` with commas between several; never its user or password."""
    parts = urlsplit(dsn)
    query = dict(parse_qsl(parts.query))
    hosts = (parts.netloc.rpartition("@")[2] or query.get("host", "localhost")).split(",")
    port = query.get("port", "5432")
    return ",".join(host if urlsplit(f"//{host}").port else f"{host}:{port}" for host in hosts)


def session_settings(application_name: str) -> dict[str, str]:
    """What each session has from its start; a pooler in transaction mode passes these on, and no others."""
    return {"application_name": application_name, "timezone": "UTC"}


def statement_settings(statement_timeout: float) -> dict[str, str]:
    """What each statement runs under: set for the session or, behind a pooler, for the transaction."""
    return {
        "statement_timeout": _milliseconds(statement_timeout),
        # A statement whose client has died is stopped within this time, not when it is done.
        "client_connection_check_interval": "5000",
        # A catalog is mostly in memory, where a row anywhere costs about what the next row does.
        "random_page_cost": "1.1",
        # Text search takes a word for another one with a typo if they share so many of all their trigrams.
        "pg_trgm.strict_word_similarity_threshold": str(LIKENESS),
    }


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))


def _statement_timeout_setter(seconds: float) -> Callable[[Connection], None]:
    statement = f"SET LOCAL statement_timeout = {_milliseconds(seconds)}"

    def set_statement_timeout(connection: Connection) -> None:
        connection.exec_driver_sql(statement)

    return set_statement_timeout


def _unique_name() -> str:
    """A statement's name that no other client of the pooler's server connection has used."""
    return f"__catalograph_{uuid4().hex}__"


def _refuse_closed(connection: Any, _entry: ConnectionPoolEntry, _proxy: PoolProxiedConnection) -> None:
    """Let the pool replace a connection that the server has closed since; asking costs no round trip."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError
