"""What the README shows is true: its queries run on the demo catalog, and find something."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from api.commands import DEMO_GUEST
from api.live import LiveFeed
from db.engine import create_engine
from db.reading import Reads
from schema.build import create_schema
from tests.ingesting import Catalog
from tests.schema.graph import Graph

ROOT = Path(__file__).parents[1]
QUERIES = [
    pytest.param(query, id=f"{path.name}-{n}")
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    for n, query in enumerate(re.findall(r"```graphql\n(.*?)```", path.read_text(), re.DOTALL), start=1)
]


def test_the_readme_has_five_queries() -> None:
    assert sum(str(query.id).startswith("README") for query in QUERIES) == 5


@pytest.fixture
async def demo(database_url: str) -> AsyncIterator[Graph]:
    """The graph of the demo catalog."""
    engine, reads = create_engine(database_url), Reads(database_url)
    await Catalog(engine).ingest(ROOT / "api/demo/catalog")
    feed = LiveFeed(partial(asyncpg.connect, database_url), reads)
    await feed.look()
    yield Graph(create_schema(), engine, reads, feed, caller=DEMO_GUEST)
    await reads.close()
    await engine.dispose()


@pytest.mark.anyio
@pytest.mark.parametrize("query", QUERIES)
async def test_a_query_of_the_docs_finds_something(demo: Graph, query: str) -> None:
    if query.lstrip().startswith("subscription"):
        async with aclosing(demo.follow(query)) as events:
            data = await anext(events)
    else:
        data = await demo.ask(query)
    assert [path for path, value in _leaves(data) if value in (None, [], 0) and path not in MAY_BE_EMPTY] == []


# A relation's missing target is null, a problem need not have all, and a catalog entry may have no system.
# What is there at the start of a subscription comes from no change.
MAY_BE_EMPTY = {
    "change",
    "hint",
    "entityRef",
    "field",
    "system",
    "target",
    "nodes",
    "totalCount",
    "parent",
    "userErrors",
}


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value and path not in ("spec", "metadata"):
        for key, inner in value.items():
            yield from _leaves(inner, key)
    elif isinstance(value, list) and value and path not in ("spec", "metadata"):
        for inner in value:
            yield from _leaves(inner, path)
    else:
        yield path, value
