"""Changes: the log of everything that was written, and the events of those who follow it."""

from datetime import datetime
from enum import Enum
from typing import Any

import strawberry

from db.queries import changes
from db.rules.changes import changed_values
from schema import ids
from schema.levels.edge import derived, edge, value
from schema.live import Place
from schema.scalars import JSON, EntityRef
from schema.types.entity import Entity
from schema.types.node import Node


@strawberry.enum(description="What was done to an entity.")
class ChangeKind(Enum):
    """The values of `change.kind`."""

    CREATED = strawberry.enum_value("CREATED", description="It was not in the catalog before.")
    UPDATED = strawberry.enum_value("UPDATED", description="Its metadata or spec was changed.")
    DELETED = strawberry.enum_value("DELETED", description="It was removed from the catalog.")


@strawberry.enum(description="What an event tells.")
class EventKind(Enum):
    """What a follower does with an event."""

    PRESENT = strawberry.enum_value("PRESENT", description="It is there: part of the state at the start.")
    SYNCED = strawberry.enum_value("SYNCED", description="The state at the start is complete; from here on changes.")
    CREATED = strawberry.enum_value("CREATED", description="It is new, or matches the filter from now on.")
    UPDATED = strawberry.enum_value("UPDATED", description="It has changed, and matches the filter as before.")
    DELETED = strawberry.enum_value("DELETED", description="It is gone, or does not match the filter any more.")


@strawberry.type(description="A part of a document that changed.")
class FieldChange:
    """One pointer of `db.rules.changes`."""

    path: str = strawberry.field(description="Where: a JSON pointer such as `/spec/lifecycle`. A list is one part.")
    before: JSON | None = strawberry.field(description="Its value before; null where there was none.")
    after: JSON | None = strawberry.field(description="Its value after; null where there is none.")


def _id(seq: int) -> str:
    return ids.encode(ids.Sort.CHANGE, str(seq))


def _cursor(seq: int) -> str:
    return Place(seq).cursor


def _fields(before: Any, after: Any) -> list[FieldChange]:
    return [FieldChange(path=path, before=was, after=now) for path, was, now in changed_values(before, after)]


@strawberry.type(description="One write of one entity. It stays when the entity goes, until the log forgets it.")
class Change(Node):
    """A row of the change table."""

    id: strawberry.ID = derived(_id, "seq", description="Opaque.")
    cursor: str = derived(_cursor, "seq", description="Its place in the log: hand it to a subscription's `since`.")
    at: datetime = strawberry.field(description="When it was written.")
    change_kind: ChangeKind = derived(ChangeKind, "kind", description="What was done.")
    entity_ref: EntityRef = value(changes.entity_ref_of, "The entity that was written, whether it exists now or not.")
    entity: Entity | None = edge(changes.entity_of, "The entity as it is now; null where it is gone.")
    fields: list[FieldChange] = derived(
        _fields, "before", "after", description="What changed in `kind`, `apiVersion`, `metadata` and `spec`."
    )
    by: str = strawberry.field(description="Who wrote: `source:<name>`, or the caller of a mutation.")


@strawberry.interface(description="Something that a subscription tells.")
class LiveEvent:
    """What all events share."""

    cursor: str = strawberry.field(description="The place after this event: hand it to `since` to go on from here.")
    at: datetime = strawberry.field(description="When it happened; of PRESENT and SYNCED, when it was read.")
    event_kind: EventKind = strawberry.field(description="What it tells.")
    node_id: strawberry.ID | None = strawberry.field(
        description="The id of what it is about: what a client's cache evicts. Null for SYNCED."
    )

    @classmethod
    def is_type_of(cls, event: Any, info: Any) -> bool:
        """A field of the subscription root says of which type its events are."""
        return True


@strawberry.type(description="An entity is there, came, changed or went.")
class EntityEvent(LiveEvent):
    """An `Event` of `schema.subscription`."""

    change: Change | None = strawberry.field(description="The change that it comes from; null for PRESENT and SYNCED.")
    entity: Entity | None = edge(
        changes.entity_of, "The entity as it is when the event is sent; null where it is gone by then, and for SYNCED."
    )
