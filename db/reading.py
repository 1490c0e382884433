"""Statements that only read: text with positional values, run on the driver itself.

SQLAlchemy writes statements well, but running one costs it several times what the driver takes. So whoever runs the
same statements again and again keeps their text, and runs it here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import asyncpg

from db import jsonb
from db.engine import NoFreeConnectionError, connector, session_settings, statement_settings

# One plan for all values, made once: most statements look up keys in an index, whatever the keys are, and planning one
# takes longer than running it. A merge join reads an index from its start, which the few rows of a page do not repay.
_ONE_PLAN = {"plan_cache_mode": "force_generic_plan", "enable_mergejoin": "off"}
# A plan for the values at hand: how rare a tag is, or how large an owner, decides which index a filter begins with.
_PLAN_EACH = {"plan_cache_mode": "force_custom_plan", "enable_mergejoin": "on"}
# Compiling a plan to machine code takes longer than any of these statements.
_ALWAYS = {"jit": "off"}

_KEPT_STATEMENTS = 100  # on each connection; Postgres holds 0.1 MB for one, and 1 MB for one of 16 joins
_CANCELLING = 0.25  # seconds after which a statement that was cancelled, and still runs, is cancelled again
_CANCELS = 20  # after which its connection is closed instead
_CLOSING = 2.0  # seconds for statements to end once the pool is closed

_Connect = Callable[[], Awaitable[Any]]  # the driver comes without types


class Row(asyncpg.Record):  # type: ignore[misc] # as above
    """One row: `row.ref` and `row["ref"]` are its column `ref`, `row[0]` is its first.

    Columns named `get`, `items`, `keys` or `values` are no attributes: those are methods.
    """

    __slots__ = ()

    def __getattr__(self, column: str) -> Any:
        try:
            return self[column]
        except KeyError:
            raise AttributeError(column) from None


class Reads:
    """At most `pool_size` connections for statements that only read; Postgres refuses to write on any of them.

    A connection is made when it is first needed, and again after it was lost: a restart of Postgres costs at most the
    statements that run meanwhile.

    A statement is planned once for all values, or for each run by its values. Which of the two is a setting of its
    connection, and none is set aside for either: once all are made, one that served the other is set anew, in a round
    trip. So both together have `pool_size` connections, and either may have all of them.

    With `pgbouncer` a pooler in transaction mode stands between. There settings last for one transaction and nothing
    stays prepared: each statement takes four round trips and is planned each time.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 10,
        pool_timeout: float = 2.0,
        connect_timeout: float = 5.0,
        statement_timeout: float = 8.0,
        pgbouncer: bool = False,
        application_name: str = "catalograph",
    ) -> None:
        """Times are in seconds. Nothing is connected yet. Raises DatabaseURLError."""
        session, statement = session_settings(application_name), statement_settings(statement_timeout) | _ALWAYS
        connect = connector(
            url,
            connect_timeout=connect_timeout,
            server_settings=session if pgbouncer else session | statement,
            statement_cache_size=0 if pgbouncer else _KEPT_STATEMENTS,
            max_cached_statement_lifetime=0,  # kept, however long it is not used
        )
        self._one_plan = _in_transaction(statement | _ONE_PLAN) if pgbouncer else _for_session(_ONE_PLAN)
        self._plan_each = _in_transaction(statement | _PLAN_EACH) if pgbouncer else _for_session(_PLAN_EACH)
        place = _PlaceBehindPooler if pgbouncer else _Place
        self._size = pool_size
        self._places = [place(connect) for _ in range(pool_size)]
        self._free = [*self._places]  # the last used one at the end
        self._turns = asyncio.Semaphore(pool_size)  # one for each free place; who waits first has the next
        self._patience = pool_timeout
        self._settling: set[asyncio.Task[None]] = set()
        self._closed = False

    async def fetch(
        self, text: str, values: Sequence[Any], *, varying: bool = False, named: bool = False
    ) -> list[asyncpg.Record]:
        """All rows of the statement `text`, whose $1, $2, ... are `values`, in a transaction of its own.

        One that is `varying` is planned for its values, each time. Any other is planned once, for all values, and has
        its LIMIT in the text: for a LIMIT that is a parameter Postgres plans as if a tenth of all rows were wanted.

        Rows that are `named` are `Row`s; plain ones take less time.

        Columns of JSON come decoded, and parameters of JSON are encoded; times are aware.

        Cancelled, it cancels the statement in Postgres too, without waiting for that. Raises NoFreeConnectionError,
        DatabaseUnreachableError, or what the driver does.
        """
        setting = self._plan_each if varying else self._one_plan
        place = await self._take(setting)
        try:
            rows = await place.fetch(setting, text, values, Row if named else asyncpg.Record)
        except (Exception, asyncio.CancelledError):
            task = asyncio.create_task(self._settle(place))
            self._settling.add(task)
            task.add_done_callback(self._settling.discard)
            raise
        self._give_back(place)
        return rows

    async def close(self) -> None:
        """Turn away who asks from now on, and close all connections; statements that run have two seconds to end."""
        if self._closed:
            return
        self._closed = True
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSING):
                for _ in range(self._size):
                    await self._turns.acquire()
        await asyncio.gather(*(place.close() for place in self._places))

    async def _take(self, setting: str) -> _Place:
        if self._closed:
            raise NoFreeConnectionError("the pool is closed")
        if self._turns.locked():
            await self._wait_for_turn()
        else:
            await self._turns.acquire()  # at once
        place = self._best_for(setting)
        self._free.remove(place)
        return place

    async def _wait_for_turn(self) -> None:
        try:
            async with asyncio.timeout(self._patience):
                await self._turns.acquire()
        except TimeoutError:
            raise NoFreeConnectionError(f"all {self._size} connections were in use for {self._patience:g} s") from None

    def _best_for(self, setting: str) -> _Place:
        """The last used free place that has the setting; else the longest unused one, as empty ones are."""
        return next((place for place in reversed(self._free) if place.has(setting)), self._free[0])

    def _give_back(self, place: _Place) -> None:
        self._free.append(place)
        self._turns.release()

    async def _settle(self, place: _Place) -> None:
        try:
            await place.settle()
        finally:
            self._give_back(place)


class _Place:
    """Room for one connection straight to Postgres."""

    def __init__(self, connect: _Connect) -> None:
        self._connect = connect
        self._connection: Any = None
        self._setting = ""

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._connection is not None and not self._connection.is_closed()

    def has(self, setting: str) -> bool:
        """Whether a statement can run under this setting at once."""
        return self._setting == setting and self.is_open

    async def fetch(self, setting: str, text: str, values: Sequence[Any], record: type) -> list[asyncpg.Record]:
        """The rows, of this class.

        When the connection turns out to be lost, the statement is run again, once, on a new one. How far it had come
        does not matter: it only reads, and nobody has seen a row of it.
        """
        was_open = self.is_open
        try:
            return await self._run(setting, text, values, record)
        except Exception:
            if self.is_open or not was_open:
                raise
        return await self._run(setting, text, values, record)

    async def settle(self) -> None:
        """After a failure, wait until the connection can be used again; close one that cannot."""
        if not self.is_open:
            return
        try:
            whole = await self._is_settled()
        except (Exception, asyncio.CancelledError):  # noqa: BLE001 - whatever it is, a new connection has it not
            whole = False
        if not whole:
            self._connection.terminate()

    async def close(self) -> None:
        """Close the connection, if there is one."""
        if self.is_open:
            await self._connection.close()

    async def _run(self, setting: str, text: str, values: Sequence[Any], record: type) -> list[asyncpg.Record]:
        await self._open()
        if self._setting != setting:
            self._setting = ""  # until it is known what Postgres made of it
            await self._connection.execute(setting)
            self._setting = setting
        rows: list[asyncpg.Record] = await self._connection.fetch(text, *values, record_class=record)
        return rows

    async def _open(self) -> None:
        if self.is_open:
            return
        self._setting = ""
        self._connection = connection = await self._connect()
        for name in ("json", "jsonb"):  # without a round trip
            await connection.set_type_codec(name, schema="pg_catalog", encoder=jsonb.encode_text, decoder=jsonb.decode)

    async def _is_settled(self) -> bool:
        for attempt in range(_CANCELS):
            with suppress(TimeoutError):
                async with asyncio.timeout(_CANCELLING):
                    if attempt:
                        await self._cancel_again()
                    return await self._is_whole()
        return False

    async def _cancel_again(self) -> None:
        # Postgres ignores a cancellation that comes before it has begun with the statement. The driver sends only one.
        sent = asyncio.get_running_loop().create_future()
        self._connection._cancel_current_command(sent)  # noqa: SLF001 - the driver has no other way
        await sent

    async def _is_whole(self) -> bool:
        # This waits until a cancelled statement has ended. One that was cancelled while Postgres prepared it stays
        # there, unknown to the driver; of these there must not be ever more.
        prepared: int = await self._connection.fetchval("SELECT count(*) FROM pg_prepared_statements")
        return prepared <= 2 * _KEPT_STATEMENTS


class _PlaceBehindPooler(_Place):
    """Room for one connection to a pooler, behind which every transaction may be in another session."""

    def has(self, setting: str) -> bool:
        return self.is_open

    async def _run(self, setting: str, text: str, values: Sequence[Any], record: type) -> list[asyncpg.Record]:
        await self._open()
        await self._connection.execute(setting)
        rows: list[asyncpg.Record] = await self._connection.fetch(text, *values, record_class=record)
        await self._connection.execute("COMMIT")
        return rows

    async def _is_whole(self) -> bool:
        await self._connection.execute("ROLLBACK")
        return True


def _for_session(settings: Mapping[str, str]) -> str:
    """SQL after which a session reads, under `settings`."""
    reading = "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY"
    return "; ".join([reading, *(f"SET {name} = '{value}'" for name, value in settings.items())])


def _in_transaction(settings: Mapping[str, str]) -> str:
    """SQL that begins a transaction that reads, under `settings`."""
    reading = "BEGIN ISOLATION LEVEL READ COMMITTED, READ ONLY"
    return "; ".join([reading, *(f"SET LOCAL {name} = '{value}'" for name, value in settings.items())])
