"""The line between a server and its Postgres, as networks have them: slow, cut, refused, or silent."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from api.wanted import ended

_CHUNK = 65536  # bytes


class Line:
    """Passes connections to a port of this machine on to a Unix socket. Used within one event loop."""

    def __init__(self, to: Path) -> None:
        self.delay = 0.0  # seconds that each chunk takes on its way, in either direction
        self.port = 0
        self._to = to
        self._server: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()
        self._connections: set[asyncio.Task[None]] = set()
        self._passing = asyncio.Event()
        self._passing.set()

    async def listen(self) -> None:
        """Take connections, the second time at the same port."""
        taken = socket.create_server(("127.0.0.1", self.port))
        self.port = taken.getsockname()[1]
        self._server = await asyncio.start_server(self._begin, sock=taken)

    def refuse(self) -> None:
        """Take no more connections; those that are there stay."""
        if self._server:
            self._server.close()

    def cut(self) -> None:
        """Break all connections."""
        for end in self._ends:
            end.transport.abort()

    def hold(self) -> None:
        """Let nothing through from now on, and tell nobody."""
        self._passing.clear()

    async def mend(self) -> None:
        """Be as new. What was held comes late; what was cut stays cut."""
        self.delay = 0.0
        self._passing.set()
        if self._server and not self._server.is_serving():
            await self.listen()

    async def close(self) -> None:
        """Be gone."""
        self.refuse()
        self.cut()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(self._connect(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            onward_reader, onward_writer = await asyncio.open_unix_connection(str(self._to))
        except OSError:  # no Postgres
            writer.transport.abort()
            return
        ends = {writer, onward_writer}
        self._ends |= ends
        passing = [
            asyncio.create_task(each) for each in (self._pass(reader, onward_writer), self._pass(onward_reader, writer))
        ]
        try:
            await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.transport.abort()
            self._ends -= ends
            await ended(*passing)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hand on what comes, each chunk when it is due, until the end has been handed on."""
        loop = asyncio.get_running_loop()
        chunks: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def read() -> None:
            data = b"something"
            while data:
                with suppress(ConnectionError):
                    data = b""
                    data = await reader.read(_CHUNK)
                chunks.put_nowait((loop.time() + self.delay, data))

        reading = asyncio.create_task(read())
        try:
            while True:
                due, data = await chunks.get()
                await asyncio.sleep(due - loop.time())
                await self._passing.wait()
                if not data:
                    return
                writer.write(data)
                with suppress(ConnectionError):
                    await writer.drain()
        finally:
            await ended(reading)


@asynccontextmanager
async def line(to: Path) -> AsyncIterator[Line]:
    """A line that takes connections."""
    made = Line(to)
    await made.listen()
    try:
        yield made
    finally:
        await made.close()
