"""The audit trail: who wrote what is no entity."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, select

from db.queries.keyset import Key
from db.rules.filters import OrderDirection
from db.tables import audit

LATEST = (Key("id", OrderDirection.DESC),)


def every(*, by: str | None = None) -> Select[Any]:
    """All entries, or those by one writer."""
    entry = audit.alias()
    found = select(entry)
    return found if by is None else found.where(entry.c.by == by)
