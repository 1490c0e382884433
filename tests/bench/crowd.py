"""What those who ask normally notice of a crowd: idle subscriptions, slow readers, and connections that say half a word.

The crowd is a process of its own, `python -m tests.bench.crowd`, which is told on its standard input whom to crowd, says
`ready` when it is there, and stays until that input ends. Linux only.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from itertools import chain, cycle
from pathlib import Path
from statistics import quantiles
from time import perf_counter
from typing import Any

import httpx2
import orjson
from websockets.asyncio.client import connect

from tests.bench.landscape import Landscape
from tests.bench.operations import FIVE
from tests.bench.processes import Server, cpu_seconds, serving
from tests.bench.queries import SERVE
from tests.bench.requests import Requester, body
from tests.postgres import connected

_MIX = FIVE[:4]  # the fifth is a tree of thousands of nodes
_SETTLING = 2.0  # seconds after the crowd has come, or has gone
_AT_ONCE = 50  # of the crowd, that connect
_SIP = 1024  # bytes that a slow reader takes each second
_FOLLOW = "subscription ($squad: EntityRef!) { entityChanges(filter: {ownedBy: $squad}) { eventKind entity { name } } }"
_LONG = "{ components(first: 100) { nodes { ref description metadata spec relations { nodes { type targetRef } } } } }"


@dataclass(frozen=True, slots=True)
class Crowd:
    """How many there are of each sort."""

    subscriptions: int = 1000
    slow_readers: int = 50
    half_open: int = 200


@dataclass(slots=True)
class Asked:
    """What came of requests that were made at a fixed rate, whether those before were answered or not, in turns."""

    crowd: Crowd | None
    turns: list[list[float]] = field(default_factory=list)  # of each request, the milliseconds since it was due
    server_cpu: list[float] = field(default_factory=list)  # cores, in each turn
    crowd_cpu: list[float] = field(default_factory=list)

    def percentile(self, percent: int) -> float:
        """Of all turns, in milliseconds."""
        return _percentile([one for turn in self.turns for one in turn], percent)

    def percentiles(self, percent: int) -> list[float]:
        """Of each turn."""
        return [_percentile(turn, percent) for turn in self.turns]


def _percentile(latencies: Sequence[float], percent: int) -> float:
    return round(quantiles(latencies, n=100, method="inclusive")[percent - 1], 1)


async def measured(
    url: str, landscape: Landscape, crowd: Crowd, *, rate: float, seconds: float, rounds: int, logs: Path
) -> tuple[Asked, Asked]:
    """Requests alone and in a crowd, turn by turn, so that what else the machine does disturbs both alike."""
    alone, among = Asked(None), Asked(crowd)
    async with serving(SERVE, {"DATABASE_URL": url}, logs / "server.log") as server, connected(url) as connection:
        requester = Requester(server, connection)
        bodies = [
            [body(operation, drawn) for drawn in await requester.requests(operation, landscape)] for operation in _MIX
        ]
        mix = chain.from_iterable(zip(*map(cycle, bodies), strict=True))
        address = f"http://127.0.0.1:{server.port}"
        async with httpx2.AsyncClient(base_url=address, timeout=60, trust_env=False) as client:
            await _ask(client, mix, rate=rate, seconds=_SETTLING, asked=Asked(None), server=server)
            for _ in range(rounds):
                await asyncio.sleep(_SETTLING)
                await _ask(client, mix, rate=rate, seconds=seconds, asked=alone, server=server)
                async with crowded(server, crowd) as process:
                    await asyncio.sleep(_SETTLING)
                    before = cpu_seconds(process)
                    await _ask(client, mix, rate=rate, seconds=seconds, asked=among, server=server)
                    among.crowd_cpu.append((cpu_seconds(process) - before) / seconds)
    return alone, among


async def _ask(
    client: httpx2.AsyncClient, mix: Iterator[bytes], *, rate: float, seconds: float, asked: Asked, server: Server
) -> None:
    """One turn. An answer that is no success is a RuntimeError."""
    started, before = perf_counter(), cpu_seconds(server.pid)
    latencies: list[float] = []

    async def ask(due: float, content: bytes) -> None:
        await asyncio.sleep(due - perf_counter())
        answer = await client.post("/graphql", content=content, headers={"content-type": "application/json"})
        latencies.append(1000 * (perf_counter() - due))
        if answer.status_code != httpx2.codes.OK or b'"errors":' in answer.content:
            raise RuntimeError(answer.text[:2000])

    async with asyncio.TaskGroup() as tasks:
        for n in range(round(rate * seconds)):
            tasks.create_task(ask(started + n / rate, next(mix)))
    asked.turns.append(latencies)
    asked.server_cpu.append((cpu_seconds(server.pid) - before) / (perf_counter() - started))


@asynccontextmanager
async def crowded(server: Server, crowd: Crowd) -> AsyncIterator[int]:
    """A crowd around a server, all of it there; its process."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.crowd"), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin
    assert process.stdout
    try:
        process.stdin.write(orjson.dumps({"port": server.port, **asdict(crowd)}) + b"\n")
        if await process.stdout.readline() != b"ready\n":
            raise RuntimeError("the crowd has left; why stands on stderr")
        yield process.pid
    finally:
        process.stdin.close()
        await process.wait()


# From here on: the crowd.


class _Gathering:
    """Those who come to a server, and how many of them are there."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._door = asyncio.Semaphore(_AT_ONCE)
        self._there = 0

    async def be(self, crowd: Crowd) -> None:
        """Come, say so, and stay until the standard input ends. Raises what keeps one of them away."""
        everyone = (
            *(self._follow(n) for n in range(crowd.subscriptions)),
            *(self._sip() for _ in range(crowd.slow_readers)),
            *(self._begin() for _ in range(crowd.half_open)),
        )
        async with asyncio.TaskGroup() as tasks:
            started = [tasks.create_task(one) for one in everyone]
            while self._there < len(started):
                await asyncio.sleep(0.05)
            print("ready", flush=True)  # noqa: T201 - to whoever has started this
            await asyncio.to_thread(sys.stdin.buffer.read)
            for one in started:
                one.cancel()

    async def _follow(self, n: int) -> None:
        protocols: Sequence[Any] = ["graphql-transport-ws"]
        payload = {"query": _FOLLOW, "variables": {"squad": f"group:default/nobody-{n}"}}
        address = f"ws://127.0.0.1:{self._port}/graphql"
        async with self._door:
            ws = await connect(address, subprotocols=protocols, compression=None, ping_interval=None)
            await ws.send('{"type":"connection_init"}')
            await ws.recv()
            await ws.send(orjson.dumps({"id": "1", "type": "subscribe", "payload": payload}).decode())
            if b"SYNCED" not in await ws.recv(decode=False):
                raise RuntimeError("a follower was told something else")
        self._there += 1
        await ws.wait_closed()
        raise RuntimeError("a follower was turned away")

    async def _sip(self) -> None:
        """Ask for a long answer, take it by the kilobyte, and ask again."""
        loop = asyncio.get_running_loop()
        content = orjson.dumps({"query": _LONG})
        with socket.socket() as connection:
            connection.setblocking(False)  # noqa: FBT003 - the socket's own
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await loop.sock_connect(connection, ("127.0.0.1", self._port))
            head = b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            request = b"%bContent-Length: %d\r\n\r\n%b" % (head, len(content), content)
            while True:
                await loop.sock_sendall(connection, request)
                answer = await loop.sock_recv(connection, _SIP)
                if not answer.startswith(b"HTTP/1.1 200 "):
                    raise RuntimeError(answer.decode())
                self._there += 1
                missing = int(answer.lower().split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0])
                missing -= len(answer.split(b"\r\n\r\n", 1)[1])
                while missing:
                    await asyncio.sleep(1)
                    taken = await loop.sock_recv(connection, min(_SIP, missing))
                    if not taken:
                        raise RuntimeError("a slow reader was cut off")
                    missing -= len(taken)

    async def _begin(self) -> None:
        """Say half a request, and no more; when the server has had enough of that, again."""
        came = False
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            writer.write(b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Le")
            self._there += not came
            came = True
            with suppress(ConnectionError):
                await reader.read()
            writer.close()


def _main() -> None:
    told = orjson.loads(sys.stdin.buffer.readline())
    asyncio.run(_Gathering(told.pop("port")).be(Crowd(**told)))


if __name__ == "__main__":
    _main()
