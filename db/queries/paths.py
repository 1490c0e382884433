"""A shortest way from one entity to another, over relations of any type.

    near, far         what is around the start and around the end: ids, with how many steps away they are
    meeting           where both sides meet, with its steps from the start (`behind`) and from the end (`ahead`)
    back, forth       from there to the start, and to the end
    way               both as one: ids with their position

Each part names the others by these names: as objects in each other they would take SQLAlchemy a second to walk through.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    Integer,
    Select,
    TableClause,
    and_,
    column,
    func,
    literal,
    select,
    table,
    true,
    union,
)

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
    return _relations().add_cte(
        _around(start, (max_depth + 1) // 2).cte("near"),
        _around(end, max_depth // 2).cte("far"),
        _meeting().cte("meeting"),
        _steps_through(_ids("near"), _MEETING.c.behind, "back"),
        _steps_through(_ids("far"), _MEETING.c.ahead, "forth"),
        _way().cte("way"),
    )


def _ids(name: str, number: str = "steps") -> TableClause:
    return table(name, column("id", BigInteger), column(number, Integer))


_MEETING = table("meeting", column("id", BigInteger), column("behind", Integer), column("ahead", Integer))


def _around(start: Ref, depth: Any) -> Select[Any]:
    """What is at most so many steps away, the nearest first; some come again with more steps."""
    walked = select(ref_id(start).label("id"), literal(0).label("steps")).cte(recursive=True, nesting=True)
    relation = relations.alias()
    walked = walked.union(
        select(relation.c.target_id, walked.c.steps + 1)
        .join(relation, relation.c.source_id == walked.c.id)
        .where(walked.c.steps < depth)
    )
    return select(walked).limit(MAX_NODES)


def _meeting() -> Select[Any]:
    near, far = _ids("near"), _ids("far")
    return (
        select(near.c.id, near.c.steps.label("behind"), far.c.steps.label("ahead"))
        .join(far, far.c.id == near.c.id)
        .order_by(near.c.steps + far.c.steps, near.c.steps, near.c.id)
        .limit(1)
    )


def _steps_through(around: TableClause, steps: Any, name: str) -> CTE:
    """From the meeting, so many steps away, ever nearer to what these ids are around."""
    walked = select(_MEETING.c.id, steps.label("steps")).cte(name, recursive=True)
    relation = relations.alias()
    nearer = (
        select(around.c.id, around.c.steps)
        .join(relation, relation.c.target_id == around.c.id)
        .where(relation.c.source_id == walked.c.id, around.c.steps == walked.c.steps - 1)
        .order_by(around.c.id)
        .limit(1)
        .lateral()
    )
    return walked.union(select(nearer).select_from(walked.join(nearer, true())))


def _way() -> Any:
    back, forth = _ids("back"), _ids("forth")
    position = _MEETING.c.behind + _MEETING.c.ahead - forth.c.steps
    return union(
        select(back.c.id, back.c.steps.label("position")),
        select(forth.c.id, position).select_from(forth.join(_MEETING, true())),
    )


def _relations() -> Select[Any]:
    here, there, relation = _ids("way", "position").alias(), _ids("way", "position").alias(), relations.alias()
    source, target = refs.alias(), refs.alias()
    return (
        select(
            here.c.position,
            here.c.id.label("source_id"),
            func.min(relation.c.type).label("type"),
            there.c.id.label("target_id"),
            source.c.ref.label("source_ref"),
            target.c.ref.label("target_ref"),
        )
        .join(there, there.c.position == here.c.position + 1)
        .join(relation, and_(relation.c.source_id == here.c.id, relation.c.target_id == there.c.id))
        .join(source, source.c.id == here.c.id)
        .join(target, target.c.id == there.c.id)
        .group_by(here.c.position, here.c.id, there.c.id, source.c.ref, target.c.ref)
        .order_by(here.c.position)
    )
