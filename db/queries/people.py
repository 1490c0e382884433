"""People who ask: which User somebody is, what they own, and what they may therefore write.

What a right follows from must be declared by a trusted source: who somebody is, which groups they are in, and who owns
what. For showing, every source counts.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import CompoundSelect, Select, exists, func, literal, or_, select, union_all

from db.queries import closures
from db.queries.matching import entity_matches, problem_matches
from db.queries.problems import all_of_them
from db.rules.filters import EntityFilter, ProblemFilter
from db.rules.refs import Ref
from db.tables import document as documents
from db.tables import entity as entities
from db.tables import relation as relations
from db.tables import source as sources


def known_as(*, ref: Ref | None, email: str | None) -> Select[Any]:
    """The ids of the Users of this ref, or with this address in their profile, which is in lower case; at most two."""
    user = entities.alias()
    found = select(user.c.id).where(user.c.graph_type == "User", _is_trusted(user.c.id)).limit(2)
    if ref is not None:
        return found.where(user.c.ref == ref)
    document = documents.alias()
    address = func.lower(document.c.spec[("profile", "email")].astext)
    return found.join(document, document.c.entity_id == user.c.id).where(address == email)


def owning(*, person: int, ref: Ref) -> Select[Any]:
    """The entity of this ref, if it is owned by this User, or by a group that they are a member of themselves."""
    entity, relation = entities.alias(), relations.alias()
    is_member = exists(
        select(literal(1)).where(
            relation.c.source_id == person,
            relation.c.type == "memberOf",
            relation.c.target_id == entity.c.owner_id,
            _is_trusted(relation.c.declared_by),
        )
    )
    owned = or_(entity.c.owner_id == person, is_member)
    return select(entity.c.id).where(entity.c.ref == ref, _is_trusted(entity.c.id), owned)


def itself(entity: Any) -> Select[Any]:
    """The User that somebody is."""
    user = entities.alias()
    return select(user).where(user.c.id == entity.id)


def owned_by(entity: Any, *, filter: EntityFilter | None = None, tree: bool = True) -> Select[Any]:
    """The entities that a User or one of their groups owns; with `tree`, or a group or a member below these groups."""
    owned = entities.alias()
    within = closures.owners_within(entity.id, step=closures.along("memberOf", "parentOf"))
    owners = within if tree else _owners(entity)
    return select(owned).where(closures.is_among(owned.c.owner_id, owners), entity_matches(owned, filter))


def problems_of(entity: Any, *, filter: ProblemFilter | None = None) -> Select[Any]:
    """The problems of a User, of their groups, and of what these own."""
    problem, found = all_of_them()
    owner, owned = _owners(entity).subquery(), entities.alias()
    its = union_all(select(owner.c.id), select(owned.c.id).join(owner, owner.c.id == owned.c.owner_id))
    return found.where(problem.c.entity_id.in_(its), problem_matches(problem, filter))


def _owners(entity: Any) -> CompoundSelect[Any]:
    """The ids of a User and of the groups that they are a member of themselves."""
    return union_all(select(entity.id.label("id")), closures.along("memberOf")(entity.id))


def _is_trusted(id: Any) -> Any:
    """Whether a trusted source declares the entity of this id."""
    entity, source = entities.alias(), sources.alias()
    declared = select(literal(1)).join_from(entity, source, source.c.id == entity.c.source_id)
    return exists(declared.where(entity.c.id == id, source.c.trusted))
