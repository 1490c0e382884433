"""A server, its Postgres, the line between them, and clients of all sorts."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from api.wanted import ended
from db import embedded
from db.embedded import EmbeddedPostgres
from tests.faults.line import Line, line
from tests.faults.served import Served, serving
from tests.ingesting import component
from tests.postgres import connected, database_at

# Short times, so that a test need not wait long; otherwise a server as it comes.
OPERATION_TIMEOUT, STATEMENT_TIMEOUT, POOL_TIMEOUT, POOL, GRACE = 2.5, 1.5, 0.5, 3, 4
HURRIED = {
    "CATALOGRAPH_OPERATION_TIMEOUT": str(OPERATION_TIMEOUT),
    "CATALOGRAPH_STATEMENT_TIMEOUT": str(STATEMENT_TIMEOUT),
    "CATALOGRAPH_POOL_TIMEOUT": str(POOL_TIMEOUT),
    "CATALOGRAPH_POOL_SIZE": str(POOL),
    "CATALOGRAPH_SHUTDOWN_TIMEOUT": str(GRACE),
}
# Instead, a server that would wait for a minute, and so would Postgres.
PATIENT = {f"CATALOGRAPH_{name}_TIMEOUT": "60" for name in ("OPERATION", "STATEMENT", "POOL")}
QUERY = "{ entities { totalCount } }"
_REGISTER = "mutation ($yaml: String!) { entityRegister(input: { yaml: $yaml }) { userErrors { message } } }"
_RUN = """mutation {
    left: sourceRun(input: { name: "left" }) { userErrors { message } }
    right: sourceRun(input: { name: "right" }) { userErrors { message } }
}"""
_FOLLOW = "subscription ($name: String) { entityChanges(filter: { name: { eq: $name } }) { eventKind } }"
_OURS = "pg_stat_activity WHERE datname = current_database() AND application_name = 'catalograph'"
_WAITING = f"SELECT count(*) FROM {_OURS} AND wait_event_type = 'Lock'"
_OF_RUNS = "LIKE 'SELECT DISTINCT entity.location %'"  # the first statement of a run that needs the table

Ask = Callable[[], Awaitable["Told"]]


class Told(NamedTuple):
    """What a client was told: a status, a code or a word, and after how many seconds to try again."""

    status: int
    code: str | None = None
    retry_after: str | None = None


FINE = Told(200)
UNAVAILABLE = Told(503, "UNAVAILABLE", "1")
TIMEOUT = Told(504, "TIMEOUT")


class World:
    """What a test of faults needs."""

    def __init__(self, postgres: EmbeddedPostgres, url: str, line: Line, served: Served) -> None:
        self.url = url  # of its database, straight to Postgres
        self.line, self.served = line, served
        self._postgres = postgres
        self._client = httpx2.AsyncClient(base_url=served.url, timeout=60, trust_env=False)
        self._sent = 0

    async def close(self) -> None:
        """Let go of the server."""
        await self._client.aclose()

    async def query(self) -> Told:
        """Ask for something from a table."""
        return await self._post({"query": QUERY})

    async def register(self, name: str) -> Told:
        """Add an entity of this name."""
        return await self._post({"query": _REGISTER, "variables": {"yaml": component(name)}})

    async def run_sources(self) -> Told:
        """Have both sources read now."""
        return await self._post({"query": _RUN})

    async def probe(self, path: str) -> Told:
        """Ask for `/healthz` or `/readyz`."""
        answer = await self._client.get(path)
        body = answer.json()
        return Told(answer.status_code, body.get("database") if answer.status_code != FINE.status else None)

    async def ready(self) -> Told:
        """Ask whether the server can answer."""
        return await self.probe("/readyz")

    async def _post(self, body: dict[str, Any]) -> Told:
        answer = await self._client.post(
            "/graphql",
            json=body,
            headers={"accept": "application/graphql-response+json"},
            extensions={"trace": self._note},
        )
        errors = answer.json().get("errors")
        code = errors[0]["extensions"]["code"] if errors else None
        return Told(answer.status_code, code, answer.headers.get("retry-after"))

    async def _note(self, event: str, _: object) -> None:
        self._sent += event == "http11.send_request_body.complete"

    async def begun(self, *asks: Coroutine[Any, Any, Told]) -> list[asyncio.Task[Told]]:
        """Questions that the server has received."""
        expected = self._sent + len(asks)
        asking = [asyncio.create_task(ask) for ask in asks]
        async with asyncio.timeout(10):
            while self._sent < expected:
                await asyncio.sleep(0.01)
        await self.probe("/healthz")  # it has read what was sent before
        return asking

    async def tells(self, told: Told, ask: Ask) -> bool:
        """Whether that is what is told now."""
        return await ask() == told

    async def has_statements(self, count: int) -> bool:
        """Whether so many statements wait for a lock, of those that clients asked for."""
        async with connected(self.url) as observer:
            return bool(await observer.fetchval(f"{_WAITING} AND query NOT {_OF_RUNS}") == count)

    async def has_runs(self, count: int) -> bool:
        """Whether so many runs of sources wait for a lock."""
        async with connected(self.url) as observer:
            return bool(await observer.fetchval(f"{_WAITING} AND query {_OF_RUNS}") == count)

    async def has_read(self, since: int = 0) -> bool:
        """Whether both sources were read, by what is in the log after so many lines."""
        read = {line["source"] for line in self.served.lines()[since:] if line["event"] == "source read"}
        return read == {"left", "right"}

    async def connections(self) -> set[int]:
        """The processes of Postgres that serve the server."""
        async with connected(self.url) as observer:
            return {pid for (pid,) in await observer.fetch(f"SELECT pid FROM {_OURS}")}

    @asynccontextmanager
    async def locked(self, *tables: str) -> AsyncIterator[None]:
        """Whoever reads these tables waits meanwhile, as for a slow disk."""
        async with connected(self.url) as locking, locking.transaction():
            await locking.execute(f"LOCK TABLE {', '.join(tables)}")
            yield

    def restart(self) -> None:
        """Let Postgres end at once, as an operator does it; it is started again soon."""
        os.kill(int((self._postgres.data / "postmaster.pid").read_text().split()[0]), signal.SIGINT)

    def warned(self, start: int) -> Counter[str]:
        """How often it was warned of what, since the log had so many lines; no line has a traceback."""
        lines = [line for line in self.served.lines()[start:] if line["level"] not in {"debug", "info"}]
        assert [line for line in lines if "exception" in line] == []
        return Counter(line["event"] for line in lines)


class Follower:
    """One who follows the entity of a name, by either way."""

    def __init__(self) -> None:
        self.heard: list[str] = []  # kinds of events
        self.end: object = None

    def hear(self, answer: dict[str, Any]) -> None:
        """Note an event."""
        self.heard.append(answer["data"]["entityChanges"]["eventKind"])

    async def has_heard(self, *kinds: str) -> bool:
        """Whether that is all, so far."""
        return self.heard == [*kinds]


@asynccontextmanager
async def by_socket(served: Served, name: str) -> AsyncIterator[Follower]:
    """One who follows on a websocket; its end is the close code."""
    follower = Follower()

    async def listen(socket: Any) -> None:
        try:
            async for text in socket:
                message = json.loads(text)
                assert message["type"] in {"next", "complete"}, message
                if message["type"] == "next":
                    follower.hear(message["payload"])
        except ConnectionClosed:
            pass
        follower.end = socket.close_code

    protocols: Sequence[Any] = ["graphql-transport-ws"]
    address = f"ws://127.0.0.1:{served.port}/graphql"
    async with connect(address, subprotocols=protocols, compression=None, ping_interval=None) as socket:
        await socket.send('{"type": "connection_init"}')
        await socket.recv()
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": _following(name)}))
        listening = asyncio.create_task(listen(socket))
        try:
            yield follower
        finally:
            await ended(listening)


@asynccontextmanager
async def by_events(served: Served, name: str) -> AsyncIterator[Follower]:
    """One who follows by server-sent events; its end is the name of the last event."""
    follower = Follower()

    async def listen(lines: AsyncIterator[str]) -> None:
        async for text in lines:
            name, _, value = text.partition(": ")
            if name == "event":
                follower.end = value
            elif name == "data":
                follower.hear(json.loads(value))

    headers = {"accept": "text/event-stream"}
    async with (
        httpx2.AsyncClient(base_url=served.url, timeout=None, trust_env=False) as client,
        client.stream("POST", "/graphql", json=_following(name), headers=headers) as answer,
    ):
        listening = asyncio.create_task(listen(answer.aiter_lines()))
        try:
            yield follower
        finally:
            await ended(listening)


@asynccontextmanager
async def followed(served: Served, name: str) -> AsyncIterator[tuple[Follower, Follower]]:
    """Two who follow, one by either way, and have heard what was there."""
    async with by_socket(served, name) as one, by_events(served, name) as other:
        for follower in (one, other):
            await until(5, partial(follower.has_heard, "SYNCED"))
        yield one, other


def _following(name: str) -> dict[str, Any]:
    return {"query": _FOLLOW, "variables": {"name": name}}


async def until(seconds: float, true: Callable[[], Awaitable[bool]]) -> float:
    """Wait until something is true, which is an error after so many seconds; how long it took."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with asyncio.timeout(seconds):
        while not await true():
            await asyncio.sleep(0.02)
    return loop.time() - started


@contextmanager
def own_postgres() -> Iterator[EmbeddedPostgres]:
    """A Postgres that nobody else uses; root's cannot enter the folders that pytest makes."""
    folder = Path(tempfile.mkdtemp(prefix="catalograph-faults-"))
    folder.chmod(0o755)
    try:
        with embedded.running(folder, fsync=False) as postgres:
            yield postgres
    finally:
        shutil.rmtree(folder)


@asynccontextmanager
async def world_of(postgres: EmbeddedPostgres, folder: Path, **variables: str) -> AsyncIterator[World]:
    """A server on this Postgres, which reads two sources again and again; it is ready."""
    sources = folder / "sources.yaml"
    lines = [f"  - {{folder: {name}, name: {name}, every: 1s}}\n" for name in ("left", "right")]
    sources.write_text("sources:\n" + "".join(lines))
    for name in ("left", "right"):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "catalog-info.yaml").write_text(component(f"{name}-hand"))
    name = f"world_{os.urandom(4).hex()}"
    async with connected(postgres.dsn) as server:
        await server.execute(f"CREATE DATABASE {name}")
    async with line(postgres.socket) as between:
        url = f"postgresql://catalograph@127.0.0.1:{between.port}/{name}"
        given = {**HURRIED, "DATABASE_URL": url, "CATALOGRAPH_SOURCES": str(sources), **variables}
        async with serving(folder / "log", **given) as served:
            world = World(postgres, database_at(postgres.dsn, name), between, served)
            await until(30, lambda: world.tells(FINE, world.ready))
            await until(30, world.has_read)
            yield world
            await world.close()
