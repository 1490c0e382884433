"""GraphQL arguments, made from the pure classes of `db.rules`.

A filter is written once, as a dataclass with a description on every field. This module gives its GraphQL input type,
and turns a client's value back into the dataclass. What SQL gets is therefore checked here, in one place: no text over
10 kB, no NUL, no half surrogate, every ref and every pointer whole, every number finite.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import types
import typing
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NewType

import strawberry
from strawberry.annotation import StrawberryAnnotation
from strawberry.types.enum import StrawberryEnumDefinition
from strawberry.types.field import StrawberryField
from strawberry.types.unset import UNSET

from db.rules.filters import (
    MAX_STEPS,
    Described,
    EntityOrderField,
    FacetField,
    NullsOrder,
    OrderDirection,
    ProblemArea,
    Severity,
)
from db.rules.pointers import Pointer, PointerError
from db.rules.refs import Ref, RefError
from db.rules.registrations import DescriptorText
from db.rules.search import SearchText, SearchTextError
from schema.errors import BadUserInput
from schema.scalars import JSON, EntityRef

MAX_TEXT = 10_000  # characters
MAX_ITEMS = 1_000  # of a list in an argument
MAX_OBJECTS = 10  # of such a list, where they are input objects: the keys of an order
MAX_TESTS = 200  # in a filter, all its parts together
MAX_DEPTH = 10  # of a filter in filters

# As many tests as some fields of a filter count for; a text for so many with each word. It is SQLAlchemy that takes
# long over them, while nobody else is served: 0.4 ms for each that is counted.
_WORTH = {"inTreeOf": 20, "dependsOn": 10, "dependencyOf": 10, "number": 8}
_WORTH_OF_A_WORD = 5

_DEPTHS = ("depth", "maxDepth")  # arguments that say how many steps of a closure to follow

Cursor = NewType("Cursor", str)  # checked where it is read, and as long as what it is made of

_SCALARS: dict[Any, Any] = {
    Any: JSON,
    Ref: EntityRef,
    **dict.fromkeys((Cursor, Pointer, SearchText, DescriptorText), str),
}

_inputs: dict[str, type] = {}


def graphql_type(hint: Any) -> Any:
    """The annotation that Strawberry reads for a type hint of `db.rules`: `Ref | None` -> `EntityRef | None`."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        (inner,) = (part for part in parts if part is not types.NoneType)
        return typing.Optional[graphql_type(inner)]  # noqa: UP045 - the inner type may be a forward reference
    if origin is tuple:
        return list[graphql_type(parts[0])]  # type: ignore[misc]
    if hint in _SCALARS:
        return _SCALARS[hint]
    if dataclasses.is_dataclass(hint):
        return _input_type(typing.cast("type", hint))
    return hint


def arguments_of(hints: dict[str, Any], given: dict[str, Any], *, kind: str | None) -> dict[str, Any]:
    """A field's arguments as their hints have them, from the values that graphql-core read. Raises `BadUserInput`.

    Those that are absent, or ask nothing, are None.
    """
    arguments: dict[str, Any] = dict.fromkeys(hints)
    for name, hint in hints.items():
        value = given.get(graphql_name(name))
        if value is None:
            continue
        if isinstance(value, dict) and not _holds_json(hint):
            _check_size(value, name)
        if isinstance(value, list) and any(isinstance(item, dict) for item in value):
            bounded(value, name=graphql_name(name), most=MAX_OBJECTS)
        read = value_of(hint, value, name=graphql_name(name), kind=kind)
        arguments[name] = None if types.NoneType in typing.get_args(hint) and _asks_nothing(read) else read
    return arguments


def value_of(hint: Any, given: Any, *, name: str, kind: str | None = None, any_case: bool = False) -> Any:
    """A client's value as its hint has it: input objects as dataclasses, lists as tuples, refs parsed.

    `name` is what an error calls it, `kind` the kind of a ref that has none, and with `any_case` texts come in lower
    case. Raises `BadUserInput`.
    """
    return None if given is None else _reader(hint)(given, name, kind, any_case)


@cache
def _reader(hint: Any) -> Callable[[Any, str, str | None, bool], Any]:
    """What reads the values of one hint; made once, since looking at hints takes long."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        (inner,) = (part for part in parts if part is not types.NoneType)
        return _reader(inner)
    if origin is tuple:
        return _list_reader(_reader(parts[0]))
    if hint in _READERS:
        return _READERS[hint]
    if dataclasses.is_dataclass(hint):
        return _object_reader(typing.cast("type", hint))
    return lambda given, *_: given


def _list_reader(
    item: Callable[[Any, str, str | None, bool], Any],
) -> Callable[[Any, str, str | None, bool], tuple[Any, ...]]:
    def read(given: Any, name: str, kind: str | None, any_case: bool) -> tuple[Any, ...]:  # noqa: FBT001
        return tuple(item(one, name, kind, any_case) for one in bounded(given, name=name))

    return read


def _object_reader(cls: type) -> Callable[[Any, str, str | None, bool], Any]:
    hints = _hints(cls)
    specs = [(spec.name, graphql_name(spec.name), spec.metadata) for spec in dataclasses.fields(cls)]

    def read(given: Any, name: str, _kind: str | None, any_case: bool) -> Any:  # noqa: FBT001
        values: dict[str, Any] = {}
        for field, key, says in specs:
            value = given.get(key)
            if value is not None:
                lower = any_case or says["any_case"]
                value = value_of(hints[field], value, name=f"{name}.{key}", kind=says["kind"], any_case=lower)
            values[field] = value
        return cls(**values)

    return read


def _read_ref(given: Any, name: str, kind: str | None, _any_case: bool) -> Ref:  # noqa: FBT001
    try:
        return Ref.parse(_checked(given, name), kind=kind)
    except RefError as error:
        raise BadUserInput(f"`{name}`: {error}") from error


def _read_text(given: Any, name: str, _kind: str | None, any_case: bool) -> str:  # noqa: FBT001
    return _checked(given, name).lower() if any_case else _checked(given, name)


def _read_pointer(given: Any, name: str, _kind: str | None, _any_case: bool) -> Pointer:  # noqa: FBT001
    try:
        return Pointer.parse(_checked(given, name))
    except PointerError as error:
        raise BadUserInput(f"`{name}`: {error}") from error


def _read_search_text(given: Any, name: str, _kind: str | None, _any_case: bool) -> SearchText:  # noqa: FBT001
    try:
        return SearchText.parse(_checked(given, name))
    except SearchTextError as error:
        raise BadUserInput(f"`{name}`: {error}.") from error


def _read_whole_number(given: Any, name: str, _kind: str | None, _any_case: bool) -> int:  # noqa: FBT001
    if name.rpartition(".")[2] in _DEPTHS and not 1 <= given <= MAX_STEPS:
        raise BadUserInput(f"`{name}` is {given}; 1 to {MAX_STEPS} steps are followed.")
    return int(given)


def _read_number(given: Any, name: str, _kind: str | None, _any_case: bool) -> float:  # noqa: FBT001
    if not math.isfinite(given):  # what a literal such as 1e999 comes to
        raise BadUserInput(f"`{name}` is beyond the numbers that a Float can hold.")
    return float(given)


_READERS: dict[Any, Callable[[Any, str, str | None, bool], Any]] = {
    Pointer: _read_pointer,
    Ref: _read_ref,
    SearchText: _read_search_text,
    float: _read_number,
    int: _read_whole_number,
    str: _read_text,
}


def bounded(items: list[Any], *, name: str, most: int = MAX_ITEMS) -> list[Any]:
    """The items; `BadUserInput` if they are too many."""
    if len(items) > most:
        raise BadUserInput(f"`{name}` has {len(items)} items; at most {most} are read.")
    return items


@cache
def graphql_name(name: str) -> str:
    """`not_in` -> `notIn`; a trailing underscore only keeps Python's keywords apart."""
    head, *tail = name.rstrip("_").split("_")
    return head + "".join(word.capitalize() for word in tail)


DESCRIPTIONS = {
    "ref": "Which one.",
    "name": "Which one, by its name.",
    "filter": "Only those that match.",
    "depth": "How many steps to follow: 1 to 10.",
    "order_by": "The keys to order by. Ties are broken by name and id, in the direction of the last key.",
    "first": "How many to give, from the start or after `after`: 1 to 100, 20 by default.",
    "after": "The cursor after which the page starts.",
    "last": "How many to give, from the end or before `before`: 1 to 100.",
    "before": "The cursor before which the page ends.",
}

_hints = cache(typing.get_type_hints)


def _input_type(cls: type) -> type:
    """The Strawberry input of a dataclass; made once, and able to name itself."""
    if cls.__name__ in _inputs:
        return _inputs[cls.__name__]
    made = type(cls.__name__, (), {"__annotations__": {}, "__module__": __name__})
    _inputs[cls.__name__] = made
    hints = _hints(cls)
    for spec in dataclasses.fields(cls):
        required = spec.default is dataclasses.MISSING
        setattr(
            made,
            spec.name,
            StrawberryField(
                python_name=spec.name,
                graphql_name=graphql_name(spec.name),
                type_annotation=StrawberryAnnotation(graphql_type(hints[spec.name])),
                description=spec.metadata["description"],
                default=dataclasses.MISSING if required else UNSET if spec.default is None else spec.default,
            ),
        )
        made.__annotations__[spec.name] = Any
    return strawberry.input(made, name=cls.__name__, description=inspect.getdoc(cls))


def _asks_nothing(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and all(
        getattr(value, spec.name) is None for spec in dataclasses.fields(value)
    )


@cache
def _holds_json(hint: Any) -> bool:
    """Whether a field of this input may be any JSON: what is in that is no part of the input."""
    parts = (*typing.get_args(hint), hint)
    return any(
        Any in (inner, *typing.get_args(inner))
        for part in parts
        if dataclasses.is_dataclass(part)
        for inner in _hints(typing.cast("type", part)).values()
    )


def _check_size(given: dict[str, Any], name: str) -> None:
    """Refuse a filter with too many tests, or too many filters in each other, before anything is made of it."""
    level, tests = [given], 0
    for _ in range(MAX_DEPTH):
        tests += sum(map(_worth, level))
        level = [part for whole in level for part in _parts(whole)]
        if not level or tests > MAX_TESTS:
            break
    if level or tests > MAX_TESTS:
        raise BadUserInput(f"`{name}` is too large: {MAX_TESTS} tests, {MAX_DEPTH} levels deep, is the most.")


def _worth(whole: dict[str, Any]) -> int:
    """How many tests an input object counts for, without those in it."""
    text = whole.get("text")
    words = len(text.split()) if isinstance(text, str) else 0
    return 1 + words * _WORTH_OF_A_WORD + sum(_WORTH.get(key, 0) for key in whole)


def _parts(whole: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The input objects right in this one."""
    for value in whole.values():
        for part in value if isinstance(value, list) else (value,):
            if isinstance(part, dict):
                yield part


def _checked(text: str, name: str) -> str:
    if len(text) > MAX_TEXT:
        raise BadUserInput(f"`{name}` has {len(text)} characters; at most {MAX_TEXT} are read.")
    if "\0" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise BadUserInput(f"`{name}` holds a NUL or half a surrogate pair, which no text in the catalog has.")
    return text


def _describe(enum: type[Described]) -> None:
    """Make an enum of `db.rules` a GraphQL enum, in place."""
    strawberry.enum(enum, description=inspect.getdoc(enum))
    definition: StrawberryEnumDefinition = vars(enum)["__strawberry_definition__"]
    for value in definition.values:
        value.description = enum[value.name].description


for _enum in (EntityOrderField, FacetField, NullsOrder, OrderDirection, ProblemArea, Severity):
    _describe(_enum)
