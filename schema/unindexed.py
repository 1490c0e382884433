"""What a field costs more for asking about a path in documents that no index leads to.

A filter or an order by such a path may have to read every document of the catalog, however few come back. Which paths
are indexed is a setting.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any

from graphql import FieldNode, print_ast
from graphql.utilities import value_from_ast_untyped

from db.rules.pointers import Pointer, PointerError
from schema.formula import Amount, Formula, Variables

TIMES = 10

_ARGUMENTS = ("filter", "orderBy")


def times(node: FieldNode, indexed: Container[Pointer], formula: Formula) -> Amount:
    """By what the cost of a field is multiplied: 10 where a path is asked about that is not indexed, else 1."""
    asked = [argument.value for argument in node.arguments or () if argument.name.value in _ARGUMENTS]
    if not asked:
        return 1

    def read(variables: Variables) -> int:
        values = (value_from_ast_untyped(value, dict(variables)) for value in asked)
        return 1 if all(_is_indexed(path, indexed) for value in values for path in _paths(value)) else TIMES

    if any("$" in print_ast(value) for value in asked):  # a variable; or a text with that, which does no harm
        return formula.unknown(read)
    return read({})


def _paths(value: Any) -> Iterator[str]:
    """The paths in a filter, `{path: {path: "/spec/tier"}}`, or in an order, `{field: PATH, path: "/spec/tier"}`."""
    left = [value]
    while left:
        match left.pop():
            case list() as items:
                left += items
            case {**fields}:
                if isinstance(path := fields.get("path"), str):
                    yield path
                left += fields.values()


def _is_indexed(path: str, indexed: Container[Pointer]) -> bool:
    try:
        return Pointer.parse(path) in indexed
    except PointerError:  # the field will refuse it
        return False
