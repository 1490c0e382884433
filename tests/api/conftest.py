"""Fixtures of the tests of the process: a catalog, and a folder to fill it from."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from db.engine import create_engine
from tests.ingesting import ANN, Catalog, Tree


@pytest.fixture
async def catalog(database_url: str) -> AsyncIterator[Catalog]:
    """An empty catalog."""
    engine = create_engine(database_url)
    yield Catalog(engine)
    await engine.dispose()


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A folder with only Ann in it, who owns what the tests declare."""
    tree = Tree(Path(os.path.realpath(tmp_path)) / "tree")
    tree.write("people.yaml", ANN)
    return tree
