"""What is written through one server is told by another, also while somebody does not listen."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.live import followed, pair

pytestmark = pytest.mark.anyio


async def test_a_change_through_one_server_reaches_the_followers_of_another(database_url: str, tmp_path: Path) -> None:
    async with pair(database_url, tmp_path) as servers:
        found = await followed(servers, subscribers=4, deaf=1, matching=3, changes=3)
    assert (found.subscribers, found.deaf, found.matching, found.changes) == (4, 1, 3, 3)
    assert 0 < found.told_p50_ms <= found.told_last_ms
    assert found.server_cpu_ms > 0
