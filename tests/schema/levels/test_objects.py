"""Edges of what is no row: objects that a resolver returns, events of a subscription, payloads of mutations."""

# Strawberry reads the annotations, so none of them is text.

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
import strawberry
from graphql import ExecutionResult, parse, validate
from sqlalchemy import Select, select
from strawberry.schema.config import StrawberryConfig

from db.queries import changes
from db.tables import entity as entities
from schema.context import Context
from schema.levels.checks import check
from schema.levels.edge import connection, derived, edge, needs, value
from schema.scalars import SCALARS, EntityRef
from schema.types.connection import Connection
from tests.callers import ANYBODY
from tests.ingesting import Catalog
from tests.schema.graph import Graph
from tests.schema.levels.comparing import Answer, reference, reference_events
from tests.schema.levels.ours import Ours

pytestmark = pytest.mark.anyio

EntityRow = Annotated["Entity", strawberry.lazy("tests.schema.levels.test_objects")]


def owned(change: Any) -> Select[Any]:
    """What the entity that was changed owns."""
    found = entities.alias()
    return select(found).where(found.c.owner_id == change.entity_id)


@strawberry.type
class Entity:
    name: str
    owned: Connection[EntityRow] = connection(lambda entity: owned(Owner(entity.id)), "What it owns.")


@dataclass(frozen=True)
class Owner:
    """An entity, as `owned` sees a change."""

    entity_id: Any


@needs("said")
def _length(told: strawberry.Parent[Any]) -> int:
    return len(told.said)


@strawberry.interface
class Told:
    """Has the columns of a change that its edges read, as attributes."""

    said: str
    entity: Entity | None = edge(changes.entity_of, "The entity that it is about.")
    strict_entity: Entity = edge(changes.entity_of, "The same; it is an error to have none.")
    entity_ref: EntityRef | None = value(changes.entity_ref_of, "Its ref.")
    owned: Connection[Entity] = connection(owned, "What it owns.")
    upper: str = derived(str.upper, "said", description="In capitals.")

    @classmethod
    def is_type_of(cls, said: Any, info: Any) -> bool:
        return True

    @classmethod
    def resolve_type(cls, said: Any, info: Any, abstract_type: Any) -> str:
        return "Payload" if said.said == f"about {INDEX}" else "Event"

    length: int = strawberry.field(resolver=_length)


@strawberry.type
class Event(Told):
    pass


@strawberry.type
class Payload(Told):
    is_done: bool


@dataclass
class Said:
    """What resolvers return; no attribute is called as an edge."""

    said: str
    entity_id: Any
    is_done: bool = True


class Silent:
    """Has nothing that an edge reads."""

    said = "nothing"


PLAYER, INDEX, NOBODY = 0, 1, -1  # the places of the entities in `ids`; nobody has the last one


def told(info: strawberry.Info[Context, None], place: int) -> Any:
    ids = info.context.ids  # type: ignore[attr-defined]
    return Said(f"about {place}", None if place == NOBODY else ids[place])


@strawberry.type
class Query:
    @strawberry.field(graphql_type=Event)
    def one(self, info: strawberry.Info[Context, None], place: int) -> Any:
        return told(info, place)

    @strawberry.field
    async def several(self, info: strawberry.Info[Context, None], places: list[int]) -> list[Event]:
        return [told(info, place) for place in places]

    @strawberry.field
    def mixed(self, info: strawberry.Info[Context, None], places: list[int]) -> list[Told]:
        return [told(info, place) for place in places]

    @strawberry.field(graphql_type=Event)
    def silent(self) -> Any:
        return Silent()


@strawberry.type
class Mutation:
    @strawberry.mutation(graphql_type=Payload)
    async def tell(self, info: strawberry.Info[Context, None], place: int) -> Any:
        return told(info, place)


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def events(self, info: strawberry.Info[Context, None], places: list[int]) -> AsyncIterator[Event]:
        for place in places:
            yield told(info, place)


@pytest.fixture(scope="module")
def objects() -> strawberry.Schema:
    config = StrawberryConfig(scalar_map=SCALARS)
    schema = strawberry.Schema(
        Query, mutation=Mutation, subscription=Subscription, types=[Event, Payload], config=config
    )
    check(schema)
    return schema


@dataclass
class Asking:
    """The schema of objects over a catalog."""

    schema: strawberry.Schema
    graph: Graph
    ids: list[int]

    async def own(self) -> None:
        """Let the first entity be one that owns others."""
        catalog = Catalog(self.graph.engine)
        (self.ids[PLAYER],) = await catalog.rows("SELECT id FROM entity WHERE ref = 'group:default/players'")

    def context(self) -> Any:
        context = Context(caller=ANYBODY, reads=self.graph.reads, request_id="test")
        context.ids = self.ids  # type: ignore[attr-defined]
        return context

    async def ask(self, text: str) -> tuple[Any, list[Any], int]:
        """Our answer, which is that of graphql-core: the data, where errors are, and how many statements it takes."""
        with self.context() as context:
            expected = await reference(self.schema._schema, self._document(text), None, {}, context)
        with self.context() as context:
            found = await Ours(self.schema, self._document(text), None).run({}, context)
        assert expected.difference(found) is None
        return found.data, [error.path for error in found.errors or ()], context.reader.statements

    async def follow(self, text: str) -> list[ExecutionResult]:
        """Our answer to each event."""
        expected: list[Answer] = []
        with self.context() as context:
            async for one in reference_events(self.schema._schema, self._document(text), None, {}, context):
                expected.append(one)  # noqa: PERF401
        found = []
        with self.context() as context:
            async for result in Ours(self.schema, self._document(text), None).subscribe({}, context):
                found.append(result)  # noqa: PERF401
        assert [one.difference(other) for one, other in zip(expected, found, strict=True)] == [None] * len(found)
        return found

    def _document(self, text: str) -> Any:
        document = parse(text)
        assert validate(self.schema._schema, document) == []
        return document


@pytest.fixture
async def asking(company: Graph, objects: strawberry.Schema) -> Asking:
    rows = await Catalog(company.engine).rows("SELECT ref, id FROM entity")
    ids = dict(rows)
    return Asking(objects, company, [ids["component:default/player"], ids["component:default/index"]])


ABOUT = "{ said upper length entityRef entity { name } }"


async def test_a_resolver_s_object_has_edges(asking: Asking) -> None:
    data, _, statements = await asking.ask(f"{{ one(place: 0) {ABOUT} }}")
    assert data == {
        "one": {
            "said": "about 0",
            "upper": "ABOUT 0",
            "length": 7,
            "entityRef": "component:default/player",
            "entity": {"name": "Player"},
        }
    }
    assert statements == 2


async def test_objects_of_a_list_share_a_statement_and_one_without_a_key_has_nothing(asking: Asking) -> None:
    data, _, statements = await asking.ask("{ several(places: [0, -1, 1, 0]) { entity { name } } }")
    names = [one["entity"] and one["entity"]["name"] for one in data["several"]]
    assert (names, statements) == (["Player", None, "index", "Player"], 1)


async def test_objects_of_different_types_share_a_statement(asking: Asking) -> None:
    text = "{ mixed(places: [0, 1, -1]) { __typename entity { name } ... on Payload { isDone entityRef } } }"
    data, _, statements = await asking.ask(text)
    assert data["mixed"] == [
        {"__typename": "Event", "entity": {"name": "Player"}},
        {"__typename": "Payload", "entity": {"name": "index"}, "isDone": True, "entityRef": "component:default/index"},
        {"__typename": "Event", "entity": None},
    ]
    assert statements == 2


async def test_an_object_whose_entity_is_gone_has_an_error_where_one_has_to_be(asking: Asking) -> None:
    data, errors, _ = await asking.ask("{ several(places: [0, -1]) { strictEntity { name } } }")
    assert data is None
    assert errors == [["several", 1, "strictEntity"]]


async def test_an_object_that_lacks_what_an_edge_reads_has_an_error_there(asking: Asking) -> None:
    data, errors, statements = await asking.ask("{ silent { said entity { name } entityRef } }")
    assert data == {"silent": {"said": "nothing", "entity": None, "entityRef": None}}
    assert errors == [["silent", "entity"], ["silent", "entityRef"]]
    assert statements == 0


async def test_an_object_has_pages_and_they_lead_on(asking: Asking) -> None:
    await asking.own()
    text = (
        "{ one(place: 0) { owned(first: 1) { totalCount nodes { owned { totalCount } } pageInfo { hasNextPage } } } }"
    )
    data, _, statements = await asking.ask(text)
    assert data["one"]["owned"] == {
        "totalCount": 5,
        "nodes": [{"owned": {"totalCount": 0}}],
        "pageInfo": {"hasNextPage": True},
    }
    assert statements == 2


async def test_the_payload_of_a_mutation_has_edges(asking: Asking) -> None:
    data, _, statements = await asking.ask(
        f"mutation {{ a: tell(place: 0) {ABOUT} b: tell(place: 1) {{ entity {{ name }} isDone }} }}"
    )
    assert data["a"]["entity"] == {"name": "Player"}
    assert data["b"] == {"entity": {"name": "index"}, "isDone": True}
    assert statements == 3


async def test_an_event_of_a_subscription_has_edges(asking: Asking) -> None:
    found = await asking.follow(f"subscription {{ events(places: [0, -1, 1]) {ABOUT} }}")
    assert [one.errors for one in found] == [None, None, None]
    about = [(one.data or {})["events"] for one in found]
    assert [(one["entityRef"], one["entity"]) for one in about] == [
        ("component:default/player", {"name": "Player"}),
        (None, None),
        ("component:default/index", {"name": "index"}),
    ]


async def test_the_events_of_a_subscription_have_pages(asking: Asking) -> None:
    await asking.own()
    found = await asking.follow("subscription { events(places: [0, -1]) { owned { totalCount nodes { name } } } }")
    assert [(one.data or {})["events"]["owned"]["totalCount"] for one in found] == [5, 0]


@pytest.mark.parametrize("first", [edge, value])
async def test_a_row_and_a_value_of_one_body_are_kept_apart(company: Graph, first: Callable[..., Any]) -> None:
    """Both come along with one statement, which has their columns under different names."""

    @strawberry.type
    class Thing:
        name: str
        entity: Entity | None = edge(only_parent, "The row.")
        number: int | None = value(only_parent, "Its first column.")

    @strawberry.type
    class Root:
        thing: Thing | None = edge(player, "The player.")

    fields = "entity { name } number" if first is edge else "number entity { name }"
    schema = strawberry.Schema(Root, config=StrawberryConfig(scalar_map=SCALARS))
    data, _, statements = await Asking(schema, company, []).ask(f"{{ thing {{ name {fields} }} }}")
    assert data["thing"]["entity"]["name"] == "playback"
    assert isinstance(data["thing"]["number"], int)
    assert statements == 1


def player() -> Select[Any]:
    found = entities.alias()
    return select(found).where(found.c.ref == "component:default/player")


def only_parent(entity: Any) -> Select[Any]:
    found = entities.alias()
    return select(found).where(found.c.id == entity.system_id)
