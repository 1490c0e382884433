"""For tests: somebody who may do everything."""

from __future__ import annotations

from starlette.types import Scope

from db.rules.scopes import EVERYTHING
from schema.caller import ANONYMOUS, Caller

ANYBODY = Caller(ANONYMOUS, EVERYTHING)


async def anybody(_scope: Scope) -> Caller:
    """Who asks, where nobody is asked who they are."""
    return ANYBODY
