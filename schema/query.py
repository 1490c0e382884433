"""Where queries start."""

import asyncio
from typing import Annotated, Any

import strawberry

from db.queries import audit as audit_queries
from db.queries import changes as change_queries
from db.queries import entities as entity_queries
from db.queries import paths as path_queries
from db.queries import problems as problem_queries
from db.queries import search as search_queries
from db.queries import sources as source_queries
from db.queries import tokens as token_queries
from db.queries.keyset import Key
from db.rules.filters import OrderDirection
from db.rules.refs import Ref
from db.rules.scopes import Scope
from schema import ids as node_ids
from schema.access import argument_requires, each_requires, requires
from schema.caller import ANONYMOUS
from schema.calls import call
from schema.context import Context
from schema.inputs import bounded, value_of
from schema.levels.alone import answer
from schema.levels.edge import connection, edge
from schema.scalars import EntityRef
from schema.types.api import API, APIConnection
from schema.types.audit import AuditEntryConnection
from schema.types.component import Component, ComponentConnection
from schema.types.entity import ChangeConnection, Entity, EntityConnection, ProblemConnection, Relation
from schema.types.facet import Facet, facets_of_entities
from schema.types.node import Node
from schema.types.owner import Group, GroupConnection, User, UserConnection
from schema.types.resource import Resource, ResourceConnection
from schema.types.search import SearchConnection
from schema.types.source import Source, SourceConnection
from schema.types.system import Domain, DomainConnection, System, SystemConnection
from schema.types.template import Template, TemplateConnection
from schema.types.token import ApiTokenConnection
from schema.types.viewer import Viewer, Viewing

Info = strawberry.Info[Context, None]


def _one(graph_type: str, description: str) -> Any:
    return edge(entity_queries.typed_by_ref(graph_type), description, kind=graph_type.lower())


def _many(graph_type: str, description: str) -> Any:
    return connection(entity_queries.typed(graph_type), description, both_ways=True, order_by=True)


async def _node(info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Its id.")]) -> Any:
    sort, key = node_ids.decode(id)
    return await info.context.loaders.node[sort].load(key)


async def _nodes(
    info: Info, ids: Annotated[list[strawberry.ID], strawberry.argument(description="Their ids, at most 1,000.")]
) -> Any:
    wanted = [node_ids.decode(node_id) for node_id in bounded(ids, name="ids")]
    return await asyncio.gather(*(info.context.loaders.node[sort].load(key) for sort, key in wanted))


async def _entities_by_ref(
    info: Info,
    refs: Annotated[list[EntityRef], strawberry.argument(description="Their refs with kinds, at most 1,000.")],
) -> Any:
    wanted = value_of(tuple[Ref, ...], refs, name="refs")
    return await info.context.loaders.entity_by_ref.load_many(str(ref) for ref in wanted)


async def _path(context: Context, *, from_: Ref, to: Ref, max_depth: int = 6) -> list[Any] | None:
    if from_ == to:
        return []
    return await answer(path_queries.shortest, context.reader, start=from_, end=to, max_depth=max_depth) or None


async def _viewer(context: Context) -> Viewing | None:
    caller = context.caller
    if caller.subject == ANONYMOUS and not caller.is_person:
        return None
    return Viewing(caller.subject, sorted(caller.scopes), await context.person())


def _live_cursor(info: Info) -> str:
    return info.context.place.cursor


@each_requires(Scope.CATALOG_READ, but={"viewer"})
@strawberry.type(description="Everything that can be asked.")
class Query:
    """The root of every query."""

    node: Node | None = strawberry.field(resolver=_node, description="Anything by its id; null where there is none.")
    nodes: list[Node | None] = strawberry.field(
        resolver=_nodes, description="Many things by their ids, in that order; null where there is none."
    )
    viewer: Viewer | None = call(_viewer, "Who is asking; null where they are not known.")
    entity: Entity | None = edge(
        entity_queries.by_ref, "The entity of this ref, of any kind: `component:default/dice-roller`."
    )

    entities_by_ref: list[Entity | None] = strawberry.field(
        resolver=_entities_by_ref, description="Many entities by their refs, in that order; null where there is none."
    )
    entities: EntityConnection = connection(
        entity_queries.every, "Entities of all kinds.", both_ways=True, order_by=True
    )
    component: Component | None = _one("Component", "The component of this ref; `component:` may be left out.")
    components: ComponentConnection = _many("Component", "Components.")
    api: API | None = _one("API", "The API of this ref; `api:` may be left out.")
    apis: APIConnection = _many("API", "APIs.")
    resource: Resource | None = _one("Resource", "The resource of this ref; `resource:` may be left out.")
    resources: ResourceConnection = _many("Resource", "Resources.")
    system: System | None = _one("System", "The system of this ref; `system:` may be left out.")
    systems: SystemConnection = _many("System", "Systems.")
    domain: Domain | None = _one("Domain", "The domain of this ref; `domain:` may be left out.")
    domains: DomainConnection = _many("Domain", "Domains.")
    group: Group | None = _one("Group", "The group of this ref; `group:` may be left out.")
    groups: GroupConnection = _many("Group", "Groups.")
    user: User | None = _one("User", "The user of this ref; `user:` may be left out.")
    users: UserConnection = _many("User", "Users.")
    template: Template | None = _one("Template", "The template of this ref; `template:` may be left out.")
    templates: TemplateConnection = _many("Template", "Templates.")
    search: SearchConnection = connection(
        search_queries.hits,
        "What mentions every word of a text in its name, title, tags or description, the best first.",
        order=(Key("rank", OrderDirection.DESC), "sort_name", "id"),
        arguments={"text": "At most 10 words and 256 characters. A word that is found nowhere may be misspelt."},
    )
    facets: list[Facet] = facets_of_entities(
        "How many entities there are of each kind, owner, tag, ..., of all that match."
    )
    path: list[Relation] | None = call(
        _path,
        "A shortest way over relations of any type, as relations in order; null where there is none so short.",
        arguments={
            "from_": "Where it starts, with its kind.",
            "to": "Where it ends, with its kind. Where that is the start, the way is empty.",
            "max_depth": "How many relations it may have: 1 to 10. Around either end 10,000 entities are looked at.",
        },
    )
    live_cursor: str = strawberry.field(
        resolver=_live_cursor,
        description="A place in the log of changes not later than any other field of this answer: hand it to `since`.",
    )
    changes: ChangeConnection = argument_requires(
        Scope.ADMIN,  # who changed a thing is for all; what one person did all day is not
        "by",
        connection(
            change_queries.every,
            "What was written, the latest first, as far back as the log reaches.",
            order=change_queries.LATEST,
            arguments={
                "filter": "Only of entities that match, before or after.",
                "by": "Only by this writer: `source:<name>`, or the caller of a mutation.",
            },
        ),
    )
    problems: ProblemConnection = connection(
        problem_queries.every, "Everything that is wrong, by file and line.", order=("location", "line", "id")
    )
    source: Source | None = edge(source_queries.by_name, "The source of this name.")
    sources: SourceConnection = connection(
        source_queries.every, "Where entities come from, by name.", order=("name", "id")
    )
    tokens: ApiTokenConnection = requires(
        Scope.ADMIN,
        connection(
            token_queries.every, "API tokens by name, also those that are not good any more.", order=("name", "id")
        ),
    )
    audit_entries: AuditEntryConnection = requires(
        Scope.ADMIN,
        connection(
            audit_queries.every,
            "What was written that is no entity, the latest first. Writes of entities are `changes`.",
            order=audit_queries.LATEST,
            arguments={"by": "Only by this writer: `token:<name>`, `oidc:<claim>` or `command:<login name>`."},
        ),
    )
