"""The audit trail: every write of what is no entity, with who wrote it and what it was before and after."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api.ingest.declarations import Access
from api.ingest.declared import Sources
from db.rules.scopes import EVERYTHING, Scope
from schema.caller import Caller
from schema.errors import Forbidden
from tests.ingesting import Catalog, Tree
from tests.schema.graph import Graph

pytestmark = pytest.mark.anyio

ENTRIES = """query($by: String, $first: Int, $after: String) { auditEntries(by: $by, first: $first, after: $after) {
    totalCount nodes { by action subject requestId before after } pageInfo { endCursor hasNextPage } } }"""


@pytest.fixture
def boss(graph: Graph, tmp_path: Path) -> Graph:
    """The graph as an admin sees it, where mutations may declare folders."""
    Tree(tmp_path).write("shop/people.yaml")
    sources = Sources(Access(clones=tmp_path / "clones", environ={}, roots=(tmp_path,)))
    return replace(graph, caller=Caller("oidc:boss@example.com", EVERYTHING), sources=sources)


async def say(graph: Graph, mutation: str, **given: Any) -> Any:
    """What a mutation answers."""
    input_type = mutation[0].upper() + mutation[1:] + "Input"
    query = f"mutation($input: {input_type}!) {{ {mutation}(input: $input) {{ userErrors {{ code }} }} }}"
    return (await graph.ask(query, input=given))[mutation]["userErrors"]


async def entries(graph: Graph, **arguments: Any) -> list[Any]:
    """The entries, the latest first."""
    nodes: list[Any] = (await graph.ask(ENTRIES, statements=1, **arguments))["auditEntries"]["nodes"]
    return nodes


async def test_each_write_is_told_with_what_was_before_and_after(boss: Graph, tmp_path: Path) -> None:
    folder = str(tmp_path / "shop")
    assert await say(boss, "sourceRegister", folder=folder, name="shop") == []
    assert await say(boss, "sourceRegister", folder=folder, name="shop", every="2h") == []
    assert await say(boss, "sourceRun", name="shop", allowRemovals=True) == []
    assert await say(boss, "sourceUnregister", name="shop") == []
    first = {"name": "shop", "folder": folder, "every": "300s", "watch": True, "trusted": False}
    second = {**first, "every": "7200s"}
    told = await entries(boss)
    assert [one.pop("by") for one in told] == ["oidc:boss@example.com"] * 4
    assert [one.pop("requestId") for one in told] == ["test"] * 4
    assert [one.pop("subject") for one in told] == ["source:shop"] * 4
    assert told == [
        {"action": "sourceUnregister", "before": second, "after": None},
        {"action": "sourceRun", "before": None, "after": {"allowRemovals": True}},
        {"action": "sourceRegister", "before": first, "after": second},
        {"action": "sourceRegister", "before": None, "after": first},
    ]


async def test_what_was_refused_is_no_write(boss: Graph, tmp_path: Path) -> None:
    await Catalog(boss.engine).ingest(Tree(tmp_path / "read").write("a.yaml"), name="read")
    assert await say(boss, "sourceRegister", folder="/elsewhere") == [{"code": "INVALID"}]
    assert await say(boss, "sourceRegister", folder=str(tmp_path / "shop"), name="read") == [{"code": "CONFLICT"}]
    assert await say(boss, "sourceRun", name="read") == [{"code": "CONFLICT"}]
    assert await say(boss, "sourceUnregister", name="read") == [{"code": "CONFLICT"}]
    assert await say(boss, "tokenRevoke", name="odd") == [{"code": "NOT_FOUND"}]
    assert await entries(boss) == []


async def test_the_entries_of_one_writer_come_in_pages(boss: Graph) -> None:
    other = replace(boss, caller=Caller("token:deputy", EVERYTHING))
    for graph, name in ((boss, "a"), (other, "b"), (boss, "c"), (boss, "d")):
        assert await say(graph, "tokenCreate", name=name, scopes=["catalog:read"]) == []
    assert [one["subject"] for one in await entries(boss)] == ["token:d", "token:c", "token:b", "token:a"]
    by = {"by": "oidc:boss@example.com"}
    first = (await boss.ask(ENTRIES, first=2, statements=1, **by))["auditEntries"]
    assert (first["totalCount"], [one["subject"] for one in first["nodes"]]) == (3, ["token:d", "token:c"])
    then = (await boss.ask(ENTRIES, first=2, after=first["pageInfo"]["endCursor"], statements=1, **by))["auditEntries"]
    assert ([one["subject"] for one in then["nodes"]], then["pageInfo"]["hasNextPage"]) == (["token:a"], False)
    assert await entries(boss, by="nobody") == []


async def test_only_admins_see_who_did_what(boss: Graph) -> None:
    most = replace(boss, caller=Caller("token:ci", EVERYTHING - {Scope.ADMIN}))
    with pytest.raises(Forbidden, match=r"^`auditEntries` needs the scope admin\n"):
        await most.ask("{ auditEntries { totalCount } }")
