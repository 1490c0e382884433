"""The processes that are measured: a server, and all of Postgres. Linux only."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg

_PATIENCE = 60.0  # seconds for a server to start, or to end
_TICKS = os.sysconf("SC_CLK_TCK")  # a second


@dataclass(frozen=True, slots=True)
class Server:
    """An HTTP server that listens on loopback, what it has said, and the token that it asks for."""

    pid: int
    port: int
    log: Path
    token: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """What a request has to say of its sender."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


@asynccontextmanager
async def serving(
    command: Sequence[str], environ: Mapping[str, str], log: Path, *, token: str | None = None
) -> AsyncIterator[Server]:
    """A server for as long as the block runs. `command` must say, on stderr, the URL that it listens on."""
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command, env={**os.environ, **environ}, stdout=asyncio.subprocess.DEVNULL, stderr=output
        )
    try:
        async with asyncio.timeout(_PATIENCE):
            while (port := _port(log)) is None:
                if process.returncode is not None:
                    raise RuntimeError(f"{command} has ended; it said:\n{_said(log)}")
                await asyncio.sleep(0.05)
        yield Server(process.pid, port, log, token)
    finally:
        await _end(process)


def _port(log: Path) -> int | None:
    found = re.search(r"http://127\.0\.0\.1:(\d+)", _said(log))
    return int(found[1]) if found else None


def _said(log: Path) -> str:
    return log.read_text()


async def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_PATIENCE):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise


async def postmaster_of(connection: asyncpg.Connection) -> int:
    """The process that has started all others of a Postgres on this machine."""
    return int(_stat(await connection.fetchval("SELECT pg_backend_pid()"))[1])


def cpu_seconds(pid: int) -> float:
    """The CPU time so far of a process and those that it has started; of ended ones to the kernel's tick only."""
    return _own_seconds(pid) + _ended_children(pid) + sum(_living_children(pid))


def _own_seconds(pid: int) -> float:
    # clock_getcpuclockid(3), which Python lacks: the number of a process's clock is made of its own, inverted.
    return time.clock_gettime((~pid << 3) | 2)


def _living_children(pid: int) -> Iterator[float]:
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with suppress(OSError):  # it has ended meanwhile
            yield _own_seconds(int(child))


def _ended_children(pid: int) -> float:
    user, system = _stat(pid)[13:15]
    return (int(user) + int(system)) / _TICKS


def _stat(pid: int) -> list[str]:
    """The fields of proc_pid_stat(5) from the third on; before them is the program's name, which may hold spaces."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
