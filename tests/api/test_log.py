"""The log: at which level a request's line is, and what a line looks like on a terminal and in JSON."""

import asyncio
import errno
import io
import logging
import re
from collections.abc import Iterator, MutableMapping
from typing import Any, Literal

import orjson
import pytest
import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from api import log
from api.log import RequestLog

Lines = list[MutableMapping[str, Any]]


async def answer(request: Request) -> Response:
    return Response(status_code=int(request.headers.get("x-status", "200")))


@pytest.fixture
def client() -> TestClient:
    """Any path answers, with the status that is asked for."""
    route = Route("/{path:path}", answer, methods=["GET", "POST", "OPTIONS"])
    return TestClient(Starlette(routes=[route], middleware=[Middleware(RequestLog)]))


@pytest.fixture
def lines() -> Iterator[Lines]:
    with structlog.testing.capture_logs() as captured:
        yield captured


@pytest.fixture
def _log_as_before() -> Iterator[None]:
    """Undo what `log.configure` does to the whole process."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    structlog.reset_defaults()
    root.handlers = handlers
    root.setLevel(level)


@pytest.mark.parametrize("path", ["/", "/graphiql", "/graphql", "/graphiql/assets/main-1a2b.js", "/healthz", "/readyz"])
@pytest.mark.parametrize("status", ["200", "304"])
def test_pages_files_and_probes_do_not_fill_the_terminal(
    client: TestClient, lines: Lines, path: str, status: str
) -> None:
    client.get(path, headers={"x-status": status})
    assert [(line["path"], line["log_level"]) for line in lines] == [(path, "debug")]


@pytest.mark.parametrize("path", ["/graphiql", "/graphiql/assets/main-1a2b.js", "/healthz", "/readyz"])
@pytest.mark.parametrize("status", ["404", "503"])
def test_a_page_a_file_or_a_probe_that_fails_is_seen(client: TestClient, lines: Lines, path: str, status: str) -> None:
    client.get(path, headers={"x-status": status})
    assert [(line["status"], line["log_level"]) for line in lines] == [(int(status), "info")]


def test_whatever_asks_the_graph_is_seen(client: TestClient, lines: Lines) -> None:
    client.post("/graphql")
    client.get("/graphql?query={hello}")
    client.options("/graphql")
    assert [(line["method"], line["log_level"]) for line in lines] == [
        ("POST", "info"),
        ("GET", "info"),
        ("OPTIONS", "debug"),
    ]


def written(form: Literal["console", "json"]) -> str:
    stream = io.StringIO()
    log.configure("info", form, stream)
    request_log = structlog.get_logger("catalograph.request")
    request_log.debug("request", path="/healthz")
    request_log.info("request", path="/graphql", operation=None)
    return stream.getvalue()


def lines_of(level: str, form: Literal["console", "json"], stream: io.StringIO | None = None) -> list[str]:
    """What two requests leave in the log: one of them good, the other one's endpoint raises."""

    async def answers(request: Request) -> Response:
        request.scope["state"]["log"]["operation"] = "Page"
        return Response()

    async def raises(_request: Request) -> Response:
        await asyncio.create_task(speaks())
        raise RuntimeError("nobody foresaw it")

    async def speaks() -> None:
        logging.getLogger("another.library").warning("within a task")

    stream = stream or io.StringIO()
    log.configure(level, form, stream)
    routes = [Route("/good", answers, methods=["POST"]), Route("/bad", raises, methods=["POST"])]
    client = TestClient(Starlette(routes=routes, middleware=[Middleware(RequestLog)]))
    assert client.post("/good", headers={"x-request-id": "one"}).status_code == 200
    assert client.post("/bad", headers={"x-request-id": "two"}).status_code == 500
    logging.getLogger("another.library").warning("after all")
    return [line for line in stream.getvalue().splitlines() if "HTTP Request" not in line]  # the client's own


@pytest.mark.usefixtures("_log_as_before")
def test_a_request_is_told_in_json_as_everything_else_is() -> None:
    request, _, failure, _, _ = map(orjson.loads, lines_of("info", "json"))
    assert list(request) == [
        "method", "path", "status", "ms", "operation", "event", "request_id", "logger", "level", "timestamp",
    ]  # fmt: skip
    assert request | {"ms": 0, "timestamp": ""} == {
        "method": "POST",
        "path": "/good",
        "status": 200,
        "ms": 0,
        "operation": "Page",
        "event": "request",
        "request_id": "one",
        "logger": "catalograph.request",
        "level": "info",
        "timestamp": "",
    }
    for line in (request, failure):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z", line["timestamp"])


@pytest.mark.usefixtures("_log_as_before")
def test_what_is_logged_meanwhile_carries_the_request_s_id_and_nothing_else_does() -> None:
    lines = [orjson.loads(line) for line in lines_of("info", "json")]
    assert [(line["event"], line["logger"], line.get("request_id")) for line in lines] == [
        ("request", "catalograph.request", "one"),
        ("within a task", "another.library", "two"),
        ("request failed", "catalograph.request", "two"),
        ("request", "catalograph.request", "two"),
        ("after all", "another.library", None),
    ]


@pytest.mark.usefixtures("_log_as_before")
def test_a_request_leaves_nothing_to_a_task_that_serves_several() -> None:
    stream = io.StringIO()
    log.configure("info", "json", stream)
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": []}

    async def nothing(*_: object) -> None:
        pass

    async def serve() -> None:
        await RequestLog(nothing)(scope, nothing, nothing)  # type: ignore[arg-type]
        structlog.get_logger("catalograph").info("idle")

    asyncio.run(serve())
    lines = [orjson.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["event"], "request_id" in line) for line in lines] == [("request", True), ("idle", False)]


@pytest.mark.usefixtures("_log_as_before")
def test_a_terminal_is_told_of_requests_too() -> None:
    lines = [re.sub(r"\x1b\[\d+m", "", line) for line in lines_of("info", "console")]
    fields = [dict(re.findall(r"(\S+)=(\S+)", line)) for line in lines if " path=" in line]
    assert [(line["path"], line["status"], line["request_id"]) for line in fields] == [
        ("/good", "200", "one"),
        ("/bad", "500", "two"),
    ]


@pytest.mark.usefixtures("_log_as_before")
def test_a_level_above_info_spares_the_lines_of_requests() -> None:
    lines = map(orjson.loads, lines_of("warning", "json"))
    assert [line["event"] for line in lines] == ["within a task", "request failed", "after all"]


class Full(io.StringIO):
    """A file on a disk that is full."""

    def write(self, text: str, /) -> int:
        if text.startswith('{"method"'):
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(text)


@pytest.mark.usefixtures("_log_as_before")
def test_a_request_is_answered_when_its_line_cannot_be_written() -> None:
    lines = map(orjson.loads, lines_of("info", "json", Full()))
    assert [line["event"] for line in lines] == ["within a task", "request failed", "after all"]


@pytest.mark.usefixtures("_log_as_before")
def test_no_line_is_lost_to_a_file_name_or_a_number_that_json_has_no_room_for() -> None:
    stream = io.StringIO()
    log.configure("info", "json", stream)
    structlog.get_logger("catalograph").info("odd", file="\udcff.yaml", number=2**64)
    line = orjson.loads(stream.getvalue().replace(r"\udcff", "?"))
    assert (line["event"], line["file"], line["number"]) == ("odd", "?.yaml", float(2**64))


@pytest.mark.usefixtures("_log_as_before")
def test_a_terminal_is_spared_the_logger_s_name_and_what_has_no_value() -> None:
    _timestamp, *words = re.sub(r"\x1b\[\d+m", "", written("console")).split()
    assert words == ["[info", "]", "request", "path=/graphql"]


@pytest.mark.usefixtures("_log_as_before")
def test_json_keeps_its_keys_where_they_have_no_value() -> None:
    (line,) = map(orjson.loads, written("json").splitlines())
    assert line.pop("timestamp")
    assert line == {
        "logger": "catalograph.request",
        "level": "info",
        "event": "request",
        "path": "/graphql",
        "operation": None,
    }
