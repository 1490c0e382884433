"""Being there for one machine only."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_REFUSED = (
    "This server answers without a token, so it answers only to names of its own machine, such as localhost: behind "
    "any other name may be a web page that reads the catalog from its visitors' browsers. If this is your own name "
    "for it, start the server with --insecure, or let nobody ask without a token (CATALOGRAPH_ANONYMOUS_SCOPES=none).\n"
)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class OwnNamesOnly:
    """Middleware: what asks for another name than one of this machine is refused with 421, websockets too.

    Whoever owns a name may let it lead to any address, also to the one of the machine on which a visitor's browser
    runs. To the browser their page is then of one origin with what listens there (DNS rebinding). But it says the name.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or socket; other scopes pass through."""
        hosts = [value for name, value in scope.get("headers", ()) if name == b"host"]
        app = self._app if all(map(_is_ours, hosts)) else PlainTextResponse(_REFUSED, 421)
        await app(scope, receive, send)


def _is_ours(host: bytes) -> bool:
    """Whether a Host header, with a port or without, names this machine (RFC 6761, section 6.3)."""
    try:
        name = (urlsplit(f"//{host.decode('latin-1')}").hostname or "").removesuffix(".")
    except ValueError:
        return False
    return name.endswith(".localhost") or is_loopback(name)
