"""GraphQL on websockets: the protocol to the letter, and no client that holds what is not its own."""

from __future__ import annotations

import asyncio
import json
import socket as sockets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

from api import server
from api.app import create_app
from api.settings import Settings
from tests.api.streams import SECRET, Serving, Stage, lines_of, locked, logged, running, served, stopped, until

pytestmark = pytest.mark.anyio

PROTOCOL = "graphql-transport-ws"
BIG = 20_000  # characters


@pytest.fixture
def stage() -> Stage:
    return Stage()


@asynccontextmanager
async def opened(
    serving: Serving, *, protocols: tuple[str, ...] = (PROTOCOL,), origin: str | None = None, **more: Any
) -> AsyncIterator[ClientConnection]:
    """A socket after its handshake."""
    address = f"ws://{serving.address}/graphql"
    given = {"subprotocols": [*map(Subprotocol, protocols)] or None, "origin": origin and Origin(origin), **more}
    async with connect(address, proxy=None, close_timeout=1, **given) as socket:
        yield socket


@asynccontextmanager
async def greeted(serving: Serving, payload: Any = None, **more: Any) -> AsyncIterator[ClientConnection]:
    """A socket on which operations may begin."""
    async with opened(serving, **more) as socket:
        await say(socket, type="connection_init", payload=payload)
        assert await hear(socket) == {"type": "connection_ack"}
        yield socket


@asynccontextmanager
async def talking(stage: Stage, **settings: Any) -> AsyncIterator[ClientConnection]:
    async with served(stage, **settings) as serving, greeted(serving) as socket:
        yield socket


async def say(socket: ClientConnection, **message: Any) -> None:
    await socket.send(json.dumps(message))


async def ask(socket: ClientConnection, name: str, query: str, **more: Any) -> None:
    await say(socket, type="subscribe", id=name, payload={"query": query, **more})


async def hear(socket: ClientConnection) -> Any:
    text = await asyncio.wait_for(socket.recv(), 10)
    assert isinstance(text, str)  # never a binary frame
    return json.loads(text)


async def heard(socket: ClientConnection, count: int) -> list[Any]:
    return [await hear(socket) for _ in range(count)]


async def close_of(socket: ClientConnection) -> tuple[int | None, str | None]:
    """The code and the reason with which the server closes the socket, as the next thing that it does."""
    with pytest.raises(ConnectionClosed) as closed:
        await asyncio.wait_for(socket.recv(), 10)
    close = closed.value.rcvd
    return (close.code, close.reason) if close else (None, None)


def next_(name: str, cost: int = 0, **data: Any) -> dict[str, Any]:
    return {"id": name, "type": "next", "payload": {"data": data, "extensions": {"cost": cost}}}


def complete(name: str) -> dict[str, Any]:
    return {"id": name, "type": "complete"}


# Operations


async def test_a_subscription_gives_its_events_and_says_that_it_is_over(stage: Stage) -> None:
    async with talking(stage) as socket:
        await ask(socket, "a", "subscription ($to: Int!) { ticks(to: $to) { number } }", variables={"to": 2})
        assert await heard(socket, 3) == [
            next_("a", 1, ticks={"number": 1}),
            next_("a", 1, ticks={"number": 2}),
            complete("a"),
        ]


async def test_a_query_and_a_mutation_have_one_answer_each(stage: Stage) -> None:
    async with talking(stage) as socket:
        await ask(socket, "q", "query A { hello } query B { broken }", operationName="A")
        assert await heard(socket, 2) == [next_("q", hello="hello world"), complete("q")]
        await ask(socket, "m", "mutation { touch }")
        assert await heard(socket, 2) == [next_("m", touch=1), complete("m")]


async def test_any_letters_come_through_both_ways(stage: Stage) -> None:
    name = "Björk 🎧 \u2028 \U0010ffff"
    async with talking(stage) as socket:
        await ask(socket, "ü", "query ($n: String!) { hello(name: $n) }", variables={"n": name})
        assert await hear(socket) == next_("ü", hello=f"hello {name}")


async def test_two_operations_take_turns_on_one_socket(stage: Stage) -> None:
    async with talking(stage) as socket:
        await ask(socket, "a", "subscription { waiting }")
        assert await hear(socket) == next_("a", waiting=1)
        await ask(socket, "b", "{ hello }")
        assert await heard(socket, 2) == [next_("b", hello="hello world"), complete("b")]
        stage.go.set()
        assert await heard(socket, 2) == [next_("a", waiting=2), complete("a")]


async def test_a_long_stream_does_not_keep_others_waiting(stage: Stage) -> None:
    async with talking(stage) as socket:
        await ask(socket, "long", "subscription { ticks(to: 100000) { number } }")
        await ask(socket, "short", "{ hello }")
        names = [(await hear(socket))["id"] for _ in range(1000)]
        assert [name for name in names if name != "long"] == ["short", "short"]


async def test_each_event_is_answered_in_a_context_of_its_own(stage: Stage) -> None:
    async with talking(stage) as socket:
        await ask(socket, "a", "subscription { ticks { context } }")
        contexts = [message["payload"]["data"]["ticks"]["context"] for message in await heard(socket, 3)]
        assert contexts == [2, 3, 4]  # the first is that of the stream
        await hear(socket)
        assert stage.entered == 0


async def test_what_the_client_says_of_itself_is_kept_for_its_operations(stage: Stage) -> None:
    async with served(stage) as serving, greeted(serving, {"authorization": "Bearer x"}) as socket:
        await ask(socket, "a", "{ greeting }")
        assert await hear(socket) == next_("a", greeting={"authorization": "Bearer x"})


# What is refused


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"query": "{"}, "GRAPHQL_PARSE_FAILED"),
    ({"query": "subscription { nope }"}, "GRAPHQL_VALIDATION_FAILED"),
    ({"query": "{ hello }", "operationName": "A"}, "OPERATION_NOT_FOUND"),
    ({"query": "query ($n: String!) { hello(name: $n) }"}, "BAD_USER_INPUT"),
    ({"query": "subscription ($n: Int!) { ticks(to: $n) { number } }", "variables": {"n": "x"}}, "BAD_USER_INPUT"),
    ({"query": "query ($n: String) { hello(name: $n) }", "variables": {"n": "\0"}}, "BAD_USER_INPUT"),
    ({"query": "{ hello }", "variables": {"a": [0] * 10_000}}, "BAD_USER_INPUT"),
    ({"query": "subscription { refused }"}, "BAD_USER_INPUT"),
    ({"query": f"{{ {'a: hello ' * 999} }}"}, "TOKEN_LIMIT"),
]


async def test_a_refused_operation_is_one_error_and_the_socket_goes_on(stage: Stage) -> None:
    async with talking(stage) as socket:
        for payload, code in REFUSED:
            await say(socket, type="subscribe", id="a", payload=payload)
            message = await hear(socket)
            codes = [error["extensions"]["code"] for error in message["payload"]]
            assert (message["id"], message["type"], codes) == ("a", "error", [code])
        await ask(socket, "a", "{ hello }")
        assert await hear(socket) == next_("a", hello="hello world")


async def test_an_operation_too_many_is_an_error_and_the_others_go_on(stage: Stage) -> None:
    async with talking(stage, socket_operation_limit=2) as socket:
        await ask(socket, "a", "{ slow }")
        await ask(socket, "b", "{ slow }")
        await ask(socket, "c", "{ slow }")
        message = await hear(socket)
        assert (message["id"], message["type"]) == ("c", "error")
        assert [error["extensions"]["code"] for error in message["payload"]] == ["OPERATION_LIMIT"]
        stage.go.set()
        assert {message["id"] for message in await heard(socket, 4)} == {"a", "b"}
        await ask(socket, "c", "{ hello }")
        assert await hear(socket) == next_("c", hello="hello world")


# Failures


@pytest.mark.parametrize("field", ["failing", "unmade"])
async def test_a_stream_that_breaks_ends_in_a_masked_error_that_is_logged_once(stage: Stage, field: str) -> None:
    with logged() as log:
        async with (
            served(stage) as serving,
            greeted(serving, additional_headers={"x-request-id": "id-1"}) as socket,
        ):
            assert socket.response is not None
            assert socket.response.headers["x-request-id"] == "id-1"
            await ask(socket, "a", f"subscription {{ {field} }}")
            if field == "failing":
                assert await hear(socket) == next_("a", failing=1)
            error = {"message": "Internal error", "extensions": {"code": "INTERNAL", "requestId": "id-1"}}
            assert await hear(socket) == {"id": "a", "type": "error", "payload": [error]}
    (line,) = [line for line in log if line["log_level"] == "error"]
    assert str(line["exc_info"]) == SECRET


async def test_an_event_that_fails_in_part_is_answered_in_part_and_the_next_one_comes(stage: Stage) -> None:
    async with talking(stage) as socket:
        await ask(socket, "a", "subscription { ticks(to: 2) { number broken } }")
        messages = await heard(socket, 3)
        assert [message["payload"]["data"] for message in messages[:2]] == [
            {"ticks": {"number": number, "broken": None}} for number in (1, 2)
        ]
        assert {error["extensions"]["code"] for message in messages[:2] for error in message["payload"]["errors"]} == {
            "INTERNAL"
        }
        assert messages[2] == complete("a")


async def test_an_answer_to_an_event_has_a_time_limit_and_the_stream_has_none(stage: Stage) -> None:
    async with talking(stage, operation_timeout=0.05) as socket:
        await ask(socket, "slow", "subscription { ticks { slow } }")
        message = await hear(socket)
        assert [error["extensions"]["code"] for error in message["payload"]] == ["TIMEOUT"]
        assert stage.closed.is_set()
        await ask(socket, "long", "subscription { waiting }")
        assert await hear(socket) == next_("long", waiting=1)
        await ask(socket, "query", "{ slow }")  # which takes as long as an answer may
        assert (await hear(socket))["payload"][0]["extensions"]["code"] == "TIMEOUT"
        stage.go.set()
        assert await hear(socket) == next_("long", waiting=2)


# Ends


async def test_a_client_that_completes_an_operation_closes_its_stream_at_once(stage: Stage) -> None:
    async with talking(stage) as socket:
        await ask(socket, "a", "subscription { waiting }")
        await hear(socket)
        await say(socket, **complete("a"))
        await say(socket, type="ping")
        assert await hear(socket) == {"type": "pong"}  # the next message: nothing of the operation follows
        assert stage.closed.is_set()
        await ask(socket, "a", "{ hello }")  # its name is free again
        assert await hear(socket) == next_("a", hello="hello world")


async def test_an_operation_may_be_completed_before_it_has_begun_and_after_it_has_ended(stage: Stage) -> None:
    async with talking(stage) as socket:
        await ask(socket, "a", "{ slow }")
        await say(socket, **complete("a"))
        await say(socket, **complete("a"))
        await ask(socket, "a", "{ hello }")
        assert await hear(socket) == next_("a", hello="hello world")


@pytest.mark.parametrize("operation", ["subscription { waiting }", "{ slow }", "subscription { ticks { slow } }"])
async def test_a_client_that_leaves_ends_all_its_operations(stage: Stage, operation: str) -> None:
    async with served(stage) as serving:
        async with greeted(serving) as socket:
            await ask(socket, "a", operation)
            await stage.begun.wait()
            assert stage.entered > 0
            socket.transport.abort()
        await until(stage.is_empty)


async def test_an_operation_of_a_client_that_leaves_is_cancelled_down_to_postgres(database_url: str) -> None:
    settings = Settings.from_environ({"DATABASE_URL": database_url, "CATALOGRAPH_PORT": "0"})
    async with running(create_app(settings), settings) as serving, locked(database_url, "entity") as waiting:
        async with greeted(serving) as socket:
            await ask(socket, "a", "{ entities { totalCount } }")
            await until(lambda: waiting(1))
        await until(lambda: waiting(0))


# The protocol


async def test_a_ping_has_a_pong_also_before_the_greeting(stage: Stage) -> None:
    async with served(stage) as serving, opened(serving) as socket:
        await say(socket, type="ping", payload={"any": 1})
        assert await hear(socket) == {"type": "pong"}
        await say(socket, type="pong")
        await say(socket, type="connection_init")
        assert await hear(socket) == {"type": "connection_ack"}


async def test_a_socket_without_a_greeting_is_closed(stage: Stage) -> None:
    async with served(stage, socket_init_timeout=0.1) as serving, opened(serving) as socket:
        assert await close_of(socket) == (4408, "Connection initialisation timeout")


async def test_a_socket_that_was_greeted_has_no_time_limit(stage: Stage) -> None:
    async with talking(stage, socket_init_timeout=0.1) as socket:
        await asyncio.sleep(0.2)
        await ask(socket, "a", "{ hello }")
        assert await hear(socket) == next_("a", hello="hello world")


async def test_who_subscribes_before_the_greeting_is_closed(stage: Stage) -> None:
    async with served(stage) as serving, opened(serving) as socket:
        await ask(socket, "a", "mutation { touch }")
        assert await close_of(socket) == (4401, "Unauthorized")
    assert stage.touched == 0


@pytest.mark.parametrize("running_", ["{ slow }", "subscription { waiting }"])
async def test_a_name_that_is_in_use_closes_the_socket_and_what_runs_on_it(stage: Stage, running_: str) -> None:
    async with talking(stage) as socket:
        await ask(socket, "a" * 200, running_)
        await stage.begun.wait()
        if "waiting" in running_:
            await hear(socket)
        await ask(socket, "a" * 200, "mutation { touch }")
        code, reason = await close_of(socket)
    assert (code, reason) == (4409, ("Subscriber for " + "a" * 200)[:123])
    assert (stage.touched, stage.entered) == (0, 0)


async def test_a_message_that_is_too_long_closes_the_socket(stage: Stage) -> None:
    async with talking(stage) as socket:
        await say(socket, type="ping", payload={"": "x" * 255_900})
        assert await hear(socket) == {"type": "pong"}
        await say(socket, type="ping", payload={"": "x" * 256_000})
        assert (await close_of(socket))[0] == 1009


async def test_of_several_protocols_ours_is_chosen(stage: Stage) -> None:
    async with served(stage) as serving, opened(serving, protocols=("graphql-ws", PROTOCOL)) as socket:
        assert socket.subprotocol == PROTOCOL


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost", "http://127.0.0.1:1", ""])
async def test_a_page_of_another_origin_is_kept_out(stage: Stage, origin: str) -> None:
    async with served(stage, cors_origins="https://portal.example.com") as serving:
        with pytest.raises(InvalidStatus) as refused:
            await connect(
                f"ws://{serving.address}/graphql",
                subprotocols=[Subprotocol(PROTOCOL)],
                origin=Origin(origin),
                proxy=None,
            )
    assert refused.value.response.status_code == 403


async def test_our_own_pages_and_those_that_were_named_are_let_in(stage: Stage) -> None:
    async with served(stage, cors_origins="https://portal.example.com") as serving:
        for origin in (None, f"http://{serving.address}", f"https://{serving.address}", "https://portal.example.com"):
            async with greeted(serving, origin=origin):
                pass


# Clients that do not read


async def test_a_client_that_never_reads_gets_no_more_than_buffers_hold(stage: Stage) -> None:
    async with talking_to_a_deaf_client(stage) as (_, socket):
        await ask(socket, "a", f"subscription {{ ticks(to: 10000, size: {BIG}) {{ number text }} }}")
        assert await stopped(lambda: stage.made) < 1000  # some megabytes, of 400
    assert stage.closed.is_set()
    assert stage.entered == 0


@asynccontextmanager
async def talking_to_a_deaf_client(stage: Stage, **settings: Any) -> AsyncIterator[tuple[Serving, ClientConnection]]:
    """Its connection takes some messages, and then no byte more."""
    async with served(stage, **settings) as serving, greeted(serving, max_queue=1, ping_interval=None) as socket:
        yield serving, socket
        socket.transport.abort()


async def test_a_client_that_reads_again_misses_nothing(stage: Stage) -> None:
    async with talking_to_a_deaf_client(stage) as (_, socket):
        await ask(socket, "a", f"subscription {{ ticks(to: 1000, size: {BIG}) {{ number text }} }}")
        assert await stopped(lambda: stage.made) < 1000
        messages = await heard(socket, 1001)
        assert [message["payload"]["data"]["ticks"]["number"] for message in messages[:-1]] == [*range(1, 1001)]


async def test_a_client_that_never_reads_is_cut_off_and_until_then_costs_two_messages(stage: Stage) -> None:
    with logged() as log:
        async with talking_to_a_deaf_client(stage, slow_client_timeout=0.5) as (_, socket):
            for number in range(20):
                await ask(socket, f"{number}", f"subscription {{ ticks(to: 10000, size: {BIG}) {{ number text }} }}")
            await asyncio.wait_for(stage.closed.wait(), 10)
            await until(stage.is_empty)
    (cut,) = lines_of(log, "client cut off")
    message = 2 * BIG + 200  # bytes
    assert 10_000 < cut["waiting_bytes"] < 65_536 + 2 * message  # not one for each operation


async def test_a_client_that_reads_slowly_is_not_cut_off(stage: Stage) -> None:
    async with talking_to_a_deaf_client(stage, slow_client_timeout=0.3) as (_, socket):
        await ask(socket, "a", f"subscription {{ ticks(to: 2000, size: {BIG}) {{ number text }} }}")
        for _ in range(100):
            await asyncio.sleep(0.01)
            await heard(socket, 20)
        assert await hear(socket) == complete("a")


async def test_of_a_client_that_never_reads_no_more_operations_begin(stage: Stage) -> None:
    async with talking_to_a_deaf_client(stage) as (_, socket):

        async def flood() -> None:
            for number in range(1_000_000):
                await ask(socket, f"{number}", "subscription { refused }" + " " * 1000)

        flooding = asyncio.create_task(flood())
        await stopped(lambda: stage.contexts)
        assert not flooding.done()  # the server has stopped reading
        flooding.cancel()


# The server stops


async def test_a_server_that_stops_answers_what_has_an_end_and_closes_the_socket(stage: Stage) -> None:
    async with served(stage) as serving, greeted(serving) as socket:
        await ask(socket, "endless", "subscription { waiting }")
        assert await hear(socket) == next_("endless", waiting=1)
        await ask(socket, "query", "{ slow }")
        stage.begun.clear()
        await stage.begun.wait()
        serving.stop()
        await stage.closed.wait()
        stage.go.set()
        assert await heard(socket, 2) == [next_("query", slow="at last"), complete("query")]
        assert await close_of(socket) == (1012, "Service restart")
        await asyncio.wait_for(serving.task, 10)


async def test_an_idle_socket_does_not_hold_a_server_up(stage: Stage) -> None:
    async with served(stage) as serving, opened(serving) as socket, greeted(serving) as other:
        serving.stop()
        assert [(await close_of(one))[0] for one in (socket, other)] == [1012, 1012]
        await asyncio.wait_for(serving.task, 10)


async def test_a_client_that_never_reads_does_not_hold_a_server_up(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_FAREWELL", 0.2)
    async with talking_to_a_deaf_client(stage) as (serving, socket):
        await ask(socket, "a", f"subscription {{ ticks(to: 10000, size: {BIG}) {{ number text }} }}")
        await stopped(lambda: stage.made)
        serving.stop()
        await asyncio.wait_for(serving.task, 10)


async def test_a_client_that_does_not_answer_a_close_does_not_hold_a_server_up(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_FAREWELL", 0.2)
    async with served(stage) as serving:
        host, _, port = serving.address.partition(":")
        with sockets.create_connection((host, int(port))) as mute:
            mute.setblocking(False)  # noqa: FBT003 - the socket's own
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(
                mute,
                b"GET /graphql HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n",
            )
            assert (await loop.sock_recv(mute, 1000)).startswith(b"HTTP/1.1 101 ")
            serving.stop()
            await asyncio.wait_for(serving.task, 10)


# The log


async def test_a_socket_is_one_line_and_each_operation_on_it_another(stage: Stage) -> None:
    with logged() as log:
        async with served(stage) as serving, greeted(serving) as socket:
            await ask(socket, "a" * 100, "subscription Ticks { ticks { number } }")
            await heard(socket, 4)
            await ask(socket, "b", "subscription { refused }")
            await hear(socket)
            await ask(socket, "c", "subscription Waiting { waiting }")
            await hear(socket)
    common = {"event": "operation", "log_level": "info", "caller": None}  # nobody was asked
    assert lines_of(log, "operation") == [
        {**common, "operation": "Ticks", "id": "a" * 64, "answers": 3, "statements": 4, "end": "complete"},
        {**common, "operation": None, "id": "b", "answers": 0, "statements": 1, "end": "error"},
        {**common, "operation": "Waiting", "id": "c", "answers": 1, "statements": 2, "end": "cancelled"},
    ]
    assert lines_of(log, "socket") == [
        {"event": "socket", "log_level": "info", "path": "/graphql", "code": 1000, "operations": 3}
    ]
    assert [line["log_level"] for line in log] == ["info"] * 4
