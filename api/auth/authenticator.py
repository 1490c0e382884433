"""From what a request says of its sender to a caller.

A token that is not good is refused, never taken for no token: its owner would wonder where the catalog has gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from starlette.types import Scope

from db.rules.tokens import BEGINNING
from schema.caller import Caller
from schema.errors import Unauthenticated

_NEEDED = "A token is needed: `Authorization: Bearer <token>`"


class Knows(Protocol):
    """Who knows the owners of tokens of one sort."""

    async def caller(self, token: str) -> Caller:
        """Whose token it is. Raises Unauthenticated, or Unavailable when it cannot be found out now."""


class Authenticator:
    """Finds out who is asking."""

    def __init__(self, *, guest: Caller | None, tokens: Knows, issuer: Knows | None) -> None:
        """`guest` is who asks without a token, if that is allowed; `issuer` knows all but API tokens."""
        self._guest, self._tokens, self._issuer = guest, tokens, issuer

    async def who(self, scope: Scope) -> Caller:
        """Who sends a request, or has opened a socket. Raises Unauthenticated, or Unavailable."""
        given = _authorization(scope)
        caller = self._guest_of(scope) if given is None else await self._bearer(given)
        scope["state"]["log"]["caller"] = caller.subject
        return caller

    def _guest_of(self, scope: Scope) -> Caller:
        if self._guest is None:
            raise Unauthenticated(_NEEDED, refused=False)
        address, _ = scope.get("client") or ("", 0)
        return replace(self._guest, address=address)

    async def _bearer(self, given: str) -> Caller:
        scheme, _, token = given.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthenticated(_NEEDED)
        token = token.strip()
        if token.startswith(BEGINNING):
            return await self._tokens.caller(token)
        if self._issuer is None:
            raise Unauthenticated("This is no API token, and tokens of others are not taken here")
        return await self._issuer.caller(token)


def _authorization(scope: Scope) -> str | None:
    """The Authorization header; on a websocket, which a browser opens without, what `connection_init` says instead."""
    said = _said(scope["state"].get("connection_init") or {})
    if said is not None:
        return said
    header = next((value for name, value in scope["headers"] if name == b"authorization"), None)
    return None if header is None else header.decode("latin-1")


def _said(payload: Mapping[str, Any]) -> str | None:
    """`{"Authorization": "Bearer …"}`, in any case, or the same below `headers`, as GraphiQL and others have it."""
    for fields in (payload, payload.get("headers")):
        if isinstance(fields, dict):
            for name, value in fields.items():
                if name.lower() == "authorization" and value is not None:
                    return str(value)
    return None
