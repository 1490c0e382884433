"""Where a server's time goes: its stack is looked at every millisecond, and has used the CPU time since the last look.

Run as a program, this is the server with the look-out inside: `python -m tests.bench.profiling FILE serve ...`. It
looks from SIGUSR1 on, and writes to FILE when the server ends. What C code takes, of the driver or of the event loop,
counts for the Python function that called it or, where none did, for the one that runs next.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import process_time
from types import CodeType, FrameType
from typing import Any

import asyncpg
import orjson

from api.cli import main as catalograph
from tests.bench.client import Order, client
from tests.bench.landscape import Landscape
from tests.bench.operations import Operation
from tests.bench.processes import serving
from tests.bench.requests import Requester, body

_INTERVAL = 0.001  # seconds; a timer of CPU time would be as coarse as the kernel's tick
_WARMING = 1.5  # seconds

Stack = tuple[str, ...]  # functions as `file:name`, the innermost first


@dataclass(frozen=True, slots=True)
class Profile:
    """The seconds of CPU time that each stack used while so many requests were answered."""

    used: list[tuple[Stack, float]]
    requests: int

    def functions(self) -> list[dict[str, Any]]:
        """The time of each function, alone and with all that it calls, in µs a request; the dearest first."""
        return self._times("function", str)

    def files(self) -> list[dict[str, Any]]:
        """The time of the functions of each file."""
        return self._times("file", lambda function: function.rpartition(":")[0])

    def _times(self, what: str, part_of: Callable[[str], str]) -> list[dict[str, Any]]:
        alone, together = defaultdict[str, float](float), defaultdict[str, float](float)
        for stack, seconds in self.used:
            parts = [*map(part_of, stack)]
            a_request = seconds * 1e6 / self.requests
            alone[parts[0]] += a_request
            for part in set(parts):
                together[part] += a_request
        return [
            {what: part, "alone": round(alone[part], 1), "together": round(together[part], 1)}
            for part in sorted(together, key=lambda part: (alone[part], together[part]), reverse=True)
        ]


async def profile(
    url: str, operation: Operation, landscape: Landscape, *, concurrency: int, seconds: float, folder: Path
) -> Profile:
    """The profile of a server of its own that answers an operation for so many seconds; files go into the folder."""
    report = folder / "profile.json"
    connection = await asyncpg.connect(url)
    try:
        command = (sys.executable, "-m", "tests.bench.profiling", str(report), "serve", "--port", "0")
        async with client() as asking, serving(command, {"DATABASE_URL": url}, folder / "profiled.log") as server:
            requests = await Requester(server, connection).requests(operation, landscape)
            bodies = [body(operation, variables).decode() for variables in requests]
            await asking.carry_out(Order("127.0.0.1", server.port, bodies, concurrency, _WARMING))
            os.kill(server.pid, signal.SIGUSR1)
            made = await asking.carry_out(Order("127.0.0.1", server.port, bodies, concurrency, seconds))
    finally:
        await connection.close()
    used = [(tuple(stack), seconds) for stack, seconds in orjson.loads(report.read_bytes())]
    return Profile(used, len(made.latencies))


class _LookOut:
    """What each stack of this process used from `start` to `stop`, without what looking takes."""

    def __init__(self) -> None:
        self.used: dict[tuple[CodeType, ...], float] = {}
        self._last = 0.0
        self._looking = False

    def start(self, _signal: int, _frame: FrameType | None) -> None:
        self._last = process_time()
        signal.setitimer(signal.ITIMER_REAL, _INTERVAL, _INTERVAL)

    def look(self, _signal: int, frame: FrameType | None) -> None:
        if self._looking:  # the signal came while the last one was handled
            return
        self._looking = True
        now, stack = process_time(), tuple(_codes(frame))
        self.used[stack] = self.used.get(stack, 0.0) + now - self._last
        self._last = process_time()
        self._looking = False

    def stop(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _watched(report: Path, arguments: list[str]) -> None:
    """Run a command of the project's; what was seen is written when it ends."""
    look_out = _LookOut()
    signal.signal(signal.SIGALRM, look_out.look)
    signal.signal(signal.SIGUSR1, look_out.start)
    try:
        catalograph(arguments)
    finally:
        look_out.stop()
        named = [([*map(_name, codes)], seconds) for codes, seconds in look_out.used.items() if codes]
        report.write_bytes(orjson.dumps(named))


def _codes(frame: FrameType | None) -> Iterator[CodeType]:
    while frame:
        yield frame.f_code
        frame = frame.f_back


def _name(code: CodeType) -> str:
    """`schema/query.py:Query.node`: the file as it is imported."""
    folders = sorted((folder for folder in sys.path if code.co_filename.startswith(f"{folder}/")), key=len)
    file = code.co_filename[len(folders[-1]) + 1 :] if folders else code.co_filename
    return f"{file}:{code.co_qualname}"


if __name__ == "__main__":
    _watched(Path(sys.argv[1]), sys.argv[2:])
