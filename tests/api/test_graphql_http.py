"""GraphQL over HTTP: every shape of request gets the right status, and nothing takes the server down."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, MutableMapping
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import strawberry
import structlog
import uvicorn
from graphql import ExecutionResult
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.types import Message, Scope

from api.graphql import GRAPHQL_JSON, GraphQLEndpoint
from api.log import RequestLog
from api.operation import Operations, Ready
from api.request_parameters import JSON
from api.server import listen, uvicorn_config
from api.settings import Settings
from schema.errors import BadUserInput
from schema.limits import Limits
from tests.callers import ANYBODY, anybody

pytestmark = pytest.mark.anyio

QUERY = '{"query": "{ hello }"}'

Log = list[MutableMapping[str, Any]]


class Waiting:
    """What the slow field is seen to do, and how many statements it is said to have run."""

    statements = 3
    caller = ANYBODY

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.cancelled = asyncio.Event()


@strawberry.type
class Query:
    @strawberry.field
    def hello(self, name: str = "world") -> str:
        return f"hello {name}"

    @strawberry.field
    def echo(self, value: strawberry.scalars.JSON) -> strawberry.scalars.JSON:
        return value

    @strawberry.field
    def broken(self) -> str | None:
        raise RuntimeError("postgresql://catalog:hunter2@db/catalog")

    @strawberry.field
    def overloaded(self) -> str | None:
        raise PoolTimeoutError("QueuePool limit of size 10 reached")

    @strawberry.field
    async def soon(self) -> str:
        for _ in range(10):  # turns of the event loop
            await asyncio.sleep(0)
        return "now"

    @strawberry.field
    async def slow(self, info: strawberry.Info[Waiting, None]) -> str:
        info.context.begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            info.context.cancelled.set()
            raise
        return "never"


@strawberry.type
class Mutation:
    @strawberry.mutation
    def touch(self) -> bool:
        return True


SCHEMA = strawberry.Schema(Query, Mutation)


@pytest.fixture
def waiting() -> Waiting:
    return Waiting()


def app(waiting: Waiting, operations: Operations | None = None, **settings: Any) -> Starlette:
    operations = operations or Operations(SCHEMA, Limits())
    endpoint = GraphQLEndpoint(operations, lambda _scope, _caller: nullcontext(waiting), Settings(**settings), anybody)
    return Starlette(routes=[Route("/graphql", endpoint)], middleware=[Middleware(RequestLog)])


def connected(served: Starlette) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(served), base_url="http://test")


@pytest.fixture
async def client(waiting: Waiting) -> AsyncIterator[httpx2.AsyncClient]:
    async with connected(app(waiting)) as client:
        yield client


@pytest.fixture
def log() -> Iterator[Log]:
    with structlog.testing.capture_logs() as lines:
        yield lines


async def post(
    client: httpx2.AsyncClient, body: str | bytes, accept: str = GRAPHQL_JSON, **headers: str
) -> httpx2.Response:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.post(
        "/graphql", content=body, headers={"accept": accept, "content-type": "application/json", **names}
    )


async def ask(client: httpx2.AsyncClient, query: str, accept: str = GRAPHQL_JSON, **fields: object) -> httpx2.Response:
    return await post(client, json.dumps({"query": query, **fields}), accept)


def free(data: object) -> dict[str, object]:
    """The whole answer with `data` in it, where only leaves are asked for: they cost nothing."""
    return {"data": data, "extensions": {"cost": 0}}


def code(response: httpx2.Response) -> str:
    assert "data" not in response.json()
    return str(response.json()["errors"][0]["extensions"]["code"])


@pytest.mark.parametrize(
    ("values", "status"), [([[1] * 100] * 98, 200), ([[1] * 100] * 100, 400), ({"a": [0] * 10_000}, 400)]
)
async def test_variables_hold_a_bounded_number_of_values(
    client: httpx2.AsyncClient, values: object, status: int
) -> None:
    response = await ask(client, "{ hello }", variables={"unused": values})
    assert response.status_code == status
    if status == 400:
        assert response.json()["errors"][0]["message"] == "'variables' holds more than 10000 values"


# What is asked


async def test_a_query_by_post(client: httpx2.AsyncClient) -> None:
    response = await ask(client, "query A($n: String!) { hello(name: $n) } query B { hello }",
                         variables={"n": "you"}, operationName="A", extensions={"any": 1})  # fmt: skip
    assert (response.status_code, response.json()) == (200, free({"hello": "hello you"}))


async def test_a_query_by_get(client: httpx2.AsyncClient) -> None:
    query = {"query": "query A($n: String!) { hello(name: $n) }", "variables": '{"n": "dü"}', "operationName": "A"}
    response = await client.get("/graphql", params={**query, "extensions": "{}"})
    assert (response.status_code, response.json()) == (200, free({"hello": "hello dü"}))


@pytest.mark.parametrize("absent", ["variables", "operationName", "extensions"])
async def test_null_is_as_absent(client: httpx2.AsyncClient, absent: str) -> None:
    response = await post(client, json.dumps({"query": "{ hello }", absent: None}))
    assert response.json() == free({"hello": "hello world"})


async def test_get_never_writes(client: httpx2.AsyncClient) -> None:
    response = await client.get("/graphql", params={"query": "mutation { touch }"})
    assert (response.status_code, response.headers["allow"], code(response)) == (405, "POST", "METHOD_NOT_ALLOWED")
    assert (await ask(client, "mutation { touch }")).json() == free({"touch": True})


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_other_methods_are_told_which_to_use(client: httpx2.AsyncClient, method: str) -> None:
    response = await client.request(method, "/graphql")
    assert (response.status_code, response.headers["allow"], code(response)) == (405, "GET, POST", "METHOD_NOT_ALLOWED")


@pytest.mark.parametrize("query", ["", "  # nothing", "{", "{ hello(name: ) }", "query ("])
async def test_a_document_that_is_no_graphql(client: httpx2.AsyncClient, query: str) -> None:
    response = await ask(client, query)
    assert (response.status_code, code(response)) == (400, "GRAPHQL_PARSE_FAILED")


async def test_a_document_that_does_not_fit_the_schema_names_every_mistake(client: httpx2.AsyncClient) -> None:
    response = await ask(client, "{ helo hello(nam: 1) }")
    assert response.status_code == 400
    assert [(e["extensions"], e["locations"]) for e in response.json()["errors"]] == [
        ({"code": "GRAPHQL_VALIDATION_FAILED"}, [{"line": 1, "column": 3}]),
        ({"code": "GRAPHQL_VALIDATION_FAILED"}, [{"line": 1, "column": 14}]),
    ]


@pytest.mark.parametrize(
    ("query", "name"),
    [("query A { hello }", "B"), ("query A { hello } query B { hello }", None), ("{ hello }", "A")],
)
async def test_an_operation_that_is_not_there(client: httpx2.AsyncClient, query: str, name: str | None) -> None:
    response = await ask(client, query, operationName=name)
    assert (response.status_code, code(response)) == (400, "OPERATION_NOT_FOUND")


async def test_a_document_without_operations(client: httpx2.AsyncClient) -> None:
    assert (await ask(client, "fragment F on Query { hello }")).status_code == 400


async def test_a_refused_variable_runs_nothing(client: httpx2.AsyncClient) -> None:
    response = await ask(client, "query ($n: String!) { hello(name: $n) }", variables={"n": 1})
    assert (response.status_code, code(response)) == (400, "BAD_USER_INPUT")


# What is answered


@dataclass(frozen=True, kw_only=True)
class Known(Ready):
    """An operation whose result is known before it runs."""

    result: ExecutionResult

    async def run(self, *_: object) -> ExecutionResult:
        return self.result


class KnownOperations(Operations):
    """Operations that all have one result."""

    def __init__(self, result: ExecutionResult) -> None:
        super().__init__(SCHEMA, Limits())
        self.result = result

    def ready(self, text: str, name: str | None = None) -> Ready:
        ready = super().ready(text, name)
        return Known(operation=ready.operation, weight=ready.weight, result=self.result)


@pytest.mark.parametrize(
    ("result", "body"),
    [
        (ExecutionResult({"hello": "you"}, extensions={"cost": 123}), '{"data":{"hello":"you"},"extensions":{"cost":123}}'),
        (ExecutionResult({"hello": "you"}, extensions={}), '{"data":{"hello":"you"}}'),
        (
            ExecutionResult({"hello": None}, [BadUserInput("No such name")], {"cost": 1}),
            '{"errors":[{"message":"No such name","extensions":{"code":"BAD_USER_INPUT"}}],"data":{"hello":null},"extensions":{"cost":1}}',
        ),
    ],
)  # fmt: skip
async def test_what_is_told_beside_the_data_comes_last(waiting: Waiting, result: ExecutionResult, body: str) -> None:
    async with connected(app(waiting, KnownOperations(result))) as client:
        assert (await ask(client, "{ hello }")).text == body


# Media types


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (JSON, JSON),
        (GRAPHQL_JSON, GRAPHQL_JSON),
        (f"{GRAPHQL_JSON}, {JSON};q=0.9", GRAPHQL_JSON),
        (f"{JSON};q=0.2, {GRAPHQL_JSON};q=0.8", GRAPHQL_JSON),
        (f"{GRAPHQL_JSON};q=0, */*", JSON),
        ("text/html, */*;q=0.1", JSON),
        (f"APPLICATION/JSON; charset=utf-8, {GRAPHQL_JSON};q=0.1", JSON),
    ],
)
async def test_the_answer_has_the_type_that_is_liked_best(client: httpx2.AsyncClient, accept: str, answer: str) -> None:
    response = await post(client, QUERY, accept)
    assert (response.status_code, response.headers["content-type"]) == (200, f"{answer}; charset=utf-8")


@pytest.mark.parametrize("accept", ["text/plain", "image/*", f"{JSON};q=0", "nonsense"])
async def test_an_answer_that_nobody_takes_is_406(client: httpx2.AsyncClient, accept: str) -> None:
    response = await post(client, QUERY, accept)
    assert (response.status_code, code(response)) == (406, "NOT_ACCEPTABLE")


@pytest.mark.parametrize("content_type", ["application/json; charset=UTF-8", 'Application/JSON;charset="utf-8"'])
async def test_utf_8_may_be_said(client: httpx2.AsyncClient, content_type: str) -> None:
    assert (await post(client, QUERY, content_type=content_type)).status_code == 200


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ nope }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ hello " * 300, "GRAPHQL_PARSE_FAILED"),
    ],
)
async def test_plain_json_keeps_200_for_a_well_formed_request(
    client: httpx2.AsyncClient, query: str, error: str
) -> None:
    response = await ask(client, query, JSON)
    assert (response.status_code, code(response)) == (200, error)


# What is hostile: there is more in tests/api/hostile


@pytest.mark.parametrize(
    "body",
    [
        rb'{"query": "query ($n: String!) { hello(name: $n) }", "variables": {"n": "a\u0000b"}}',
        rb'{"query": "query ($v: JSON!) { echo(value: $v) }", "variables": {"v": [{"a\u0000": 1}]}}',
        rb'{"query": "{ hello(name: \"a\\u0000b\") }"}',
        rb'{"query": "{ hello(name: \"a\\u{0}b\") }"}',
        rb'{"query": "{ hello(name: \"a\u0000b\") }"}',
    ],
)
async def test_the_character_nul_never_reaches_the_database(client: httpx2.AsyncClient, body: bytes) -> None:
    response = await post(client, body)
    assert (response.status_code, code(response)) == (400, "BAD_USER_INPUT")


async def test_a_whole_number_is_not_rounded(client: httpx2.AsyncClient) -> None:
    numbers = {"v": [2**53 + 1, 2**63, 2**64 + 1, 10**30 + 1, 1.5]}
    response = await ask(client, "query ($v: JSON!) { echo(value: $v) }", variables=numbers)
    assert response.json() == free({"echo": numbers["v"]})


# Failures while it runs


async def test_a_failure_nobody_foresaw_is_masked_and_logged_once_with_its_id(
    client: httpx2.AsyncClient, log: Log
) -> None:
    response = await post(client, '{"query": "{ broken hello }"}', x_request_id="id-1")
    assert response.status_code == 200
    assert response.json() == {
        **free({"broken": None, "hello": "hello world"}),
        "errors": [
            {
                "message": "Internal error",
                "locations": [{"line": 1, "column": 3}],
                "path": ["broken"],
                "extensions": {"code": "INTERNAL", "requestId": "id-1"},
            }
        ],
    }
    (failure,) = [line for line in log if line["log_level"] == "error"]
    assert (failure["path"], type(failure["exc_info"])) == (["broken"], RuntimeError)


async def test_a_context_that_cannot_be_made_is_masked_too(log: Log) -> None:
    def fails(_scope: object, _caller: object) -> AbstractContextManager[Waiting]:
        raise RuntimeError("secret")

    endpoint = GraphQLEndpoint(Operations(SCHEMA, Limits()), fails, Settings(), anybody)
    broken = Starlette(routes=[Route("/graphql", endpoint)], middleware=[Middleware(RequestLog)])
    async with connected(broken) as client:
        response = await ask(client, "{ hello }", JSON)
    assert (response.status_code, code(response)) == (500, "INTERNAL")
    assert "secret" not in response.text
    assert len([line for line in log if line["log_level"] == "error"]) == 1


@pytest.mark.parametrize("accept", [JSON, GRAPHQL_JSON])
async def test_an_exhausted_pool_is_503_and_says_when_to_come_back(
    client: httpx2.AsyncClient, accept: str, log: Log
) -> None:
    response = await ask(client, "{ overloaded }", accept)
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert response.json()["errors"][0]["extensions"] == {"code": "UNAVAILABLE"}
    assert [line["log_level"] for line in log] == ["warning", "info"]


async def test_what_could_be_answered_is_answered(client: httpx2.AsyncClient) -> None:
    response = await ask(client, "{ overloaded hello }")
    assert (response.status_code, response.json()["data"]) == (200, {"overloaded": None, "hello": "hello world"})


@pytest.mark.parametrize(("accept", "status"), [(GRAPHQL_JSON, 504), (JSON, 200)])
async def test_an_operation_that_takes_too_long_is_cancelled(
    waiting: Waiting, log: Log, accept: str, status: int
) -> None:
    async with connected(app(waiting, operation_timeout=0.05)) as client:
        response = await ask(client, "{ slow }", accept)
    assert (response.status_code, code(response)) == (status, "TIMEOUT")
    assert waiting.cancelled.is_set()
    assert [line["statements"] for line in log if line["event"] == "request"] == [3]


# A client that leaves


class Asgi:
    """A request without a server: `watched` is set when it is asked whether the client has left, which `gone` says."""

    def __init__(self, query: str) -> None:
        self.body = [json.dumps({"query": query}).encode()]
        self.watched, self.gone = asyncio.Event(), asyncio.Event()
        self.sent: list[int] = []
        self.scope: Scope = {
            "type": "http", "method": "POST", "path": "/graphql", "query_string": b"",
            "headers": [(b"content-type", b"application/json")],
        }  # fmt: skip

    async def receive(self) -> Message:
        if self.body:
            return {"type": "http.request", "body": self.body.pop(), "more_body": False}
        self.watched.set()
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.sent.append(message["status"])


async def test_a_client_that_leaves_an_operation_under_way_is_noticed(waiting: Waiting, log: Log) -> None:
    request = Asgi("{ slow }")
    serving = asyncio.create_task(app(waiting)(request.scope, request.receive, request.send))
    await request.watched.wait()
    assert not waiting.cancelled.is_set()
    request.gone.set()
    await serving
    assert waiting.cancelled.is_set()
    assert (request.sent, [line["status"] for line in log]) == ([], [499])


async def test_a_client_that_leaves_within_its_body_is_answered_nothing(waiting: Waiting, log: Log) -> None:
    request = Asgi("{ hello }")
    request.body.clear()
    request.gone.set()
    await app(waiting)(request.scope, request.receive, request.send)
    assert (request.sent, [line["status"] for line in log]) == ([], [499])


async def test_nobody_watches_an_operation_that_ends_soon(waiting: Waiting) -> None:
    request, tasks = Asgi("{ soon }"), asyncio.all_tasks()
    await app(waiting)(request.scope, request.receive, request.send)
    assert (request.sent, request.watched.is_set(), asyncio.all_tasks()) == ([200], False, tasks)


async def test_who_ends_the_server_s_own_task_is_not_told_of_a_timeout(waiting: Waiting) -> None:
    request = Asgi("{ slow }")
    serving = asyncio.create_task(app(waiting)(request.scope, request.receive, request.send))
    await request.watched.wait()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert waiting.cancelled.is_set()
    assert request.sent == []


# The request's id and its line in the log


async def test_a_sane_request_id_is_kept(client: httpx2.AsyncClient) -> None:
    response = await post(client, QUERY, x_request_id="a.B-1_c")
    assert response.headers.get_list("x-request-id") == ["a.B-1_c"]


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "é", 'a"b'])
async def test_another_request_id_is_replaced(client: httpx2.AsyncClient, given: str) -> None:
    made = (await client.get("/nowhere", headers={b"x-request-id": given.encode()})).headers["x-request-id"]
    assert len(made) == 16
    assert made != given


async def test_each_request_is_one_line(client: httpx2.AsyncClient, log: Log) -> None:
    await ask(client, "query Page { hello }")
    (line,) = log
    assert line.pop("ms") >= 0
    assert line == {
        "event": "request",
        "log_level": "info",
        "method": "POST",
        "path": "/graphql",
        "status": 200,
        "operation": "Page",
        "statements": 3,
    }


# Over a real socket


@asynccontextmanager
async def served(waiting: Waiting) -> AsyncIterator[str]:
    settings = Settings(port=0)
    listener = listen(settings, insecure=False)
    server = uvicorn.Server(uvicorn_config(app(waiting), settings))
    serving = asyncio.create_task(server.serve(sockets=[listener.socket]))
    try:
        yield listener.url
    finally:
        server.should_exit = True
        await serving


async def test_a_body_without_a_length_is_refused_when_it_gets_too_long(waiting: Waiting) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(1_600):
            yield b" " * 65_536

    async with served(waiting) as url, httpx2.AsyncClient(base_url=url) as client:
        response = await client.post("/graphql", content=endless(), headers={"content-type": "application/json"})
        assert (response.status_code, code(response)) == (413, "REQUEST_TOO_LARGE")
        assert (await post(client, QUERY)).status_code == 200


async def test_a_body_with_too_great_a_length_is_refused_before_it_is_sent(waiting: Waiting) -> None:
    async with served(waiting) as url:
        reader, writer = await asyncio.open_connection(*address(url))
        writer.write(b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
        writer.write(b"Content-Length: 100000000\r\n\r\n")
        status_line = await reader.readline()
        writer.close()
    assert status_line.startswith(b"HTTP/1.1 413 ")


async def test_an_operation_whose_client_has_left_is_cancelled(waiting: Waiting, log: Log) -> None:
    async with served(waiting) as url:
        _, writer = await asyncio.open_connection(*address(url))
        writer.write(b"GET /graphql?query={slow} HTTP/1.1\r\nHost: x\r\n\r\n")
        await waiting.begun.wait()
        writer.close()
        await asyncio.wait_for(waiting.cancelled.wait(), 5)
    assert [line["status"] for line in log if line["event"] == "request"] == [499]


async def test_a_client_that_leaves_within_its_body_is_no_error(waiting: Waiting, log: Log) -> None:
    async with served(waiting) as url:
        _, writer = await asyncio.open_connection(*address(url))
        writer.write(b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
        writer.write(b"Content-Length: 1000\r\n\r\n{")
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    assert [line["log_level"] for line in log] in ([], ["info"])


def address(url: str) -> tuple[str, int]:
    host, _, port = url.removeprefix("http://").rpartition(":")
    return host, int(port)
