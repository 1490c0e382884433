"""A crowd comes, and those beside it are answered."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.crowd import Crowd, measured
from tests.bench.databases import load
from tests.bench.landscape import SMALLEST, Landscape

pytestmark = pytest.mark.anyio


@pytest.mark.long
async def test_a_crowd_comes_and_others_are_answered_beside_it(database_url: str, tmp_path: Path) -> None:
    landscape, crowd = Landscape(SMALLEST), Crowd(subscriptions=3, slow_readers=2, half_open=2)
    await load(database_url, landscape)
    alone, among = await measured(database_url, landscape, crowd, rate=20, seconds=1, rounds=1, logs=tmp_path)
    assert [(asked.crowd, *map(len, asked.turns)) for asked in (alone, among)] == [(None, 20), (crowd, 20)]
    assert 0 < among.percentile(50) <= among.percentile(99)
    assert len(among.crowd_cpu) == 1
