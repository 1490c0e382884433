"""Runs of a source: what they take in, what they leave alone, what they refuse."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sqlalchemy import event

from api.ingest.files import SourceError
from api.ingest.run import RemovalsHeldError
from db import locks
from db.rules.allowed import UNTRUSTED
from tests.api.ingest.conftest import ANN, Catalog, Tree, component, location
from tests.factories import write_catalog

pytestmark = pytest.mark.anyio

A, B, ANN_REF = "component:default/a", "component:default/b", "user:default/ann"


async def test_a_second_run_changes_nothing_and_reports_the_same_totals(catalog: Catalog, tree: Tree) -> None:
    tree.write("a.yaml", component("a", dependsOn="[component:gone]"))
    tree.write("b.yaml", "apiVersion: v1\nkind: ConfigMap\n", component("b"))
    tree.write("c.yaml", component("a"), "kind: [")

    first = (await catalog.ingest(tree.root)).as_json()
    log = await catalog.changes()
    rows = await catalog.rows("SELECT xmin::text, ref FROM entity UNION ALL SELECT xmin::text, key FROM problem ORDER BY 2")
    second = (await catalog.ingest(tree.root)).as_json()

    del first["seconds"], second["seconds"]
    totals = {"documents": 6, "entities": 3, "rejected": 2, "skipped": 1, "problems": 3, "removed": 0, "changed": 0}
    assert first == {"source": str(tree.root), **totals, "added": 3, "unchanged": 0}
    assert second == {"source": str(tree.root), **totals, "added": 0, "unchanged": 3}
    assert await catalog.changes() == log
    again = await catalog.rows("SELECT xmin::text, ref FROM entity UNION ALL SELECT xmin::text, key FROM problem ORDER BY 2")
    assert again == rows, "not one row was written again"


async def test_an_unchanged_file_is_not_parsed_again(
    catalog: Catalog, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree.write("a.yaml", component("a", **{"x-text": "{$text: ./a.txt}"}))
    (tree.root / "a.txt").write_text("one")
    await catalog.ingest(tree.root)
    monkeypatch.setattr("db.rules.descriptors.read", lambda *_a, **_k: pytest.fail("it was parsed"))

    assert (await catalog.ingest(tree.root)).counts.unchanged == 2
    (tree.root / "a.txt").write_text("two")
    with pytest.raises(pytest.fail.Exception, match="it was parsed"):
        await catalog.ingest(tree.root)


async def test_a_change_is_logged_once_with_the_document_before_and_after(catalog: Catalog, tree: Tree) -> None:
    tree.write("a.yaml", component("a"))
    await catalog.ingest(tree.root)
    tree.write("a.yaml", component("a", system="play"))

    report = await catalog.ingest(tree.root)

    assert (report.counts.added, report.counts.changed, report.counts.removed) == (0, 1, 0)
    assert await catalog.changes() == [("CREATED", A), ("CREATED", ANN_REF), ("UPDATED", A)]
    [(by, before, after)] = await catalog.rows("SELECT by, before->'spec'->'system', after->'spec'->>'system' FROM change WHERE kind = 'UPDATED'")
    assert (by, before, after) == (f"source:{tree.root}", None, "play")
    [(updated, at)] = await catalog.rows("SELECT e.updated_at > e.created_at, e.updated_at = c.at FROM entity e JOIN change c ON c.entity_id = e.id WHERE c.kind = 'UPDATED'")
    assert (updated, at) == (True, True)


async def test_a_document_that_moves_keeps_its_history_and_its_problems_their_age(catalog: Catalog, tree: Tree) -> None:
    tree.write("a.yaml", component("a", dependsOn="[component:gone]"))
    await catalog.ingest(tree.root)
    [since] = await catalog.rows("SELECT since FROM problem")
    (tree.root / "a.yaml").unlink()
    tree.write("moved.yaml", "# a comment\n" + component("a", dependsOn="[component:gone]"))

    report = await catalog.ingest(tree.root)

    assert (report.counts.changed, report.counts.unchanged) == (0, 2)
    assert len(await catalog.changes()) == 2
    assert await catalog.rows("SELECT location, line, updated_at = created_at FROM entity WHERE ref = :ref", ref=A) == [("moved.yaml", 2, True)]
    assert await catalog.rows("SELECT location, line, since FROM problem") == [("moved.yaml", 9, since)]


async def test_what_is_not_declared_any_more_goes_with_all_that_it_said(catalog: Catalog, tree: Tree) -> None:
    tree.write("a.yaml", component("a", dependsOn="[component:b]"), component("b"))
    await catalog.ingest(tree.root)
    tree.write("a.yaml", component("b"))

    report = await catalog.ingest(tree.root)

    assert report.counts.removed == 1
    assert await catalog.refs() == [B, ANN_REF]
    assert (await catalog.changes())[-1] == ("DELETED", A)
    assert await catalog.rows("SELECT count(*) FROM relation") == [2], "b and its owner, both ways"
    assert await catalog.rows("SELECT count(*) FROM document") == [2]


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(component("a").replace("lifecycle: production", "lifecycle: 1"), id="a rule"),
        pytest.param("kind: [\n", id="yaml syntax"),
        pytest.param(component("a").replace("kind: Component", "kind: 1"), id="no ref to be had"),
    ],
)
async def test_a_rejected_document_keeps_the_last_good_entity(catalog: Catalog, tree: Tree, broken: str) -> None:
    tree.write("a.yaml", component("a"), component("b"))
    await catalog.ingest(tree.root)
    tree.write("a.yaml", broken, component("b"))

    report = await catalog.ingest(tree.root)

    assert await catalog.refs() == [A, B, ANN_REF]
    assert (report.counts.rejected, report.counts.removed, report.counts.problems) == (1, 0, 1)


async def test_a_broken_file_does_not_keep_what_moved_to_another(catalog: Catalog, tree: Tree) -> None:
    tree.write("a.yaml", component("a"), component("b"))
    await catalog.ingest(tree.root)
    tree.write("a.yaml", "kind: [\n")
    tree.write("b.yaml", component("b", system="play"))

    await catalog.ingest(tree.root)

    assert await catalog.rows("SELECT ref, location FROM entity ORDER BY ref LIMIT 2") == [(A, "a.yaml"), (B, "b.yaml")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file: `make test` as another user runs it")
async def test_files_that_do_not_open_are_not_taken_for_gone(catalog: Catalog, tree: Tree) -> None:
    file, below = tree.write("a.yaml", component("a")), tree.write("deep/b.yaml", component("b"))
    await catalog.ingest(tree.root)
    file.chmod(0)
    below.parent.chmod(0)
    try:
        await catalog.ingest(tree.root)
    finally:
        below.parent.chmod(0o755)

    assert await catalog.refs() == [A, B, ANN_REF]
    assert await catalog.problems() == [
        ("file-unreadable", "a.yaml", 1),
        ("file-unreadable", "deep", 1),
        ("file-unreadable", "deep/b.yaml", 1),
    ]


async def test_a_file_that_vanishes_while_it_is_read_is_not_taken_for_gone(
    catalog: Catalog, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree.write("a.yaml", component("a"))
    await catalog.ingest(tree.root)
    walk = os.scandir

    def scan_and_remove(path: Path) -> object:
        entries = walk(path)
        (tree.root / "a.yaml").unlink(missing_ok=True)
        return entries

    with monkeypatch.context() as patch:
        patch.setattr("api.ingest.files.os.scandir", lambda path: list(scan_and_remove(path)))
        monkeypatch.setattr("api.ingest.files.os.scandir", _removing(tree.root / "a.yaml"))
        await catalog.ingest(tree.root)

    assert await catalog.refs() == [A, ANN_REF]
