"""The change log: who wrote what, and when."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ARRAY, BigInteger, Select, any_, case, cast, exists, func, literal, or_, select
from sqlalchemy.dialects.postgresql import JSONB

from db.queries import closures
from db.queries.keyset import Key
from db.queries.matching import entity_matches, ref_id
from db.rules.filters import EntityFilter, OrderDirection
from db.rules.matches import LONGEST_KEPT
from db.tables import Word
from db.tables import change as changes
from db.tables import entity as entities
from db.tables import ref as refs

PRESENT_AT_ONCE = 100
LATEST = (Key("seq", OrderDirection.DESC),)


def _all() -> tuple[Any, Select[Any]]:
    change = changes.alias()
    return change, select(change, literal("Change", Word).label("graph_type"))


def every(*, filter: EntityFilter | None = None, by: str | None = None) -> Select[Any]:
    """All changes by a writer, of entities that match before or after; links and problems are those of today."""
    change, found = _all()
    if by is not None:
        found = found.where(change.c.by == by)
    if filter is not None:
        before = _version(change, change.c.before, change.c.links_before)
        after = _version(change, change.c.after, change.c.links_after)
        matching = (exists().select_from(version).where(entity_matches(version, filter)) for version in (before, after))
        found = found.where(or_(*matching))
    return found


def of_entity(entity: Any) -> Select[Any]:
    """The changes of an entity."""
    change, found = _all()
    return found.where(change.c.entity_id == entity.id)


def entity_of(change: Any) -> Select[Any]:
    """The entity that was changed, as it is now."""
    entity = entities.alias()
    return select(entity).where(entity.c.id == change.entity_id)


def entity_ref_of(change: Any) -> Select[Any]:
    """The ref of the entity that was changed."""
    return select(refs.c.ref).where(refs.c.id == change.entity_id)


def by_positions(keys: Any) -> Select[Any]:
    """The changes at these positions, which are texts of digits."""
    change, found = _all()
    return found.add_columns(cast(change.c.seq, Word).label("key")).where(
        change.c.seq == any_(cast(keys, ARRAY(BigInteger)))
    )


def present(*, filter: EntityFilter | None = None, after: int) -> Select[Any]:
    """The id and ref of the next entities that match, by id."""
    entity = entities.alias()
    found = select(entity.c.id, entity.c.ref).where(entity.c.id > after, entity_matches(entity, filter))
    return found.order_by(entity.c.id).limit(PRESENT_AT_ONCE)


def owners_within(group: Any) -> Select[Any]:
    """The refs of all who own what is in the tree of a group, which is named by its ref."""
    return select(refs.c.ref).where(refs.c.id.in_(closures.owners_within(ref_id(group))))


def _version(change: Any, document: Any, links: Any) -> Any:
    """One version of a changed entity as a row with the columns of an entity, its metadata and its spec.

    There is none where the document is null. Its times are those of the entity today.
    """
    metadata, spec = document["metadata"], document["spec"]
    name, namespace = metadata["name"].astext, func.coalesce(metadata["namespace"].astext, "default")

    def text(value: Any) -> Any:
        return case((func.jsonb_typeof(value) == "string", func.left(value.astext, LONGEST_KEPT)))

    def id_of(link: str) -> Any:
        named = refs.alias()
        return select(named.c.id).where(named.c.ref == links[link].astext).correlate(change).scalar_subquery()

    today, own = entities.alias(), refs.alias()
    tags = func.coalesce(metadata["tags"], cast(literal("[]"), JSONB), type_=JSONB)
    tag = func.jsonb_array_elements_text(tags).column_valued("tag")
    return (
        select(
            change.c.entity_id.label("id"),
            select(own.c.ref).where(own.c.id == change.c.entity_id).correlate(change).scalar_subquery().label("ref"),
            document["kind"].astext.label("kind"),
            namespace.label("namespace"),
            func.lower(name).label("sort_name"),
            name.label("name"),
            func.coalesce(func.nullif(metadata["title"].astext, ""), name).label("title"),
            metadata["description"].astext.label("description"),
            text(spec["type"]).label("type"),
            text(spec["lifecycle"]).label("lifecycle"),
            func.array(select(tag).scalar_subquery(), type_=ARRAY(Word)).label("tags"),
            *(id_of(link).label(f"{link}_id") for link in ("owner", "system", "domain", "parent")),
            today.c.created_at,
            today.c.updated_at,
            metadata.label("metadata"),
            spec.label("spec"),
        )
        .select_from(select(literal(1)).subquery().outerjoin(today, today.c.id == change.c.entity_id))
        .where(document.is_not(None))
        .correlate(change)
        .lateral()
    )
