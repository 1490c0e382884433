"""What an operation asks for, counted in one walk over its text.

A fragment is counted once, however often it is spread, and its numbers are added at each place where it is spread. So
the numbers are those of the operation with every fragment written out, which is what is run, but it is never written
out. What `@skip` and `@include` may leave out is counted too; so is a field that stands twice and is read once, and so
are fragments on several types, of which an object has only one. The numbers bound the work from above.

Depth is counted in objects within objects. A connection with its `nodes`, or its `edges` and their `node`, is one
level.

Cost is about the number of objects that may come. GitHub's graph and Shopify's are charged in much the same way.

- An object costs 1, and so does `totalCount`, which is a statement more. Other leaves cost nothing.
- A connection costs 1, and 1 more for each item that `first` or `last` asks for; where neither does, for 20.
- Another list has as many items as `ids`, `refs`, `keys` or `maxNodes` say, and 10 where none of them is given.
- What is asked of an item is multiplied by the number of items.
- What is `depth` steps away costs as many times as much, all of the field.
- Where a filter or an order has a path that is not indexed, all of the field costs ten times as much.

Introspection is counted by the same rules, on an account of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLArgument,
    GraphQLCompositeType,
    GraphQLField,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    NamedTypeNode,
    NullValueNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    Undefined,
    ValueNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_list_type,
)
from graphql.utilities.coerce_input_value import coerce_default_value

from db.rules.filters import MAX_STEPS
from db.rules.pointers import Pointer
from schema import unindexed
from schema.formula import MOST, Amount, Formula, Variables, capped
from schema.paging import DEFAULT_SIZE, MAX_SIZE

# Items of a list that no argument bounds. Such a list is short by nature: links, labels, the groups above a group.
LIST_SIZE = 10

# A page is one object, though it takes two or three in the text. Relay's specification sets the names.
_OF_A_PAGE = re.compile(r"\w*(Connection\.(nodes|edges|pageInfo)|Edge\.node)")
_TOTAL = re.compile(r"\w*Connection\.totalCount")
_INTROSPECTION = ("__schema", "__type")


def _page(size: int) -> int:
    """A size that the field will refuse counts as the largest."""
    return size if 1 <= size <= MAX_SIZE else MAX_SIZE


def _items(given: Any) -> int:
    """A single value is a list of one, as everywhere in GraphQL."""
    return len(given) if isinstance(given, list | tuple) else 1


def _number(given: int) -> int:
    return max(given, 0)


# How many items a list has, by the arguments that say so.
_LENGTHS: Mapping[str, Callable[[Any], int]] = {
    "first": _page,
    "last": _page,
    "ids": _items,
    "refs": _items,
    "keys": _items,
    "maxNodes": _number,
}


@dataclass(slots=True)
class Tally:
    """The numbers of one selection, or of a selection set."""

    levels: int = 0  # objects within objects
    fields: int = 0  # right in it, not those of its objects
    aliases: int = 0
    directives: int = 0
    cost: Amount = 0
    item_cost: Amount = 0  # of one item in each list whose length the field above knows
    introspection_levels: int = 0
    introspection_cost: int = 0  # no variable says how long its lists are

    def total(self, length: Amount = LIST_SIZE) -> Amount:
        """The cost, now that `length` of those lists is known."""
        return self.cost + length * self.item_cost

    def add(self, part: Tally) -> None:
        """Put another selection into the set. No number gets larger than MOST."""
        self.levels = max(self.levels, part.levels)
        self.fields = min(self.fields + part.fields, MOST)
        self.aliases = min(self.aliases + part.aliases, MOST)
        self.directives = min(self.directives + part.directives, MOST)
        self.cost = capped(self.cost + part.cost)
        self.item_cost = capped(self.item_cost + part.item_cost)
        self.introspection_levels = max(self.introspection_levels, part.introspection_levels)
        self.introspection_cost = min(self.introspection_cost + part.introspection_cost, MOST)


@dataclass(slots=True, eq=False)
class Selections:
    """A selection set of the text, and the type that it selects from. A fragment has one, wherever it is spread."""

    node: SelectionSetNode
    type: GraphQLCompositeType
    parts: tuple[Part, ...] = ()
    tally: Tally = field(default_factory=Tally)
    counted: bool = False


@dataclass(slots=True, eq=False)
class Part:
    """One selection of a set: a field, or a fragment in its place."""

    node: SelectionNode
    inner: Selections | None = None  # of an object or a fragment
    name: str = ""  # of a field, with its type: `Component.owner`
    is_list: bool = False
    length: Amount | None = None  # how many items the field's arguments ask for
    times: Amount = 1  # how often its cost counts, for what no index leads to
    steps: Amount = 1  # and for what is so many steps away
    tally: Tally = field(default_factory=Tally)

    @property
    def length_below(self) -> Amount:
        """Of lists right below this object: a page knows how many nodes it has."""
        return LIST_SIZE if self.is_list or self.length is None else self.length

    @property
    def of_a_page(self) -> bool:
        """Whether the field only takes a connection apart."""
        return bool(_OF_A_PAGE.fullmatch(self.name))

    def count(self) -> None:
        """Fill in the tally. What it selects in turn must have been counted."""
        self.tally.directives = len(self.node.directives or ())
        if isinstance(self.node, FieldNode):
            self.tally.fields = 1
            self.tally.aliases = 1 if self.node.alias else 0
            if self.inner:
                self._count_object(self.node, self.inner.tally)
            elif _TOTAL.fullmatch(self.name):
                self.tally.cost = 1
        elif self.inner:
            self.tally.add(self.inner.tally)

    def _count_object(self, node: FieldNode, inner: Tally) -> None:
        tally = self.tally
        tally.aliases += inner.aliases
        tally.directives += inner.directives
        levels = inner.levels if self.of_a_page else inner.levels + 1
        itself = 0 if self.of_a_page and not self.is_list else 1
        cost = self.times * (self.steps * (itself + inner.total(self.length_below)))
        if node.name.value in _INTROSPECTION:
            tally.introspection_levels, tally.introspection_cost = levels, cast("int", cost)
            return
        tally.levels = levels
        if not self.is_list:
            tally.cost = cost
        elif self.length is None:
            tally.item_cost = cost
        else:
            tally.cost = self.length * cost


class Counting:
    """A walk over a valid document. What it counts may depend on variables, through `formula`."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, indexed: Container[Pointer] = ()) -> None:
        self.formula = Formula()
        self._schema = schema
        self._indexed = indexed  # paths that may be asked about at no extra cost
        self._fragments = {
            node.name.value: Selections(node.selection_set, self._type(node.type_condition))
            for node in document.definitions
            if isinstance(node, FragmentDefinitionNode)
        }

    def count(self, operation: OperationDefinitionNode) -> Selections:
        """The operation's root fields, counted, with all that is below them.

        Chains of fragments may be longer than Python's stack is deep, so the stack is this function's own.
        """
        root_type = cast("GraphQLCompositeType", self._schema.get_root_type(operation.operation))
        root = Selections(operation.selection_set, root_type)
        stack = [root]
        while stack:
            top = stack[-1]
            top.parts = top.parts or tuple(self._parts(top))
            if below := [part.inner for part in top.parts if part.inner and not part.inner.counted]:
                stack += below
                continue
            stack.pop()
            if not top.counted:  # a fragment waits here once for each place that spreads it
                for part in top.parts:
                    part.count()
                    top.tally.add(part.tally)
                top.counted = True
        return root

    def _parts(self, selections: Selections) -> Iterator[Part]:
        for node in selections.node.selections:
            match node:
                case FieldNode():
                    yield self._field(node, selections.type)
                case FragmentSpreadNode():
                    yield Part(node, self._fragments[node.name.value])
                case InlineFragmentNode(type_condition=condition):
                    inner_type = self._type(condition) if condition else selections.type
                    yield Part(node, Selections(node.selection_set, inner_type))

    def _field(self, node: FieldNode, above: GraphQLCompositeType) -> Part:
        name = f"{above.name}.{node.name.value}"
        if node.selection_set is None:
            return Part(node, name=name)
        definition = cast("GraphQLField", self._schema.get_field(above, node.name.value))
        inner_type = cast("GraphQLCompositeType", get_named_type(definition.type))
        is_list = is_list_type(get_nullable_type(definition.type))
        length = self._length(node, definition.args)
        times = unindexed.times(node, self._indexed, self.formula)
        steps = self._steps(node)
        return Part(node, Selections(node.selection_set, inner_type), name, is_list, length, times, steps)

    def _type(self, condition: NamedTypeNode) -> GraphQLCompositeType:
        return cast("GraphQLCompositeType", self._schema.type_map[condition.name.value])

    def _steps(self, node: FieldNode) -> Amount:
        """How many steps of a closure the field's arguments ask for; 1 where it has no argument that says so."""
        depth = next((argument.value for argument in node.arguments or () if argument.name.value == "depth"), None)

        def read(variables: Variables) -> int:
            value = _value(depth, None, variables)
            return min(max(value, 1), MAX_STEPS) if isinstance(value, int) else 1

        return self.formula.unknown(read) if isinstance(depth, VariableNode) else read({})

    def _length(self, node: FieldNode, arguments: Mapping[str, GraphQLArgument]) -> Amount | None:
        """How many items the field's arguments ask for; None where it has no argument that says so."""
        given = {argument.name.value: argument.value for argument in node.arguments or ()}
        asks = [
            (length, given.get(name), coerce_default_value(arguments[name]))
            for name, length in _LENGTHS.items()
            if name in arguments
        ]
        if not asks:
            return None
        absent = DEFAULT_SIZE if "first" in arguments else LIST_SIZE

        def read(variables: Variables) -> int:
            values = ((length, _value(value, default, variables)) for length, value, default in asks)
            return max((length(value) for length, value in values if value is not None), default=absent)

        if any(isinstance(value, VariableNode) for _, value, _ in asks):
            return self.formula.unknown(read)
        return read({})


def _value(node: ValueNode | None, default: Any, variables: Variables) -> Any:
    """An argument's value, as far as its length goes; None if there is none."""
    match node:
        case NullValueNode():
            return None
        case IntValueNode():
            return int(node.value)
        case ListValueNode():
            return node.values
        case VariableNode():
            value = variables.get(node.name.value, default)
        case None:
            value = default
        case _:
            return node
    return None if value is Undefined else value
