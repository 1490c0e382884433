"""Fixtures of the tests of the graph."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import strawberry

from db.engine import create_engine
from db.reading import Reads
from schema.build import create_schema
from tests.ingesting import Catalog
from tests.schema.graph import Graph


@pytest.fixture(scope="session")
def schema() -> strawberry.Schema:
    return create_schema()


@pytest.fixture
async def graph(database_url: str, schema: strawberry.Schema) -> AsyncIterator[Graph]:
    """The schema over an empty catalog."""
    engine, reads = create_engine(database_url), Reads(database_url)
    yield Graph(schema, engine, reads)
    await reads.close()
    await engine.dispose()


@pytest.fixture
async def company(graph: Graph) -> Graph:
    """The graph of `company.yaml`."""
    await Catalog(graph.engine).ingest(Path(__file__).parent / "company.yaml")
    return graph
