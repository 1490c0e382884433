"""API tokens, as requests bring them."""

from __future__ import annotations

from db.reading import Reads
from schema.caller import Caller
from schema.errors import Unauthenticated


class ApiTokens:
    """The API tokens of one database."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def caller(self, token: str) -> Caller:
        """Whose token it is. Raises Unauthenticated."""
        raise Unauthenticated("There is no such token")
