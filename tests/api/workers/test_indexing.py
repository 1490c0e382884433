"""The paths of the settings are indexed while the server runs, whatever happens to the first try."""

from __future__ import annotations

from typing import Any

import pytest

from api.app import create_app
from api.settings import Settings, SettingsError
from api.workers import indexing
from db import indexes
from db.engine import create_engine
from db.rules.pointers import Pointer
from tests.ingesting import Catalog

pytestmark = pytest.mark.anyio

MADE = "SELECT 1 FROM pg_indexes WHERE indexname LIKE 'document_at_%' HAVING count(*) = "


def test_paths_are_read_from_the_environment() -> None:
    settings = Settings.from_environ({"CATALOGRAPH_INDEXED_PATHS": "/spec/tier, /metadata/labels/a.b~1c"})
    assert [*map(str, settings.indexed_paths)] == ["/spec/tier", "/metadata/labels/a.b~1c"]
    with pytest.raises(SettingsError, match="'tier' leads nowhere: a path starts with /spec or /metadata"):
        Settings.from_environ({"CATALOGRAPH_INDEXED_PATHS": "/spec/a,tier"})


async def test_a_server_indexes_the_paths_of_its_settings_and_no_others(database_url: str) -> None:
    engine = create_engine(database_url)
    for paths, made in (("/spec/tier,/spec/score", 8), ("/spec/tier", 4), ("", 0)):
        settings = Settings.from_environ({"DATABASE_URL": database_url, "CATALOGRAPH_INDEXED_PATHS": paths})
        app = create_app(settings)
        async with app.router.lifespan_context(app):
            await Catalog(engine).until(MADE + str(made))
    await engine.dispose()


async def test_a_failure_is_tried_again(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = create_engine(database_url, pool_size=2, statement_timeout=0)
    keep, tries = indexes.keep, 0

    async def failing_once(*arguments: Any) -> indexes.Change:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise OSError("the disk is full")
        return await keep(*arguments)

    monkeypatch.setattr(indexes, "keep", failing_once)
    monkeypatch.setattr(indexing, "_AGAIN", 0.01)
    await indexing.index_paths(engine, [Pointer.parse("/spec/tier")])
    assert tries == 2
    assert await Catalog(engine).rows(MADE + "4") == [1]
    await engine.dispose()
