"""Fixtures of the tests of ingestion."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.pages import Site, serving


@pytest.fixture
def site() -> Iterator[Site]:
    """A web site on this machine, without pages."""
    with serving() as site:
        yield site
