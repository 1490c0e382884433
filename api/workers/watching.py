"""Noticing that files of declared sources have changed, so that they are read at once.

What is not noticed (a network file system may tell nothing, and while folders come and go a moment is missed) is found
by the next run that comes by itself.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Callable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import aclosing
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine
from watchfiles import Change, watch

from api.ingest.declared import Sources
from api.workers.sources import repeat
from db import schedules

_LOOK_SECONDS = 2.0  # between two looks whether folders have come, gone, or been replaced
_GATHER_SECONDS = 1.0  # changes that come within so long are one
_CALM_SECONDS = 0.1  # without a change, after which they are one sooner

# What is watched: by the source's name its folder, with device and inode; None: it is not there.
Roots = Mapping[str, tuple[Path, tuple[int, int] | None]]


class Watcher:
    """The folders of the sources that this process may read."""

    def __init__(self, engine: AsyncEngine, sources: Sources) -> None:
        """`engine`: to note what has changed."""
        self._engine = engine
        self._sources = sources
        self._roots: Roots = {}

    async def look(self) -> None:
        """See which folders are there: one that comes, goes or is replaced from now on is a change."""
        self._roots = await asyncio.to_thread(_looked_up, self._sources.watched)

    async def run(self) -> None:
        """Watch until cancelled, from the last look on if there was one."""
        if not self._roots:
            await self.look()
        await repeat(self._watch_on, seconds=_LOOK_SECONDS)

    async def _watch_on(self) -> None:
        while True:
            await self.watch()

    async def watch(self) -> None:
        """Watch the folders that are there, until others are."""
        folders = {folder for folder, identity in self._roots.values() if identity}
        async with aclosing(_changes(folders)) as changes:
            async for paths in changes:
                changed = {name for name, (folder, _) in self._roots.items() if _is_below(paths, folder)}
                roots = await asyncio.to_thread(_looked_up, self._sources.watched)
                changed |= {name for name, root in roots.items() if root != self._roots.get(name)}
                if changed:
                    async with self._engine.begin() as connection:
                        await schedules.hurry(connection, changed)
                if roots != self._roots:
                    self._roots = roots
                    return


def _looked_up(watched: Callable[[], Mapping[str, Path]]) -> Roots:
    return {name: (folder, _identity(folder)) for name, folder in watched().items()}


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _is_below(paths: AbstractSet[Path], folder: Path) -> bool:
    return any(path.is_relative_to(folder) for path in paths)


async def _changes(folders: AbstractSet[Path]) -> AsyncGenerator[AbstractSet[Path]]:
    """What has changed below the folders, gathered; nothing, from time to time. Raises OSError when that fails."""
    if not folders:
        await asyncio.sleep(_LOOK_SECONDS)
        yield set()
        return
    ended = threading.Event()
    found = watch(
        *folders,
        watch_filter=_is_ours,
        debounce=int(_GATHER_SECONDS * 1000),
        step=int(_CALM_SECONDS * 1000),
        rust_timeout=int(_LOOK_SECONDS * 1000),
        yield_on_timeout=True,
        stop_event=ended,
        ignore_permission_denied=True,
    )
    try:
        # In a thread, since it walks through all folders before it waits.
        while (changes := await asyncio.to_thread(next, found, None)) is not None:
            yield {Path(path) for _, path in changes}
    finally:
        ended.set()  # the thread looks for it every moment


def _is_ours(_change: Change, path: str) -> bool:
    """Whether a change may matter: git's own store holds no file that anybody wrote."""
    return f"{os.sep}.git{os.sep}" not in path
