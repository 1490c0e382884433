"""API tokens: who may ask without being a person."""

from datetime import datetime
from enum import Enum

import strawberry

from db.queries import tokens
from schema.levels.edge import derived, edge
from schema.scalars import EntityRef
from schema.types.connection import Connection
from schema.types.owner import User


@strawberry.enum(description="Whether an API token is good.")
class TokenState(Enum):
    """The values of `token.state`."""

    ACTIVE = strawberry.enum_value("ACTIVE", description="It is.")
    EXPIRED = strawberry.enum_value("EXPIRED", description="It was, until it expired. It still has its name.")
    REVOKED = strawberry.enum_value("REVOKED", description="It was, until it was revoked. Its name is free.")


def _id(id: int) -> str:
    return str(id)


@strawberry.type(description="A token with which a program asks. Nobody can see it again after it was made.")
class ApiToken:
    """A row of the api_token table."""

    id: strawberry.ID = derived(_id, "id", description="Its own; `node` knows nothing of it.")
    name: str = strawberry.field(description="Its name, which no other token has until it is revoked.")
    prefix: str = strawberry.field(description="How it begins, by which its owner knows it again.")
    scopes: list[str] = strawberry.field(description="What it may do, by name: `catalog:read`.")
    user_ref: EntityRef | None = strawberry.field(description="The User that it acts as; null: no person.")
    user: User | None = edge(tokens.user_of, "That User; null also where the catalog has none of that ref.")
    created_at: datetime = strawberry.field(description="When it was made.")
    created_by: str = strawberry.field(description="Who made it: the caller, or `command:<login name>`.")
    expires_at: datetime | None = strawberry.field(description="Until when it is good; null: until it is revoked.")
    last_used_at: datetime | None = strawberry.field(description="When it was last used, to the minute; null: never.")
    revoked_at: datetime | None = strawberry.field(description="When it was revoked; null: it was not.")
    token_state: TokenState = derived(TokenState, "state", description="Whether it is good.")


ApiTokenConnection = Connection[ApiToken]
