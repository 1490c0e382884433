"""GraphQL on a websocket, by the protocol graphql-transport-ws.

It is described in https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md, with its messages and close codes.

A socket is read by one task, and each operation on it runs in a task of its own. Whatever is sent waits for its turn
until the client has taken most of what was sent before; an operation that waits makes no further answers, and a reader
that waits reads nothing. So a socket holds one message for each of its operations, however slow its client is.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from time import perf_counter
from types import NoneType
from typing import Any, NoReturn

import structlog
from graphql import ExecutionResult, OperationType
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketDisconnected

from api.answers import check_size, refusal, told
from api.contexts import Contexts, MakeContext, Who
from api.log import request_id
from api.operation import Operations
from api.request_parameters import Parameters, checked, decoded, refuse_nul
from api.settings import Settings
from api.wanted import ended, in_time
from db import jsonb
from schema.errors import (
    BadRequest,
    BadUserInput,
    CatalogError,
    DocumentTooLong,
    OperationLimit,
    Unauthenticated,
    Unavailable,
)

PROTOCOL = "graphql-transport-ws"

INVALID_MESSAGE = 4400
UNAUTHORIZED = 4401
SUBPROTOCOL_NOT_ACCEPTABLE = 4406
FORBIDDEN = 4403
INIT_TIMEOUT = 4408
SUBSCRIBER_EXISTS = 4409
TOO_MANY_INITS = 4429
TRY_AGAIN_LATER = 1013  # the registry of RFC 6455, as the next
SERVICE_RESTART = 1012  # what the server's own `websocket.disconnect` says when it stops

_LONGEST_REASON = 123  # bytes, in a frame that closes
_LONGEST_ID = 64  # characters of an operation's id that are logged; the client makes it up

_OBJECT_OR_NULL = (dict, NoneType)

_log = structlog.get_logger("catalograph.socket")


class GraphQLSocket:
    """An ASGI app that answers GraphQL operations on websockets. What it is made of is as for GraphQLEndpoint."""

    def __init__(self, operations: Operations, make_context: MakeContext, settings: Settings, who: Who) -> None:
        self._operations = operations
        self._make_context = make_context
        self._settings = settings
        self._who = who

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one socket until it is closed."""
        socket = WebSocket(scope, receive, send)
        if not _is_welcome(socket, self._settings.cors_origins):
            await socket.close()  # before it is accepted: that is 403
        elif PROTOCOL not in scope["subprotocols"]:
            await socket.accept()
            await socket.close(SUBPROTOCOL_NOT_ACCEPTABLE, "Subprotocol not acceptable")
        else:
            await socket.accept(PROTOCOL)
            await _Connection(socket, self._operations, self._make_context, self._settings, self._who).serve()


def _is_welcome(socket: WebSocket, origins: tuple[str, ...]) -> bool:
    """Whether the page that opens the socket, if one does, is ours or one of `origins`.

    Browsers let any page open a socket to any host and read from it; they say which page it is. The scheme is not
    compared: behind a proxy for TLS we do not know our own.
    """
    origin = socket.headers.get("origin")
    return origin is None or origin in origins or origin.partition("://")[2] == socket.headers.get("host")


class _Closing(Exception):
    """The socket is to be closed, with this code and reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason.encode()[:_LONGEST_REASON].decode(errors="ignore")


class _Connection:
    """One socket that was accepted, and the operations that run on it."""

    def __init__(
        self, socket: WebSocket, operations: Operations, make_context: MakeContext, settings: Settings, who: Who
    ) -> None:
        self._socket = socket
        self._operations = operations
        self._make_context = make_context
        self._settings = settings
        self._who = who
        self._identity = request_id(socket.scope)
        self._acknowledged = False
        self._running: dict[str, asyncio.Task[None]] = {}
        self._endless: set[str] = set()  # of these, the subscriptions
        self._turn = asyncio.Lock()  # to send
        self._fields = socket.scope["state"]["log"]
        self._fields["operations"] = 0

    async def serve(self) -> None:
        """Answer the client's messages until either side closes."""
        try:
            closing = await self._closing()
        finally:
            await ended(*self._running.values())
        with suppress(WebSocketDisconnect, WebSocketDisconnected):
            if closing:
                await self._socket.close(closing.code, closing.reason)

    async def _closing(self) -> _Closing | None:
        """How to close the socket, when it is time; None when the client did."""
        try:
            await self._listen()
        except _Closing as closing:
            return closing
        except WebSocketDisconnect as gone:
            if gone.code != SERVICE_RESTART:
                return None
            await self._finish()
            return _Closing(SERVICE_RESTART, "Service restart")

    async def _listen(self) -> NoReturn:
        """Read messages one after the other. Ends in WebSocketDisconnect or _Closing."""
        try:
            async with asyncio.timeout(self._settings.socket_init_timeout):
                while not self._acknowledged:
                    await self._read()
        except TimeoutError:
            raise _Closing(INIT_TIMEOUT, "Connection initialisation timeout") from None
        while True:
            await self._read()

    async def _read(self) -> None:
        received = await self._socket.receive()
        if received["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(received["code"])
        text = received.get("text")
        if text is None:
            raise _Closing(INVALID_MESSAGE, "Messages are text")
        try:
            await self._take(text.encode())
        except BadRequest as error:
            raise _Closing(INVALID_MESSAGE, error.message) from None

    async def _take(self, text: bytes) -> None:
        message = decoded(text, "The message")
        match message:
            case {"type": "connection_init" | "ping" | "pong", "payload": payload} if not _is_object(payload):
                raise _Closing(INVALID_MESSAGE, "'payload' must be an object")
            case {"type": "connection_init"}:
                await self._acknowledge(message.get("payload"))
            case {"type": "ping"}:
                await self._send({"type": "pong"})
            case {"type": "pong"}:
                pass
            case {"type": "subscribe", "id": str(name), "payload": dict(payload)} if name:
                await self._subscribe(name, payload, text)
            case {"type": "complete", "id": str(name)} if name:
                await ended(*filter(None, [self._running.get(name)]))
            case _:
                raise _Closing(INVALID_MESSAGE, "This is no message of graphql-transport-ws")

    async def _acknowledge(self, payload: dict[str, Any] | None) -> None:
        """Let the client in, if it is somebody. The payload is kept in the scope, where its token is looked for."""
        if self._acknowledged:
            raise _Closing(TOO_MANY_INITS, "Too many initialisation requests")
        self._acknowledged = True
        self._socket.scope["state"]["connection_init"] = payload
        try:
            await self._who(self._socket.scope)
        except Unauthenticated as error:
            raise _Closing(FORBIDDEN, error.message) from None
        except Unavailable as error:
            raise _Closing(TRY_AGAIN_LATER, error.message) from None
        await self._send({"type": "connection_ack"})

    async def _subscribe(self, name: str, payload: dict[str, Any], text: bytes) -> None:
        """Begin an operation, or say why not."""
        if not self._acknowledged:
            raise _Closing(UNAUTHORIZED, "Unauthorized")
        if name in self._running:
            raise _Closing(SUBSCRIBER_EXISTS, f"Subscriber for {name} already exists")
        try:
            parameters = checked(payload)
            refuse_nul(text, payload, "The message")
            self._check_room()
        except (BadUserInput, DocumentTooLong, OperationLimit) as refused:
            await self._send(_error(name, refused))
            return
        self._fields["operations"] += 1
        self._running[name] = asyncio.create_task(self._operate(name, parameters))
        self._running[name].add_done_callback(lambda _: self._forget(name))

    def _forget(self, name: str) -> None:
        """Called when an operation has ended, even if it was cancelled before it began."""
        del self._running[name]
        self._endless.discard(name)

    def _check_room(self) -> None:
        most = self._settings.socket_operation_limit
        if len(self._running) >= most:
            raise OperationLimit(f"{most} operations run on this socket; complete one of them first")

    async def _operate(self, name: str, parameters: Parameters) -> None:
        """One operation, from its first answer to the message that ends it."""
        started = perf_counter()
        log: dict[str, Any] = {"operation": None, "id": name[:_LONGEST_ID], "answers": 0, "statements": 0}
        end = "cancelled"
        try:
            last = await self._answer(name, parameters, log)
            await self._send(last)
            end = last["type"]
        except WebSocketDisconnect:
            return  # which the reader is told too
        finally:
            log["caller"] = self._fields.get("caller")
            _log.info("operation", **log, end=end, ms=round((perf_counter() - started) * 1000, 1))

    async def _answer(self, name: str, parameters: Parameters, log: dict[str, Any]) -> dict[str, Any]:
        """Send the answers; the last message comes back."""
        contexts = Contexts(self._make_context, self._socket.scope, self._who)
        seconds = self._settings.operation_timeout
        try:
            operation = self._operations.asked(parameters)
            log["operation"] = operation.name
            if operation.type is OperationType.SUBSCRIPTION:
                self._endless.add(name)
                caller = await self._who(self._socket.scope)
                events = operation.subscribe(parameters.variables, caller, contexts.fresh, seconds)
                async with aclosing(events) as answers:
                    async for answer in answers:
                        await self._next(name, answer)
                        log["answers"] += 1
            else:
                async with contexts.fresh() as context:
                    answer = await in_time(operation.run(parameters.variables, context), seconds)
                await self._next(name, answer)
                log["answers"] += 1
        except WebSocketDisconnect:
            raise
        except Unauthenticated as error:
            await self._turn_away(error)
        except Exception as error:  # noqa: BLE001 - the outermost frame: what is not ours is masked here
            return _error(name, refusal(error, self._identity))
        finally:
            log["statements"] = contexts.statements
        return {"id": name, "type": "complete"}

    async def _turn_away(self, error: Unauthenticated) -> NoReturn:
        """Close the socket: its client is nobody any more, and comes back with another token."""
        closing = _Closing(FORBIDDEN, error.message)
        async with self._turn:
            with suppress(WebSocketDisconnected):
                await self._socket.close(closing.code, closing.reason)
        raise WebSocketDisconnect(FORBIDDEN)

    async def _next(self, name: str, answer: ExecutionResult) -> None:
        body, _ = told(answer, self._identity)
        text = jsonb.encode({"id": name, "type": "next", "payload": body})
        check_size(text, self._settings.response_limit)
        await self._say(text.decode())

    async def _send(self, message: dict[str, Any]) -> None:
        await self._say(jsonb.encode_text(message))

    async def _say(self, text: str) -> None:
        """Send a message when it is its turn. Raises WebSocketDisconnect."""
        async with self._turn:
            try:
                await self._socket.send({"type": "websocket.send", "text": text})
            except (WebSocketDisconnected, RuntimeError):  # Starlette's word after the first time; uvicorn's own
                raise WebSocketDisconnect(1006) from None

    async def _finish(self) -> None:
        """Wait for the operations that have an end."""
        await ended(*(self._running[name] for name in self._endless))
        if self._running:
            await asyncio.wait(self._running.values())


def _is_object(payload: object) -> bool:
    return isinstance(payload, _OBJECT_OR_NULL)


def _error(name: str, refused: CatalogError) -> dict[str, Any]:
    """The message that an operation was refused, or has failed as a whole; nothing follows it."""
    return {"id": name, "type": "error", "payload": refused.all()}
