"""Which fields need which scope: said by a directive in the schema, and checked here before anything runs.

    tokens: ApiTokenConnection = requires(Scope.ADMIN, connection(...))

Every root field but `viewer` needs a scope, and a field below one may need another. An operation that selects a field
which its caller may not use is refused as a whole, as GitHub does it: half an answer would look like an empty catalog.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar, cast

import strawberry
from graphql import (
    ArgumentNode,
    DirectiveNode,
    FieldNode,
    GraphQLIncludeDirective,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSkipDirective,
    SelectionNode,
    VariableNode,
)
from graphql.language import BooleanValueNode
from strawberry.schema_directive import Location
from strawberry.types.unset import UNSET

from db.rules.scopes import Scope
from schema.caller import ANONYMOUS, Caller
from schema.errors import Forbidden, IntrospectionDisabled
from schema.inputs import graphql_name
from schema.tally import Selections

T = TypeVar("T")
Ruled = FieldNode | ArgumentNode


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION, Location.ARGUMENT_DEFINITION],
    name="requiresScope",
    description="Only callers with this scope may select the field, or give the argument; with `orOwner` the owner "
    "of what it writes may, too.",
)
class RequiresScope:
    """A field's rule, as the printed schema shows it."""

    scope: str = strawberry.directive_field(name="scope")
    or_owner: bool = strawberry.directive_field(name="orOwner", default=False)


def requires(scope: Scope, field: Any, *, or_owner: bool = False) -> Any:
    """A field of a type, with the scope that it needs. With `or_owner` its function asks `Context.may`."""
    # What is unset is not printed.
    field.directives = [*field.directives, RequiresScope(scope=scope, or_owner=or_owner or cast("bool", UNSET))]
    return field


def argument_requires(scope: Scope, name: str, field: Any) -> Any:
    """A field of a type, one of whose arguments needs a scope."""
    (argument,) = (argument for argument in field.arguments if argument.python_name == name)
    argument.directives = [RequiresScope(scope=scope, or_owner=cast("bool", UNSET))]
    return field


def each_requires(scope: Scope, *, but: Container[str] = ()) -> Callable[[type[T]], type[T]]:
    """Decorates a type whose fields all need a scope: those that name none of their own need this one."""

    def decorated(type_: type[T]) -> type[T]:
        for field in type_.__strawberry_definition__.fields:  # type: ignore[attr-defined] # Strawberry's mark
            if not field.directives and field.name not in but:
                requires(scope, field)
        return type_

    return decorated


class Rule(NamedTuple):
    """What a field needs of its caller."""

    scope: Scope
    or_owner: bool = False
    of_introspection: bool = False

    def allows(self, caller: Caller) -> bool:
        """Whether the caller may use the field; one who acts as an owner is let in, and the field looks closer.

        Nobody introspects without a name, even where everybody may do everything.
        """
        if self.of_introspection and caller.subject == ANONYMOUS:
            return False
        return self.scope in caller.scopes or (self.or_owner and caller.acts_as_owner)

    def refusal(self, node: Ruled) -> Forbidden | IntrospectionDisabled:
        """What a caller is told that may not use the field."""
        if self.of_introspection:
            return IntrospectionDisabled(f"`{node.name.value}` is not answered here: introspection is off", node)
        return Forbidden(f"`{node.name.value}` needs the scope {self.scope}", node, scope=self.scope)


Rules = Mapping[str, Rule]  # by type and field: `Query.tokens`

NO_INTROSPECTION: Rules = dict.fromkeys(
    ("Query.__schema", "__Type.fields", "__Type.inputFields", "__Type.interfaces"),
    Rule(Scope.ADMIN, of_introspection=True),
)
"""Closes the schema to all but administrators. What clients ask of a type whose name they know is left."""


def rules_of(schema: strawberry.Schema) -> Rules:
    """The rules that the directives of a schema say."""
    return dict(_rules(schema))


def _rules(schema: strawberry.Schema) -> Iterator[tuple[str, Rule]]:
    for type_ in schema._schema.type_map.values():  # noqa: SLF001 - Strawberry has no other door to it
        if not isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
            continue
        for name, field in type_.fields.items():
            definition = field.extensions.get("strawberry-definition")
            for directive in getattr(definition, "directives", ()):
                if isinstance(directive, RequiresScope):
                    yield f"{type_.name}.{name}", Rule(Scope(directive.scope), directive.or_owner is True)
            for argument in getattr(definition, "arguments", ()):
                for directive in argument.directives:
                    if isinstance(directive, RequiresScope):
                        yield (
                            f"{type_.name}.{name}({graphql_name(argument.python_name)}:)",
                            Rule(Scope(directive.scope)),
                        )


def needed(root: Selections, rules: Rules) -> frozenset[Rule]:
    """The rules of all fields of a counted operation, whatever `@skip` and `@include` say."""
    return frozenset(rule for _, rule in _fields(root, rules, None))


def refuse(root: Selections, rules: Rules, caller: Caller, variables: Mapping[str, Any]) -> None:
    """Refuse an operation if a field of it, as it is with these variables, is not for the caller. Raises Forbidden."""
    refused = [(node, rule) for node, rule in _fields(root, rules, variables) if not rule.allows(caller)]
    if refused:
        node, rule = refused[0]
        raise rule.refusal(node)


def _fields(root: Selections, rules: Rules, variables: Mapping[str, Any] | None) -> Iterator[tuple[Ruled, Rule]]:
    """The fields and arguments that have a rule. A fragment is looked at once, wherever it is spread."""
    seen, waiting = {id(root)}, [root]
    while waiting:
        for part in waiting.pop().parts:
            if variables is not None and _is_left_out(part.node, variables):
                continue
            if isinstance(part.node, FieldNode):
                yield from _ruled(part.node, part.name, rules)
            if part.inner and id(part.inner) not in seen:
                seen.add(id(part.inner))
                waiting.append(part.inner)


def _ruled(node: FieldNode, name: str, rules: Rules) -> Iterator[tuple[Ruled, Rule]]:
    if rule := rules.get(name):
        yield node, rule
    for argument in node.arguments or ():
        if rule := rules.get(f"{name}({argument.name.value}:)"):
            yield argument, rule


def _is_left_out(node: SelectionNode, variables: Mapping[str, Any]) -> bool:
    """Whether `@skip` or `@include` leaves a selection out."""
    leaving = {GraphQLSkipDirective.name: True, GraphQLIncludeDirective.name: False}
    return any(
        _condition(directive, variables) is leaving[directive.name.value]
        for directive in node.directives or ()
        if directive.name.value in leaving
    )


def _condition(directive: DirectiveNode, variables: Mapping[str, Any]) -> bool | None:
    (argument,) = directive.arguments or ()
    match argument.value:
        case BooleanValueNode(value=value):
            return value
        case VariableNode(name=name):
            found: bool | None = variables.get(name.value)
            return found
    return None
