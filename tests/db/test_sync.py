"""Minimal-diff writes: what is written, what is left alone, and in which order others see it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncEngine

from db import changes, locks, runs, sync
from db.engine import create_engine
from db.rules import descriptors
from db.rules.placeholders import IncludeError
from db.runs import Counts, Source
from db.staging import StagedFile, Staging, kept
from tests.ingesting import Catalog, component

pytestmark = pytest.mark.anyio

ONE, TWO = Source(name="one", type="folder"), Source(name="two", type="folder")


@pytest.fixture(params=[False, True], ids=["direct", "as behind a pooler"])
async def catalog(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[Catalog]:
    """An empty catalog."""
    engine = create_engine(database_url, pgbouncer=request.param)
    yield Catalog(engine)
    await engine.dispose()


def staged(path: str, *documents: str) -> StagedFile:
    """A file with these documents."""
    return StagedFile(path, descriptors.read("---\n".join(documents).encode(), include=_no_file))


def _no_file(path: str) -> bytes:
    raise IncludeError(path)


async def synced(catalog: Catalog, source: Source, *files: StagedFile) -> Counts:
    """A whole run."""
    async with catalog.engine.begin() as connection:
        run = await runs.begin(connection, source)
    async with catalog.engine.begin() as connection:
        await locks.lock(connection, locks.of_source(source.name))
        staging = await Staging.open(connection, run.source_id)
        await staging.add(files)
        await staging.analyze()
        return await sync.write(connection, run, source, await sync.compare(connection, run.source_id))


async def relations(catalog: Catalog) -> list[tuple[str, str, str, str, str | None, int | None]]:
    """Source, type, target, declarer, field and line."""
    return await catalog.rows(
        "SELECT s.ref, r.type, t.ref, d.ref, r.field, r.line FROM relation r JOIN ref s ON s.id = r.source_id"
        " JOIN ref t ON t.id = r.target_id JOIN ref d ON d.id = r.declared_by ORDER BY d.ref, r.field NULLS LAST, s.ref"
    )


async def test_every_relation_is_stored_from_both_ends(catalog: Catalog) -> None:
    a, b, ann = "component:default/a", "component:default/b", "user:default/ann"
    twice = component("a", dependsOn="[component:b, component:B]", dependencyOf="[component:a]")
    await synced(catalog, ONE, staged("a.yaml", twice))
    assert await relations(catalog) == [
        (a, "dependencyOf", a, a, "spec.dependencyOf[0]", 9),
        (a, "dependsOn", b, a, "spec.dependsOn[0]", 8),
        (a, "ownedBy", ann, a, "spec.owner", 7),
        (a, "dependsOn", a, a, None, None),
        (b, "dependencyOf", a, a, None, None),
        (ann, "ownerOf", a, a, None, None),
    ]


async def test_does_not_touch_relations_of_other_entities(catalog: Catalog) -> None:
    await synced(catalog, ONE, staged("a.yaml", component("a", dependsOn="[component:b]")))
    await synced(catalog, TWO, staged("b.yaml", component("b", dependencyOf="[component:a]")))
    ours = [relation for relation in await relations(catalog) if relation[3] == "component:default/a"]
    versions = "SELECT xmin::text, declared_by, type FROM relation WHERE declared_by = 1 ORDER BY 2, 3"
    before = await catalog.rows(versions)

    await synced(catalog, TWO)

    assert await relations(catalog) == ours
    assert (len(ours), await catalog.rows(versions)) == (4, before)


async def test_only_the_relation_that_is_new_is_written(catalog: Catalog) -> None:
    await synced(catalog, ONE, staged("a.yaml", component("a", dependsOn="[component:b]")))
    versions = "SELECT source_id, type, target_id, xmin::text FROM relation"
    before = set(await catalog.rows(versions))
    await synced(catalog, ONE, staged("a.yaml", component("a", dependsOn="[component:b, component:c]")))
    assert len(before - set(await catalog.rows(versions))) == 0
    assert len(await catalog.rows(versions)) == len(before) + 2


async def test_interned_refs_stay_and_an_entity_that_comes_back_has_its_id(catalog: Catalog) -> None:
    await synced(catalog, ONE, staged("a.yaml", component("a")))
    [entity_id] = await catalog.rows("SELECT id FROM entity")
    await synced(catalog, ONE)
    assert await catalog.rows("SELECT count(*) FROM entity") == [0]
    await synced(catalog, TWO, staged("a.yaml", component("a")))
    assert await catalog.rows("SELECT id FROM entity") == [entity_id]


async def test_shared_columns_are_refs_of_any_kind_existing_or_not(catalog: Catalog) -> None:
    of_component = component("a", owner="component:x", system="s", subcomponentOf="p")
    of_group = "apiVersion: backstage.io/v1alpha1\nkind: Group\nmetadata: {name: g, title: G, tags: [a, b]}\n"
    spec = "spec: {type: team, children: [], parent: all}\n"
    await synced(catalog, ONE, staged("a.yaml", of_component, of_group + spec))
    columns = (
        "SELECT e.name, e.title, e.type, e.lifecycle, e.tags, o.ref, s.ref, p.ref FROM entity e"
        " LEFT JOIN ref o ON o.id = e.owner_id LEFT JOIN ref s ON s.id = e.system_id"
        " LEFT JOIN ref p ON p.id = e.parent_id ORDER BY e.name"
    )
    assert await catalog.rows(columns) == [
        ("a", "a", "service", "production", [], "component:default/x", "system:default/s", "component:default/p"),
        ("g", "G", "team", None, ["a", "b"], None, None, "group:default/all"),
    ]


async def test_a_change_is_not_seen_before_one_with_a_lower_position(catalog: Catalog, database_url: str) -> None:
    second = create_engine(database_url)
    async with catalog.engine.begin() as first:
        await changes.append(first, _entry(1))
        appending = asyncio.create_task(_append(second, 2))
        await catalog.until_one_waits_for_a_lock()
        assert await catalog.rows("SELECT entity_id FROM change") == []
    await appending
    assert await catalog.rows("SELECT entity_id FROM change ORDER BY seq") == [1, 2]
    await second.dispose()


def test_a_document_without_a_ref_keeps_its_whole_file_and_one_with_it_only_itself() -> None:
    assert kept(staged("a.yaml", component("a")).reading) == frozenset()
    assert kept(staged("a.yaml", component("a"), component("b", system="1")).reading) == frozenset(
        {"component:default/b"}
    )
    assert kept(staged("a.yaml", component("a"), component("a")).reading) == frozenset()
    assert kept(staged("a.yaml", "kind: [\n", component("b", system="1")).reading) is None
    assert kept(staged("a.yaml", *(component("b", system="1") for _ in range(1001))).reading) is None


def _entry(entity_id: int) -> TextClause:
    entry = "SELECT 'CREATED', CAST(:id AS bigint), 'test', now(), NULL::jsonb, NULL::jsonb, NULL::jsonb, NULL::jsonb"
    return text(entry).bindparams(id=entity_id)


async def _append(engine: AsyncEngine, entity_id: int) -> None:
    async with engine.begin() as connection:
        await changes.append(connection, _entry(entity_id))
