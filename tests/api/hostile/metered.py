"""The server that hostile input is sent to: as `catalograph serve` runs it, with a meter of itself at `/meter`.

It reads the environment, and says where it listens on standard error.
"""

from __future__ import annotations

import asyncio
import gc
import os
from pathlib import Path
from time import process_time

import orjson
import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from api import log
from api.app import create_app
from api.server import listen, serve
from api.settings import Settings

_TICK = 0.002  # seconds

_log = structlog.get_logger("catalograph.server")


class Metered:
    """The app, and a task in its event loop that notes how long that was not free.

    A GET of `/meter` gives the longest such time since the last one, and the memory that the process has now. Time is
    the CPU's, of all threads: how long others kept this process from running says nothing about what it was asked.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._longest = 0.0
        self._ticking: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the server's own start and end."""
        if scope["type"] == "lifespan":
            self._ticking = asyncio.create_task(self._tick())
        if scope["type"] == "http" and scope["path"] == "/meter":
            await self._tell(send)
        else:
            await self._app(scope, receive, send)

    async def _tick(self) -> None:
        while True:
            before = process_time()
            await asyncio.sleep(_TICK)
            self._longest = max(self._longest, process_time() - before)

    async def _tell(self, send: Send) -> None:
        gc.collect(1)  # what it left, not what waits for the collector; the old is too much to look at each time
        body = orjson.dumps({"stall": self._longest, "resident": _resident()})
        self._longest = 0.0
        length = b"%d" % len(body)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
        await send({"type": "http.response.body", "body": body})


def _resident() -> int:
    """Bytes of memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Serve until SIGTERM."""
    settings = Settings.from_environ(os.environ)
    log.configure(settings.log_level, settings.log_format)
    listener = listen(settings, insecure=False)
    _log.info("listening", url=listener.url)
    serve(Metered(create_app(settings)), listener, settings)


if __name__ == "__main__":
    main()
