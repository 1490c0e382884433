"""API tokens: making one, revoking it, knowing it again. What is kept of it is its digest.

Its name is its own until it is revoked; then another may have it.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import Row, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from db import audit
from db.audit import Author
from db.queries import tokens as queries
from db.rules.records import Json
from db.rules.scopes import Scope
from db.rules.tokens import BEGINNING, Secret, TokenCreateInput, WrongTokenError, check, digest_of, prefix_of
from db.tables import api_token

CHANNEL = "catalograph_tokens"
"""What Postgres notifies when a token has been revoked. Who keeps tokens looks them up anew."""

_RANDOM = 32  # bytes


class TokenRefusedError(Exception):
    """A token that was not made, or not revoked: why, and which field of the input it is about."""

    def __init__(self, code: Literal["INVALID", "CONFLICT", "NOT_FOUND"], field: str, message: str) -> None:
        super().__init__(message)
        self.code, self.field = code, field


@dataclass(frozen=True, slots=True)
class Made:
    """A new token. Nobody can find out its secret later."""

    id: int
    secret: Secret


async def create(connection: AsyncConnection, wanted: TokenCreateInput, author: Author) -> Made:
    """Make a token, with an entry in the audit trail. Raises TokenRefusedError."""
    try:
        check(wanted, now=datetime.now(UTC))
    except WrongTokenError as error:
        raise TokenRefusedError("INVALID", error.field, str(error)) from None
    secret = Secret(BEGINNING + secrets.token_urlsafe(_RANDOM))
    new = insert(api_token).values(
        name=wanted.name,
        prefix=prefix_of(secret),
        digest=digest_of(secret),
        scopes=[scope for scope in Scope if scope in wanted.scopes],
        user_ref=None if wanted.user is None else str(wanted.user),
        created_by=author.by,
        expires_at=wanted.expires_at,
    )
    unless_taken = new.on_conflict_do_nothing(
        index_elements=[api_token.c.name], index_where=api_token.c.revoked_at.is_(None)
    )
    made = (await connection.execute(unless_taken.returning(*_IMAGE))).first()
    if made is None:
        message = f"There is a token {wanted.name} already; choose another name, or revoke that one first."
        raise TokenRefusedError("CONFLICT", "name", message)
    await audit.append(connection, author, "tokenCreate", f"token:{wanted.name}", after=_image(made))
    return Made(made.id, secret)


async def revoke(connection: AsyncConnection, name: str, author: Author) -> int:
    """Let a token be good no more, in all processes from the commit on, with an entry in the audit trail.

    Returns its id. Raises TokenRefusedError.
    """
    its = (api_token.c.name == name) & api_token.c.revoked_at.is_(None)
    revoked = update(api_token).where(its).values(revoked_at=func.now()).returning(*_IMAGE)
    gone = (await connection.execute(revoked)).first()
    if gone is None:
        raise TokenRefusedError("NOT_FOUND", "name", f"There is no token {name}, or it is revoked already.")
    await audit.append(connection, author, "tokenRevoke", f"token:{name}", before=_image(gone))
    await connection.execute(select(func.pg_notify(CHANNEL, "")))
    return int(gone.id)


_IMAGE = tuple(api_token.c[name] for name in ("id", "prefix", "scopes", "user_ref", "expires_at"))


def _image(token: Row[Any]) -> dict[str, Json]:
    """A token as the audit trail has it."""
    expires_at = token.expires_at and token.expires_at.isoformat().replace("+00:00", "Z")
    return {"prefix": token.prefix, "scopes": token.scopes, "user": token.user_ref, "expiresAt": expires_at}


@dataclass(frozen=True, slots=True)
class Known:
    """A token that there is, or was."""

    id: int
    name: str
    scopes: Sequence[str]
    user_ref: str | None
    expires_at: datetime | None
    is_revoked: bool


async def find(fetch: Callable[[str, Sequence[Any]], Awaitable[list[Any]]], digest: bytes) -> Known | None:
    """The token with this digest; None: there has never been one. `fetch` runs a statement with its values."""
    rows = await fetch(_FIND, [digest])
    return Known(*rows[0]) if rows else None


_FIND = """
    SELECT id, name, scopes, user_ref, expires_at, revoked_at IS NOT NULL FROM api_token WHERE digest = $1
"""


async def note_uses(connection: AsyncConnection, used: Mapping[int, datetime]) -> None:
    """Note when tokens, by their ids, were last used; to the minute, and never back."""
    await connection.execute(text(_NOTE), {"ids": list(used), "times": list(used.values())})


# Rows are locked in one order, so that processes which note the same tokens cannot deadlock.
_NOTE = """
    WITH due AS (
        SELECT token.id, date_trunc('minute', used.at) AS minute
        FROM unnest(CAST(:ids AS bigint[]), CAST(:times AS timestamptz[])) AS used (id, at)
        JOIN api_token token ON token.id = used.id
        WHERE token.last_used_at IS NULL OR token.last_used_at < date_trunc('minute', used.at)
        ORDER BY token.id FOR UPDATE OF token
    )
    UPDATE api_token SET last_used_at = due.minute FROM due WHERE api_token.id = due.id
"""


async def listed(connection: AsyncConnection) -> Sequence[Row[Any]]:
    """All tokens, by name, as `db.queries.tokens.every` has them."""
    every = queries.every().subquery()
    return (await connection.execute(select(every).order_by(every.c.name, every.c.id))).all()
