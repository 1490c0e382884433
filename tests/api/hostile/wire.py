"""A client that says anything, byte by byte, and reads what it is answered, over HTTP and on websockets."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from websockets.frames import Frame, Opcode

PATIENCE = 20.0  # seconds for an answer


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer; names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens."""

    port: int
    host: str = "127.0.0.1"

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Wire]:
        """A connection of its own."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            yield Wire(reader, writer)
        finally:
            writer.transport.abort()

    async def answers(self, request: bytes) -> Reply:
        """The first answer to what is sent on a connection of its own."""
        async with self.connected() as wire:
            return await wire.answers(request)


@dataclass(frozen=True, slots=True)
class Wire:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def answers(self, request: bytes) -> Reply:
        """Send a request; its answer may come before the last byte has left."""
        sending = asyncio.create_task(self.say(request))
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._reply()
        finally:
            sending.cancel()
            await asyncio.wait([sending])

    async def say(self, data: bytes) -> None:
        """Send as much as the server takes before it closes."""
        with suppress(ConnectionError):
            self.writer.write(data)
            await self.writer.drain()

    async def _reply(self) -> Reply:
        while (status_line := await self.reader.readline()) == b"HTTP/1.1 100 Continue\r\n":
            await self.reader.readline()
        if not status_line:
            raise ConnectionError("closed without an answer")
        headers: dict[str, str] = {}
        while line := (await self.reader.readline()).strip():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        length = int(headers.get("content-length", 0))
        return Reply(int(status_line.split()[1]), headers, await self.reader.readexactly(length))

    async def frame(self) -> Frame:
        """The next frame of a websocket, which comes whole."""
        async with asyncio.timeout(PATIENCE):
            first, length = await self.reader.readexactly(2)
            if length == 126:
                (length,) = struct.unpack("!H", await self.reader.readexactly(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", await self.reader.readexactly(8))
            return Frame(Opcode(first & 0x0F), await self.reader.readexactly(length))


def framed(opcode: Opcode, data: bytes = b"", *, fin: bool = True, masked: bool = True) -> bytes:
    """A frame as a client sends it."""
    return Frame(opcode, data, fin).serialize(mask=masked, extensions=[])
