"""Who may ask what: no field without a rule, nothing run for a caller who may not, and owners write what is theirs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import strawberry
from graphql import GraphQLInterfaceType, GraphQLObjectType, get_named_type

from db.rules.refs import Ref
from db.rules.scopes import EVERYTHING, Scope, scopes_of
from schema.access import Rule, argument_requires, rules_of
from schema.caller import Caller
from schema.calls import call
from schema.context import Context
from schema.errors import Forbidden
from tests.ingesting import Catalog, Tree, component
from tests.schema.graph import Graph
from tests.schema.test_registering import REF, REGISTER, UNREGISTER, UPDATE, player

pytestmark = pytest.mark.anyio

READER = frozenset({Scope.CATALOG_READ})

MUTATIONS = {
    "entityRegister": Rule(Scope.CATALOG_WRITE),
    "entityUpdate": Rule(Scope.CATALOG_WRITE, or_owner=True),
    "entityUnregister": Rule(Scope.CATALOG_WRITE, or_owner=True),
    "sourceRun": Rule(Scope.CATALOG_WRITE),
    "sourceRegister": Rule(Scope.ADMIN),
    "sourceUnregister": Rule(Scope.ADMIN),
    "tokenCreate": Rule(Scope.ADMIN),
    "tokenRevoke": Rule(Scope.ADMIN),
}
ADMINISTRATION = {"tokens", "auditEntries"}  # fields of the query that only admins may ask


def asking(graph: Graph, *scopes: Scope, **who: Any) -> Graph:
    """The graph, as a caller with these scopes sees it."""
    return replace(graph, caller=Caller("oidc:ann@example.com", frozenset(scopes), acts_as_owner=True, **who))


def people(tree: Tree, *, owner: str = "squad") -> None:
    """Ann is a member of a squad, and Bob of the tribe above it."""
    group = (
        "apiVersion: backstage.io/v1alpha1\nkind: Group\nmetadata: {{name: {}}}\nspec: {{type: {}, children: []{}}}\n"
    )
    user = (
        "apiVersion: backstage.io/v1alpha1\nkind: User\nmetadata: {{name: {0}}}\n"
        "spec: {{memberOf: [{1}], profile: {{email: {0}@Example.com}}}}\n"
    )
    groups = group.format("tribe", "tribe", ""), group.format("squad", "squad", ", parent: tribe")
    tree.write("people.yaml", *groups, user.format("ann", "squad"), user.format("bob", "tribe"))
    tree.write("played.yaml", component("played", owner=owner))


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


@pytest.fixture
def catalog(graph: Graph) -> Catalog:
    return Catalog(graph.engine)


def test_a_scope_that_does_not_exist_is_named() -> None:
    assert scopes_of(["catalog:read", "kpis:write"]) == {Scope.CATALOG_READ, Scope.KPIS_WRITE}
    assert scopes_of(["admin"]) == EVERYTHING
    with pytest.raises(ValueError, match=r"^'kpis' is no scope; there are catalog:read, .*, admin$"):
        scopes_of(["kpis"])


def test_every_mutation_has_the_rule_that_stands_here(schema: strawberry.Schema) -> None:
    rules = rules_of(schema)
    mutations = schema._schema.mutation_type
    assert mutations
    assert {name: rules.get(f"Mutation.{name}") for name in mutations.fields} == MUTATIONS


def test_nothing_can_be_read_or_followed_without_a_scope_but_who_one_is(schema: strawberry.Schema) -> None:
    rules, graph = rules_of(schema), schema._schema
    assert graph.query_type
    assert graph.subscription_type
    reading = {name: rules.get(f"Query.{name}") for name in graph.query_type.fields}
    assert reading.pop("viewer") is None
    assert {name for name, rule in reading.items() if rule == Rule(Scope.ADMIN)} == ADMINISTRATION
    assert set(reading.values()) <= {Rule(Scope.CATALOG_READ), Rule(Scope.ADMIN)}
    followed = {rules.get(f"Subscription.{name}") for name in graph.subscription_type.fields}
    assert followed == {Rule(Scope.CATALOG_READ)}


def test_what_a_mutation_answers_is_no_way_around_reading(schema: strawberry.Schema) -> None:
    rules = rules_of(schema)
    opening = {
        f"{name}.{field}"
        for name, type_ in schema._schema.type_map.items()
        if name.endswith("Payload") and isinstance(type_, GraphQLObjectType)
        for field, its in type_.fields.items()
        if "Node" in [one.name for one in getattr(get_named_type(its.type), "interfaces", ())]
    }
    assert opening == {"EntityPayload.entity", "SourcePayload.source"}
    assert {rules.get(place) for place in opening} == {Rule(Scope.CATALOG_READ)}


async def test_who_may_only_write_does_not_read_what_was_written(graph: Graph) -> None:
    writer = asking(graph, Scope.CATALOG_WRITE)
    with pytest.raises(Forbidden, match="`entity` needs the scope catalog:read"):
        await writer.ask(REGISTER, input={"entity": player()})
    query = "mutation M($input: EntityRegisterInput!) { entityRegister(input: $input) { entityRef } }"
    assert await writer.ask(query, input={"entity": player()}) == {"entityRegister": {"entityRef": REF}}


def test_an_argument_goes_by_the_name_that_clients_give_it() -> None:
    async def found(_context: Context, *, written_by: str | None = None) -> int | None:
        raise NotImplementedError

    @strawberry.type
    class Query:
        many: int | None = argument_requires(
            Scope.ADMIN, "written_by", call(found, "Many.", arguments={"written_by": "By whom."})
        )

    assert rules_of(strawberry.Schema(Query)) == {"Query.many(writtenBy:)": Rule(Scope.ADMIN)}


def test_a_rule_of_an_interface_is_that_of_all_its_types(schema: strawberry.Schema) -> None:
    """An operation is judged by the types that it names, so another name for a field must not lead around its rule."""
    rules, graph = rules_of(schema), schema._schema
    for interface in (type_ for type_ in graph.type_map.values() if isinstance(type_, GraphQLInterfaceType)):
        for type_ in graph.get_implementations(interface).objects:
            for field in interface.fields:
                assert rules.get(f"{type_.name}.{field}") == rules.get(f"{interface.name}.{field}"), f"{type_}.{field}"


@pytest.mark.parametrize(
    ("query", "variables", "place"),
    [
        ('{ component(ref: "a") { name } }', {}, (1, 3)),
        ("{ viewer { subject groups { totalCount } } }", {}, (1, 20)),
        ("{ ...F } fragment F on Query { systems { totalCount } }", {}, (1, 32)),
        ("query($b: Boolean!) { systems @include(if: $b) { totalCount } }", {"b": True}, (1, 23)),
        ("query($b: Boolean! = false) { systems @skip(if: $b) { totalCount } }", {}, (1, 31)),
    ],
)
async def test_what_a_caller_may_not_ask_is_not_run(
    graph: Graph, query: str, variables: dict[str, Any], place: tuple[int, int]
) -> None:
    with pytest.raises(Forbidden) as refused:
        await asking(graph).ask(query, **variables)
    answer = refused.value.formatted
    assert answer["message"].endswith("needs the scope catalog:read")
    assert answer["extensions"] == {"code": "FORBIDDEN", "scope": "catalog:read"}
    assert [(one["line"], one["column"]) for one in answer["locations"]] == [place]


async def test_what_somebody_did_is_for_administrators(graph: Graph) -> None:
    query = '{ changes(by: "token:ci") { nodes { by } } }'
    with pytest.raises(Forbidden) as refused:
        await asking(graph, Scope.CATALOG_READ, Scope.CATALOG_WRITE).ask(query)
    assert refused.value.message == "`by` needs the scope admin"
    assert await asking(graph, *EVERYTHING).ask(query) == {"changes": {"nodes": []}}
    assert await asking(graph, *READER).ask("{ changes { nodes { by } } }") == {"changes": {"nodes": []}}


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("{ __typename }", {}),
        ("{ __schema { queryType { name } } }", {}),
        ("{ viewer { subject scopes } }", {}),
        ("query($b: Boolean!) { viewer { subject } systems @include(if: $b) { totalCount } }", {"b": False}),
        ("{ viewer { subject } ...F @skip(if: true) } fragment F on Query { systems { totalCount } }", {}),
    ],
)
async def test_what_is_left_out_needs_no_scope(graph: Graph, query: str, variables: dict[str, Any]) -> None:
    await asking(graph).ask(query, statements=0, **variables)


async def test_each_mutation_is_refused_without_its_scope_and_before_it_does_anything(graph: Graph) -> None:
    inputs = {
        REGISTER: {"entity": player()},
        "mutation($input: SourceRunInput!) { sourceRun(input: $input) { source { name } } }": {"name": "a"},
        "mutation($input: SourceRegisterInput!) { sourceRegister(input: $input) { source { name } } }": {"url": "a"},
        "mutation($input: SourceUnregisterInput!) { sourceUnregister(input: $input) { source { name } } }": {
            "name": "a"
        },
    }
    reader = asking(graph, *READER, user=Ref.parse("user:default/ann"))
    for query, given in inputs.items():
        with pytest.raises(Forbidden):
            await reader.ask(query, input=given)
    assert await Catalog(graph.engine).refs() == []


async def test_an_owner_updates_and_removes_what_their_squad_owns_and_nobody_elses(
    graph: Graph, catalog: Catalog, tree: Tree
) -> None:
    people(tree)
    await catalog.ingest(tree.root)
    await graph.ask(REGISTER, input={"entity": player()})
    etag = (await graph.ask('{ entity(ref: "component:player") { etag } }'))["entity"]["etag"]
    changed = {"entity": player(lifecycle="deprecated"), "expectedEtag": etag}

    strangers = [
        asking(graph, *READER),
        asking(graph, *READER, user=Ref.parse("user:default/bob")),  # of the tribe above
        asking(graph, *READER, user=Ref.parse("user:default/nobody")),
        asking(graph, *READER, user=Ref.parse("group:default/squad")),
        asking(graph, *READER, email="bob@example.com"),
    ]
    for stranger in strangers:
        for query, given in ((UPDATE, changed), (UNREGISTER, {"ref": REF, "expectedEtag": etag})):
            assert await refusal(stranger, query, given) == "FORBIDDEN"
    token = replace(graph, caller=Caller("token:anns", READER, user=Ref.parse("user:default/ann")))
    assert await refusal(token, UPDATE, changed) == "FORBIDDEN"

    ann = asking(graph, *READER, email="ann@example.com")
    updated = (await ann.ask(UPDATE, input=changed))["entityUpdate"]
    assert updated["userErrors"] == []
    gone = {"ref": REF, "expectedEtag": updated["entity"]["etag"]}
    assert (await ann.ask(UNREGISTER, input=gone))["entityUnregister"]["userErrors"] == []
    assert await catalog.rows("SELECT DISTINCT by FROM change WHERE seq > 6") == ["oidc:ann@example.com"]


async def test_what_is_not_there_is_nobodys(graph: Graph, catalog: Catalog, tree: Tree) -> None:
    people(tree)
    await catalog.ingest(tree.root)
    ann = asking(graph, *READER, user=Ref.parse("user:default/ann"))
    assert await refusal(ann, UNREGISTER, {"ref": REF, "expectedEtag": "x"}) == "FORBIDDEN"


async def test_a_source_that_is_not_trusted_makes_nobody_an_owner(graph: Graph, catalog: Catalog, tree: Tree) -> None:
    people(tree)
    await catalog.ingest(tree.root, trusted=False)
    await graph.ask(REGISTER, input={"entity": player()})
    ann = asking(graph, *READER, user=Ref.parse("user:default/ann"))
    assert await refusal(ann, UNREGISTER, {"ref": REF, "expectedEtag": "x"}) == "FORBIDDEN"
    assert (await ann.ask("{ viewer { user { name } } }"))["viewer"]["user"] is None


async def refusal(graph: Graph, query: str, given: dict[str, Any]) -> str:
    try:
        (payload,) = (await graph.ask(query, input=given)).values()
    except Forbidden as refused:  # before anything was run
        return refused.code
    (error,) = payload["userErrors"]
    return str(error["code"])


VIEWER = """{ viewer {
  subject scopes user { name }
  groups { nodes { name } }
  ownedEntities(tree: false) { totalCount nodes { name } }
  all: ownedEntities { nodes { name } }
  problems { nodes { rule entityRef } }
} }"""


async def test_a_person_sees_what_is_theirs(graph: Graph, catalog: Catalog, tree: Tree) -> None:
    people(tree)
    tree.write("more.yaml", component("bobs", owner="user:bob"), component("tribal", owner="tribe", system="gone"))
    await catalog.ingest(tree.root)
    found = (await asking(graph, *READER, email="bob@example.com").ask(VIEWER, statements=6))["viewer"]
    assert found["subject"] == "oidc:ann@example.com"
    assert found["scopes"] == ["catalog:read"]
    assert found["user"] == {"name": "bob"}
    assert found["groups"]["nodes"] == [{"name": "tribe"}]
    assert found["ownedEntities"] == {"totalCount": 2, "nodes": [{"name": "bobs"}, {"name": "tribal"}]}
    assert [one["name"] for one in found["all"]["nodes"]] == ["bobs", "played", "tribal"]
    assert found["problems"]["nodes"] == [{"rule": "dangling-reference", "entityRef": "component:default/tribal"}]


async def test_a_program_and_somebody_who_is_not_in_the_catalog_own_nothing(graph: Graph) -> None:
    empty: dict[str, Any] = {"nodes": []}
    nothing = {"user": None, "groups": empty, "ownedEntities": {"totalCount": 0, "nodes": []}, "all": empty}
    program = replace(graph, caller=Caller("token:ci", READER))
    stranger = asking(graph, *READER, email="zoe@example.com")
    for one in (program, stranger):
        found = (await one.ask(VIEWER))["viewer"]
        assert {name: found[name] for name in nothing} == nothing
        assert found["problems"] == empty


async def test_an_address_that_two_people_have_is_nobodys(graph: Graph, catalog: Catalog, tree: Tree) -> None:
    user = "apiVersion: backstage.io/v1alpha1\nkind: User\nmetadata: {{name: {}}}\nspec: {{profile: {{email: us@example.com}}}}\n"
    tree.write("people.yaml", user.format("ann"), user.format("bob"))
    await catalog.ingest(tree.root)
    us = asking(graph, *READER, email="us@example.com")
    assert (await us.ask("{ viewer { user { name } } }"))["viewer"] == {"user": None}


async def test_whoever_is_not_known_views_nothing(graph: Graph) -> None:
    assert await graph.ask("{ viewer { subject } }", statements=0) == {"viewer": None}
