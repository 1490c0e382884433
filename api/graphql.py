"""The GraphQL endpoint: GraphQL over HTTP (https://graphql.github.io/graphql-over-http/draft/), POST and GET.

One request, one direction: read its parameters, prepare the operation, run it while the client is there, encode.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from hashlib import sha256
from http import HTTPStatus
from typing import NamedTuple

from graphql import ExecutionResult, OperationType
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from api import media_types
from api.answers import Body, check_size, refusal, told
from api.contexts import Contexts, MakeContext, RequestContext, Who
from api.graphiql import graphiql_page
from api.log import request_id
from api.operation import Operations, Ready
from api.request_parameters import JSON, Parameters, read_parameters
from api.settings import Settings
from api.sse import COMPLETE, EVENT_STREAM, HEADERS, event, send_events
from api.wanted import while_wanted
from db import jsonb
from schema.caller import Caller
from schema.errors import BadRequest, CatalogError, MethodNotAllowed, NotAcceptable, Unauthenticated

GRAPHQL_JSON = "application/graphql-response+json"
# The first is what a client gets that does not say: old ones know no other, and new ones ask.
_OFFERS = (JSON, GRAPHQL_JSON, EVENT_STREAM)
_HEADERS = {
    media_type: ((b"content-type", f"{media_type}; charset=utf-8".encode()), (b"vary", b"Accept"))
    for media_type in (JSON, GRAPHQL_JSON)
}


# Parameters that say which document is meant.
_DOCUMENTS = frozenset({"query", "documentId", "extensions"})

# Headers that say how much a caller may ask for yet.
Allowance = Callable[[Caller], Sequence[tuple[bytes, bytes]]]


def _unlimited(_caller: Caller) -> Sequence[tuple[bytes, bytes]]:
    return ()


class Answer(NamedTuple):
    """What is sent, as ASGI wants it."""

    status: int
    headers: Iterable[tuple[bytes, bytes]]
    body: bytes
    is_whole: bool = False  # one body of JSON without errors


Stream = AsyncGenerator[bytes]  # of server-sent events


class GraphQLEndpoint:
    """An ASGI app that answers GraphQL requests.

    `make_context` gives what resolvers see as `info.context`, for as long as the operation runs; `who` says for whom,
    and is asked before anything of the request is read; `allowance` says how much they have left. The state of the
    scope has `stopping`, an event that is set when the server stops.
    """

    def __init__(
        self,
        operations: Operations,
        make_context: MakeContext,
        settings: Settings,
        who: Who,
        *,
        allowance: Allowance = _unlimited,
    ) -> None:
        self._operations = operations
        self._make_context = make_context
        self._settings = settings
        self._who = who
        self._allowance = allowance

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever it holds; not when its client has left."""
        if _is_browser(scope):
            await graphiql_page(Request(scope))(scope, receive, send)
            return
        try:
            answer = await self._respond(scope, receive)
            if isinstance(answer, Answer):
                status, headers, body, _ = _for_caches(scope, answer) if scope["method"] == "GET" else answer
                await send({"type": "http.response.start", "status": status, "headers": headers})
                await send({"type": "http.response.body", "body": body})
            else:
                await send_events(answer, receive, send, scope["state"]["stopping"])
        except ClientDisconnect:
            return

    async def _respond(self, scope: Scope, receive: Receive) -> Answer | Stream:
        headers = dict(reversed(scope["headers"]))  # the first of a name counts
        accept = headers.get(b"accept", b"").decode("latin-1")
        media_type = media_types.preferred(accept, _OFFERS)
        if media_type is None:
            offers = f"{GRAPHQL_JSON}, {JSON} or {EVENT_STREAM}"
            return _refusal(NotAcceptable(f"Answers come as {offers}; the Accept header takes none of them"), JSON)
        try:
            caller = await self._who(scope)
            parameters = await self._parameters(scope, headers, receive)
            operation = self._operations.asked(parameters)
            scope["state"]["log"]["operation"] = operation.name
            _check_type(operation, scope["method"], accept)
            if operation.type is OperationType.SUBSCRIPTION:
                return self._stream(operation, parameters, caller, scope)
            with self._make_context(scope, caller) as context:
                running = operation.run(parameters.variables, context)
                answer = await self._answer(running, context, scope, receive, media_type)
            allowance = self._allowance(caller)
            return answer._replace(headers=(*answer.headers, *allowance)) if allowance else answer
        except ClientDisconnect:
            raise
        except Exception as error:  # noqa: BLE001 - the outermost frame: what is not ours is masked here
            refused = refusal(error, request_id(scope))
            scope["state"]["log"]["code"] = refused.code
            if isinstance(refused, Unauthenticated):
                scope["state"]["log"]["reason"] = refused.message
            return _refusal(refused, media_type)

    async def _parameters(self, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive) -> Parameters:
        limits = self._settings
        return await read_parameters(
            scope, headers, receive, body_limit=limits.body_limit, body_timeout=limits.read_timeout
        )

    async def _answer(
        self,
        running: Awaitable[ExecutionResult],
        context: RequestContext,
        scope: Scope,
        receive: Receive,
        media_type: str,
    ) -> Answer:
        try:
            result = await while_wanted(running, receive, self._settings.operation_timeout)
        finally:
            scope["state"]["log"]["statements"] = context.statements
        answer = _response(result, media_type, request_id(scope))
        check_size(answer.body, self._settings.response_limit)
        return answer

    def _stream(self, operation: Ready, parameters: Parameters, caller: Caller, scope: Scope) -> Stream:
        """The answers of a subscription. What is refused before it begins is raised now."""
        contexts = Contexts(self._make_context, scope, self._who)
        seconds = self._settings.operation_timeout
        answers = operation.subscribe(parameters.variables, caller, contexts.fresh, seconds)
        return _events(answers, contexts, scope, self._settings.response_limit)


async def _events(answers: AsyncGenerator[ExecutionResult], contexts: Contexts, scope: Scope, limit: int) -> Stream:
    """Each answer as an event, of at most `limit` bytes; the last one says what ended them, if anything did."""
    log, identity = scope["state"]["log"], request_id(scope)
    log["answers"] = 0
    try:
        async with aclosing(answers):
            async for answer in answers:
                body, _ = told(answer, identity)
                text = event(body)
                check_size(text, limit)
                yield text
                log["answers"] += 1
    except Exception as error:  # noqa: BLE001 - the outermost frame, as above
        yield event({"errors": refusal(error, identity).all()})
    finally:
        log["statements"] = contexts.statements


def _is_browser(scope: Scope) -> bool:
    """Whether a person opened the address in a browser, without a document."""
    if scope["method"] != "GET":
        return False
    request = Request(scope)
    return media_types.accepts(request.headers.get("accept"), "text/html") and _DOCUMENTS.isdisjoint(
        request.query_params
    )


def _check_type(operation: Ready, method: str, accept: str) -> None:
    if method == "GET" and operation.type is OperationType.MUTATION:
        raise MethodNotAllowed("A mutation is not run by GET", allow="POST")
    if operation.type is OperationType.SUBSCRIPTION and not media_types.accepts(accept, EVENT_STREAM):
        raise BadRequest(
            f"A subscription has no single answer: accept {EVENT_STREAM}, or ask for it on a websocket at this "
            "address, with the subprotocol graphql-transport-ws"
        )


def _response(result: ExecutionResult, media_type: str, identity: str) -> Answer:
    """The answer to an operation that was run, wholly or in part."""
    body, failure = told(result, identity)
    return _encoded(body, media_type, failure)


def _refusal(answer: CatalogError, media_type: str) -> Answer:
    """The answer to a request of which nothing was run."""
    return _encoded({"errors": answer.all()}, media_type, answer)


def _encoded(body: Body, media_type: str, failure: CatalogError | None = None) -> Answer:
    """`body` under the HTTP status of `failure`, where the media type lets that be told.

    A stream tells of it as an event, unless JSON under 200 could not tell of it either.
    """
    if media_type == EVENT_STREAM:
        if failure is None or not failure.status_in_json:
            return Answer(200, HEADERS, event(body) + COMPLETE)
        media_type = GRAPHQL_JSON
    payload = jsonb.encode(body)
    headers = (*_HEADERS[media_type], (b"content-length", b"%d" % len(payload)))
    if failure is None or not (media_type == GRAPHQL_JSON or failure.status_in_json):
        return Answer(200, headers, payload, is_whole="errors" not in body)
    more = ((name.encode(), value.encode()) for name, value in failure.headers.items())
    return Answer(failure.status, (*headers, *more), payload)


def _for_caches(scope: Scope, answer: Answer) -> Answer:
    """An answer that the caller's own cache may keep if it asks anew each time; 304 if the caller has it.

    One with errors is kept nowhere. RFC 9110 compares tags weakly: a proxy that compresses puts `W/` before.
    """
    if not answer.is_whole:
        return answer if answer.headers is HEADERS else _with(answer, (b"cache-control", b"no-store"))
    known = next((value for name, value in scope["headers"] if name == b"if-none-match"), b"")
    tag = b'"%b"' % sha256(answer.body).hexdigest().encode()
    kept = _with(answer, (b"etag", tag), (b"cache-control", b"private, no-cache"), (b"vary", b"Accept, Authorization"))
    if known == b"*" or tag in (one.strip().removeprefix(b"W/") for one in known.split(b",")):
        about_the_body = (b"content-type", b"content-length")
        headers = tuple(header for header in kept.headers if header[0] not in about_the_body)
        return Answer(HTTPStatus.NOT_MODIFIED, headers, b"")
    return kept


def _with(answer: Answer, *own: tuple[bytes, bytes]) -> Answer:
    """The answer with these headers instead of its own of the same names."""
    names = {name for name, _ in own}
    return answer._replace(headers=(*(header for header in answer.headers if header[0] not in names), *own))
