"""Cursors of lists in the order of their names, as the project writes them: base64 of `[fingerprint, name, id]`."""

from __future__ import annotations

import base64
from typing import NamedTuple

import orjson


class Cursor(NamedTuple):
    """A place in a list; the fingerprint is that of the list."""

    fingerprint: str
    name: str
    id: int


def opened(cursor: str) -> Cursor:
    """What a cursor holds."""
    return Cursor(*orjson.loads(base64.urlsafe_b64decode(cursor + "==")))


def closed(cursor: Cursor) -> str:
    """The cursor that holds this."""
    return base64.urlsafe_b64encode(orjson.dumps([*cursor])).decode().rstrip("=")
