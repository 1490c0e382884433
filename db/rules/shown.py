"""How a value of a file appears in a message: on one line, in ASCII, and short."""

from __future__ import annotations

from db.rules.records import Json

_LONGEST = 60


def shown(value: Json) -> str:
    """`'text'`, `12`, `null`, `a list`: escaped, and cut after 60 characters."""
    match value:
        case str():
            return ascii(value if len(value) <= _LONGEST else value[:_LONGEST] + "...")
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case _:
            return str(value)
