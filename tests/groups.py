"""A pytest plugin: makes pytest-xdist's `--dist loadgroup` group by the mark `xdist_group`.

Under pytest 9.2 pytest-xdist 3.8 groups nothing, without a word: https://github.com/pytest-dev/pytest-xdist/issues/1386.
It tells its controller of groups by a suffix to a test's id, and writes that where pytest does not read it any more.
"""

from __future__ import annotations

import pytest
from _pytest.nodeid import NodeId


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In a process of pytest-xdist, write the suffix where pytest reads it."""
    if not config.getoption("loadgroup", default=False):
        return
    for item in items:
        if group := item.get_closest_marker("xdist_group"):
            item._id = NodeId.parse(f"{item.nodeid}@{group.args[0]}")
