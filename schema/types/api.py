"""APIs: what components offer to each other."""

from typing import TYPE_CHECKING, Annotated

import strawberry

from db.queries import documents, entities, relations
from schema.levels.edge import connection, edge, value
from schema.types.connection import Connection
from schema.types.entity import Entity
from schema.types.system import System

if TYPE_CHECKING:
    from schema.types.component import Component

APIConnection = Connection[Annotated["API", strawberry.lazy("schema.types.api")]]
_Components = Connection[Annotated["Component", strawberry.lazy("schema.types.component")]]


@strawberry.type(description="An interface that components provide and consume.")
class API(Entity):
    """Backstage's kind API."""

    definition: str | None = value(
        documents.spec_text("definition"), "Its definition, in the format that its type says."
    )
    system: System | None = edge(entities.system_of, "The system that it is part of.")
    providers: _Components = connection(
        relations.related("apiProvidedBy", "Component"), "The components that provide it."
    )
    consumers: _Components = connection(relations.related("apiConsumedBy", "Component"), "The components that use it.")
