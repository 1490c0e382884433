"""Global ids: what `Node.id` is made of.

An id is opaque to clients: the base64url form of a letter for the sort of thing, and its key. An entity's key is its
ref, so its id survives re-ingestion and a change of its GraphQL type.
"""

from __future__ import annotations

import re
from enum import Enum

from schema.errors import BadUserInput
from schema.opaque import packed, unpacked

_POSITION = re.compile(r"[0-9]{1,18}")


class Sort(Enum):
    """What an id can point at; the value is its letter."""

    ENTITY = "e"
    SOURCE = "s"
    PROBLEM = "p"
    CHANGE = "c"


def encode(sort: Sort, key: str) -> str:
    """The id of the thing with this key."""
    return packed(f"{sort.value}{key}".encode())


def decode(node_id: str) -> tuple[Sort, str]:
    """The sort and key in an id; `BadUserInput` if it is none of ours."""
    try:
        text = unpacked(node_id).decode()
        if "\0" in text:
            raise ValueError("no key holds a NUL")  # noqa: TRY301 - all that is wrong is answered below
        sort, key = Sort(text[:1]), text[1:]
        if sort is Sort.CHANGE and not _POSITION.fullmatch(key):
            raise ValueError("a change goes by its position")  # noqa: TRY301 - as above
        return sort, key
    except ValueError as error:
        message = f"{node_id[:80]!r} is not an id of this graph. Ids are opaque; to look up by name use `entity(ref:)`."
        raise BadUserInput(message) from error
