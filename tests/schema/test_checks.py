"""An author's mistakes, told when the schema is built."""

from __future__ import annotations

import re
from enum import Enum
from typing import Any

import pytest
import strawberry
from sqlalchemy import Select, literal, select

from db.queries import entities, relations
from db.tables import entity as entities_table
from db.tables import relation as relations_table
from schema.levels.checks import SchemaMistakeError, check
from schema.levels.edge import EdgeField, connection, derived, edge, edges, value
from schema.types.connection import Connection

NAMED = dict.fromkeys(("kind", "sort", "direct", "detail", "owner"), "An argument.")


class Detail(Enum):
    ALL = "all"
    NAMES = "names"


def owner_by_relation(entity: Any) -> Select[Any]:
    owner, relation = entities_table.alias(), relations_table.alias()
    return select(owner).where(relation.c.source_id == entity.id, owner.c.id == relation.c.target_id)


def owner_by_name(entity: Any) -> Select[Any]:
    owner = entities_table.alias()
    return select(owner).where(owner.c.name == entity.name)


def owner_of_no_column(entity: Any) -> Select[Any]:
    return select(entities_table).where(entities_table.c.id == entity.owner)


def named_or_all(*, name: str | None = None) -> Select[Any]:
    found = entities_table.alias()
    return select(found).where(found.c.name == name) if name else select(found)


def by_name_and(*, kind: str | None = None, sort: str | None = None) -> Select[Any]:
    found = entities_table.alias()
    query = select(found) if kind is None else select(found).where(found.c.ref == kind)
    return query if sort is None else query.limit(1)


def one_of_the_children(entity: Any, *, direct: bool = True) -> Select[Any]:
    child = entities_table.alias()
    query = select(child).where(child.c.parent_id == entity.id)
    return query.limit(1) if direct else query


def less_in_detail(*, detail: Detail = Detail.ALL) -> Select[Any]:
    found = entities_table.alias()
    return select(found) if detail is Detail.ALL else select(found.c.id, found.c.name)


def parent_or_owner(entity: Any, *, owner: bool = True, kind: str | None = None) -> Select[Any]:
    found = entities_table.alias()
    if kind is None:
        return select(found).where(found.c.id == entity.source_id)
    return select(found).where(found.c.id == (entity.owner_id if owner else entity.parent_id), found.c.kind == kind)


def only_names(entity: Any) -> Select[Any]:
    child = entities_table.alias()
    return select(child.c.id, child.c.name).where(child.c.parent_id == entity.id)


def made_up() -> Select[Any]:
    return select(literal("x").label("id")).limit(1)


@strawberry.type
class Thing:
    name: str
    title: str


@strawberry.interface
class Named:
    name: str


@strawberry.type
class NamedThing(Named):
    id: strawberry.ID = derived(str, "id", description="")


def message(mistake: Any, returns: Any) -> str:
    Query = strawberry.type(type("Query", (), {"__annotations__": {"field": returns}, "field": mistake}))  # noqa: N806
    with pytest.raises(SchemaMistakeError) as caught:
        check(strawberry.Schema(Query, types=[NamedThing]))
    return re.sub(r"\s+", " ", str(caught.value))


MISTAKES = {
    "a join that may fan out": (
        edge(owner_by_relation, ""),
        Thing | None,
        "Query.field: test_checks.owner_by_relation may give several rows of 'entity': bind a unique key, or limit it to one.",
    ),
    "a name is not unique": (
        edge(owner_by_name, ""),
        Thing | None,
        "Query.field: test_checks.owner_by_name may give several rows of 'entity': bind a unique key, or limit it to one.",
    ),
    "a value of many": (
        value(only_names, ""),
        str | None,
        "Query.field: test_checks.only_names may give several rows of 'entity': bind a unique key, or limit it to one.",
    ),
    "not unique when an argument is absent": (
        EdgeField(by_name_and, "", arguments=NAMED),
        Thing | None,
        "Query.field: test_checks.by_name_and without arguments may give several rows of 'entity': bind a unique key, or limit it to one.",
    ),
    "not unique when an argument is false": (
        EdgeField(one_of_the_children, "", arguments=NAMED),
        Thing | None,
        "Query.field: test_checks.one_of_the_children with direct=False may give several rows of 'entity': bind a unique key, or limit it to one.",
    ),
    "fewer columns for another value": (
        edges(less_in_detail, "", order=("id",), arguments=NAMED),
        list[Thing],
        "Query.field: test_checks.less_in_detail with detail=<Detail.NAMES: 'names'> gives no column 'title', which Thing.title needs.",
    ),
    "a column that the parent's table has not": (
        edge(owner_of_no_column, ""),
        Thing | None,
        "Query.field: test_checks.owner_of_no_column fails: table 'entity' has no column 'owner'",
    ),
    "an argument asked as if its value were known": (
        connection(named_or_all, "", arguments={"name": "A name."}),
        Connection[Thing],
        "Query.field: test_checks.named_or_all fails: Boolean value of this clause is not defined. An argument is an SQL parameter, whose value is not known here: ask whether it `is None`.",
    ),
    "a column that a field of the type needs": (
        edges(only_names, "", order=("id",)),
        list[Thing],
        "Query.field: test_checks.only_names gives no column 'title', which Thing.title needs.",
    ),
    "a column that the order needs": (
        connection(only_names, ""),
        Connection[NamedThing],
        "Query.field: test_checks.only_names gives no column 'sort_name', which the order needs.",
    ),
    "the type of an interface's rows": (
        edges(only_names, "", order=("id",)),
        list[Named],
        "Query.field: test_checks.only_names gives no column 'graph_type', which an interface needs.",
    ),
    "nothing to tell a missing row by": (
        edge(made_up, ""),
        NamedThing | None,
        "Query.field: test_checks.made_up gives no primary key, by which a missing row is told from an empty one.",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_with_the_field(mistake: str) -> None:
    field, returns, told = MISTAKES[mistake]
    assert message(field, returns) == told


def test_an_edge_reads_what_its_body_reads_under_any_arguments() -> None:
    field = edges(parent_or_owner, "", order=("id",), arguments=NAMED)
    assert list(field.keys) == ["owner_id", "parent_id", "source_id"]


def test_what_is_right_passes() -> None:
    @strawberry.type
    class Query:
        owner: Thing | None = edge(entities.owner_of, "")
        parent: Thing | None = edge(relations.only_related("childOf", "Group"), "")
        held: int = value(entities.count_of_source, "")

    check(strawberry.Schema(Query))
