"""Random operations over any GraphQL schema: what clients might ask, and what no sane one would."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Any, cast

from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLInputType,
    GraphQLSchema,
    Undefined,
    do_types_overlap,
    get_named_type,
    get_nullable_type,
    introspection_types,
    is_abstract_type,
    is_composite_type,
    is_input_object_type,
    is_list_type,
    is_non_null_type,
    is_required_argument,
    specified_directives,
)
from graphql.type import SchemaMetaFieldDef, TypeMetaFieldDef

from tests.schema.levels.values import Drawers, drawer_of, drawn, fields_of, literal, misfit

OPERATION_NAME = "Asked"


def seeded(*about: Any) -> Random:
    """Chance that is always the same for the same values."""
    return Random(repr(about))


@dataclass(frozen=True)
class Style:
    """How documents look. The chances are between 0 and 1, the sizes of one document."""

    selections: int = 50  # after about so many no field with fields of its own is begun
    depth: int = 4  # fields in fields, at most
    breadth: int = 7  # selections in one pair of braces, at most
    fragment: float = 0.16  # of a selection to be a fragment
    typename: float = 0.06
    introspection: float = 0.02  # at the root of a query
    alias: float = 0.2
    careless_alias: float = 0.01  # one that may clash; then the document is not valid
    again: float = 0.15  # of a field to be asked for as it already was, with other fields of its own
    further: float = 0.4  # of an interface's field to be asked for more, below the same response key, on some types
    twin: float = 0.05  # of a field to be asked for once more right after, under another key, with other arguments
    crowd: float = 0.01  # of a selection to be of all fields without arguments
    directive: float = 0.1
    argument: float = 0.5  # of an argument that may be absent to be there
    arguments: Mapping[str, float] = field(default_factory=dict)  # the same, for those of these names
    either: tuple[frozenset[str], ...] = ()  # groups of arguments; seldom are those of two groups given together
    variable: float = 0.4  # of a value to be a variable
    always_variable: frozenset[str] = frozenset()  # arguments of these names
    companions: Mapping[str, str] = field(default_factory=dict)  # what is selected too below a field with this argument
    kinds: tuple[str, ...] = ("query",)  # one of these is drawn


@dataclass(frozen=True)
class Variable:
    """A variable of an operation, and where it was first used: its coordinate, and the response key of the field."""

    name: str
    type: GraphQLInputType
    coordinate: str
    response_key: str
    default: str | None = None

    @property
    def definition(self) -> str:
        """How the operation declares it."""
        return f"${self.name}: {self.type}" + (f" = {self.default}" if self.default else "")


@dataclass(frozen=True)
class RandomOperation:
    """A document, and what to run of it."""

    text: str
    kind: str
    name: str | None
    variables: tuple[Variable, ...]
    drawers: Drawers

    def values(self, random: Random, *, misfits: float = 0.01) -> dict[str, Any]:
        """Values for its variables: some are absent, null, or, rarely, of another type."""
        values = {}
        for variable in self.variables:
            if (variable.default or not is_non_null_type(variable.type)) and random.random() < 0.25:
                continue
            fits = random.random() >= misfits
            values[variable.name] = (
                drawn(random, variable.coordinate, variable.type, self.drawers) if fits else misfit(random)
            )
        return values


@dataclass
class Writer:
    """Writes one operation. Nearly all are valid; those that use a `careless_alias` need not be."""

    schema: GraphQLSchema
    random: Random
    style: Style
    drawers: Drawers
    _variables: list[Variable] = field(default_factory=list)
    _fragments: dict[str, tuple[str, str]] = field(default_factory=dict)  # name -> condition, text
    _heads: dict[tuple[str, str], str] = field(default_factory=dict)  # name, signature -> text
    _meanings: dict[str, tuple[str, ...]] = field(default_factory=dict)  # what a response key stands for, everywhere
    _written: int = 0
    _in_crowd: bool = False

    def operation(self) -> RandomOperation:
        """The operation; a writer has one."""
        kind = self.random.choice(self.style.kinds)
        root = getattr(self.schema, f"{kind}_type")
        depth = self.random.randint(2, self.style.depth)
        body = self._event(root, depth) if kind == "subscription" else self._selections(root, depth)
        several = self._chance(0.05)
        name = OPERATION_NAME if several or self._chance(0.5) else None
        declared = ", ".join(variable.definition for variable in self._variables)
        definitions = [
            f"{kind} {name or ''}" + (f"({declared})" if declared else "") + f" {{{body}}}",
            *(f"fragment {name} on {condition} {{{text}}}" for name, (condition, text) in self._fragments.items()),
            *(["query Other { __typename }"] if several else []),
        ]
        self.random.shuffle(definitions)
        return RandomOperation("\n".join(definitions), kind, name, tuple(self._variables), self.drawers)

    def _chance(self, share: float) -> bool:
        return self.random.random() < share

    def _selections(self, type_: Any, depth: int) -> str:
        """What stands between a pair of braces."""
        if hasattr(type_, "fields") and self._chance(0.5 if self._in_crowd else self.style.crowd):
            selections = self._crowd(type_, depth)
        else:
            selections = [self._selection(type_, depth) for _ in range(self.random.randint(1, self.style.breadth))]
        return self.random.choice([" ", " ", "\n  "]).join(selections or [self._typename()])

    def _crowd(self, type_: Any, depth: int) -> list[str]:
        """All fields without arguments, and often again below them."""
        plain = {name: spec for name, spec in self._candidates(type_, depth).items() if not spec.args}
        self._written += sum(is_composite_type(get_named_type(spec.type)) for spec in plain.values())
        is_outermost, self._in_crowd = not self._in_crowd, True
        written = [self._whole_field(type_, name, spec, depth) for name, spec in plain.items()]
        self._in_crowd = not is_outermost
        return written

    def _selection(self, type_: Any, depth: int) -> str:
        self._written += 1
        wanted = self.style.fragment if hasattr(type_, "fields") else 0.8  # a union has no fields of its own
        if self._written < self.style.selections and self._chance(wanted):
            return self._fragment(type_, depth)
        if type_ is self.schema.query_type and self._chance(self.style.introspection):
            return self._introspection(depth)
        if self._chance(self.style.typename) or not hasattr(type_, "fields"):
            return self._typename()
        return self._field(type_, depth)

    def _event(self, root: Any, depth: int) -> str:
        """The one field of a subscription, which takes no `@skip` or `@include`."""
        name = self.random.choice(list(root.fields))
        return self._whole_field(root, name, root.fields[name], depth, directive="")

    def _typename(self) -> str:
        key = self._key("__typename", "__typename", "", "String!") if self._chance(self.style.alias) else "__typename"
        return (f"{key}: __typename" if key != "__typename" else key) + self._directive()

    def _field(self, type_: Any, depth: int) -> str:
        candidates = self._candidates(type_, depth)
        if not candidates:
            return self._typename()
        name = self.random.choice(list(candidates))
        written = [self._whole_field(type_, name, candidates[name], depth)]
        nests = is_composite_type(get_named_type(candidates[name].type))
        if nests and is_abstract_type(type_) and self._chance(self.style.further):
            written.extend(self._further(type_, name, depth))
        while self._chance(self.style.twin):
            written.append(self._whole_field(type_, name, candidates[name], depth, again=0))
        return " ".join(written)

    def _further(self, type_: Any, name: str, depth: int) -> Iterator[str]:
        types = self.schema.get_possible_types(type_)
        for one in self.random.sample(types, (len(types) + 1) // 2):
            yield f"... on {one} {{{self._whole_field(one, name, one.fields[name], depth, again=1)}}}"

    def _candidates(self, type_: Any, depth: int) -> dict[str, GraphQLField]:
        """The fields that may be selected."""
        may_nest = depth > 0 and self._written < self.style.selections
        return {n: f for n, f in type_.fields.items() if may_nest or not is_composite_type(get_named_type(f.type))}

    def _whole_field(
        self,
        type_: Any,
        name: str,
        spec: GraphQLField,
        depth: int,
        *,
        again: float | None = None,
        directive: str | None = None,
    ) -> str:
        """A field with all that is below it; `again` is the chance that it is asked for as it already was."""
        signature = f"{spec.type} {sorted((argument, str(given.type)) for argument, given in spec.args.items())}"
        known = self._heads.get((name, signature))
        if not known or not self._chance(self.style.again if again is None else again):
            known = self._head(name, f"{type_}.{name}", spec, is_new=again == 0)
        self._heads[name, signature] = known
        head = known + (self._directive() if directive is None else directive)
        inner = get_named_type(spec.type)
        if not is_composite_type(inner):
            return head
        companions = [text for argument, text in self.style.companions.items() if f"{argument}: $" in head]
        return f"{head} {{{' '.join([*companions, self._selections(inner, depth - 1)])}}}"

    def _head(self, name: str, coordinate: str, spec: GraphQLField, *, is_new: bool) -> str:
        """A field with its alias and arguments; its response key is a new one, if it has to be."""
        # The key is chosen after the arguments, which it may have to differ by; variables note it all the same.
        first_variable = len(self._variables)
        arguments = ", ".join(
            f"{argument}: {self._value(f'{coordinate}.{argument}', given.type, given)}"
            for argument, given in self._given(spec).items()
        )
        key = f"{name}{len(self._meanings)}" if is_new else name
        key = self._key(key, name, arguments, str(spec.type))
        self._variables[first_variable:] = [
            Variable(v.name, v.type, v.coordinate, key, v.default) for v in self._variables[first_variable:]
        ]
        alias = "" if key == name else f"{key}: "
        return alias + name + (f"({arguments})" if arguments else "")

    def _given(self, spec: GraphQLField) -> dict[str, GraphQLArgument]:
        """Those arguments of a field that are given."""
        groups = [group for group in self.style.either if group & spec.args.keys()]
        chosen = self.random.choice(groups) if groups and self._chance(0.97) else frozenset().union(*groups)
        unwanted = frozenset().union(*groups) - chosen
        return {
            name: given
            for name, given in spec.args.items()
            if is_required_argument(given)
            or (name not in unwanted and self._chance(self.style.arguments.get(name, self.style.argument)))
        }

    def _key(self, key: str, *meaning: str) -> str:
        """A response key for a field's name, arguments and type: one that stands for no other, unless careless."""
        if self._chance(self.style.alias):
            key = f"a{self.random.randrange(9)}"
        if self._chance(self.style.careless_alias):
            return key
        while self._meanings.setdefault(key, meaning) != meaning:
            key = f"{meaning[0].strip('_')}{len(self._meanings)}"
        return key

    def _introspection(self, depth: int) -> str:
        query = self.schema.query_type
        spec, name = (SchemaMetaFieldDef, "__schema") if self._chance(0.5) else (TypeMetaFieldDef, "__type")
        return self._whole_field(query, name, spec, min(depth, 2))

    def _directive(self) -> str:
        if not self._chance(self.style.directive):
            return ""
        name = self.random.choice(["skip", "include"])
        (spec,) = (directive for directive in specified_directives if directive.name == name)
        return f" @{name}(if: {self._value(f'@{name}.if', spec.args['if'].type)})"

    def _fragment(self, type_: Any, depth: int) -> str:
        condition = self.random.choice(_overlapping(self.schema, type_))
        if self._chance(0.6):
            head = "..." if condition is type_ and self._chance(0.5) else f"... on {condition.name}"
            return f"{head}{self._directive()} {{{self._selections(condition, depth)}}}"
        known = [name for name, (on, _) in self._fragments.items() if on == condition.name]
        if known and self._chance(0.5):
            return f"...{self.random.choice(known)}{self._directive()}"
        text = self._selections(condition, depth)  # before it has a name, so that it cannot spread itself
        name = f"Part{len(self._fragments)}"
        self._fragments[name] = condition.name, text
        return f"...{name}{self._directive()}"

    def _value(self, coordinate: str, type_: GraphQLInputType, given: GraphQLArgument | None = None) -> str:
        """An argument's value as the document has it."""
        name = coordinate.rpartition(".")[2]
        if name in self.style.always_variable or self._chance(self.style.variable):
            has_default = given is not None and (given.default is not None or given.default_value is not Undefined)
            return f"${self._variable(coordinate, type_, has_default=has_default).name}"
        return self._literal(coordinate, type_, 0)

    def _literal(self, coordinate: str, type_: GraphQLInputType, level: int) -> str:
        """A literal, in which there may be variables at any depth."""
        inner: Any = get_nullable_type(type_)
        if drawer_of(coordinate, inner, self.drawers):
            return literal(drawn(self.random, coordinate, type_, self.drawers), type_)
        if is_input_object_type(inner):
            parts = {name: inner.fields[name].type for name in fields_of(self.random, inner, level)}
            return "{" + ", ".join(f"{n}: {self._part(f'{inner}.{n}', t, level)}" for n, t in parts.items()) + "}"
        if is_list_type(inner):
            items = (self._part("", inner.of_type, level) for _ in range(self.random.randrange(3)))
            return "[" + ", ".join(items) + "]"
        return literal(drawn(self.random, coordinate, type_, self.drawers, level), type_)

    def _part(self, coordinate: str, type_: GraphQLInputType, level: int) -> str:
        if self._chance(self.style.variable / 3):
            return f"${self._variable(coordinate, type_).name}"
        return self._literal(coordinate, type_, level + 1)

    def _variable(self, coordinate: str, type_: GraphQLInputType, *, has_default: bool = False) -> Variable:
        """A variable that fits: of this type, or of the nullable one where a default makes that right."""
        alike = [v for v in self._variables if v.type == type_ and v.coordinate == coordinate]
        if alike and self._chance(0.3):
            return self.random.choice(alike)
        default = None
        if self._chance(0.3):
            default = literal(drawn(self.random, coordinate, type_, self.drawers), type_)
        if (default not in {None, "null"} or has_default) and self._chance(0.5):
            type_ = cast("GraphQLInputType", get_nullable_type(type_))
        variable = Variable(f"v{len(self._variables)}", type_, coordinate, "", default)
        self._variables.append(variable)
        return variable


@cache
def _overlapping(schema: GraphQLSchema, type_: Any) -> list[Any]:
    """The types that a fragment may have where objects of this type are selected."""
    if type_.name in introspection_types or type_ in (schema.query_type, schema.mutation_type):
        return [type_]
    return [
        other
        for other in schema.type_map.values()
        if other is type_
        or (
            is_composite_type(other)
            and not re.match("__", other.name)
            and (is_abstract_type(type_) or is_abstract_type(other))
            and do_types_overlap(schema, type_, other)
        )
    ]
