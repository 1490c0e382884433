"""Answers as server-sent events, by the distinct connections mode of GraphQL over SSE.

The mode is described in https://github.com/graphql/graphql-over-http/blob/main/rfcs/GraphQLOverSSE.md. What is refused
before anything runs is an event there, and so it is here: clients take a status for a bad network, and try again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Send

from api.answers import Body
from api.wanted import ended, left
from db import jsonb

EVENT_STREAM = "text/event-stream"
HEADERS = (
    (b"content-type", f"{EVENT_STREAM}; charset=utf-8".encode()),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # nginx would collect events until it has some kilobytes
    (b"vary", b"Accept"),
)
KEEP_ALIVE = 12.0  # seconds between two comments; proxies give up on a silent connection after 30 and more
COMMENT = b":\n\n"
COMPLETE = b"event: complete\ndata:\n\n"  # with `data`, or else an EventSource does not notice it


def event(body: Body) -> bytes:
    """One answer. JSON has no line break in it."""
    return b"event: next\ndata: %b\n\n" % jsonb.encode(body)


async def send_events(events: AsyncGenerator[bytes], receive: Receive, send: Send, stopping: asyncio.Event) -> None:
    """Send the events as they come, then `complete`: at their end, or when the server stops.

    They are not asked for the next one until the client has taken most of the last, and are closed in the end. Raises
    ClientDisconnect when the client leaves, and what they raise.
    """
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    telling = asyncio.create_task(_tell(events, send))
    leaving = asyncio.create_task(left(receive))
    stop = asyncio.create_task(stopping.wait())
    try:
        while not (done := await _first_done(telling, leaving, stop)):
            await send({"type": "http.response.body", "body": COMMENT, "more_body": True})
    finally:
        await ended(telling, leaving, stop)
    if leaving in done:
        raise ClientDisconnect
    if telling in done:
        telling.result()
    await send({"type": "http.response.body", "body": COMPLETE})


async def _tell(events: AsyncGenerator[bytes], send: Send) -> None:
    async with aclosing(events):
        async for one in events:
            await send({"type": "http.response.body", "body": one, "more_body": True})


async def _first_done(*tasks: asyncio.Task[Any]) -> set[asyncio.Task[Any]]:
    """Those that are done; none, when it is time for a sign of life."""
    done, _ = await asyncio.wait(tasks, timeout=KEEP_ALIVE, return_when=asyncio.FIRST_COMPLETED)
    return done
