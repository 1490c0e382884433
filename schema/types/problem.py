"""Problems: what is wrong, as data."""

from datetime import datetime
from typing import Annotated

import strawberry

from db.queries import problems, sources
from db.rules.filters import ProblemArea, Severity
from schema import ids
from schema.levels.edge import derived, edge, value
from schema.scalars import EntityRef
from schema.types.connection import Connection
from schema.types.entity import Entity
from schema.types.node import Node
from schema.types.source import Source

ProblemConnection = Connection[Annotated["Problem", strawberry.lazy("schema.types.problem")]]


def _id(key: str) -> str:
    return ids.encode(ids.Sort.PROBLEM, key)


@strawberry.type(
    description="Something wrong: a reference to nothing, a document that breaks a rule, a ref claimed twice."
)
class Problem(Node):
    """A row of the problem table."""

    id: strawberry.ID = derived(_id, "key", description="Opaque; the same for as long as the problem lasts.")
    area: ProblemArea = strawberry.field(description="What part of the company it is about.")
    rule: str = strawberry.field(description="The rule that is broken: `dangling-reference`, `tag-format`, ...")
    severity: Severity = strawberry.field(description="How bad it is.")
    message: str = strawberry.field(description="What is wrong.")
    hint: str | None = strawberry.field(description="What to do about it.")
    since: datetime = strawberry.field(description="When it was first seen.")
    entity_ref: EntityRef | None = value(problems.entity_ref_of, "The entity that it is about, existing or not.")
    entity: Entity | None = edge(problems.entity_of, "The entity that it is about.")
    source: Source | None = edge(sources.of_problem, "The source that it was found in.")
    location: str | None = strawberry.field(description="The file, relative to the source's root.")
    document: int | None = strawberry.field(description="The position of the document in the file, from 1.")
    line: int | None = strawberry.field(description="The line, from 1.")
    field: str | None = strawberry.field(description="The field of the document: `spec.dependsOn[2]`.")
