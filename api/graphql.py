"""The GraphQL endpoint: GraphQL over HTTP (https://graphql.github.io/graphql-over-http/draft/), POST and GET.

One request, one direction: read its parameters, prepare the operation, run it while the client is there, encode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

import structlog
from graphql import ExecutionResult, GraphQLError, OperationType
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from api import media_types
from api.graphiql import graphiql_page
from api.log import request_id
from api.operation import Operations, Ready
from api.request_parameters import JSON, read_parameters
from api.settings import Settings
from api.wanted import while_wanted
from db import jsonb
from schema.errors import (
    BadRequest,
    CatalogError,
    InternalError,
    MethodNotAllowed,
    NotAcceptable,
    Timeout,
    Unavailable,
    for_client,
    formatted,
    origin,
)

_log = structlog.get_logger("catalograph.graphql")

GRAPHQL_JSON = "application/graphql-response+json"
# The first is what a client gets that does not say: old ones know no other, and new ones ask.
_OFFERS = (JSON, GRAPHQL_JSON)
_HEADERS = {
    media_type: ((b"content-type", f"{media_type}; charset=utf-8".encode()), (b"vary", b"Accept"))
    for media_type in _OFFERS
}


class Answer(NamedTuple):
    """What is sent, as ASGI wants it."""

    status: int
    headers: Iterable[tuple[bytes, bytes]]
    body: bytes


class Counting(Protocol):
    """What resolvers see as `info.context`, as far as the endpoint reads it."""

    @property
    def statements(self) -> int:
        """How many SQL statements have been run for the request."""


class GraphQLEndpoint:
    """An ASGI app that answers GraphQL requests.

    `make_context` gives what resolvers see as `info.context`, for as long as the operation runs.
    """

    def __init__(
        self,
        operations: Operations,
        make_context: Callable[[Scope], AbstractContextManager[Counting]],
        settings: Settings,
    ) -> None:
        self._operations = operations
        self._make_context = make_context
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever it holds; not when its client has left."""
        if _is_browser(scope):
            await graphiql_page(Request(scope))(scope, receive, send)
            return
        try:
            status, headers, body = await self._respond(scope, receive)
        except ClientDisconnect:
            return
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _respond(self, scope: Scope, receive: Receive) -> Answer:
        headers = dict(reversed(scope["headers"]))  # the first of a name counts
        media_type = media_types.preferred(headers.get(b"accept", b"").decode("latin-1"), _OFFERS)
        if media_type is None:
            refused = NotAcceptable(f"Answers come as {GRAPHQL_JSON} or {JSON}; the Accept header takes neither")
            return _refusal(refused, JSON)
        try:
            return await self._answer(scope, headers, receive, media_type)
        except ClientDisconnect:
            raise
        except Exception as error:  # noqa: BLE001 - the outermost frame: what is not ours is masked here
            answer = for_client(error, request_id(scope))
            _log_failure(error, answer)
            return _refusal(answer, media_type)

    async def _answer(self, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive, media_type: str) -> Answer:
        parameters = await read_parameters(scope, headers, receive, body_limit=self._settings.body_limit)
        operation = self._operations.ready(parameters.query, parameters.operation_name)
        log = scope["state"]["log"]
        log["operation"] = operation.name
        _check_type(operation, scope["method"])
        with self._make_context(scope) as context:
            try:
                running = operation.run(parameters.variables, context)
                result = await while_wanted(running, receive, self._settings.operation_timeout)
            finally:
                log["statements"] = context.statements
        return _response(result, media_type, request_id(scope))


def _is_browser(scope: Scope) -> bool:
    """Whether a person opened the address in a browser, without a query."""
    if scope["method"] != "GET":
        return False
    request = Request(scope)
    return media_types.accepts(request.headers.get("accept"), "text/html") and "query" not in request.query_params


def _check_type(operation: Ready, method: str) -> None:
    if method == "GET" and operation.type is not OperationType.QUERY:
        raise MethodNotAllowed(f"A {operation.type.value} is not run by GET", allow="POST")
    if operation.type is OperationType.SUBSCRIPTION:
        raise BadRequest("A subscription has no single answer")


def _response(result: ExecutionResult, media_type: str, identity: str) -> Answer:
    """The answer to an operation that was run, wholly or in part."""
    body: dict[str, Any] = {}
    failure: CatalogError | None = None
    if result.errors:
        answers = [for_client(error, identity) for error in result.errors]
        _log_failures(result.errors, answers)
        body["errors"] = [formatted(error, answer) for error, answer in zip(result.errors, answers, strict=True)]
        failure = answers[0] if _was_refused(result) else _outage(result, answers)
    if not _was_refused(result):
        body["data"] = result.data
    if result.extensions:
        body["extensions"] = result.extensions
    return _encoded(body, media_type, failure)


def _was_refused(result: ExecutionResult) -> bool:
    """Whether nothing was run: an error of the request as a whole has no path."""
    return result.data is None and all(error.path is None for error in result.errors or ())


def _outage(result: ExecutionResult, answers: list[CatalogError]) -> Timeout | Unavailable | None:
    """What kept the whole answer away, when not one root field has a value."""
    if any(value is not None for value in (result.data or {}).values()):
        return None
    return next((answer for answer in answers if isinstance(answer, Timeout | Unavailable)), None)


def _refusal(answer: CatalogError, media_type: str) -> Answer:
    """The answer to a request of which nothing was run."""
    return _encoded({"errors": answer.all()}, media_type, answer)


def _encoded(body: dict[str, Any], media_type: str, failure: CatalogError | None = None) -> Answer:
    """`body` under the HTTP status of `failure`, where the media type lets that be told."""
    payload = jsonb.encode(body)
    headers = (*_HEADERS[media_type], (b"content-length", b"%d" % len(payload)))
    if failure is None or not (media_type == GRAPHQL_JSON or failure.status_in_json):
        return Answer(200, headers, payload)
    more = ((name.encode(), value.encode()) for name, value in failure.headers.items())
    return Answer(failure.status, (*headers, *more), payload)


def _log_failures(errors: Iterable[GraphQLError], answers: Iterable[CatalogError]) -> None:
    """Log each exception once; one may have failed many fields."""
    logged: set[int] = set()
    for error, answer in zip(errors, answers, strict=True):
        if id(origin(error)) not in logged:
            logged.add(id(origin(error)))
            _log_failure(error, answer)


def _log_failure(error: Exception, answer: CatalogError) -> None:
    """Log what the client is not told; what the client did wrong is not ours to log."""
    cause = origin(error)
    path = error.path if isinstance(error, GraphQLError) else None
    if isinstance(answer, InternalError):
        _log.error("unexpected error", path=path, exc_info=cause)
    elif isinstance(answer, Timeout | Unavailable):
        reason = str(getattr(cause, "orig", cause))  # SQLAlchemy's own words hold the whole statement
        _log.warning("no answer from the database", path=path, code=answer.code, reason=reason)
