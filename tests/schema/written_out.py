"""Random operations with fragments, and their numbers when every fragment is written out and each thing counted.

It takes exponential time and is little more than the definition of each number: what the limits are tested against.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    InlineFragmentNode,
    SelectionNode,
    SelectionSetNode,
    Undefined,
    build_schema,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
    is_list_type,
    value_from_ast,
)
from hypothesis import strategies as st

SCHEMA = build_schema("""
    interface Named { name: String one: Thing }
    type Thing implements Named {
        name: String
        one: Thing
        many(first: Int, last: Int): ThingConnection!
        labels(keys: [String!]): [Label!]!
        lines(maxNodes: Int! = 7): Lines!
        kin: [Thing!]!
    }
    type Other implements Named { name: String one: Thing others: [Other!]! }
    type Label { key: String }
    type ThingConnection { edges: [ThingEdge!]! nodes: [Thing!]! pageInfo: PageInfo! totalCount: Int! }
    type ThingEdge { cursor: String! node: Thing! }
    type PageInfo { endCursor: String }
    type Lines { nodes: [Thing!]! edges: [Line!]! owner: Other }
    type Line { from: Named to: Thing }
    type Query {
        name: String
        one: Thing
        many(first: Int, last: Int): ThingConnection!
        things(ids: [ID!]!): [Thing]!
        named: [Named!]!
    }
""")
FRAGMENT_TYPES = ("Query", "Named", "Thing", "Other", "ThingConnection", "ThingEdge", "Lines")
CONDITIONS = {"Named": ("Named", "Thing", "Other"), "Thing": ("Thing", "Named"), "Other": ("Other", "Named")}
ARGUMENTS = {
    "many": ("", "(first: 3)", "(last: 0)", "(first: $n)", "(first: null, last: $m)", "(first: $n, last: 2)"),
    "things": ('(ids: ["a", "b"])', "(ids: $ids)", '(ids: "a")', "(ids: [$id, $id])"),
    "labels": ("", '(keys: ["a"])', "(keys: $keys)", "(keys: [])"),
    "lines": ("", "(maxNodes: 4)", "(maxNodes: $nodes)", "(maxNodes: $absent)"),
}
VARIABLES = "($n: Int, $m: Int, $ids: [ID!]!, $id: ID!, $keys: [String!], $nodes: Int! = 5, $absent: Int)"
sizes = st.none() | st.integers(-1, 120)
coerced_variables = st.fixed_dictionaries(
    {"ids": st.lists(st.just("a"), max_size=4), "id": st.just("a"), "nodes": st.integers(-1, 9)},
    optional={"n": sizes, "m": sizes, "keys": st.none() | st.lists(st.just("k"), max_size=3)},
)


@st.composite
def documents(draw: st.DrawFn) -> str:
    """An operation and some fragments, each of which spreads only later ones."""
    types = draw(st.lists(st.sampled_from(FRAGMENT_TYPES), max_size=5))
    fragments = [(f"F{n}", graph_type) for n, graph_type in enumerate(types)]
    texts = [f"query {VARIABLES} {draw(_selections('Query', fragments, 3))}"]
    for n, (name, graph_type) in enumerate(fragments, start=1):
        texts.append(f"fragment {name} on {graph_type} {draw(_selections(graph_type, fragments[n:], 2))}")
    return "\n".join(texts)


@st.composite
def _selections(draw: st.DrawFn, graph_type: str, fragments: list[tuple[str, str]], depth: int) -> str:
    fields = SCHEMA.type_map[graph_type].fields  # type: ignore[attr-defined]
    leaves = ["__typename", *(name for name in fields if _is_leaf(fields[name]))]
    objects = [name for name in fields if not _is_leaf(fields[name])] if depth else []
    conditions = CONDITIONS.get(graph_type, (graph_type,))
    spreads = [name for name, on in fragments if on in conditions]
    choices = [*leaves, *objects, *objects, *(f"...{name}" for name in spreads), *(["... on"] if depth else [])]
    parts = []
    for choice in draw(st.lists(st.sampled_from(choices), min_size=1, max_size=3)):
        alias = draw(st.sampled_from(("", "", "a: "))) if choice[0] != "." else ""
        arguments = draw(st.sampled_from(ARGUMENTS.get(choice, ("",))))
        directives = draw(st.sampled_from(("", "", " @skip(if: false)", " @skip(if: true) @include(if: true)")))
        condition = draw(st.sampled_from(conditions)) if choice == "... on" else ""
        inner = ""
        if choice in objects or condition:
            inner_type = condition or get_named_type(fields[choice].type).name
            inner = draw(_selections(inner_type, fragments, depth - 1))
        parts.append(f"{alias}{choice} {condition}{arguments}{directives} {inner}")
    return "{ " + " ".join(parts) + " }"


def _is_leaf(definition: GraphQLField) -> bool:
    return is_leaf_type(get_named_type(definition.type))


@dataclass
class WrittenOut:
    """Everything in an operation, in the order of the text that has all fragments written out."""

    document: DocumentNode
    variables: Mapping[str, Any]
    roots: list[SelectionNode] = field(default_factory=list)
    aliases: list[SelectionNode] = field(default_factory=list)
    directives: list[SelectionNode] = field(default_factory=list)  # once for each directive
    objects: list[tuple[int, SelectionNode]] = field(default_factory=list)  # with their levels, from 1
    cost: int = 0

    def read(
        self, selections: SelectionSetNode, graph_type: Any, *, level: int = 0, times: int = 1, length: int = 10
    ) -> None:
        """Take in what is selected from each of `times` objects, whose lists have that length unless they say another."""
        for node in selections.selections:
            self.directives += [node] * len(node.directives or ())
            if isinstance(node, FieldNode):
                self.aliases += [node] if node.alias else []
                self.roots += [node] if graph_type is SCHEMA.query_type else []
                self._read_field(node, graph_type, level, times, length)
            else:
                inner, inner_type = self._fragment(node, graph_type)
                self.read(inner, inner_type, level=level, times=times, length=length)

    def _read_field(self, node: FieldNode, graph_type: Any, level: int, times: int, length: int) -> None:
        place = f"{graph_type}.{node.name.value}"
        if node.selection_set is None:
            self.cost += times * place.endswith("Connection.totalCount")
            return
        definition = graph_type.fields[node.name.value]
        of_a_page = re.search(r"Connection\.(nodes|edges|pageInfo)$|Edge\.node$", place)
        if not of_a_page:
            level += 1
            self.objects.append((level, node))
        own_length = self._own_length(node, definition)
        if is_list_type(get_nullable_type(definition.type)):
            times *= length if own_length is None else own_length
            self.cost += times
            length = 10
        else:
            self.cost += times * (not of_a_page)
            length = 10 if own_length is None else own_length
        self.read(node.selection_set, get_named_type(definition.type), level=level, times=times, length=length)

    def _own_length(self, node: FieldNode, definition: GraphQLField) -> int | None:
        asked: dict[str, Any] = {"maxNodes": 7} if "maxNodes" in definition.args else {}
        for argument in node.arguments or ():
            name = argument.name.value
            value = value_from_ast(argument.value, definition.args[name].type, dict(self.variables))
            asked |= {} if value is Undefined or value is None else {name: value}
        lengths = [_length(name, value) for name, value in asked.items()]
        if not definition.args:
            return None
        return max(lengths, default=20 if "first" in definition.args else 10)

    def _fragment(self, node: SelectionNode, graph_type: Any) -> tuple[SelectionSetNode, Any]:
        if isinstance(node, FragmentSpreadNode):
            (fragment,) = (
                definition
                for definition in self.document.definitions
                if isinstance(definition, FragmentDefinitionNode) and definition.name.value == node.name.value
            )
            return fragment.selection_set, SCHEMA.type_map[fragment.type_condition.name.value]
        assert isinstance(node, InlineFragmentNode)
        condition = node.type_condition
        return node.selection_set, SCHEMA.type_map[condition.name.value] if condition else graph_type


def _length(name: str, value: Any) -> int:
    if name in ("first", "last"):
        return int(value) if 1 <= value <= 100 else 100
    return max(int(value), 0) if name == "maxNodes" else len(value)
