"""Orders of entities, as keys of pages: columns of the entity, or such as a query has to be given first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

from sqlalchemy import Select, type_coerce

from db.queries.keyset import Key
from db.queries.values import Value
from db.rules.filters import EntityOrder, EntityOrderField
from db.rules.pointers import Pointer
from db.tables import Word, document, ref

_OWNER = EntityOrderField.OWNER.value


def keys_of(orders: Sequence[EntityOrder]) -> Iterator[Key]:
    """The keys of an order; a PATH has two, a number and words. See `db.queries.values`."""
    paths = count()
    for one in orders:
        is_path = one.field is EntityOrderField.PATH
        columns = _columns_of_path(next(paths)) if is_path else (one.field.value,)
        yield from (Key(column, one.direction, one.nulls) for column in columns)


def with_columns(query: Select[Any], keys: Sequence[Key], pointers: Sequence[Pointer]) -> Select[Any]:
    """A query of entities with the columns of these keys. The pointers are those of its PATHs, in order."""
    entity = query.selected_columns
    if any(key.column == _OWNER for key in keys):
        owner = ref.alias()
        maybe = type_coerce(owner.c.ref, Word)  # the column itself is never null, and would be ordered so
        query = query.outerjoin(owner, owner.c.id == entity.owner_id).add_columns(maybe.label(_OWNER))
    if pointers:
        its = document.alias()
        query = query.join(its, its.c.entity_id == entity.id)
        for position, pointer in enumerate(pointers):
            value, (number, words) = Value.at(pointer, its.c), _columns_of_path(position)
            query = query.add_columns(value.number.label(number), value.words.label(words))
    return query


def _columns_of_path(position: int) -> tuple[str, str]:
    return f"path_{position}_number", f"path_{position}_words"
