"""What mutations answer."""

from enum import Enum
from typing import Self

import strawberry

from db.rules.scopes import Scope
from schema.access import requires
from schema.scalars import EntityRef
from schema.types.entity import Entity
from schema.types.source import Source
from schema.types.token import ApiToken


@strawberry.enum(description="Why a mutation did nothing.")
class UserErrorCode(Enum):
    """The codes of user errors."""

    INVALID = strawberry.enum_value("INVALID", description="A value is not allowed.")
    NOT_FOUND = strawberry.enum_value("NOT_FOUND", description="There is no such thing.")
    FORBIDDEN = strawberry.enum_value("FORBIDDEN", description="The caller may not do that to it.")
    CONFLICT = strawberry.enum_value("CONFLICT", description="It is not in a state in which this can be done.")


@strawberry.type(description="Why a mutation did nothing. What it was asked was understood, and could not be done.")
class UserError:
    """One error."""

    code: UserErrorCode = strawberry.field(description="The sort of error.")
    message: str = strawberry.field(description="A sentence for people.")
    field: str | None = strawberry.field(description="The field of the input that it is about.", default=None)


@strawberry.type(description="What came of a mutation of an entity.")
class EntityPayload:
    """An entity, or why nothing was done."""

    entity_ref: EntityRef | None = strawberry.field(description="The entity that was written, or was to be, if known.")
    entity: Entity | None = requires(
        Scope.CATALOG_READ, strawberry.field(description="The entity as it is now; null where it is not there.")
    )
    user_errors: list[UserError] = strawberry.field(description="Why nothing was done; empty where it was.")

    @classmethod
    def refused(cls, *errors: UserError, ref: str | None = None) -> Self:
        """Nothing was done."""
        return cls(entity_ref=EntityRef(ref) if ref else None, entity=None, user_errors=[*errors])


@strawberry.type(description="What came of a mutation of a source.")
class SourcePayload:
    """A source, or why nothing was done."""

    source: Source | None = requires(
        Scope.CATALOG_READ, strawberry.field(description="The source as it is now; null where nothing was done.")
    )
    user_errors: list[UserError] = strawberry.field(description="Why nothing was done; empty where it was.")

    @classmethod
    def refused(cls, code: UserErrorCode, message: str, *, field: str | None = None) -> Self:
        """Nothing was done."""
        return cls(source=None, user_errors=[UserError(code=code, message=message, field=field)])


@strawberry.type(description="What came of a mutation that makes an API token.")
class TokenCreatePayload:
    """A token, or why none was made."""

    token: ApiToken | None = strawberry.field(description="The token that was made; null where none was.")
    secret: str | None = strawberry.field(description="The token as requests bring it; shown here, and never again.")
    user_errors: list[UserError] = strawberry.field(description="Why nothing was done; empty where it was.")


@strawberry.type(description="What came of a mutation that revokes an API token.")
class TokenRevokePayload:
    """A token, or why it was not revoked."""

    token: ApiToken | None = strawberry.field(description="The token as it is now; null where nothing was done.")
    user_errors: list[UserError] = strawberry.field(description="Why nothing was done; empty where it was.")
