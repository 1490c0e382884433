"""API tokens, as requests bring them.

A token is looked up once, and kept; a request with it then costs no statement. Each process hears when a token is
revoked, and forgets all that it keeps. While it would not hear of that, it keeps nothing, and looks each one up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from db import tokens
from db.engine import failure_of
from db.reading import Reads
from db.rules.refs import Ref
from db.rules.scopes import EVERYTHING, scopes_of
from db.rules.tokens import digest_of, is_token
from db.tokens import Known
from schema.caller import Caller
from schema.errors import Unauthenticated, unavailable

_AT_ONCE = 2  # statements that look for tokens; whoever makes tokens up waits for others who do
_NOTED = 10.0  # seconds between two notes of which tokens were used meanwhile
_PATIENCE = 2.0  # seconds for such a note; also what it adds to a stop, at most

_log = structlog.get_logger("catalograph.tokens")


class Kept(NamedTuple):
    """A token that is good until it expires or is revoked."""

    id: int
    caller: Caller
    expires_at: datetime | None


def _now() -> datetime:
    return datetime.now(UTC)


class ApiTokens:
    """The API tokens of one database."""

    def __init__(self, reads: Reads, revocations: Callable[[], int | None], now: Callable[[], datetime] = _now) -> None:
        """`revocations` is as `LiveFeed.revocations`."""
        self._reads, self._revocations, self._now = reads, revocations, now
        self._kept: dict[bytes, Kept] = {}  # by digest; of tokens that exist only, so that junk does not fill it
        self._kept_after: int | None = None  # so many revocations; None: nothing is kept
        self._used: dict[int, datetime] = {}  # by id, of what is not noted yet
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def caller(self, token: str) -> Caller:
        """Whose token it is. Raises Unauthenticated, or Unavailable."""
        if not is_token(token):
            raise Unauthenticated("This is no API token: a part of it is missing, or something was added")
        digest = digest_of(token)
        self._forget_what_may_be_revoked()
        found = self._kept.get(digest) or await self._look_up(digest)
        now = self._now()
        if found.expires_at is not None and found.expires_at <= now:
            raise Unauthenticated("The token has expired")
        self._used[found.id] = now
        return found.caller

    async def note_uses(self, engine: AsyncEngine) -> None:
        """Note in the database when tokens were last used, again and again until cancelled, and then once more."""
        try:
            while True:
                await asyncio.sleep(_NOTED)
                await self._note(engine)
        finally:
            await self._note(engine)

    def _forget_what_may_be_revoked(self) -> None:
        revocations = self._revocations()
        if revocations != self._kept_after:
            self._kept.clear()
            self._kept_after = revocations

    async def _look_up(self, digest: bytes) -> Kept:
        revocations = self._revocations()
        try:
            async with self._turns:
                known = await tokens.find(self._reads.fetch, digest)
        except Exception as error:
            if failure_of(error) is None:
                raise
            raise unavailable() from error
        if known is None:
            raise Unauthenticated("There is no such token")
        if known.is_revoked:
            raise Unauthenticated("The token is revoked")
        found = Kept(known.id, _caller(known), known.expires_at)
        # It may have been revoked since it was read; what was heard of meanwhile need not be about it, but may be.
        if revocations is not None and revocations == self._revocations():
            self._kept[digest] = found
        return found

    async def _note(self, engine: AsyncEngine) -> None:
        if not (used := dict(self._used)):
            return
        try:
            async with asyncio.timeout(_PATIENCE), engine.begin() as connection:
                await tokens.note_uses(connection, used)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next time may be better
            unexpected = None if failure_of(error) or isinstance(error, TimeoutError) else error
            _log.warning("the last use of tokens is not noted for now", reason=str(error), exc_info=unexpected)
            return
        for id_, at in used.items():
            if self._used[id_] == at:
                del self._used[id_]


def _caller(token: Known) -> Caller:
    """Who asks with a token. A scope that is not there any more allows nothing."""
    scopes = scopes_of(scope for scope in token.scopes if scope in EVERYTHING)
    user = Ref.parse(token.user_ref) if token.user_ref else None
    return Caller(f"token:{token.name}", scopes, user)
