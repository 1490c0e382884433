"""`catalograph documents`: what a frontend's CI sees, and what it leaves for the server."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import strawberry
from click.testing import CliRunner, Result

from api import documents_command
from api.app import _operations
from api.cli import main
from api.settings import Settings
from schema.build import create_schema
from tests.house.checkout import ROOT

pytestmark = pytest.mark.usefixtures("on_its_own")


@pytest.fixture(scope="module")
def schema() -> strawberry.Schema:
    return create_schema()


@pytest.fixture
def on_its_own(monkeypatch: pytest.MonkeyPatch, schema: strawberry.Schema) -> None:
    """Without a database, and with a schema that was made once for all tests."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/nowhere")  # whoever looked for it would fail
    monkeypatch.setattr(documents_command, "create_schema", lambda: schema)


@pytest.fixture
def frontend(tmp_path: Path) -> Path:
    """The files of a frontend, with the schema that it has for its editor."""
    source = tmp_path / "web"
    (source / "squad").mkdir(parents=True)
    (source / "node_modules" / "other").mkdir(parents=True)
    (source / "node_modules" / "other" / "broken.graphql").write_text("{")
    (source / "schema.graphql").write_text("type Query { hello: String }")
    (source / "pages.graphql").write_text(
        "# The page of a squad.\n"
        "query Squad($ref: EntityRef!, $first: Int = 50) {\n"
        "  group(ref: $ref) { ...Head ownedEntities(first: $first) { nodes { ...Row } } }\n"
        "}\n\n"
        "query Heads { groups(first: 10) { nodes { ...Head } } }\n"
    )
    (source / "squad" / "parts.gql").write_text(
        "fragment Head on Group { title parent { title } }\n\n"
        "fragment Row on Entity {\n  ref\n}\n\n"
        "mutation Run($input: SourceRunInput!) { sourceRun(input: $input) { userErrors { code } } }\n"
    )
    return source


def run(*words: str | Path) -> Result:
    return CliRunner(env={"COLUMNS": "100"}).invoke(main, ["documents", *map(str, words)])


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


HEADS = "query Heads { groups(first: 10) { nodes { ...Head } } }\n\nfragment Head on Group { title parent { title } }\n"


def test_each_operation_is_written_with_the_fragments_that_it_uses_and_says_what_it_costs(
    frontend: Path, tmp_path: Path
) -> None:
    trusted = tmp_path / "trusted"
    result = run("build", frontend, "--to", trusted)
    manifest = json.loads((trusted / "documents.json").read_text())
    assert (manifest["format"], manifest["version"]) == ("apollo-persisted-query-manifest", 1)
    heads, run_, squad = manifest["operations"]
    assert heads == {"id": sha256(HEADS), "name": "Heads", "type": "query", "body": HEADS}
    assert (run_["name"], run_["type"], run_["id"]) == ("Run", "mutation", sha256(run_["body"]))
    assert squad["body"].count("fragment") == 2
    assert result.output.splitlines() == [
        "Operation  Id            Depth  Cost  Scopes       ",
        f"Heads      {heads['id'][:12]}      2    21  catalog:read ",
        f"Run        {run_['id'][:12]}      2    11  catalog:write",
        f"Squad      {squad['id'][:12]}      2    53  catalog:read ",
        f"3 documents in {trusted}/documents.json",
    ]
    assert result.exit_code == 0


def test_what_is_built_is_what_the_server_trusts_and_the_same_each_time(
    frontend: Path, tmp_path: Path, schema: strawberry.Schema
) -> None:
    trusted = tmp_path / "trusted"
    run("build", frontend, "--to", trusted)
    first = (trusted / "documents.json").read_bytes()
    run("build", frontend, "--to", trusted, "--name", "web-2")
    assert (trusted / "web-2.json").read_bytes() == first
    result = run("check", trusted)
    assert (result.output, result.exit_code) == (f"3 documents in {trusted}, and all can be trusted.\n", 0)
    settings = Settings(documents=trusted, trusted_documents="required")
    assert _operations(settings, schema, lambda _caller, _cost: None).ready(HEADS).name == "Heads"


@pytest.mark.parametrize("id", [hashlib.sha1(b"query A { __typename }").hexdigest(), sha256("query A { __typename }")])  # noqa: S324
def test_what_a_frontends_tool_has_written_keeps_its_ids(tmp_path: Path, id: str) -> None:
    codegen = tmp_path / "persisted-documents.json"
    codegen.write_text(json.dumps({id: "query A { __typename }"}))
    assert run("build", codegen, "--to", tmp_path / "trusted").exit_code == 0
    (operation,) = json.loads((tmp_path / "trusted" / "documents.json").read_text())["operations"]
    assert operation == {"id": id, "name": "A", "type": "query", "body": "query A { __typename }"}


WRONG: list[tuple[dict[str, str], list[str]]] = [
    ({"a.graphql": "query {"}, ["a.graphql:1: Syntax Error: Expected Name, found <EOF>."]),
    ({"a.graphql": "\n\nquery { __typename }"}, ["a.graphql:3: an operation needs a name, by which people tell it from others"]),
    (
        {"a.graphql": "query A {\n  ...F\n}\n", "b.graphql": "\nfragment F on Query {\n  __typename\n  nope\n}"},
        ["b.graphql:4: Cannot query field 'nope' on type 'Query'. Did you mean 'node' or 'nodes'?"],
    ),
    ({"a.graphql": "query A {\n  ...Gone\n}"}, ["a.graphql:2: Unknown fragment 'Gone'."]),
    (
        {"a.graphql": "query A { __typename }", "b.graphql": "\nquery A { b: __typename }"},
        ["b.graphql:2: A is something else already: a.graphql:1"],
    ),
    (
        {"a.graphql": "query A {\n  components(first: 100) {\n    nodes { dependencies(first: 100) { nodes { relations(first: 100) { nodes { type } } } } }\n  }\n}"},
        ["a.graphql:3: The operation costs up to 1020201; 50000 is allowed; its dearest list is `relations`"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("files", "problems"), WRONG)
def test_what_is_wrong_is_told_with_the_place_in_the_frontends_own_file(
    tmp_path: Path, files: dict[str, str], problems: list[str]
) -> None:
    source = tmp_path / "web"
    source.mkdir()
    for name, text in files.items():
        (source / name).write_text(text)
    result = run("build", source, "--to", tmp_path / "trusted")
    assert [line.replace(f"{source}/", "") for line in result.stderr.splitlines()] == problems
    assert (result.stdout, result.exit_code) == ("", 1)
    assert not (tmp_path / "trusted").exists()


def test_a_folder_that_would_stop_the_server_stops_the_ci(tmp_path: Path) -> None:
    (tmp_path / "page.graphql").write_text("{\n  nope\n}")
    (tmp_path / "web.json").write_text(json.dumps({sha256("x"): "{ __typename }"}))
    result = run("check", tmp_path)
    assert [line.replace(f"{tmp_path}/", "") for line in result.stderr.splitlines()] == [
        f"web.json:1: {sha256('x')}: the SHA-256 of the text is another one: {sha256('{ __typename }')}",
        "page.graphql:2: Cannot query field 'nope' on type 'Query'. Did you mean 'node' or 'nodes'?",
    ]
    assert (result.stdout, result.exit_code) == ("", 1)


def test_the_limits_are_those_of_the_settings(frontend: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CATALOGRAPH_COST_LIMIT", "50")
    result = run("build", frontend, "--to", tmp_path / "trusted")
    reason = "The operation costs up to 53; 50 is allowed; its dearest list is `ownedEntities`"
    assert result.stderr == f"{frontend}/pages.graphql:3: {reason}\n"
    monkeypatch.setenv("CATALOGRAPH_COST_LIMIT", "much")
    result = run("build", frontend, "--to", tmp_path / "trusted")
    assert (result.exit_code, result.stderr.splitlines()[0].startswith("Error: CATALOGRAPH_COST_LIMIT")) == (1, True)


@pytest.mark.parametrize("words", [("check", "nowhere"), ("build", "nowhere", "--to", "there"), ("build",)])
def test_a_command_that_is_not_whole_is_told_so(words: Any) -> None:
    assert run(*words).exit_code == 2


def test_the_pages_of_a_portal_pass_the_limits(tmp_path: Path) -> None:
    built = run("build", ROOT / "tests" / "clients" / "pages.graphql", "--to", tmp_path / "trusted")
    assert built.exit_code == 0, built.output
    pages = {words[0]: int(words[3].replace(",", "")) for words in map(str.split, built.stdout.splitlines()[1:-1])}
    assert {"CatalogPageQuery", "ManagePageQuery", "ServicePageQuery", "SquadPageQuery"} <= pages.keys()
    assert max(pages.values()) < 5_000  # a tenth of what is allowed


def test_a_folder_without_operations_is_no_manifest(tmp_path: Path) -> None:
    (tmp_path / "page.ts").write_text("export const page = gql`query Page { __typename }`")
    built = run("build", tmp_path, "--to", tmp_path / "trusted")
    assert (built.exit_code, built.stderr.startswith("Error: There is no operation in ")) == (1, True)
    assert not (tmp_path / "trusted").exists()
