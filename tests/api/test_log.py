"""The log: at which level a request's line is, and what a line looks like on a terminal and in JSON."""

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
