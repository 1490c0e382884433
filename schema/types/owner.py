"""Who owns things: groups and users."""

from typing import Annotated

import strawberry

from db.queries import documents, entities, relations
from schema.levels.edge import connection, edge, edges, value
from schema.types.connection import Connection
from schema.types.entity import Entity, EntityConnection

GroupConnection = Connection[Annotated["Group", strawberry.lazy("schema.types.owner")]]
UserConnection = Connection[Annotated["User", strawberry.lazy("schema.types.owner")]]


@strawberry.interface(description="A group or a user: what an entity's owner can be.")
class Owner(Entity):
    """What groups and users share."""

    owned_entities: EntityConnection = connection(
        entities.owned_by,
        "What it owns.",
        both_ways=True,
        order_by=True,
        arguments={"tree": "Of a group, also what the groups anywhere below it, and the members of all these, own."},
    )


@strawberry.type(description="A squad, a tribe, a department: people, and other groups below it.")
class Group(Owner):
    """Backstage's kind Group."""

    email: str | None = value(documents.spec_text("profile", "email"), "Its email address.")
    picture: str | None = value(documents.spec_text("profile", "picture"), "The URL of its picture.")
    parent: Annotated["Group", strawberry.lazy("schema.types.owner")] | None = edge(
        relations.only_related("childOf", "Group"), "The group above it."
    )
    ancestors: list[Annotated["Group", strawberry.lazy("schema.types.owner")]] = edges(
        relations.ancestors_of, "The groups above it, the nearest first, at most 10.", order=("distance", "id")
    )
    children: GroupConnection = connection(relations.related("parentOf", "Group"), "The groups right below it.")
    members: UserConnection = connection(
        relations.members_of,
        "The users in it.",
        arguments={"tree": "Also those in the groups anywhere below it."},
    )
    tree_truncated: bool = value(
        relations.is_group_tree_cut,
        "There are more groups below it, or deeper, than `tree: true` and `inTreeOf` look at: 10,000, 10 levels deep.",
    )


@strawberry.type(description="A person.")
class User(Owner):
    """Backstage's kind User."""

    email: str | None = value(documents.spec_text("profile", "email"), "Their email address.")
    picture: str | None = value(documents.spec_text("profile", "picture"), "The URL of their picture.")
    groups: GroupConnection = connection(relations.related("memberOf", "Group"), "The groups that they are in.")
