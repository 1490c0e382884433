"""API tokens in the graph: an admin makes, lists and revokes them."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from db.rules.scopes import EVERYTHING, Scope
from schema.caller import Caller
from schema.errors import Forbidden
from tests.ingesting import ANN, Catalog, Tree
from tests.schema.graph import Graph

pytestmark = pytest.mark.anyio

TOKEN = "name prefix scopes userRef user { name } createdBy expiresAt lastUsedAt revokedAt tokenState"
CREATE = f"""mutation($input: TokenCreateInput!) {{ tokenCreate(input: $input) {{
    token {{ {TOKEN} }} secret userErrors {{ code field message }} }} }}"""
REVOKE = f"""mutation($input: TokenRevokeInput!) {{ tokenRevoke(input: $input) {{
    token {{ {TOKEN} }} userErrors {{ code field message }} }} }}"""


@pytest.fixture
def boss(graph: Graph) -> Graph:
    """The graph, as an admin sees it."""
    return replace(graph, caller=Caller("oidc:boss@example.com", EVERYTHING))


# What writes is not counted; then come the token, and its user.


async def create(graph: Graph, *, statements: int | None = None, **given: Any) -> Any:
    return (await graph.ask(CREATE, input=given, statements=statements))["tokenCreate"]


async def revoke(graph: Graph, name: str, *, statements: int | None = None) -> Any:
    return (await graph.ask(REVOKE, input={"name": name}, statements=statements))["tokenRevoke"]


async def test_a_new_token_is_shown_once(boss: Graph) -> None:
    expiry = "2099-01-01T00:00:00Z"
    made = await create(boss, name="ci", scopes=["kpis:write", "catalog:read"], expiresAt=expiry, statements=2)
    assert re.fullmatch(r"cg_[A-Za-z0-9_-]{43}", made["secret"])
    assert made["userErrors"] == []
    assert made["token"] == {
        "name": "ci",
        "prefix": made["secret"][:11],
        "scopes": ["catalog:read", "kpis:write"],
        "userRef": None,
        "user": None,
        "createdBy": "oidc:boss@example.com",
        "expiresAt": expiry,
        "lastUsedAt": None,
        "revokedAt": None,
        "tokenState": "ACTIVE",
    }
    listed = await boss.ask(f"{{ tokens {{ nodes {{ {TOKEN} }} }} }}", statements=1)
    assert listed["tokens"]["nodes"] == [made["token"]]


async def test_a_token_acts_as_a_user_who_may_come_later(boss: Graph, tmp_path: Path) -> None:
    made = await create(boss, name="ci", scopes=["catalog:read"], user="Ann", statements=2)
    assert (made["token"]["userRef"], made["token"]["user"]) == ("user:default/ann", None)
    await Catalog(boss.engine).ingest(Tree(tmp_path).write("people.yaml", ANN))
    listed = await boss.ask("{ tokens { nodes { userRef user { name } } } }", statements=1)
    assert listed["tokens"]["nodes"] == [{"userRef": "user:default/ann", "user": {"name": "ann"}}]


@pytest.mark.parametrize(
    ("given", "code", "field", "message"),
    [
        ({"name": "c i"}, "INVALID", "name", "A name has 1 to 63 letters"),
        ({"scopes": []}, "INVALID", "scopes", "A token without a scope"),
        ({"scopes": ["pets:read"]}, "INVALID", "scopes", "'pets:read' is no scope; there are catalog:read, "),
        ({"expiresAt": "2020-01-01T00:00:00Z"}, "INVALID", "expiresAt", "That has passed"),
        ({"user": "component:ci"}, "INVALID", "user", "A token acts as a User, and component:default/ci is none."),
        ({"name": "taken"}, "CONFLICT", "name", "There is a token taken already"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_cannot_be_made_is_told_with_its_field(
    boss: Graph, given: dict[str, Any], code: str, field: str, message: str
) -> None:
    await create(boss, name="taken", scopes=["catalog:read"])
    refused = await create(boss, **{"name": "ci", "scopes": ["catalog:read"], **given}, statements=0)
    assert (refused["token"], refused["secret"]) == (None, None)
    (error,) = refused["userErrors"]
    assert (error["code"], error["field"], error["message"][: len(message)]) == (code, field, message)


async def test_a_revoked_token_is_still_listed_and_its_name_is_free(boss: Graph) -> None:
    await create(boss, name="ci", scopes=["catalog:read"])
    before = datetime.now(UTC).isoformat()
    revoked = await revoke(boss, "ci", statements=2)
    assert (revoked["token"]["name"], revoked["token"]["tokenState"]) == ("ci", "REVOKED")
    assert revoked["token"]["revokedAt"] >= before[:19]
    again = await revoke(boss, "ci", statements=0)
    assert again == {
        "token": None,
        "userErrors": [
            {"code": "NOT_FOUND", "field": "name", "message": "There is no token ci, or it is revoked already."}
        ],
    }
    await create(boss, name="ci", scopes=["admin"])
    listed = await boss.ask("{ tokens { nodes { name scopes tokenState } } }", statements=1)
    assert listed["tokens"]["nodes"] == [
        {"name": "ci", "scopes": ["catalog:read"], "tokenState": "REVOKED"},
        {"name": "ci", "scopes": ["admin"], "tokenState": "ACTIVE"},
    ]


async def test_an_expired_token_says_so(boss: Graph) -> None:
    await create(boss, name="ci", scopes=["catalog:read"], expiresAt="2099-01-01T00:00:00Z")
    await Catalog(boss.engine).rows("UPDATE api_token SET expires_at = now()")
    listed = await boss.ask("{ tokens { nodes { tokenState } } }", statements=1)
    assert listed["tokens"]["nodes"] == [{"tokenState": "EXPIRED"}]


async def test_tokens_come_by_name_in_pages(boss: Graph) -> None:
    for name in ("b", "c", "a"):
        await create(boss, name=name, scopes=["catalog:read"])
    query = """query($after: String) { tokens(first: 2, after: $after) {
        totalCount nodes { name } pageInfo { hasNextPage endCursor } } }"""
    first = (await boss.ask(query, statements=1))["tokens"]
    assert (first["totalCount"], [one["name"] for one in first["nodes"]]) == (3, ["a", "b"])
    then = (await boss.ask(query, after=first["pageInfo"]["endCursor"], statements=1))["tokens"]
    assert ([one["name"] for one in then["nodes"]], then["pageInfo"]["hasNextPage"]) == (["c"], False)


async def test_who_is_no_admin_neither_sees_nor_makes_a_token(graph: Graph) -> None:
    most = replace(graph, caller=Caller("token:ci", EVERYTHING - {Scope.ADMIN}))
    for query in (
        "{ tokens { totalCount } }",
        'mutation { tokenCreate(input: {name: "x", scopes: ["admin"]}) { secret } }',
        'mutation { tokenRevoke(input: {name: "x"}) { token { name } } }',
    ):
        with pytest.raises(Forbidden, match="needs the scope admin"):
            await most.ask(query)
    assert await Catalog(graph.engine).rows("SELECT 1 FROM api_token UNION ALL SELECT 1 FROM audit") == []
