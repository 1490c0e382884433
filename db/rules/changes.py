"""What is different between two versions of a document."""

from __future__ import annotations

from collections.abc import Iterator

from db.rules.records import Json


def changed_fields(before: Json, after: Json, pointer: str = "") -> Iterator[str]:
    """JSON pointers (RFC 6901) of the fields that differ. A list is one field; without one of the versions, none."""
    if before is None or after is None:
        return
    if not (isinstance(before, dict) and isinstance(after, dict)):
        if before != after:
            yield pointer
        return
    for key in sorted(before.keys() | after.keys()):
        here = f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"
        if key in before and key in after and before[key] is not None and after[key] is not None:
            yield from changed_fields(before[key], after[key], here)
        elif before.get(key) != after.get(key) or (key in before) != (key in after):
            yield here
