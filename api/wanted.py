"""Work for a client, and only as long as the client waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar, cast

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from schema.errors import Timeout, timeout

T = TypeVar("T")

# Seconds. Most work is done before anybody could have left; it pays for a timer, not for a task.
_WATCHED_AFTER = 0.05


async def while_wanted(work: Awaitable[T], receive: Receive, seconds: float) -> T:
    """What `work` gives; awaited by the task that serves the request, once its body was received.

    It is cancelled after `seconds`, which is Timeout, or when the client leaves, which is ClientDisconnect.
    """
    worker = cast("asyncio.Task[Any]", asyncio.current_task())
    watch = _Watch(worker, receive, seconds)
    try:
        return await work
    except asyncio.CancelledError:
        if watch.verdict is None:  # somebody else's doing
            raise
        worker.uncancel()
        raise watch.verdict from None
    finally:
        watch.end()


async def in_time(work: Awaitable[T], seconds: float) -> T:
    """What `work` gives. It is cancelled after `seconds`, which is Timeout."""
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await work
    except TimeoutError:
        if not limit.expired():  # its own
            raise
        raise timeout() from None


async def left(receive: Receive) -> None:
    """Wait until the client of an HTTP request, whose body was received, has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def ended(*tasks: asyncio.Task[Any]) -> None:
    """Cancel the tasks and wait for their end. How they end is their own affair."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


class _Watch:
    """Cancels `worker` when it has worked for too long, or for nobody; `verdict` says which."""

    def __init__(self, worker: asyncio.Task[Any], receive: Receive, seconds: float) -> None:
        self.verdict: Timeout | ClientDisconnect | None = None
        self._worker = worker
        self._receive = receive
        self._loop = worker.get_loop()
        self._deadline = self._loop.time() + seconds
        self._watching: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(min(_WATCHED_AFTER, seconds), self._begin)

    def end(self) -> None:
        """Leave the worker alone from now on."""
        self._timer.cancel()
        if self._watching:
            self._watching.cancel()

    def _begin(self) -> None:
        self._watching = self._loop.create_task(self._watch())

    async def _watch(self) -> None:
        try:
            async with asyncio.timeout_at(self._deadline):
                await left(self._receive)
            self.verdict = ClientDisconnect()
        except TimeoutError:
            self.verdict = timeout()
        self._worker.cancel()
