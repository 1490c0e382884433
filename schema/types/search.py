"""What a search finds."""

from collections.abc import Iterator, Sequence

import strawberry

from db.rules import search
from schema.levels.edge import derived, part
from schema.types.connection import Connection
from schema.types.entity import Entity


def _score(rank: int) -> float:
    return rank / 1000


def _highlights(
    name: str, title: str, tags: list[str], description: str | None, asked: Sequence[str]
) -> Iterator[search.Found]:
    texts = {"name": name, "title": title if title != name else None, "tags": tags, "description": description}
    return search.highlights(texts, asked)


@strawberry.type(description="Where something was found.")
class Highlight:
    """A `db.rules.search.Found`."""

    field: str = strawberry.field(description="In which field of the entity: `name`, `title`, `tags`, `description`.")
    fragment: str = strawberry.field(
        description="What stands there, what was found between `**`. A long text is cut around it, at `…`."
    )

    @classmethod
    def is_type_of(cls, found: search.Found, info: object) -> bool:
        """The rules have no types of the graph."""
        return isinstance(found, search.Found)


@strawberry.type(description="An entity that a search found.")
class SearchHit:
    """A row of the entity table, with its rank."""

    entity: Entity = part("The entity.")
    score: float = derived(
        _score,
        "rank",
        description="How well it fits, from 0 to 1: best by its name, then title, tags, description, likeness.",
    )
    highlights: list[Highlight] = derived(
        _highlights, "name", "title", "tags", "description", "asked", description="Where it was found, field by field."
    )


@strawberry.type(description="A page of what a search found.")
class SearchConnection(Connection[SearchHit]):
    """Relay's Connection; by default it would be called after its items."""
