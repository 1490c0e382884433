"""What resolvers share within one request."""

from __future__ import annotations

from functools import cached_property
from types import TracebackType
from typing import Self

from db.reading import Reads
from schema.errors import Unavailable
from schema.levels.reading import Reader
from schema.live import Live, Place
from schema.loaders import Loaders


class Context:
    """One operation: its request's id and its loaders. It is entered inside the running event loop.

    When it is left, whatever still reads for it is cancelled.
    """

    def __init__(self, *, reads: Reads, request_id: str, live: Live | None = None) -> None:
        self.request_id = request_id
        self.reader = Reader(reads)
        self._live = live
        # Known before anything is read for the operation, so not later than what it reads.
        self._position = live.position if live is not None and live.is_known else None

    @property
    def live(self) -> Live:
        """The change log, followed. Raises Unavailable where it is not."""
        if self._live is None:
            raise Unavailable("Changes are not followed here")
        return self._live

    @property
    def place(self) -> Place:
        """A place in the change log not later than anything that is read for the operation. Raises Unavailable."""
        return Place(self.live.position if self._position is None else self._position)

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
