"""What follows the catalog as it changes: a port, which `api.live` fills once a process.

A subscriber holds no more than its position in the change log, and asks for the page after it whenever it is ready for
one. So a slow subscriber costs nothing and misses nothing: it reads later, as far back as the log reaches.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import orjson

from db.changes import Page
from db.rules.refs import Ref
from schema.errors import BadUserInput
from schema.opaque import packed, unpacked


class Live(Protocol):
    """The change log, followed."""

    @property
    def is_known(self) -> bool:
        """Whether this process knows a position."""

    @property
    def position(self) -> int:
        """The latest position that this process knows of. Raises Unavailable before it knows any."""

    async def look(self) -> None:
        """Learn the latest position of all."""

    async def after(self, position: int) -> Page:
        """The next changes after a position; waits until there are some. Raises ForgottenError."""

    async def trees(self, groups: Iterable[Ref], position: int) -> dict[Ref, frozenset[str]]:
        """The canonical refs of who owns what is in the tree of each group, as of a position or later."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a subscriber is: in the log and, while the present state is sent, after which entity."""

    position: int  # of the last change that it has seen, or of the moment before the present state was read
    present: int | None = None  # the last entity that was sent; None: all of the present state was

    @property
    def cursor(self) -> str:
        """The place as clients have it: opaque."""
        payload = {"catalog": self.position} | ({} if self.present is None else {"present": self.present})
        return packed(orjson.dumps(payload))

    @classmethod
    def of(cls, cursor: str) -> Place:
        """The place of a cursor. Raises `BadUserInput`."""
        try:
            payload = orjson.loads(unpacked(cursor))
            place = cls(payload.pop("catalog"), payload.pop("present", None))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise _not_a_cursor(cursor) from error
        if payload or not (_is_position(place.position) and _is_position(place.present or 0)):
            raise _not_a_cursor(cursor)
        return place


def _is_position(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _not_a_cursor(cursor: str) -> BadUserInput:
    return BadUserInput(f"{cursor[:80]!r} is no place to go on from. It comes from `liveCursor`, or from an event.")
