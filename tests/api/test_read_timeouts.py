"""Requests that begin and do not end, byte by byte or without bound: each is refused, and the server has its peace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import repeat

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect

from api.prompt import HEAD_LIMIT
from api.settings import Settings
from tests.api.streams import Serving, Stage, running, served

pytestmark = pytest.mark.anyio

TIME = 0.5  # seconds that a head may take, and a body
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LATE = b"The request did not come in time.\n"
LONG = b"The head of the request may have 65536 bytes.\n"


@dataclass
class Gate:
    """Where an answer waits until the test lets it go."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    def shut(self) -> None:
        """As it was at first."""
        self.reached.clear()
        self.go.clear()


def app(gate: Gate) -> Starlette:
    async def hello(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"hello {len(await request.body())}")

    async def deaf(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("who reads bodies?")

    async def slow(_request: Request) -> PlainTextResponse:
        gate.reached.set()
        await gate.go.wait()
        return PlainTextResponse("at last")

    async def stream(_request: Request) -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"first"
            gate.reached.set()
            await gate.go.wait()
            yield b"last"

        return StreamingResponse(parts())

    async def socket(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(await socket.receive_text())
        await socket.close()

    return Starlette(
        routes=[
            Route("/", hello, methods=["GET", "HEAD", "POST"]),
            Route("/deaf", deaf, methods=["POST"]),
            Route("/slow", slow),
            Route("/stream", stream),
            WebSocketRoute("/socket", socket),
        ]
    )


@dataclass
class Scene:
    """A server that runs, and the gate in it."""

    serving: Serving
    gate: Gate


@pytest.fixture(scope="module")
async def scene() -> AsyncIterator[Scene]:
    gate, settings = Gate(), Settings(port=0, read_timeout=TIME)
    async with running(app(gate), settings) as serving:
        yield Scene(serving, gate)
        gate.go.set()


@pytest.fixture
def server(scene: Scene) -> Serving:
    return scene.serving


@pytest.fixture
def gate(scene: Scene) -> Gate:
    scene.gate.shut()
    return scene.gate


@dataclass
class Client:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    opened: float

    async def say(self, *parts: bytes, every: float = 0.0) -> None:
        """Send the parts; as many as the server takes."""
        with suppress(ConnectionError):
            for part in parts:
                self.writer.write(part)
                await self.writer.drain()
                await asyncio.sleep(every)

    async def rest(self) -> bytes:
        """All that comes until the server closes."""
        async with asyncio.timeout(5):
            return await self.reader.read()

    async def until(self, text: bytes) -> None:
        async with asyncio.timeout(5):
            await self.reader.readuntil(text)

    @property
    def age(self) -> float:
        return asyncio.get_running_loop().time() - self.opened


@asynccontextmanager
async def connected(server: Serving) -> AsyncIterator[Client]:
    host, _, port = server.address.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield Client(reader, writer, asyncio.get_running_loop().time())
    finally:
        writer.transport.abort()


def in_time(client: Client) -> bool:
    """Whether the connection ended when it should: not before its time, and not long after."""
    return TIME - 0.05 <= client.age < TIME + 1.9


def refused(answer: bytes, status: bytes, text: bytes) -> bool:
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.startswith(b"HTTP/1.1 " + status) and b"connection: close" in head and body == text


async def closes_with(server: Serving, *parts: bytes, every: float = 0.0) -> tuple[bytes, bool]:
    """What is answered to the parts, and whether the connection ended in time."""
    async with connected(server) as client:
        saying = asyncio.create_task(client.say(*parts, every=every))
        answer = await client.rest()
        ended = in_time(client)
        saying.cancel()
        return answer, ended


# Heads


async def test_who_says_nothing_is_left_without_a_word(server: Serving) -> None:
    assert await closes_with(server) == (b"", True)


async def test_a_head_that_stops_or_trickles_is_408(server: Serving) -> None:
    line, header = b"GET / HTTP/1.1\r\n", b"X-A: b\r\n"
    stops = [b"G", b"GET / HT", line, line + header, line + header + b"X", b"\r\n"]
    trickles = [
        [line, *repeat(header, 200)],
        list(repeat(b"\r\n", 200)),
        [bytes([byte]) for byte in line + header * 20],
    ]
    heads = [[head] for head in stops] + trickles
    answers = await asyncio.gather(*(closes_with(server, *head, every=0.02) for head in heads))
    for head, (answer, ended) in zip(heads, answers, strict=True):
        assert refused(answer, b"408 Request Timeout", LATE), head
        assert ended, head


async def test_a_further_head_has_its_time_from_its_own_first_byte(server: Serving) -> None:
    async with connected(server) as client:
        await asyncio.sleep(TIME * 0.75)
        await client.say(GET)
        await client.until(b"hello 0")
        await asyncio.sleep(TIME * 0.75)  # longer than from the opening
        await client.say(GET)
        await client.until(b"hello 0")
        client.opened = asyncio.get_running_loop().time()
        await client.say(*[bytes([byte]) for byte in GET[:-1]], every=TIME / 10)
        assert refused(await client.rest(), b"408 Request Timeout", LATE)
        assert in_time(client)


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nCookie: " + b"x" * 200_000,
        b"GET / HTTP/1.1\r\n" + b"X-A: b\r\n" * 20_000,
        b"GET /" + b"x" * 200_000,
    ],
    ids=["one header", "many headers", "a line"],
)
async def test_a_head_without_end_is_refused_and_not_kept(server: Serving, head: bytes) -> None:
    async with connected(server) as client:
        await client.say(head)
        assert refused(await client.rest(), b"431 Request Header Fields Too Large", LONG)
        assert client.age < TIME


async def test_what_is_no_http_is_400(server: Serving) -> None:
    async with connected(server) as client:
        await client.say(b"G" * 200_000)
        assert refused(await client.rest(), b"400 Bad Request", b"Invalid HTTP request received.")


@pytest.mark.parametrize(("spare", "status"), [(0, b"200 OK"), (-1, b"431 Request Header Fields Too Large")])
@pytest.mark.parametrize("pieces", [1, 7])
async def test_the_limit_of_a_head_is_exact(server: Serving, spare: int, status: bytes, pieces: int) -> None:
    padding = HEAD_LIMIT - len(b"GET / HTTP/1.1\r\nX: \r\n\r\n") - spare
    head = b"GET / HTTP/1.1\r\nX: " + b"x" * padding + b"\r\n\r\n"
    size = len(head) // pieces + 1
    async with connected(server) as client:
        await client.say(*(head[start : start + size] for start in range(0, len(head), size)), every=0.01)
        await client.until(b"HTTP/1.1 " + status)


# Bodies


async def test_a_body_that_stops_is_408_in_the_words_of_the_graph() -> None:
    answers = [
        b"content-length: 100\r\n\r\n{",
        b"transfer-encoding: chunked\r\n\r\n1\r\n{\r\n",
    ]
    async with served(Stage(), read_timeout=TIME) as server:
        for body in answers:
            head = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            answer, ended = await closes_with(server, head + body)
            assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
            assert answer.endswith(
                b'{"errors":[{"message":"The body must come within 0.5 seconds",'
                b'"extensions":{"code":"REQUEST_TIMEOUT"}}]}'
            )
            assert ended


async def test_a_body_that_trickles_ends_its_connection(server: Serving) -> None:
    async def trickle(path: bytes, header: bytes, drop: bytes) -> tuple[bytes, float]:
        head = b"POST " + path + b" HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n\r\n"
        async with connected(server) as client:
            saying = asyncio.create_task(client.say(head, *repeat(drop, 200), every=0.02))
            answer, age = await client.rest(), client.age
            saying.cancel()
            return answer, age

    ways = [(b"content-length: 1000", b"x"), (b"transfer-encoding: chunked", b"1\r\nx\r\n")]
    cases = [(path, *way) for path in (b"/", b"/deaf") for way in ways]
    for case, (answer, age) in zip(cases, await asyncio.gather(*(trickle(*case) for case in cases)), strict=True):
        assert answer.endswith(LATE if case[0] == b"/" else b"who reads bodies?"), case
        assert TIME < age < TIME + 2.5, case


@pytest.mark.parametrize("trailer", [b"X-A: b\r\n" * 20_000, b"X-A: " + b"b" * 200_000], ids=["many", "a long one"])
async def test_trailers_without_end_are_refused(server: Serving, trailer: bytes) -> None:
    async with connected(server) as client:
        await client.say(b"POST / HTTP/1.1\r\nHost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n" + trailer)
        assert refused(await client.rest(), b"431 Request Header Fields Too Large", LONG)
        assert client.age < TIME


async def test_a_body_may_take_as_long_as_a_head_did(server: Serving) -> None:
    async with connected(server) as client:
        await client.say(b"POST / HTTP/1.1\r\nHost: x\r\n")
        await asyncio.sleep(TIME * 0.75)
        await client.say(b"content-length: 3\r\n\r\na")
        await asyncio.sleep(TIME * 0.75)
        await client.say(b"bc")
        await client.until(b"hello 3")


async def test_a_large_body_passes_in_any_pieces(server: Serving) -> None:
    async with connected(server) as client:
        await client.say(b"POST / HTTP/1.1\r\nHost: x\r\ncontent-length: 1000000\r\n\r\n", *repeat(b"x" * 100_000, 10))
        await client.until(b"hello 1000000")


# Upgrades


async def test_a_handshake_is_read_like_any_head(server: Serving) -> None:
    head = b"GET /socket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    answer, ended = await closes_with(server, head)
    assert refused(answer, b"408 Request Timeout", LATE)
    assert ended


@pytest.mark.parametrize(
    "header",
    [b"content-length: 1000", b"transfer-encoding: chunked", b"X: " + b"x" * 10_000, b"X: y\r\n" * 200 + b"X: y"],
    ids=["a body", "chunks", "a long header", "many headers"],
)
async def test_a_handshake_that_cannot_be_is_refused_and_not_left_open(server: Serving, header: bytes) -> None:
    head = b"GET /socket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    async with connected(server) as client:
        await client.say(head + header + b"\r\n\r\n")
        assert (await client.rest())[:12] in {b"HTTP/1.1 400", b"HTTP/1.1 431"}
        assert client.age < TIME


async def test_another_protocol_is_not_spoken(server: Serving) -> None:
    async with connected(server) as client:
        await client.say(
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", b"PRI", every=0.02
        )
        answer = await client.rest()
        assert b"hello 0HTTP/1.1 408 " in answer
        assert in_time(client)


async def test_a_body_is_not_lost_where_the_client_would_rather_speak_http_2(server: Serving) -> None:
    async with connected(server) as client:
        head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nHTTP2-Settings: AAM\r\n"
        body = b"\r\nUpgrade: h2c\r\n"  # which is left as it is
        await client.say(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        await client.until(b"hello 16")


async def test_a_socket_may_be_silent_for_longer(server: Serving) -> None:
    async with connect(f"ws://{server.address}/socket") as socket:
        await asyncio.sleep(TIME * 1.5)
        await socket.send("still here")
        assert await socket.recv() == "still here"


# What is none of this


async def test_who_waits_for_an_answer_is_not_hurried(server: Serving, gate: Gate) -> None:
    async with connected(server) as client:
        await client.say(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        await gate.reached.wait()
        await asyncio.sleep(TIME * 1.5)
        gate.go.set()
        await client.until(b"at last")
        await client.say(GET)
        await client.until(b"hello 0")


@pytest.mark.parametrize("path", [b"/slow", b"/stream"])
@pytest.mark.parametrize("begun", [b"\r\n", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nX: " + b"x" * 200_000])
async def test_an_answer_is_not_cut_by_what_was_begun_behind_it(
    server: Serving, gate: Gate, path: bytes, begun: bytes
) -> None:
    async with connected(server) as client:
        await client.say(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n", begun, every=0.02)
        await gate.reached.wait()
        await asyncio.sleep(TIME * 1.5)
        gate.go.set()
        answer = await client.rest()
        assert answer.count(b"HTTP/1.1 ") == 1
        assert answer.endswith((b"at last", b"4\r\nlast\r\n0\r\n\r\n"))


async def test_a_body_behind_a_slow_answer_has_its_time_when_it_is_read(server: Serving, gate: Gate) -> None:
    async with connected(server) as client:
        await client.say(
            b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\nPOST / HTTP/1.1\r\nHost: x\r\ncontent-length: 2\r\n\r\na"
        )
        await gate.reached.wait()
        await asyncio.sleep(TIME * 4)
        gate.go.set()
        await client.until(b"at last")
        await asyncio.sleep(TIME / 2)
        await client.say(b"b")
        await client.until(b"hello 2")


async def test_requests_in_one_packet_are_answered_in_order(server: Serving) -> None:
    async with connected(server) as client:
        await client.say(
            GET + b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" + GET + b"POST / HTTP/1.1\r\ncontent-length: 1\r\n\r\nx"
        )
        await client.until(b"hello 0")
        await client.until(b"content-length: 7")
        await client.until(b"hello 0")
        await client.until(b"hello 1")


async def until_none(server: Serving) -> None:
    """Until no connection is open, and nothing is answered."""
    state = server._server.server_state
    async with asyncio.timeout(3):
        while state.connections or state.tasks:
            await asyncio.sleep(0.02)


async def test_half_open_connections_are_gone_after_their_time(server: Serving) -> None:
    connections = server._server.server_state.connections
    await until_none(server)
    host, _, port = server.address.partition(":")
    halves = [
        b"",
        b"GET / HT",
        b"POST / HTTP/1.1\r\ncontent-length: 9\r\n\r\nx",
        b"GET / HTTP/1.1\r\nX: " + b"x" * 60_000,
    ]
    opened = []
    for number in range(200):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(halves[number % len(halves)])
        opened.append((reader, writer))
    assert len(connections) == 200
    answers = [await reader.read() for reader, _ in opened]
    assert sorted({answer[:12] for answer in answers}) == [b"", b"HTTP/1.1 408"]
    await until_none(server)
    for _, writer in opened:
        writer.close()
