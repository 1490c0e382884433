"""What is around an entity, over relations of any type."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    FromClause,
    Integer,
    Select,
    cast,
    func,
    literal,
    literal_column,
    select,
    true,
    union_all,
)
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by

from db.queries.closures import around
from db.queries.matching import words
from db.rules.kinds import RELATION_PAIRS
from db.rules.mermaid import MAX_NODES
from db.tables import entity as entities
from db.tables import ref as refs
from db.tables import relation as relations

_FORWARD = tuple(forward for forward, _ in RELATION_PAIRS)


def by_keys(keys: Any) -> Select[Any]:
    """Of keys `<depth> <ref>`: the entities at most so many steps away, and the relations between all of these.

    `nodes` are `[id, ref, title, kind]`, itself first, then by ref: the nearest, and one more than is drawn where there
    are more; title and kind are null of what does not exist. `links` are `[source id, type, target id]`, each relation
    seen from one end only.
    """
    wanted = func.unnest(words(keys)).table_valued("key").render_derived(name="wanted")
    depth, ref = (func.split_part(wanted.c.key, " ", part) for part in (1, 2))
    starts = select(wanted.c.key, cast(depth, Integer).label("depth"), refs.c.id).join(refs, refs.c.ref == ref)
    start = starts.subquery("start")
    drawn = _around(literal_column("start.id", BigInteger), literal_column("start.depth", Integer))
    return select(start.c.key, drawn).select_from(start.join(drawn, true()))


def _around(start: ColumnElement[int], depth: ColumnElement[int]) -> FromClause:
    near = around(start, depth, most=MAX_NODES + 1).subquery()
    others = select(near.c.id, literal(1).label("position")).where(near.c.id != start)
    found = union_all(select(start.label("id"), literal(0).label("position")), others).cte()
    return select(_nodes(found), _links(found)).add_cte(found, nest_here=True).lateral()


def _nodes(found: CTE) -> ColumnElement[Any]:
    node = func.jsonb_build_array(found.c.id, refs.c.ref, entities.c.title, entities.c.kind)
    return (
        select(func.jsonb_agg(aggregate_order_by(node, found.c.position, refs.c.ref), type_=JSONB))
        .select_from(found.join(refs, refs.c.id == found.c.id).outerjoin(entities, entities.c.id == found.c.id))
        .scalar_subquery()
        .label("nodes")
    )


def _links(found: CTE) -> ColumnElement[Any]:
    source, target = found.alias(), found.alias()
    link = (
        select(relations.c.source_id, relations.c.type, relations.c.target_id)
        .join(source, source.c.id == relations.c.source_id)
        .join(target, target.c.id == relations.c.target_id)
        .where(relations.c.type.in_(_FORWARD))
        .distinct()
        .subquery()
    )
    each = func.jsonb_build_array(link.c.source_id, link.c.type, link.c.target_id)
    return (
        select(func.coalesce(func.jsonb_agg(each), func.jsonb_build_array(), type_=JSONB))
        .scalar_subquery()
        .label("links")
    )
