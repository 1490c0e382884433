"""Facets: how many entities there are of each value, of several fields at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, Text, cast, func, literal, null, select, true, union_all
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by

from db.queries.matching import entity_matches
from db.rules.filters import EntityFilter, FacetField, FacetInput
from db.tables import document
from db.tables import entity as entities
from db.tables import ref as refs

Counts = Callable[[FromClause, FacetInput], Select[Any]]
"""From entities to rows of `value` and `count`."""


def counted(*, filter: EntityFilter | None = None, of: tuple[FacetInput, ...]) -> Select[Any]:
    """For each facet its position, field and key, and `counts`: a list of `[value, count]`, the most frequent first.

    Null is a value, too, after others of the same count: it counts those that have none.
    """
    entity = entities.alias()
    needed = dict.fromkeys(_FIELDS[facet.field][0] for facet in of)
    matching = select(*(entity.c[column] for column in needed)).where(entity_matches(entity, filter)).cte()
    facets = [_facet(matching, facet).add_columns(literal(at).label("position")) for at, facet in enumerate(of)]
    return select(union_all(*facets).subquery())


def _facet(matching: FromClause, facet: FacetInput) -> Select[Any]:
    _, count = _FIELDS[facet.field]
    counts = count(matching, facet).subquery()
    order = (counts.c.count.desc(), counts.c.value)
    first = select(counts).order_by(*order).limit(facet.first).subquery()
    pairs = aggregate_order_by(
        func.jsonb_build_array(first.c.value, first.c.count), first.c.count.desc(), first.c.value
    )
    columns: list[ColumnElement[Any]] = [
        literal(facet.field.value, Text).label("field"),
        cast(null() if facet.key is None else facet.key, Text).label("key"),
        func.coalesce(func.jsonb_agg(pairs), func.jsonb_build_array(), type_=JSONB).label("counts"),
    ]
    return select(*columns)


def _by(column: str) -> Counts:
    def counts(matching: FromClause, _facet: FacetInput) -> Select[Any]:
        value = matching.c[column]
        return select(value.label("value"), func.count().label("count")).group_by(value)

    return counts


def _by_ref(column: str) -> Counts:
    def counts(matching: FromClause, _facet: FacetInput) -> Select[Any]:
        ids = (
            select(matching.c[column].label("id"), func.count().label("count")).group_by(matching.c[column]).subquery()
        )
        return select(refs.c.ref.label("value"), ids.c.count).select_from(ids.outerjoin(refs, refs.c.id == ids.c.id))

    return counts


def _by_tag(matching: FromClause, _facet: FacetInput) -> Select[Any]:
    tag = select(func.unnest(matching.c.tags).label("value")).distinct().correlate(matching).lateral()
    return (
        select(tag.c.value, func.count().label("count")).select_from(matching.join(tag, true())).group_by(tag.c.value)
    )


def _by_label(matching: FromClause, facet: FacetInput) -> Select[Any]:
    value = document.c.metadata["labels"].op("->>", return_type=Text())(facet.key)
    labelled = (
        select(value.label("value")).join_from(matching, document, document.c.entity_id == matching.c.id).subquery()
    )
    return select(labelled.c.value, func.count().label("count")).group_by(labelled.c.value)


_FIELDS: dict[FacetField, tuple[str, Counts]] = {
    FacetField.KIND: ("kind", _by("kind")),
    FacetField.NAMESPACE: ("namespace", _by("namespace")),
    FacetField.TYPE: ("type", _by("type")),
    FacetField.LIFECYCLE: ("lifecycle", _by("lifecycle")),
    FacetField.OWNER: ("owner_id", _by_ref("owner_id")),
    FacetField.SYSTEM: ("system_id", _by_ref("system_id")),
    FacetField.TAG: ("tags", _by_tag),
    FacetField.LABEL: ("id", _by_label),
}
"""The column that each field needs of an entity, and how it is counted by."""
