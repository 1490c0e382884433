"""What the queries of a portal cost, against hand-written SQL.

Two servers run on one database: the project as its users start it, and the limit. Each operation is asked of both in
turns of a second or two, so that whatever else the machine does falls on both alike; a figure is the median of all
turns. Before that, each answer of the one must be equal to the other's.
"""

from __future__ import annotations

import asyncio
import difflib
import os
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median, quantiles
from typing import Any
from uuid import uuid4

import asyncpg
import orjson

from tests.bench.client import Client, Order, Slice, client
from tests.bench.landscape import Landscape
from tests.bench.operations import Operation, Variables
from tests.bench.processes import Server, cpu_seconds, postmaster_of, serving
from tests.bench.requests import Requester, answer, body

CATALOGRAPH = (str(Path(sys.executable).with_name("catalograph")),)
SERVE = (*CATALOGRAPH, "serve", "--port", "0")
TURN = 1.5  # seconds, at least
WARMING = 1.5  # seconds before the first turn: by then Postgres has settled on its plans, on every connection

_DIFFERENCES = 40  # lines of the difference between two answers that are shown


@dataclass(frozen=True, slots=True)
class Cost:
    """What one request costs; CPU is that of the server, and of all processes of Postgres."""

    query: str
    concurrency: int
    server_cpu_ms: float
    postgres_cpu_ms: float
    ratio: float  # of both together, to the limit's
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    statements: int | None  # at most; None where the log does not say
    limit_server_cpu_ms: float
    limit_postgres_cpu_ms: float


class DifferentError(Exception):
    """The limit's answer is not the project's."""

    def __init__(self, operation: Operation, variables: Variables, project: Any, limit: Any) -> None:
        difference = difflib.unified_diff(_lines(project), _lines(limit), "the project", "the limit", lineterm="")
        super().__init__("\n".join((f"{operation.name} {variables}", *islice(difference, _DIFFERENCES))))


@dataclass(frozen=True, slots=True)
class Rivals:
    """The project and the limit, on one database, and who asks them."""

    project: Server
    limit: Server
    postmaster: int
    requester: Requester
    client: Client

    async def costs(
        self, operation: Operation, landscape: Landscape, concurrencies: Sequence[int], seconds: float
    ) -> AsyncIterator[Cost]:
        """What a request costs where so many are made at once; each server is measured for so many seconds.

        Raises DifferentError.
        """
        requests = await self.requester.requests(operation, landscape)
        for variables in requests:
            self._compare(operation, variables)
        bodies = [body(operation, variables).decode() for variables in requests]
        for concurrency in concurrencies:
            said = self.project.log.stat().st_size
            project, limit = await self._turns(bodies, concurrency, seconds)
            statements = _statements(self.project.log, said, operation.name)
            yield _cost(operation.name, concurrency, project, limit, statements)

    def _compare(self, operation: Operation, variables: Variables) -> None:
        project, limit = (answer(server, operation, variables) for server in (self.project, self.limit))
        if orjson.dumps(project) != orjson.dumps(limit):  # the order of fields counts
            raise DifferentError(operation, variables, project, limit)

    async def _turns(self, bodies: list[str], concurrency: int, seconds: float) -> tuple[list[_Turn], list[_Turn]]:
        number = max(1, int(seconds / TURN))
        turns: tuple[list[_Turn], list[_Turn]] = [], []
        for server in (self.project, self.limit):
            await self._turn(server, bodies, concurrency, min(WARMING, seconds))
        for _ in range(number):
            for server, made in zip((self.project, self.limit), turns, strict=True):
                made.append(await self._turn(server, bodies, concurrency, seconds / number))
        return turns

    async def _turn(self, server: Server, bodies: list[str], concurrency: int, seconds: float) -> _Turn:
        pids = server.pid, self.postmaster
        before = [cpu_seconds(pid) for pid in pids]
        made = await self.client.carry_out(
            Order("127.0.0.1", server.port, bodies, concurrency, seconds, server.headers)
        )
        cpu = [(cpu_seconds(pid) - earlier) for pid, earlier in zip(pids, before, strict=True)]
        return _Turn(made, *(one * 1000 / len(made.latencies) for one in cpu))


@dataclass(frozen=True, slots=True)
class _Turn:
    """What came of one turn, with the milliseconds of CPU that a request took."""

    made: Slice
    server_cpu: float
    postgres_cpu: float

    @property
    def requests_per_second(self) -> float:
        return len(self.made.latencies) / self.made.seconds


@asynccontextmanager
async def rivals(url: str, logs: Path, *, guards: bool = False) -> AsyncIterator[Rivals]:
    """Both servers on the database at `url`; what they say goes into this folder.

    With `guards` the limit is the project as it is without them, and the project asks for a token and counts requests.
    """
    environ = {"DATABASE_URL": url}
    connection = await asyncpg.connect(url)
    guarded = {**environ, "CATALOGRAPH_ANONYMOUS_SCOPES": "none", "CATALOGRAPH_RATE_LIMIT": "1000000000"}
    token = await _token(environ) if guards else None
    limit_command = SERVE if guards else (sys.executable, "-m", "tests.bench.limit")
    try:
        async with (
            serving(SERVE, guarded if guards else environ, logs / "project.log", token=token) as project,
            serving(limit_command, environ, logs / "limit.log") as limit,
            client() as asking,
        ):
            yield Rivals(project, limit, await postmaster_of(connection), Requester(project, connection), asking)
    finally:
        await connection.close()


async def _token(environ: Mapping[str, str]) -> str:
    """A new token for reading."""
    command = (*CATALOGRAPH, "token", "create", "--name", f"bench-{uuid4().hex[:8]}", "--scope", "catalog:read")
    process = await asyncio.create_subprocess_exec(
        *command, env={**os.environ, **environ}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    said, _ = await process.communicate()
    return said.decode().strip()


def _cost(
    query: str, concurrency: int, project: Sequence[_Turn], limit: Sequence[_Turn], statements: int | None
) -> Cost:
    server, postgres = _cpu(project)
    limit_server, limit_postgres = _cpu(limit)
    latencies = [latency * 1000 for turn in project for latency in turn.made.latencies]
    return Cost(
        query=query,
        concurrency=concurrency,
        server_cpu_ms=server,
        postgres_cpu_ms=postgres,
        ratio=round((server + postgres) / (limit_server + limit_postgres), 2),
        requests_per_second=round(median(turn.requests_per_second for turn in project), 1),
        p50_ms=round(median(latencies), 2),
        p99_ms=round(quantiles(latencies, n=100, method="inclusive")[-1], 2),
        statements=statements,
        limit_server_cpu_ms=limit_server,
        limit_postgres_cpu_ms=limit_postgres,
    )


def _cpu(turns: Sequence[_Turn]) -> tuple[float, float]:
    server, postgres = zip(*((turn.server_cpu, turn.postgres_cpu) for turn in turns), strict=True)
    return round(median(server), 3), round(median(postgres), 3)


def _lines(answer: Any) -> list[str]:
    return orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode().splitlines()


def _statements(log: Path, start: int, operation: str) -> int | None:
    """The most SQL statements that one request took, by the lines from byte `start` on."""
    lines = (line for line in _log_lines(log, start) if line.get("operation") == operation)
    return max((line["statements"] for line in lines if line.get("statements") is not None), default=None)


def _log_lines(log: Path, start: int) -> Iterator[dict[str, Any]]:
    with log.open("rb") as lines:
        lines.seek(start)
        yield from (orjson.loads(line) for line in lines if line.startswith(b"{"))
