"""The clients: a process that makes the same requests again and again, over connections that stay open.

It reads orders from its standard input, a line each, and answers with a line. It is cheap: bytes go out as they were
made once, and of an answer only its success is looked at.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from time import perf_counter
from typing import Any

import orjson
import uvloop

# What clients of GraphQL commonly send.
_HEAD = (
    "POST /graphql HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
    "Accept: application/graphql-response+json,application/json;q=0.9\r\n{more}Content-Length: {length}\r\n\r\n"
)
_LONGEST_RESULT = 100_000_000  # bytes


@dataclass(frozen=True, slots=True)
class Order:
    """Make these requests in rounds, over so many connections, for so many seconds and until the round is complete."""

    host: str
    port: int
    bodies: list[str]
    connections: int
    seconds: float
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Slice:
    """What came of an order: the seconds that it took, and those of each request."""

    seconds: float
    latencies: list[float]


class Client:
    """The process, seen from outside."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def carry_out(self, order: Order) -> Slice:
        """Have an order carried out. An answer that is not 200, or has errors, is a RuntimeError."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(orjson.dumps(order) + b"\n")
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("the clients have ended; why stands on stderr")
        return Slice(**orjson.loads(line))


@asynccontextmanager
async def client() -> AsyncIterator[Client]:
    """Clients for as long as the block runs."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.client"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LONGEST_RESULT,
    )
    try:
        yield Client(process)
    finally:
        assert process.stdin
        process.stdin.close()
        await process.wait()


def rounds(requests: Sequence[bytes], end: float) -> Iterator[bytes]:
    """The requests again and again; a round that has begun is completed, so that each was made equally often."""
    for done in count():
        if done and perf_counter() >= end:
            return
        yield from requests


class _Connection(asyncio.Protocol):
    """One connection, with one request at a time. Its answers have a Content-Length."""

    def __init__(self) -> None:
        self._transport: Any = None
        self._received = bytearray()
        self._missing: int | None = None  # bytes of the answer, once its head is there
        self._answer: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError())

    def close(self) -> None:
        self._transport.close()

    def ask(self, request: bytes) -> asyncio.Future[bytes]:
        """The whole answer to a request, its head included."""
        self._received.clear()
        self._missing = None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        received = self._received
        received += data
        if self._missing is None:
            if (end := received.find(b"\r\n\r\n")) < 0:
                return
            head = bytes(received[:end]).lower()
            self._missing = end + 4 + int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        if self._answer and len(received) >= self._missing:
            self._answer.set_result(bytes(received))


async def _carry_out(order: Order) -> Slice:
    """Raises RuntimeError for an answer that is no success."""
    loop = asyncio.get_running_loop()
    requests = [_request(order, body.encode()) for body in order.bodies]
    connections = [
        (await loop.create_connection(_Connection, order.host, order.port))[1] for _ in range(order.connections)
    ]
    latencies: list[float] = []
    started = perf_counter()
    in_rounds = rounds(requests, started + order.seconds)
    await asyncio.gather(*(_make(in_rounds, connection, latencies) for connection in connections))
    seconds = perf_counter() - started
    for connection in connections:
        connection.close()
    return Slice(seconds, latencies)


def _request(order: Order, body: bytes) -> bytes:
    more = "".join(f"{name}: {value}\r\n" for name, value in order.headers.items())
    return _HEAD.format(host=order.host, port=order.port, more=more, length=len(body)).encode() + body


async def _make(requests: Iterator[bytes], connection: _Connection, latencies: list[float]) -> None:
    for request in requests:
        asked = perf_counter()
        answer = await connection.ask(request)
        latencies.append(perf_counter() - asked)
        if not answer.startswith(b"HTTP/1.1 200 ") or b'"errors":' in answer:
            raise RuntimeError(answer[:2000].decode())


def _serve_orders() -> None:
    for line in sys.stdin.buffer:
        done = uvloop.run(_carry_out(Order(**orjson.loads(line))))
        sys.stdout.buffer.write(orjson.dumps(done) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    _serve_orders()
