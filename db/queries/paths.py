"""A shortest way from one entity to another, over relations of any type."""

from __future__ import annotations

from typing import Any

from sqlalchemy import CTE, Integer, Select, cast, func, literal, select, true, union

from db.queries.closures import MAX_NODES
from db.queries.matching import ref_id
from db.rules.refs import Ref
from db.tables import ref as refs
from db.tables import relation as relations


def shortest(*, start: Ref, end: Ref, max_depth: int) -> Select[Any]:
    """The relations of a shortest way, in order by `position`; no rows where there is none so short.

    It is looked for from both ends, half way each, since there is far less around two entities than twice as far around
    one. Every relation is stored in both directions, so what leads to an entity is found from there. Beyond
    `MAX_NODES` on either side nothing is looked at. Of equal ways it is the same one each time.
    """
    near = _around(start, (max_depth + 1) // 2).cte()
    far = _around(end, max_depth // 2).cte()
    meeting = (
        select(near.c.id, near.c.steps.label("behind"), far.c.steps.label("ahead"))
        .join(far, far.c.id == near.c.id)
        .order_by(near.c.steps + far.c.steps, near.c.steps, near.c.id)
        .limit(1)
        .cte()
    )
    back, forth = _way(near, meeting.c.behind), _way(far, meeting.c.ahead)
    ways = union(
        select(back.c.id, back.c.steps.label("position")),
        select(forth.c.id, (meeting.c.behind + meeting.c.ahead - forth.c.steps).label("position")).join(
            meeting, true()
        ),
    ).cte()
    return _relations_of(ways)


def _around(start: Ref, depth: Any) -> Select[Any]:
    """What is at most so many steps away: ids and steps, the nearest first; some come again with more steps."""
    walked = select(ref_id(start).label("id"), literal(0).label("steps")).cte(recursive=True, nesting=True)
    relation = relations.alias()
    walked = walked.union(
        select(relation.c.target_id, walked.c.steps + 1)
        .join(relation, relation.c.source_id == walked.c.id)
        .where(walked.c.steps < depth)
    )
    return select(walked).limit(MAX_NODES)


def _way(around: CTE, steps: Any) -> CTE:
    """The way from where both sides meet, so many steps away, to where one of them started."""
    way = select(steps.table.c.id, cast(steps, Integer).label("steps")).cte(recursive=True)
    relation = relations.alias()
    nearer = (
        select(around.c.id, around.c.steps)
        .join(relation, relation.c.target_id == around.c.id)
        .where(relation.c.source_id == way.c.id, around.c.steps == way.c.steps - 1)
        .order_by(around.c.id)
        .limit(1)
        .lateral()
    )
    return way.union(select(nearer).select_from(way.join(nearer, true())))


def _relations_of(way: CTE) -> Select[Any]:
    one, next_one, relation = way.alias(), way.alias(), relations.alias()
    source, target = refs.alias(), refs.alias()
    return (
        select(
            one.c.position,
            source.c.id.label("source_id"),
            func.min(relation.c.type).label("type"),
            target.c.id.label("target_id"),
            source.c.ref.label("source_ref"),
            target.c.ref.label("target_ref"),
        )
        .join(next_one, next_one.c.position == one.c.position + 1)
        .join(relation, (relation.c.source_id == one.c.id) & (relation.c.target_id == next_one.c.id))
        .join(source, source.c.id == one.c.id)
        .join(target, target.c.id == next_one.c.id)
        .group_by(one.c.position, source.c.id, target.c.id)
        .order_by(one.c.position)
    )
