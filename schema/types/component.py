"""Components: the software itself."""

from typing import Annotated

import strawberry

from db.queries import entities, relations
from schema.levels.edge import connection, edge, value
from schema.types.api import APIConnection
from schema.types.connection import Connection
from schema.types.entity import Entity, EntityConnection
from schema.types.system import System

ComponentConnection = Connection[Annotated["Component", strawberry.lazy("schema.types.component")]]


@strawberry.type(description="A piece of software: a service, a website, a library, a pipeline.")
class Component(Entity):
    """Backstage's kind Component."""

    system: System | None = edge(entities.system_of, "The system that it is part of.")
    subcomponent_of: Annotated["Component", strawberry.lazy("schema.types.component")] | None = edge(
        entities.parent_of, "The component that it is part of."
    )
    subcomponents: ComponentConnection = connection(entities.children_of, "The components that are part of it.")
    provided_apis: APIConnection = connection(relations.related("providesApi", "API"), "The APIs that it provides.")
    consumed_apis: APIConnection = connection(relations.related("consumesApi", "API"), "The APIs that it uses.")
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
