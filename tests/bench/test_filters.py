"""The benchmark of filters still runs, and its paths are indexed the second time; no figure is looked at."""

from __future__ import annotations

import json

from click.testing import CliRunner

from tests.bench.__main__ import main
from tests.bench.filters import questions


def test_each_filter_and_order_is_asked_and_each_path_twice() -> None:
    done = CliRunner().invoke(main, ["filters", "--entities", "1000", "--turns", "1", "--json"], catch_exceptions=False)
    rows = json.loads(done.stdout)
    plain, paths = list(questions(with_paths=False)), list(questions(with_paths=True))
    assert [row["question"] for row in rows] == plain + paths + paths
    assert [row["indexed"] for row in rows] == [None] * len(plain) + [False] * len(paths) + [True] * len(paths)
    assert {row["indexed"] for row in rows if "document_at_" in row["read"]} == {True}
