"""The contexts that one request makes: what resolvers see as `info.context`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from starlette.types import Scope


class Counting(Protocol):
    """A context, as far as the endpoints read it."""

    @property
    def statements(self) -> int:
        """How many SQL statements have been run for it."""


# A context for something that runs for a request, for as long as it runs.
MakeContext = Callable[[Scope], AbstractContextManager[Counting]]


class Contexts:
    """The contexts of one operation: of a subscription, one for its stream and one for each event."""

    def __init__(self, make: MakeContext, scope: Scope) -> None:
        self._make = make
        self._scope = scope
        self.statements = 0  # of all that have been left

    @contextmanager
    def fresh(self) -> Iterator[Counting]:
        """A new one."""
        with self._make(self._scope) as context:
            try:
                yield context
            finally:
                self.statements += context.statements
