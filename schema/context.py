"""What resolvers share within one request."""

from __future__ import annotations

from functools import cached_property
from types import TracebackType
from typing import Self

from db.reading import Reads
from schema.levels.reading import Reader
from schema.loaders import Loaders


class Context:
    """One operation: its request's id and its loaders. It is entered inside the running event loop.

    When it is left, whatever still reads for it is cancelled.
    """

    def __init__(self, *, reads: Reads, request_id: str) -> None:
        self.request_id = request_id
        self.reader = Reader(reads)

    @property
    def statements(self) -> int:
        """How many SQL statements have been run."""
        return self.reader.statements

    @cached_property
    def loaders(self) -> Loaders:
        """The keyed lookups."""
        return Loaders(self.reader)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.reader.cancel()
