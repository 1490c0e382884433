"""Writing what a long reading has until now, so that a run that is stopped has not read it in vain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncEngine

from db import locks, sync
from db.rules.records import Reading
from db.runs import Source
from db.staging import StagedFile, Staging
from db.sync import Difference


class Ahead:
    """What a run has written before its end: entities that are new or changed, never a removal.

    Whoever writes ahead holds the source's lock, and every file is an entity of one document whose path is its ref.
    """

    def __init__(self, engine: AsyncEngine, source: Source, source_id: int) -> None:
        self._engine = engine
        self._source = source
        self._source_id = source_id
        self.written: list[Difference] = []

    @property
    def entities(self) -> int:
        """How many it has written."""
        return sum(each.added + each.changed for each in self.written)

    async def write(self, files: Sequence[StagedFile]) -> list[StagedFile]:
        """Write the entities of these files, and commit. Returns the files as the end of the run is to see them.

        Those that are in the catalog now, as they are, count as unchanged. What has a problem is for the end to judge.
        """
        accepted = [file for file in files if file.reading.records]
        if not accepted:
            return list(files)
        async with self._engine.begin() as connection:
            await locks.without_timeout(connection)
            staging = await Staging.open(connection, self._source_id)
            await staging.add(accepted)
            await staging.analyze()
            difference = await sync.compare(connection, self._source_id, whole=False)
            lost = await staging.lost()
            await sync.apply(connection, self._source_id, difference)
            await sync.log(connection, difference, by=f"source:{self._source.name}")
        self.written.append(difference)
        return [file if file.reading.findings or file.path in lost else _settled(file) for file in files]


def _settled(file: StagedFile) -> StagedFile:
    return replace(file, reading=Reading(documents=file.reading.documents), unchanged=True)
