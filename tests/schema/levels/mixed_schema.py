"""Edges with all that may stand between them: derived fields, parts, and resolvers, over rows and over objects.

The rows are those of the catalog.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Optional

import strawberry
from sqlalchemy import Select, select
from strawberry.schema.config import StrawberryConfig

from db.queries import documents, entities, relations, sources
from db.queries.matching import entity_matches
from db.rules.filters import EntityFilter
from db.tables import entity as entity_table
from schema.context import Context
from schema.levels.edge import connection, derived, edge, edges, needs, part, value
from schema.scalars import JSON, SCALARS, EntityRef
from schema.types.connection import Connection

Info = strawberry.Info[Context, None]
ThingRow = Annotated["Thing", strawberry.lazy("tests.schema.levels.mixed_schema")]
CardRow = Annotated["Card", strawberry.lazy("tests.schema.levels.mixed_schema")]
BoxRow = Annotated["Box", strawberry.lazy("tests.schema.levels.mixed_schema")]
Actor = Annotated[
    Annotated["Group", strawberry.lazy("tests.schema.levels.mixed_schema")]
    | Annotated["User", strawberry.lazy("tests.schema.levels.mixed_schema")],
    strawberry.union("Actor"),
]

KEYS = {"keys": "Only these keys."}
TREE = {"tree": "Also those anywhere below it."}


# Bodies


def neighbour_of(entity: Any, *, filter: EntityFilter | None = None) -> Select[Any]:
    """The first thing, by name, that has the same owner and matches."""
    other = entity_table.alias()
    found = select(other).where(other.c.owner_id == entity.owner_id, entity_matches(other, filter))
    return found.order_by(other.c.sort_name, other.c.id).limit(1)


def actors(*, filter: EntityFilter | None = None) -> Select[Any]:
    """All groups and users that match."""
    actor = entity_table.alias()
    return select(actor).where(actor.c.graph_type.in_(entities.OWNERS), entity_matches(actor, filter))


# Resolvers and functions


def _code(ref: str, kind: str) -> str | None:
    if "worker" in ref:
        raise ValueError(f"{ref} has no code")
    return None if kind == "Resource" else f"{kind[0]}-{len(ref)}"


def _initials(name: str, title: str) -> str | None:
    return None if name == title else name[0] + title[0]


@needs("name", "title")
def _greeting(row: strawberry.Parent[Any]) -> str:
    if row.name == "tribe-2":
        raise ValueError("tribe-2 is not greeted")
    return f"Hello, {row.name}, {row.title}"


@needs("ref")
async def _slow_greeting(row: strawberry.Parent[Any], info: Info, times: int = 1) -> str | None:
    await asyncio.sleep(0)
    return None if "zoe" in row.ref else " ".join([info.field_name, row.ref] * times)


def _summary(row: strawberry.Parent[Any]) -> str:
    return repr((row.id, row.ref, row.tags, row.sort_name, row.owner_id, row.created_at, row.graph_type))


@needs("ref")
async def _loaded(row: strawberry.Parent[Any], info: Info) -> Any:
    return await info.context.loaders.entity_by_ref.load(row.ref)


@needs("ref")
def _company(row: strawberry.Parent[Any], info: Info) -> list[Any]:
    load = info.context.loaders.entity_by_ref.load
    refs = ("group:default/everyone", "component:default/gone", "resource:default/table-1", row.ref)
    return [*map(load, refs), ValueError(f"the company of {row.ref}")]


@needs("ref", "line")
async def _box(row: strawberry.Parent[Any], info: Info) -> Any:
    thing = await info.context.loaders.entity_by_ref.load(row.ref)
    return _Box(row.line, thing, [thing, None, _wrong if row.line > 1 else thing]) if row.line < 100 else None


@dataclass
class _Box:
    """What stands behind a box."""

    number: int
    thing: Any
    things: list[Any]


_wrong = ValueError("a wrong thing")


# Types


@strawberry.type
class Pair:
    key: str
    value: str

    @strawberry.field
    def both(self) -> str:
        return f"{self.key}={self.value}"


@strawberry.interface
class Thing:
    """A row of the entity table."""

    ref: EntityRef
    name: str
    kind: str
    title: str
    description: str | None
    tags: list[str]
    created_at: datetime
    code: str = derived(_code, "ref", "kind", description="It fails for some, and is null for others.")
    initials: str | None = derived(_initials, "name", "title", description="Of its name and title.")
    greeting: str = strawberry.field(resolver=_greeting)
    slow_greeting: str | None = strawberry.field(resolver=_slow_greeting)
    summary: str = strawberry.field(resolver=_summary)
    card: CardRow = part("The same row.")
    itself: Optional[ThingRow] = part("The same row, of the same type.")  # noqa: UP045
    owner: Optional[ThingRow] = edge(entities.owner_of, "Its owner.")  # noqa: UP045
    strict_owner: ThingRow = edge(entities.owner_of, "Its owner; it is an error to have none.")
    actor: Actor | None = edge(entities.owner_of, "Its owner, as one of a union.")
    owner_ref: EntityRef | None = value(entities.owner_ref_of, "Its owner's ref.")
    strict_owner_ref: EntityRef = value(entities.owner_ref_of, "The same; it is an error to have none.")
    neighbour: Optional[ThingRow] = edge(neighbour_of, "One with the same owner.")  # noqa: UP045
    spec: JSON = value(documents.spec_of, "Its spec.")
    labels: list[Pair] = edges(documents.key_values("labels"), "Its labels.", order=("key",), arguments=KEYS)
    annotations: list[Pair] | None = edges(
        documents.key_values("annotations"), "Its annotations.", order=("key",), arguments=KEYS
    )
    owned: Connection[ThingRow] = connection(
        entities.owned_by, "What it owns.", both_ways=True, order_by=True, arguments=TREE
    )
    links: Connection["Link"] | None = connection(
        relations.of_entity,
        "Its relations.",
        order=("type", "target_ref"),
        both_ways=True,
        arguments={"type": "Only these."},
    )
    everything: Connection[ThingRow] = connection(entities.every, "All things, whatever this one is.", order_by=True)
    named: Optional[ThingRow] = edge(entities.by_ref, "The one of this ref, whatever this one is.")  # noqa: UP045
    source: Optional["Source"] = edge(sources.of_entity, "Where it comes from.")
    loaded: Optional[ThingRow] = strawberry.field(resolver=_loaded)  # noqa: UP045
    company: list[Optional[ThingRow]] = strawberry.field(resolver=_company)  # noqa: UP045
    box: BoxRow | None = strawberry.field(resolver=_box)

    @classmethod
    def is_type_of(cls, row: Any, info: Any) -> bool:
        return bool(row.graph_type == cls.__name__)

    @classmethod
    def resolve_type(cls, row: Any, info: Any, abstract_type: Any) -> str:
        name: str = row.graph_type
        return name


@strawberry.interface
class Owner(Thing):
    members: Connection[ThingRow] = connection(relations.related("hasMember"), "Who is in it.", both_ways=True)


@strawberry.type
class Group(Owner):
    parent: Optional[ThingRow] = edge(relations.only_related("childOf", "Group"), "The group above it.")  # noqa: UP045
    ancestors: list["Group"] = edges(relations.ancestors_of, "All groups above it.", order=("distance",))


@strawberry.type
class User(Owner):
    email: str | None = value(documents.spec_text("profile", "email"), "Their address.")


@strawberry.type
class System(Thing):
    parent: Optional["Domain"] = edge(entities.domain_of, "Its domain.")
    parts: Connection["Component"] = connection(entities.components_in, "Its components.", both_ways=True)


@strawberry.type
class Domain(Thing):
    parent: Optional["Domain"] = edge(entities.parent_of, "The domain that it is part of.")
    parts: Connection["System"] = connection(entities.systems_in, "Its systems.", arguments=TREE)


@strawberry.type
class Component(Thing):
    system: Optional["System"] = edge(entities.system_of, "Its system.")
    # In another type it would be a domain; and null is an error here.
    description: str
    parent: Optional["Component"] = edge(entities.parent_of, "The component that it is part of.")
    strict_parent: "Component" = edge(entities.parent_of, "The same; it is an error to have none.")


@strawberry.type
class API(Thing): ...


@strawberry.type
class Resource(Thing): ...


@strawberry.type
class Location(Thing): ...


@strawberry.type
class Template(Thing): ...


@strawberry.type
class CustomEntity(Thing): ...


@strawberry.type
class Source:
    name: str
    count: int = value(entities.count_of_source, "How many things it holds.")


@strawberry.type
class Link:
    type: str
    target_ref: EntityRef
    target: ThingRow = edge(relations.target_of, "The other end; it is an error if there is nothing.")


@strawberry.type
class Card:
    """The same row as a thing's, without a type of its own."""

    title: str
    line: int
    commit: str | None
    words: int = derived(lambda title: len(title.split()), "title", description="How many.")
    greeting: str = strawberry.field(resolver=_greeting)
    owner: Optional[ThingRow] = edge(entities.owner_of, "The same.")  # noqa: UP045
    labels: list[Pair] = edges(documents.key_values("labels"), "The same.", order=("key",), arguments=KEYS)
    owned: Connection[ThingRow] = connection(entities.owned_by, "The same.", order_by=True, arguments=TREE)
    spec: JSON = value(documents.spec_of, "The same.")
    card: Optional[CardRow] = part("The same.")  # noqa: UP045
    thing: Optional[ThingRow] = part("The thing.")  # noqa: UP045
    box: BoxRow | None = strawberry.field(resolver=_box)


@strawberry.type
class Box:
    """An object with rows in it."""

    number: int
    thing: Optional[ThingRow]  # noqa: UP045
    things: list[Optional[ThingRow]]  # noqa: UP045
    all: Connection[ThingRow] = connection(entities.every, "All things.", both_ways=True)
    named: Optional[ThingRow] = edge(entities.by_ref, "The thing of this ref.")  # noqa: UP045

    @strawberry.field
    def first(self) -> ThingRow:
        return self.things[0]  # type: ignore[return-value]


async def _found(info: Info, refs: list[EntityRef]) -> Any:
    return await info.context.loaders.entity_by_ref.load_many(refs)


async def _one_found(info: Info, ref: EntityRef) -> Any:
    return await info.context.loaders.entity_by_ref.load(ref)


async def _one_boxed(info: Info, ref: EntityRef) -> Any:
    thing = await _one_found(info, ref)
    return _Box(0, thing, [thing])


@strawberry.type
class Query:
    thing: Thing | None = edge(entities.by_ref, "The thing of this ref.")
    component: Component | None = edge(entities.typed_by_ref("Component"), "That component.", kind="component")
    things: Connection[Thing] = connection(entities.every, "All things.", both_ways=True, order_by=True)
    groups: Connection[Group] | None = connection(entities.typed("Group"), "All groups.", both_ways=True)
    actors: Connection[Actor] = connection(actors, "All groups and users.", both_ways=True, order_by=True)
    found: list[Thing | None] = strawberry.field(resolver=_found)
    box: Box | None = strawberry.field(resolver=_one_boxed)


@strawberry.type
class Mutation:
    """Nothing is changed; but root fields wait for each other."""

    touch: Thing | None = strawberry.mutation(resolver=_one_found)
    touch_strictly: Thing = strawberry.mutation(resolver=_one_found)
    things: Connection[Thing] = connection(entities.every, "All things.", both_ways=True)
    thing: Thing | None = edge(entities.by_ref, "The thing of this ref.")


def mixed_schema() -> strawberry.Schema:
    """The schema."""
    types = [Group, User, System, Domain, Component, API, Resource, Location, Template, CustomEntity]
    return strawberry.Schema(Query, Mutation, types=types, config=StrawberryConfig(scalar_map=SCALARS))
