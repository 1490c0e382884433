"""Locations: entities that point at other files."""

import strawberry

from db.queries import documents
from schema.levels.edge import value
from schema.types.entity import Entity


@strawberry.type(description="A pointer to other files of the catalog.")
class Location(Entity):
    """Backstage's kind Location."""

    locations: list[str] = value(documents.locations_of, "Where it points: `spec.target` and `spec.targets`.")
