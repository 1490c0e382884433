"""The server around the app: where it listens, how it starts and how it ends."""

from __future__ import annotations

import ipaddress
import signal
import socket
import sys
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn

import uvicorn
from starlette.applications import Starlette

from api.settings import Settings


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
    if not insecure and not is_loopback(host):
        raise ListenError(
            f"Nothing asks who is calling, so {host} is not listened on: anybody there could read the catalog. "
            "Add --insecure if that is what you want."
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        taken = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        reason = str(error.strerror).partition(" (")[0]  # without the address, which it repeats
        hint = "; --port takes another" if port else ""
        raise ListenError(f"Cannot listen on {host} port {port}: {reason}{hint}") from None
    return Listener(taken, f"http://{_spelled(host)}:{taken.getsockname()[1]}")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def serve(app: Starlette, listener: Listener, settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C; requests that were accepted are answered first, within the shutdown time.

    SIGTERM ends in SystemExit and Ctrl-C in KeyboardInterrupt, so that the caller's blocks are left in order.
    """
    signal.signal(signal.SIGTERM, _exit)
    config = uvicorn.Config(
        app,
        lifespan="on",
        ws="none",
        log_config=None,  # ours
        access_log=False,  # RequestLog has a line for each request
        server_header=False,
        timeout_graceful_shutdown=settings.shutdown_timeout,
    )
    uvicorn.Server(config).run(sockets=[listener.socket])


def _exit(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)


def _spelled(host: str) -> str:
    """`host` as it stands in a URL; an address that means all of them is reached as localhost."""
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not listened on
        return "localhost"
    return f"[{host}]" if ":" in host else host
