"""Catalogs as their owners wrote them, asked through the graph, and compared with another reading of their YAML."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.ingesting import Catalog
from tests.schema.graph import Graph

FOLDER = os.environ.get("CATALOGRAPH_TEST_CATALOGS")

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not FOLDER, reason="CATALOGRAPH_TEST_CATALOGS names the folder of the real catalogs"),
]

# What PyYAML reads by YAML 1.1, and these catalogs mean as text, stays text; the rest it resolves itself.
YamlLoader = type("YamlLoader", (yaml.SafeLoader,), {})
YamlLoader.yaml_implicit_resolvers = {  # type: ignore[attr-defined]
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":timestamp", ":merge"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def declared(folder: Path) -> dict[str, tuple[Any, Any]]:
    """Metadata and spec of each ref, of the first document that declares it."""
    found: dict[str, tuple[Any, Any]] = {}
    for path in sorted(folder.rglob("*.yaml")):
        for document in yaml.load_all(path.read_text(), YamlLoader):
            metadata = document["metadata"]
            ref = f"{document['kind']}:{metadata.get('namespace', 'default')}/{metadata['name']}".lower()
            found.setdefault(ref, (metadata, document.get("spec", {})))
    return found


async def pages(graph: Graph, field: str, selection: str) -> Iterator[Any]:
    """All nodes of a root connection."""
    nodes, at, more = [], None, True
    while more:
        query = f"query($at: String) {{ page: {field}(first: 100, after: $at) {{ nodes {{ {selection} }} pageInfo {{ hasNextPage endCursor }} }} }}"
        page = (await graph.ask(query, at=at))["page"]
        nodes += page["nodes"]
        at, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    return iter(nodes)


@pytest.mark.parametrize(
    ("name", "entities", "rejected"),
    [
        ("giantswarm", 96, set()),
        ("roadie", 24, {"template:default/jsonata-demo"}),
        ("bancorocks", 11, set()),
        ("backstage-demo", 8, {"api:default/demo-graphql"}),
    ],
)
async def test_nothing_of_metadata_or_spec_is_lost(graph: Graph, name: str, entities: int, rejected: set[str]) -> None:
    folder = Path(FOLDER or "") / name
    await Catalog(graph.engine).ingest(folder)
    served = {
        node["ref"]: (node["metadata"], node["spec"]) for node in await pages(graph, "entities", "ref metadata spec")
    }
    expected = declared(folder)
    assert (len(served), set(expected) - set(served)) == (entities, rejected)
    assert served == {ref: document for ref, document in expected.items() if ref in served}


async def test_what_is_wrong_is_listed_with_file_and_line(graph: Graph) -> None:
    await Catalog(graph.engine).ingest(Path(FOLDER or "") / "giantswarm")
    problems = list(await pages(graph, "problems", "rule location line document entityRef field message"))
    assert Counter(problem["rule"] for problem in problems) == {"dangling-reference": 82, "duplicate-ref": 9}
    assert {problem["location"] for problem in problems} == {
        "catalogs/charts.yaml",
        "catalogs/crds.yaml",
        "catalogs/groups.yaml",
    }
    lines = {
        path: (Path(FOLDER or "") / "giantswarm" / path).read_text().splitlines()
        for path in {p["location"] for p in problems}
    }
    for problem in problems:
        line = lines[problem["location"]][problem["line"] - 1]
        named = problem["message"].split()[0 if problem["rule"] == "duplicate-ref" else 2].split("/")[-1].rstrip(",")
        assert named in line.lower(), (problem, line)
