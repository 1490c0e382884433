"""Random values for arguments and variables, and how GraphQL writes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from graphql import (
    get_named_type,
    get_nullable_type,
    is_enum_type,
    is_input_object_type,
    is_list_type,
    is_non_null_type,
    is_required_input_field,
)

#: What draws the value of an argument or an input field, by its coordinate (`Query.component.ref`), by its name
#: (`first`), or by the name of its type (`EntityRef`); the first that is there counts. The values are those of JSON.
Drawers = Mapping[str, Callable[[Random], Any]]

NULLS = 0.1  # of the values that may be null
MOST_LEVELS = 3  # of input objects in each other

_BUILT_IN: Drawers = {
    "Int": lambda random: random.choice([0, 1, 2, 3, 4, -1]),
    "Float": lambda random: random.choice([0.5, 1, -2.25]),
    "String": lambda random: random.choice(["", "text", 'quo"te', "é\n"]),
    "ID": lambda random: random.choice(["1", "two"]),
    "Boolean": lambda random: random.random() < 0.5,
}
_MISFITS: tuple[Any, ...] = ("text", -7, 2**40, 1.5, True, {}, [], ["text"], {"no": 1}, None)


def among(*values: Any, seldom: tuple[Any, ...] = ()) -> Callable[[Random], Any]:
    """Draws one of these values; once in fifty times one of those that are seldom."""
    return lambda random: random.choice(seldom if seldom and random.random() < 0.02 else values)


def several(*values: Any, seldom: tuple[Any, ...] = ()) -> Callable[[Random], list[Any]]:
    """Draws up to three of them."""
    draw = among(*values, seldom=seldom)
    return lambda random: [draw(random) for _ in range(random.randrange(4))]


def drawn(random: Random, coordinate: str, type_: Any, drawers: Drawers, level: int = 0) -> Any:
    """A value of JSON that fits the type; an enum's value is its name, and fields that may be absent often are."""
    if not is_non_null_type(type_) and random.random() < NULLS:
        return None
    type_ = get_nullable_type(type_)
    if draw := drawer_of(coordinate, type_, drawers):
        return draw(random)
    if is_list_type(type_):
        return [drawn(random, "", type_.of_type, drawers, level) for _ in range(random.randrange(3))]
    if is_enum_type(type_):
        return random.choice(list(type_.values))
    assert is_input_object_type(type_), f"nothing draws a {type_}"
    return {
        name: drawn(random, f"{type_}.{name}", type_.fields[name].type, drawers, level + 1)
        for name in fields_of(random, type_, level)
    }


def drawer_of(coordinate: str, type_: Any, drawers: Drawers) -> Callable[[Random], Any] | None:
    """What draws the whole value, if anything does; the type is nullable."""
    name = "" if is_list_type(type_) else type_.name
    return (
        drawers.get(coordinate)
        or drawers.get(coordinate.rpartition(".")[2])
        or drawers.get(name)
        or _BUILT_IN.get(name)
    )


def fields_of(random: Random, type_: Any, level: int) -> list[str]:
    """Which fields of an input object to give: those that must be, and some others."""
    chance = min(0.35, 1.6 / len(type_.fields))  # a filter that tests everything matches nothing
    return [
        name
        for name, spec in type_.fields.items()
        if is_required_input_field(spec)
        or (random.random() < chance and (level < MOST_LEVELS or not is_input_object_type(get_named_type(spec.type))))
    ]


def misfit(random: Random) -> Any:
    """A value of JSON that hardly any type wants."""
    return random.choice(_MISFITS)


def literal(value: Any, type_: Any) -> str:
    """A value of JSON as a document writes it."""
    type_ = get_nullable_type(type_)
    if isinstance(value, list) and is_list_type(type_):
        return "[" + ", ".join(literal(item, type_.of_type) for item in value) + "]"
    if isinstance(value, dict) and is_input_object_type(type_):
        return (
            "{" + ", ".join(f"{name}: {literal(part, type_.fields[name].type)}" for name, part in value.items()) + "}"
        )
    if is_enum_type(get_named_type(type_)) and isinstance(value, str):
        return value
    return json.dumps(value)
