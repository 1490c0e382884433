"""Clients in JavaScript ask the server, each in its own way, and the compilers of their documents take its schema."""

from __future__ import annotations

import re
import time
from pathlib import Path

import orjson
import pytest
from graphql import FragmentDefinitionNode, OperationDefinitionNode, parse, print_ast

from tests.bench.processes import Server
from tests.clients.workshop import Workshop

pytestmark = [pytest.mark.xdist_group("clients"), pytest.mark.timeout(300)]  # the packages may have to be fetched

Graph = dict[str, str]

CODEGEN = "node_modules/@graphql-codegen/cli/cjs/bin.js"
TSC = "node_modules/typescript/bin/tsc"
RELAY_COMPILER = "node_modules/relay-compiler/cli.js"


def ended_operations(server: Server, name: str) -> list[tuple[int, str | None]]:
    """The operations of this name that have ended: how many answers each had, and how it ended if the log says so.

    Waits for the first: the client does not hear of it.
    """
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        lines = map(orjson.loads, server.log.read_bytes().splitlines())
        if ended := [(line["answers"], line.get("end")) for line in lines if line.get("operation") == name]:
            return ended
        time.sleep(0.02)
    raise TimeoutError(f"{name} has not ended")


def test_graphql_over_http_is_kept_to_the_letter(workshop: Workshop, graph: Graph) -> None:
    assert workshop.said("audits.mjs", **graph) == {"audits": 61, "notOk": []}


def test_graphql_sse_is_answered_told_and_let_go(workshop: Workshop, graph: Graph, server: Server) -> None:
    assert workshop.said("graphql_sse.mjs", **graph) == {
        "registered": ["component:default/by-graphql-sse"],
        "first": {"eventKind": "CREATED", "entity": {"name": "by-graphql-sse"}},
        "done": True,
        "refused": ["GRAPHQL_VALIDATION_FAILED"],
        "stranger": 401,
    }
    assert ended_operations(server, "FollowedBySse") == [(1, None)]


def test_graphql_ws_shows_another_token_and_is_answered_told_and_let_go(
    workshop: Workshop, graph: Graph, server: Server
) -> None:
    assert workshop.said("graphql_ws.mjs", **graph) == {
        "registered": ["component:default/by-graphql-ws"],
        "first": {"eventKind": "CREATED", "entity": {"name": "by-graphql-ws"}},
        "done": True,
        "refused": ["GRAPHQL_VALIDATION_FAILED"],
        "closes": [[4403, "This is no API token: a part of it is missing, or something was added"]],
    }
    assert ended_operations(server, "FollowedBySocket") == [(1, "cancelled")]


def test_apollo_pages_follows_and_reads_the_code_of_an_error(workshop: Workshop, graph: Graph) -> None:
    assert workshop.said("apollo.mjs", **graph) == {
        "pages": [["index", "orphan"], ["index", "orphan", "Player"]],
        "bySocket": ["CREATED", "by-apollo-socket"],
        "byStream": ["CREATED", "by-apollo-stream"],
        "refused": ["BAD_USER_INPUT"],
        "stranger": ["UNAUTHENTICATED"],
    }


def test_urql_asks_follows_and_reads_the_code_of_an_error(workshop: Workshop, graph: Graph) -> None:
    player = {"__typename": "Component", "name": "Player", "owner": {"__typename": "Group", "title": "players"}}
    assert workshop.said("urql.mjs", **graph) == {
        "byGet": player,
        "byPost": player,
        "bySocket": {"eventKind": "CREATED", "entity": {"name": "by-urql-socket"}},
        "byStream": {"eventKind": "CREATED", "entity": {"name": "by-urql-stream"}},
        "refused": ["BAD_USER_INPUT"],
        "stranger": ["UNAUTHENTICATED"],
    }


def test_relay_compiles_the_pages_and_its_runtime_reads_them(workshop: Workshop, graph: Graph) -> None:
    as_relay_modules(workshop.folder / "pages.graphql", workshop.folder / "relay")
    told = re.sub(r"\x1b\[\d*m", "", workshop.run(RELAY_COMPILER, "relay.config.json"))
    assert [line for line in told.splitlines() if not line.startswith("[INFO]")] == []

    assert workshop.said("relay.mjs", **graph) == {
        "pages": [["index", "orphan"], ["index", "orphan", "Player"]],
        "again": "index",
        "registered": "component:default/by-relay",
        "event": "CREATED",
        "refused": ["BAD_USER_INPUT"],
    }


def as_relay_modules(documents: Path, folder: Path) -> None:
    """Write each operation and fragment as a module of JavaScript, whose name Relay wants theirs to begin with."""
    for definition in parse(documents.read_text()).definitions:
        assert isinstance(definition, OperationDefinitionNode | FragmentDefinitionNode)
        assert definition.name
        found = re.fullmatch(r"(\w+?)(?:_\w+|Query|Mutation|Subscription)", definition.name.value)
        assert found, definition.name.value
        (folder / f"{found[1]}.js").write_text(f"graphql`\n{print_ast(definition)}\n`;\n")


def test_codegen_types_the_pages_and_what_reads_them_compiles(workshop: Workshop, graph: Graph) -> None:
    assert workshop.run(CODEGEN, "--config", "codegen.yaml", "--silent", **graph) == ""
    assert workshop.run(TSC) == ""
    assert workshop.said("built/typed.mjs", **graph) == {
        "titles": ["The player", "index", "orphan"],
        "lifecycles": [["production", 2], ["deprecated", 1], [None, 1]],
        "mine": ["index", "The player", "player-skin"],
        "dependencies": ["index", "database"],
        "owned": ["openapi: 3.1.0", 'syntax = "proto3";'],
    }
