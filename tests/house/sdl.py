"""What the schema's text must hold to: every element described, one shape for a name, no silent breaking change."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLType,
    GraphQLUnionType,
    build_schema,
    find_breaking_changes,
    is_abstract_type,
    is_composite_type,
    is_introspection_type,
    is_specified_directive,
    is_specified_scalar_type,
)

type_with_fields = (GraphQLObjectType, GraphQLInterfaceType)


def badly_described(schema: GraphQLSchema) -> list[str]:
    """The elements whose description does not read as sentences: a capital or code first, a full stop last."""
    return [name for name, description in _descriptions(schema) if not _reads_as_sentences(description or "")]


def _reads_as_sentences(description: str) -> bool:
    return (description[:1] == "`" or description[:1].isupper()) and description.endswith(".")


def _descriptions(schema: GraphQLSchema) -> Iterator[tuple[str, str | None]]:
    for named in _own_types(schema):
        yield named.name, named.description
        if isinstance(named, type_with_fields):
            for field_name, field in named.fields.items():
                yield f"{named.name}.{field_name}", field.description
                yield from _argument_descriptions(f"{named.name}.{field_name}", field.args)
        elif isinstance(named, GraphQLInputObjectType):
            yield from ((f"{named.name}.{name}", input_field.description) for name, input_field in named.fields.items())
        elif isinstance(named, GraphQLEnumType):
            yield from ((f"{named.name}.{name}", value.description) for name, value in named.values.items())
    for directive in schema.directives:
        if not is_specified_directive(directive):
            # Strawberry has no way to describe its arguments: the directive's own description does.
            yield f"@{directive.name}", directive.description


def _argument_descriptions(of: str, arguments: Mapping[str, GraphQLArgument]) -> Iterator[tuple[str, str | None]]:
    yield from ((f"{of}({name}:)", argument.description) for name, argument in arguments.items())


def _own_types(schema: GraphQLSchema) -> Iterator[GraphQLNamedType]:
    for named in schema.type_map.values():
        if not is_introspection_type(named) and not is_specified_scalar_type(named):
            yield named


def clashing_shapes(schema: GraphQLSchema, interface: str = "Entity") -> list[str]:
    """Fields that one query cannot select on all types that may stand at one place, named by their types.

    GraphQL refuses `... on A { x } ... on B { x }` when the two differ in list, nullability or leaf type, however deep
    below. Looked at are the implementers of `interface`, the members of each union, and all that follows from those.
    """
    places = [[schema.type_map[interface]]] if interface in schema.type_map else []
    places += [[named] for named in _own_types(schema) if isinstance(named, GraphQLUnionType)]
    seen: set[frozenset[str]] = set()
    clashes: set[str] = set()
    while places:
        types = _standing_in(schema, places.pop())
        if (names := frozenset(types)) in seen:
            continue
        seen.add(names)
        for field_name, fields in _fields_by_name(types.values()).items():
            by_shape = {_shape(field.type): f"{owner}.{field_name}: {field.type}" for owner, field in fields}
            if len(by_shape) > 1:
                clashes.add(" but ".join(sorted(by_shape.values())))
            else:
                places.append([_named(field.type) for _, field in fields])
    return sorted(clashes)


def _standing_in(schema: GraphQLSchema, types: Iterable[GraphQLNamedType]) -> dict[str, GraphQLNamedType]:
    """The composite types, and all that may stand in for the abstract ones."""
    standing: dict[str, GraphQLNamedType] = {}
    for named in types:
        if is_composite_type(named):
            standing[named.name] = named
        if is_abstract_type(named):
            standing.update((possible.name, possible) for possible in schema.get_possible_types(named))
    return standing


def _fields_by_name(types: Iterable[GraphQLNamedType]) -> dict[str, list[tuple[str, GraphQLField]]]:
    fields = defaultdict(list)
    for named in types:
        if isinstance(named, type_with_fields):
            for field_name, field in named.fields.items():
                fields[field_name].append((named.name, field))
    return fields


def _shape(output: GraphQLType) -> str:
    """The type with every composite name replaced: `[{}!]!`, `String`."""
    if isinstance(output, GraphQLNonNull):
        return f"{_shape(output.of_type)}!"
    if isinstance(output, GraphQLList):
        return f"[{_shape(output.of_type)}]"
    return "{}" if is_composite_type(output) else str(output)


def _named(output: GraphQLType) -> GraphQLNamedType:
    while isinstance(output, GraphQLNonNull | GraphQLList):
        output = output.of_type
    assert isinstance(output, GraphQLNamedType)
    return output


def breaking_changes(before: str, after: str) -> list[str]:
    """What of the SDL `before` no longer holds in `after`, a sentence for each change."""
    changes = find_breaking_changes(build_schema(before), build_schema(after))
    return sorted(change.description for change in changes)


def accepted_changes(markdown: str) -> dict[str, str]:
    """The lines `- <sentence> Because <reason>.` of BREAKING.md: sentence -> reason."""
    accepted = {}
    for line in markdown.splitlines():
        if line.startswith("- "):
            sentence, _, reason = line.removeprefix("- ").partition(" Because ")
            accepted[sentence] = reason
    return accepted
