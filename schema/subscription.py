"""Where subscriptions start."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import strawberry

from db.changes import Change, ForgottenError
from db.queries import changes
from db.rules.filters import EntityFilter
from db.rules.matches import Judge, compiled, trees_of, unanswerable
from db.rules.refs import Ref
from db.rules.scopes import Scope
from schema import ids
from schema.access import each_requires
from schema.calls import stream
from schema.context import Context
from schema.errors import BadUserInput, CursorExpired
from schema.inputs import Cursor
from schema.levels import alone
from schema.live import Live, Place
from schema.outages import over_outages
from schema.types.change import EntityEvent, EventKind


@dataclass(frozen=True, slots=True)
class Event:
    """What `EntityEvent` is made of."""

    cursor: str
    at: datetime
    event_kind: EventKind
    node_id: str | None = None
    entity_id: int | None = None
    change: Change | None = None


async def _entity_changes(
    context: Context, *, filter: EntityFilter | None = None, since: Cursor | None = None
) -> AsyncIterator[Event]:
    if filter is not None and (place := unanswerable(filter)) is not None:
        raise BadUserInput(f"`{place}` cannot be followed: it asks for more than the entity that changes.")
    at = Place(context.live.position, present=0) if since is None else await _place(context.live, since)
    async for event in _present(context, filter, at):
        yield event
    try:
        async for event in _changes(context.live, filter, at.position):
            yield event
    except ForgottenError:
        raise CursorExpired("What came after this cursor is not kept any more: start anew, without `since`") from None


async def _place(live: Live, since: str) -> Place:
    """Where to go on. A place that the log has not come to is of another catalog, or of one from before a backup."""
    place = Place.of(since)
    if place.position > live.position:
        await live.look()  # another process may have known more
    if place.position > live.position:
        raise CursorExpired("The log of changes has not come to this cursor: start anew, without `since`")
    return place


async def _present(context: Context, wanted: EntityFilter | None, at: Place) -> AsyncIterator[Event]:
    """What is there, in pages, and SYNCED; nothing if that is behind this place."""
    last = at.present
    if last is None:
        return
    while rows := await _present_after(context, wanted, last):
        now = datetime.now(UTC)
        for row in rows:
            last = row.id
            cursor = Place(at.position, last).cursor
            yield Event(cursor, now, EventKind.PRESENT, ids.encode(ids.Sort.ENTITY, row.ref), row.id)
    yield Event(Place(at.position).cursor, datetime.now(UTC), EventKind.SYNCED)


async def _present_after(context: Context, wanted: EntityFilter | None, last: int) -> list[Any]:
    """A page of what is there. When many begin to follow at once, some have to wait for their turn."""
    return await over_outages(lambda: alone.answer(changes.present, context.reader, filter=wanted, after=last))


async def _changes(live: Live, wanted: EntityFilter | None, position: int) -> AsyncIterator[Event]:
    """What changes after a position, as those see it who only see what matches."""
    groups = trees_of(wanted) if wanted is not None else ()
    trees: dict[Ref, frozenset[str]] = {}
    judge: Judge | None = compiled(wanted, lambda group: trees[group]) if wanted is not None else None
    while True:
        page = await live.after(position)
        trees.update(await live.trees(groups, page.position))
        for change in page.changes:
            if (kind := _kind(change, judge)) is not None:
                node_id = ids.encode(ids.Sort.ENTITY, change.ref)
                yield Event(Place(change.seq).cursor, change.at, kind, node_id, change.entity_id, change)
        position = page.position


def _kind(change: Change, judge: Judge | None) -> EventKind | None:
    """What a change is to those who only see what matches; None: nothing."""
    was, now = (
        image is not None and (judge is None or judge(image)) for image in (change.image_before, change.image_after)
    )
    if now:
        return EventKind.UPDATED if was else EventKind.CREATED
    return EventKind.DELETED if was else None


@each_requires(Scope.CATALOG_READ)
@strawberry.type(description="Everything that can be followed.")
class Subscription:
    """The root of every subscription."""

    entity_changes: AsyncIterator[EntityEvent] = stream(
        _entity_changes,
        "Entities as they come, change and go. Without `since` first those that are there, then SYNCED.",
        arguments={"since": "Go on from here: a `liveCursor`, or the cursor of an event."},
    )
