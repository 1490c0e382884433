"""Followers: how late they hear of a change, and what they cost, with one among them that never reads.

Two servers on one Postgres: entities are registered through the one, and followed through the other. Linux only.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from time import perf_counter
from typing import Any

import httpx2
import orjson
from websockets.asyncio.client import ClientConnection, connect

from tests.bench.processes import Server, cpu_seconds, serving
from tests.bench.queries import SERVE

_EVENTS = """
    subscription ($filter: EntityFilter) {
        entityChanges(filter: $filter) { eventKind cursor nodeId entity { name title lifecycle } }
    }
"""
_REGISTER = "mutation ($input: EntityRegisterInput!) { entityRegister(input: $input) { userErrors { message } } }"
_TEXT = "It is said of it that it does what it was made for, and of those who made it that they know why. " * 200


@dataclass(frozen=True, slots=True)
class Following:
    """What it is to be followed by so many at once."""

    subscribers: int
    deaf: int  # of them, that never read
    matching: int  # of them, that are told of each change
    changes: int
    told_p50_ms: float  # from the answer of the mutation to the event, of all who are told
    told_p99_ms: float
    told_last_ms: float
    server_cpu_ms: float  # for each change, of the server that is followed
    resident_mb: float  # of that server
    resident_mb_per_subscriber: float


@dataclass(slots=True)
class _Crowd:
    """Sockets that follow, and when each has heard of what."""

    heard: dict[str, list[float]] = field(default_factory=dict)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self, socket: ClientConnection) -> None:
        async for message in socket:
            now = perf_counter()
            if (told := orjson.loads(message))["type"] == "error":
                raise RuntimeError(told)
            payload = told.get("payload")
            entity = payload["data"]["entityChanges"]["entity"] if payload else None
            if entity:
                self.heard.setdefault(entity["name"], []).append(now)
                self.arrived.set()

    async def until(self, name: str, count: int) -> None:
        async with asyncio.timeout(60):
            while len(self.heard.get(name, ())) < count:
                self.arrived.clear()
                await self.arrived.wait()


@asynccontextmanager
async def pair(url: str, logs: Path) -> AsyncIterator[tuple[Server, Server]]:
    """Two servers on one database."""
    environ = {"DATABASE_URL": url}
    async with serving(SERVE, environ, logs / "first") as first, serving(SERVE, environ, logs / "second") as second:
        yield first, second


async def followed(
    servers: tuple[Server, Server], *, subscribers: int, deaf: int, matching: int, changes: int
) -> Following:
    """Register entities through the first server, one after the other, while the second one is followed."""
    writing, followed_ = servers
    empty = resident_mb(followed_.pid)
    crowd = _Crowd()
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(httpx2.AsyncClient(base_url=f"http://127.0.0.1:{writing.port}"))
        listeners = []
        for n in range(subscribers):
            socket = await stack.enter_async_context(_socket(followed_.port))
            wanted = {"tag": {"eq": "followed"}} if n < matching else {"ownedBy": f"squad-{n}"}
            await _subscribe(socket, wanted)
            if n >= deaf:
                listeners.append(asyncio.create_task(crowd.listen(socket)))
        await asyncio.sleep(1)  # all have had SYNCED
        before, latencies = cpu_seconds(followed_.pid), []
        for n in range(changes):
            name = f"followed-{subscribers}-{deaf}-{n}"
            await _register(client, name)
            written = perf_counter()
            await crowd.until(name, matching - min(deaf, matching))
            latencies += [1000 * (at - written) for at in crowd.heard[name]]
        spent = cpu_seconds(followed_.pid) - before
        resident = resident_mb(followed_.pid)
        for listener in listeners:
            listener.cancel()
        await asyncio.gather(*listeners, return_exceptions=True)
    hundredths = quantiles(latencies, n=100)
    return Following(
        subscribers=subscribers,
        deaf=deaf,
        matching=matching,
        changes=changes,
        told_p50_ms=round(hundredths[49], 1),
        told_p99_ms=round(hundredths[98], 1),
        told_last_ms=round(max(latencies), 1),
        server_cpu_ms=round(1000 * spent / changes, 1),
        resident_mb=round(resident),
        resident_mb_per_subscriber=round((resident - empty) / subscribers, 3),
    )


def resident_mb(pid: int) -> float:
    """How much memory a process has, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1000


def _socket(port: int) -> connect:
    # A deaf one still answers pings, as a browser does whose page does not read.
    return connect(
        f"ws://127.0.0.1:{port}/graphql", subprotocols=_PROTOCOLS, max_queue=4, compression=None, ping_interval=None
    )


_PROTOCOLS: Sequence[Any] = ["graphql-transport-ws"]


async def _subscribe(socket: ClientConnection, wanted: dict[str, Any]) -> None:
    await socket.send('{"type":"connection_init"}')
    await socket.recv()
    payload = {"query": _EVENTS, "variables": {"filter": wanted}}
    await socket.send(orjson.dumps({"id": "1", "type": "subscribe", "payload": payload}).decode())


async def _register(client: httpx2.AsyncClient, name: str) -> None:
    entity = {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Component",
        "metadata": {"name": name, "title": _TEXT, "tags": ["followed"]},
        "spec": {"type": "service", "lifecycle": "production", "owner": "squad-none"},
    }
    body = {"query": _REGISTER, "variables": {"input": {"entity": entity}}}
    answer = (await client.post("/graphql", json=body)).json()
    if answer.get("errors") or answer["data"]["entityRegister"]["userErrors"]:
        raise RuntimeError(answer)
