"""Skipping unchanged files must never show: what a catalog holds depends on the files, not on what they were before."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.ingesting import Catalog, Tree, component

pytestmark = pytest.mark.anyio

Edit = tuple[str, list[str] | None]  # a file, and its documents; None: deleted

NAMES = st.sampled_from(["x", "X", "y"])
GOOD = st.builds(
    component,
    NAMES,
    dependsOn=st.lists(NAMES.map("component:{}".format), max_size=2).map(str),
    lifecycle=st.sampled_from(["production", "experimental"]),
)
BROKEN = st.one_of(st.just("kind: [\n"), NAMES.map(lambda name: component(name, system="1")))
FILES = st.sampled_from(["a.yaml", "b.yml", "c/d.yaml"])
EDITS = {
    kind: st.lists(st.tuples(FILES, st.none() | st.lists(documents, max_size=2)), min_size=3, max_size=6)
    for kind, documents in {"good": GOOD, "any": GOOD | BROKEN}.items()
}
STATE = {
    "entities": """
        SELECT to_jsonb(e) - '{id,created_at,updated_at,source_id,owner_id}'::text[], d.metadata, d.spec
        FROM entity e JOIN document d ON d.entity_id = e.id ORDER BY e.ref
    """,
    "relations": """
        SELECT s.ref, r.type, t.ref, d.ref, r.field, r.line
        FROM relation r JOIN ref s ON s.id = r.source_id JOIN ref t ON t.id = r.target_id
            JOIN ref d ON d.id = r.declared_by
        ORDER BY 1, 2, 3, 4
    """,
    "problems": """
        SELECT p.location, p.line, p.rule, p.message, p.document, p.field, e.ref, t.ref
        FROM problem p LEFT JOIN ref e ON e.id = p.entity_id LEFT JOIN ref t ON t.id = p.target_id
        ORDER BY 1, 2, 3, 4
    """,
    "files": "SELECT path, digest, documents FROM source_file ORDER BY path",
}
EMPTY = "TRUNCATE ref, source, source_run, source_file, entity, document, relation, problem, change"
a_few = settings(
    max_examples=25 if os.environ.get("CATALOGRAPH_TEST_LONG") is None else 300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def make(tree: Tree, edit: Edit) -> None:
    """Write a file, or delete it."""
    name, documents = edit
    if documents is None:
        (tree.root / name).unlink(missing_ok=True)
    else:
        tree.write(name, *documents)


async def state(catalog: Catalog) -> dict[str, list[Any]]:
    """All that a reader can see, without ids and times."""
    return {name: await catalog.rows(statement) for name, statement in STATE.items()}


@a_few
@given(history=EDITS["good"])
async def test_any_history_ends_as_a_first_ingestion_of_its_end(
    catalog: Catalog, tmp_path: Path, history: list[Edit]
) -> None:
    tree = _empty(tmp_path)
    await catalog.rows(EMPTY)
    for edit in history:
        make(tree, edit)
        await catalog.ingest(tree.root, allow_removals=True)
    ended = await state(catalog)
    await catalog.rows(EMPTY)
    await catalog.ingest(tree.root)
    assert ended == await state(catalog)


@a_few
@given(history=EDITS["any"])
async def test_what_is_kept_of_broken_files_is_the_same_without_skipping(
    catalog: Catalog, tmp_path: Path, history: list[Edit]
) -> None:
    ends = []
    for forget in (EMPTY, "TRUNCATE source_file"):
        await catalog.rows(EMPTY)
        tree = _empty(tmp_path)
        for edit in history:
            make(tree, edit)
            if forget != EMPTY:
                await catalog.rows(forget)
            await catalog.ingest(tree.root, allow_removals=True)
        ends.append(await state(catalog))
    assert ends[0] == ends[1]


def _empty(folder: Path) -> Tree:
    tree = Tree(folder / "tree")
    shutil.rmtree(tree.root, ignore_errors=True)
    tree.root.mkdir()
    return tree
