"""The contexts that one request makes: what resolvers see as `info.context`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Protocol

from starlette.types import Scope

from schema.caller import Caller


class RequestContext(Protocol):
    """A context, as far as the endpoints read it."""

    @property
    def caller(self) -> Caller:
        """Who is asking."""

    @property
    def statements(self) -> int:
        """How many SQL statements have been run for it."""


# A context for something that runs for a request and its caller, for as long as it runs.
MakeContext = Callable[[Scope, Caller], AbstractContextManager[RequestContext]]
# Who sends a request, or has opened a socket. Raises Unauthenticated, or what keeps us from knowing.
Who = Callable[[Scope], Awaitable[Caller]]


class Contexts:
    """The contexts of one operation: of a subscription, one for its stream and one for each event.

    Who is asking is found out for each anew: a token may have been revoked, or have expired, since the last one.
    """

    def __init__(self, make: MakeContext, scope: Scope, who: Who) -> None:
        self._make, self._scope, self._who = make, scope, who
        self.statements = 0  # of all that have been left

    @asynccontextmanager
    async def fresh(self) -> AsyncIterator[RequestContext]:
        """A new one. Raises Unauthenticated, or what keeps us from knowing who is asking."""
        with self._make(self._scope, await self._who(self._scope)) as context:
            try:
                yield context
            finally:
                self.statements += context.statements
