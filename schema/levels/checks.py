"""Mistakes of authors, found when the schema is built, and told with the field's name."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

import strawberry
from graphql import GraphQLField, GraphQLObjectType, GraphQLSchema, get_named_type, is_abstract_type
from sqlalchemy import Select

from schema.levels.edge import ConnectionField, DerivedField, EdgeField, PartField, ValueField, needs_of
from schema.levels.tables import TYPE
from schema.levels.uniqueness import gives_several


class SchemaMistakeError(Exception):
    """A field that would fail, or answer wrongly. The message names it."""


def check(schema: strawberry.Schema) -> None:
    """Try every edge of the schema without a database. Raises SchemaMistakeError."""
    graph = schema._schema  # noqa: SLF001 - Strawberry has no other door to it
    checked: set[tuple[Hashable, ...]] = set()  # types inherit the fields of their interfaces
    for type_ in graph.type_map.values():
        if isinstance(type_, GraphQLObjectType):
            for name, field in type_.fields.items():
                edge = _written(field)
                if isinstance(edge, EdgeField) and (one := (edge.identity, str(field.type))) not in checked:
                    checked.add(one)
                    _check_edge(graph, f"{type_.name}.{name}", field, edge)


def _check_edge(graph: GraphQLSchema, name: str, field: GraphQLField, edge: EdgeField) -> None:
    body = f"{name}: {edge.body.__module__.rpartition('.')[2]}.{edge.body.__qualname__}"
    for title, arguments in edge.tries():
        try:
            query = edge.select(**arguments)
        except Exception as error:
            raise SchemaMistakeError(f"{body}{title} fails: {error}{_hint(error)}") from error
        _check_query(graph, f"{body}{title}", field, edge, query)


def _check_query(graph: GraphQLSchema, body: str, field: GraphQLField, edge: EdgeField, query: Select[Any]) -> None:
    if edge.is_single and (table := gives_several(query)):
        raise SchemaMistakeError(f"{body} may give several rows of {table!r}: bind a unique key, or limit it to one.")
    if isinstance(edge, ValueField):
        return
    rows = _type_of_rows(field, edge)
    needed = {key.column: "the order" for key in edge.order}
    if edge.is_single and not any(column.primary_key for column in query.selected_columns):
        raise SchemaMistakeError(f"{body} gives no primary key, by which a missing row is told from an empty one.")
    if is_abstract_type(rows):
        needed[TYPE] = "an interface"
    for type_ in graph.get_possible_types(rows) if is_abstract_type(rows) else [rows]:
        needed |= dict(_needed(type_))
    for column, whose in needed.items():
        if column not in query.selected_columns:
            raise SchemaMistakeError(f"{body} gives no column {column!r}, which {whose} needs.")


def _needed(type_: GraphQLObjectType, walked: frozenset[str] = frozenset()) -> Iterator[tuple[str, str]]:
    """The columns that a type's fields read, each with the field."""
    if type_.name in walked:
        return
    for name, field in type_.fields.items():
        written = _written(field)
        if isinstance(written, PartField):
            yield from _needed(get_named_type(field.type), walked | {type_.name})
        else:
            for column in _columns(written):
                yield column, f"{type_.name}.{name}"


def _columns(written: Any) -> tuple[str, ...]:
    if isinstance(written, EdgeField):
        return tuple(written.keys)
    if isinstance(written, DerivedField):
        return written.columns
    if written.is_basic_field:
        return (written.python_name,)
    return needs_of(written) or ()


def _type_of_rows(field: GraphQLField, edge: EdgeField) -> Any:
    """The type of an edge's rows: of a connection, that of its nodes."""
    named: Any = get_named_type(field.type)
    return get_named_type(named.fields["nodes"].type) if isinstance(edge, ConnectionField) else named


def _written(field: GraphQLField) -> Any:
    return field.extensions.get("strawberry-definition")


def _hint(error: Exception) -> str:
    if isinstance(error, TypeError) and "Boolean value" in str(error):
        return ". An argument is an SQL parameter, whose value is not known here: ask whether it `is None`."
    return ""
