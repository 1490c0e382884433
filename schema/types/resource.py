"""Resources: what software needs to run."""

from typing import Annotated

import strawberry

from db.queries import entities, relations
from schema.levels.edge import connection, edge
from schema.types.connection import Connection
from schema.types.entity import Entity, EntityConnection
from schema.types.system import System

ResourceConnection = Connection[Annotated["Resource", strawberry.lazy("schema.types.resource")]]


@strawberry.type(description="Something that software needs to run: a database, a topic, a bucket, a cluster.")
class Resource(Entity):
    """Backstage's kind Resource."""

    system: System | None = edge(entities.system_of, "The system that it is part of.")
    dependencies: EntityConnection = connection(
        relations.related_matching("dependsOn"), "What it depends on, directly."
    )
    dependents: EntityConnection = connection(
        relations.related_matching("dependencyOf"), "What depends on it, directly."
    )
