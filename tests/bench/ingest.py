"""How long ingestion takes: of everything, of a change in one entity of a hundred, and when nothing has changed.

Each run is the command `catalograph ingest` in a process of its own. Its report says how long the ingestion took; the
whole process takes longer, for Python starts, modules are imported, and the database's revision is checked.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import orjson

from tests.bench.databases import fresh_database, say
from tests.factories import Company

PER_FILE = 10  # entities


@dataclass(frozen=True, slots=True)
class Run:
    """One kind of run over a company of so many entities; seconds are medians of all rounds."""

    run: str
    entities: int
    written: int  # entities added or changed
    seconds: float
    process_seconds: float
    entities_per_second: float  # of the whole company, read or recognised as unchanged
    ratio: float  # of seconds, to those of the full run


async def measured(server_url: str, entities: int, rounds: int) -> list[Run]:
    """The three runs, each as often, and always into a database that was empty before the first."""
    timed = []
    for number in range(1, rounds + 1):
        say(f"Round {number} of {rounds} ...")
        timed.append(await _round(server_url, entities))
    full, *_ = medians = [(name, *_median(timed, name)) for name in timed[0]]
    return [
        Run(name, entities, written, own, process, round(entities / own, 1), round(own / full[2], 3))
        for name, written, own, process in medians
    ]


Timed = dict[str, tuple[int, float, float]]  # run -> entities written, its own seconds, its process's


def _median(rounds: Sequence[Timed], name: str) -> tuple[int, float, float]:
    written, own, process = zip(*(timed[name] for timed in rounds), strict=True)
    return written[0], round(median(own), 3), round(median(process), 3)


async def _round(server_url: str, entities: int) -> Timed:
    timed: Timed = {}
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        Company(entities).write(folder, per_file=PER_FILE)
        async with fresh_database(server_url, "bench_ingest") as url:
            timed["full"] = await _ingest(url, folder)
            _change_one_percent(folder)
            timed["1 % changed"] = await _ingest(url, folder)
            timed["unchanged"] = await _ingest(url, folder)
    return timed


async def _ingest(url: str, folder: Path) -> tuple[int, float, float]:
    command = Path(sys.executable).with_name("catalograph")
    started = perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(command, "ingest", folder, "--json"), env={**os.environ, "DATABASE_URL": url}, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await process.communicate()
    seconds = perf_counter() - started
    if process.returncode != 0:
        raise RuntimeError(f"catalograph ingest ended with {process.returncode}")
    report: dict[str, Any] = orjson.loads(printed)
    return report["added"] + report["changed"], report["seconds"], seconds


def _change_one_percent(folder: Path) -> None:
    """Another description for one entity of every hundred, so that every tenth file has to be read again."""
    for path in sorted(folder.iterdir())[::10]:
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("description: Made", "description: Made anew", 1), encoding="utf-8")
