"""The benchmark of queries still runs, on a catalog of the promised shape; no figure is looked at."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from tests.bench.__main__ import main
from tests.bench.client import rounds
from tests.bench.landscape import Landscape, Sizes, sizes_of
from tests.bench.operations import FIVE, SHAPES, Operation
from tests.bench.processes import cpu_seconds
from tests.bench.profiling import Profile
from tests.bench.queries import DifferentError

SIZE = 1000

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="CPU times of other processes are read as Linux has them")


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """All descriptors of a small landscape."""
    return written(Landscape(SIZE), tmp_path_factory.mktemp("landscape"))


def written(landscape: Landscape, folder: Path) -> list[dict[str, Any]]:
    landscape.write(folder, per_file=100)
    files = sorted(folder.iterdir())
    return [orjson.loads(document) for file in files for document in file.read_bytes().split(b"\n---\n")]


@on_linux
@pytest.mark.parametrize(
    ("family", "operations"), [("five", FIVE), pytest.param("shapes", SHAPES, marks=pytest.mark.long)]
)
def test_the_limit_answers_every_query_as_the_project_does(family: str, operations: tuple[Operation, ...]) -> None:
    arguments = ("--size", str(SIZE), "--family", family, "--concurrency", "2", "--seconds", "0.1", "--json")
    result = CliRunner().invoke(main, ["queries", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert [(row["query"], row["concurrency"]) for row in rows] == [(operation.name, 2) for operation in operations]
    for row in rows:
        assert [*row] == [
            *("query", "concurrency", "server_cpu_ms", "postgres_cpu_ms", "ratio", "requests_per_second"),
            *("p50_ms", "p99_ms", "statements", "limit_server_cpu_ms", "limit_postgres_cpu_ms"),
        ]
        assert all(value > 0 for key, value in row.items() if key != "query")


@on_linux
def test_a_profile_is_of_the_server_as_users_start_it() -> None:
    arguments = ("--size", str(SIZE), "--only", "Q1", "--seconds", "0.5", "--profile")
    result = CliRunner().invoke(main, ["queries", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "Q1, µs of CPU a request, by " in result.stdout
    assert "| schema/levels/" in result.stdout


def test_an_answer_that_differs_is_shown_with_what_differs() -> None:
    error = DifferentError(
        FIVE[0], {"ref": "component:default/a"}, {"name": "a", "tags": []}, {"name": "b", "tags": []}
    )
    assert str(error).splitlines() == [
        "Q1 {'ref': 'component:default/a'}",
        "--- the project",
        "+++ the limit",
        "@@ -1,4 +1,4 @@",
        " {",
        '-  "name": "a",',
        '+  "name": "b",',
        '   "tags": []',
        " }",
    ]


def test_every_request_is_made_equally_often_however_short_the_time() -> None:
    assert [*rounds([b"a", b"b", b"c"], end=0.0)] == [b"a", b"b", b"c"]
    assert [*islice(rounds([b"a", b"b"], end=float("inf")), 5)] == [b"a", b"b", b"a", b"b", b"a"]


@on_linux
def test_cpu_time_of_a_process_that_has_ended_still_counts() -> None:
    before = cpu_seconds(os.getpid())
    subprocess.run([sys.executable, "-c", "import time\nwhile time.process_time() < 0.3: pass"], check=True)
    assert cpu_seconds(os.getpid()) - before > 0.25


def test_a_profile_has_the_time_of_a_function_alone_and_with_what_it_calls_once_each() -> None:
    profile = Profile([(("b.py:f", "a.py:g", "a.py:g"), 0.003), (("a.py:g",), 0.001)], requests=2)
    assert profile.functions() == [
        {"function": "b.py:f", "alone": 1500.0, "together": 1500.0},
        {"function": "a.py:g", "alone": 500.0, "together": 2000.0},
    ]
    assert [row["file"] for row in profile.files()] == ["b.py", "a.py"]


@pytest.mark.parametrize(
    ("entities", "sizes"),
    [
        (1_000, Sizes(3, 26, 600, 110, 120, 3, 18, 120)),
        (5_000, Sizes(15, 130, 3_000, 550, 600, 15, 90, 600)),
        (20_001, Sizes(30, 700, 12_001, 2_500, 2_500, 20, 250, 2_000)),
        (1_000_000, Sizes(1_250, 35_000, 600_000, 125_000, 125_000, 750, 13_000, 100_000)),
    ],
)
def test_a_landscape_of_any_size_has_the_proportions_of_the_known_ones(entities: int, sizes: Sizes) -> None:
    assert sizes_of(entities) == sizes
    assert sum(sizes) == entities


def test_a_landscape_is_the_same_every_time(documents: list[dict[str, Any]], tmp_path: Path) -> None:
    assert written(Landscape(SIZE), tmp_path) == documents
    kinds = {"Group": 21, "User": 120, "Domain": 3, "System": 26, "API": 110, "Resource": 120, "Component": 600}
    assert Counter(document["kind"] for document in documents) == kinds


def test_big_squads_and_big_domains_are_as_big_as_promised(documents: list[dict[str, Any]]) -> None:
    components = [document["spec"] for document in documents if document["kind"] == "Component"]
    assert Counter(spec["owner"] for spec in components)["squad-00000"] >= 60
    held = Counter(spec["system"] for spec in components)
    domains = [document for document in documents if document["kind"] == "System"]
    in_first = [one["metadata"]["name"] for one in domains if one["spec"]["domain"] == "domain-0000"]
    assert len(in_first) >= 22
    assert [name for name in in_first if held[name] < 21 and name < "system-00022"] == []
    assert {len(spec["dependsOn"]) for spec in components} == {5, 6, 7}


def test_every_reference_of_a_landscape_leads_somewhere(documents: list[dict[str, Any]]) -> None:
    names = {(document["kind"].lower(), document["metadata"]["name"]) for document in documents}
    kinds = {"owner": "group", "parent": "group", "memberOf": "group", "system": "system", "domain": "domain"}
    kinds |= {"providesApis": "api", "consumesApis": "api"}
    for document in documents:
        for field, value in document["spec"].items():
            for ref in [value] if isinstance(value, str) else value:
                if field == "dependsOn":
                    assert tuple(ref.split(":")) in names
                elif field in kinds:
                    assert (kinds[field], ref) in names


def test_variables_are_the_same_every_time_and_vary() -> None:
    for operation in (*FIVE, *SHAPES):
        drawn = operation.drawn(Landscape(20_000))
        assert drawn == operation.drawn(Landscape(20_000))
        assert len({str(variables) for variables in drawn}) >= len(drawn) / 3
