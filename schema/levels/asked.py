"""What a field asks for in one run, in two halves: a shape, which decides the text of its SQL, and values.

    filter: {lifecycle: {eq: "production"}}   ->   shape: EntityFilter(lifecycle=StringFilter(eq=<text>))
                                                   values: ["production"]

So a statement is made once for a shape, and run again with other values.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, NamedTuple, cast

from sqlalchemy import ARRAY, BigInteger, ColumnElement, DateTime, Double, Text
from sqlalchemy.types import TypeEngine

from db.rules.refs import Ref
from schema.paging import PageRequest

Parameter = Callable[[TypeEngine[Any]], ColumnElement[Any]]  # makes the SQL parameter of the next value, of this type

_SQL_TYPES: dict[type, TypeEngine[Any]] = {
    str: Text(),
    int: BigInteger(),
    float: Double(),
    datetime: DateTime(timezone=True),
}


@dataclass(slots=True)
class Asked:
    """One field's arguments, and its page if it has pages: then the shape is theirs and that of the page."""

    arguments: tuple[Any, ...]
    values: list[Any]
    shape: Hashable
    page: PageRequest | None = None


class Leaf(NamedTuple):
    """Where a value was taken out: a single one of this type, or a list of such."""

    type: type
    many: bool = False

    @property
    def sql_type(self) -> TypeEngine[Any]:
        """The type of its SQL parameter."""
        return ARRAY(_SQL_TYPES[self.type]) if self.many else _SQL_TYPES[self.type]


class Whole(NamedTuple):
    """A dataclass, or a tuple of them, whose parts are shapes."""

    type: type
    parts: tuple[Any, ...]


def taken_apart(value: Any, values: list[Any]) -> Hashable:
    """The shape of an argument; its values are appended in the order in which `put_together` asks for them.

    What decides the text of SQL stays in the shape: null, booleans, single enums, dataclasses, and empty lists.
    """
    if value is None or value == () or isinstance(value, bool | Enum):
        return cast("Hashable", value)
    if isinstance(value, tuple):
        if _is_whole(value[0]):
            return Whole(tuple, tuple(taken_apart(part, values) for part in value))
        values.append([_plain(item) for item in value])
        return Leaf(type(values[-1][0]), many=True)
    if _is_whole(value):
        parts = (getattr(value, spec.name) for spec in dataclasses.fields(value))
        return Whole(type(value), tuple(None if part is None else taken_apart(part, values) for part in parts))
    values.append(_plain(value))
    return Leaf(type(values[-1]))


def put_together(shape: Any, parameter: Parameter) -> Any:
    """The argument of this shape, with an SQL parameter in the place of each value."""
    if isinstance(shape, Leaf):
        return parameter(shape.sql_type)
    if isinstance(shape, Whole):
        parts = (put_together(part, parameter) for part in shape.parts)
        return tuple(parts) if shape.type is tuple else shape.type(*parts)
    if isinstance(shape, tuple):
        return tuple(put_together(part, parameter) for part in shape)
    return shape


def everything(hint: Any, parameter: Parameter, within: tuple[type, ...] = ()) -> Any:  # noqa: PLR0911 - by kind
    """An argument of this type in which all is given that can be; a class within itself is left out."""
    parts = typing.get_args(hint)
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        (inner,) = (part for part in parts if part is not types.NoneType)
        return everything(inner, parameter, within)
    if typing.get_origin(hint) is tuple:
        if _is_whole(parts[0]):
            return (everything(parts[0], parameter, within),) if parts[0] not in within else None
        return parameter(Leaf(_plain_type(parts[0]), many=True).sql_type)
    if hint is bool:
        return True
    if _is_whole(hint):
        if hint in within:
            return None
        hints = typing.get_type_hints(hint)
        return hint(**{name: everything(inner, parameter, (*within, hint)) for name, inner in hints.items()})
    if issubclass(hint, Enum):
        return next(iter(hint))
    return parameter(Leaf(_plain_type(hint)).sql_type)


def otherwise(hint: Any) -> list[Any]:
    """What an argument of this type may be besides, as far as that decides the text of SQL.

    It may be absent, which comes first, or another boolean or enum than in `everything`.
    """
    union = typing.get_origin(hint) in (types.UnionType, typing.Union)
    parts = typing.get_args(hint) if union else (hint,)
    absent = [None] if types.NoneType in parts else []
    kind = next(part for part in parts if part is not types.NoneType)
    if kind is bool:
        return [*absent, False]
    return [*absent, *list(kind)[1:]] if isinstance(kind, type) and issubclass(kind, Enum) else absent


def _plain_type(type_: Any) -> type:
    return type_ if type_ in _SQL_TYPES else str


def _is_whole(value: object) -> bool:
    return dataclasses.is_dataclass(value) and value is not Ref and not isinstance(value, Ref)


def _plain(value: Any) -> Any:
    """A value as the driver takes it."""
    if isinstance(value, Ref):
        return str(value)
    return value.value if isinstance(value, Enum) else value
