"""Text search: what is found, in which order, and where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.ingesting import Catalog
from tests.schema.graph import Graph

pytestmark = pytest.mark.anyio

CATALOG = """
component payments: {title: "Payments", description: "Takes money.", tags: [core]}
component payments-worker: {title: "Worker of payments"}
component checkout: {title: "Checkout and payments", tags: [web]}
component billing: {tags: [payments, go]}
component ledger: {description: "Remembers what came in by payments. %s"}
component golang-template: {title: "Golang template"}
component category-tree: {title: "100%% _of_ the tree"}
component elan: {title: "\\u00c9lan vital \\U0001F680"}
resource player-db: {title: "Player's database"}
group pay: {title: "Pay squad"}
"""


def descriptors() -> str:
    documents = []
    for line in (CATALOG % ("And more. " * 20)).strip().splitlines():
        (kind, name), metadata = line.partition(":")[0].split(), line.partition(": {")[2]
        spec = {
            "component": "type: service, lifecycle: production, owner: pay",
            "resource": "type: database, owner: pay",
            "group": "type: squad, children: []",
        }[kind]
        documents.append(
            f"apiVersion: backstage.io/v1alpha1\nkind: {kind.capitalize()}\n"
            f"metadata: {{name: {name}, {metadata}\nspec: {{{spec}}}\n"
        )
    return "---\n".join(documents)


@pytest.fixture
async def shop(graph: Graph, tmp_path: Path) -> Graph:
    (tmp_path / "shop.yaml").write_text(descriptors())
    await Catalog(graph.engine).ingest(tmp_path)
    return graph


async def found(graph: Graph, text: str, **more: Any) -> list[str]:
    query = """query($text: String!, $filter: EntityFilter) { search(text: $text, filter: $filter) {
        totalCount nodes { score entity { name } }
    } }"""
    search = (await graph.ask(query, text=text, statements=1, **more))["search"]
    scores = [node["score"] for node in search["nodes"]]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score <= 1 for score in scores)
    assert search["totalCount"] == len(scores)
    return [node["entity"]["name"] for node in search["nodes"]]


async def test_a(shop: Graph) -> None:
    print(await found(shop, "payments"))
    print(await found(shop, "paymnts"))
    print(await shop.ask('{ search(text: "paymnts") { nodes { score highlights { field fragment } entity { __typename id ref ... on Component { system { name } } owner { name } } } } }'))
