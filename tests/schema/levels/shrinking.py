"""A smaller document that still fails, for whoever has to find out why."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from graphql import (
    REMOVE,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    Node,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    parse,
    print_ast,
    visit,
)


async def smallest(text: str, fails: Callable[[str], Awaitable[bool]]) -> str:
    """The document with as many selections left out as can be while it fails. Whatever `fails` is given parses."""
    found = True
    while found:
        found = False
        for smaller in _smaller(text):
            if await fails(smaller):
                text, found = smaller, True
                break
    return text


def _smaller(text: str) -> Iterator[str]:
    """The document without one of its selections, for each of them: the largest tend to come first."""
    document, place = parse(text), 0
    while True:
        without = _Without(place)
        shorter = visit(document, without)
        if without.left >= 0:
            return
        if not without.leaves_nothing:
            yield print_ast(_tidy(shorter))
        place += 1


class _Without(Visitor):
    """Removes one selection: the one after so many."""

    def __init__(self, place: int) -> None:
        super().__init__()
        self.left = place
        self.leaves_nothing = False

    def enter(self, node: Node, _key: Any, parent: Any, *_: Any) -> Any:
        if not isinstance(node, FieldNode | InlineFragmentNode | FragmentSpreadNode):
            return None
        self.left -= 1
        if self.left != -1:
            return None
        self.leaves_nothing = len(parent) == 1
        return REMOVE


class _Uses(Visitor):
    """The fragments and variables that are used."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def enter_fragment_spread(self, node: FragmentSpreadNode, *_: Any) -> None:
        self.names.add(node.name.value)

    def enter_variable(self, node: VariableNode, _key: Any, parent: Any, *_: Any) -> None:
        if not isinstance(parent, VariableDefinitionNode):
            self.names.add(f"${node.name.value}")


class _OnlyUsed(Visitor):
    def __init__(self, names: set[str]) -> None:
        super().__init__()
        self._names = names

    def enter_fragment_definition(self, node: FragmentDefinitionNode, *_: Any) -> Any:
        return None if node.name.value in self._names else REMOVE

    def enter_variable_definition(self, node: VariableDefinitionNode, *_: Any) -> Any:
        return None if f"${node.variable.name.value}" in self._names else REMOVE


def _tidy(document: DocumentNode) -> DocumentNode:
    """Without the fragments and variables that are no longer used."""
    while True:
        uses = _Uses()
        visit(document, uses)
        tidier = visit(document, _OnlyUsed(uses.names))
        if print_ast(tidier) == print_ast(document):
            return document
        document = tidier
