"""What is different between two versions of a document."""

from __future__ import annotations

from collections.abc import Iterator

from db.rules.records import Json


def changed_fields(before: Json, after: Json) -> Iterator[str]:
    """JSON pointers (RFC 6901) of the fields that differ. A list is one field; without one of the versions, none."""
    if before is not None and after is not None:
        yield from (pointer for pointer, _, _ in changed_values(before, after))


def changed_values(before: Json, after: Json, pointer: str = "") -> Iterator[tuple[str, Json, Json]]:
    """The same with both values, null where there is none. A version that is not there is as if empty."""
    if pointer == "":
        before, after = before or {}, after or {}
    if not (isinstance(before, dict) and isinstance(after, dict)):
        if before != after:
            yield pointer, before, after
        return
    for key in sorted(before.keys() | after.keys()):
        here = f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"
        if key in before and key in after and before[key] is not None and after[key] is not None:
            yield from changed_values(before[key], after[key], here)
        elif before.get(key) != after.get(key) or (key in before) != (key in after):
            yield here, before.get(key), after.get(key)
