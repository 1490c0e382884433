"""A server for one machine only answers to names of that machine: any other may be a page in somebody's browser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from api.app import create_app
from api.loopback import OwnNamesOnly
from api.server import ListenError, listen
from api.settings import Settings
from tests.api.hostile.wire import Address
from tests.api.streams import SCHEMA, Serving, running

pytestmark = pytest.mark.anyio

EVERYWHERE = "0.0.0.0"  # noqa: S104 - the point
OWN = ["localhost", "localhost:8080", "LOCALHOST:1", "localhost.", "127.0.0.1:8080", "127.0.0.53", "[::1]", "[::1]:8080",
       "portal.localhost", "a.b.localhost:8080"]  # fmt: skip
OTHERS = ["evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", "notlocalhost",
          "192.0.2.1", EVERYWHERE, "[::]", "", "[", "evil.example, localhost"]  # fmt: skip


async def socket(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close(4000)


@asynccontextmanager
async def served() -> AsyncIterator[Serving]:
    async def hello(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("hello")

    routes = [Route("/", hello), WebSocketRoute("/socket", socket)]
    async with running(Starlette(routes=routes, middleware=[Middleware(OwnNamesOnly)]), Settings(port=0)) as serving:
        yield serving


async def test_other_names_are_refused_and_told_what_to_do() -> None:
    async with served() as serving, httpx2.AsyncClient(base_url=f"http://{serving.address}") as client:
        for host in OWN:
            assert (await client.get("/", headers={"host": host})).text == "hello", host
        for host in OTHERS:
            answer = await client.get("/", headers={"host": host})
            assert (answer.status_code, "--insecure" in answer.text) == (421, True), host
        address = Address(int(serving.address.rpartition(":")[2]))
        twice = await address.answers(b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")
        assert twice.status == 421


async def test_sockets_are_refused_too() -> None:
    async with served() as serving:
        url = f"ws://{serving.address}/socket"
        async with connect(url) as own:
            await own.wait_closed()
            assert own.close_code == 4000
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://evil.example:{serving.address.rpartition(':')[2]}/socket", host="127.0.0.1")
        assert refused.value.response.status_code == 421


@pytest.mark.parametrize(
    ("local", "host", "scopes", "checked"),
    [
        (True, "127.0.0.1", None, True),
        (True, "127.0.0.1", "catalog:read", True),
        (True, "127.0.0.1", "none", False),
        (True, EVERYWHERE, "catalog:read", False),
        (False, "127.0.0.1", None, False),
    ],
)
def test_names_are_checked_where_somebody_may_ask_without_a_token_and_only_from_here(
    *, local: bool, host: str, scopes: str | None, checked: bool
) -> None:
    settings = Settings.model_validate({"host": host, "anonymous_scopes": scopes})
    app = create_app(settings, schema=SCHEMA, local=local)
    middleware: list[Any] = [each.cls for each in app.user_middleware]
    assert (OwnNamesOnly in middleware) is checked


@pytest.mark.parametrize(
    ("scopes", "is_taken"),
    [(None, False), ("admin", False), ("catalog:read,catalog:write", False), ("catalog:read", True), ("none", True)],
)
def test_whoever_is_there_may_read_at_most_without_a_token(scopes: str | None, *, is_taken: bool) -> None:
    settings = Settings.model_validate({"host": EVERYWHERE, "port": 0, "anonymous_scopes": scopes})
    if is_taken:
        listen(settings, insecure=False).socket.close()
    else:
        with pytest.raises(ListenError, match="--insecure"):
            listen(settings, insecure=False)
    listen(settings, insecure=True).socket.close()
