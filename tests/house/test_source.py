from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.house.checkout import published, tracked_files
from tests.house.source import global_state, hidden_imports, places_of_one_machine, unwanted_names


def test_finds_a_cycle_dodged_by_an_import_inside_a_function() -> None:
    source = """
import db.sync

def outer():
    import json
    async def inner():
        from schema.types import owner
        import api.app as app
"""

    assert hidden_imports(source) == [7, 8]


def test_finds_an_app_and_settings_made_by_an_import() -> None:
    assert global_state("app = create_app()\nsettings: Settings = read()\nSETTINGS = 1\n") == [1, 2, 3]
    assert global_state("def main():\n    app = create_app()\n    settings = 1\n") == []


def test_finds_names_that_say_nothing() -> None:
    assert unwanted_names("db.utils", "class Rows: ...") == ["db.utils"]
    assert unwanted_names("db.sync", "class SyncManager: ...\nclass Sync: ...") == ["db.sync.SyncManager"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("see https://registry.acme.example/simple", "registry.acme.example"),
        ("index-url = http://pypi.internal/simple", "pypi.internal"),
        ('path = "/home/anna/catalog"', "/home/anna/c"),
        ("cd /work/checkout", "/work/c"),
        ("/Users/bo/src/catalog", "/Users/bo/s"),
    ],
)
def test_finds_a_place_that_only_one_machine_has(line: str, words: str) -> None:
    assert list(places_of_one_machine(f"first\n{line}\n")) == [(2, words)]


@pytest.mark.parametrize("line", ["./work/x", "~/work/x", "/usr/bin/env", "https://example.com/work/x", "a registry."])
def test_lets_places_pass_that_everybody_has(line: str) -> None:
    assert list(places_of_one_machine(line)) == []


def git(root: Path, *arguments: str) -> None:
    who = ["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", root, *who, *arguments], check=True, capture_output=True)


def commit(root: Path, path: str, text: str) -> None:
    (root / path).write_text(text, encoding="utf-8")
    git(root, "add", path)
    git(root, "commit", "-m", text)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--initial-branch", "main")
    return tmp_path


def test_compares_with_the_last_commit_on_main(checkout: Path) -> None:
    commit(checkout, "sdl", "one")
    commit(checkout, "sdl", "two")

    assert published("sdl", checkout) == "two"


def test_compares_with_the_place_where_a_branch_left_main(checkout: Path) -> None:
    commit(checkout, "sdl", "one")
    git(checkout, "switch", "-c", "feature")
    commit(checkout, "sdl", "two")

    assert published("sdl", checkout) == "one"


def test_compares_with_the_last_release(checkout: Path) -> None:
    commit(checkout, "sdl", "one")
    git(checkout, "tag", "v1.0")
    commit(checkout, "sdl", "two")

    assert published("sdl", checkout) == "one"


def test_has_nothing_to_compare_with_outside_of_git_or_before_the_first_commit(tmp_path: Path, checkout: Path) -> None:
    assert published("sdl", checkout) is None
    assert published("sdl", tmp_path / "absent") is None
    assert tracked_files(tmp_path / "absent") is None


def test_reads_new_files_too_and_not_the_ignored_ones(checkout: Path) -> None:
    commit(checkout, ".gitignore", "dist/")
    (checkout / "dist").mkdir()
    (checkout / "dist" / "built").touch()
    (checkout / "new file").touch()

    assert tracked_files(checkout) == [checkout / ".gitignore", checkout / "new file"]
