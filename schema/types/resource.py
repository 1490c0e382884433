"""Resources: what software needs to run."""

from typing import Annotated

import strawberry

from db.queries import entities, relations
from schema.levels.edge import connection, edge, value
from schema.types.connection import Connection
from schema.types.entity import Entity, EntityConnection
from schema.types.system import System

ResourceConnection = Connection[Annotated["Resource", strawberry.lazy("schema.types.resource")]]


@strawberry.type(description="Something that software needs to run: a database, a topic, a bucket, a cluster.")
class Resource(Entity):
    """Backstage's kind Resource."""

    system: System | None = edge(entities.system_of, "The system that it is part of.")
    dependencies: EntityConnection = connection(
        relations.within("dependsOn"),
        "What it depends on, directly or in so many steps; where a circle leads back, itself too.",
    )
    dependents: EntityConnection = connection(
        relations.within("dependencyOf"),
        "What depends on it, directly or in so many steps; where a circle leads back, itself too.",
    )
    dependencies_truncated: bool = value(
        relations.is_cut("dependsOn"),
        "There is more within so many steps than `dependencies` gives: the nearest 10,000.",
    )
    dependents_truncated: bool = value(
        relations.is_cut("dependencyOf"),
        "There is more within so many steps than `dependents` gives: the nearest 10,000.",
    )
