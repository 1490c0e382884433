"""`catalograph serve` as a process of its own, and what it says."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PROGRAM = [sys.executable, "-c", "from api.cli import main; main(prog_name='catalograph')", "serve", "--port", "0"]
_PATIENCE = 60.0  # seconds for a start


@dataclass
class Served:
    """A server that runs."""

    process: asyncio.subprocess.Process
    said: Path
    port: int = 0

    @property
    def url(self) -> str:
        """Where it is asked."""
        return f"http://127.0.0.1:{self.port}"

    def words(self) -> str:
        """All that it has said so far."""
        return self.said.read_text()

    def lines(self) -> list[dict[str, Any]]:
        """All that it has logged so far; a line that is half written, or is no JSON, does not count."""
        lines = self.words().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("\n")]

    async def end(self, sign: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """Send a signal; the exit code, and the seconds until it has ended."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        self.process.send_signal(sign)
        async with asyncio.timeout(_PATIENCE):
            code = await self.process.wait()
        return code, loop.time() - started


@asynccontextmanager
async def serving(said: Path, **variables: str) -> AsyncIterator[Served]:
    """A server until the block ends; it listens, and may have no database yet."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("CATALOGRAPH_", "DATABASE_"))}
    with said.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *_PROGRAM, env={**own, "CATALOGRAPH_LOG_FORMAT": "json", **variables}, stderr=output
        )
    served = Served(process, said)
    try:
        async with asyncio.timeout(_PATIENCE):
            while not (urls := [line["url"] for line in served.lines() if line["event"] == "listening"]):
                assert process.returncode is None, served.words()
                await asyncio.sleep(0.05)
        served.port = int(urls[0].rpartition(":")[2])
        yield served
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
