"""Entities: what all kinds share, and the kinds that have no type of their own."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import strawberry

from db.queries import changes, documents, entities, problems, relations, sources
from db.rules.mermaid import flowchart
from schema import ids
from schema.context import Context
from schema.errors import gone_meanwhile
from schema.inputs import value_of
from schema.levels.edge import connection, derived, edge, edges, needs, part, value
from schema.scalars import JSON, EntityRef
from schema.types.connection import Connection
from schema.types.node import Node

if TYPE_CHECKING:
    from schema.types.change import Change
    from schema.types.owner import Owner
    from schema.types.problem import Problem
    from schema.types.source import Source

OwnerRow = Annotated["Owner", strawberry.lazy("schema.types.owner")]
SourceRow = Annotated["Source", strawberry.lazy("schema.types.source")]
ChangeConnection = Connection[Annotated["Change", strawberry.lazy("schema.types.change")]]
ProblemConnection = Connection[Annotated["Problem", strawberry.lazy("schema.types.problem")]]
RelationConnection = Connection[Annotated["Relation", strawberry.lazy("schema.types.entity")]]
EntityConnection = Connection[Annotated["Entity", strawberry.lazy("schema.types.entity")]]


@strawberry.type(description="A key and its value.")
class KeyValue:
    """A label or an annotation."""

    key: str = strawberry.field(description="The key, with its prefix: `backstage.io/kubernetes-id`.")
    value: str = strawberry.field(description="The value.")


@strawberry.type(description="A link that the entity declares.")
class Link:
    """An item of `metadata.links`."""

    url: str = strawberry.field(description="Where it leads.")
    title: str | None = strawberry.field(description="What to call it.")
    icon: str | None = strawberry.field(description="The name of an icon.")
    type: str | None = strawberry.field(description="What sort of link it is.")


@strawberry.type(description="Where an entity was declared.")
class EntityOrigin:
    """The place of a document; its columns are the entity's."""

    source: SourceRow = edge(sources.of_entity, "The source that holds it.")
    location: str = strawberry.field(
        description="The file, relative to the source's root; a URL; or, of what comes from no file, the ref."
    )
    line: int | None = strawberry.field(description="Where its document starts in the file, from 1.")
    commit: str | None = strawberry.field(description="The commit that was read, where the source has commits.")


def _id(ref: str) -> str:
    return ids.encode(ids.Sort.ENTITY, ref)


@needs("ref")
async def _mermaid(
    row: strawberry.Parent[Any],
    info: strawberry.Info[Context, None],
    depth: Annotated[int, strawberry.argument(description="How many relations to follow: 1 to 10.")] = 1,
) -> str:
    key = f"{value_of(int, depth, name='depth')} {row.ref}"
    around = await info.context.loaders.neighbourhood_by_key.load(key)
    if around is None:
        raise gone_meanwhile()
    return flowchart(around.nodes, around.links)


@strawberry.interface(description="Anything in the catalog: what all kinds share.")
class Entity(Node):
    """A row of the entity table."""

    id: strawberry.ID = derived(
        _id, "ref", description="Opaque; it encodes the ref, never the type, and survives re-ingestion."
    )
    ref: EntityRef = strawberry.field(description="Its name for people and scripts: `kind:namespace/name`, lower case.")
    kind: str = strawberry.field(description="Its kind, as declared: `Component`.")
    namespace: str = strawberry.field(description="Its namespace, `default` where none is declared.")
    name: str = strawberry.field(description="Its name, as declared.")
    title: str = strawberry.field(description="Its title, or else its name.")
    description: str | None = strawberry.field(description="What it is, in its owner's words.")
    type: str | None = strawberry.field(description="`spec.type`: `service`, `openapi`, `squad`, ...")
    lifecycle: str | None = strawberry.field(
        description="`spec.lifecycle`: `production`, `deprecated`, ...; of a long one the first 255 characters."
    )
    tags: list[str] = strawberry.field(description="Its tags, as declared.")
    labels: list[KeyValue] = edges(
        documents.key_values("labels"), "Its labels, by key.", order=("key",), arguments={"keys": "Only these keys."}
    )
    annotations: list[KeyValue] = edges(
        documents.key_values("annotations"),
        "Its annotations, by key.",
        order=("key",),
        arguments={"keys": "Only these keys."},
    )
    links: list[Link] = edges(documents.links_of, "Its links, as declared.", order=("position",))
    spec: JSON = value(documents.spec_of, "The whole spec, as declared.")
    metadata: JSON = value(documents.metadata_of, "The whole metadata, as declared.")
    etag: str = strawberry.field(description="Changes whenever metadata or spec does.")
    created_at: datetime = strawberry.field(description="When it first came into the catalog.")
    updated_at: datetime = strawberry.field(description="When its metadata or spec last changed.")
    origin: EntityOrigin | None = part("Where it was declared.")
    owner_ref: EntityRef | None = value(entities.owner_ref_of, "Its owner as declared, also when nobody answers to it.")
    owner: OwnerRow | None = edge(entities.owner_of, "The group or user that owns it.")
    relations: RelationConnection = connection(
        relations.of_entity,
        "Its relations in both directions, by type and target. With a filter: those whose target exists and matches.",
        order=("type", "target_ref"),
        both_ways=True,
        arguments={"type": "Only these types: `ownedBy`, `dependsOn`, `partOf`, ..."},
    )
    problems: ProblemConnection = connection(
        problems.of_entity,
        "What is wrong with it.",
        order=("location", "line", "id"),
        arguments={"owned": "Also what is wrong with what it owns."},
    )
    history: ChangeConnection = connection(
        changes.of_entity, "Every write of it, the latest first, as far back as the log reaches.", order=changes.LATEST
    )
    mermaid: str = strawberry.field(
        resolver=_mermaid,
        description=(
            "It and what is at most so many relations away, with the relations between all of these, as the text of a "
            "Mermaid flowchart. The nearest 200 are drawn; a comment says where there are more."
        ),
    )


@strawberry.type(description="One relation, seen from one of its ends.")
class Relation:
    """A row of the relation table, with the refs of both ends."""

    type: str = strawberry.field(description="What it means: `ownedBy`, `dependsOn`, `partOf`, ...")
    source_ref: EntityRef = strawberry.field(description="The end that it is seen from.")
    target_ref: EntityRef = strawberry.field(description="The other end, whether it exists or not.")
    source: Entity | None = edge(relations.source_of, "The entity that it is seen from.")
    target: Entity | None = edge(
        relations.target_of, "The entity at the other end; null where none answers to that ref."
    )


@strawberry.type(
    description="An entity of any other kind, served whole: see `spec`. A kind may get a type of its own later."
)
class CustomEntity(Entity):
    """A kind that the schema does not know, or a known kind under another apiVersion."""
