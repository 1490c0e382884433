"""The GraphQL endpoint: GraphQL over HTTP (https://graphql.github.io/graphql-over-http/draft/), POST and GET.

One request, one direction: read its parameters, prepare the operation, run it while the client is there, encode.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any
from urllib.parse import parse_qsl

import strawberry
import structlog
from graphql import ExecutionResult, GraphQLError, GraphQLFormattedError, OperationType
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api import media_types
from api.graphiql import graphiql_page
from api.log import CLIENT_GONE, request_id
from api.operation import Operation, prepare, run
from api.settings import Settings
from db import jsonb
from schema.errors import (
    BadRequest,
    BadUserInput,
    CatalogError,
    InternalError,
    MethodNotAllowed,
    NotAcceptable,
    RequestTooLarge,
    Timeout,
    Unavailable,
    UnsupportedMediaType,
    for_client,
    formatted,
    origin,
    timeout,
)

_log = structlog.get_logger("catalograph.graphql")

JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"
# The first is what a client gets that does not say: old ones know no other, and new ones ask.
_OFFERS = (JSON, GRAPHQL_JSON)

# In the variables of one request, however they are nested.
MOST_VALUES = 10_000


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a GraphQL request holds, with its types checked."""

    query: str
    operation_name: str | None
    variables: dict[str, Any]


class GraphQLEndpoint:
    """An ASGI app that answers GraphQL requests over `schema`.

    `make_context` gives what resolvers see as `info.context`, for as long as the operation runs.
    """

    def __init__(
        self,
        schema: strawberry.Schema,
        make_context: Callable[[Request[Any]], AbstractContextManager[object]],
        settings: Settings,
    ) -> None:
        self._schema = schema
        self._make_context = make_context
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever it holds."""
        request = Request(scope, receive)
        try:
            response = await self._respond(request)
        except ClientDisconnect:
            response = Response(status_code=CLIENT_GONE)
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        if _is_browser(request):
            return graphiql_page(request)
        media_type = media_types.preferred(request.headers.get("accept"), _OFFERS)
        if media_type is None:
            refused = NotAcceptable(f"Answers come as {GRAPHQL_JSON} or {JSON}; the Accept header takes neither")
            return _refusal(refused, refused.all(), JSON)
        try:
            return await self._answer(request, media_type)
        except ClientDisconnect:
            raise
        except Exception as error:  # noqa: BLE001 - the outermost frame: what is not ours is masked here
            answer = for_client(error, request_id(request.scope))
            _log_failure(error, answer)
            return _refusal(answer, answer.all(), media_type)

    async def _answer(self, request: Request, media_type: str) -> Response:
        parameters = await self._read(request)
        operation = prepare(
            self._schema, parameters.query, parameters.operation_name, token_limit=self._settings.token_limit
        )
        request.scope["state"]["log"]["operation"] = operation.name
        _check_type(operation, request.method)
        result = await self._run(request, operation, parameters.variables)
        return _response(result, media_type, request_id(request.scope))

    async def _read(self, request: Request) -> Parameters:
        match request.method:
            case "GET":
                return _from_query_string(request.scope["query_string"])
            case "POST":
                _check_content(request)
                return _from_body(await _body(request, self._settings.body_limit))
        raise MethodNotAllowed("GraphQL is asked by GET or POST", allow="GET, POST")

    async def _run(self, request: Request, operation: Operation, variables: dict[str, Any]) -> ExecutionResult:
        async with _bounded(request.receive, self._settings.operation_timeout):
            with self._make_context(request) as context:
                result = run(self._schema, operation, variables, context)
                return await result if isawaitable(result) else result


@asynccontextmanager
async def _bounded(receive: Receive, seconds: float) -> AsyncIterator[None]:
    """Cancel the block after `seconds`, which is Timeout, or when the client leaves, which is ClientDisconnect."""
    deadline = asyncio.timeout(seconds)
    watch = asyncio.create_task(_end_when_gone(receive, deadline))
    try:
        async with deadline:
            yield
    except TimeoutError:
        if watch.done():
            raise ClientDisconnect from None
        raise timeout() from None
    finally:
        watch.cancel()


async def _end_when_gone(receive: Receive, deadline: asyncio.Timeout) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    deadline.reschedule(asyncio.get_running_loop().time())


def _is_browser(request: Request) -> bool:
    """Whether a person opened the address in a browser, without a query."""
    return (
        request.method == "GET"
        and media_types.accepts(request.headers.get("accept"), "text/html")
        and "query" not in request.query_params
    )


def _check_type(operation: Operation, method: str) -> None:
    if method == "GET" and operation.type is not OperationType.QUERY:
        raise MethodNotAllowed(f"A {operation.type.value} is not run by GET", allow="POST")
    if operation.type is OperationType.SUBSCRIPTION:
        raise BadRequest("A subscription has no single answer")


def _check_content(request: Request) -> None:
    """Refuse a body that is not plain JSON in UTF-8. Raises UnsupportedMediaType."""
    media_type, charset = media_types.parse(request.headers.get("content-type", ""))
    if media_type != JSON:
        raise UnsupportedMediaType(f"The body must be {JSON}, and the Content-Type header must say so")
    if charset not in {None, "utf-8", "utf8"}:
        raise UnsupportedMediaType("The body must be in UTF-8")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("The body must not be compressed")


async def _body(request: Request, limit: int) -> bytes:
    """The whole body; refused as soon as it is known to be longer than `limit` bytes, without keeping it."""
    too_large = RequestTooLarge(f"The body may have {limit} bytes")
    if int(request.headers.get("content-length", "0")) > limit:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise too_large
    return bytes(body)


def _from_body(body: bytes) -> Parameters:
    try:
        fields = _decoded(body.decode(), "The body")
    except UnicodeDecodeError:
        raise BadRequest("The body is not UTF-8") from None
    if isinstance(fields, list):
        raise BadRequest("The body must be one JSON object; a list of requests is not taken")
    if not isinstance(fields, dict):
        raise BadRequest("The body must be a JSON object")
    return _checked(fields)


def _from_query_string(query_string: bytes) -> Parameters:
    try:
        fields: dict[str, Any] = dict(parse_qsl(query_string.decode(), keep_blank_values=True, errors="strict"))
    except UnicodeDecodeError:
        raise BadRequest("The query string is not UTF-8") from None
    for name in ("variables", "extensions"):
        if text := fields.pop(name, None):
            fields[name] = _decoded(text, f"The parameter '{name}'")
    return _checked(fields)


def _decoded(text: str, what: str) -> Any:
    try:
        value = jsonb.decode_foreign(text)
    except ValueError as error:
        raise BadRequest(f"{what} is not JSON: {error}") from None
    if r"\u0000" in text and _holds_nul(value):
        raise BadUserInput(f"{what} holds the character NUL, which no text may hold")
    return value


def _holds_nul(value: object) -> bool:
    match value:
        case str():
            return "\0" in value
        case dict():
            return any("\0" in key or _holds_nul(item) for key, item in value.items())
        case list():
            return any(_holds_nul(item) for item in value)
    return False


def _is_large(variables: object) -> bool:
    """Whether it holds more values than may be: each is read several times before a field can look at it."""
    values, waiting = 0, [variables]
    while waiting and values <= MOST_VALUES:
        value = waiting.pop()
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        values += len(inner)
        waiting.extend(inner)
    return values > MOST_VALUES


def _checked(fields: Mapping[str, Any]) -> Parameters:
    query, name = fields.get("query"), fields.get("operationName")
    variables, extensions = fields.get("variables"), fields.get("extensions")
    if not isinstance(query, str):
        raise BadRequest("'query' must be a string that holds a GraphQL document")
    if not isinstance(name, str | None):
        raise BadRequest("'operationName' must be a string or null")
    if not isinstance(variables, dict | None):
        raise BadRequest("'variables' must be an object or null")
    if not isinstance(extensions, dict | None):
        raise BadRequest("'extensions' must be an object or null")
    if _is_large(variables):
        raise BadUserInput(f"'variables' holds more than {MOST_VALUES} values")
    return Parameters(query, name or None, variables or {})


def _response(result: ExecutionResult, media_type: str, identity: str) -> Response:
    """The answer to an operation that was run, wholly or in part."""
    answers: list[CatalogError] = []
    errors: list[GraphQLFormattedError] = []
    logged: set[int] = set()  # one exception may have failed many fields
    for error in result.errors or ():
        answer = for_client(error, identity)
        answers.append(answer)
        errors.append(formatted(error, answer))
        if id(origin(error)) not in logged:
            logged.add(id(origin(error)))
            _log_failure(error, answer)
    if result.data is None and all(error.path is None for error in result.errors or ()):
        return _refusal(answers[0], errors, media_type)
    body = {"errors": errors, "data": result.data} if errors else {"data": result.data}
    outage = _outage(result, answers)
    if outage and _sends_status(outage, media_type):
        return _encoded(body, media_type, outage.status, outage.headers)
    return _encoded(body, media_type)


def _outage(result: ExecutionResult, answers: list[CatalogError]) -> Timeout | Unavailable | None:
    """What kept the whole answer away, when not one root field has a value."""
    if any(value is not None for value in (result.data or {}).values()):
        return None
    return next((answer for answer in answers if isinstance(answer, Timeout | Unavailable)), None)


def _refusal(answer: CatalogError, errors: list[GraphQLFormattedError], media_type: str) -> Response:
    """The answer to a request of which nothing was run."""
    status = answer.status if _sends_status(answer, media_type) else 200
    return _encoded({"errors": errors}, media_type, status, answer.headers)


def _sends_status(answer: CatalogError, media_type: str) -> bool:
    return media_type == GRAPHQL_JSON or answer.status_in_json


def _encoded(body: object, media_type: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    content_type = f"{media_type}; charset=utf-8"
    return Response(jsonb.encode(body), status, {"content-type": content_type, "vary": "Accept", **(headers or {})})


def _log_failure(error: Exception, answer: CatalogError) -> None:
    """Log what the client is not told; what the client did wrong is not ours to log."""
    cause = origin(error)
    path = error.path if isinstance(error, GraphQLError) else None
    if isinstance(answer, InternalError):
        _log.error("unexpected error", path=path, exc_info=cause)
    elif isinstance(answer, Timeout | Unavailable):
        reason = str(getattr(cause, "orig", cause))  # SQLAlchemy's own words hold the whole statement
        _log.warning("no answer from the database", path=path, code=answer.code, reason=reason)
