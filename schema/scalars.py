"""The scalars of the graph."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, NewType

import strawberry
from strawberry.types.scalar import ScalarDefinition

from db.rules.shown import shown

EntityRef = NewType("EntityRef", str)
JSON = NewType("JSON", object)

# RFC 3339, section 5.6; a leap second is not an instant that Postgres knows.
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _written_instant(value: datetime) -> str:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _read_instant(value: Any) -> datetime:
    try:
        if _INSTANT.fullmatch(value):
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        pass
    raise ValueError(f"a DateTime is an RFC 3339 text such as 2026-11-22T10:00:00Z, not {shown(value)}")


def _read_ref(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"an EntityRef is a text such as component:default/dice-roller, not {shown(value)}")  # noqa: TRY004
    return value


SCALARS: dict[object, ScalarDefinition] = {
    EntityRef: strawberry.scalar(
        name="EntityRef",
        description=(
            "The name of an entity: `kind:namespace/name`. It is printed in lower case; it is read in any case, "
            "without the namespace where that is `default`, and without the kind where the field names one."
        ),
        serialize=str,
        parse_value=_read_ref,
    ),
    JSON: strawberry.scalar(
        name="JSON",
        description="Any JSON value, as it was declared.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc8259",
        serialize=lambda value: value,
        parse_value=lambda value: value,
    ),
    datetime: strawberry.scalar(
        name="DateTime",
        description="An instant in UTC, as RFC 3339 writes it: `2026-11-22T10:00:00Z`.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
        serialize=_written_instant,
        parse_value=_read_instant,
    ),
}
