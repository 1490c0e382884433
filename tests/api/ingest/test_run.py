"""Runs of a source: what they take in, what they leave alone, what they refuse."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from api.ingest.errors import SourceError, UnreadableError
from api.ingest.files import FileSource, read
from api.ingest.run import RemovalsHeldError, ingest
from db import locks
from db.rules.allowed import UNTRUSTED, AllowedKinds
from tests.factories import write_catalog
from tests.ingesting import ANN, Catalog, Tree, component, location

pytestmark = pytest.mark.anyio

A, B, ANN_REF = "component:default/a", "component:default/b", "user:default/ann"


async def test_a_second_run_changes_nothing_and_reports_the_same_totals(catalog: Catalog, tree: Tree) -> None:
    tree.write("a.yaml", component("a", dependsOn="[component:gone]"))
    tree.write("b.yaml", "apiVersion: v1\nkind: ConfigMap\n", component("b"))
    tree.write("c.yaml", component("a"), "kind: [")

    first = (await catalog.ingest(tree.root)).as_json()
    log = await catalog.changes()
    rows = await catalog.rows(
        "SELECT xmin::text, ref FROM entity UNION ALL SELECT xmin::text, key FROM problem ORDER BY 2"
    )
    second = (await catalog.ingest(tree.root)).as_json()

    del first["seconds"], second["seconds"]
    totals = {"documents": 6, "entities": 3, "rejected": 2, "skipped": 1, "problems": 3, "removed": 0, "changed": 0}
    assert first == {"source": str(tree.root), **totals, "added": 3, "unchanged": 0}
    assert second == {"source": str(tree.root), **totals, "added": 0, "unchanged": 3}
    assert await catalog.changes() == log
    again = await catalog.rows(
        "SELECT xmin::text, ref FROM entity UNION ALL SELECT xmin::text, key FROM problem ORDER BY 2"
    )
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
    [(by, before, after)] = await catalog.rows(
        "SELECT by, before->'spec'->'system', after->'spec'->>'system' FROM change WHERE kind = 'UPDATED'"
    )
    assert (by, before, after) == (f"source:{tree.root}", None, "play")
    [(updated, at)] = await catalog.rows(
        "SELECT e.updated_at > e.created_at, e.updated_at = c.at"
        " FROM entity e JOIN change c ON c.entity_id = e.id WHERE c.kind = 'UPDATED'"
    )
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
    assert await catalog.rows("SELECT location, line, updated_at = created_at FROM entity WHERE ref = :ref", ref=A) == [
        ("moved.yaml", 2, True)
    ]
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


async def test_files_that_do_not_open_are_not_taken_for_gone(
    catalog: Catalog, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tree.write("a.yaml", component("a"))
    tree.write("deep/b.yaml", component("b"))
    await catalog.ingest(tree.root)
    file.unlink()
    os.mkfifo(file)
    denied = PermissionError(13, "Permission denied")
    monkeypatch.setattr("api.ingest.files.os.scandir", _refusing(tree.root / "deep", denied, os.scandir))
    shut = UnreadableError("Permission denied")
    monkeypatch.setattr("api.ingest.files.read", _refusing(tree.root / "deep/b.yaml", shut, read))

    report = await catalog.ingest(tree.root)

    assert (report.counts.removed, await catalog.refs()) == (0, [A, B, ANN_REF])
    assert await catalog.problems() == [
        ("file-unreadable", "a.yaml", 1),
        ("file-unreadable", "deep", 1),
        ("file-unreadable", "deep/b.yaml", 1),
    ]


def _refusing(path: Path, error: Exception, otherwise: Callable[[Path | str], Any]) -> Callable[[Path | str], Any]:
    """As `otherwise`, but `path` does not open; permissions would not keep root out."""

    def refuse(opened: Path | str) -> Any:
        if Path(opened) == path:
            raise error
        return otherwise(opened)

    return refuse


async def test_a_file_that_vanishes_while_it_is_read_is_not_taken_for_gone(
    catalog: Catalog, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree.write("a.yaml", component("a"))
    await catalog.ingest(tree.root)

    def vanish(path: Path | str) -> bytes:
        Path(path).unlink()
        return read(path)

    monkeypatch.setattr("api.ingest.files.read", vanish)
    await catalog.ingest(tree.root)

    assert await catalog.refs() == [A, ANN_REF]
    assert await catalog.problems() == [("file-unreadable", "a.yaml", 1), ("file-unreadable", "people.yaml", 1)]


async def test_the_first_file_has_a_ref_whatever_its_case_and_whenever_it_came(catalog: Catalog, tree: Tree) -> None:
    tree.write("m.yaml", component("a"))
    await catalog.ingest(tree.root)
    tree.write("z.yaml", component("A"))
    await catalog.ingest(tree.root)
    assert await catalog.rows("SELECT location FROM entity WHERE ref = :ref", ref=A) == ["m.yaml"]
    tree.write("b.yaml", component("A"))

    report = await catalog.ingest(tree.root)

    assert report.counts.rejected == 2
    assert await catalog.rows("SELECT location, name FROM entity WHERE ref = :ref", ref=A) == [("b.yaml", "A")]
    assert await catalog.problems() == [("duplicate-ref", "m.yaml", 1), ("duplicate-ref", "z.yaml", 1)]
    assert await catalog.rows("SELECT DISTINCT message FROM problem") == [f"{A} is declared in b.yaml:1 already"]


async def test_of_two_sources_the_first_keeps_a_ref_until_it_lets_go_of_it(catalog: Catalog, tree: Tree) -> None:
    file = tree.write("one/a.yaml", component("a"))
    tree.write("two/a.yaml", component("a", system="play"), component("b"))
    await catalog.ingest(tree.root / "one", name="one")

    report = await catalog.ingest(tree.root / "two", name="two")

    assert (report.counts.added, report.counts.rejected) == (1, 1)
    conflicts = "SELECT message, location, line FROM problem WHERE rule = 'ref-conflict'"
    assert await catalog.rows(conflicts) == [(f"{A} is declared in a.yaml:1 of the source one already", "a.yaml", 1)]
    [hint] = await catalog.rows("SELECT hint FROM problem WHERE rule = 'ref-conflict'")
    assert hint.endswith(" it takes it. If its folder has moved here, --source with its name takes it over.")
    file.unlink()
    await catalog.ingest(tree.root / "one", name="one")
    assert await catalog.refs() == [B]
    assert (await catalog.ingest(tree.root / "two", name="two")).counts.added == 1
    assert (
        await catalog.rows("SELECT s.name FROM entity e JOIN source s ON s.id = e.source_id ORDER BY ref")
        == ["two"] * 2
    )
    assert await catalog.rows(conflicts) == []


async def test_a_reference_dangles_exactly_while_its_target_is_missing_in_any_source(
    catalog: Catalog, tree: Tree
) -> None:
    tree.write("one/a.yaml", component("a", dependsOn="[component:b]"))
    dangling = "SELECT location, line, field FROM problem WHERE rule = 'dangling-reference' ORDER BY line"
    await catalog.ingest(tree.root / "one")
    assert await catalog.rows(dangling) == [("a.yaml", 7, "spec.owner"), ("a.yaml", 8, "spec.dependsOn[0]")]

    file = tree.write("two/b.yaml", component("b"), ANN)
    report = await catalog.ingest(tree.root / "two")
    assert (await catalog.rows(dangling), report.counts.problems) == ([], 0)

    tree.write("two/b.yaml", ANN)
    await catalog.ingest(tree.root / "two")
    assert await catalog.rows(dangling) == [("a.yaml", 8, "spec.dependsOn[0]")]

    file.unlink()
    (tree.root / "one/a.yaml").unlink()
    await catalog.ingest(tree.root / "one")
    await catalog.ingest(tree.root / "two")
    assert await catalog.rows(dangling) == []


async def test_a_run_that_would_remove_suspiciously_much_is_held_and_changes_nothing(
    catalog: Catalog, tree: Tree
) -> None:
    write_catalog(tree.root, 50, per_file=11)
    await catalog.ingest(tree.root)
    before = [await catalog.refs(), await catalog.changes(), await catalog.problems()]
    (tree.root / "components-0000000.yaml").unlink()

    with pytest.raises(RemovalsHeldError, match="remove 11 of the 51 entities"):
        await catalog.ingest(tree.root)

    assert [await catalog.refs(), await catalog.changes(), await catalog.problems()] == before
    assert await catalog.rows("SELECT state FROM source") == ["HELD"]
    [(finished, error)] = await catalog.rows("SELECT finished_at IS NOT NULL, error FROM source_run WHERE id = 2")
    assert (finished, error[:42]) == (True, "It would remove 11 of the 51 entities of t")
    assert (await catalog.ingest(tree.root, allow_removals=True)).counts.removed == 11
    assert await catalog.rows("SELECT state FROM source") == ["IDLE"]


async def test_ten_removals_or_a_fifth_of_all_are_nothing_special(catalog: Catalog, tree: Tree) -> None:
    write_catalog(tree.root, 59, per_file=12)
    await catalog.ingest(tree.root)
    (tree.root / "components-0000000.yaml").unlink()
    assert (await catalog.ingest(tree.root)).counts.removed == 12, "of 60"
    write_catalog(tree.root / "few", 10)
    await catalog.ingest(tree.root / "few", name="few")
    (tree.root / "few/components-0000000.yaml").unlink()
    assert (await catalog.ingest(tree.root / "few", name="few")).counts.removed == 10, "of 10"


async def test_a_dry_run_says_what_would_change_and_writes_nothing(catalog: Catalog, tree: Tree) -> None:
    tables = ("ref", "source", "source_run", "source_file", "entity", "document", "relation", "problem", "change")
    tree.write("a.yaml", component("a"), component("b"))
    fresh = await catalog.ingest(tree.root, dry_run=True)
    assert (fresh.counts.added, fresh.counts.problems) == (3, 0)
    assert [await catalog.rows(f"SELECT count(*) FROM {table}") for table in tables] == [[0]] * len(tables)

    await catalog.ingest(tree.root)
    before = [await catalog.rows(f"SELECT t::text FROM {table} t ORDER BY 1") for table in tables]
    tree.write("a.yaml", component("a", system="play").replace("production", "experimental"), component("c"))
    report = await catalog.ingest(tree.root, dry_run=True)

    assert [(change.kind, change.ref, change.fields) for change in report.changes] == [
        ("UPDATED", A, ("/spec/lifecycle", "/spec/system")),
        ("DELETED", B, ()),
        ("CREATED", "component:default/c", ()),
    ]
    assert (report.counts.added, report.counts.changed, report.counts.removed, report.counts.problems) == (1, 1, 1, 1)
    assert [await catalog.rows(f"SELECT t::text FROM {table} t ORDER BY 1") for table in tables] == before


async def test_the_number_of_statements_does_not_grow_with_the_catalog(catalog: Catalog, tree: Tree) -> None:
    statements: list[str] = []
    event.listen(catalog.engine.sync_engine, "before_cursor_execute", lambda _c, _u, sql, *_: statements.append(sql))
    counts = []
    for entities in (10, 500):
        write_catalog(tree.root / str(entities), entities)
        statements.clear()
        await catalog.ingest(tree.root / str(entities), name=str(entities))
        counts.append(len(statements))
    assert counts[0] == counts[1]


async def test_an_untrusted_source_declares_no_people_and_loses_those_it_had(catalog: Catalog, tree: Tree) -> None:
    tree.write("a.yaml", component("a"))
    await catalog.ingest(tree.root)

    report = await catalog.ingest(tree.root, trusted=False, kinds=UNTRUSTED)

    assert await catalog.refs() == [A]
    assert (report.counts.removed, report.counts.rejected) == (1, 1)
    assert await catalog.problems() == [("dangling-reference", "a.yaml", 7), ("kind-not-allowed", "people.yaml", 2)]
    assert await catalog.rows("SELECT trusted, kinds FROM source") == [(False, list(UNTRUSTED.words))]


async def test_a_location_leads_to_the_files_of_its_tree_and_no_further(catalog: Catalog, tree: Tree) -> None:
    tree.write("away/x.yaml", component("x"))
    tree.write(
        "home/catalog-info.yaml",
        location(
            "./a.yaml",
            "teams/**/*.yaml",
            "file:./b.yaml",
            "missing.yaml",
            "teams",
            "../away/x.yaml",
            "https://example.com/x.yaml",
        ),
        location("./optional.yaml", name="maybe", presence="optional"),
    )
    for path, name in (
        ("a.yaml", "a"),
        ("b.yaml", "b"),
        ("teams/one/c.yaml", "c"),
        ("teams/d.yaml", "d"),
        ("e.yaml", "e"),
    ):
        tree.write(f"home/{path}", component(name, owner="component:a"))

    await catalog.ingest(tree.root / "home/catalog-info.yaml")

    assert await catalog.refs() == [
        *(f"component:default/{name}" for name in "abcd"),
        *("location:default/all", "location:default/maybe"),
    ]
    found = "SELECT field, message FROM problem WHERE rule = 'location-target' ORDER BY field"
    assert await catalog.rows(found) == [
        ("spec.targets[3]", "missing.yaml is not followed: there is no such file"),
        (
            "spec.targets[4]",
            "teams is not followed: it is a folder; a glob such as teams/**/*.yaml names the files in it",
        ),
        ("spec.targets[5]", "../away/x.yaml is not followed: it is outside the source's root"),
        (
            "spec.targets[6]",
            "https://example.com/x.yaml is not followed: example.com is not on the list of hosts that may be read",
        ),
    ]


async def test_a_location_that_breaks_does_not_take_its_tree_with_it(catalog: Catalog, tree: Tree) -> None:
    file = tree.write("all.yaml", location("people.yaml", "sub.yaml"))
    tree.write("sub.yaml", location("a.yaml", name="sub"))
    tree.write("a.yaml", component("a"))
    await catalog.ingest(file)
    tree.write("all.yaml", "kind: [\n")

    report = await catalog.ingest(file)

    assert (report.counts.removed, await catalog.refs()) == (
        0,
        [A, "location:default/all", "location:default/sub", ANN_REF],
    )


async def test_a_source_that_is_not_there_is_an_error_and_removes_nothing(catalog: Catalog, tree: Tree) -> None:
    source = FileSource.at(str(tree.root))
    await ingest(catalog.engine, source)
    tree.root.rename(tree.root.parent / "elsewhere")

    with pytest.raises(SourceError, match="No such file"):
        await ingest(catalog.engine, source)

    assert await catalog.refs() == [ANN_REF]
    assert await catalog.rows("SELECT state FROM source") == ["FAILED"]


async def test_a_second_run_of_a_source_waits_and_other_sources_do_not(catalog: Catalog, tree: Tree) -> None:
    tree.write("other/a.yaml", component("a"))
    told = asyncio.Event()
    async with catalog.engine.begin() as connection:
        await locks.lock(connection, locks.of_source(str(tree.root / "people.yaml")))
        waiting = asyncio.create_task(
            catalog.ingest(
                tree.root / "people.yaml", on_progress=lambda phase, _: told.set() if phase == "waiting" else None
            )
        )
        await catalog.ingest(tree.root / "other")
        await told.wait()
        await catalog.until_one_waits_for_a_lock()
        assert await catalog.refs() == [A]
    assert (await waiting).counts.added == 1


async def test_two_sources_side_by_side_end_as_if_one_had_come_after_the_other(catalog: Catalog, tree: Tree) -> None:
    for source in "one", "two":
        write_catalog(tree.root / source, 40)
    one, two = await asyncio.gather(*(catalog.ingest(tree.root / source) for source in ("one", "two")))
    assert sorted([one.counts.added, two.counts.added]) == [0, 40]
    assert sorted([one.counts.rejected, two.counts.rejected]) == [0, 40]


async def test_what_orjson_cannot_hold_is_not_lost(catalog: Catalog, tree: Tree) -> None:
    tree.write("a.yaml", component("a", **{"x-float": "1.0", "x-big": str(2**70), "x-text": '"\\U0001F600 \\u007f"'}))
    await catalog.ingest(tree.root)
    [stored] = await catalog.rows("SELECT spec::text FROM document WHERE spec ? 'x-big'")
    spec = json.loads(stored)
    assert (spec["x-float"], spec["x-text"]) == (1.0, "\U0001f600 \x7f")
    assert spec["x-big"] == pytest.approx(2**70)


async def test_hostile_lengths_do_not_stop_a_run(catalog: Catalog, tree: Tree) -> None:
    long = "".join(sha256(str(n).encode()).hexdigest() for n in range(100))
    tree.write("a.yaml", component("a").replace("production", long).replace("service", long))
    tree.write(f"{'d' * 200}/{'e' * 200}/{'f' * 200}/{'g' * 200}/{'h' * 200}/b.yaml", component("b"))
    (tree.root / os.fsdecode(b"\xff.yaml")).write_text(component("c"))

    await catalog.ingest(tree.root)

    assert await catalog.refs() == [A, ANN_REF]
    assert await catalog.rows("SELECT type, lifecycle FROM entity WHERE ref = :ref", ref=A) == [
        (long[:255], long[:255])
    ]
    assert [rule for rule, _, _ in await catalog.problems()] == ["file-unreadable", "file-unreadable"]


async def test_a_kind_that_is_not_allowed_goes_though_its_file_is_broken_elsewhere(
    catalog: Catalog, tree: Tree
) -> None:
    tree.write("b.yaml", component("b"))
    tree.write("a.yaml", component("a"), ANN.replace("ann", "bob"), location("./b.yaml"))
    await catalog.ingest(tree.root / "a.yaml", name="a")
    tree.write("a.yaml", "kind: [\n", ANN.replace("ann", "bob"), location("./b.yaml"))

    await catalog.ingest(tree.root / "a.yaml", name="a", kinds=AllowedKinds.of(["component"]))

    assert await catalog.refs() == [A], "neither Bob, nor the Location and what it led to"
