"""What clients are told, what they are not told, and that the documentation says so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from graphql import GraphQLError, build_schema, execute_sync, parse
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from db.engine import DatabaseUnreachableError
from schema import errors
from schema.errors import BadUserInput, CatalogError, for_client, formatted

DOCS = Path(__file__).parents[2] / "docs" / "errors.md"
CODE_ROW = re.compile(r"^\| `([A-Z_]+)` \| (\d+)(\*?) \|", re.MULTILINE)


def family(root: type[CatalogError] = CatalogError) -> Iterator[type[CatalogError]]:
    for child in root.__subclasses__():
        if hasattr(child, "code"):
            yield child
        yield from family(child)


def test_every_code_is_documented_with_its_status_and_no_other() -> None:
    documented = {(code, int(status), bool(star)) for code, status, star in CODE_ROW.findall(DOCS.read_text())}
    assert documented == {(error.code, error.status, error.status_in_json) for error in family()}


def test_the_tree_in_the_docstring_names_every_class_and_code() -> None:
    tree = dict(re.findall(r"── (\w+) +([A-Z_]+) ", errors.__doc__ or ""))
    assert tree == {error.__name__: error.code for error in family()}


def test_an_unforeseen_error_says_nothing_but_its_request_id() -> None:
    answer = for_client(RuntimeError("postgresql://catalog:hunter2@db/catalog"), "id-1")
    assert answer.formatted == {
        "message": "Internal error",
        "extensions": {"code": "INTERNAL", "requestId": "id-1"},
    }


def test_a_plain_graphql_error_raised_by_a_resolver_is_masked_too() -> None:
    raised = GraphQLError("details", path=["field"])
    assert for_client(GraphQLError("details", path=["field"], original_error=raised), "id").code == "INTERNAL"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DatabaseUnreachableError("no route"), "UNAVAILABLE"),
        (PoolTimeoutError("QueuePool limit"), "UNAVAILABLE"),
        (asyncpg.InterfaceError("connection is closed"), "UNAVAILABLE"),
        (asyncpg.AdminShutdownError("terminating connection"), "UNAVAILABLE"),
        (asyncpg.TooManyConnectionsError("sorry"), "UNAVAILABLE"),
        (asyncpg.QueryCanceledError("statement timeout"), "TIMEOUT"),
        (asyncpg.UndefinedTableError("no such table"), "INTERNAL"),
        (ConnectionResetError("some other service"), "INTERNAL"),
        (TimeoutError("some other service"), "INTERNAL"),
    ],
)
def test_faults_of_the_database_are_told_from_faults_of_ours(error: Exception, code: str) -> None:
    assert for_client(GraphQLError("x", path=["field"], original_error=error), "id").code == code


def test_an_error_of_the_family_keeps_its_message_code_and_place() -> None:
    raised = BadUserInput("'first' is 1 to 100, not 0.", argument="first")
    (located,) = run("{ page }", raised)
    assert formatted(located, for_client(located, "id")) == {
        "message": "'first' is 1 to 100, not 0.",
        "locations": [{"line": 1, "column": 3}],
        "path": ["page"],
        "extensions": {"code": "BAD_USER_INPUT", "argument": "first"},
    }


def test_a_refused_variable_is_the_clients_fault() -> None:
    (located,) = run("query ($n: Int) { page(n: $n) }", 1, {"n": "x"})
    assert for_client(located, "id").code == "BAD_USER_INPUT"


def test_a_null_for_an_argument_that_needs_a_value_is_the_clients_fault() -> None:
    (located,) = run("query ($n: Int = 1) { sure(n: $n) }", 1, {"n": None})
    assert (located.path, for_client(located, "id").code) == (["sure"], "BAD_USER_INPUT")


@pytest.mark.parametrize("value", [None, "not a number", 2**40])
def test_a_result_that_does_not_fit_the_schema_is_our_fault(value: object) -> None:
    (located,) = run("{ sure(n: 1) }", value)
    assert for_client(located, "id").code == "INTERNAL"


def run(query: str, page: object, variables: dict[str, object] | None = None) -> list[GraphQLError]:
    """The errors of a query whose fields resolve to `page`, or raise it."""

    def resolve(*_: object, **__: object) -> object:
        if isinstance(page, Exception):
            raise page
        return page

    schema = build_schema("type Query { page(n: Int): Int, sure(n: Int! = 1): Int! }")
    result = execute_sync(schema, parse(query), {"page": resolve, "sure": resolve}, variable_values=variables)
    return result.errors or []
