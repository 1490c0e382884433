"""For tests of declared sources: a file of them, and processes that read them."""

from __future__ import annotations

from pathlib import Path

from api.ingest.declarations import Access
from api.ingest.declared import Sources
from api.workers.sources import SourceWorker
from tests.ingesting import Catalog

HALF = 0.5  # of a chance: neither sooner nor later than usual


def sources_in(folder: Path, *lines: str) -> Sources:
    """The sources that these lines of YAML declare, one a line."""
    file = folder / "sources.yaml"
    file.write_text("sources:\n" + "".join(f"  - {line}\n" for line in lines))
    return Sources.read(file, Access(clones=folder / "clones", environ={}))


def worker_of(catalog: Catalog, sources: Sources) -> SourceWorker:
    """A process that reads the sources, without chance."""
    return SourceWorker(catalog.engine, sources, chance=lambda: HALF)


async def look(*workers: SourceWorker) -> None:
    """Let each process look once, and read what it took."""
    for worker in workers:
        await worker.look()
    for worker in workers:
        await worker.idle()


async def runs(catalog: Catalog) -> list[tuple[str, str | None]]:
    """The source and the error of each run."""
    return await catalog.rows(
        "SELECT s.name, r.error FROM source_run r JOIN source s ON s.id = r.source_id ORDER BY r.id"
    )


async def seconds_until_next(catalog: Catalog, name: str) -> int:
    """How long until the source's next run, in whole seconds."""
    query = "SELECT round(extract(epoch FROM next_run_at - now()))::int FROM source WHERE name = :name"
    (seconds,) = await catalog.rows(query, name=name)
    return int(seconds)


async def make_due(catalog: Catalog) -> None:
    """Let the time of all sources come."""
    await catalog.rows("UPDATE source SET next_run_at = now() WHERE next_run_at IS NOT NULL")
