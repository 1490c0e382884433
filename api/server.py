"""The server around the app: where it listens, how it starts and how it ends."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
from asyncio.transports import BaseTransport
from dataclasses import dataclass
from types import FrameType
from typing import Any, NoReturn, cast

import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn._types import ASGIReceiveEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from api.loopback import is_loopback
from api.prompt import PromptHttp
from api.settings import Settings
from db.rules.scopes import READING

_NO_HANDSHAKE = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"

_BITE = 4_096  # bytes of a websocket that are parsed at a time; of the smallest frames, 10 ms of work
_FAREWELL = 2.0  # seconds for which a client may take nothing, once its connection is to end

_log = structlog.get_logger("catalograph.server")


class ListenError(Exception):
    """The server cannot, or should not, listen where it was told to. The message is for the operator."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that listens, and the address that people type."""

    socket: socket.socket
    url: str


def listen(settings: Settings, *, insecure: bool) -> Listener:
    """Take the port now, before anything slow, so that a mistake is told at once. Raises ListenError."""
    host, port = settings.host, settings.port
    if not insecure and is_open(settings):
        raise ListenError(
            f"Callers need no token to write, so {host} is not listened on: anybody there could change the catalog. "
            "Have them say who they are (docs/authentication.md), or add --insecure if that is what you want."
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        taken = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        reason = str(error.strerror).partition(" (")[0]  # without the address, which it repeats
        hint = "; --port takes another" if port else ""
        raise ListenError(f"Cannot listen on {host} port {port}: {reason}{hint}") from None
    return Listener(taken, f"http://{_spelled(host)}:{taken.getsockname()[1]}")


def is_open(settings: Settings) -> bool:
    """Whether others than this machine may do more than read, without a token."""
    return not (settings.guest_scopes <= READING or is_loopback(settings.host))


def serve(app: ASGIApp, listener: Listener, settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C; requests that were accepted are answered first, within the shutdown time.

    SIGTERM ends in SystemExit and Ctrl-C in KeyboardInterrupt, so that the caller's blocks are left in order.
    """
    signal.signal(signal.SIGTERM, _exit)
    _Server(uvicorn_config(app, settings)).run(sockets=[listener.socket])


def uvicorn_config(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    """How uvicorn serves `app`."""
    return _Config(
        app,
        slow_client_timeout=settings.slow_client_timeout,
        read_timeout=settings.read_timeout,
        http=_Http,
        lifespan="on",
        ws=_WebSocket,
        ws_max_size=settings.socket_message_limit,
        ws_ping_interval=20,
        ws_ping_timeout=20,
        ws_per_message_deflate=False,  # events are short, and each socket would keep the state of two compressors
        log_config=None,  # ours
        access_log=False,  # RequestLog has a line for each request
        server_header=False,
        timeout_graceful_shutdown=settings.shutdown_timeout,
    )


class _Config(uvicorn.Config):
    """uvicorn's own, and for how many seconds a client may take nothing, and how many it has for a request."""

    def __init__(self, app: ASGIApp, *, slow_client_timeout: float, read_timeout: float, **settings: Any) -> None:
        super().__init__(app, **settings)
        self.slow_client_timeout = slow_client_timeout
        self.read_timeout = read_timeout


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then set up the garbage collector for what comes now.

        Every dict and list of an answer is an object that it tracks. By default it looks for cycles after some hundreds
        new ones, dozens of times within a large answer, which has none; and again and again it reads all that was made
        at the start, such as the schema.
        """
        await super().startup(sockets)
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell what has no end of its own that it is time, then wait for all that runs."""
        if stopping := self.lifespan.state.get("stopping"):
            stopping.set()
        await super().shutdown(sockets)


class _Http(PromptHttp):
    """HTTP/1.1, where the head of an answer leaves in one system call and one packet with its body."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's own
        config = cast("_Config", self.config)
        self.read_timeout = config.read_timeout
        paired = _Pairing(transport, self.loop, config.slow_client_timeout)
        super().connection_made(cast("asyncio.Transport", paired))

    def shutdown(self) -> None:
        super().shutdown()
        cast("_Pairing", self.transport).hurry()


class _WebSocket(WebSocketsSansIOProtocol):
    """uvicorn's websocket; when the server stops, it is the application that closes it.

    The application is told by a `websocket.disconnect` with the code 1012, as ever, but may still send.

    What comes is parsed in bites: a frame may have as few as six bytes, and 256 kB of such would keep others waiting
    for half a second. It is parsed only as long as the client takes what it is sent, for every ping has a pong.
    """

    def connection_made(self, transport: BaseTransport) -> None:
        self._unread = b""
        self._next_bite: asyncio.Handle | None = None
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if not self.handshake_initiated:  # its head comes whole
            self._shake_hands(data)
            return
        self._unread += data
        if self._next_bite is None:
            self._bite()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread and self._next_bite is None:
            self._bite()

    async def receive(self) -> ASGIReceiveEvent:
        message = await super().receive()
        if self._unread:  # uvicorn may have gone on reading
            self.transport.pause_reading()
        return message

    def _bite(self) -> None:
        """Parse some of what came, and then let others have their turn."""
        self._next_bite = None
        if self.writable.is_set() and not self.transport.is_closing():
            bite, self._unread = self._unread[:_BITE], self._unread[_BITE:]
            super().data_received(bite)
        if self.transport.is_closing():
            self._unread = b""
        elif not self._unread:
            if not self.read_paused:
                self.transport.resume_reading()
        else:
            self.transport.pause_reading()
            if self.writable.is_set():
                self._next_bite = self.loop.call_soon(self._bite)

    def _shake_hands(self, data: bytes) -> None:
        super().data_received(data)
        if not self.handshake_initiated:  # refused where uvicorn takes no notice: a line too long, or a body
            self.transport.write(b"".join(self.conn.data_to_send()) or _NO_HANDSHAKE)
            self.transport.close()

    def shutdown(self) -> None:
        if self.handshake_complete and not self.close_sent and self.writable.is_set():
            self.close_timeout = _FAREWELL  # for the client to answer when it is told of the end
            self.queue.put_nowait({"type": "websocket.disconnect", "code": 1012})
        else:
            super().shutdown()


class _Pairing:
    """A transport that holds a write back for the next one, at most until the event loop's next turn."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, patience: float) -> None:
        self._transport = transport
        self._loop = loop
        self._held: bytes | None = None
        self._patience = _Patience(transport, loop, patience)
        self.is_closing = transport.is_closing  # asked for each request
        self.hurry = self._patience.hurry

    def write(self, data: bytes) -> None:
        if self._held is None:
            self._held = data
            self._loop.call_soon(self._flush)
        else:
            self._transport.writelines((self._held, data))
            self._patience.given(len(self._held) + len(data))
            self._held = None

    def write_eof(self) -> None:
        self._flush()
        self._transport.write_eof()

    def close(self) -> None:
        self._flush()
        self._transport.close()
        self.hurry()

    def _flush(self) -> None:
        if self._held is not None and not self.is_closing():
            self._transport.write(self._held)
            self._patience.given(len(self._held))
        self._held = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class _Patience:
    """Cuts off a client that has taken nothing for some time, although something waits for it.

    That time is between once and twice `seconds`. Without an end to it, what waits would stay in memory for as long as
    the client likes, and a connection that is to be closed would not be.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._transport = transport
        self._loop = loop
        self._seconds = seconds
        self._given = self._taken = 0  # bytes: in all, and by the last time that this was looked at
        self._timer: asyncio.TimerHandle | None = None

    def given(self, size: int) -> None:
        """Note that so many bytes were written."""
        self._given += size
        if self._timer is None:
            self._wait()

    def hurry(self) -> None:
        """Have little patience from now on."""
        self._seconds = min(self._seconds, _FAREWELL)
        if self._timer:
            self._timer.cancel()
            self._wait()

    def _wait(self) -> None:
        waiting = self._transport.get_write_buffer_size()
        self._taken = self._given - waiting
        self._timer = self._loop.call_later(self._seconds, self._look) if waiting else None

    def _look(self) -> None:
        waiting = self._transport.get_write_buffer_size()
        if waiting and self._given - waiting == self._taken:
            _log.info("client cut off", waiting_bytes=waiting, client=self._transport.get_extra_info("peername"))
            self._transport.abort()
        else:
            self._wait()


def _exit(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)


def _spelled(host: str) -> str:
    """`host` as it stands in a URL; an address that means all of them is reached as localhost."""
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not listened on
        return "localhost"
    return f"[{host}]" if ":" in host else host
