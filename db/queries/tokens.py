"""API tokens, without what they are checked by."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, case, func, select

from db.tables import api_token as tokens
from db.tables import entity as entities


def every() -> Select[Any]:
    """All tokens, also those that are not good any more."""
    token = tokens.alias()
    shown = (column for column in token.c if column.name != "digest")
    expired = token.c.expires_at <= func.now()
    state = case((token.c.revoked_at.is_not(None), "REVOKED"), (expired, "EXPIRED"), else_="ACTIVE")
    return select(*shown, state.label("state"))


def by_id(*, id: int) -> Select[Any]:
    """The token of this id."""
    found = every()
    return found.where(found.selected_columns.id == id)


def user_of(api_token: Any) -> Select[Any]:
    """The User that a token acts as."""
    user = entities.alias()
    return select(user).where(user.c.ref == api_token.user_ref, user.c.graph_type == "User")
