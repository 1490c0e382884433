"""The log: what a line looks like, the request's id, and one line for each request.

Lines go to standard error; standard output belongs to the commands.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from http import HTTPStatus
from time import perf_counter
from typing import Any, Literal, TextIO

import orjson
import structlog
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.types import EventDict, Processor, WrappedLogger

from schema.errors import internal_error

_NAME = "catalograph.request"
_log = structlog.get_logger(_NAME)

# In every line that is written while a request is served, also by the tasks that it starts.
_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_PASSWORD_IN_URL = re.compile(r"(://[^:/@\s]*:)[^@\s]+@")

_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}

CLIENT_GONE = 499  # nginx's status for a client that closed the connection before it was answered


def configure(level: str, form: Literal["auto", "console", "json"], stream: TextIO | None = None) -> None:
    """Send everything that is logged, by structlog and by the standard library, to `stream` (stderr) in one form."""
    stream = stream or sys.stderr
    console = form == "console" or (form == "auto" and stream.isatty())
    entry: list[Processor] = [
        _with_request_id,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = logging.StreamHandler(stream) if console else _JsonHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=entry, processors=[*_render(console=console)])
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name, quiet in _LEVELS_OF_OTHERS.items():
        logging.getLogger(name).setLevel(max(quiet, root.level))
    structlog.configure(
        processors=[*entry, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(root.level),
        logger_factory=structlog.stdlib.LoggerFactory(),
    )


class _JsonHandler(logging.StreamHandler[TextIO]):
    """Writes what is logged as JSON, and lines that are finished: those cost a tenth of a record on its way here."""

    def write(self, line: dict[str, Any]) -> None:
        """Write one line, now. A line that cannot be written (a full disk, a closed pipe) is no reason to fail."""
        try:
            self.stream.write(_as_json(line) + "\n")
            self.stream.flush()
        except (OSError, ValueError):  # ValueError: the stream is closed
            return


# What others say at `info` about their own affairs.
_LEVELS_OF_OTHERS = {"alembic": logging.WARNING, "sqlalchemy": logging.WARNING, "uvicorn": logging.WARNING}


def _render(*, console: bool) -> Sequence[Processor]:
    last: Sequence[Processor] = (
        [_without_idle_fields, structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if console
        else [structlog.processors.JSONRenderer(serializer=_as_json)]
    )
    # Tracebacks without local variables: those hold what a log must not.
    return [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        _without_passwords,
        *last,
    ]


def _with_request_id(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    if identity := _request_id.get():
        event["request_id"] = identity
    return event


def _without_idle_fields(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Leave out what tells a reader nothing: the logger's name, and fields without a value. JSON keeps its keys."""
    return {key: value for key, value in event.items() if key != "logger" and value is not None}


def _as_json(event: EventDict, **_: object) -> str:
    try:
        return orjson.dumps(event, default=repr, option=orjson.OPT_UTC_Z).decode()
    except TypeError:  # a lone surrogate, as file names have them, or a number above 64 bits
        return json.dumps(event, default=str)


def _without_passwords(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Blot out the password of any URL that got into a message or a traceback."""
    for key in ("event", "exception", "reason"):
        if key in event:
            event[key] = _PASSWORD_IN_URL.sub(r"\1***@", str(event[key]))
    return event


def request_id(scope: Scope) -> str:
    """The id under which this request is logged; RequestLog gave it."""
    return str(scope["state"]["request_id"])


class RequestLog:
    """Middleware: an id for each request, one line when it is answered, and the answer to a failure nobody caught.

    The line is of level `info`; of `debug` when it is about the explorer's files, or a probe, and all went well.
    The id is the client's X-Request-Id where that is a short plain token, else a new one; every answer carries it.
    An endpoint adds fields to the line through `scope["state"]["log"]`.

    A websocket is a request that is answered when it is closed: its line has the code of that instead of a status.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._handler = _json_handler()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; other scopes pass through."""
        if scope["type"] == "websocket":
            await self._serve_socket(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        identity, fields = _begin(scope)
        answer = _Answer(send, identity)
        started = perf_counter()
        outside = _request_id.set(identity)
        try:
            await self._app(scope, receive, answer.send)
        except Exception:  # noqa: BLE001 - the outermost frame
            _log.exception("request failed")
            await answer.send_failure(scope, receive)
        finally:
            line = {
                "method": scope["method"],
                "path": scope["path"],
                "status": answer.status,
                "ms": round((perf_counter() - started) * 1000, 1),
                **fields,
            }
            self._write(line, routine=_is_routine(scope, answer.status))
            _request_id.reset(outside)

    async def _serve_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        identity, fields = _begin(scope)
        socket = _Socket(receive, send, identity)
        started = perf_counter()
        outside = _request_id.set(identity)
        try:
            await self._app(scope, socket.receive, socket.send)
        except Exception:  # noqa: BLE001 - the outermost frame; the server closes what is still open
            _log.exception("socket failed")
        finally:
            milliseconds = round((perf_counter() - started) * 1000, 1)
            _log.info("socket", path=scope["path"], code=socket.code, ms=milliseconds, **fields)
            _request_id.reset(outside)

    def _write(self, line: dict[str, Any], *, routine: bool) -> None:
        if routine:
            _log.debug("request", **line)
        elif self._handler:
            self._handler.write(_finished(line))
        else:
            _log.info("request", **line)


def _json_handler() -> _JsonHandler | None:
    """Where lines of the level `info` go, when `configure` lets them through, and as JSON."""
    root = logging.getLogger()
    handlers = [handler for handler in root.handlers if isinstance(handler, _JsonHandler)]
    return handlers[0] if handlers and root.isEnabledFor(logging.INFO) else None


def _finished(line: dict[str, Any]) -> dict[str, Any]:
    """A request's line, with what the processors of `configure` would add to it."""
    line.update(event="request", request_id=_request_id.get(), logger=_NAME, level="info", timestamp=datetime.now(UTC))
    return line


def _is_routine(scope: Scope, status: int) -> bool:
    """Whether a page, a file or a probe was answered well. A GET that asks the graph something has a query string."""
    return scope["method"] in _SAFE_METHODS and not scope["query_string"] and status < HTTPStatus.BAD_REQUEST


class _Answer:
    """The answer on its way out: gets the id as a header, and its status is remembered."""

    def __init__(self, send: Send, identity: str) -> None:
        self._send = send
        self._identity = identity
        self.status = CLIENT_GONE  # until an answer starts

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message["headers"], (b"x-request-id", self._identity.encode())]
        await self._send(message)

    async def send_failure(self, scope: Scope, receive: Receive) -> None:
        """Answer with a masked error, unless another answer has begun."""
        if self.status == CLIENT_GONE:
            error = internal_error(self._identity)
            await JSONResponse({"errors": error.all()}, error.status)(scope, receive, self.send)


class _Socket:
    """A websocket's messages on their way: its handshake gets the id as a header, and its end is remembered."""

    def __init__(self, receive: Receive, send: Send, identity: str) -> None:
        self._receive = receive
        self._send = send
        self._identity = identity
        self._accepted = False
        self.code = CLIENT_GONE  # a status until the handshake is done, then a code of RFC 6455

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self.code = message.get("code", 1005)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "websocket.accept":
            self._accepted, self.code = True, 1006
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self._identity.encode())]
        elif message["type"] == "websocket.close":
            self.code = message["code"] if self._accepted else HTTPStatus.FORBIDDEN.value
        await self._send(message)


def _begin(scope: Scope) -> tuple[str, dict[str, Any]]:
    """The id of a request, and the fields of its line, both of which the scope has from now on, too."""
    identity = _identity(dict(reversed(scope["headers"])).get(b"x-request-id"))
    fields: dict[str, Any] = {}
    scope.setdefault("state", {}).update(request_id=identity, log=fields)
    return identity, fields


def _identity(given: bytes | None) -> str:
    return given.decode() if given and _SANE_ID.fullmatch(given) else os.urandom(8).hex()
