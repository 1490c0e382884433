"""Answers as server-sent events: what an EventSource and a fetch see, and no client that holds what is not its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from api import server, sse
from api.app import create_app
from api.settings import Settings
from tests.api.streams import SECRET, Serving, Stage, lines_of, locked, logged, running, served, stopped, until

pytestmark = pytest.mark.anyio

BIG = 20_000  # characters
COMPLETE = ("complete", "")


@pytest.fixture
def stage() -> Stage:
    return Stage()


class Stream:
    """The events of an answer, as an EventSource reads them."""

    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def event(self) -> tuple[str, Any]:
        """The next event: its name and its data. A comment is one called ':'."""
        name, data = "message", None
        async with asyncio.timeout(10):
            async for line in self._lines:
                field, _, value = line.partition(":")
                match field:
                    case "event":
                        name = value.removeprefix(" ")
                    case "data":
                        data = value.removeprefix(" ")
                    case "" if line:
                        name = ":"
                    case "":
                        return name, json.loads(data) if data else data
        raise EOFError

    async def rest(self) -> list[tuple[str, Any]]:
        events = []
        try:
            while True:
                events.append(await self.event())
        except EOFError:
            return events


@asynccontextmanager
async def streamed(serving: Serving, query: str, method: str = "POST", **more: Any) -> AsyncIterator[Stream]:
    request: dict[str, Any] = (
        {"json": {"query": query, **more}} if method == "POST" else {"params": {"query": query, **more}}
    )
    async with (
        httpx2.AsyncClient(base_url=f"http://{serving.address}", timeout=10, trust_env=False) as client,
        client.stream(method, "/graphql", headers={"accept": "text/event-stream"}, **request) as response,
    ):
        yield Stream(response)


async def answered(
    stage: Stage, query: str, method: str = "POST", accept: str = "text/event-stream"
) -> httpx2.Response:
    request: dict[str, Any] = {"json": {"query": query}} if method == "POST" else {"params": {"query": query}}
    async with (
        served(stage) as serving,
        httpx2.AsyncClient(base_url=f"http://{serving.address}", timeout=10, trust_env=False) as client,
    ):
        return await client.request(method, "/graphql", headers={"accept": accept}, **request)


def next_(cost: int = 0, **data: Any) -> tuple[str, Any]:
    return "next", {"data": data, "extensions": {"cost": cost}}


# What comes


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_subscription_gives_its_events_and_says_that_it_is_over(stage: Stage, method: str) -> None:
    query = "subscription { ticks(to: 2, size: 1) { number text } }"
    async with served(stage) as serving, streamed(serving, query, method) as stream:
        assert await stream.rest() == [
            next_(1, ticks={"number": 1, "text": "ü"}),
            next_(1, ticks={"number": 2, "text": "ü"}),
            COMPLETE,
        ]
        headers = stream.response.headers
    assert stream.response.status_code == 200
    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    assert (headers["cache-control"], headers["x-accel-buffering"]) == ("no-cache", "no")
    assert headers["x-request-id"]


async def test_events_are_spelled_as_the_specification_has_them(stage: Stage) -> None:
    response = await answered(stage, "subscription { ticks(to: 1) { text context } }")
    assert response.content == (
        b'event: next\ndata: {"data":{"ticks":{"text":"","context":2}},"extensions":{"cost":1}}\n\n'
        b"event: complete\ndata:\n\n"
    )


@pytest.mark.parametrize(
    ("method", "query"), [("POST", "{ hello }"), ("GET", "{ hello }"), ("POST", "mutation { touch }")]
)
async def test_other_operations_are_one_event(stage: Stage, method: str, query: str) -> None:
    async with served(stage) as serving, streamed(serving, query, method) as stream:
        assert await stream.rest() == [next_(touch=1) if "touch" in query else next_(hello="hello world"), COMPLETE]


async def test_an_event_comes_when_it_happens_not_when_the_next_one_does(stage: Stage) -> None:
    async with served(stage) as serving, streamed(serving, "subscription { waiting }") as stream:
        assert await stream.event() == next_(waiting=1)
        stage.go.set()
        assert await stream.rest() == [next_(waiting=2), COMPLETE]


async def test_a_stream_in_which_nothing_happens_shows_that_it_lives(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "KEEP_ALIVE", 0.05)
    async with served(stage) as serving, streamed(serving, "subscription { waiting }") as stream:
        events = [await stream.event() for _ in range(4)]
    assert sorted(events, key=str) == [(":", None)] * 3 + [next_(waiting=1)]


async def test_each_event_is_answered_in_a_context_of_its_own(stage: Stage) -> None:
    async with served(stage) as serving, streamed(serving, "subscription { ticks { context } }") as stream:
        events = await stream.rest()
    assert [body["data"]["ticks"]["context"] for _, body in events[:-1]] == [2, 3, 4]  # the first is the stream's
    assert stage.entered == 0


# What is refused


@pytest.mark.parametrize(
    ("method", "query", "code"),
    [
        ("POST", "subscription {", "GRAPHQL_PARSE_FAILED"),
        ("POST", "subscription { nope }", "GRAPHQL_VALIDATION_FAILED"),
        ("GET", "subscription { nope }", "GRAPHQL_VALIDATION_FAILED"),
        ("POST", "subscription { ticks { number } waiting }", "GRAPHQL_VALIDATION_FAILED"),
        ("POST", "subscription ($n: Int!) { ticks(to: $n) { number } }", "BAD_USER_INPUT"),
        ("POST", "query ($n: Int!) { hello }", "GRAPHQL_VALIDATION_FAILED"),
    ],
)
async def test_what_is_refused_is_one_event(stage: Stage, method: str, query: str, code: str) -> None:
    async with served(stage) as serving, streamed(serving, query, method) as stream:
        (kind, body), last = await stream.rest()
    assert stream.response.status_code == 200
    assert stream.response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert (kind, [*body], body["errors"][0]["extensions"]["code"]) == ("next", ["errors"], code)
    assert last == COMPLETE
    assert stage.contexts == 0


@pytest.mark.parametrize(("method", "query"), [("GET", "mutation { touch }"), ("PUT", "{ hello }")])
async def test_what_has_a_status_of_its_own_is_json_under_it(stage: Stage, method: str, query: str) -> None:
    response = await answered(stage, query, method)
    assert (response.status_code, response.json()["errors"][0]["extensions"]["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert response.headers["content-type"] == "application/graphql-response+json; charset=utf-8"
    assert stage.contexts == 0


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/graphql-response+json"])
@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_subscription_without_a_stream_is_told_how_to_ask(stage: Stage, accept: str, method: str) -> None:
    response = await answered(stage, "subscription { waiting }", method, accept)
    (error,) = response.json()["errors"]
    assert (response.status_code, error["extensions"]["code"]) == (400, "BAD_REQUEST")
    assert "text/event-stream" in error["message"]
    assert "graphql-transport-ws" in error["message"]


async def test_who_takes_json_too_gets_a_query_as_json_and_a_subscription_as_a_stream(stage: Stage) -> None:
    accept = "application/json, text/event-stream"
    assert (await answered(stage, "{ hello }", accept=accept)).json()["data"] == {"hello": "hello world"}
    assert (await answered(stage, "subscription { ticks { number } }", accept=accept)).text.startswith("event: next\n")


# Failures


@pytest.mark.parametrize("field", ["failing", "unmade"])
async def test_a_stream_that_breaks_ends_in_a_masked_error_that_is_logged_once(stage: Stage, field: str) -> None:
    with logged() as log:
        async with served(stage) as serving, streamed(serving, f"subscription {{ {field} }}") as stream:
            events = await stream.rest()
            identity = stream.response.headers["x-request-id"]
    error = {"message": "Internal error", "extensions": {"code": "INTERNAL", "requestId": identity}}
    assert events[-2:] == [("next", {"errors": [error]}), COMPLETE]
    (line,) = [line for line in log if line["log_level"] == "error"]
    assert str(line["exc_info"]) == SECRET


async def test_an_answer_to_an_event_has_a_time_limit_and_the_stream_has_none(stage: Stage) -> None:
    async with served(stage, operation_timeout=0.05) as serving:
        async with streamed(serving, "subscription { ticks { slow } }") as stream:
            ((_, body), last) = await stream.rest()
            assert (body["errors"][0]["extensions"], last) == ({"code": "TIMEOUT"}, COMPLETE)
        async with streamed(serving, "subscription { waiting }") as stream:
            assert await stream.event() == next_(waiting=1)
            await asyncio.sleep(0.1)
            stage.go.set()
            assert await stream.rest() == [next_(waiting=2), COMPLETE]


# Ends


@pytest.mark.parametrize("query", ["subscription { waiting }", "subscription { ticks { slow } }", "{ slow }"])
async def test_a_client_that_leaves_ends_its_operation(stage: Stage, query: str) -> None:
    async with served(stage) as serving:
        asking = asyncio.create_task(_ask(serving, query))
        await stage.begun.wait()
        assert stage.entered > 0
        asking.cancel()
        await until(stage.is_empty)


async def _ask(serving: Serving, query: str) -> None:
    async with streamed(serving, query) as stream:
        await stream.rest()


async def test_an_operation_of_a_client_that_leaves_is_cancelled_down_to_postgres(database_url: str) -> None:
    settings = Settings.from_environ({"DATABASE_URL": database_url, "CATALOGRAPH_PORT": "0"})
    async with running(create_app(settings), settings) as serving, locked(database_url, "entity") as waiting:
        asking = asyncio.create_task(_ask(serving, "{ entities { totalCount } }"))
        await until(lambda: waiting(1))
        asking.cancel()
        await until(lambda: waiting(0))


async def test_a_client_that_never_reads_gets_no_more_than_buffers_hold(stage: Stage) -> None:
    query = f"subscription {{ ticks(to: 10000, size: {BIG}) {{ number text }} }}"
    async with served(stage) as serving:
        async with streamed(serving, query):
            assert await stopped(lambda: stage.made) < 1000  # some megabytes, of 400
        await until(stage.is_empty)
    assert stage.closed.is_set()


async def test_a_client_that_never_reads_is_cut_off(stage: Stage) -> None:
    query = f"subscription {{ ticks(to: 10000, size: {BIG}) {{ number text }} }}"
    with logged() as log:
        async with served(stage, slow_client_timeout=0.2) as serving, streamed(serving, query):
            await asyncio.wait_for(stage.closed.wait(), 10)
            await until(stage.is_empty)
    assert len(lines_of(log, "client cut off")) == 1
    assert [line for line in log if line["log_level"] == "error"] == []


async def test_a_server_that_stops_completes_its_streams_and_answers_what_has_an_end(stage: Stage) -> None:
    async with (
        served(stage) as serving,
        streamed(serving, "subscription { waiting }") as endless,
        streamed(serving, "subscription { ticks(to: 1) { number } }") as ended,
    ):
        assert await endless.event() == next_(waiting=1)
        assert len(await ended.rest()) == 2
        stage.begun.clear()
        asking = asyncio.create_task(_answer(serving, "{ slow }"))
        await stage.begun.wait()
        serving.stop()
        assert await endless.rest() == [COMPLETE]
        stage.go.set()
        assert await asking == {"slow": "at last"}
        await asyncio.wait_for(serving.task, 10)


async def _answer(serving: Serving, query: str) -> Any:
    async with httpx2.AsyncClient(base_url=f"http://{serving.address}", timeout=10, trust_env=False) as client:
        return (await client.post("/graphql", json={"query": query})).json()["data"]


async def test_a_client_that_never_reads_does_not_hold_a_server_up(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_FAREWELL", 0.2)
    query = f"subscription {{ ticks(to: 10000, size: {BIG}) {{ number text }} }}"
    async with served(stage) as serving, streamed(serving, query):
        await stopped(lambda: stage.made)
        serving.stop()
        await asyncio.wait_for(serving.task, 10)


async def test_a_stream_is_one_line_in_the_log(stage: Stage) -> None:
    with logged() as log:
        async with served(stage) as serving, streamed(serving, "subscription Ticks { ticks { number } }") as stream:
            await stream.rest()
    assert lines_of(log, "request") == [
        {
            "event": "request",
            "log_level": "info",
            "method": "POST",
            "path": "/graphql",
            "status": 200,
            "operation": "Ticks",
            "answers": 3,
            "statements": 4,
        }
    ]
