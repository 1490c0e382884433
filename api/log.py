"""The log: what a line looks like, the request's id, and one line for each request.

Lines go to standard error; standard output belongs to the commands.
"""

from __future__ import annotations

import logging
import re
import secrets
import sys
from collections.abc import Sequence
from http import HTTPStatus
from time import perf_counter
from typing import Any, Literal, TextIO

import orjson
import structlog
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.types import EventDict, Processor, WrappedLogger

from schema.errors import internal_error

_log = structlog.get_logger("catalograph.request")

_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_PASSWORD_IN_URL = re.compile(r"(://[^:/@\s]*:)[^@\s]+@")

_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}

CLIENT_GONE = 499  # nginx's status for a client that closed the connection before it was answered


def configure(level: str, form: Literal["auto", "console", "json"], stream: TextIO | None = None) -> None:
    """Send everything that is logged, by structlog and by the standard library, to `stream` (stderr) in one form."""
    stream = stream or sys.stderr
    console = form == "console" or (form == "auto" and stream.isatty())
    entry: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = logging.StreamHandler(stream)
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


def _without_idle_fields(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Leave out what tells a reader nothing: the logger's name, and fields without a value. JSON keeps its keys."""
    return {key: value for key, value in event.items() if key != "logger" and value is not None}


def _as_json(event: EventDict, **_: object) -> str:
    return orjson.dumps(event, default=repr).decode()


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
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; other scopes pass through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        identity = _identity(Headers(scope=scope).get("x-request-id"))
        fields: dict[str, Any] = {}
        scope.setdefault("state", {}).update(request_id=identity, log=fields)
        answer = _Answer(send, identity)
        started = perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=identity):
            try:
                await self._app(scope, receive, answer.send)
            except Exception:  # noqa: BLE001 - the outermost frame
                _log.exception("request failed")
                await answer.send_failure(scope, receive)
            finally:
                log = _log.debug if _is_routine(scope, answer.status) else _log.info
                log(
                    "request",
                    method=scope["method"],
                    path=scope["path"],
                    status=answer.status,
                    ms=round((perf_counter() - started) * 1000, 1),
                    **fields,
                )


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


def _identity(given: str | None) -> str:
    if given and _SANE_ID.fullmatch(given):
        return given
    return secrets.token_hex(8)
