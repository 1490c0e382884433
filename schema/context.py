"""What resolvers share within one request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from sqlalchemy.ext.asyncio import AsyncEngine

from db.audit import Author
from db.queries import people
from db.reading import Reads
from db.rules.refs import Ref
from db.rules.scopes import Scope
from db.schedules import Declaration
from schema.caller import Caller
from schema.errors import Unavailable
from schema.levels.alone import answer
from schema.levels.reading import Reader
from schema.live import Live, Place
from schema.loaders import Loaders


class SourceRules(Protocol):
    """What the process knows of sources that are declared."""

    @property
    def file(self) -> Path | None:
        """The file that declares those of the settings."""

    def registered(self, given: Mapping[str, Any]) -> Declaration:
        """A source that a mutation declares. Raises `db.schedules.DeclarationError`."""


@dataclass(frozen=True, slots=True)
class Writes:
    """What mutations write with."""

    engine: AsyncEngine
    sources: SourceRules


class Context:
    """One operation: its request's id and its loaders. It is entered inside the running event loop.

    When it is left, whatever still reads for it is cancelled.
    """

    def __init__(
        self,
        *,
        reads: Reads,
        request_id: str,
        caller: Caller,
        live: Live | None = None,
        writes: Writes | None = None,
    ) -> None:
        self.request_id = request_id
        self.caller = caller
        self._person: int | None = None
        self.reader = Reader(reads)
        self._live = live
        self._writes = writes
        # Known before anything is read for the operation, so not later than what it reads.
        self._position = live.position if live is not None and live.is_known else None

    @property
    def live(self) -> Live:
        """The change log, followed. Raises Unavailable where it is not."""
        if self._live is None:
            raise Unavailable("Changes are not followed here")
        return self._live

    @property
    def writes(self) -> Writes:
        """What mutations write with. Raises Unavailable where nothing is written."""
        if self._writes is None:
            raise Unavailable("Nothing is written here")
        return self._writes

    @property
    def place(self) -> Place:
        """A place in the change log not later than anything that is read for the operation. Raises Unavailable."""
        return Place(self.live.position if self._position is None else self._position)

    @property
    def statements(self) -> int:
        """How many SQL statements have been run."""
        return self.reader.statements

    async def person(self) -> int | None:
        """The id of the User that the caller is, if the catalog has one, and one alone."""
        if self._person is None and self.caller.is_person:
            found = await answer(people.known_as, self.reader, ref=self.caller.user, email=self.caller.email)
            self._person = found[0].id if len(found) == 1 else None
        return self._person

    async def may(self, scope: Scope, *, owner_of: Ref) -> bool:
        """Whether the caller may write an entity: by a scope, or because they own it."""
        if scope in self.caller.scopes:
            return True
        person = await self.person() if self.caller.acts_as_owner else None
        return person is not None and bool(await answer(people.owning, self.reader, person=person, ref=owner_of))

    @property
    def author(self) -> Author:
        """The caller, as the audit trail has them."""
        return Author(self.caller.subject, self.request_id)

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
