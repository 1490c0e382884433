"""An operation, ready to run: which fields each object type needs, in the order of the response.

Selections are made when an object of their type first comes by, and once: made beforehand for every type that might
come, they would be exponentially many in the depth of a document.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import cached_property
from types import NoneType
from typing import Any, NamedTuple, cast

import strawberry
from graphql import (
    FieldNode,
    GraphQLAbstractType,
    GraphQLError,
    GraphQLField,
    GraphQLID,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    GraphQLString,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    OperationType,
    VariableNode,
    get_named_type,
    is_leaf_type,
)
from graphql.execution.collect_fields import FieldDetails, FragmentDetails, collect_fields, collect_subfields
from graphql.execution.values import VariableValues, get_argument_values
from graphql.language import ValueNode
from strawberry.types.field import StrawberryField

from schema.errors import CostLimit
from schema.levels.asked import Asked
from schema.levels.edge import DerivedField, EdgeField, PartField, needs_of
from schema.levels.level import Level

BUDGET = 5_000  # fields that may be made; bounds the time and the memory that a hostile document can take

Details = list[FieldDetails]


class Field:
    """One response key of one object type.

    Its values come from SQL (`edge`, `derived`, `is_part`), from an attribute of each object that in a row is a column
    (`column`), or else from the resolver in `definition`.
    """

    def __init__(
        self,
        definition: GraphQLField,
        parent: GraphQLObjectType,
        *,
        within: Details,
        position: int,
        key: str,
        details: Details,
    ) -> None:
        self.definition, self.parent, self.within = definition, parent, within
        self.position, self.key, self.details = position, key, details
        self.node = details[0].node
        self.name = self.node.name.value
        self.type: GraphQLOutputType = definition.type
        self.is_nonnull = isinstance(self.type, GraphQLNonNull)
        self.inner: Any = self.type.of_type if isinstance(self.type, GraphQLNonNull) else self.type
        self.named: Any = get_named_type(self.type)
        self.is_leaf = is_leaf_type(self.named)
        self.depth = _depth(self.type)
        self.is_typename = self.name == "__typename"
        written = self._written = self.definition.extensions.get("strawberry-definition")
        self.edge = written if isinstance(written, EdgeField) else None
        self.derived = written if isinstance(written, DerivedField) else None
        self.is_part = isinstance(written, PartField)
        self.column = written.python_name if written and _is_attribute(written) else None
        # The types of values that are answered as they are, where a column has no others.
        self.as_it_is = _types_as_they_are(self.type) if self.column else frozenset()
        self.is_constant = not any(map(_mentions_variable, (argument.value for argument in self.node.arguments or ())))
        self._arguments: dict[str, Any] | None = None
        self._asked: Asked | None = None

    @cached_property
    def site(self) -> Hashable:
        """Where it stands in the document, and what it reads; the types of an interface share it."""
        return _site(self.edge and self.edge.identity, self.details)

    @cached_property
    def identity(self) -> Hashable:
        """What makes two edges the same join: they read the same and, where that matters, have the same arguments."""
        edge = cast("EdgeField", self.edge)
        return _site(edge.identity, self.details[:1] if self.node.arguments or edge.order else [])

    @cached_property
    def needs(self) -> tuple[str, ...] | None:
        """The columns that its resolver reads; None for all."""
        return needs_of(self._written) if self._written else None

    @property
    def nodes(self) -> list[FieldNode]:
        """Where the document names it, for errors and resolvers."""
        return [details.node for details in self.details]

    def arguments(self, variables: VariableValues) -> dict[str, Any]:
        """Its arguments, as graphql-core reads them. Raises GraphQLError."""
        if self._arguments is not None:
            return self._arguments
        arguments = get_argument_values(self.definition, self.node, variables)
        if self.is_constant:
            self._arguments = arguments
        return arguments

    def asked(self, edge: EdgeField, variables: VariableValues) -> Asked:
        """What its edge asks. Raises GraphQLError, of which `BadUserInput` is one."""
        if self._asked is not None:
            return self._asked
        asked = edge.asked(self.arguments(variables))
        if self.is_constant:
            self._asked = asked
        return asked


class Selection:
    """The fields of one object type, as one or several places in the document select them together."""

    def __init__(self, plan: Plan, type_: GraphQLObjectType, within: Details, grouped: Mapping[str, Details]) -> None:
        plan.budget.charge(len(grouped))
        plan.weight += len(grouped)
        self.fields = [
            Field(plan.definition(type_, details), type_, within=within, position=position, key=key, details=details)
            for position, (key, details) in enumerate(grouped.items())
        ]
        self.sites = {field.site for field in self.fields if field.edge}
        self.objects = _maker([field.key for field in self.fields])


class Selections(NamedTuple):
    """One selection for each type that an object may have, or one for all; and whether its type must be known."""

    every: list[Selection]
    needs_types: bool
    is_alike: bool


class Budget:
    """Fields that may be made, and what is charged like them. The last may exceed it: what was made can be used."""

    def __init__(self) -> None:
        self._spent = 0

    def check(self) -> None:
        """Raise CostLimit where nothing is left."""
        if self._spent > BUDGET:
            raise CostLimit("The operation selects too many fields on too many types; ask for less in one request")

    def charge(self, fields: int) -> None:
        """Count so many fields. Raises CostLimit where nothing was left for them."""
        self.check()
        self._spent += fields


class Plan:
    """What one operation needs, under one choice of the fields that `@skip` and `@include` leave.

    Nothing that it holds refers to it, so all of it goes as soon as it is forgotten, and not when the garbage collector
    next looks at what is old.
    """

    def __init__(
        self,
        schema: strawberry.Schema,
        operation: OperationDefinitionNode,
        fragments: dict[str, FragmentDetails],
        variables: VariableValues,
    ) -> None:
        self.schema: GraphQLSchema = schema._schema  # noqa: SLF001 - Strawberry has no other door to it
        self.read = schema.config.default_resolver
        self.operation, self.fragments = operation, fragments
        self._variables = variables
        self.budget = Budget()
        self.weight = 0  # what it holds, in fields
        self._selections: dict[Hashable, Selection] = {}
        self._possible: dict[str, frozenset[str]] = {}
        self._by_type: dict[Hashable, Selections] = {}
        self._levels: dict[Field, Level] = {}
        type_ = cast("GraphQLObjectType", self.schema.get_root_type(operation.operation))
        collected = collect_fields(self.schema, fragments, variables, type_, operation)
        self.root = Selection(self, type_, [], collected.grouped_field_set)
        self.is_serial = operation.operation is OperationType.MUTATION

    def select(self, type_: GraphQLObjectType, details: Details) -> Selection:
        """What is selected of objects of this type."""
        selection = self.selected(type_.name, details)
        if selection is None:
            collected = collect_subfields(self.schema, self.fragments, self._variables, self.operation, type_, details)
            selection = Selection(self, type_, details, collected.grouped_field_set)
            self._selections[_site(type_.name, details)] = selection
        return selection

    def selected(self, type_name: str | None, details: Details) -> Selection | None:
        """The same, where it has been made."""
        return self._selections.get(_site(type_name, details))

    def select_if_it_can(self, type_: GraphQLObjectType, details: Details) -> Selection | None:
        """The same; None where `@skip` or `@include` has no value, which is the error of each object there."""
        try:
            return self.select(type_, details)
        except CostLimit:
            raise
        except GraphQLError:
            return None

    def level(self, field: Field, edge: EdgeField) -> Level:
        """What the edge of this field reads."""
        level = self._levels.get(field)
        if level is None:
            level = self._levels[field] = Level(self, field, edge)
        return level

    def definition(self, type_: GraphQLObjectType, details: Details) -> GraphQLField:
        """The field that all of these nodes name."""
        name = details[0].node.name.value
        return cast("GraphQLField", self.schema.get_field(type_, name))  # the document is valid

    def object_type(self, name: str) -> GraphQLObjectType:
        """The object type of this name."""
        return cast("GraphQLObjectType", self.schema.type_map[name])

    def possible(self, type_: GraphQLAbstractType) -> frozenset[str]:
        """The names of the types that an object of this interface or union may have."""
        if type_.name not in self._possible:
            self._possible[type_.name] = frozenset(one.name for one in self.schema.get_possible_types(type_))
        return self._possible[type_.name]

    def selections(self, type_: Any, details: Details) -> Selections:
        """What is selected of objects of this type, which may be an interface or a union.

        Where all its types are treated alike, as without type conditions, there is one selection for all of them.
        """
        if isinstance(type_, GraphQLObjectType):
            selection = self.select_if_it_can(type_, details)
            return Selections([selection] if selection else [], needs_types=False, is_alike=True)
        key = _site(type_.name, details)
        if key not in self._by_type:
            possible = self.schema.get_possible_types(type_)
            every = [selection for one in possible if (selection := self.select_if_it_can(one, details))]
            is_alike = len(every) == len(possible) and len({tuple(map(_meaning, one.fields)) for one in every}) == 1
            needs_types = not is_alike or any(field.is_typename for field in every[0].fields)
            self._by_type[key] = Selections(every[:1] if is_alike else every, needs_types, is_alike)
        return self._by_type[key]


def _site(what: Hashable, details: Details) -> Hashable:
    """What is asked for at these nodes of the document."""
    return (what, *(id(one.node) for one in details))


def _meaning(field: Field) -> Hashable:
    """What decides a field's value and its place, beside the type that it is a field of."""
    value: Hashable = field  # of a resolver's, nothing is known
    if field.derived is not None:
        value = (field.derived.function, field.derived.columns)
    elif field.edge or field.column or field.is_part or field.is_typename:
        value = (field.column, field.is_part, field.is_typename)
    return (field.key, str(field.type), value, field.site)


def _types_as_they_are(type_: Any) -> frozenset[type]:
    if isinstance(type_, GraphQLNonNull):
        return _types_as_they_are(type_.of_type) - {NoneType}
    own = type_ in {GraphQLString, GraphQLID} or _is_written_as_text(type_)
    return frozenset({str, NoneType}) if own else frozenset()


def _is_written_as_text(type_: Any) -> bool:
    """Whether a scalar of ours is written by `str`, which leaves texts as they are."""
    definition = getattr(type_, "extensions", {}).get("strawberry-definition")
    return getattr(definition, "serialize", None) is str


def _depth(type_: Any) -> int:
    """How many lists stand around the named type."""
    if isinstance(type_, GraphQLNonNull):
        return _depth(type_.of_type)
    return 1 + _depth(type_.of_type) if isinstance(type_, GraphQLList) else 0


def _is_attribute(written: StrawberryField) -> bool:
    return written.is_basic_field and not written.extensions


def _mentions_variable(value: ValueNode) -> bool:
    if isinstance(value, ListValueNode):
        return any(map(_mentions_variable, value.values))
    if isinstance(value, ObjectValueNode):
        return any(_mentions_variable(field.value) for field in value.fields)
    return isinstance(value, VariableNode)


def _maker(keys: Sequence[str]) -> Any:
    """A function from columns to one dict for each row. Written out for its keys, it takes half the time of a loop."""
    if not keys:
        return None
    names = [f"v{at}" for at in range(len(keys))]
    pairs = ", ".join(f"{key!r}: {name}" for key, name in zip(keys, names, strict=True))
    # A key is a GraphQL name: letters, digits and underscores.
    return eval(f"lambda columns: [{{{pairs}}} for {', '.join(names)}, in zip(*columns)]")  # noqa: S307
