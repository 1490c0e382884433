"""The feed of one process, over a database that comes and goes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from api.live import LiveFeed
from db.engine import DatabaseUnreachableError
from db.reading import Reads
from db.rules.refs import Ref
from schema.errors import Unavailable

pytestmark = pytest.mark.anyio


class Flickering:
    """A database that is away for every other statement. Its log has one change, of position 7."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def fetch(self, text: str, values: Sequence[Any]) -> list[Any]:
        self.asked.append(values)
        await asyncio.sleep(0)
        if len(self.asked) % 2:
            raise DatabaseUnreachableError("it is away")
        if "RECURSIVE" in text:
            return [("group:default/squad",)]
        return [(0, 7, None, "CREATED", 1, "component:default/a", "test", None, None, None, None)]


def feed_over(database: Any) -> LiveFeed:
    feed = LiveFeed(cast("Any", None), cast("Reads", database))
    feed._move(7)
    return feed


async def test_an_outage_ends_nobodys_following(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.live._RETRY", 0)
    feed = feed_over(Flickering())
    page = await feed.after(6)
    assert ([change.seq for change in page.changes], page.position) == ([7], 7)
    tree = Ref.parse("group:squad")
    assert await feed.trees([tree], 7) == {tree: frozenset({"group:default/squad"})}


async def test_many_who_follow_from_one_place_read_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.live._RETRY", 0)
    database = Flickering()
    feed = feed_over(database)
    pages = await asyncio.gather(*(feed.after(6) for _ in range(100)))
    assert {page.position for page in pages} == {7}
    assert len(database.asked) == 2  # the outage, and the page


async def test_who_leaves_takes_the_page_from_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.live._RETRY", 0)
    feed = feed_over(Flickering())
    leaving, staying = (asyncio.create_task(feed.after(6)) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    assert (await staying).position == 7


async def test_a_position_that_is_not_known_yet_is_unavailable() -> None:
    feed = LiveFeed(cast("Any", None), cast("Reads", Flickering()))
    with pytest.raises(Unavailable):
        _ = feed.position
