"""What resolvers share within one request."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine

from schema.levels.batch import EdgeLoader
from schema.loaders import Loaders


class Context:
    """One request: its id and its loaders. It is made inside the running event loop, anew for each operation."""

    def __init__(self, *, engine: AsyncEngine, request_id: str) -> None:
        self.request_id = request_id
        self.edges = EdgeLoader(engine)
        self.loaders = Loaders(engine)
