"""Relations, and the edges that follow them.

Both directions of a relation are stored, so every edge is read from its own end. Two files may declare the same
relation; edges and counts have it once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Select, any_, exists, func, literal, select

from db.queries import closures
from db.queries.matching import entity_matches, words
from db.rules.filters import MAX_STEPS, EntityFilter
from db.tables import entity as entities
from db.tables import ref as refs
from db.tables import relation as relations


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
        other, relation = entities.alias(), relations.alias()
        linked = exists(
            select(literal(1)).where(
                relation.c.source_id == entity.id, relation.c.type == type, relation.c.target_id == other.c.id
            )
        )
        return select(other).where(linked, other.c.graph_type.in_(graph_types))

    return related_to


def within(type: str) -> Callable[..., Select[Any]]:
    """Of a relation's type: the function that gives the existing entities one to `depth` such relations away."""

    def related_within(entity: Any, *, depth: int = 1, filter: EntityFilter | None = None) -> Select[Any]:
        other = entities.alias()
        reached = closures.within(entity.id, closures.along(type), depth)
        return select(other).where(other.c.id.in_(reached), entity_matches(other, filter))

    return related_within


def is_cut(type: str) -> Callable[..., Select[Any]]:
    """Of a relation's type: the function that says whether more are within so many such relations than are given."""

    def is_cut_within(entity: Any, *, depth: int = 1) -> Select[Any]:
        return select(closures.is_cut(entity.id, closures.along(type), depth))

    return is_cut_within


def members_of(entity: Any, *, tree: bool = False) -> Select[Any]:
    """The users in a group; with `tree`, also those in the groups anywhere below it."""
    groups = closures.tree(entity.id, closures.along("parentOf")) if tree else select(entity.id)
    user = entities.alias()
    return select(user).where(user.c.id.in_(closures.members_of(groups)), user.c.graph_type == "User")


def is_group_tree_cut(entity: Any) -> Select[Any]:
    """Whether groups below a group are left out of its tree."""
    return select(closures.is_tree_cut(entity.id, closures.along("parentOf")))


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
        .where(further.c.type == "childOf", nearest.c.distance < MAX_STEPS)
    )
    group = entities.alias()
    first = select(above_all.c.id, func.min(above_all.c.distance).label("distance")).group_by(above_all.c.id).subquery()
    return (
        select(group, first.c.distance)
        .join(first, first.c.id == group.c.id)
        .where(group.c.graph_type == "Group", group.c.id != entity.id)
    )
