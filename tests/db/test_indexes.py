"""Indexes of paths: made once, found by the planner, mended after a kill, and gone when nobody names their path."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from db.engine import create_engine
from db.indexes import Change, keep
from db.rules.pointers import Pointer
from tests.bench import plans
from tests.bench.asking import Asker, asking
from tests.factories import Company
from tests.ingesting import Catalog, Tree, component

pytestmark = pytest.mark.anyio

TIER, SCORE = Pointer.parse("/spec/tier"), Pointer.parse("/spec/it's\\a:b/01/score")


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(database_url, pool_size=2, statement_timeout=0)
    yield engine
    await engine.dispose()


async def comments(engine: AsyncEngine) -> list[str]:
    """Of each index of a path that Postgres uses, its pointer."""
    return await Catalog(engine).rows(
        """SELECT obj_description(indexrelid, 'pg_class') FROM pg_index
           WHERE indrelid = 'document'::regclass AND indisvalid AND indexrelid::regclass::text LIKE 'document_at_%'
           ORDER BY 1"""
    )


async def test_each_pointer_gets_its_indexes_once(engine: AsyncEngine) -> None:
    assert await keep(engine, [TIER, SCORE]) == Change(made=8)
    assert await comments(engine) == [str(SCORE)] * 4 + [str(TIER)] * 4
    assert await keep(engine, [SCORE, TIER, TIER]) == Change()


async def test_a_pointer_that_is_not_named_any_more_loses_its_indexes_and_no_other(engine: AsyncEngine) -> None:
    await keep(engine, [TIER, SCORE])
    assert await keep(engine, [TIER]) == Change(dropped=4)
    assert await comments(engine) == [str(TIER)] * 4
    assert await keep(engine, []) == Change(dropped=4)
    kept = await Catalog(engine).rows("SELECT indexname FROM pg_indexes WHERE tablename = 'document' ORDER BY 1")
    assert kept == ["document_by_annotation", "document_by_email", "document_by_label", "document_pkey"]


async def test_an_index_that_a_kill_left_unfinished_is_made_anew(engine: AsyncEngine) -> None:
    await keep(engine, [TIER])
    catalog = Catalog(engine)
    names = await catalog.rows("SELECT indexname FROM pg_indexes WHERE indexname LIKE 'document_at_%' ORDER BY 1")
    await catalog.rows(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = CAST(:name AS regclass)", name=names[0]
    )
    await catalog.rows(f"COMMENT ON INDEX {names[1]} IS NULL")
    assert await keep(engine, [TIER]) == Change(made=2, dropped=2)
    assert await comments(engine) == [str(TIER)] * 4


async def test_processes_that_start_together_make_each_index_once(engine: AsyncEngine, database_url: str) -> None:
    other = create_engine(database_url, pool_size=2, statement_timeout=0)
    changes = await asyncio.gather(keep(engine, [TIER]), keep(other, [TIER]))
    assert sorted(changes, key=lambda change: change.made) == [Change(), Change(made=4)]
    await other.dispose()


async def test_a_text_of_any_length_can_stand_at_an_indexed_path(engine: AsyncEngine, tmp_path: Path) -> None:
    await keep(engine, [Pointer.parse("/spec/notes"), Pointer.parse("/spec")])
    noise = "".join(chr(0x1F300 + n * 7919 % 700) for n in range(100_000))  # which no compression makes short
    Tree(tmp_path).write("one.yaml", component("one", notes=noise))
    report = await Catalog(engine).ingest(tmp_path)
    assert report.counts.entities == 1


@pytest.fixture
async def company(engine: AsyncEngine, database_url: str, tmp_path: Path) -> AsyncIterator[Asker]:
    """2,000 entities, each with a score of its own and a list of regions."""
    Company(2000).write(tmp_path, per_file=100)
    catalog = Catalog(engine)
    await catalog.ingest(tmp_path)
    await catalog.rows(
        """UPDATE document SET spec = spec || jsonb_build_object(
               'score', entity_id, 'regions', jsonb_build_array('all', 'r' || entity_id % 500))"""
    )
    async with asking(database_url) as asker:
        yield asker


PATHS = ("/spec/score", "/spec/type", "/spec/regions")


ARGUMENTS = (
    'filter: {path: {path: "/spec/type", text: {eq: "robot"}}}',
    'filter: {path: {path: "/spec/type", text: {in: ["robot", "cyborg"]}}}',
    'filter: {path: {path: "/spec/type", text: {prefix: "rob"}}}',
    'filter: {path: {path: "/spec/regions", text: {eq: "r7"}}}',
    'filter: {kind: {eq: "component"}, path: {path: "/spec/regions", text: {in: ["r7", "r8"]}}}',
    'filter: {path: {path: "/spec/score", number: {eq: 77}}}',
    'filter: {path: {path: "/spec/score", number: {gt: 100, lte: 110}}}',
    'filter: {path: {path: "/spec/score", number: {lt: 10}}}',
    'orderBy: [{field: PATH, path: "/spec/score"}]',
    'orderBy: [{field: PATH, path: "/spec/score", direction: DESC}]',
    'orderBy: [{field: PATH, path: "/spec/type", nulls: FIRST}]',
    'orderBy: [{field: PATH, path: "/spec/type", direction: DESC, nulls: FIRST}]',
)


async def test_requests_use_the_indexes_of_their_paths(company: Asker, engine: AsyncEngine) -> None:
    queries = [f"{{ entities(first: 5, {arguments}) {{ nodes {{ ref }} }} }}" for arguments in ARGUMENTS]
    before = [(await company.ask(query)).data for query in queries]
    await keep(engine, map(Pointer.parse, PATHS))
    for query, data in zip(queries, before, strict=True):
        assert (await company.ask(query)).data == data
        assert "document_at_" in plans.summary((await company.plans(query))[-1]), query


async def test_labels_and_annotations_are_found_by_index(company: Asker, engine: AsyncEngine) -> None:
    await Catalog(engine).rows(
        """UPDATE document SET metadata = metadata || jsonb_build_object('labels', jsonb_build_object('pci', 'yes'))
           WHERE entity_id % 500 = 0"""
    )
    await Catalog(engine).rows("ANALYZE document")
    slug = (await company.ask("{ components(first: 1) { nodes { name } } }")).data["components"]["nodes"][0]["name"]
    for asked in (
        'label: {key: "pci"}',
        'label: {key: "pci", value: {eq: "yes"}}',
        'label: {key: "pci", value: {in: ["yes", "no"]}}',
        'label: {key: "pci", value: {prefix: "y"}}',
        f'annotation: {{key: "backstage.io/kubernetes-id", value: {{eq: "{slug}"}}}}',
        f'annotation: {{key: "backstage.io/kubernetes-id", value: {{in: ["{slug}", "x"]}}}}',
    ):
        query = f"{{ entities(filter: {{{asked}}}) {{ nodes {{ ref }} }} }}"
        assert (await company.ask(query)).data["entities"]["nodes"]
        assert "document_by_" in plans.summary((await company.plans(query))[-1]), asked
