"""Documents by id and by hash, what caches may keep of their answers, who may see the schema, and limits on trial."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from enum import Enum
from pathlib import Path
from typing import Any

import httpx2
import pytest
import strawberry
from graphql import get_introspection_query
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route, WebSocketRoute
from starlette.types import Scope as AsgiScope
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from api import documents, operation
from api.app import _operations, create_app
from api.graphql import GRAPHQL_JSON, GraphQLEndpoint
from api.log import RequestLog
from api.manifests import DocumentsError
from api.operation import Operations
from api.request_parameters import JSON
from api.settings import Settings, SettingsError
from api.websocket import GraphQLSocket
from db.rules.scopes import EVERYTHING
from schema.caller import Caller
from schema.errors import BadUserInput
from tests.api import streams
from tests.api.streams import Stage, lines_of, logged, running
from tests.callers import ANYBODY, anybody

pytestmark = pytest.mark.anyio

ADMIN = Caller("token:ops", EVERYTHING)
READER = Caller("token:page", frozenset())


@strawberry.enum
class Size(Enum):
    SMALL = "small"


@strawberry.type
class Box:
    name: str = "box"

    @strawberry.field
    def inner(self) -> Box:
        return Box()

    @strawberry.field
    def many(self, first: int = 1) -> list[Box]:
        return [Box()]


@strawberry.type
class Query:
    @strawberry.field
    def hello(self, name: str = "world", size: Size | None = None) -> str:
        return f"hello {name}"

    @strawberry.field
    def refused(self) -> str | None:
        raise BadUserInput("no")

    @strawberry.field
    def box(self) -> Box:
        return Box()


@strawberry.type
class Mutation:
    @strawberry.mutation
    def touch(self) -> bool:
        return True


SCHEMA = strawberry.Schema(Query, Mutation)

GREET = 'query Greet($name: String! = "you") {\n  hello(name: $name)\n}\n'
TWO = "query A { hello } query B { box { name } }"
TOUCH = "mutation Touch { touch }"


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class Context:
    statements = 0

    def __init__(self, caller: Caller) -> None:
        self.caller = caller


def asking(operations: Operations, caller: Caller = ANYBODY, **settings: Any) -> httpx2.AsyncClient:
    async def who(_scope: AsgiScope) -> Caller:
        return caller

    endpoint = GraphQLEndpoint(operations, lambda _, who: nullcontext(Context(who)), Settings(**settings), who)
    app = Starlette(routes=[Route("/graphql", endpoint)], middleware=[Middleware(RequestLog)])
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://test", headers={"accept": GRAPHQL_JSON}
    )


def admit_all(_caller: Caller, _cost: int) -> None:
    pass


@asynccontextmanager
async def served(caller: Caller = ANYBODY, **settings: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the small graph, set up as the server does it."""
    async with asking(_operations(Settings(**settings), SCHEMA, admit_all), caller) as client:
        yield client


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Trusted documents, in all the ways in which they are written down."""
    (tmp_path / "greet.graphql").write_text(GREET)
    (tmp_path / "two.graphql").write_text(TWO)
    (tmp_path / "touch.graphql").write_text(TOUCH)
    (tmp_path / "README.md").write_text("no document")
    (tmp_path / ".hidden.graphql").write_text("{")
    codegen = {sha256("{hello}"): "{hello}", hashlib.sha1(b"{ hello }").hexdigest(): "{ hello }"}  # noqa: S324
    (tmp_path / "codegen.json").write_text(json.dumps(codegen))
    relay = {hashlib.md5(b"{box{name}}").hexdigest(): "{box{name}}"}  # noqa: S324
    (tmp_path / "relay.json").write_text(json.dumps(relay))
    operations = [
        {"id": sha256("query X{hello}"), "name": "X", "type": "query", "body": "query X{hello}"},
        {"id": "web.Y-1", "name": "Y", "type": "query", "body": "query Y { hello }"},
    ]
    apollo = {"format": "apollo-persisted-query-manifest", "version": 1, "operations": operations}
    (tmp_path / "apollo.json").write_text(json.dumps(apollo))
    return tmp_path


@pytest.fixture
async def client(folder: Path) -> AsyncIterator[httpx2.AsyncClient]:
    async with served(documents=folder) as client:
        yield client


async def by_post(client: httpx2.AsyncClient, **body: Any) -> httpx2.Response:
    return await client.post("/graphql", json=body)


async def by_get(client: httpx2.AsyncClient, headers: dict[str, str] | None = None, **params: str) -> httpx2.Response:
    return await client.get("/graphql", params=params, headers=headers)


def outcome(response: httpx2.Response) -> Any:
    """The data, or the code of the only error of an answer without data."""
    body = response.json()
    if "data" in body:
        return body["data"]
    (error,) = body["errors"]
    return error["extensions"]["code"]


def apq(text: str) -> dict[str, Any]:
    return {"persistedQuery": {"version": 1, "sha256Hash": sha256(text)}}


HELLO = {"hello": "hello world"}


# Trusted documents


@pytest.mark.parametrize(
    ("id", "data"),
    [
        ("greet", {"hello": "hello you"}),
        (f"sha256:{sha256(GREET)}", {"hello": "hello you"}),
        (sha256("{hello}"), HELLO),
        (f"sha256:{sha256('{hello}')}", HELLO),
        (hashlib.sha1(b"{ hello }").hexdigest(), HELLO),  # noqa: S324
        (hashlib.md5(b"{box{name}}").hexdigest(), {"box": {"name": "box"}}),  # noqa: S324
        (f"sha256:{sha256('{box{name}}')}", {"box": {"name": "box"}}),
        (sha256("query X{hello}"), HELLO),
        ("web.Y-1", HELLO),
    ],
)
async def test_a_document_is_known_by_the_ids_that_tools_give_it(
    client: httpx2.AsyncClient, id: str, data: Any
) -> None:
    assert outcome(await by_post(client, documentId=id)) == data
    assert outcome(await by_get(client, documentId=id)) == data


@pytest.mark.parametrize(
    "id",
    [
        "", "nope", "Greet", "README", ".hidden", "sha256:", "sha256:greet",
        sha256(GREET),  # of a file, which has its name and `sha256:`
        f"sha256:{sha256(GREET).upper()}", f"SHA256:{sha256(GREET)}", f"md5:{sha256(GREET)}", " greet", "greet\x00",
    ],
)  # fmt: skip
async def test_an_id_is_known_as_it_is_or_not_at_all(client: httpx2.AsyncClient, id: str) -> None:
    response = await by_get(client, documentId=id)
    assert (response.status_code, outcome(response)) == (400, "DOCUMENT_NOT_FOUND")  # 404 is what caches would keep
    old = await by_get(client, documentId=id, headers={"accept": JSON})
    assert (old.status_code, outcome(old)) == (200, "DOCUMENT_NOT_FOUND")


async def test_variables_and_the_name_of_an_operation_go_with_an_id(client: httpx2.AsyncClient) -> None:
    assert outcome(await by_post(client, documentId="greet", variables={"name": "ada"})) == {"hello": "hello ada"}
    assert outcome(await by_get(client, documentId="greet", variables='{"name":"ada"}')) == {"hello": "hello ada"}
    assert outcome(await by_post(client, documentId="two", operationName="B")) == {"box": {"name": "box"}}
    assert outcome(await by_post(client, documentId="two")) == "OPERATION_NOT_FOUND"


async def test_get_never_writes_by_an_id_either(client: httpx2.AsyncClient) -> None:
    response = await by_get(client, documentId="touch")
    assert (response.status_code, outcome(response)) == (405, "METHOD_NOT_ALLOWED")
    assert outcome(await by_post(client, documentId="touch")) == {"touch": True}


@pytest.mark.parametrize(
    "body",
    [
        {"documentId": "greet", "query": "{ hello }"}, {"documentId": "greet", "query": ""}, {"documentId": 1},
        {"documentId": ["greet"]}, {"documentId": None}, {"documentId": None, "query": None}, {"extensions": {}},
    ],
)  # fmt: skip
async def test_a_request_says_in_one_way_which_document_it_means(client: httpx2.AsyncClient, body: Any) -> None:
    response = await by_post(client, **body)
    assert (response.status_code, outcome(response)) == (400, "BAD_REQUEST")


async def test_null_is_as_absent_beside_an_id(client: httpx2.AsyncClient) -> None:
    assert outcome(await by_post(client, documentId="greet", query=None, extensions=None)) == {"hello": "hello you"}
    assert outcome(await by_post(client, documentId=None, query="{ hello }")) == HELLO


async def test_an_id_in_the_address_of_a_browser_is_answered_not_drawn(client: httpx2.AsyncClient) -> None:
    accept = "text/html,application/xhtml+xml,*/*;q=0.8"
    assert outcome(await by_get(client, documentId="greet", headers={"accept": accept})) == {"hello": "hello you"}


BY_ID = {"documentId": "greet"}
SAME_TEXT = {"query": GREET}
ALMOST = {"query": GREET.strip()}
STRANGER = {"query": "{ box { name } }"}
TRUSTED_HASH = {"extensions": apq(GREET)}
APOLLO_ID = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "web.Y-1"}}}
YOU = {"hello": "hello you"}
BOX = {"box": {"name": "box"}}
UNTRUSTED = "UNTRUSTED_DOCUMENT"
UNSUPPORTED = "PERSISTED_QUERY_NOT_SUPPORTED"


@pytest.mark.parametrize(
    ("request_body", "off", "prefer", "required"),
    [
        (BY_ID, "DOCUMENT_NOT_FOUND", YOU, YOU),
        (SAME_TEXT, YOU, YOU, YOU),
        (ALMOST, YOU, YOU, UNTRUSTED),
        (STRANGER, BOX, BOX, UNTRUSTED),
        ({"query": "{"}, "GRAPHQL_PARSE_FAILED", "GRAPHQL_PARSE_FAILED", UNTRUSTED),
        ({"query": get_introspection_query()}, ..., ..., UNTRUSTED),
        (TRUSTED_HASH, "PERSISTED_QUERY_NOT_FOUND", YOU, YOU),
        (APOLLO_ID, "PERSISTED_QUERY_NOT_FOUND", HELLO, HELLO),
        (
            {"extensions": apq("{ box { name } }")},
            "PERSISTED_QUERY_NOT_FOUND",
            "PERSISTED_QUERY_NOT_FOUND",
            UNSUPPORTED,
        ),
        (STRANGER | {"extensions": apq("{ box { name } }")}, BOX, BOX, UNTRUSTED),
        (SAME_TEXT | TRUSTED_HASH, YOU, YOU, YOU),
    ],
)
async def test_which_documents_each_mode_takes(
    folder: Path, request_body: Any, off: Any, prefer: Any, required: Any
) -> None:
    for mode, expected in {"off": off, "prefer": prefer, "required": required}.items():
        async with served(documents=folder, trusted_documents=mode) as client:
            got = outcome(await by_post(client, **request_body))
            assert got == expected or (expected is ... and "__schema" in got), mode


async def test_without_a_folder_no_ids_are_known_and_with_one_all_else_is_taken_too(folder: Path) -> None:
    assert Settings().documents_mode == "off"
    assert Settings(documents=folder).documents_mode == "prefer"
    for mode in ("prefer", "required"):
        with pytest.raises(
            SettingsError, match="CATALOGRAPH_TRUSTED_DOCUMENTS needs a folder of them in CATALOGRAPH_DOCUMENTS"
        ):
            Settings.from_environ({"CATALOGRAPH_TRUSTED_DOCUMENTS": mode})


async def test_strangers_drive_no_trusted_document_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operation, "MOST_KEPT", 200)
    operations = _operations(Settings(documents=folder), SCHEMA, admit_all)
    trusted, stranger = operations.ready(GREET), operations.ready("{ box { name } }")
    for number in range(50):
        operations.ready(f"{{ hello a{number}: hello }}")
    assert operations.ready(GREET) is trusted
    assert operations.ready("{ box { name } }") is not stranger


def lines(error: pytest.ExceptionInfo[DocumentsError], folder: Path) -> list[str]:
    return [line.replace(f"{folder}/", "") for line in error.value.problems]


def test_all_that_is_wrong_with_a_folder_is_told_at_once_and_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "good.graphql").write_text("{ hello }")
    (tmp_path / "broken.graphql").write_text("query {\n  hello(\n")
    (tmp_path / "strange.graphql").write_text("query A {\n  hello\n}\n\nquery B {\n  helo\n  bocks\n}\n")
    (tmp_path / "deep.graphql").write_text("{ box {\n inner { inner { inner { name } } } } }")
    (tmp_path / "dear.graphql").write_text("query($n: Int! = 15) {\n box { many(first: $n) { many { name } } } }")
    (tmp_path / "parts.graphql").write_text("fragment F on Query { hello }")
    (tmp_path / "two words.graphql").write_text("{ hello }")
    (tmp_path / "latin.graphql").write_bytes(b"{ hello }\n# \xfc")
    (tmp_path / "web.json").write_text('{\n "one": "{ hello }",\n "two": "{ nope }"\n}')
    (tmp_path / "bad.json").write_text('{\n "one": }')
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "future.json").write_text(
        '{"format": "apollo-persisted-query-manifest", "version": 2, "operations": []}'
    )
    (tmp_path / "nobody.json").write_text(
        '{"format": "apollo-persisted-query-manifest", "version": 1, "operations": [{"id": "a"}]}'
    )
    given = {"documents": tmp_path, "depth_limit": 3, "cost_limit": 30, "database_url": "postgresql://127.0.0.1:1/x"}
    with pytest.raises(DocumentsError) as error:
        create_app(Settings.model_validate(given), schema=SCHEMA)
    assert sorted(lines(error, tmp_path)) == [
        "bad.json:2: this is not JSON: unexpected character, expected a JSON value",
        "broken.graphql:3: Syntax Error: Expected Name, found <EOF>.",
        "dear.graphql:2: The operation costs up to 31; 30 is allowed; its dearest list is `many`",
        "deep.graphql:2: The operation is nested 4 levels deep; 3 are allowed",
        "future.json:1: this is no manifest of documents that is known here",
        "latin.graphql:2: this is not UTF-8",
        "list.json:1: this is no manifest of documents that is known here",
        "nobody.json:1: this is no manifest of documents that is known here",
        "parts.graphql:1: Fragment 'F' is never used.",
        "strange.graphql:6: Cannot query field 'helo' on type 'Query'. Did you mean 'hello'?",
        "strange.graphql:7: Cannot query field 'bocks' on type 'Query'. Did you mean 'box'?",
        "two words.graphql:1: 'two words' is no id: it may have letters, digits, '-', '.', '_' and '~'",
        "web.json:3: two: Cannot query field 'nope' on type 'Query'.",
    ]


def test_an_operator_sees_in_the_log_what_is_trusted_and_what_does_not_hold(folder: Path) -> None:
    with logged() as log:
        _operations(Settings(documents=folder, trusted_documents="required", report_only=True), SCHEMA, admit_all)
    assert log == [
        {"event": "trusted documents", "log_level": "info", "mode": "required", "number": 8},
        {"event": "limits are reported, not enforced", "log_level": "warning"},
    ]
    with logged() as log:
        _operations(Settings(documents=folder, trusted_documents="off"), SCHEMA, admit_all)
    assert log == []


def test_a_folder_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(DocumentsError, match="nowhere: No such file or directory"):
        _operations(Settings(documents=tmp_path / "nowhere"), SCHEMA, admit_all)


@pytest.mark.parametrize("id", [sha256("{ hello }"), f"sha256:{sha256('{ hello }')}"])
def test_nobody_slips_a_document_in_under_the_hash_of_another(tmp_path: Path, id: str) -> None:
    (tmp_path / "web.json").write_text(json.dumps({id: "mutation { touch }"}))
    with pytest.raises(DocumentsError) as error:
        _operations(Settings(documents=tmp_path), SCHEMA, admit_all)
    actual = sha256("mutation { touch }")
    assert lines(error, tmp_path) == [f"web.json:1: {id}: the SHA-256 of the text is another one: {actual}"]


def test_an_id_stands_for_one_document_only(tmp_path: Path) -> None:
    (tmp_path / "page.graphql").write_text("{ hello }")
    (tmp_path / "same.json").write_text('{"page": "{ hello }"}')
    assert _operations(Settings(documents=tmp_path), SCHEMA, admit_all)
    (tmp_path / "web.json").write_text('{\n"page": "{ box { name } }"}')
    with pytest.raises(DocumentsError) as error:
        _operations(Settings(documents=tmp_path), SCHEMA, admit_all)
    assert lines(error, tmp_path) == ["web.json:2: page: another document has the id page: page.graphql:1"]


def test_a_trusted_document_keeps_to_the_limits_to_the_last_token(tmp_path: Path) -> None:
    fields = "".join(f" a{n}: hello" for n in range(666))  # three tokens each
    settings = Settings(documents=tmp_path, alias_limit=666, root_field_limit=667)
    (tmp_path / "long.graphql").write_text(f"{{{fields}}}")
    assert _operations(settings, SCHEMA, admit_all)
    (tmp_path / "long.graphql").write_text(f"{{{fields} hello}}")
    with pytest.raises(DocumentsError) as error:
        _operations(settings, SCHEMA, admit_all)
    (problem,) = lines(error, tmp_path)
    assert problem == "long.graphql:1: Syntax Error: Document contains more than 2000 tokens. Parsing aborted."


@pytest.mark.long
async def test_ten_thousand_documents_are_all_there(tmp_path: Path) -> None:
    texts = {f"page-{n}": f"query Page{n} {{ a{n}: hello box {{ name inner {{ name }} }} }}" for n in range(10_000)}
    (tmp_path / "web.json").write_text(json.dumps(texts))
    async with served(documents=tmp_path) as client:
        for n in (0, 1, 5_000, 9_999):
            expected = {f"a{n}": "hello world", "box": {"name": "box", "inner": {"name": "box"}}}
            assert outcome(await by_post(client, documentId=f"page-{n}")) == expected


# On streams


@asynccontextmanager
async def streaming(folder: Path) -> AsyncIterator[str]:
    """The address of a server of the graph with subscriptions."""
    settings = Settings(port=0, documents=folder)
    operations = _operations(settings, streams.SCHEMA, admit_all)
    parts = operations, lambda scope, _: nullcontext(streams.Numbered(Stage(), 1, scope)), settings, anybody

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, Any]]:
        yield {"stopping": asyncio.Event()}

    routes = [Route("/graphql", GraphQLEndpoint(*parts)), WebSocketRoute("/graphql", GraphQLSocket(*parts))]
    app = Starlette(routes=routes, middleware=[Middleware(RequestLog)], lifespan=lifespan)
    async with running(app, settings) as serving:
        yield serving.address


async def test_a_subscription_is_followed_by_its_id_on_a_websocket_and_as_events(tmp_path: Path) -> None:
    (tmp_path / "ticks.graphql").write_text("subscription($to: Int!) { ticks(to: $to) { number } }")
    tick = {"data": {"ticks": {"number": 1}}, "extensions": {"cost": 1}}
    async with streaming(tmp_path) as address:
        async with connect(
            f"ws://{address}/graphql", subprotocols=[Subprotocol("graphql-transport-ws")], proxy=None
        ) as socket:

            async def subscribe(name: str, **payload: Any) -> None:
                await socket.send(json.dumps({"type": "subscribe", "id": name, "payload": payload}))

            await socket.send('{"type": "connection_init"}')
            await subscribe("a", documentId="ticks", variables={"to": 1})
            heard = [json.loads(await asyncio.wait_for(socket.recv(), 10)) for _ in range(3)]
            assert heard == [
                {"type": "connection_ack"},
                {"id": "a", "type": "next", "payload": tick},
                {"id": "a", "type": "complete"},
            ]
            await subscribe("b", documentId="tocks")
            refused = json.loads(await asyncio.wait_for(socket.recv(), 10))
            assert (refused["id"], refused["type"]) == ("b", "error")
            assert [error["extensions"]["code"] for error in refused["payload"]] == ["DOCUMENT_NOT_FOUND"]
        async with httpx2.AsyncClient(
            base_url=f"http://{address}", headers={"accept": "text/event-stream"}, trust_env=False
        ) as client:
            response = await by_get(client, documentId="ticks", variables='{"to": 1}')
            event = json.dumps(tick, separators=(",", ":"))
            assert response.text == f"event: next\ndata: {event}\n\nevent: complete\ndata:\n\n"
            assert '"code":"DOCUMENT_NOT_FOUND"' in (await by_get(client, documentId="tocks")).text


# Caches


async def test_what_was_asked_by_get_may_be_kept_and_asked_about(client: httpx2.AsyncClient) -> None:
    first = await by_get(client, documentId="greet")
    tag = f'"{sha256(first.text)}"'
    assert (first.status_code, first.headers["etag"]) == (200, tag)
    assert first.headers["cache-control"] == "private, no-cache"
    assert first.headers.get_list("vary") == ["Accept, Authorization"]
    for known in (tag, f"W/{tag}", f'"other", W/{tag}', "*"):
        again = await by_get(client, documentId="greet", headers={"if-none-match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert again.headers.get_list("vary") == ["Accept, Authorization"]
        assert again.headers["cache-control"] == "private, no-cache"
    for known in ("", '"other"', tag.strip('"'), tag[:-2]):
        assert (await by_get(client, documentId="greet", headers={"if-none-match": known})).text == first.text


async def test_another_answer_has_another_tag(client: httpx2.AsyncClient) -> None:
    tag = (await by_get(client, documentId="greet")).headers["etag"]
    other = await by_get(client, documentId="greet", variables='{"name":"ada"}', headers={"if-none-match": tag})
    assert (other.status_code, outcome(other)) == (200, {"hello": "hello ada"})
    assert other.headers["etag"] != tag


@pytest.mark.parametrize(
    "asked",
    [
        {"query": "{ refused }"}, {"query": "{ hello refused }"}, {"query": "{"}, {"documentId": "nope"},
        {"extensions": json.dumps(apq("{ nope }"))},
    ],
)  # fmt: skip
async def test_no_cache_keeps_an_error(client: httpx2.AsyncClient, asked: dict[str, str]) -> None:
    for accept in (GRAPHQL_JSON, JSON):
        response = await by_get(client, headers={"accept": accept, "if-none-match": "*"}, **asked)
        assert response.status_code != 304
        assert "errors" in response.json()
        assert (response.headers.get("etag"), response.headers["cache-control"]) == (None, "no-store")


async def test_only_an_answer_to_get_is_for_caches(client: httpx2.AsyncClient) -> None:
    response = await client.post("/graphql", json=BY_ID, headers={"if-none-match": "*"})
    assert (response.status_code, response.headers["vary"]) == (200, "Accept")
    assert {"etag", "cache-control"}.isdisjoint(response.headers)
    events = await by_get(client, headers={"accept": "text/event-stream", "if-none-match": "*"}, **BY_ID)
    assert (events.status_code, events.headers["cache-control"]) == (200, "no-cache")
    assert "etag" not in events.headers


# Apollo's automatic persisted queries


@pytest.fixture
async def apollo() -> AsyncIterator[httpx2.AsyncClient]:
    async with served() as client:
        yield client


async def test_a_client_asks_by_hash_is_sent_for_the_text_and_then_asks_by_hash(apollo: httpx2.AsyncClient) -> None:
    extensions = json.dumps(apq("{ hello }"), separators=(",", ":"))
    unknown = await by_get(apollo, extensions=extensions)
    assert (unknown.status_code, unknown.text) == (
        200,
        '{"errors":[{"message":"PersistedQueryNotFound","extensions":{"code":"PERSISTED_QUERY_NOT_FOUND"}}]}',
    )
    assert outcome(await by_get(apollo, query="{ hello }", extensions=extensions)) == HELLO
    assert outcome(await by_get(apollo, extensions=extensions)) == HELLO
    assert outcome(await by_post(apollo, extensions=apq("{ hello }"))) == HELLO


async def test_get_never_writes_by_a_hash(apollo: httpx2.AsyncClient) -> None:
    assert outcome(await by_post(apollo, query=TOUCH, extensions=apq(TOUCH))) == {"touch": True}
    response = await by_get(apollo, extensions=json.dumps(apq(TOUCH)))
    assert (response.status_code, outcome(response)) == (405, "METHOD_NOT_ALLOWED")


async def test_nobody_keeps_a_document_under_the_hash_of_another(apollo: httpx2.AsyncClient) -> None:
    response = await by_post(apollo, query="{ box { name } }", extensions=apq("{ hello }"))
    assert (response.status_code, outcome(response)) == (400, "BAD_REQUEST")
    assert outcome(await by_post(apollo, extensions=apq("{ hello }"))) == "PERSISTED_QUERY_NOT_FOUND"
    upper = {"persistedQuery": {"version": 1, "sha256Hash": sha256("{ hello }").upper()}}
    assert outcome(await by_post(apollo, query="{ hello }", extensions=upper)) == "BAD_REQUEST"


@pytest.mark.parametrize(
    "given",
    [
        {"version": 2, "sha256Hash": sha256("{ hello }")}, {"sha256Hash": sha256("{ hello }")}, {"version": 1},
        {"version": "1", "sha256Hash": sha256("{ hello }")}, {"version": 1, "sha256Hash": 5}, [], "x", False,
    ],
)  # fmt: skip
async def test_another_version_of_the_protocol_is_refused(apollo: httpx2.AsyncClient, given: object) -> None:
    for body in ({}, {"query": "{ hello }"}):
        response = await by_post(apollo, extensions={"persistedQuery": given}, **body)
        assert (response.status_code, outcome(response)) == (400, "BAD_REQUEST")


@pytest.mark.parametrize(
    "query", ["{ nope }", "{", "{ box { inner { inner { name } } } }", "query A { hello } query B { hello }"]
)
async def test_a_document_that_is_no_good_is_not_kept(query: str) -> None:
    async with served(depth_limit=2) as client:
        assert (await by_post(client, query=query, extensions=apq(query))).status_code == 400
        assert outcome(await by_post(client, extensions=apq(query))) == "PERSISTED_QUERY_NOT_FOUND"


async def test_switched_off_a_client_is_told_once_and_sends_texts_from_then_on(folder: Path) -> None:
    async with served(documents=folder, automatic_persisted_queries=False) as client:
        response = await by_post(client, extensions=apq("{ hello { nope } }"))
        assert (response.status_code, response.text) == (
            200,
            '{"errors":[{"message":"PersistedQueryNotSupported","extensions":{"code":"PERSISTED_QUERY_NOT_SUPPORTED"}}]}',
        )
        assert outcome(await by_post(client, query="{box{inner{name}}}", extensions=apq("{box{inner{name}}}"))) == {
            "box": {"inner": {"name": "box"}}
        }
        assert outcome(await by_post(client, extensions=apq("{box{inner{name}}}"))) == UNSUPPORTED
        assert outcome(await by_post(client, extensions=apq(GREET))) == YOU  # a trusted one


async def test_documents_that_clients_bring_never_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MOST_KEPT", 60)
    texts = [f"{{ a{n}: hello }}" for n in range(10, 15)]  # 14 characters each
    async with served() as client:
        for text in texts[:4]:
            await by_post(client, query=text, extensions=apq(text))
        assert outcome(await by_post(client, extensions=apq(texts[0]))) == {"a10": "hello world"}  # the latest, now
        await by_post(client, query=texts[4], extensions=apq(texts[4]))
        found = [outcome(await by_post(client, extensions=apq(text))) != "PERSISTED_QUERY_NOT_FOUND" for text in texts]
        assert found == [True, False, True, True, True]
        long = "{ hello }" + " " * 100
        assert outcome(await by_post(client, query=long, extensions=apq(long))) == HELLO
        assert outcome(await by_post(client, extensions=apq(long))) == "PERSISTED_QUERY_NOT_FOUND"


# Introspection


CLOSED = [
    ("{ hello __schema { types { name } } }", "__schema", 9),
    ("{ ...F } fragment F on Query { ... { s: __schema { queryType { name } } } }", "__schema", 38),
    ('{ __type(name: "Box") { kind fields { name } } }', "fields", 30),
    ('{ __type(name: "Box") { ofType { fields { name } } } }', "fields", 34),
    ('{ __type(name: "Box") { inputFields { name } } }', "inputFields", 25),
    ('{ __type(name: "Box") { interfaces { name } } }', "interfaces", 25),
]  # fmt: skip


@pytest.mark.parametrize(("query", "field", "column"), CLOSED)
async def test_the_schema_is_told_to_administrators_only(query: str, field: str, column: int) -> None:
    for caller in (ANYBODY, READER):
        async with served(caller, introspection=False) as client:
            response = await by_post(client, query=query)
            assert (response.status_code, response.json()) == (400, {"errors": [{
                "message": f"`{field}` is not answered here: introspection is off",
                "locations": [{"line": 1, "column": column}],
                "extensions": {"code": "INTROSPECTION_DISABLED"},
            }]})  # fmt: skip
    async with served(ADMIN, introspection=False) as client:
        assert "errors" not in (await by_post(client, query=query)).json()
    async with served(ANYBODY) as client:
        assert "errors" not in (await by_post(client, query=query)).json()


async def test_what_clients_need_of_a_type_that_they_know_is_told_to_all() -> None:
    query = '{ __typename box { __typename } __type(name: "Size") { __typename kind name possibleTypes { name } enumValues { name } } }'
    async with served(READER, introspection=False) as client:
        assert outcome(await by_post(client, query=query)) == {
            "__typename": "Query",
            "box": {"__typename": "Box"},
            "__type": {
                "__typename": "__Type", "kind": "ENUM", "name": "Size", "possibleTypes": None,
                "enumValues": [{"name": "SMALL"}],
            },
        }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"query": "{ helo }"}, "Cannot query field 'helo' on type 'Query'."),
        ({"query": "{ hello(nam: 1) }"}, "Unknown argument 'nam' on field 'Query.hello'."),
        ({"query": "{ hello(size: SMAL) }"}, "Value 'SMAL' does not exist in 'Size' enum."),
        ({"query": "query($s: Siz) { hello(size: $s) }"}, "Unknown type 'Siz'."),
        (
            {"query": "query($s: Size) { hello(size: $s) }", "variables": {"s": "SMAL"}},
            "Variable '$s' has invalid value: Value 'SMAL' does not exist in 'Size' enum.",
        ),
    ],
)
async def test_a_closed_schema_is_not_told_word_by_word(body: Any, message: str) -> None:
    async with served(READER, introspection=False) as client:
        errors = (await by_post(client, **body)).json()["errors"]
        assert errors[0]["message"] == message
        assert "did you mean" not in str(errors).lower()
    async with served(READER) as client:
        assert "Did you mean" in (await by_post(client, **body)).json()["errors"][0]["message"]


# Limits on trial


OVER = [
    ({"depth_limit": 2}, "query Q { box { inner { inner { name } } } }", "DEPTH_LIMIT", "The operation is nested 3 levels deep; 2 are allowed"),
    ({"alias_limit": 1}, "query Q { a: hello b: hello }", "ALIAS_LIMIT", "The operation has 2 aliases; 1 are allowed"),
    ({"root_field_limit": 1}, "query Q { hello box { name } }", "ROOT_FIELD_LIMIT", "The operation has 2 root fields; 1 are allowed"),
    ({"directive_limit": 0}, "query Q { hello @skip(if: false) }", "DIRECTIVE_LIMIT", "The operation has 1 directives; 0 are allowed"),
    ({"operation_limit": 1}, "query Q { hello } query R { hello }", "OPERATION_LIMIT", "The document has 2 operations; 1 are allowed"),
    ({"token_limit": 100}, "query Q {" + "".join(f" a{n}: hello" for n in range(332)) + "}", "TOKEN_LIMIT", "Syntax Error: Document contains more than 100 tokens. Parsing aborted."),
    ({"cost_limit": 20}, "query Q { box { many(first: 50) { name } } }", "COST_LIMIT", "The operation costs up to 51; 20 is allowed; its dearest list is `many`"),
    ({"depth_limit": 1, "alias_limit": 0, "cost_limit": 1}, "query Q { a: box { inner { name } } }", "DEPTH_LIMIT", "The operation is nested 2 levels deep; 1 are allowed"),
]  # fmt: skip


@pytest.mark.parametrize(("limits", "query", "code", "reason"), OVER, ids=[code for _, _, code, _ in OVER])
async def test_a_limit_on_trial_refuses_nothing_and_tells_of_each_operation(
    limits: dict[str, Any], query: str, code: str, reason: str
) -> None:
    async with served(READER, **limits) as client:
        assert outcome(await by_post(client, query=query, operationName="Q")) == code
    async with served(READER, report_only=True, **limits) as client:
        for _ in range(2):  # the second time it is ready already
            with logged() as log:
                response = await by_post(client, query=query, operationName="Q")
            assert (response.status_code, "errors" in response.json()) == (200, False)
            told = {"code": code, "reason": reason, "operation": "Q", "caller": "token:page"}
            assert lines_of(log, "over a limit") == [{"event": "over a limit", "log_level": "warning", **told}]
        with logged() as log:
            assert outcome(await by_post(client, query="{ hello }")) == HELLO
        assert lines_of(log, "over a limit") == []


async def test_trusted_documents_are_on_trial_too(folder: Path) -> None:
    async with served(READER, documents=folder, trusted_documents="required", report_only=True) as client:
        with logged() as log:
            assert outcome(await by_post(client, documentId="greet")) == YOU
            assert outcome(await by_post(client, query=GREET)) == YOU
        assert lines_of(log, "over a limit") == []
        with logged() as log:
            assert outcome(await by_post(client, **STRANGER)) == BOX
        assert [(line["code"], line["operation"]) for line in lines_of(log, "over a limit")] == [(UNTRUSTED, None)]


async def test_the_rate_is_on_trial_too() -> None:
    def refuse(_caller: Caller, cost: int) -> None:
        raise BadUserInput(f"{cost} is too much")

    async with asking(_operations(Settings(report_only=True), SCHEMA, refuse), READER) as client:
        with logged() as log:
            assert outcome(await by_post(client, query="{ box { name } }")) == BOX
    (line,) = lines_of(log, "over a limit")
    assert (line["reason"], line["caller"]) == ("1 is too much", "token:page")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"query": "{ nope }"}, "GRAPHQL_VALIDATION_FAILED"), ({"query": "{"}, "GRAPHQL_PARSE_FAILED"),
        ({"query": "{" + " hello" * 1000 + "}"}, "TOKEN_LIMIT"), ({"query": "{ __schema { types { name } } }"}, "INTROSPECTION_DISABLED"),
        ({"documentId": "nope"}, "DOCUMENT_NOT_FOUND"), ({"query": "query($s: Size!) { hello(size: $s) }"}, "BAD_USER_INPUT"),
    ],
)  # fmt: skip
async def test_what_is_no_limit_is_refused_all_the_same(body: Any, code: str) -> None:
    async with served(READER, report_only=True, token_limit=100, introspection=False) as client:
        with logged() as log:
            assert outcome(await by_post(client, **body)) == code
        assert lines_of(log, "over a limit") == []


def test_a_trusted_document_over_a_limit_on_trial_does_not_stop_the_start(tmp_path: Path) -> None:
    (tmp_path / "deep.graphql").write_text("{ box { many(first: 100) { inner { name } } } }")
    settings = Settings(documents=tmp_path, depth_limit=2, cost_limit=10, report_only=True)
    assert _operations(settings, SCHEMA, admit_all).ready("{ box { many(first: 100) { inner { name } } } }").excess
