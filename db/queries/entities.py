"""Entities, and the edges between them that have one column of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import BigInteger, Select, any_, cast, func, literal, select

from db.queries import closures
from db.queries.matching import entity_matches, words
from db.rules.filters import MAX_STEPS, EntityFilter
from db.rules.refs import Ref
from db.tables import entity as entities
from db.tables import ref as refs

OWNERS = ("Group", "User")


def by_ref(*, ref: Ref) -> Select[Any]:
    """The entity with this ref."""
    found = entities.alias()
    return select(found).where(found.c.ref == ref)


def typed_by_ref(graph_type: str) -> Callable[..., Select[Any]]:
    """Of a GraphQL type: the function that gives the entity of that type with this ref."""

    def typed(*, ref: Ref) -> Select[Any]:
        found = entities.alias()
        return select(found).where(found.c.ref == ref, found.c.graph_type == graph_type)

    return typed


def every(*, filter: EntityFilter | None = None) -> Select[Any]:
    """All entities that match."""
    found = entities.alias()
    return select(found).where(entity_matches(found, filter))


def typed(graph_type: str) -> Callable[..., Select[Any]]:
    """Of a GraphQL type: the function that gives all its entities that match."""

    def every_typed(*, filter: EntityFilter | None = None) -> Select[Any]:
        found = entities.alias()
        return select(found).where(found.c.graph_type == graph_type, entity_matches(found, filter))

    return every_typed


def owner_of(entity: Any) -> Select[Any]:
    """The group or user that `spec.owner` names."""
    owner = entities.alias()
    return select(owner).where(owner.c.id == entity.owner_id, owner.c.graph_type.in_(OWNERS))


def owner_ref_of(entity: Any) -> Select[Any]:
    """What `spec.owner` names, whether it exists or not."""
    return select(refs.c.ref).where(refs.c.id == entity.owner_id)


def owned_by(entity: Any, *, filter: EntityFilter | None = None, tree: bool = False) -> Select[Any]:
    """The entities whose `spec.owner` is this group or user; with `tree`, or a group or a member below it."""
    owned = entities.alias()
    within = closures.owners_within(entity.id)
    its = closures.is_among(owned.c.owner_id, within) if tree else owned.c.owner_id == entity.id
    return select(owned).where(its, entity_matches(owned, filter))


def system_of(entity: Any) -> Select[Any]:
    """The system that `spec.system` names."""
    system = entities.alias()
    return select(system).where(system.c.id == entity.system_id, system.c.graph_type == "System")


def domain_of(entity: Any) -> Select[Any]:
    """The domain that `spec.domain` names."""
    domain = entities.alias()
    return select(domain).where(domain.c.id == entity.domain_id, domain.c.graph_type == "Domain")


def parent_of(entity: Any) -> Select[Any]:
    """The entity of its own type that `subcomponentOf` or `subdomainOf` names."""
    parent = entities.alias()
    return select(parent).where(parent.c.id == entity.parent_id, parent.c.graph_type == entity.graph_type)


def children_of(entity: Any) -> Select[Any]:
    """The entities of its own type that name it with `subcomponentOf` or `subdomainOf`."""
    child = entities.alias()
    return select(child).where(child.c.parent_id == entity.id, child.c.graph_type == entity.graph_type)


def components_in(entity: Any, *, filter: EntityFilter | None = None) -> Select[Any]:
    """A system's components."""
    component = entities.alias()
    return _in_system(component, entity, "Component").where(entity_matches(component, filter))


def apis_in(entity: Any) -> Select[Any]:
    """A system's APIs."""
    return _in_system(entities.alias(), entity, "API")


def resources_in(entity: Any) -> Select[Any]:
    """A system's resources."""
    return _in_system(entities.alias(), entity, "Resource")


def _in_system(part: Any, entity: Any, graph_type: str) -> Select[Any]:
    return select(part).where(part.c.system_id == entity.id, part.c.graph_type == graph_type)


def systems_in(entity: Any, *, filter: EntityFilter | None = None, tree: bool = False) -> Select[Any]:
    """A domain's systems; with `tree`, also those of the domains anywhere below it."""
    system = entities.alias()
    domains = closures.tree(entity.id, closures.to_subdomains)
    its = system.c.domain_id.in_(domains) if tree else system.c.domain_id == entity.id
    return select(system).where(its, system.c.graph_type == "System", entity_matches(system, filter))


def domains_above(entity: Any) -> Select[Any]:
    """The domains above a domain, with their distance from it; a circle of domains ends where it closes."""
    nearest = select(cast(entity.parent_id, BigInteger).label("id"), literal(1).label("distance"))
    walked = nearest.cte(recursive=True, nesting=True)
    last = entities.alias()
    walked = walked.union(
        select(last.c.parent_id, walked.c.distance + 1)
        .where(last.c.id == walked.c.id, last.c.graph_type == "Domain", last.c.id != entity.id)
        .where(walked.c.distance < MAX_STEPS)
    )
    domain = entities.alias()
    first = select(walked.c.id, func.min(walked.c.distance).label("distance")).group_by(walked.c.id).subquery()
    return (
        select(domain, first.c.distance)
        .join(first, first.c.id == domain.c.id)
        .where(domain.c.graph_type == "Domain", domain.c.id != entity.id)
    )


def is_domain_tree_cut(entity: Any) -> Select[Any]:
    """Whether domains below a domain are left out of its tree."""
    return select(closures.is_tree_cut(entity.id, closures.to_subdomains))


def count_of_source(source: Any) -> Select[Any]:
    """How many entities a source holds."""
    held = entities.alias()
    return select(func.count()).select_from(held).where(held.c.source_id == source.id)


def by_refs(keys: Any) -> Select[Any]:
    """The entities with these canonical refs."""
    found = entities.alias()
    return select(found).where(found.c.ref == any_(words(keys)))
