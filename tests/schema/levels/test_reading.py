"""How one request reads: what runs aside ends with it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from db.reading import Reads
from schema.levels.reading import CutOffError, Reader
from schema.loaders import Loaders

pytestmark = pytest.mark.anyio


class Endless:
    """A database whose statements do not end by themselves."""

    def __init__(self) -> None:
        self.begun, self.cancelled = 0, 0

    async def fetch(self, _text: str, _values: Sequence[Any], **_: Any) -> list[Any]:
        self.begun += 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        raise AssertionError


async def ended(task: asyncio.Future[Any]) -> None:
    with pytest.raises(CutOffError):
        await asyncio.wait_for(task, 10)


async def test_a_batch_that_runs_when_the_request_ends_is_cancelled() -> None:
    database = Endless()
    reader = Reader(cast("Reads", database))
    loading = asyncio.ensure_future(Loaders(reader).entity_by_ref.load("component:default/player"))
    while not database.begun:
        await asyncio.sleep(0)
    reader.cancel()
    await ended(loading)
    assert (database.begun, database.cancelled) == (1, 1)


async def test_a_batch_that_begins_after_the_request_has_ended_asks_nothing() -> None:
    database = Endless()
    reader = Reader(cast("Reads", database))
    loading = asyncio.ensure_future(Loaders(reader).entity_by_ref.load("component:default/player"))
    reader.cancel()  # aiodataloader begins with a batch in the next turn of the loop
    await ended(loading)
    assert (database.begun, reader.statements) == (0, 0)
