"""Anything with a global id."""

from typing import Any

import strawberry


@strawberry.interface(description="Anything with an id of its own, that `node(id:)` finds again.")
class Node:
    """The Relay specification's Node."""

    id: strawberry.ID = strawberry.field(description="Opaque and stable; of an entity it survives re-ingestion.")

    @classmethod
    def is_type_of(cls, row: Any, info: Any) -> bool:
        """Objects are rows, and a field or `resolve_type` has already said of which type."""
        return True

    @classmethod
    def resolve_type(cls, row: Any, info: Any, abstract_type: Any) -> str:
        """Every row that an interface may stand for says its type."""
        name: str = row.graph_type
        return name
