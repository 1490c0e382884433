"""Catalogs as their owners wrote them: nothing of a descriptor is lost, and what is wrong is said."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from db import jsonb
from db.rules import descriptors
from db.rules.placeholders import IncludeError
from tests.ingesting import Catalog

FOLDER = os.environ.get("CATALOGRAPH_TEST_CATALOGS")

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not FOLDER, reason="CATALOGRAPH_TEST_CATALOGS names the folder of the real catalogs"),
]


async def test_a_company_whose_catalog_repeats_and_dangles(catalog: Catalog) -> None:
    report = (await catalog.ingest(Path(FOLDER or "") / "giantswarm")).as_json()
    counts = {"documents": 105, "entities": 96, "added": 96, "rejected": 9, "skipped": 0, "problems": 91}
    assert {name: report[name] for name in counts} == counts
    by_rule = "SELECT rule, count(*), count(DISTINCT target_id) FROM problem GROUP BY rule ORDER BY rule"
    assert await catalog.rows(by_rule) == [("dangling-reference", 82, 46), ("duplicate-ref", 9, 0)]
    assert await catalog.rows("SELECT count(*) FROM problem WHERE line IS NULL OR location IS NULL") == [0]
    assert (await catalog.ingest(Path(FOLDER or "") / "giantswarm")).counts.unchanged == 96


@pytest.mark.parametrize(
    ("name", "documents", "entities"),
    [("giantswarm", 105, 96), ("roadie", 25, 24), ("bancorocks", 11, 11), ("backstage-demo", 9, 8)],
)
async def test_metadata_and_spec_are_read_back_as_they_were_written(
    catalog: Catalog, name: str, documents: int, entities: int
) -> None:
    folder = Path(FOLDER or "") / name
    report = await catalog.ingest(folder)
    assert (report.counts.documents, report.counts.entities) == (documents, entities)
    stored = {
        ref: (metadata, spec)
        for ref, metadata, spec in await catalog.rows(
            "SELECT e.ref, d.metadata::text, d.spec::text FROM entity e JOIN document d ON d.entity_id = e.id"
        )
    }
    written = {}
    for path in sorted(folder.rglob("*.yaml"), reverse=True):
        for record in reversed(descriptors.read(path.read_bytes(), include=_no_file).records):
            written[record.ref] = (record.metadata, record.spec)
    assert {ref: (_value(m), _value(s)) for ref, (m, s) in stored.items()} == written


@pytest.mark.parametrize("name", ["roadie", "bancorocks"])
async def test_a_root_location_leads_to_what_the_folder_has(catalog: Catalog, name: str) -> None:
    folder = Path(FOLDER or "") / name
    await catalog.ingest(folder / "catalog-info.yaml")
    reached = set(await catalog.rows("SELECT DISTINCT location FROM entity"))
    expected = {
        "roadie": {
            "catalog-info.yaml",
            "plugins/backend/backstage-plugin-aws-auth/catalog-info.yaml",
            "plugins/frontend/github-auth-utils-react/catalog-info.yaml",
        },
        "bancorocks": {
            "catalog-info.yaml",
            *(f"catalog/{part}.yaml" for part in ("domains", "groups", "org", "systems", "users")),
        },
    }
    assert reached == expected[name]


def _no_file(path: str) -> bytes:
    raise IncludeError(path)


def _value(text: str) -> object:
    return jsonb.decode(text)
