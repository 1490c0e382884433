"""Pages: the arguments that ask for one, and the cursors that name places between them.

A cursor holds the sort key of a row, so that a page costs the same wherever it is, and a fingerprint of the field and
its other arguments, so that it cannot be used elsewhere by mistake.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson

from db.queries.keyset import Key, Place
from schema.errors import BadUserInput
from schema.opaque import packed, unpacked

DEFAULT_SIZE = 20
MAX_SIZE = 100

# A number as Decimal writes it, no longer than any double is; texts stand beyond all numbers.
_NUMBER = re.compile(r"-?[0-9]{1,400}(\.[0-9]{1,400})?(E[-+][0-9]{1,3})?|Infinity")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page of an ordered list. `size` rows are given, after `place` (None: from the end that `backward` says)."""

    keys: tuple[Key, ...]
    fingerprint: str
    size: int = DEFAULT_SIZE
    backward: bool = False
    place: Place | None = None

    def cursor(self, place: Iterable[Any]) -> str:
        """The cursor of a row: its values of the keys."""
        payload = orjson.dumps([self.fingerprint, *place], option=orjson.OPT_PASSTHROUGH_DATETIME, default=_written)
        return packed(payload)


def page_request(keys: tuple[Key, ...], asked: Mapping[str, Any], *, fingerprint: str) -> PageRequest:
    """The page that `first`, `after`, `last` and `before` ask for; `fingerprint` is what a cursor is bound to.

    Raises `BadUserInput` for sizes out of range, for a mixture of both directions, and for a foreign cursor.
    """
    first, after, last, before = (asked.get(name) for name in ("first", "after", "last", "before"))
    if last is not None and (first is not None or after is not None):
        raise BadUserInput("A page is asked for with `first` and `after`, or with `last` and `before`, not with both.")
    if before is not None and last is None:
        raise BadUserInput("`before` needs `last`: how many to give before the cursor.")
    for name, size in (("first", first), ("last", last)):
        if size is not None and not 1 <= size <= MAX_SIZE:
            raise BadUserInput(f"`{name}` is {size}; a page has 1 to {MAX_SIZE}.")
    cursor = before if last is not None else after
    return PageRequest(
        keys=keys,
        fingerprint=fingerprint,
        size=last if last is not None else first if first is not None else DEFAULT_SIZE,
        backward=last is not None,
        place=None if cursor is None else _place(cursor, fingerprint, keys),
    )


def _place(cursor: str, fingerprint: str, keys: Sequence[Key]) -> Place:
    try:
        found, *place = orjson.loads(unpacked(cursor))
        place = [_read(value) for value in place]
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise BadUserInput(f"{cursor[:80]!r} is not a cursor. A cursor comes from `edges` or `pageInfo`.") from error
    if found != fingerprint or len(place) != len(keys):
        raise BadUserInput("This cursor was made by another field, or with another filter or order.")
    return tuple(place)


def _written(value: datetime | Decimal) -> dict[str, str]:
    return {"number": str(value)} if isinstance(value, Decimal) else {"at": value.isoformat()}


def _read(value: Any) -> Any:
    match value:
        case {"at": at}:
            return datetime.fromisoformat(at).astimezone(UTC)
        case {"number": str() as number} if _NUMBER.fullmatch(number):
            return Decimal(number)
        case None:
            return None
        case str() if "\0" not in value:
            return value
        case int() if -(2**63) <= value < 2**63:
            return value
    raise ValueError("no key has such a value")
