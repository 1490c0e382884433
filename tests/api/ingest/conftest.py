"""Fixtures of the tests of ingestion."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from db.engine import create_engine
from tests.ingesting import ANN, Catalog, Tree
from tests.pages import Site, serving


@pytest.fixture
async def catalog(database_url: str) -> AsyncIterator[Catalog]:
    """An empty catalog."""
    engine = create_engine(database_url)
    yield Catalog(engine)
    await engine.dispose()


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A folder with only Ann in it, who owns what the tests declare."""
    tree = Tree(tmp_path / "tree")
    tree.write("people.yaml", ANN)
    return tree


@pytest.fixture
def site() -> Iterator[Site]:
    """A web site on this machine, without pages."""
    with serving() as site:
        yield site
