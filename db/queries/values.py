"""Fields of an entity as filters and orders see them: a column, an array, an entry of a mapping, a JSON value.

A field is a collection of values here: an absent one is empty, a column has one value at most, a list its items. So a
test says whether it holds for some value. One of a column or of an array is true or false; one of a document may also
be null, which counts as false.

The indexes of `db.indexes` are made of the same expressions, word for word.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Numeric,
    Text,
    and_,
    any_,
    case,
    cast,
    collate,
    func,
    literal_column,
    not_,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, array

from db.rules.pointers import Pointer
from db.tables import Word

Condition = ColumnElement[bool]
Sql = ColumnElement[Any]
Wanted = Any
"""A value of a filter: in the dataclass a plain one, here an SQL parameter."""
Holds = Callable[[Sql], Condition]

_BEYOND = literal_column("'Infinity'::numeric", Numeric())  # no number of JSON

LONGEST = 600
"""The most characters of a text by which it is ordered: an item of an index has 2,700 bytes at most."""


@dataclass(frozen=True, slots=True)
class Texts:
    """A field of texts, as the tests of it."""

    exists: Condition
    equals: Callable[[Wanted], Condition]
    is_one_of: Callable[[Wanted], Condition]  # of an array
    starts_with: Callable[[Wanted], Condition]
    contains: Callable[[Wanted], Condition]


def _texts(
    *,
    exists: Condition,
    equals: Callable[[Wanted], Condition],
    is_one_of: Callable[[Wanted], Condition],
    where: Callable[[Holds], Condition],
) -> Texts:
    """A field of texts, of which `where` says whether something holds for one."""
    return Texts(
        exists=exists,
        equals=equals,
        is_one_of=is_one_of,
        starts_with=lambda wanted: where(lambda text: func.starts_with(text, wanted)),
        contains=lambda wanted: where(lambda text: func.strpos(text, wanted) > 0),
    )


def column(text: Sql) -> Texts:
    """The text in a column, which may be null."""

    def where(holds: Holds) -> Condition:
        return and_(text.is_not(None), holds(text))

    return _texts(
        exists=text.is_not(None),
        equals=lambda wanted: where(lambda text: text == wanted),
        is_one_of=lambda wanted: where(lambda text: text == any_(wanted)),
        where=where,
    )


def items(texts: Sql) -> Texts:
    """The texts in a column of arrays, which is never null."""
    one = func.unnest(texts).column_valued("one")
    return _texts(
        exists=func.cardinality(texts) > 0,
        equals=lambda wanted: _contains(texts, cast(array([wanted]), ARRAY(Word))),
        is_one_of=texts.op("&&", is_comparison=True),
        where=lambda holds: select(one).where(holds(one)).exists(),
    )


def entry(document: Any, mapping: str, key: Wanted) -> Texts:
    """The text under a key of `labels` or `annotations`. `document` has the column metadata."""
    texts = document.metadata.op("->", return_type=JSONB())(mapping)
    exists = texts.op("?", is_comparison=True)(key)
    text = texts.op("->>", return_type=Word)(key)
    return _texts(
        exists=exists,
        equals=lambda wanted: _contains(texts, func.jsonb_build_object(key, wanted)),
        is_one_of=lambda wanted: _contains(texts, any_(func.json_entries(key, wanted, type_=ARRAY(JSONB)))),
        where=lambda holds: and_(exists, holds(text)),
    )


@dataclass(frozen=True, slots=True)
class Value:
    """A JSON value, null where there is none; a list is many values, its items."""

    json: Sql

    @classmethod
    def at(cls, pointer: Pointer, document: Any) -> Value:
        """The value at a pointer. `document` has the columns metadata and spec."""
        json: Sql = document[pointer.root.value]
        for hop in pointer.hops:
            further = json.op("#>", return_type=JSONB())(hop.steps)
            json = case((_is(json, "object"), further)) if hop.of_mapping else further
        return cls(json)

    @property
    def exists(self) -> Condition:
        """Whether it is a value of any type but null."""
        return func.jsonb_typeof(self.json) != "null"

    @property
    def is_list(self) -> Condition:
        """Whether it is a list."""
        return _is(self.json, "array")

    def equals(self, wanted: Wanted) -> Condition:
        """Whether one value is this text, number or boolean."""
        return _contains(self.json, func.to_jsonb(wanted))

    @property
    def texts(self) -> Texts:
        """The texts among the values."""

        def where(holds: Callable[[Value], Condition]) -> Condition:
            return self._some(lambda one: and_(_is(one.json, "string"), holds(one)))

        def is_one_of(wanted: Wanted) -> Condition:
            return and_(not_(_is(self.json, "object")), self.json.op("?|", is_comparison=True)(wanted))

        return Texts(
            exists=where(lambda _: true()),
            equals=self.equals,
            is_one_of=is_one_of,
            starts_with=lambda wanted: where(lambda one: _starts_with(one, wanted)),
            contains=lambda wanted: where(lambda one: func.strpos(_text(one.json), wanted) > 0),
        )

    @property
    def has_number(self) -> Condition:
        """Whether one value is a number."""
        return self._some(lambda one: _is(one.json, "number"))

    def where_number(self, *holds: Holds) -> Condition:
        """Whether each of these holds for a number among the values, not necessarily the same one."""
        return self._some(*(partial(_is_number_where, each) for each in holds))

    # What is no list has two keys in an order, a number and words: so numbers come before texts, and both keys are null
    # for what has no place. One index serves the order, ranges of numbers, and texts that start with something.

    @property
    def number(self) -> Sql:
        """The number that it is; beyond all numbers for a text or a boolean; else null."""
        return case(
            (_is(self.json, "number"), cast(self.json, Numeric)), (_is(self.json, "string", "boolean"), _BEYOND)
        )

    @property
    def words(self) -> Sql:
        """The text that it is, cut off at `LONGEST`, or `true` or `false`; else null."""
        text = case((_is(self.json, "string", "boolean"), func.left(_text(self.json), LONGEST, type_=Word)))
        return collate(text, "C")

    def _some(self, *holds: Callable[[Value], Condition]) -> Condition:
        item = func.jsonb_array_elements(case((self.is_list, self.json)), type_=JSONB).column_valued("item")
        items = (select(item).where(each(Value(item))).exists() for each in holds)
        return or_(and_(*(each(self) for each in holds)), and_(self.is_list, *items))


def exact(number: Wanted) -> Sql:
    """A double as the shortest decimal that means it: 0.1 is 0.1, as in a document."""
    return cast(cast(number, Text), Numeric)


def _is(json: Sql, *types: str) -> Condition:
    kind = func.jsonb_typeof(json)
    return kind == types[0] if len(types) == 1 else kind.in_(types)


def _text(json: Sql) -> Sql:
    return json.op("#>>", return_type=Word)(literal_column("'{}'"))


def _is_number_where(holds: Holds, value: Value) -> Condition:
    return and_(holds(value.number), value.number < _BEYOND)


def _starts_with(value: Value, wanted: Wanted) -> Condition:
    in_order = and_(value.number == _BEYOND, func.starts_with(value.words, func.left(wanted, LONGEST)))
    return and_(in_order, func.starts_with(_text(value.json), wanted))


def _contains(json: Sql, wanted: Wanted) -> Condition:
    return json.op("@>", is_comparison=True)(wanted)
