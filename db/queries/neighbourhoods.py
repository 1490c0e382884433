"""What is around an entity, over relations of any type."""

from __future__ import annotations

from typing import Any

from sqlalchemy import CTE, ColumnElement, Integer, Select, cast, func, literal, select, true, union_all
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by

from db.queries.closures import around
from db.queries.matching import words
from db.rules.kinds import RELATION_PAIRS
from db.rules.mermaid import MAX_NODES
from db.tables import entity as entities
from db.tables import ref as refs
from db.tables import relation as relations

_FORWARD = tuple(type for type, _ in RELATION_PAIRS)


def by_keys(keys: Any) -> Select[Any]:
    """Of keys `<depth> <ref>`: the entities at most so many steps away, and the relations between all of these.

    `nodes` are `[id, ref, title, kind]`, itself first, then the nearest, and one more than is drawn where there are
    more; title and kind are null of what does not exist. `links` are `[source id, type, target id]`, each relation
    seen from one end only.
    """
    key = func.unnest(words(keys)).table_valued("key").render_derived(name="wanted")
    depth, ref = (func.split_part(key.c.key, " ", part) for part in (1, 2))
    start = select(refs.c.id).where(refs.c.ref == ref).lateral()
    near = around(start.c.id, cast(depth, Integer), most=MAX_NODES + 1).subquery()
    others = select(near.c.id, func.row_number().over().label("position")).where(near.c.id != start.c.id)
    found = union_all(select(start.c.id, literal(0).label("position")), others.correlate(start)).cte()
    drawn = select(_nodes(found), _links(found)).add_cte(found, nest_here=True).lateral()
    return select(key.c.key, drawn).select_from(key.join(start, true()).join(drawn, true()))


def _nodes(found: CTE) -> ColumnElement[Any]:
    node = func.jsonb_build_array(found.c.id, refs.c.ref, entities.c.title, entities.c.kind)
    return (
        select(func.jsonb_agg(aggregate_order_by(node, found.c.position), type_=JSONB))
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
    return select(func.coalesce(func.jsonb_agg(each), func.jsonb_build_array(), type_=JSONB)).scalar_subquery().label("links")
