"""What the file says of an entity, beyond its columns: parts of its metadata and spec."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Integer, Select, any_, case, cast, func, literal, literal_column, select, true
from sqlalchemy.dialects.postgresql import JSONB

from db.queries.matching import words
from db.tables import document


def spec_of(entity: Any) -> Select[Any]:
    """The whole spec, as declared."""
    return select(document.c.spec).where(document.c.entity_id == entity.id)


def metadata_of(entity: Any) -> Select[Any]:
    """The whole metadata, as declared."""
    return select(document.c.metadata).where(document.c.entity_id == entity.id)


def spec_text(*path: str) -> Callable[..., Select[Any]]:
    """Of a path into the spec: the function that gives the text there, or null where there is none."""

    def text_of(entity: Any) -> Select[Any]:
        value = document.c.spec[path]
        return select(value.astext).where(document.c.entity_id == entity.id, func.jsonb_typeof(value) == "string")

    return text_of


def spec_json(name: str, *, default: str) -> Callable[..., Select[Any]]:
    """Of a field of the spec: the function that gives its value, or the default (as JSON text)."""

    def json_of(entity: Any) -> Select[Any]:
        value = func.coalesce(document.c.spec[name], cast(literal(default), JSONB), type_=JSONB)
        return select(value).where(document.c.entity_id == entity.id)

    return json_of


def key_values(name: str) -> Callable[..., Select[Any]]:
    """Of `labels` or `annotations`: the function that gives the pairs as rows of key and value."""

    def pairs_of(entity: Any, *, keys: tuple[str, ...] | None = None) -> Select[Any]:
        pair = func.jsonb_each_text(_container(name, "object")).table_valued("key", "value").render_derived(name="pair")
        pairs = (
            select(pair.c.key, pair.c.value)
            .select_from(document.join(pair, true()))
            .where(document.c.entity_id == entity.id)
        )
        if keys is not None:
            pairs = pairs.where(pair.c.key == any_(words(keys)))
        return pairs

    return pairs_of


def links_of(entity: Any) -> Select[Any]:
    """`metadata.links` as rows of url, title, icon, type and their position."""
    link = (
        func.jsonb_array_elements(_container("links", "array"), type_=JSONB)
        .table_valued("value", with_ordinality="position")
        .render_derived(name="link")
    )
    value = cast(link.c.value, JSONB)
    return (
        select(
            *(value[name].astext.label(name) for name in ("url", "title", "icon", "type")),
            cast(link.c.position, Integer).label("position"),
        )
        .select_from(document.join(link, true()))
        .where(document.c.entity_id == entity.id)
    )


def locations_of(entity: Any) -> Select[Any]:
    """`spec.target` and `spec.targets` of a Location, as one JSON array."""
    one, many = (
        func.jsonb_path_query_array(document.c.spec, literal_column(path), type_=JSONB)
        for path in ("'$.target'", "'$.targets[*]'")
    )
    return select(one.concat(many)).where(document.c.entity_id == entity.id)


def _container(name: str, json_type: str) -> Any:
    """`metadata.<name>` where it is of this JSON type, else null, of which there are no elements."""
    value = document.c.metadata[name]
    return case((func.jsonb_typeof(value) == json_type, value))
