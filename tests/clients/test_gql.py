"""gql, the client of Python, asks and follows."""

from __future__ import annotations

from contextlib import aclosing

import pytest
from gql import Client, GraphQLRequest
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.exceptions import TransportConnectionFailed, TransportQueryError
from gql.transport.websockets import WebsocketsTransport
from websockets.exceptions import ConnectionClosed

pytestmark = [pytest.mark.xdist_group("clients")]

Graph = dict[str, str]

PLAYER = GraphQLRequest(
    "query ($ref: EntityRef!) { component(ref: $ref) { name owner { title } } }", variable_values={"ref": "player"}
)
TOO_MANY = GraphQLRequest("{ components(first: 1000) { totalCount } }")
REGISTER = "mutation ($input: EntityRegisterInput!) { entityRegister(input: $input) { entityRef } }"
FOLLOW = """
    subscription ($since: String) {
        entityChanges(since: $since, filter: { name: { eq: "by-gql" } }) { eventKind entity { name } }
    }
"""
DOCUMENT = """
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: {name: by-gql}
spec: {type: tool, lifecycle: experimental, owner: nobody}
"""


def over_http(graph: Graph, token: str | None = None) -> Client:
    """It takes the schema from the server, and checks by it what it is asked."""
    transport = AIOHTTPTransport(graph["GRAPH_URL"], headers={"Authorization": bearer(graph, token)})
    return Client(transport=transport, fetch_schema_from_transport=True)


def over_a_websocket(graph: Graph, token: str | None = None) -> Client:
    payload = {"Authorization": bearer(graph, token)}
    return Client(transport=WebsocketsTransport(graph["GRAPH_URL"].replace("http", "ws"), init_payload=payload))


def bearer(graph: Graph, token: str | None) -> str:
    return f"Bearer {token or graph['GRAPH_TOKEN']}"


def test_gql_asks_where_nothing_is_async(graph: Graph) -> None:
    assert over_http(graph).execute(PLAYER) == {"component": {"name": "Player", "owner": {"title": "players"}}}


@pytest.mark.anyio
async def test_gql_asks_and_reads_the_code_of_an_error(graph: Graph) -> None:
    async with over_http(graph) as session:
        assert await session.execute(PLAYER) == {"component": {"name": "Player", "owner": {"title": "players"}}}
        with pytest.raises(TransportQueryError) as refused:
            await session.execute(TOO_MANY)
    assert [error["extensions"]["code"] for error in refused.value.errors or ()] == ["BAD_USER_INPUT"]


@pytest.mark.anyio
async def test_gql_follows_over_a_websocket_and_leaves(graph: Graph) -> None:
    async with over_a_websocket(graph) as session:
        since = (await session.execute(GraphQLRequest("{ liveCursor }")))["liveCursor"]
        registered = await session.execute(GraphQLRequest(REGISTER, variable_values={"input": {"yaml": DOCUMENT}}))
        assert registered == {"entityRegister": {"entityRef": "component:default/by-gql"}}
        async with aclosing(session.subscribe(GraphQLRequest(FOLLOW, variable_values={"since": since}))) as events:
            assert await anext(events) == {"entityChanges": {"eventKind": "CREATED", "entity": {"name": "by-gql"}}}
        assert await session.execute(PLAYER) == {"component": {"name": "Player", "owner": {"title": "players"}}}


@pytest.mark.anyio
async def test_gql_is_told_that_its_token_is_no_good(graph: Graph) -> None:
    with pytest.raises(TransportQueryError, match="UNAUTHENTICATED"):
        async with over_http(graph, "cg_of-yesterday") as session:
            await session.execute(PLAYER)
    with pytest.raises(TransportConnectionFailed) as failed:
        async with over_a_websocket(graph, "cg_of-yesterday"):
            pass
    assert isinstance(failed.value.__cause__, ConnectionClosed)
    assert failed.value.__cause__.rcvd
    assert failed.value.__cause__.rcvd.code == 4403
