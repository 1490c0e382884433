"""Relations, and the edges that follow them.

Both directions of a relation are stored, so every edge is read from its own end. Two files may declare the same
relation; edges and counts have it once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Select, any_, exists, func, literal, select

from db.queries.matching import entity_matches, words
from db.rules.filters import EntityFilter
from db.tables import entity as entities
from db.tables import ref as refs
from db.tables import relation as relations

MAX_DEPTH = 10  # levels that a closure follows


def of_entity(entity: Any, *, type: tuple[str, ...] | None = None, filter: EntityFilter | None = None) -> Select[Any]:
    """An entity's relations, with the refs of both ends; with a filter, only those whose target exists and matches."""
    relation, source_ref, target_ref = relations.alias(), refs.alias(), refs.alias()
    found = (
        select(
            relation.c.source_id,
            relation.c.type,
            relation.c.target_id,
            source_ref.c.ref.label("source_ref"),
            target_ref.c.ref.label("target_ref"),
        )
        .join(source_ref, source_ref.c.id == relation.c.source_id)
        .join(target_ref, target_ref.c.id == relation.c.target_id)
        .where(relation.c.source_id == entity.id)
        .distinct()
    )
    if type is not None:
        found = found.where(relation.c.type == any_(words(type)))
    if filter is not None:
        target = entities.alias()
        found = found.join(target, target.c.id == relation.c.target_id).where(entity_matches(target, filter))
    return found


def source_of(relation: Any) -> Select[Any]:
    """The entity that the relation starts from."""
    source = entities.alias()
    return select(source).where(source.c.id == relation.source_id)


def target_of(relation: Any) -> Select[Any]:
    """The entity that the relation points at."""
    target = entities.alias()
    return select(target).where(target.c.id == relation.target_id)


def related(type: str, *graph_types: str) -> Callable[..., Select[Any]]:
    """Of a relation's type: the function that gives the existing entities at its other end, of these GraphQL types."""

    def related_to(entity: Any) -> Select[Any]:
        return _linked(entity, type, graph_types, None)

    return related_to


def related_matching(type: str) -> Callable[..., Select[Any]]:
    """The same, of any GraphQL type, with a filter."""

    def related_to(entity: Any, *, filter: EntityFilter | None = None) -> Select[Any]:
        return _linked(entity, type, (), filter)

    return related_to


def _linked(entity: Any, type: str, graph_types: tuple[str, ...], wanted: EntityFilter | None) -> Select[Any]:
    other, relation = entities.alias(), relations.alias()
    linked = exists(
        select(literal(1)).where(
            relation.c.source_id == entity.id, relation.c.type == type, relation.c.target_id == other.c.id
        )
    )
    found = select(other).where(linked, entity_matches(other, wanted))
    return found.where(other.c.graph_type.in_(graph_types)) if graph_types else found


def only_related(type: str, graph_type: str) -> Callable[..., Select[Any]]:
    """The same, at most one: what the entity itself declares goes before what the other end does."""

    def one_related_to(entity: Any) -> Select[Any]:
        other, relation = entities.alias(), relations.alias()
        return (
            select(other)
            .join(relation, relation.c.target_id == other.c.id)
            .where(relation.c.source_id == entity.id, relation.c.type == type, other.c.graph_type == graph_type)
            .order_by((relation.c.declared_by == relation.c.source_id).desc(), other.c.id)
            .limit(1)
        )

    return one_related_to


def ancestors_of(entity: Any) -> Select[Any]:
    """The groups above a group, with their distance from it; a circle of groups ends where it closes."""
    above = relations.alias()
    nearest = (
        select(above.c.target_id.label("id"), literal(1).label("distance"))
        .where(above.c.source_id == entity.id, above.c.type == "childOf")
        .cte("above", recursive=True, nesting=True)
    )
    further = relations.alias()
    above_all = nearest.union(
        select(further.c.target_id, nearest.c.distance + 1)
        .join_from(nearest, further, further.c.source_id == nearest.c.id)
        .where(further.c.type == "childOf", nearest.c.distance < MAX_DEPTH)
    )
    group = entities.alias()
    first = select(above_all.c.id, func.min(above_all.c.distance).label("distance")).group_by(above_all.c.id).subquery()
    return (
        select(group, first.c.distance)
        .join(first, first.c.id == group.c.id)
        .where(group.c.graph_type == "Group", group.c.id != entity.id)
    )
