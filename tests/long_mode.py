"""A pytest plugin: tests marked `long` are skipped, and say so, unless CATALOGRAPH_TEST_LONG is set."""

from __future__ import annotations

import os

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what takes minutes in an ordinary run."""
    if os.environ.get("CATALOGRAPH_TEST_LONG"):
        return
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.skip(reason="takes minutes: `make test-long` runs it"))
