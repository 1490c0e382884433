"""One connection a process that hears of changes, and the pages of the log that its subscribers share.

Postgres tells each process when changes are committed. That is a hint only: it may be lost, or a pooler may swallow it,
so the log's end is looked at every two seconds and after every new connection, too.

The same connection hears when API tokens are revoked. There nobody may look again later, so it is known at any time
whether such a thing would be heard.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any, TypeVar

import structlog
from sqlalchemy import Text, bindparam

from db import changes, tokens
from db.changes import Page
from db.engine import failure_of
from db.queries.changes import owners_within
from db.reading import Reads
from db.rules.refs import Ref
from schema.errors import Unavailable
from schema.levels.reading import compiled
from schema.outages import over_outages

T = TypeVar("T")
Connect = Callable[[], Awaitable[Any]]

LOOKED_AT = 2.0  # seconds between two looks at the end of the log, whether anything was heard or not
_RETRY = 0.5  # seconds before a lost connection is made anew
_ANSWER = 10.0  # seconds that a look may take, before the connection counts as lost
_SURE = 5.0  # seconds since the last answer, after which a connection may be one that nothing comes through any more
_KEPT = 16  # pages and trees; subscribers that keep up all want the last ones

_TREE, _ = compiled(owners_within(bindparam("group", None, Text)), ["group"])

_log = structlog.get_logger("catalograph.live")


class LiveFeed:
    """The change log of one database, followed by any number of subscribers; see `schema.live.Live`."""

    def __init__(self, connect: Connect, reads: Reads) -> None:
        """`connect` makes a connection of the driver's, straight to Postgres."""
        self._connect, self._reads = connect, reads
        self._position: int | None = None
        self._lost = False
        self._moved = asyncio.Event()  # replaced at each move
        self._shared: OrderedDict[Hashable, asyncio.Task[Any]] = OrderedDict()
        self._ear: Any = None  # a connection that hears of revocations
        self._answered = 0.0  # when it last was seen to be alive
        self._revocations = 0

    @property
    def is_known(self) -> bool:
        """Whether this process knows a position."""
        return self._position is not None

    @property
    def position(self) -> int:
        """The latest position that this process knows of. Raises Unavailable before it knows any."""
        if self._position is None:
            raise Unavailable("Changes cannot be followed yet: the database is not reached")
        return self._position

    async def after(self, position: int) -> Page:
        """The next changes after a position; waits until there are some. Raises ForgottenError."""
        while True:
            moved = self._moved
            if self._position is not None and position < self._position:
                page = await self._once(position, partial(changes.read, self._fetch, position))
                if page.changes:
                    return page
            await moved.wait()

    async def trees(self, groups: Iterable[Ref], position: int) -> dict[Ref, frozenset[str]]:
        """The canonical refs of who owns what is in the tree of each group, as of a position or later."""
        return {group: await self._once((position, group), partial(self._tree, group)) for group in groups}

    def revocations(self) -> int | None:
        """How often tokens were revoked, or may have been; None while nothing would be heard of that.

        As long as this stays the same number, no token was revoked.
        """
        is_sure = self._ear is not None and not self._ear.is_closed() and monotonic() - self._answered < _SURE
        return self._revocations if is_sure else None

    async def look(self) -> None:
        """Look at the end of the log, so that followers know where to begin. Raises what `Reads.fetch` does."""
        self._move(await changes.last_position(self._fetch))

    async def run(self) -> None:
        """Follow the log until cancelled, over all outages."""
        while True:
            try:
                await self._listen()
            except Exception as error:  # noqa: BLE001 - whatever it is, those who follow are not told otherwise
                if not self._lost:  # said once
                    _tell(error)
                self._lost = True
            await asyncio.sleep(_RETRY)

    async def _listen(self) -> None:
        connection = await self._connect()
        heard = asyncio.Event()
        try:
            connection.add_termination_listener(lambda *_: heard.set())
            async with asyncio.timeout(_ANSWER):
                await connection.add_listener(changes.CHANNEL, lambda *_: heard.set())
                await connection.add_listener(tokens.CHANNEL, self._revoked)
                self._revoked()  # some may have been, while nobody heard
                self._ear = connection if await _is_straight(connection) else None
            while not connection.is_closed():
                heard.clear()
                async with asyncio.timeout(_ANSWER):
                    self._move(await changes.last_position(lambda text, values: connection.fetch(text, *values)))
                self._answered = monotonic()
                if self._lost:
                    _log.info("the change log is followed again")
                    self._lost = False
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOKED_AT):
                        await heard.wait()
        finally:
            self._ear = None
            connection.terminate()

    def _revoked(self, *_: object) -> None:
        self._revocations += 1

    def _move(self, position: int) -> None:
        if position != self._position:
            self._position = position
            self._moved.set()
            self._moved = asyncio.Event()

    async def _once(self, key: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        """What `read` gives, read once for all who want it now or soon, over outages of the database.

        Who leaves while it is read takes it from nobody.
        """
        return await over_outages(partial(self._read_once, key, read))

    async def _read_once(self, key: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        task = self._shared.get(key)
        if task is None:
            task = self._shared[key] = asyncio.ensure_future(read())
            while len(self._shared) > _KEPT:
                self._shared.popitem(last=False)
        try:
            result: T = await asyncio.shield(task)
        except Exception:
            if self._shared.get(key) is task:
                del self._shared[key]
            raise
        return result

    async def _fetch(self, text: str, values: Sequence[Any]) -> list[Any]:
        return await self._reads.fetch(text, values)

    async def _tree(self, group: Ref) -> frozenset[str]:
        return frozenset(row[0] for row in await self._fetch(_TREE, [str(group)]))


async def _is_straight(connection: Any) -> bool:
    """Whether it leads to Postgres itself. A pooler, behind which nothing is heard, numbers sessions of its own."""
    process = await connection.fetchval("SELECT pg_backend_pid()")
    return bool(process == connection.get_server_pid())


def _tell(error: Exception) -> None:
    if failure_of(error) == "unavailable" or isinstance(error, TimeoutError | OSError):
        reason = str(error) or type(error).__name__
        _log.warning("the change log is not followed", reason=reason, retry_seconds=_RETRY)
    else:
        _log.error("the change log cannot be followed", exc_info=error)
