"""The audit trail: who wrote what is no entity."""

from datetime import datetime

import strawberry

from schema.levels.edge import derived
from schema.scalars import JSON
from schema.types.connection import Connection


def _id(id: int) -> str:
    return str(id)


@strawberry.type(description="One write of something that is no entity: a token, a source. It is kept for good.")
class AuditEntry:
    """A row of the audit table."""

    id: strawberry.ID = derived(_id, "id", description="Its own; `node` knows nothing of it.")
    at: datetime = strawberry.field(description="When it was written.")
    by: str = strawberry.field(description="Who wrote: the caller of a mutation, or `command:<login name>`.")
    action: str = strawberry.field(description="The mutation, or what a command did instead: `tokenCreate`.")
    subject: str = strawberry.field(description="What was written: `token:ci`, `source:teams`.")
    request_id: str | None = strawberry.field(
        description="The request's id, under which the log has the rest; null: a command wrote."
    )
    before: JSON | None = strawberry.field(description="What it was before; null where it was not there.")
    after: JSON | None = strawberry.field(description="What it is after; null where it is gone.")


AuditEntryConnection = Connection[AuditEntry]
