"""Who is asking, as the graph shows them to themselves."""

from dataclasses import dataclass

import strawberry

from db.queries import people, relations
from db.rules.scopes import Scope
from schema.access import requires
from schema.levels.edge import connection, edge
from schema.types.entity import EntityConnection, ProblemConnection
from schema.types.owner import GroupConnection, User


@dataclass(frozen=True, slots=True)
class Viewing:
    """What `Viewer` is made of; `id` is that of the User, who may not be in the catalog."""

    subject: str
    scopes: list[str]
    id: int | None


@strawberry.type(description="Who is asking.")
class Viewer:
    """The caller of the operation."""

    subject: str = strawberry.field(description="Who it is in the log of changes: `oidc:<claim>` or `token:<name>`.")
    scopes: list[str] = strawberry.field(description="What they may do, by name: `catalog:read`.")
    user: User | None = requires(
        Scope.CATALOG_READ, edge(people.itself, "The User that they are; null where the catalog has none.")
    )
    groups: GroupConnection = requires(
        Scope.CATALOG_READ, connection(relations.related("memberOf", "Group"), "The groups that they are in.")
    )
    owned_entities: EntityConnection = requires(
        Scope.CATALOG_READ,
        connection(
            people.owned_by,
            "What they own, and what their groups own.",
            both_ways=False,
            order_by=True,
            arguments={"tree": "Also what the groups anywhere below theirs, and the members of all these, own."},
        ),
    )
    problems: ProblemConnection = requires(
        Scope.CATALOG_READ,
        connection(
            people.problems_of,
            "What is wrong with them, with their groups, and with what these own, by file and line.",
            order=("location", "line", "id"),
        ),
    )
