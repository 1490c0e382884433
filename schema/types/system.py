"""Systems and domains: how software is grouped."""

from typing import TYPE_CHECKING, Annotated

import strawberry

from db.queries import entities
from schema.levels.edge import connection, edge, edges, value
from schema.types.connection import Connection
from schema.types.entity import Entity

if TYPE_CHECKING:
    from schema.types.api import API
    from schema.types.component import Component
    from schema.types.resource import Resource

SystemConnection = Connection[Annotated["System", strawberry.lazy("schema.types.system")]]
DomainConnection = Connection[Annotated["Domain", strawberry.lazy("schema.types.system")]]
_Components = Connection[Annotated["Component", strawberry.lazy("schema.types.component")]]
_APIs = Connection[Annotated["API", strawberry.lazy("schema.types.api")]]
_Resources = Connection[Annotated["Resource", strawberry.lazy("schema.types.resource")]]


@strawberry.type(description="Components, APIs and resources that together do one thing.")
class System(Entity):
    """Backstage's kind System."""

    domain: Annotated["Domain", strawberry.lazy("schema.types.system")] | None = edge(
        entities.domain_of, "The domain that it is part of."
    )
    components: _Components = connection(entities.components_in, "The components that are part of it.", order_by=True)
    apis: _APIs = connection(entities.apis_in, "The APIs that are part of it.")
    resources: _Resources = connection(entities.resources_in, "The resources that are part of it.")


@strawberry.type(description="An area of the business: its systems share terms, purpose and owners.")
class Domain(Entity):
    """Backstage's kind Domain."""

    parent: Annotated["Domain", strawberry.lazy("schema.types.system")] | None = edge(
        entities.parent_of, "The domain that it is part of."
    )
    subdomains: DomainConnection = connection(entities.children_of, "The domains that are part of it.")
    ancestors: list[Annotated["Domain", strawberry.lazy("schema.types.system")]] = edges(
        entities.domains_above, "The domains above it, the nearest first, at most 10.", order=("distance", "id")
    )
    systems: SystemConnection = connection(
        entities.systems_in,
        "The systems that are part of it.",
        order_by=True,
        arguments={"tree": "Also those of the domains anywhere below it."},
    )
    tree_truncated: bool = value(
        entities.is_domain_tree_cut,
        "There are more domains below it, or deeper, than `tree: true` looks at: 10,000, 10 levels deep.",
    )
