"""What holds for the whole house. `make fix` mends what a program can mend; the rest is told line by line."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from graphql import GraphQLSchema, build_schema

from schema.build import create_schema
from tests.house import sdl, settings_table, source
from tests.house.checkout import ROOT, published, tracked_files

SNAPSHOT = "schema/schema.graphql"
SOURCES = [path for package in source.OUR_PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
SOURCES = [path for path in SOURCES if "node_modules" not in path.parts]
LOCK_FILES = ("package-lock.json", "uv.lock")  # written by tools; two tests below read them


@pytest.fixture(scope="module")
def printed() -> str:
    """The schema as the code has it now."""
    return create_schema().as_str().rstrip("\n") + "\n"


@pytest.fixture(scope="module")
def graph(printed: str) -> GraphQLSchema:
    return build_schema(printed)


def test_imports_point_downward() -> None:
    lint_imports = Path(sys.executable).with_name("lint-imports")

    done = subprocess.run([lint_imports, "--no-logo"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_printed_schema_is_the_one_under_review(printed: str) -> None:
    assert (ROOT / SNAPSHOT).read_text(encoding="utf-8") == printed, f"{SNAPSHOT} is not current: `make fix` prints it"


def test_no_client_breaks_unawares(printed: str) -> None:
    before = published(SNAPSHOT)
    if before is None:
        pytest.skip("git knows no earlier schema to compare with")
    accepted = sdl.accepted_changes((ROOT / "schema/BREAKING.md").read_text(encoding="utf-8"))

    unaware = [change for change in sdl.breaking_changes(before, printed) if not accepted.get(change)]

    assert unaware == [], "schema/BREAKING.md takes a line for each: - <sentence> Because <reason>."


def test_every_element_of_the_schema_is_described_in_sentences(graph: GraphQLSchema) -> None:
    assert sdl.badly_described(graph) == [], "a description starts with a capital letter and ends with a full stop"


def test_one_field_name_has_one_shape_wherever_entities_mix(graph: GraphQLSchema) -> None:
    assert sdl.clashing_shapes(graph) == []


def test_every_setting_stands_in_the_readme() -> None:
    readme = settings_table.README.read_text(encoding="utf-8")

    assert settings_table.with_table(readme, settings_table.table()) == readme, "`make fix` writes the table"


def test_no_cycle_is_dodged_inside_a_function() -> None:
    assert [f"{place(path)}:{line}" for path in SOURCES for line in source.hidden_imports(text_of(path))] == []


def test_no_module_holds_an_app_or_settings() -> None:
    assert [f"{place(path)}:{line}" for path in SOURCES for line in source.global_state(text_of(path))] == []


def test_every_name_is_of_the_domain() -> None:
    modules = ((".".join(path.relative_to(ROOT).with_suffix("").parts), path) for path in SOURCES)

    assert [name for module, path in modules for name in source.unwanted_names(module, text_of(path))] == []


def test_no_file_names_a_place_of_one_machine() -> None:
    files = tracked_files()
    if files is None:
        pytest.skip("git is needed to tell our files from others")
    own = [path for path in files if path.name not in LOCK_FILES and not path.is_relative_to(ROOT / "tests/house")]

    assert [
        f"{place(path)}:{line}: {words}"
        for path in own
        if (text := text_if_any(path))
        for line, words in source.places_of_one_machine(text)
    ] == []


def test_the_lock_takes_every_package_from_one_registry_and_none_that_hides_our_own() -> None:
    packages = tomllib.loads(text_of(ROOT / "uv.lock"))["package"]

    assert len({package["source"].get("registry") for package in packages} - {None}) == 1
    assert not {package["name"] for package in packages} & set(source.OUR_PACKAGES)


def test_the_explorers_lock_leaves_the_registry_to_whoever_builds() -> None:
    assert '"resolved"' not in text_of(ROOT / "api/explorer/package-lock.json")


def place(path: Path) -> Path:
    return path.relative_to(ROOT)


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def text_if_any(path: Path) -> str | None:
    try:
        return text_of(path)
    except UnicodeDecodeError:
        return None
