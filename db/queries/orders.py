"""Orders of entities, as keys of pages: columns of the entity, or such as a query has to be given first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

from sqlalchemy import Select

from db.queries.keyset import Key
from db.queries.values import Value
from db.rules.filters import EntityOrder, EntityOrderField, NullsOrder, OrderDirection
from db.rules.pointers import Pointer
from db.tables import document, ref

_OWNER = EntityOrderField.OWNER.value


def keys_of(orders: Sequence[EntityOrder]) -> Iterator[Key]:
    """The keys of an order; a PATH has two, its words and its number. See `db.queries.values`."""
    paths = count()
    for one in orders:
        if one.field is not EntityOrderField.PATH:
            yield Key(one.field.value, one.direction, one.nulls)
            continue
        words, number = _columns_of_path(next(paths))
        yield Key(words, one.direction, one.nulls)
        # Where words are equal and not all numbers are null, they are those of numbers, and of the empty text: the
        # last of these, as the first of all texts.
        ascending = one.direction is OrderDirection.ASC
        yield Key(number, one.direction, NullsOrder.LAST if ascending else NullsOrder.FIRST)


def with_columns(query: Select[Any], keys: Sequence[Key], pointers: Sequence[Pointer]) -> Select[Any]:
    """A query of entities with the columns of these keys. The pointers are those of its PATHs, in order."""
    entity = query.selected_columns
    if any(key.column == _OWNER for key in keys):
        owner = ref.alias()
        query = query.outerjoin(owner, owner.c.id == entity.owner_id).add_columns(owner.c.ref.label(_OWNER))
    if pointers:
        its = document.alias()
        query = query.join(its, its.c.entity_id == entity.id)
        for position, pointer in enumerate(pointers):
            value, (words, number) = Value.at(pointer, its.c), _columns_of_path(position)
            query = query.add_columns(value.words.label(words), value.number.label(number))
    return query


def _columns_of_path(position: int) -> tuple[str, str]:
    return f"path_{position}_words", f"path_{position}_number"
