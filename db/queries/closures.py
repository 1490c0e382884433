"""Closures: the ids that are reached by steps of one sort, from an entity or a ref.

Each is reached once, by a shortest way, so circles do no harm. The nearest come first; beyond `MAX_NODES` of them a
closure is cut, and what it would have led to is not read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Integer,
    Select,
    and_,
    case,
    cast,
    func,
    literal,
    null,
    or_,
    select,
    true,
    union_all,
)

from db.rules.filters import MAX_STEPS
from db.tables import entity as entities
from db.tables import relation as relations

MAX_NODES = 10_000

Step = Callable[[Any], Select[Any]]
"""From an id to the ids right beyond it: a Select of one column, `id`."""


def along(*types: str) -> Step:
    """The step from an entity to what it has one of these relations to, whether that exists or not."""

    def step(id: Any) -> Select[Any]:
        relation = relations.alias()
        return select(relation.c.target_id.label("id")).where(relation.c.source_id == id, relation.c.type.in_(types))

    return step


def to_subdomains(id: Any) -> Select[Any]:
    """The step from a domain to those that name it with `subdomainOf`."""
    domain = entities.alias()
    return select(domain.c.id.label("id")).where(domain.c.parent_id == id, domain.c.graph_type == "Domain")


def within(start: Any, step: Step, depth: Any) -> CompoundSelect[Any]:
    """The ids one to `depth` steps away; in a circle the start, too. What is one step away is never cut."""
    return union_all(
        step(start).where(depth == 1),  # by itself, since walking takes longer than looking once
        _reached(start, step, depth).where(depth > 1),
    )


def is_cut(start: Any, step: Step, depth: Any) -> ColumnElement[bool]:
    """Whether more are within than `within` gives."""
    return literal(MAX_NODES) < _count(_reached(start, step, depth, most=MAX_NODES + 1).where(depth > 1))


def tree(root: Any, step: Step) -> CompoundSelect[Any]:
    """The root, and all below it as far as closures go."""
    return union_all(select(root.label("id")), _reached(root, step, MAX_STEPS))


def is_tree_cut(root: Any, step: Step) -> ColumnElement[bool]:
    """Whether a tree goes on, deeper or wider, beyond what `tree` gives."""
    further = _reached(root, step, MAX_STEPS + 1, most=MAX_NODES + 1)
    return _count(_reached(root, step, MAX_STEPS)) < _count(further)


def around(start: Any, depth: Any, *, most: int) -> Select[Any]:
    """The ids one to `depth` relations of any type away, the nearest first, at most so many."""
    return _reached(start, _along_any, depth, most=most)


def is_among(owner_id: Any, owners: CompoundSelect[Any]) -> ColumnElement[bool]:
    """Whether this owner is one of these, which are ids that take some time to find."""
    return and_(
        owner_id.is_not(None),
        owner_id.in_(select(func.unnest(func.array(owners.scalar_subquery())))),
        # Postgres takes this for something rare, and so starts from the owners. For a page by name it would start from
        # the names otherwise, and read the whole catalog where a tree owns little.
        owner_id + 0 == owner_id,
    )


def owners_within(root: Any, *, step: Step = along("parentOf")) -> CompoundSelect[Any]:  # noqa: B008 - it is pure
    """The ids in the tree of a group: its own, of the groups below it, and of the members of all these."""
    groups = tree(root, step).cte(nesting=True)
    return union_all(select(groups.c.id), members_of(select(groups.c.id)))


def members_of(groups: Any) -> Select[Any]:
    """The ids of the members of groups, which are a Select of ids."""
    relation = relations.alias()
    members = select(relation.c.target_id.label("id"))
    return members.where(relation.c.source_id.in_(groups), relation.c.type == "hasMember")


def _along_any(id: Any) -> Select[Any]:
    relation = relations.alias()
    return select(relation.c.target_id.label("id")).where(relation.c.source_id == id)


def _reached(start: Any, step: Step, depth: Any, *, most: int = MAX_NODES) -> Select[Any]:
    """The ids one to `depth` steps away, the nearest first, at most so many.

    UNION drops what was reached before, so that each id is walked from once. For that a row may hold nothing but its
    id; so depth is counted by a row of its own, which has no id. Rows are made as they are taken, so the limit ends
    the walk.
    """
    first = step(start).add_columns(cast(null(), Integer).label("steps"))
    starts = union_all(first, select(cast(null(), BigInteger), literal(1))).subquery()
    walked = select(starts).cte(recursive=True, nesting=True)
    front = select(walked.c.id, func.max(walked.c.steps).over().label("steps")).subquery()
    beyond = step(front.c.id).lateral()
    walked = walked.union(
        select(beyond.c.id, case((front.c.id.is_(None), front.c.steps + 1)))
        .select_from(front.outerjoin(beyond, true()))
        .where(front.c.steps < depth, or_(front.c.id.is_(None), beyond.c.id.is_not(None)))
    )
    return select(walked.c.id).where(walked.c.id.is_not(None)).limit(most)


def _count(rows: Select[Any]) -> ColumnElement[int]:
    return select(func.count()).select_from(rows.subquery()).scalar_subquery()
