"""What resolvers share within one request."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from sqlalchemy.ext.asyncio import AsyncEngine

from schema.levels.batch import EdgeLoader
from schema.levels.reading import Reader
from schema.loaders import Loaders


class Context:
    """One operation: its request's id and its loaders. It is entered inside the running event loop.

    When it is left, whatever still reads for it is cancelled.
    """

    def __init__(self, *, engine: AsyncEngine, request_id: str) -> None:
        self.request_id = request_id
        self._reader = Reader(engine)
        self.edges = EdgeLoader(self._reader)
        self.loaders = Loaders(self._reader)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._reader.cancel()
