"""Fields of an entity as filters and orders see them: a column, an array, an entry of a mapping, a JSON value.

A field is a collection of values here: an absent one is empty, a column has one value at most, a list its items. So a
test says whether it holds for some value. One of a column or of an array is true or false; one of a document may also
be null, which counts as false.

The indexes of `db.indexes` are made of the same expressions, word for word.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import (
    ColumnElement,
    Numeric,
    Select,
    Text,
    and_,
    any_,
    case,
    cast,
    collate,
    func,
    literal_column,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, array

from db.rules.pointers import Pointer
from db.tables import Word

Condition = ColumnElement[bool]
Sql = ColumnElement[Any]
Wanted = Any
"""A value of a filter: in the dataclass a plain one, here an SQL parameter."""
Holds = Callable[[Sql], Condition]


class Texts(Protocol):
    """A field of texts."""

    def exists(self) -> Condition:
        """Whether there is a text."""

    def equals(self, wanted: Wanted) -> Condition:
        """Whether one is this."""

    def is_one_of(self, wanted: Wanted) -> Condition:
        """Whether one is in this array."""

    def where(self, holds: Holds) -> Condition:
        """Whether this holds for one."""


@dataclass(frozen=True, slots=True)
class Column:
    """A text in a column, or null."""

    text: Sql

    def exists(self) -> Condition:
        """See `Texts`, here and below."""
        return self.text.is_not(None)

    def equals(self, wanted: Wanted) -> Condition:
        return self.where(lambda text: text == wanted)

    def is_one_of(self, wanted: Wanted) -> Condition:
        return self.where(lambda text: text == any_(wanted))

    def where(self, holds: Holds) -> Condition:
        return and_(self.exists(), holds(self.text))


@dataclass(frozen=True, slots=True)
class Array:
    """An array of texts in a column, never null."""

    texts: Sql

    def exists(self) -> Condition:
        return func.cardinality(self.texts) > 0

    def equals(self, wanted: Wanted) -> Condition:
        return _contains(self.texts, cast(array([wanted]), ARRAY(Word)))

    def is_one_of(self, wanted: Wanted) -> Condition:
        return self.texts.op("&&", is_comparison=True)(wanted)

    def where(self, holds: Holds) -> Condition:
        one = func.unnest(self.texts).column_valued("one")
        return select(one).where(holds(one)).exists()


@dataclass(frozen=True, slots=True)
class Entry:
    """The text under a key of a JSON mapping, where there is one."""

    mapping: Sql
    key: Wanted

    def exists(self) -> Condition:
        return self.mapping.op("?", is_comparison=True)(self.key)

    def equals(self, wanted: Wanted) -> Condition:
        return _contains(self.mapping, func.jsonb_build_object(self.key, wanted))

    def is_one_of(self, wanted: Wanted) -> Condition:
        one = func.unnest(wanted).column_valued("one")
        return _contains_one_of(self.mapping, select(func.jsonb_build_object(self.key, one)))

    def where(self, holds: Holds) -> Condition:
        return and_(self.exists(), holds(self.mapping.op("->>", return_type=Word)(self.key)))


@dataclass(frozen=True, slots=True)
class Value:
    """A JSON value, null where there is none. Its texts are the text that it is, or those in the list that it is."""

    json: Sql

    @classmethod
    def at(cls, pointer: Pointer, document: Any) -> Value:
        """The value at a pointer. `document` has the columns metadata and spec."""
        json: Sql = document[pointer.root.value]
        for hop in pointer.hops:
            further = json.op("#>", return_type=JSONB())(hop.steps)
            json = case((_is(json, "object"), further)) if hop.of_mapping else further
        return cls(json)

    def is_there(self) -> Condition:
        """Whether it is a value of any type but null."""
        return func.jsonb_typeof(self.json) != "null"

    def is_list(self) -> Condition:
        """Whether it is a list."""
        return _is(self.json, "array")

    def exists(self) -> Condition:
        return self._some(lambda one: _is(one.json, "string"))

    def equals(self, wanted: Wanted) -> Condition:
        """Whether one value is this; it may be a number or a boolean, too."""
        return _contains(self.json, func.to_jsonb(wanted))

    def is_one_of(self, wanted: Wanted) -> Condition:
        one = func.unnest(wanted).column_valued("one")
        return _contains_one_of(self.json, select(func.to_jsonb(one)))

    def where(self, holds: Holds) -> Condition:
        return self._some(lambda one: and_(_is(one.json, "string"), holds(one.words)))

    def has_number(self) -> Condition:
        """Whether one value is a number."""
        return self._some(lambda one: _is(one.json, "number"))

    def where_number(self, holds: Holds) -> Condition:
        """Whether this holds for one value that is a number."""
        return self._some(lambda one: and_(one.words == "", holds(one.number)))

    # A value that is no list has two keys in an order, its words and its number: so numbers come before texts, and both
    # are null where it has no place. One index serves the order, ranges of numbers, and texts that start with something.

    @property
    def words(self) -> Sql:
        """The text that it is, or `true` or `false`; empty for a number; else null."""
        text = self.json.op("#>>", return_type=Word)(literal_column("'{}'"))
        return collate(case((_is(self.json, "string", "boolean"), text), (_is(self.json, "number"), "")), "C")

    @property
    def number(self) -> Sql:
        """The number that it is; else null."""
        return case((_is(self.json, "number"), cast(self.json, Numeric)))

    def _some(self, holds: Callable[[Value], Condition]) -> Condition:
        items = func.jsonb_array_elements(case((self.is_list(), self.json)), type_=JSONB).column_valued("item")
        return or_(holds(self), and_(self.is_list(), select(items).where(holds(Value(items))).exists()))


def exact(number: Wanted) -> Sql:
    """A double as the shortest decimal that means it: 0.1 is 0.1, as in a document."""
    return cast(cast(number, Text), Numeric)


def _contains(json: Sql, wanted: Wanted) -> Condition:
    return json.op("@>", is_comparison=True)(wanted)


def _contains_one_of(json: Sql, wanted: Select[Any]) -> Condition:
    """Whether it contains one of the rows, which are made once for all entities."""
    return _contains(json, any_(func.array(wanted.scalar_subquery(), type_=ARRAY(JSONB))))


def _is(json: Sql, *types: str) -> Condition:
    kind = func.jsonb_typeof(json)
    return kind == types[0] if len(types) == 1 else kind.in_(types)
