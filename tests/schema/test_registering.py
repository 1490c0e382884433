"""Entities that mutations write: with the rules of files, beside files, and never over what a file declares."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.ingesting import Catalog, Tree, component
from tests.schema.graph import Graph

pytestmark = pytest.mark.anyio

_PAYLOAD = (
    "{ entityRef entity { name lifecycle etag origin { source { name } location } } userErrors { code field message } }"
)
REGISTER = f"mutation M($input: EntityRegisterInput!) {{ entityRegister(input: $input) {_PAYLOAD} }}"
UPDATE = f"mutation M($input: EntityUpdateInput!) {{ entityUpdate(input: $input) {_PAYLOAD} }}"
UNREGISTER = f"mutation M($input: EntityUnregisterInput!) {{ entityUnregister(input: $input) {_PAYLOAD} }}"

REF = "component:default/player"


def player(**spec: Any) -> dict[str, Any]:
    fields = {"type": "service", "lifecycle": "production", "owner": "group:squad", **spec}
    return {"apiVersion": "backstage.io/v1alpha1", "kind": "Component", "metadata": {"name": "player"}, "spec": fields}


async def register(graph: Graph, **input: Any) -> Any:
    return (await graph.ask(REGISTER, input=input))["entityRegister"]


async def update(graph: Graph, **input: Any) -> Any:
    return (await graph.ask(UPDATE, input=input))["entityUpdate"]


async def unregister(graph: Graph, **input: Any) -> Any:
    return (await graph.ask(UNREGISTER, input=input))["entityUnregister"]


def codes(payload: Any) -> list[str]:
    return [error["code"] for error in payload["userErrors"]]


async def test_an_entity_is_registered_changed_and_removed_and_the_log_says_so(graph: Graph) -> None:
    written = await register(graph, entity=player())
    assert written["entityRef"] == REF
    assert written["userErrors"] == []
    assert written["entity"]["origin"] == {"source": {"name": "entityRegister"}, "location": REF}
    changed = await update(graph, entity=player(lifecycle="deprecated"), expectedEtag=written["entity"]["etag"])
    assert changed["entity"]["lifecycle"] == "deprecated"
    gone = await unregister(graph, ref=REF, expectedEtag=changed["entity"]["etag"])
    assert (gone["entityRef"], gone["entity"], gone["userErrors"]) == (REF, None, [])
    data = await graph.ask("{ changes { nodes { changeKind by fields { path } } } }")
    told = [(change["changeKind"], change["by"]) for change in data["changes"]["nodes"]]
    assert told == [("DELETED", "anonymous"), ("UPDATED", "anonymous"), ("CREATED", "anonymous")]
    assert data["changes"]["nodes"][1]["fields"] == [{"path": "/spec/lifecycle"}]


async def test_its_relations_and_problems_are_those_of_any_entity(graph: Graph) -> None:
    await register(graph, entity=player(dependsOn=["component:speaker"]))
    query = '{ entity(ref: "component:player") { problems { nodes { rule field } } relations { nodes { type targetRef } } } }'
    found = (await graph.ask(query))["entity"]
    assert found["problems"]["nodes"] == [
        {"rule": "dangling-reference", "field": "spec.dependsOn[0]"},
        {"rule": "dangling-reference", "field": "spec.owner"},
    ]
    assert found["relations"]["nodes"] == [
        {"type": "dependsOn", "targetRef": "component:default/speaker"},
        {"type": "ownedBy", "targetRef": "group:default/squad"},
    ]


async def test_the_same_again_is_as_if_written_once_and_another_is_a_conflict(graph: Graph) -> None:
    await register(graph, entity=player())
    assert (await register(graph, entity=player()))["userErrors"] == []
    refused = await register(graph, entity=player(lifecycle="deprecated"))
    assert codes(refused) == ["CONFLICT"]
    assert refused["userErrors"][0]["message"] == f"{REF} is registered already: entityUpdate changes it"
    assert (await graph.ask("{ changes { totalCount } }"))["changes"]["totalCount"] == 1


async def test_what_a_file_declares_is_changed_in_the_file(graph: Graph, tmp_path: Path) -> None:
    Tree(tmp_path).write("teams/player.yaml", component("player"))
    await Catalog(graph.engine).ingest(tmp_path, name="files")
    etag = (await graph.ask('{ entity(ref: "component:player") { etag } }'))["entity"]["etag"]
    message = f"{REF} is declared in teams/player.yaml:1 of the source files, and is changed there"
    for refused in (
        await register(graph, entity=player()),
        await update(graph, entity=player(), expectedEtag=etag),
        await unregister(graph, ref=REF, expectedEtag=etag),
    ):
        assert refused["userErrors"] == [{"code": "CONFLICT", "field": None, "message": message}]


async def test_a_file_that_declares_what_was_registered_is_told_and_does_not_take_it(
    graph: Graph, tmp_path: Path
) -> None:
    await register(graph, entity=player())
    Tree(tmp_path).write("player.yaml", component("player"))
    report = await Catalog(graph.engine).ingest(tmp_path)
    assert (report.counts.added, report.counts.rejected) == (0, 1)
    problems = (await graph.ask("{ problems { nodes { rule location } } }"))["problems"]["nodes"]
    assert {"rule": "ref-conflict", "location": "player.yaml"} in problems


async def test_a_run_of_another_source_leaves_registered_entities_alone(graph: Graph, tmp_path: Path) -> None:
    await register(graph, entity=player())
    Tree(tmp_path).write("a.yaml", component("a"))
    await Catalog(graph.engine).ingest(tmp_path)
    (tmp_path / "a.yaml").unlink()
    await Catalog(graph.engine).ingest(tmp_path)
    assert await Catalog(graph.engine).refs() == [REF]


async def test_one_registration_leaves_the_others_alone(graph: Graph) -> None:
    for name in ("a", "b"):
        await register(graph, yaml=component(name))
    etag = (await graph.ask('{ entity(ref: "component:a") { etag } }'))["entity"]["etag"]
    await unregister(graph, ref="component:a", expectedEtag=etag)
    assert await Catalog(graph.engine).refs() == ["component:default/b"]


async def test_of_two_who_change_the_same_at_once_one_is_told(graph: Graph) -> None:
    etag = (await register(graph, entity=player()))["entity"]["etag"]
    both = await asyncio.gather(
        *(update(graph, entity=player(lifecycle=lifecycle), expectedEtag=etag) for lifecycle in ("a", "b"))
    )
    assert sorted(map(codes, both)) == [[], ["CONFLICT"]]
    (written,) = (payload["entity"]["lifecycle"] for payload in both if payload["entity"])
    found = await graph.ask('{ entity(ref: "component:player") { lifecycle } }')
    assert found["entity"]["lifecycle"] == written


async def test_who_changes_or_removes_what_is_not_there_is_told(graph: Graph) -> None:
    assert codes(await update(graph, entity=player(), expectedEtag="x")) == ["NOT_FOUND"]
    assert codes(await unregister(graph, ref=REF, expectedEtag="x")) == ["NOT_FOUND"]


async def test_every_broken_rule_is_told_with_its_field(graph: Graph) -> None:
    broken = player(lifecycle="", owner="a/")
    broken["metadata"]["tags"] = ["Not a tag"]
    refused = await register(graph, entity=broken)
    assert refused["entity"] is None
    assert sorted(error["field"] for error in refused["userErrors"]) == [
        "metadata.tags[0]",
        "spec.lifecycle",
        "spec.owner",
    ]
    assert set(codes(refused)) == {"INVALID"}
    assert await Catalog(graph.engine).refs() == []


@pytest.mark.parametrize(
    "entity",
    [None, 1, "x", [], {}, {"kind": "Component"}, {"metadata": None}, [player(), player()], player(lifecycle="\0")],
)
async def test_what_is_no_entity_is_refused_whatever_it_is(graph: Graph, entity: Any) -> None:
    assert set(codes(await register(graph, entity=entity))) == {"INVALID"}


async def test_a_deep_and_a_large_entity_are_taken_within_the_rules_of_files(graph: Graph) -> None:
    deep: Any = "x"
    for _ in range(90):
        deep = {"in": deep}
    assert (await register(graph, entity=player(more=deep, many=[{"n": n} for n in range(1_000)])))["userErrors"] == []
    for _ in range(20):
        deep = {"in": deep}
    assert codes(await register(graph, entity=player(more=deep))) == ["INVALID"]


async def test_neither_people_nor_groups_come_by_a_mutation(graph: Graph) -> None:
    ann = {"apiVersion": "backstage.io/v1alpha1", "kind": "User", "metadata": {"name": "ann"}, "spec": {"memberOf": []}}
    refused = await register(graph, entity=ann)
    assert (codes(refused), refused["userErrors"][0]["field"]) == (["INVALID"], "kind")


@pytest.mark.parametrize(
    "yaml", ["", component("a") + "---\n" + component("b"), "kind: [", "\0", "a: {$text: ./secret}"]
)
async def test_a_text_that_is_not_one_document_is_refused(graph: Graph, yaml: str) -> None:
    assert codes(await register(graph, yaml=yaml)) != []
    assert await Catalog(graph.engine).refs() == []


async def test_a_placeholder_reads_no_file(graph: Graph) -> None:
    refused = await register(graph, yaml=component("a") + "  definition: {$text: ./pyproject.toml}\n")
    assert codes(refused) == ["INVALID"]
    assert await Catalog(graph.engine).refs() == []


async def test_both_forms_or_none_are_refused(graph: Graph) -> None:
    assert codes(await register(graph)) == ["INVALID"]
    assert codes(await register(graph, entity=player(), yaml=component("a"))) == ["INVALID"]


@pytest.mark.parametrize("api_version", ["v1", "apps/v1"])
async def test_a_document_of_kubernetes_is_no_entity_in_either_form(graph: Graph, api_version: str) -> None:
    entity = {"apiVersion": api_version, "kind": "Service", "metadata": {"name": "w"}, "spec": {}}
    message = "A document of one of Kubernetes' own API groups is no entity."
    yaml = f"apiVersion: {api_version}\nkind: Service\nmetadata: {{name: w}}\nspec: {{}}\n"
    for refused in (await register(graph, entity=entity), await register(graph, yaml=yaml)):
        assert refused["userErrors"] == [{"code": "INVALID", "field": None, "message": message}]


async def test_a_second_document_is_told_though_it_is_broken(graph: Graph) -> None:
    refused = await register(graph, yaml=component("a") + "---\nkind: Component\n")
    assert [error["message"] for error in refused["userErrors"]] == ["There are 2 documents; one is written at a time."]
